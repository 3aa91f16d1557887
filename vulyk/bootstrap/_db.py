"""Connects mongoengine, whose registry is global: the application created last owns it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flask_mongoengine
import mongoengine
from flask import request
from pymongo.errors import PyMongoError

from vulyk import mongod
from vulyk.models import database
from vulyk.models.exc import DatabaseError, InitializationError
from vulyk.texts import gettext, told

if TYPE_CHECKING:
    from flask import Flask

_connected: list[dict[str, Any]] | None = None  # the settings of the owner's connections, which may outlive it
_KEY = 'vulyk_database'


class MongoEngine(flask_mongoengine.MongoEngine):
    """flask-mongoengine that can be pointed elsewhere.

    Version 1.1.0 keeps the configuration of the first application for ever, and mongoengine its collections, so that
    tests could write into another database.
    """

    def init_app(self, app: 'Flask', config: Any = None) -> None:
        for settings in app.config['MONGODB_SETTINGS']:
            mongoengine.disconnect(settings['alias'])
        self.config = None
        super().init_app(app, config)


def init(app: 'Flask') -> MongoEngine:
    """Make this application the owner of the connection; no server is asked before the first request or command."""
    global _connected
    app.config['MONGODB_SETTINGS'] = settings = _connection_settings(app)
    db = MongoEngine()
    try:
        db.init_app(app)
    except (PyMongoError, mongoengine.connection.ConnectionFailure, ValueError) as error:
        raise InitializationError(gettext('MONGODB_SETTINGS cannot be used: %(reason)s', reason=error)) from error
    app.json.sort_keys = False  # set here, because flask-mongoengine has just put its own JSON provider in place
    app.json.ensure_ascii = False
    _connected = settings
    app.extensions[_KEY] = {'prepared': False, 'settings': settings}

    @app.before_request
    def prepare_database_once() -> None:
        if request.endpoint != 'static':  # the page that says the database is away needs its styles
            prepare(app)

    return db


def prepare(app: 'Flask') -> None:
    """Check the server and its indexes, once per process.

    :raises DatabaseError: with what is wrong and what to do.
    """
    state = app.extensions[_KEY]
    if not state['prepared']:
        database.prepare()
        state['prepared'] = True
        if warning := database.warning(app.config):
            app.logger.warning(warning)


def check_owner(app: 'Flask') -> None:
    """Refuse an application whose database connection has been taken over by a newer one with another database."""
    if not is_connected(app):
        raise RuntimeError(
            'Another create_app() has taken over the database connection since this application was created; '
            'use the newest application only, or create this one again.'
        )


def is_connected(app: 'Flask') -> bool:
    """Whether the database connection is that of this application, or it has none of its own."""
    state = app.extensions.get(_KEY)
    return state is None or state['settings'] == _connected


def _connection_settings(app: 'Flask') -> list[dict[str, Any]]:
    """``MONGODB_SETTINGS`` as a list of connections with mongoengine's own keys."""
    given = app.config['MONGODB_SETTINGS']
    if not all(isinstance(item, Mapping) for item in (given if isinstance(given, list) else [given])):
        raise InitializationError(
            gettext("MONGODB_SETTINGS must be a dictionary like {'DB': 'vulyk'}, not %(value)s.", value=repr(given))
        )
    connections = [_normalised(app, item) for item in (given if isinstance(given, list) else [given])]
    if app.config['EMBEDDED_MONGOD']:
        folder = Path(app.config['EMBEDDED_MONGOD']) / 'mongo'
        try:
            uri = mongod.acquire(folder)
        except mongod.MongodError as error:
            raise DatabaseError(told(error)) from error
        connections[0] |= {'host': uri}
    return connections


def _normalised(app: 'Flask', settings: Mapping[str, Any]) -> dict[str, Any]:
    named = {key.removeprefix('MONGODB_').removeprefix('mongodb_'): value for key, value in settings.items()}
    lower = {(key.lower() if key.isupper() else key): value for key, value in named.items() if value is not None}
    if 'port' in lower:
        try:
            lower['port'] = int(lower['port'])
        except ValueError as error:
            raise InitializationError(
                gettext('MONGODB_SETTINGS: PORT %(value)s is no number.', value=repr(lower['port']))
            ) from error
    defaults = {
        'alias': 'default',
        'tz_aware': True,
        'uuidRepresentation': 'standard',
        'serverSelectionTimeoutMS': int(app.config['MONGODB_TIMEOUT_SECONDS'] * 1000),
    }
    return defaults | lower
