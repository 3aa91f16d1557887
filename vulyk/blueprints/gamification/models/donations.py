"""What became of donations that carried a key, so that the same request gets the same answer again."""

from datetime import UTC, datetime

from bson import ObjectId
from flask_mongoengine.documents import Document
from mongoengine import DateTimeField, StringField


class DonationRequest(Document):
    """The first result of a donation; ``_id`` is made of user and key, ``result`` is the name of a ``DonationResult``."""

    id = StringField(primary_key=True)
    result = StringField(required=True)
    at = DateTimeField(required=True, default=lambda: datetime.now(UTC))

    meta = {'collection': 'gamification.donations', 'auto_create_index': False, 'strict': False}

    @staticmethod
    def key_of(user_id: ObjectId, key: str) -> str:
        """The ``_id`` of a request."""
        return f'{user_id}:{key}'
