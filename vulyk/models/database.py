"""The state of the database behind mongoengine's connection: is it there, is it fit, has it its indexes."""

import logging
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import pymongo
from mongoengine.connection import get_connection
from pymongo import IndexModel
from pymongo.errors import ConfigurationError, ConnectionFailure, OperationFailure, PyMongoError

from vulyk.jobs import Duty, Job
from vulyk.models import schema
from vulyk.models.audit import AuditRecord
from vulyk.models.exc import DatabaseError
from vulyk.models.limits import Attempts
from vulyk.models.problems import Problem
from vulyk.models.progress import Progress
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import AbstractAnswer, AbstractTask, Batch, Closing, Load, WithdrawnAnswer
from vulyk.models.user import Group, User
from vulyk.texts import gettext

log = logging.getLogger(__name__)

MODELS: list[type] = [
    User,
    Group,
    Batch,
    AbstractTask,
    AbstractAnswer,
    WorkSession,
    WithdrawnAnswer,
    Load,
    Closing,
    Progress,
    Problem,
    Job,
    Attempts,
    AuditRecord,
]


# Until when a series of MongoDB gets corrections, as its makers have announced it.
END_OF_LIFE = {
    (4, 4): date(2024, 2, 29),
    (5, 0): date(2024, 10, 31),
    (6, 0): date(2025, 7, 31),
    (7, 0): date(2027, 8, 31),
    (8, 0): date(2029, 10, 31),
}


def add_models(*models: type) -> None:
    """Have the indexes of further documents made too: of features, and of plugins that declare some."""
    MODELS.extend(model for model in models if model not in MODELS)


def prepare() -> None:
    """Check the server and make the indexes that are missing.

    :raises DatabaseError: no server answers, it refuses us, it is a standalone one, or the database is that of a newer
        version; with what to do.
    """
    check_server()
    schema.check()
    schema.welcome(datetime.now(UTC))
    make_indexes()


def make_indexes() -> None:
    """Make the indexes that are missing; what cannot be made is in the log."""
    for model in MODELS:
        indexes = _indexes(model)
        try:
            if indexes:
                model._get_collection().create_indexes(indexes)
        except OperationFailure:
            _make_what_can_be_made(model, indexes)


def _indexes(model: type) -> list[IndexModel]:
    """Those that mongoengine's ``ensure_indexes`` makes, which asks the server for one after the other at every start."""
    meta = model._meta
    specs = [dict(spec) for spec in meta['index_specs']]
    if meta.get('allow_inheritance') and meta.get('index_cls', True) and not any(map(_begins_with_class, specs)):
        specs.append({'fields': [('_cls', 1)]})
    for spec in specs:
        spec.pop('cls', None)
    return [IndexModel(spec.pop('fields'), **{**(meta.get('index_opts') or {}), **spec}) for spec in specs]


def _begins_with_class(spec: dict[str, Any]) -> bool:
    return bool(spec['fields']) and spec['fields'][0][0] == '_cls'


def _make_what_can_be_made(model: type, indexes: list[IndexModel]) -> None:
    for index in indexes:
        try:
            model._get_collection().create_indexes([index])
        except OperationFailure as error:
            # A database of an older version may hold what a unique index forbids; the site runs, the operator must know.
            log.error('An index of %s cannot be made: %s', model._get_collection_name(), error)


def warning(config: Mapping[str, Any]) -> str:
    """A sentence if people rely on a server that gets no corrections any more, else ''.

    Nobody relies on a site for development or for tests, nor on a private server, which is there for looking around.
    """
    if config['DEBUG'] or config['TESTING'] or config['EMBEDDED_MONGOD']:
        return ''
    return outdated(get_connection().server_info()['version'], datetime.now(UTC).date())


def outdated(version: str, today: date) -> str:
    """A sentence if this version of MongoDB gets no corrections any more, else ''.

    What is older than the oldest series known is out of date; what is newer than all of them is not.
    """
    major, minor = map(int, version.split('.')[:2])
    until = max((end for series, end in END_OF_LIFE.items() if series <= (major, minor)), default=None)
    if until is not None and (until >= today or (major, minor) > max(END_OF_LIFE)):
        return ''
    if until is None:
        return gettext('MongoDB %(version)s gets no more corrections from its makers.', version=version)
    return gettext(
        'MongoDB %(version)s gets no more corrections from its makers since %(day)s.', version=version, day=until
    )


def check_writable(seconds: float) -> None:
    """Write something, as every answer has to.

    :param seconds: to wait for it at most.
    :raises DatabaseError: it was not stored.
    """
    probe = {'$set': {'at': datetime.now(UTC)}}
    try:
        with pymongo.timeout(seconds):
            Duty._get_collection().update_one({'_id': 'readyz'}, probe, upsert=True)
    except PyMongoError as error:
        raise DatabaseError(gettext('The database takes no writes: %(reason)s', reason=error)) from error


def check_server() -> None:
    """Raise :class:`DatabaseError` unless a replica set (or a sharded cluster) answers. mongomock passes."""
    client = get_connection()
    if not isinstance(client, pymongo.MongoClient):
        return
    address = ', '.join(sorted(f'{host}:{port}' for host, port in client.topology_description.server_descriptions()))
    try:
        hello = client.admin.command('hello')
    except (ConnectionFailure, ConfigurationError) as error:
        raise DatabaseError(
            gettext(
                'No MongoDB answers at %(address)s. Start it, or name the right one in MONGODB_SETTINGS '
                '(or the variables mongodb_host and mongodb_port).',
                address=address,
            )
        ) from error
    except OperationFailure as error:
        raise DatabaseError(
            gettext(
                'MongoDB at %(address)s refuses us (%(reason)s): check MONGODB_SETTINGS.',
                address=address,
                reason=error.details or error,
            )
        ) from error
    if 'setName' not in hello and hello.get('msg') != 'isdbgrid':
        raise DatabaseError(
            gettext(
                'MongoDB at %(address)s is a standalone server; Vulyk needs a replica set (one node is enough). '
                'Turn it into one:\n'
                '  1. start mongod with --replSet vulyk (or in mongod.conf: replication: {replSetName: vulyk})\n'
                "  2. mongosh --eval 'rs.initiate()'",
                address=address,
            )
        )
