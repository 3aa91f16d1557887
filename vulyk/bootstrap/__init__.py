"""Builds the application."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from flask import Flask

from vulyk import migrations, pages, people, problems
from vulyk.accounts import routes as accounts
from vulyk.bootstrap import (
    _admin,
    _assets,
    _background,
    _blueprints,
    _config,
    _db,
    _errors,
    _logging,
    _operations,
    _packing,
    _proxies,
    _security,
    _social_login,
    _tasks,
    _templates,
)
from vulyk.bootstrap._application import VulykFlask
from vulyk.bootstrap._tasks import init_plugins

__all__ = ['create_app', 'init_app', 'init_plugins']


def create_app(config: Mapping[str, Any] | object | None = None) -> Flask:
    """A new application; it owns the database connection from now on.

    :param config: settings that win over all others, as a mapping, or as a module or object with upper-case attributes.
        None: the settings of the current folder (``local_settings``) count.
    :raises InitializationError: the settings cannot be used; the text says what to change.
    """
    app = VulykFlask('vulyk', static_folder=None, template_folder=None)
    _config.init(app, config)
    _logging.init(app)
    _operations.init(app)
    _packing.init(app)
    db = _db.init(app)
    _templates.init(app)
    _proxies.init(app)
    _security.init(app)
    _social_login.init_social_login(app, db)
    _errors.init(app)
    app.task_types = _tasks.init_plugins(app)
    _assets.init(app)
    pages.init(app)
    problems.init(app)
    people.init(app)
    accounts.init(app)
    migrations.init(app)
    _admin.init(app)
    _blueprints.init(app)
    _background.init(app)
    return app


@cache
def init_app(name: str) -> Flask:
    """The application of that alias, built at the first call with the settings of the current folder.

    :param name: any text; one application is kept per name.
    """
    return create_app()
