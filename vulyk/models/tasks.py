"""Tasks, answers and batches."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from bson import ObjectId
from flask_mongoengine.documents import Document
from mongoengine import (
    CASCADE,
    BooleanField,
    DateTimeField,
    DictField,
    FloatField,
    IntField,
    ListField,
    ReferenceField,
    StringField,
)

from vulyk.models.fields import VerbatimField
from vulyk.models.user import User


class BatchUpdateResult(NamedTuple):
    """What counting a finished task in its batch did."""

    success: bool
    closed: bool


class Batch(Document):
    """A number of tasks that were loaded together and are finished together.

    ``tasks_processed`` counts closed tasks; the batch is closed when it reaches ``tasks_count``.
    """

    id = StringField(max_length=50, primary_key=True)
    task_type = StringField(max_length=50, required=True, db_field='taskType')
    tasks_count = IntField(default=0, required=True, db_field='tasksCount')
    tasks_processed = IntField(default=0, db_field='tasksProcessed')
    closed = BooleanField(default=False, required=True)
    batch_meta = DictField(db_field='batchMeta')
    priority = IntField(default=0)
    created_at = DateTimeField(default=lambda: datetime.now(UTC), db_field='createdAt')

    meta = {
        'collection': 'batches',
        'allow_inheritance': True,
        'auto_create_index': False,
        'index_cls': False,
        'indexes': [{'fields': ['task_type', 'closed'], 'cls': False}],
    }

    def __str__(self) -> str:
        return str(self.id)

    @classmethod
    def task_done_in(cls, batch_id: str) -> BatchUpdateResult:
        """Count one more finished task, and close the batch with its last one.

        :returns: ``success``: there is such a batch; ``closed``: this call closed it.
        """
        batch = cls.objects(pk=batch_id).modify(inc__tasks_processed=1, new=True)
        if batch is None:
            return BatchUpdateResult(success=False, closed=False)
        complete = batch.tasks_processed >= batch.tasks_count
        closed = complete and cls.objects(pk=batch_id, closed__ne=True).update_one(set__closed=True) == 1
        return BatchUpdateResult(success=True, closed=closed)


class AbstractTask(Document):
    """One thing to do. Subclass it in a plugin; ``task_data`` comes back exactly as it was loaded.

    ``users_count`` is the number of answers that count; ``users_processed`` everybody who answered; ``order`` a random
    number in [0, 1) that fixes in which order the tasks of a batch are handed out; ``media`` maps the paths named in
    ``task_data`` to files in media storage (SHA-256, hexadecimal).
    """

    id = StringField(max_length=200, primary_key=True)
    task_type = StringField(max_length=50, required=True, db_field='taskType')
    batch = ReferenceField(Batch, reverse_delete_rule=CASCADE)
    users_count = IntField(default=0, db_field='usersCount')
    users_processed = ListField(ReferenceField(User), db_field='usersProcessed')
    users_skipped = ListField(ReferenceField(User), db_field='usersSkipped')
    closed = BooleanField(default=False)
    task_data = VerbatimField(required=True)
    order = FloatField(default=0.0, db_field='ord')
    media = DictField(StringField())

    meta = {
        'collection': 'tasks',
        'allow_inheritance': True,
        'auto_create_index': False,
        'index_cls': False,
        'indexes': [
            {'fields': ['task_type', 'closed', 'batch', 'order'], 'cls': False},
            {'fields': ['batch', 'closed'], 'cls': False},
        ],
    }

    def __str__(self) -> str:
        return str(self.id)

    @classmethod
    def ids_in_batch(cls, batch: Batch) -> list[str]:
        """The ids of all tasks of a batch, as the database returns them."""
        return cls.objects(batch=batch).scalar('id')[:]

    def as_dict(self) -> dict[str, Any]:
        """``{'id', 'closed', 'data'}``: what volunteers, plugins and export files see of a task."""
        return {'id': self.id, 'closed': self.closed, 'data': self.task_data}


class AbstractAnswer(Document):
    """What one user said about one task; at most one per user and task. Subclass it in a plugin.

    ``extra`` marks an answer that came when the task had enough already: stored and exported, but not counted.
    """

    task = ReferenceField(AbstractTask, reverse_delete_rule=CASCADE, required=True)
    created_by = ReferenceField(User, reverse_delete_rule=CASCADE, required=True, db_field='createdBy')
    created_at = DateTimeField(default=lambda: datetime.now(UTC), db_field='createdAt')
    task_type = StringField(max_length=50, required=True, db_field='taskType')
    result = VerbatimField()
    extra = BooleanField()

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
