"""Which migrations a database has been through: each is one step, done once, in order, and recorded."""

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from flask_babel import gettext
from flask_mongoengine.documents import Document
from mongoengine import DateTimeField, IntField, StringField
from mongoengine.connection import get_db

from vulyk.models.exc import DatabaseError

log = logging.getLogger(__name__)

ACCOUNTS = 'core 3'  # the step after which every account can be found by the keys of its name and address
RESTORING = 'restore'  # the id of the note that a restore is under way
# A database without a document in any of these holds nothing that an older version could have written.
_WRITTEN_FIRST = ('user', 'groups', 'tasks', 'reports', 'batches')


Progress = Callable[[int], None]


class Migration(Document):
    """A step a database has been through, or is in the middle of: then it has no ``finished_at``."""

    id = StringField(primary_key=True)
    owner = StringField(required=True)
    number = IntField(required=True)
    started_at = DateTimeField(db_field='startedAt')
    finished_at = DateTimeField(db_field='finishedAt')

    meta = {'collection': 'migrations', 'auto_create_index': False}


class Step(NamedTuple):
    """A migration. Those of one ``owner`` (``core``, or a feature) are numbered from 1 and never change their numbers.

    ``run`` is called with ``dry_run`` and ``progress``. It tells what it does, and only that if ``dry_run``; ``progress`` it
    calls with the number of documents it has looked at since. Killed and called again it goes on.
    """

    owner: str
    number: int
    title: str
    run: Callable[[bool, Progress], Iterator[str]]

    @property
    def key(self) -> str:
        return f'{self.owner} {self.number}'


STEPS: list[Step] = []


def add_steps(*steps: Step) -> None:
    """Add the steps of a feature, in their order; a step that is there already stays."""
    known = {step.key for step in STEPS}
    STEPS.extend(step for step in steps if step.key not in known)


def pending() -> list[Step]:
    """The steps that are left to do, in order."""
    done = set(Migration._get_collection().distinct('_id', {'finishedAt': {'$ne': None}}))
    return [step for step in STEPS if step.key not in done]


def is_done(key: str) -> bool:
    """Whether a database has been through a step."""
    return Migration._get_collection().find_one({'_id': key, 'finishedAt': {'$ne': None}}, {'_id': 1}) is not None


def begin(step: Step, now: datetime) -> None:
    """Record that a step has begun."""
    facts = {'owner': step.owner, 'number': step.number, 'startedAt': now}
    Migration._get_collection().update_one({'_id': step.key}, {'$setOnInsert': facts}, upsert=True)


def finish(step: Step, now: datetime) -> None:
    """Record that a step is done."""
    Migration._get_collection().update_one({'_id': step.key}, {'$set': {'finishedAt': now}})


def check() -> None:
    """Refuse a database that a newer version has migrated.

    :raises DatabaseError: it is one, or half restored from a backup; with what to do.
    """
    records = list(Migration._get_collection().find())
    newer = unknown(records)
    if newer:
        raise DatabaseError(
            gettext(
                'The database belongs to a newer version of Vulyk: it has been through migration '
                '%(migration)s, of which this version knows nothing. Install the newer version, or restore a '
                'backup made before.',
                migration=repr(newer),
            )
        )
    if any(record['_id'] == RESTORING for record in records):
        raise DatabaseError(
            gettext('A restore was cut off, so that a part is missing. Do it again: vulyk db restore --replace FILE')
        )


def unknown(records: Iterable[dict[str, Any]]) -> str:
    """The id of a migration that only a newer version knows; '' if there is none. Features that are off do not count."""
    known: dict[str, int] = {}
    for step in STEPS:
        known[step.owner] = max(step.number, known.get(step.owner, 0))
    return next((one['_id'] for one in records if one['number'] > known.get(one['owner'], one['number'])), '')


def welcome(now: datetime) -> None:
    """Record all steps as done in a database that holds nothing yet; say so in the log if steps are left to do."""
    left = pending()
    if not left:
        return
    database = get_db()
    if any(database[name].find_one({}, {'_id': 1}) for name in _WRITTEN_FIRST):
        log.warning('%d migrations are left to do: "vulyk db migrate" does them.', len(left))
        return
    for step in left:
        begin(step, now)
        finish(step, now)
