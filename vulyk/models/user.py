"""People, their groups and their passwords."""

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from bson import ObjectId
from flask_login import AnonymousUserMixin, UserMixin
from flask_mongoengine.documents import Document
from mongoengine import (
    PULL,
    BooleanField,
    DateTimeField,
    DictField,
    EmbeddedDocument,
    EmbeddedDocumentField,
    IntField,
    ListField,
    ReferenceField,
    StringField,
    signals,
)

from vulyk.models import passwords, schema, usernames
from vulyk.models.recent import Recent
from vulyk.utils import aware

DEFAULT_GROUP = 'default'
MIN_PASSWORD_LENGTH = passwords.MIN_LENGTH
MAX_SESSIONS = 50  # of one user; whoever signs in once more ends the oldest
SEEN_EVERY = timedelta(hours=1)
# From the id of a user to a collection, and the field and value that find a document of it.
Along = Callable[[ObjectId], tuple[str, str, Any]]
# In ``app.extensions``: ``{endpoint: function}``, from the arguments of its URL to what requests are going to need.
ALONG = 'vulyk_along'
GROUP_ID = re.compile(r'[A-Za-z0-9][A-Za-z0-9_]{1,99}\Z')


class Group(Document):
    """Who may work on what: a user may do the task types of all groups he is in."""

    id = StringField(max_length=100, primary_key=True)
    description = StringField(max_length=200)
    allowed_types = ListField(StringField(max_length=50))

    meta = {'collection': 'groups', 'auto_create_index': False, 'indexes': ['allowed_types']}

    def __str__(self) -> str:
        return str(self.id)


class SignIn(EmbeddedDocument):
    """A browser somebody is signed in with, until a time; ``lasting`` if it stays so when the browser is closed.

    ``seen_at`` is exact to ``SEEN_EVERY``. ``address`` is forgotten after a while (setting ``PERSONAL_DATA_DAYS``).
    """

    id = StringField(required=True)
    started_at = DateTimeField(required=True, db_field='startedAt')
    seen_at = DateTimeField(required=True, db_field='seenAt')
    until = DateTimeField(required=True)
    lasting = BooleanField(default=False)
    agent = StringField()
    address = StringField()

    meta = {'strict': False}


