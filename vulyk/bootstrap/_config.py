"""Collects the settings."""

import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vulyk import settings
from vulyk.models.exc import InitializationError
from vulyk.texts import gettext, lazy_gettext

if TYPE_CHECKING:
    from vulyk.bootstrap._application import VulykFlask

LOCAL = 'local_settings'


def init(app: 'VulykFlask', config: Mapping[str, Any] | object | None) -> None:
    """Fill ``app.config``: defaults, environment, then ``config`` or else ``local_settings``.

    ``app.settings_source`` says which.
    """
    app.config.from_object(settings)
    try:
        app.config.from_mapping(settings.from_environment(os.environ))
    except ValueError as error:
        raise InitializationError(str(error)) from error
    if config is None:
        _read_local_settings(app)
    elif isinstance(config, Mapping):
        app.config.from_mapping(config)
        app.settings_source = lazy_gettext('given by the caller')
    else:
        app.config.from_object(config)
        app.settings_source = getattr(config, '__file__', None) or repr(config)
    # URL encoding may triple a result; the exact limit is checked on the decoded text.
    app.config['MAX_CONTENT_LENGTH'] = app.config['MAX_FORM_MEMORY_SIZE'] = 3 * app.config['MAX_RESULT_BYTES'] + 65536


def _read_local_settings(app: 'VulykFlask') -> None:
    """Read ``local_settings`` of the current folder or of ``sys.path``; only its absence is silent."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    if LOCAL not in sys.modules and importlib.util.find_spec(LOCAL) is None:
        app.settings_source = lazy_gettext('defaults (there is no local_settings.py in this folder)')
        return
    try:
        module = importlib.import_module(LOCAL)
    except Exception as error:  # whatever is wrong in there, running on defaults instead would be worse
        raise InitializationError(
            gettext(
                '%(file)s cannot be read: %(name)s: %(reason)s', file=LOCAL, name=type(error).__name__, reason=error
            )
        ) from error
    app.config.from_object(module)
    app.settings_source = str(module.__file__)
