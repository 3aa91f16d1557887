"""Connects mongoengine, whose registry is global: the application created last owns it."""

import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flask_mongoengine
import mongoengine

from vulyk import mongod
from vulyk.models import database
from vulyk.models.exc import DatabaseError

if TYPE_CHECKING:
    from flask import Flask

_owner: 'weakref.ref[Flask] | None' = None
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
    global _owner
    app.config['MONGODB_SETTINGS'] = _connection_settings(app)
    db = MongoEngine()
    db.init_app(app)
    app.json.sort_keys = False  # set here, because flask-mongoengine has just put its own JSON provider in place
    app.json.ensure_ascii = False
    _owner = weakref.ref(app)
    app.extensions[_KEY] = {'prepared': False}

    @app.before_request
    def prepare_database_once() -> None:
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


def check_owner(app: 'Flask') -> None:
    """Refuse an application whose database connection has been taken over by a newer one with another database."""
    owner = _owner() if _owner is not None else None
    if owner is None or owner is app or owner.config['MONGODB_SETTINGS'] == app.config['MONGODB_SETTINGS']:
        return
    raise RuntimeError(
        'Another create_app() has taken over the database connection since this application was created; '
        'use the newest application only, or create this one again.'
    )


def _connection_settings(app: 'Flask') -> list[dict[str, Any]]:
    """``MONGODB_SETTINGS`` as a list of connections with mongoengine's own keys."""
    given = app.config['MONGODB_SETTINGS']
    connections = [_normalised(app, item) for item in (given if isinstance(given, list) else [given])]
    if app.config['EMBEDDED_MONGOD']:
        folder = Path(app.config['EMBEDDED_MONGOD']) / 'mongo'
        try:
            uri = mongod.acquire(folder)
        except mongod.MongodError as error:
            raise DatabaseError(str(error)) from error
        connections[0] |= {'host': uri}
    return connections


def _normalised(app: 'Flask', settings: dict[str, Any]) -> dict[str, Any]:
    named = {key.removeprefix('MONGODB_').removeprefix('mongodb_'): value for key, value in settings.items()}
    lower = {(key.lower() if key.isupper() else key): value for key, value in named.items() if value is not None}
    if 'port' in lower:
        lower['port'] = int(lower['port'])
    defaults = {
        'alias': 'default',
        'tz_aware': True,
        'uuidRepresentation': 'standard',
        'serverSelectionTimeoutMS': int(app.config['MONGODB_TIMEOUT_SECONDS'] * 1000),
    }
    return defaults | lower
