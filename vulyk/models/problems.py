"""What volunteers say is wrong with tasks, and what they are answered."""

from datetime import datetime
from typing import Any

from bson import ObjectId
from flask_mongoengine.documents import Document
from mongoengine import CASCADE, BooleanField, DateTimeField, ReferenceField, StringField

from vulyk.models.tasks import AbstractTask
from vulyk.models.user import User

MAX_TEXT = 1000  # characters


class Problem(Document):
    """What one user says is wrong with one task; said again, it replaces what was said before.

    ``reply`` is what an admin has answered; ``unread`` until the user has seen it.
    """

    task = ReferenceField(AbstractTask, reverse_delete_rule=CASCADE, required=True)
    task_type = StringField(required=True, db_field='taskType')
    user = ReferenceField(User, reverse_delete_rule=CASCADE, required=True)
    text = StringField(required=True, max_length=MAX_TEXT)
    created_at = DateTimeField(required=True, db_field='createdAt')
    reply = StringField(default='', max_length=MAX_TEXT)
    replied_at = DateTimeField(db_field='repliedAt')
    unread = BooleanField()

    meta = {
        'collection': 'problems',
        'auto_create_index': False,
        'index_cls': False,
        'indexes': [
            {'fields': ['user', 'task'], 'unique': True},
            ('user', '-created_at'),
            ('task_type', '-created_at'),
            '-created_at',
            'task',
            {'fields': ['user'], 'name': 'unread_of_user', 'partialFilterExpression': {'unread': True}},
        ],
    }

    def __str__(self) -> str:
        return str(self.text)

    @classmethod
    def tell(cls, user: User, task_type: str, task_id: str, text: str, now: datetime) -> None:
        """Store what a user says is wrong with a task; a reply to what was said before goes."""
        facts: dict[str, Any] = {'text': text, 'taskType': task_type, 'createdAt': now, 'reply': ''}
        cls._get_collection().update_one(
            {'user': user.id, 'task': task_id},
            {'$set': facts, '$unset': {'unread': '', 'repliedAt': ''}},
            upsert=True,
        )

    @classmethod
    def answer(cls, problem_id: ObjectId, reply: str, now: datetime) -> bool:
        """Store a reply, which the user has not read yet, or take it away ('').

        :returns: False if the problem is not there any more.
        """
        facts = {'set__reply': reply, 'set__replied_at': now, 'set__unread': bool(reply)}
        return bool(cls.objects(pk=problem_id).update_one(**facts))

    @classmethod
    def of(cls, user: User, limit: int = 100) -> list['Problem']:
        """What a user has told, newest first."""
        return list(cls.objects(user=user.id).no_dereference().order_by('-created_at')[:limit])

    @classmethod
    def unread_by(cls, user: User) -> int:
        """How many replies a user has not seen."""
        return cls._get_collection().count_documents({'user': user.id, 'unread': True})

    @classmethod
    def mark_read(cls, user: User) -> None:
        """The user has seen all replies."""
        cls._get_collection().update_many({'user': user.id, 'unread': True}, {'$unset': {'unread': ''}})
