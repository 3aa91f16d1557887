"""How far each person is in each task type, and the totals of everybody."""

from bisect import bisect_right
from typing import Any

from bson import ObjectId
from flask_mongoengine.documents import Document
from mongoengine import DateTimeField, DictField, ListField, LongField, ObjectIdField, StringField

from vulyk.models.recent import Recent
from vulyk.models.user import User

STANDING_SECONDS = 10


class Progress(Document):
    """One user in one task type.

    ``total`` is the number of answers. ``lease`` is the task in hand, ``ahead`` tasks fetched in advance. ``positions``
    tells for each load up to which ``order`` its fresh tasks have been seen (None: all of them), ``returned_until`` up to
    when returned tasks have been seen, ``returned_last`` when the newest had returned at the last look, ``passed`` the
    paused loads some of them belong to, ``skipped_until`` the last skipped task that was offered again,
    ``at`` when the last answer came.
    """

    id = StringField(primary_key=True)
    task_type = StringField(required=True, db_field='taskType')
    user = ObjectIdField(required=True)
    total = LongField(default=0)
    lease = StringField()
    ahead = ListField(StringField())
    positions = DictField()
    returned_until = DateTimeField(db_field='returnedUntil')
    returned_last = DateTimeField(db_field='returnedLast')
    passed = ListField(ObjectIdField())
    skipped_until = StringField(db_field='skippedUntil')
    at = DateTimeField()

    meta = {
        'collection': 'progress',
        'auto_create_index': False,
        'strict': False,
        'indexes': [('task_type', '-total', 'user'), 'user'],
    }

    @staticmethod
    def key(task_type: str, user_id: ObjectId) -> str:
        """The ``_id`` of the document of this user and type."""
        return f'{task_type}:{user_id}'

    @classmethod
    def along(cls, task_type: str, user_id: ObjectId) -> tuple[str, str, str]:
        """What :meth:`User.take_along` finds it by."""
        return cls._get_collection_name(), '_id', cls.key(task_type, user_id)

    @classmethod
    def raw(cls, task_type: str, user_id: ObjectId) -> dict[str, Any]:
        """The stored document; an empty one if there is none yet."""
        return cls._get_collection().find_one({'_id': cls.key(task_type, user_id)}) or {}

    @classmethod
    def count_answer(cls, task_type: str, user_id: ObjectId, task_id: str, number: int = 1) -> None:
        """Add to the number of answers and let go of the task."""
        key = cls.key(task_type, user_id)
        cls._get_collection().update_one(
            {'_id': key},
            [
                {
                    '$set': {
                        'taskType': task_type,
                        'user': user_id,
                        'total': {'$add': [{'$ifNull': ['$total', 0]}, number]},
                        **({'at': '$$NOW'} if number > 0 else {}),
                        'lease': {'$cond': [{'$eq': ['$lease', task_id]}, None, '$lease']},
                        'ahead': {
                            '$filter': {'input': {'$ifNull': ['$ahead', []]}, 'cond': {'$ne': ['$$this', task_id]}}
                        },
                    }
                }
            ],
            upsert=True,
        )

    @classmethod
    def let_go(cls, task_type: str, user_id: ObjectId, task_id: str) -> None:
        """The user no longer has this task in hand."""
        cls.count_answer(task_type, user_id, task_id, 0)


def position(task_type: str, total: int) -> int:
    """Dense rank of somebody with ``total`` answers; 0 while nobody has answered. Without answers: the last place.

    His own total is taken as given; those of others may be ``STANDING_SECONDS`` old.
    """
    totals = distinct_totals.get(task_type)
    distinct = len(totals) + (total > 0 and total not in totals)
    higher = len(totals) - bisect_right(totals, total)
    return min(higher + 1, distinct)


def _read_distinct_totals(task_type: str) -> list[int]:
    """A distinct scan of an index: its cost grows with the number of distinct totals, not of people or answers.

    Once somebody is hidden, it is a scan of that index, so that nobody can tell from his place that there is one more.
    """
    hidden = User.hidden_ids()
    where = {'taskType': task_type, **({'user': {'$nin': hidden}} if hidden else {})}
    totals = Progress._get_collection().distinct('total', where)
    return sorted(total for total in totals if total and total > 0)


distinct_totals = Recent(_read_distinct_totals, seconds=STANDING_SECONDS)
