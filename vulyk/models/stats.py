"""Work sessions: who worked on what, from when to when."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from flask_mongoengine.documents import Document
from mongoengine import CASCADE, DateTimeField, LongField, ReferenceField, StringField

from vulyk import zones
from vulyk.models.tasks import AbstractAnswer, AbstractTask
from vulyk.models.user import User


class WorkSession(Document):
    """A span of time in which one user worked on one task; at most one per user and task.

    ``activity`` is in seconds. Sessions without ``answer`` and ``end_time`` are still open. ``zone`` is the time zone the user
    was in at the end, and ``local_date`` the day it was for him (``2026-11-21``); both are missing where it was not known.
    """

    user = ReferenceField(User, reverse_delete_rule=CASCADE, required=True)
    task = ReferenceField(AbstractTask, reverse_delete_rule=CASCADE, required=True)
    task_type = StringField(max_length=50, required=True, db_field='taskType')
    answer = ReferenceField(AbstractAnswer, reverse_delete_rule=CASCADE)
    start_time = DateTimeField(required=True, default=lambda: datetime.now(UTC))
    end_time = DateTimeField()
    activity = LongField(default=0)
    zone = StringField()
    local_date = StringField(db_field='localDate')

    meta = {
        'collection': 'work_sessions',
        'allow_inheritance': True,
        'auto_create_index': False,
        'index_cls': False,
        'indexes': [
            {'fields': ['user', 'task'], 'unique': True, 'cls': False},
            {'fields': ['task'], 'cls': False},
            # With what rules of the game ask for: they count thousands of sessions without looking at one. The type comes
            # first, of which there are few: behind the time, rules of one project would step over the others one by one.
            {'fields': ['user', 'task_type', 'end_time', 'answer'], 'cls': False},
        ],
    }

    def __str__(self) -> str:
        return f'{self.task_type}: {self.id}'

    @classmethod
    def number_today(cls, user: User, task_type: str | None, now: datetime) -> int:
        """How many answers of a type (None: of all) a user has given since midnight in his own time zone."""
        midnight = now.astimezone(zones.load(user.time_zone)).replace(hour=0, minute=0, second=0, microsecond=0)
        where: dict[str, Any] = {'user': user.id, 'end_time': {'$gte': midnight.astimezone(UTC)}}
        if task_type is not None:
            where['taskType'] = task_type
        return cls._get_collection().count_documents(where)

    @classmethod
    def get_total_user_time_precise(cls, user_id: ObjectId) -> int:
        """Seconds of recorded activity of a user, over all projects; open sessions count what they have so far."""
        return _first_total(
            cls.objects(user=user_id).aggregate([{'$group': {'_id': None, 'total': {'$sum': '$activity'}}}])
        )

    @classmethod
    def get_total_user_time_approximate(cls, user_id: ObjectId) -> int:
        """Seconds between start and end of the finished sessions of a user, over all projects."""
        lengths = {'$subtract': ['$end_time', '$start_time']}
        pipeline = [{'$match': {'end_time': {'$ne': None}}}, {'$group': {'_id': None, 'total': {'$sum': lengths}}}]
        return _first_total(cls.objects(user=user_id).aggregate(pipeline)) // 1000


def _first_total(rows: Iterable[dict[str, Any]]) -> int:
    return next((int(row['total']) for row in rows), 0)
