"""People, their groups and their passwords."""

import re
from datetime import UTC, datetime
from typing import Any, Self

import argon2
from bson import ObjectId
from flask_login import AnonymousUserMixin, UserMixin
from flask_mongoengine.documents import Document
from mongoengine import PULL, BooleanField, DateTimeField, IntField, ListField, ReferenceField, StringField, signals

from vulyk.models.recent import Recent

# OWASP's parameters: the library's defaults take half a second on a small server.
_hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)

DEFAULT_GROUP = 'default'
MIN_PASSWORD_LENGTH = 8
GROUP_ID = re.compile(r'[A-Za-z0-9][A-Za-z0-9_]{1,99}\Z')


class Group(Document):
    """Who may work on what: a user may do the task types of all groups he is in."""

    id = StringField(max_length=100, primary_key=True)
    description = StringField(max_length=200)
    allowed_types = ListField(StringField(max_length=50))

    meta = {'collection': 'groups', 'auto_create_index': False, 'indexes': ['allowed_types']}

    def __str__(self) -> str:
        return str(self.id)


class User(Document, UserMixin):
    """A member. ``email`` is private; ``username`` is what others see.

    There are three roles. Volunteers work on the task types of their groups. Project admins also look after the task types
    in ``manages``: they may work on them, and see and correct their tasks and answers. Admins may do everything.
    """

    username = StringField(max_length=200, required=True)
    password = StringField(max_length=200, default='')
    name = StringField(max_length=100)
    email = StringField(max_length=200)
    active = BooleanField(default=True)
    admin = BooleanField(default=False)
    manages = ListField(StringField(max_length=50))
    groups = ListField(ReferenceField(Group, reverse_delete_rule=PULL))
    last_login = DateTimeField(default=lambda: datetime.now(UTC))
    processed = IntField(default=0)

    meta = {
        'collection': 'user',
        'auto_create_index': False,
        'indexes': ['email', 'username'],
    }

    def __str__(self) -> str:
        return str(self.username)

    @classmethod
    def get_by_id(cls, user_id: str) -> Self | None:
        """The active user with that id, else None: nobody stays signed in once an admin has switched him off."""
        return cls.objects(pk=user_id, active=True).first() if ObjectId.is_valid(user_id) else None

    @classmethod
    def get_by_email(cls, email: str) -> Self | None:
        """The one active user of that address, ignoring case; of several the oldest. None if there is none."""
        email = email.strip()
        if not email or '\0' in email or len(email) > cls.email.max_length:  # the database takes no such pattern
            return None
        pattern = re.compile(f'^{re.escape(email)}$', re.IGNORECASE)
        return cls.objects(email=pattern, active=True).order_by('id').first()

    @classmethod
    def pre_save(cls, sender: type, document: 'User', **kwargs: Any) -> 'User':
        """Put a new member into the default group if there is one; nothing is ever taken away from anybody."""
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
        """What others may know of this member; the key ``email`` stays for old scripts and is empty."""
        return {'username': self.username, 'email': ''}

    def set_password(self, password: str) -> None:
        """Keep the hash of a new password; the caller saves.

        :raises ValueError: shorter than ``MIN_PASSWORD_LENGTH`` characters.
        """
        if len(password) < MIN_PASSWORD_LENGTH:
            raise ValueError(f'The password is too short: use at least {MIN_PASSWORD_LENGTH} characters.')
        self.password = _hasher.hash(password)

    def check_password(self, password: str) -> bool:
        """Whether this is the password; False for accounts without one."""
        if not self.password:
            waste_time_like_a_password_check()
            return False
        try:
            return _hasher.verify(self.password, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False


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


def waste_time_like_a_password_check() -> None:
    """Hash something, so that the time an answer takes does not tell whether an address has an account."""
    _hasher.hash('no such account')
