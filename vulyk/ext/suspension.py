"""Switching accounts off, and on; and putting an end to abuse: everything an account has answered is taken back."""

from collections.abc import Callable
from datetime import datetime

from bson import ObjectId

from vulyk.ext import counting
from vulyk.models import audit
from vulyk.models.tasks import EPOCH
from vulyk.models.user import User


def switch_off(user: User, *, by: User | str, reason: str) -> None:
    """Let nobody in with this account any more; whoever is in is out at the next request.

    An answer that is being stored at this moment is either stored before, or refused.

    :param by: the admin; for commands a text that says who it was.
    """
    User.objects(pk=user.id).update_one(set__active=False, unset__sessions=True)
    after = {'active': False, 'reason': reason}
    audit.record(by, 'user.suspend', f'user {user.id} {user.username}', {'active': bool(user.active)}, after)


class LastAdminError(Exception):
    """Nobody could look after the site without this account."""


def set_active(user: User, active: bool, *, by: User | str) -> None:
    """Let somebody in again, or not any more; who is in is out at the next request. The answers stay.

    :param by: the admin; for commands a text that says who it was.
    :raises LastAdminError: this is the last active admin.
    """
    others = User.objects(pk__ne=user.id, admin=True, active=True)
    changes = {'set__active': True} if active else {'set__active': False, 'unset__sessions': True}

    def change() -> None:
        if not active and user.is_admin() and others.first() is None:
            raise LastAdminError
        User.objects(pk=user.id).update_one(**changes)

    audit.change(by, User, user.id, 'update', change)


def withdraw_everything(
    user_id: ObjectId,
    redundancies: dict[str, int],
    *,
    by: User | None,
    reason: str,
    now: datetime,
    progress: Callable[[], None] = lambda: None,
) -> int:
    """Take back all answers of a user; tasks open again, totals and the game follow. Can be repeated after a crash.

    :param redundancies: answers needed by the tasks of each type, for tasks that do not say it themselves.
    :param progress: called for each answer.
    :returns: how many answers there were.
    """
    taken = counting.withdraw_all(user_id, EPOCH, redundancies, by=by, reason=reason, now=now, progress=progress)
    counting.recount_user(user_id)
    return taken
