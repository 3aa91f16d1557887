"""The base class of the site's blueprints."""

import inspect
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Blueprint, Flask


class VulykModule(Blueprint):
    """A Flask blueprint that can be configured from the settings and adds variables to every template."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.config: dict[str, Any] = {}
        self._context_fillers: list[Callable[[], dict[str, Any]]] = []

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let modules written for Flask 1, whose ``register`` takes three arguments, work as they are."""
        super().__init_subclass__(**kwargs)
        own = cls.__dict__.get('register')
        if own is not None and 'first_registration' in inspect.signature(own).parameters:
            warnings.warn(
                f'{cls.__name__}.register() takes first_registration, which Flask no longer passes; '
                f'drop that parameter before Vulyk 2.0.',
                DeprecationWarning,
                stacklevel=2,
            )

            @wraps(own)
            def register(
                self: VulykModule, app: Flask, options: dict[str, Any], first_registration: bool = True
            ) -> None:
                own(self, app, options, first_registration)

            cls.register = register  # type: ignore[method-assign]

    def configure(self, config: dict[str, Any]) -> None:
        """Take over settings of this module; called before it is registered."""
        self.config.update(config)

    def add_context_filler(self, filler: Callable[[], dict[str, Any]]) -> None:
        """Give every template variables.

        :param filler: called for each rendered template; a key ``x`` of what it returns becomes ``<module name>_x``.
        """
        self._context_fillers.append(filler)

    def register(self, app: Flask, options: dict[str, Any], first_registration: bool = True) -> None:
        """Called by ``app.register_blueprint``; ``first_registration`` is accepted from old subclasses and ignored."""
        super().register(app, options)
        app.context_processor(self._variables)

    def _variables(self) -> dict[str, Any]:
        return {f'{self.name}_{key}': value for filler in self._context_fillers for key, value in filler().items()}
