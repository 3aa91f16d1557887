"""Links that prove something: that an address is somebody's, that an admin wished it."""

import secrets
from datetime import datetime, timedelta
from typing import Any, Self

from bson import ObjectId
from flask import current_app
from flask_mongoengine.documents import Document
from itsdangerous import BadSignature, URLSafeTimedSerializer
from mongoengine import DateTimeField, DictField, ObjectIdField, StringField

REGISTER, EMAIL, RESET, INVITE, SERVICE = 'register', 'email', 'reset', 'invite', 'service'
LIFETIMES = {
    REGISTER: timedelta(days=2),
    EMAIL: timedelta(days=2),
    RESET: timedelta(hours=2),
    INVITE: timedelta(days=14),
    SERVICE: timedelta(hours=1),
}


class Link(Document):
    """What a link is for; there is one document for each until it has been used or is over.

    The link itself is signed and not stored: this document alone opens nothing. ``facts`` of a registration are the account
    to be: name, hash of the password, consent, or the account at a service it is for. ``user`` is empty where there is no
    account yet.
    """

    id = StringField(primary_key=True)
    purpose = StringField(required=True, choices=tuple(LIFETIMES))
    user = ObjectIdField()
    email = StringField()
    facts = DictField()
    expires_at = DateTimeField(required=True, db_field='expiresAt')

    meta = {
        'collection': 'account_links',
        'auto_create_index': False,
        'indexes': ['user', 'email', {'fields': ['expires_at'], 'expireAfterSeconds': 0}],
    }

    @classmethod
    def make(
        cls, purpose: str, now: datetime, *, user: ObjectId | None = None, email: str | None = None, **facts: Any
    ) -> Self:
        """A new one, stored."""
        expires_at = now + LIFETIMES[purpose]
        link = cls(
            id=secrets.token_urlsafe(24), purpose=purpose, user=user, email=email, facts=facts, expires_at=expires_at
        )
        return link.save(force_insert=True)

    @property
    def text(self) -> str:
        """What stands in the address: signed, so that nobody can make one."""
        return _signer(self.purpose).dumps(self.id)

    @classmethod
    def read(cls, text: str, purpose: str, now: datetime) -> Self | None:
        """The link behind a text; None if it is forged, over, used, or for something else."""
        try:
            link_id = _signer(purpose).loads(text, max_age=LIFETIMES[purpose].total_seconds())
        except BadSignature:  # of which an expired one is a kind
            return None
        return cls.objects(pk=link_id, purpose=purpose, expires_at__gt=now).first()

    def use(self) -> bool:
        """Make sure that nobody uses it again; False if somebody has."""
        return bool(Link.objects(pk=self.id).delete())


def _signer(purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.secret_key, salt=f'vulyk.accounts.{purpose}')
