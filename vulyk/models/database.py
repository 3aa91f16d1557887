"""The state of the database behind mongoengine's connection: is it there, is it fit, has it its indexes."""

import logging
from datetime import UTC, datetime

import pymongo
from mongoengine.connection import get_connection
from mongoengine.errors import NotUniqueError, OperationError
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

STANDALONE = """MongoDB at {address} is a standalone server; Vulyk needs a replica set (one node is enough). Turn it into one:
  1. start mongod with --replSet vulyk (or in mongod.conf: replication: {{replSetName: vulyk}})
  2. mongosh --eval 'rs.initiate()'"""


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
        try:
            model.ensure_indexes()
        except (OperationFailure, OperationError, NotUniqueError) as error:
            # A database of an older version may hold what a unique index forbids; the site runs, the operator must know.
            log.error('An index of %s cannot be made: %s', model._get_collection_name(), error)


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
        raise DatabaseError(f'The database takes no writes: {error}') from error


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
            f'No MongoDB answers at {address}. Start it, or name the right one in MONGODB_SETTINGS '
            f'(or the variables mongodb_host and mongodb_port).'
        ) from error
    except OperationFailure as error:
        raise DatabaseError(
            f'MongoDB at {address} refuses us ({error.details or error}): check MONGODB_SETTINGS.'
        ) from error
    if 'setName' not in hello and hello.get('msg') != 'isdbgrid':
        raise DatabaseError(STANDALONE.format(address=address))
