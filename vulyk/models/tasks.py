"""Tasks, answers and batches."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from bson import ObjectId
from flask_mongoengine.documents import Document
from mongoengine import (
    CASCADE,
    BooleanField,
    DateTimeField,
    DictField,
    IntField,
    ListField,
    LongField,
    ObjectIdField,
    ReferenceField,
    StringField,
)

from vulyk.models import facts
from vulyk.models.fields import VerbatimField
from vulyk.models.recent import Recent
from vulyk.models.user import User

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MANY_LEFT = 200  # open tasks of a batch whose closed ones need not be counted at once


class BatchUpdateResult(NamedTuple):
    """What counting a finished task in its batch did."""

    success: bool
    closed: bool


class Batch(Document):
    """A number of tasks that were loaded together and are finished together.

    ``tasks_processed`` counts closed tasks; the batch is closed when it reaches ``tasks_count``. ``redundancy`` is the
    number of answers its tasks need, as it was when they were loaded. A ``paused`` batch hands out no tasks.
    ``title``, ``description`` and ``help`` (texts, or ``{language: text}``), ``licence``, ``source``, ``attribution`` and
    ``lang``, the language of its content, are what people are told about it; see :mod:`vulyk.models.facts`.
    ``signal_due`` is set from the moment it closes until every receiver of ``on_batch_done`` has been told.
    """

    id = StringField(max_length=50, primary_key=True)
    task_type = StringField(max_length=50, required=True, db_field='taskType')
    tasks_count = IntField(default=0, required=True, db_field='tasksCount')
    tasks_processed = IntField(default=0, db_field='tasksProcessed')
    closed = BooleanField(default=False, required=True)
    batch_meta = DictField(db_field='batchMeta')
    title = facts.TextsField()
    description = facts.TextsField()
    help = facts.TextsField()
    licence = StringField(max_length=facts.LINES['licence'])
    source = StringField(max_length=facts.LINES['source'])
    attribution = StringField(max_length=facts.LINES['attribution'])
    lang = StringField(max_length=facts.LINES['lang'])
    priority = IntField(default=0)
    redundancy = IntField()
    paused = BooleanField(default=False)
    signal_due = DateTimeField(db_field='signalDue')
    signal_tries = IntField(db_field='signalTries')
    created_at = DateTimeField(default=lambda: datetime.now(UTC), db_field='createdAt')

    meta = {
        'collection': 'batches',
        'allow_inheritance': True,
        'auto_create_index': False,
        'index_cls': False,
        'indexes': [
            {'fields': ['task_type', 'closed'], 'cls': False},
            {'fields': ['signal_due'], 'cls': False, 'partialFilterExpression': {'signalDue': {'$gt': EPOCH}}},
        ],
    }

    def __str__(self) -> str:
        return str(self.id)

    @property
    def facts(self) -> dict[str, Any]:
        """Those facts that people see, without the empty ones."""
        return {name: value for name in facts.FACTS if (value := getattr(self, name))}

    @classmethod
    def task_done_in(cls, batch_id: str) -> BatchUpdateResult:
        """Count one more finished task, and close the batch with its last one.

        :returns: ``success``: there is such a batch; ``closed``: this call closed it.
        """
        return cls.count_closed(batch_id, 1)

    @classmethod
    def count_closed(cls, batch_id: str, number: int, *, signal_due: datetime | None = None) -> BatchUpdateResult:
        """Add to the number of finished tasks (negative when tasks have been reopened), and close or reopen the batch.

        :param signal_due: when to tell the receivers of ``on_batch_done`` at the latest, if this closes the batch.
        :returns: ``success``: there is such a batch; ``closed``: this call closed it.
        """
        complete = {'$gte': ['$tasksProcessed', '$tasksCount']}
        newly = {'$and': [complete, {'$ne': ['$closed', True]}]}
        before = cls._get_collection().find_one_and_update(
            {'_id': batch_id},
            [
                {'$set': {'tasksProcessed': {'$add': [{'$ifNull': ['$tasksProcessed', 0]}, number]}}},
                {'$set': {'closed': complete, 'signalDue': {'$cond': [newly, signal_due, '$signalDue']}}},
            ],
        )
        if before is None:
            return BatchUpdateResult(success=False, closed=False)
        if number < 0:
            Load.open_again(batch_id)
        left = before['tasksCount'] - before.get('tasksProcessed', 0) - number
        far_from_done.put(batch_id, left > MANY_LEFT)
        return BatchUpdateResult(success=True, closed=left <= 0 and before.get('closed') is not True)


# Batches whose closed tasks this process has just counted, and whether more than MANY_LEFT were left.
far_from_done: Recent[bool] = Recent(None, seconds=1)


def _read_facts(batch_id: str) -> dict[str, Any]:
    found = Batch._get_collection().find_one({'_id': batch_id}, dict.fromkeys(facts.FACTS, 1))
    return {name: value for name, value in (found or {}).items() if name != '_id' and value}


def _read_has_facts(task_type: str) -> bool:
    open_ones = {'taskType': task_type, 'closed': {'$ne': True}}
    told = [{name: {'$exists': True}} for name in facts.FACTS]
    return Batch._get_collection().find_one({**open_ones, '$or': told}, {'_id': 1}) is not None


batch_facts = Recent(_read_facts, seconds=1)
has_facts = Recent(_read_has_facts, seconds=1)


def facts_of(task_type: str, batch_id: str | None) -> dict[str, Any]:
    """``Batch.facts`` of an open batch, as they were within the last second; {} if there are none."""
    return batch_facts.get(batch_id) if batch_id and has_facts.get(task_type) else {}


class AbstractTask(Document):
    """One thing to do. Subclass it in a plugin; ``task_data`` comes back exactly as it was loaded.

    ``users_count`` is the number of answers that count, ``need`` the number that closes the task, ``users_processed``
    everybody who answered. ``leases`` (``{user, until}``) are the places taken by people who have the task in hand.
    ``load`` and ``order`` say when it is handed out, ``lane`` where: ``fresh`` until it was full for the first time,
    ``returned`` (since ``returned``) when a place has become free again, None while it is full or closed. ``expiry`` is
    when the first lease ends. :mod:`vulyk.ext.leases` keeps them consistent. ``media`` maps the paths named in
    ``task_data`` to files in media storage (SHA-256, hexadecimal). A ``hidden`` task is closed, whatever answers it has.
    """

    id = StringField(max_length=200, primary_key=True)
    task_type = StringField(max_length=50, required=True, db_field='taskType')
    batch = ReferenceField(Batch, reverse_delete_rule=CASCADE)
    users_count = IntField(default=0, db_field='usersCount')
    users_processed = ListField(ReferenceField(User), db_field='usersProcessed')
    users_skipped = ListField(ReferenceField(User), db_field='usersSkipped')
    closed = BooleanField(default=False)
    task_data = VerbatimField(required=True)
    media = DictField(StringField())
    load = ObjectIdField()
    order = LongField(db_field='ord')
    need = IntField()
    leases = ListField(DictField())
    lane = StringField()
    returned = DateTimeField()
    expiry = DateTimeField()
    closed_early = BooleanField(db_field='closedEarly')
    hidden = BooleanField()

    meta = {
        'collection': 'tasks',
        'allow_inheritance': True,
        'auto_create_index': False,
        'index_cls': False,
        'indexes': [
            # With the id, for exports: they read a batch, or a type, in the order of the ids.
            {'fields': ['task_type', 'closed', 'id'], 'cls': False},
            {'fields': ['batch', 'closed', 'id'], 'cls': False},
            {'fields': ['load', 'closed'], 'cls': False},
            {'fields': ['users_count', 'id'], 'cls': False},
            # The four ways to the next task; they shrink as tasks fill up and close.
            {'fields': ['load', 'order'], 'cls': False, 'partialFilterExpression': {'lane': 'fresh'}},
            {'fields': ['task_type', 'returned'], 'cls': False, 'partialFilterExpression': {'lane': 'returned'}},
            {
                'fields': ['users_skipped', 'task_type', 'id'],
                'cls': False,
                'partialFilterExpression': {'lane': {'$gt': ''}},
            },
            {'fields': ['expiry'], 'cls': False, 'partialFilterExpression': {'expiry': {'$gt': EPOCH}}},
            {'fields': ['leases.user'], 'cls': False, 'partialFilterExpression': {'expiry': {'$gt': EPOCH}}},
        ],
    }

    def __str__(self) -> str:
        return str(self.id)

    def clean(self) -> None:
        """Give a task that a plugin or a script saves by itself a place in the order of tasks."""
        if self.load is None:
            batch = self._data.get('batch')
            batch = Batch.objects(pk=getattr(batch, 'id', batch)).first() if batch is not None else None
            self.load = loose_load(self.task_type, batch.id if batch is not None else None)
            self.order = secrets.randbits(62)
            self.lane = None if self.closed else 'fresh'

    @classmethod
    def ids_in_batch(cls, batch: Batch) -> list[str]:
        """The ids of all tasks of a batch, as the database returns them."""
        return list(cls.objects(batch=batch).scalar('id'))

    def as_dict(self) -> dict[str, Any]:
        """``{'id', 'closed', 'data'}``: what volunteers, plugins and export files see of a task."""
        return {'id': self.id, 'closed': self.closed, 'data': self.task_data}


def public_facts(stored: dict[str, Any]) -> dict[str, Any]:
    """What ``AbstractTask.as_dict`` says of a task, without making a document of it."""
    return {
        'id': stored['_id'],
        'closed': stored.get('closed', False),
        'data': AbstractTask.task_data.to_python(stored['task_data']),
    }


@dataclass
class Circumstances:
    """What is known of an answer while it is stored.

    :param total: how many answers its author has then, None without an account.
    :param ended: when the work session ended, and after how many ``seconds`` of work; None where a plugin keeps its own.
    """

    total: int | None
    ended: datetime | None = None
    seconds: int = 0


class AbstractAnswer(Document):
    """What one user said about one task; at most one per user and task. Subclass it in a plugin.

    ``extra`` marks an answer that came when the task had enough already: stored and exported, but not counted. ``too_fast``
    marks one that came sooner after its task than ``MIN_TASK_SECONDS``; it counts like any other.
    ``signal_due`` is set until every receiver of ``on_task_done`` has been told. ``circumstances`` are not stored: receivers
    who are told at once need not ask for them.
    """

    circumstances: Circumstances | None = None

    task = ReferenceField(AbstractTask, reverse_delete_rule=CASCADE, required=True)
    created_by = ReferenceField(User, reverse_delete_rule=CASCADE, required=True, db_field='createdBy')
    created_at = DateTimeField(default=lambda: datetime.now(UTC), db_field='createdAt')
    task_type = StringField(max_length=50, required=True, db_field='taskType')
    result = VerbatimField()
    extra = BooleanField()
    too_fast = BooleanField(db_field='tooFast')
    signal_due = DateTimeField(db_field='signalDue')
    signal_tries = IntField(db_field='signalTries')

    meta = {
        'collection': 'reports',
        'allow_inheritance': True,
        'auto_create_index': False,
        'index_cls': False,
        'indexes': [
            {'fields': ['created_by', 'task'], 'unique': True, 'cls': False},
            {'fields': ['task'], 'cls': False},
            {'fields': ['task_type', 'created_by'], 'cls': False},
            {'fields': ['created_at'], 'cls': False},
            {'fields': ['signal_due'], 'cls': False, 'partialFilterExpression': {'signalDue': {'$gt': EPOCH}}},
        ],
    }

    def __str__(self) -> str:
        return str(self.id)

    @property
    def corrections(self) -> int:
        """How many actions of the user are in this answer; 1 unless a plugin counts them."""
        return 1

    @classmethod
    def answers_numbers_by_tasks(cls, task_ids: Sequence[str]) -> dict[ObjectId, int]:
        """Number of answers to these tasks, by user id."""
        rows = cls.objects(task__in=list(task_ids)).aggregate([{'$group': {'_id': '$createdBy', 'count': {'$sum': 1}}}])
        return {row['_id']: row['count'] for row in rows}

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """``{'task', 'answer', 'user'}``: one entry of an export line."""
        return {'task': self.task.as_dict(), 'answer': self.result, 'user': self.created_by.as_dict()}


class WithdrawnAnswer(Document):
    """An answer that was taken back, as it was stored, with who did it, when and why."""

    answer = DictField(required=True)
    withdrawn_by = ReferenceField(User, db_field='withdrawnBy')
    withdrawn_at = DateTimeField(required=True, db_field='withdrawnAt')
    reason = StringField(max_length=1000, default='')
    signal_due = DateTimeField(db_field='signalDue')
    signal_tries = IntField(db_field='signalTries')

    meta = {
        'collection': 'withdrawn_reports',
        'auto_create_index': False,
        'indexes': [
            'answer.createdBy',
            'answer.task',
            {'fields': ['signal_due'], 'partialFilterExpression': {'signalDue': {'$gt': EPOCH}}},
        ],
    }


def loose_load(task_type: str, batch: str | None) -> ObjectId:
    """The load of tasks that did not come as a load; it is the same for all such tasks of a type and batch."""
    digest = hashlib.sha256(f'{task_type}\n{batch}'.encode()).digest()
    return ObjectId(digest[:12])


class Load(Document):
    """Tasks that came into the platform together; ``order`` of its tasks is unique inside it.

    Its tasks are handed out while their batch is open, or if there is no such batch. ``finished`` is noted when the batch
    has closed, and taken away when it opens again.
    While ``loading`` its tasks are not to be seen; ``heartbeat`` shows that the process that loads them is alive,
    ``holder`` which one it is (host and process id).
    """

    task_type = StringField(required=True, db_field='taskType')
    batch = StringField()
    created_at = DateTimeField(default=lambda: datetime.now(UTC), db_field='createdAt')
    finished = BooleanField()
    loading = BooleanField()
    heartbeat = DateTimeField()
    holder = StringField()

    meta = {
        'collection': 'loads',
        'auto_create_index': False,
        'indexes': [
            ('task_type', 'finished'),
            'batch',
            # One load per type at a time.
            {'fields': ['task_type'], 'unique': True, 'partialFilterExpression': {'loading': True}},
        ],
    }

    @classmethod
    def open_again(cls, batch_id: str) -> None:
        """The batch has open tasks again."""
        cls._get_collection().update_many({'batch': batch_id}, {'$unset': {'finished': ''}})


class Closing(Document):
    """A closed task that is not yet counted in its batch.

    Counting it in the transaction of the answer would make every volunteer of a batch wait for the same document.
    """

    id = StringField(primary_key=True)
    batch = StringField(required=True)

    meta = {'collection': 'closings', 'auto_create_index': False, 'indexes': ['batch']}
