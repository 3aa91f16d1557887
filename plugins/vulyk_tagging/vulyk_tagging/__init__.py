"""A text: the volunteer marks words in it and says what they are. A task type for Vulyk."""

from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

LOCAL_SETTINGS = ('vulyk.local_settings', 'local_settings')  # where a site keeps its own values; the later wins


def configure(self_settings: ModuleType) -> dict[str, Any]:
    """The settings of this plugin, with what the site says otherwise in its ``local_settings``.

    :param self_settings: the module ``vulyk_tagging.settings``; its upper-case names are the settings there are.
    :returns: ``{NAME: value}``, handed to the task type as ``settings``.
    """
    settings = {name: value for name, value in vars(self_settings).items() if name.isupper()}
    for module in _local_settings():
        settings.update((name, value) for name, value in vars(module).items() if name in settings)
    return settings


def _local_settings() -> Iterator[ModuleType]:
    for name in LOCAL_SETTINGS:
        try:
            yield import_module(name)
        except ModuleNotFoundError as error:
            # No such file is the ordinary case. A file that is there and cannot import something is the site's mistake.
            if error.name is None or not f'{name}.'.startswith(f'{error.name}.'):
                raise
