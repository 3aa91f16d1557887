"""Who signs in through which service: the storage that social-auth-core asks for, on mongoengine."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from flask_mongoengine.documents import Document
from mongoengine import CASCADE, BooleanField, DateTimeField, DictField, IntField, ReferenceField, StringField
from mongoengine.errors import NotUniqueError
from pymongo.errors import DuplicateKeyError
from social_core.exceptions import AuthPolicyError
from social_core.storage import AssociationMixin, BaseStorage, CodeMixin, NonceMixin, PartialMixin, UserMixin

from vulyk.models.user import User

# Of what a service tells us when somebody signs in, these are keys to his account there; nobody here needs them.
TOKENS = {'access_token', 'refresh_token', 'id_token', 'token_type', 'expires', 'expires_in', 'expires_on'}
# Accounts that were linked to a service under its former name, with the same ids.
FORMER_NAMES = {'twitter-oauth2': ('twitter-oauth2', 'twitter')}


def now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


class SocialAccount(Document, UserMixin):
    """An account at a service, and the user it belongs to here. ``uid`` is the id the service gave it."""

    user = ReferenceField(User, required=True, reverse_delete_rule=CASCADE)
    provider = StringField(max_length=32, required=True)
    uid = StringField(max_length=255, required=True)
    id_key = StringField(max_length=64, default='')
    extra_data = DictField()
    created = DateTimeField(default=now)

    meta = {
        'collection': 'user_social_auth',
        'auto_create_index': False,
        'strict': False,
        'indexes': [{'fields': ['provider', 'id_key', 'uid'], 'unique': True}, 'user'],
    }

    @classmethod
    def of(cls, user: User) -> list[Self]:
        """The accounts of a user, the oldest link first."""
        return list(cls.objects(user=user.pk).no_dereference().order_by('id'))

    # --- what social-auth-core calls ------------------------------------------------------------------------------------

    @classmethod
    def user_model(cls) -> type[User]:
        return User

    @classmethod
    def get_username(cls, user: User) -> str:
        return user.username

    @classmethod
    def create_user(cls, **fields: Any) -> User:
        return User(**{name: value for name, value in fields.items() if value}).save(force_insert=True)

    @classmethod
    def get_user(cls, pk: Any) -> User | None:
        return User.objects(pk=pk).first()

    @classmethod
    def get_social_auth(cls, provider: str, uid: str, id_key: str | None = None) -> Self | None:
        """The link of an account at a service; links made by versions that knew no ``id_key`` have none or ''."""
        query: dict[str, Any] = {'provider__in': FORMER_NAMES.get(provider, (provider,)), 'uid': str(uid)}
        if id_key is not None:
            query['id_key__in'] = [id_key, None] if id_key == '' else [id_key]
        return cls.objects(**query).first()

    @classmethod
    def get_social_auth_by_extra_data(cls, provider: str, key: str, value: str, id_key: str = '') -> Self | None:
        found = cls.objects(__raw__={'provider': provider, 'id_key': id_key, f'extra_data.{key}': value}).limit(2)
        return found[0] if len(found) == 1 else None

    @classmethod
    def get_social_auth_for_user(cls, user: User, provider: str | None = None, id: Any = None) -> Any:
        query = {'user': user.pk}
        if provider:
            query['provider__in'] = FORMER_NAMES.get(provider, (provider,))
        if id:
            query['id'] = id
        return cls.objects(**query)

    @classmethod
    def create_social_auth(cls, user: User, uid: str, provider: str, id_key: str = '') -> Self:
        return cls(user=user, uid=str(uid), provider=provider, id_key=id_key or '').save(force_insert=True)

    @classmethod
    def migrate_social_auth(cls, social: Self, uid: str, id_key: str, *, evidence_key: str | None = None) -> Self:
        """Give a link another id of the same account, if nobody has changed it meanwhile."""
        unchanged = {'_id': social.pk, 'uid': social.uid}
        if evidence_key:
            unchanged[f'extra_data.{evidence_key}'] = social.extra_data.get(evidence_key)
        if not cls.objects(__raw__=unchanged).update_one(set__uid=str(uid), set__id_key=id_key):
            raise ValueError('The link has been changed meanwhile.')
        return cls.objects.get(pk=social.pk)

    @classmethod
    def disconnect(cls, entry: Self) -> None:
        """Delete a link; put back if another one has been deleted at the same moment, and no way in is left."""
        entry.delete()
        if not has_way_in(entry.user):
            entry.save(force_insert=True)
            raise AuthPolicyError(code='disconnect_disallowed', stage='disconnect')

    def set_extra_data(self, extra_data: dict[str, Any] | None = None) -> bool:
        """Keep what the service said of the account, without the keys to it."""
        changed = super().set_extra_data({k: v for k, v in (extra_data or {}).items() if k not in TOKENS})
        if changed:
            self.save()
        return changed


def has_way_in(user: User, *, without: Sequence[Any] = (), services: Sequence[str] | None = None) -> bool:
    """Whether a user can sign in: by a password, or through a service.

    :param without: ids of links that do not count.
    :param services: names of the services that can be used now; None: any.
    """
    if user.password and user.email:
        return True
    links = SocialAccount.objects(user=user.pk, pk__nin=without)
    if services is not None:
        links = links.filter(provider__in=[old for name in services for old in FORMER_NAMES.get(name, (name,))])
    return links.first() is not None


class SocialNonce(Document, NonceMixin):
    """Says that an attempt to sign in has been begun; whoever comes back uses it up."""

    server_url = StringField(max_length=255)
    timestamp = IntField()
    salt = StringField(max_length=128)
    expires = DateTimeField(default=lambda: now() + timedelta(hours=1))

    meta = {
        'collection': 'social_nonces',
        'auto_create_index': False,
        'indexes': [
            {'fields': ['server_url', 'timestamp', 'salt'], 'unique': True},
            {'fields': ['expires'], 'expireAfterSeconds': 0},
        ],
    }

    @classmethod
    def use(cls, server_url: str, timestamp: int, salt: str) -> bool:
        try:
            cls(server_url=server_url, timestamp=timestamp, salt=salt).save(force_insert=True)
        except NotUniqueError:
            return False
        return True

    @classmethod
    def get(cls, server_url: str, salt: str) -> Self | None:
        return cls.objects(server_url=server_url, salt=salt).first()

    @classmethod
    def delete(cls, nonce: Self) -> None:  # type: ignore[override]
        cls.objects(pk=nonce.pk).delete()

    @classmethod
    def consume(cls, server_url: str, timestamp: int, salt: str) -> bool:
        return bool(cls.objects(server_url=server_url, timestamp=timestamp, salt=salt).delete())


class SocialAssociation(Document, AssociationMixin):
    """What was agreed with an OpenID service for one attempt to sign in."""

    server_url = StringField(max_length=255)
    handle = StringField(max_length=255)
    secret = StringField(max_length=255)
    issued = IntField()
    lifetime = IntField()
    assoc_type = StringField(max_length=128)
    expires = DateTimeField()

    meta = {
        'collection': 'social_associations',
        'auto_create_index': False,
        'indexes': [
            {'fields': ['server_url', 'handle'], 'unique': True},
            {'fields': ['expires'], 'expireAfterSeconds': 0},
        ],
    }

    @classmethod
    def store(cls, server_url: str, association: Any) -> None:
        secret = association.secret
        cls.objects(server_url=server_url, handle=association.handle).update_one(
            upsert=True,
            set__secret=base64.encodebytes(secret.encode() if isinstance(secret, str) else secret).decode(),
            set__issued=association.issued,
            set__lifetime=association.lifetime,
            set__assoc_type=association.assoc_type,
            set__expires=now() + timedelta(seconds=association.lifetime or 1800),
        )

    @classmethod
    def get(cls, server_url: str | None = None, handle: str | None = None) -> Any:
        query = {'server_url': server_url, 'handle': handle}
        return cls.objects(**{name: value for name, value in query.items() if value is not None})

    @classmethod
    def remove(cls, ids_to_delete: list[Any]) -> None:
        cls.objects(pk__in=ids_to_delete).delete()


class SocialCode(Document, CodeMixin):
    """A code sent by e-mail; the platform's own sign-in uses none, an operator's pipeline may."""

    email = StringField(max_length=200)
    code = StringField(max_length=32)
    verified = BooleanField(default=False)
    timestamp = DateTimeField()

    meta = {
        'collection': 'social_codes',
        'auto_create_index': False,
        'indexes': ['code', {'fields': ['timestamp'], 'expireAfterSeconds': 7 * 86400}],
    }

    @classmethod
    def get_code(cls, code: str) -> Self | None:
        return cls.objects(code=code).first()


class SocialPartial(Document, PartialMixin):
    """A sign-in that waits for something; the platform's own never does, an operator's pipeline may."""

    token = StringField(max_length=32)
    data = DictField()
    next_step = IntField()
    backend = StringField(max_length=32)
    created = DateTimeField(default=now)

    meta = {
        'collection': 'social_partials',
        'auto_create_index': False,
        'indexes': ['token', {'fields': ['created'], 'expireAfterSeconds': 86400}],
    }

    @classmethod
    def load(cls, token: str) -> Self | None:
        return cls.objects(token=token).first()

    @classmethod
    def destroy(cls, token: str) -> None:
        cls.objects(token=token).delete()


class Storage(BaseStorage):
    """All of it, as the setting ``SOCIAL_AUTH_STORAGE`` names it."""

    user = SocialAccount
    nonce = SocialNonce
    association = SocialAssociation
    code = SocialCode
    partial = SocialPartial

    @classmethod
    def is_integrity_error(cls, exception: Exception) -> bool:
        return isinstance(exception, NotUniqueError | DuplicateKeyError)