class User(Document, UserMixin):
    """A member. ``email`` is private; ``username`` is what others see.

    There are three roles. Volunteers work on the task types of their groups. Project admins also look after the task types
    in ``manages``: they may work on them, and see and correct their tasks and answers. Admins may do everything.

    ``username_key`` and ``email_key`` are what must be unique of them; accounts of older versions lack them until
    ``manage.py accounts migrate``. ``hidden`` members are not named on leaderboards. ``time_zone`` is an IANA name, '' while
    nobody has told it; the browser tells it, until the user chooses one. ``language`` is '' while the user has chosen none.
    ``consents`` are the versions of the terms he has
    agreed to, as ``{version, at}``, the latest last. Of a deleted account only what is needed to keep answers and totals is
    left, and ``deleted_at``.
    """

    username = StringField(max_length=200, required=True)
    username_key = StringField(db_field='usernameKey')
    password = StringField(max_length=200, default='')
    name = StringField(max_length=100)
    email = StringField(max_length=200)
    email_key = StringField(db_field='emailKey')
    email_confirmed = BooleanField(default=False, db_field='emailConfirmed')
    mail_problem = StringField(db_field='mailProblem')  # what the mail server says who refuses the address for good
    time_zone = StringField(max_length=100, default='', db_field='timeZone')
    language = StringField(max_length=20, default='')
    chose_time_zone = BooleanField(default=False, db_field='choseTimeZone')
    active = BooleanField(default=True)
    hidden = BooleanField(default=False)
    admin = BooleanField(default=False)
    manages = ListField(StringField(max_length=50))
    groups = ListField(ReferenceField(Group, reverse_delete_rule=PULL))
    last_login = DateTimeField(default=lambda: datetime.now(UTC))
    processed = IntField(default=0)
    pace = DictField()
    sessions = ListField(EmbeddedDocumentField(SignIn))
    consents = ListField(DictField())
    deleted_at = DateTimeField(db_field='deletedAt')

    meta = {
        'collection': 'user',
        'auto_create_index': False,
        'indexes': [
            'email',
            'username',
            {'fields': ['username_key'], 'unique': True, 'partialFilterExpression': {'usernameKey': {'$gte': ''}}},
            {'fields': ['email_key'], 'unique': True, 'partialFilterExpression': {'emailKey': {'$gte': ''}}},
            {'fields': ['hidden'], 'partialFilterExpression': {'hidden': True}},
        ],
    }

    session_id = ''  # of the session this document was loaded for
    taken_along: dict[tuple[str, str, Any], dict[str, Any]] | None = None  # see take_along

    def __str__(self) -> str:
        return str(self.username)

    @classmethod
    def get_by_id(cls, user_id: str) -> Self | None:
        """The active user with that id, else None: nobody stays signed in once an admin has switched him off."""
        found = cls._read_active(user_id)
        return cls._from_son(found) if found else None

    @classmethod
    def _read_active(cls, user_id: str, along: Along | None = None) -> dict[str, Any] | None:
        """The stored active user with that id; in its key ``along`` a list of the document that was asked for too."""
        if not ObjectId.is_valid(user_id):
            return None
        # By hand, because every request does it and mongoengine takes longer to compile the query than MongoDB to answer;
        # by the id alone, because a look at anything else doubles the time that takes.
        users, where = cls._get_collection(), {'_id': ObjectId(user_id)}
        if along is None:
            found = users.find_one(where)
        else:
            collection, field, value = along(where['_id'])
            lookup = {'from': collection, 'pipeline': [{'$match': {field: value}}], 'as': 'along'}
            found = next(users.aggregate([{'$match': where}, {'$lookup': lookup}]), None)
        return found if found and found.get('active') is True else None

    def take_along(self, collection: str, field: str, value: Any) -> dict[str, Any] | None:
        """The document with that value which was read together with this one, {} if there was none; once: it grows old.

        None if it was not read.
        """
        return self.taken_along.pop((collection, field, value), None) if self.taken_along else None

    @classmethod
    def get_by_email(cls, email: str) -> Self | None:
        """The one active user of that address, ignoring case; of several the oldest. None if there is none."""
        found = cls._find_by_email(email)
        return found if found is not None and found.active else None

    @classmethod
    def is_email_taken(cls, email: str) -> bool:
        """Whether an account has that address, ignoring case."""
        return cls._find_by_email(email) is not None

    @classmethod
    def _find_by_email(cls, email: str) -> Self | None:
        email = email.strip()
        if not email or '\0' in email or len(email) > cls.email.max_length:  # the database takes no such pattern
            return None
        found = cls.objects(email_key=key_of_email(email)).first()
        # Looking through all accounts takes long, and the longer the more there are: an unknown address would be told by it.
        if found is None and not schema.is_done(schema.ACCOUNTS):
            pattern = re.compile(f'^{re.escape(email)}$', re.IGNORECASE)
            found = cls.objects(email=pattern, email_key=None).order_by('-active', 'id').first()
        return found

    @classmethod
    def get_by_username(cls, username: str) -> Self | None:
        """The user of exactly that name, active or not; of several of an old database the oldest."""
        return cls.objects(username=username).order_by('id').first() if '\0' not in username else None

    @classmethod
    def is_username_taken(cls, username: str, *, but: ObjectId | None = None) -> bool:
        """Whether anybody, ``but`` this user, has a name that could be taken for this one."""
        return cls.objects(username_key=usernames.likeness(username), pk__ne=but).first() is not None

    @classmethod
    def free_username(cls) -> str:
        """A generated name that nobody has."""
        names = (usernames.generate() for _ in range(1000))
        return next(name for name in names if not cls.is_username_taken(name))

    @classmethod
    def hidden_ids(cls) -> list[ObjectId]:
        """Whoever does not want to be named on leaderboards."""
        return list(cls._get_collection().distinct('_id', {'hidden': True}))

    def agrees_to(self, version: str) -> bool:
        """Whether the terms this user has agreed to last are of that version."""
        return bool(self.consents) and self.consents[-1]['version'] == version

    def agree_to(self, version: str) -> None:
        """Note that this user agrees to a version of the terms."""
        User.objects(pk=self.id).update_one(push__consents={'version': version, 'at': datetime.now(UTC)})

    # --- sessions -----------------------------------------------------------------------------------------------------

    def get_id(self) -> str:
        """What cookies carry: the id, and that of the session, so that a session can be ended from anywhere."""
        return f'{self.id}.{self.session_id}' if self.session_id else str(self.id)

    @classmethod
    def get_by_session(cls, text: str, along: Along | None = None) -> Self | None:
        """The active user behind the text of a cookie, else None: the session has ended, or there never was one.

        :param along: which other document is going to be needed; :meth:`take_along` has it then.
        """
        user_id, _, session_id = text.partition('.')
        found = cls._read_active(user_id, along) if session_id else None
        if found is None:
            return None
        now = datetime.now(UTC)
        sessions = found.get('sessions') or []
        mine = next((one for one in sessions if one['id'] == session_id and aware(one['until']) > now), None)
        if mine is None:
            return None
        if now - aware(mine['seenAt']) > SEEN_EVERY:
            cls.objects(pk=found['_id'], sessions__id=session_id).update_one(set__sessions__S__seen_at=now)
        others = found.pop('along', [])
        user = cls._from_son(found)
        user.session_id = session_id
        if along is not None:
            user.taken_along = {along(user.id): others[0] if others else {}}
        return user

    def start_session(
        self,
        lifetime: timedelta = timedelta(days=1),
        *,
        lasting: bool = False,
        agent: str = '',
        address: str = '',
    ) -> None:
        """Note a new session, that of this document from now on, and drop those that are over."""
        now = datetime.now(UTC)
        new = SignIn(
            id=secrets.token_urlsafe(18),
            started_at=now,
            seen_at=now,
            until=now + lifetime,
            lasting=lasting,
            agent=agent[:300],
            address=address,
        )
        User._get_collection().update_one(
            {'_id': self.id},
            [
                {
                    '$set': {
                        'last_login': now,
                        'sessions': {
                            '$slice': [
                                {
                                    '$concatArrays': [
                                        {
                                            '$filter': {
                                                'input': {'$ifNull': ['$sessions', []]},
                                                'cond': {'$gt': ['$$this.until', now]},
                                            }
                                        },
                                        [{'$literal': new.to_mongo().to_dict()}],
                                    ]
                                },
                                -MAX_SESSIONS,
                            ]
                        },
                    }
                }
            ],
        )
        self.session_id = new.id

    def end_session(self, session_id: str) -> None:
        """Sign a browser out; it notices at its next request."""
        User.objects(pk=self.id).update_one(pull__sessions__id=session_id)

    def end_sessions(self, *, but: str = '') -> None:
        """Sign out everywhere, ``but`` in the session of that id."""
        User.objects(pk=self.id).update_one(__raw__={'$pull': {'sessions': {'id': {'$ne': but}}}})

    # --- names and addresses ------------------------------------------------------------------------------------------

    @classmethod
    def pre_save(cls, sender: type, document: 'User', **kwargs: Any) -> 'User':
        """Keep the keys of name and address, and put a new member into the default group if there is one.

        Nothing is ever taken away from anybody.
        """
        changed = document._get_changed_fields() if document.id is not None else ('username', 'email')
        if 'username' in changed:
            document.username_key = usernames.likeness(document.username or '') or None
        if 'email' in changed:
            document.email_key = key_of_email(document.email or '')
        if document.id is None and DEFAULT_GROUP not in {getattr(group, 'id', group) for group in document.groups}:
            default = Group.objects(pk=DEFAULT_GROUP).first()
            if default is not None:
                document.groups = [*document.groups, default]
        return document

    # Documented as methods; flask-login looks at the truth value only, so the user loader refuses inactive users itself.
    def is_active(self) -> bool:  # type: ignore[override]
        return bool(self.active)

    def is_admin(self) -> bool:
        return bool(self.admin)

    def is_staff(self) -> bool:
        """Whether some admin pages are open to this user: to an admin, or to the admin of a project."""
        return self.is_admin() or bool(self.manages)

    def may_manage(self, task_type: str) -> bool:
        """Whether this user looks after that task type: as its project admin, or as an admin."""
        return self.is_admin() or task_type in self.manages

    def is_eligible_for(self, task_type: str) -> bool:
        """Whether this user may work on tasks of that type.

        :raises ValueError: no type given.
        """
        if not task_type:
            raise ValueError('Task type should be specified')
        if self.may_manage(task_type):
            return True
        # Not self.groups, which would fetch every group; a deleted one is left as a bare reference.
        mine = {getattr(group, 'id', group) for group in self._data['groups']}
        return any(mine & _groups_allowing.get(task_type, fresh=fresh) for fresh in (False, True))

    def get_stats(self, task_type: Any) -> dict[str, int]:
        """Own number of answers and dense rank in a task type.

        :param task_type: the :class:`~vulyk.models.task_types.AbstractTaskType`.
        :returns: ``{'total': n, 'position': p}``; without any answer of anybody ``0, 0``; a user without answers shares
            the last place. The places of others may be some seconds old.
        """
        return task_type.stats_of(self.id)

    def as_dict(self) -> dict[str, str]:
        """What others may know of this member; the key ``email`` stays for old scripts and is empty.

        Of a username of old times that is an address, what stands before the ``@``.
        """
        return {'username': (self.username or '').partition('@')[0], 'email': ''}

    def set_password(self, password: str) -> None:
        """Keep the hash of a new password; the caller saves.

        :raises ValueError: shorter than ``MIN_PASSWORD_LENGTH`` characters, or one that is guessed soon (see
            :func:`vulyk.models.passwords.check`).
        """
        passwords.check(password, [self.username or '', self.email or ''])
        self.password = passwords.make_hash(password)

    def check_password(self, password: str) -> bool:
        """Whether this is the password; False for accounts without one. A hash of older parameters is made anew."""
        stored = self.password
        fits = passwords.fits(stored, password)
        if fits and passwords.is_outdated(stored):
            self.password = passwords.make_hash(password)
            User.objects(pk=self.id, password=stored).update_one(set__password=self.password)
        return fits


def _read_groups_allowing(task_type: str) -> set[str]:
    return {group['_id'] for group in Group._get_collection().find({'allowed_types': task_type}, {'_id': 1})}


# Ids of the groups that allow a task type; one that no longer does is noticed a second later.
_groups_allowing = Recent(_read_groups_allowing, seconds=1)

signals.pre_save.connect(User.pre_save, sender=User)
signals.post_save.connect(lambda *_, **__: _groups_allowing.forget(), sender=Group, weak=False)


class Anonymous(AnonymousUserMixin):
    """A visitor who is not signed in."""

    name = 'Anonymous'

    def is_admin(self) -> bool:
        return False

    def is_staff(self) -> bool:
        return False

    def may_manage(self, task_type: str) -> bool:
        return False

    def is_eligible_for(self, task_type: str) -> bool:
        return False


def key_of_email(email: str) -> str | None:
    """What is unique of an address: it may be written large or small. None for no address."""
    return email.strip().casefold() or None
