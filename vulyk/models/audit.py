"""The audit log: who did what that others may have to account for, and when. Records are added, never changed."""

import getpass
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

from flask_mongoengine.documents import BaseQuerySet, Document
from mongoengine import DateTimeField, ObjectIdField, StringField

from vulyk.models.fields import VerbatimField
from vulyk.models.transaction import in_transaction
from vulyk.models.user import User

T = TypeVar('T')

MAX_LENGTH = 20_000  # characters of one value
SECRETS = {'password', 'sessions'}


class _AppendOnly(BaseQuerySet):
    """Finds records, and neither changes nor deletes them."""

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError('Records of the audit log are neither changed nor deleted.')

    update = update_one = modify = delete = _refuse


class AuditRecord(Document):
    """One act of an admin or operator.

    ``actor`` is the name of who did it, as it was then; ``actor_id`` the user, None on the command line. ``action`` is a
    fixed name such as ``answers.export_with_emails``, ``subject`` what it was done to. ``before`` and ``after`` are JSON
    objects or None; times and ids in them are texts.
    """

    at = DateTimeField(required=True)
    actor = StringField(required=True, max_length=300)
    actor_id = ObjectIdField(db_field='actorId')
    action = StringField(required=True, max_length=100)
    subject = StringField(required=True, max_length=500)
    before = VerbatimField()
    after = VerbatimField()

    meta = {
        'collection': 'audit',
        'queryset_class': _AppendOnly,
        'auto_create_index': False,
        'indexes': ['at', ('actor_id', 'at'), ('action', 'at'), ('subject', 'at')],
    }

    def save(self, *args: Any, **kwargs: Any) -> Any:
        """Store a new record; one that is stored already cannot be stored again."""
        return super().save(*args, **{**kwargs, 'force_insert': True})


def record(
    actor: User | str,
    action: str,
    subject: str,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Add to the audit log, inside the transaction at hand if there is one.

    :param actor: the user who did it; for commands a text that says who that was.
    :param action: a fixed name, ``<what>.<verb>``.
    :param subject: what it was done to, such as ``batch zoo``.
    :param before: JSON object: what was changed, as it was.
    :param after: JSON object: what it is now.
    """
    is_user = not isinstance(actor, str)
    AuditRecord(
        at=datetime.now(UTC),
        actor=str(actor) or '(without name)',
        actor_id=actor.id if is_user else None,
        action=action,
        subject=subject,
        before=_plain(before),
        after=_plain(after),
    ).save()


def operator() -> str:
    """Who runs a command, as an actor."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        name = f'user {os.getuid()}'
    return f'{name} on the command line'


def change(actor: User | str, model: Any, pk: Any, verb: str, act: Callable[[], T]) -> T:
    """Change one document and note what it was before and is now; both are stored, or neither.

    :param model: the class of the document, and ``pk`` its id, which may not exist yet, or not any more afterwards.
    :param verb: ``create``, ``update`` or ``delete``, as on the admin pages.
    :param act: makes the change; it may run several times, see :func:`vulyk.models.transaction.in_transaction`.
    """

    def work() -> T:
        stored = model._get_collection().find_one
        before = stored({'_id': pk}) or {}
        result = act()
        record_difference(actor, model.__name__.lower(), pk, verb, before, stored({'_id': pk}) or {})
        return result

    return in_transaction(work)


def record_difference(
    actor: User | str, kind: str, pk: Any, verb: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    """Note which fields of a document have changed, as they were and as they are; nothing if none has.

    :param before: the document as it was stored; ``{}`` if it is new.
    :param after: the document as it is stored; ``{}`` if it is gone.
    """
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if names:
        record(
            actor,
            f'{kind}.{verb}',
            f'{kind} {pk}',
            {name: _kept(name, before[name]) for name in names if name in before} or None,
            {name: _kept(name, after[name]) for name in names if name in after} or None,
        )


def _kept(name: str, value: Any) -> Any:
    """A value as the audit log keeps it: no secrets, and nothing that fills it."""
    if name in SECRETS:
        return '(not shown)'
    text = json.dumps(value, ensure_ascii=False, default=str)
    return value if len(text) <= MAX_LENGTH else f'{text[:MAX_LENGTH]} …'


def _plain(value: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if value is None else json.loads(json.dumps(value, default=str))
