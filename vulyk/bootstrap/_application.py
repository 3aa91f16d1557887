"""The application class."""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import flask
from werkzeug.routing import Rule

from vulyk.bootstrap import _db, _operations

if TYPE_CHECKING:
    from flask.ctx import AppContext, RequestContext

    from vulyk.models.task_types import AbstractTaskType


class LazyRule(Rule):
    """A route that prepares how its addresses are made when the first of them is asked for.

    Werkzeug compiles two functions for each route. For two hundred routes, of which a process makes addresses of a dozen,
    that is more than half of the time in which an application is built.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compile_now = super()._compile_builder

        @cache
        def compiled() -> Callable[..., tuple[str, str]]:
            return compile_now(append_unknown)

        return lambda rule, /, **values: compiled()(rule, **values)


class VulykFlask(flask.Flask):
    """Flask, with the task types of the site.

    ``task_types`` maps type names to task types, ``plugin_errors`` the packages of ``ENABLED_TASKS`` that could not be
    loaded to the reason. ``_base_files_to_watch`` and ``_plugin_files_to_watch`` hold the sources of the bundles.
    """

    url_rule_class = LazyRule

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.task_types: dict[str, AbstractTaskType] = {}
        self.plugin_errors: dict[str, str] = {}
        self.settings_source = 'defaults'
        self.admin: Any = None
        self._base_files_to_watch: list[str] = []
        self._plugin_files_to_watch: list[str] = []

    def app_context(self) -> 'AppContext':
        """A context of this application; refused once another application owns the database connection."""
        _db.check_owner(self)
        return super().app_context()

    def request_context(self, environ: dict[str, Any]) -> 'RequestContext':
        """A context of a request; refused like one of the application, before Flask has begun with anything."""
        _db.check_owner(self)
        return super().request_context(environ)

    def log_exception(self, exc_info: Any) -> None:
        """Note what no view was prepared for."""
        self.logger.error('Exception on %s [%s]', _operations.logged_path(), flask.request.method, exc_info=exc_info)
