"""What the pages and commands of accounts do."""

from datetime import datetime
from typing import NamedTuple

from mongoengine.errors import NotUniqueError

from vulyk import signals, zones
from vulyk.models.user import User
from vulyk.utils import aware


class Session(NamedTuple):
    """A browser somebody is signed in with, as the profile shows it; ``current`` is the one that asks."""

    id: str
    browser: str
    system: str
    address: str
    started_at: datetime
    seen_at: datetime
    lasting: bool
    current: bool


# The first that fits; browsers name their ancestors too.
_BROWSERS = ('Edg', 'OPR', 'SamsungBrowser', 'Firefox', 'Chrome', 'Safari')
_NAMES = {'Edg': 'Edge', 'OPR': 'Opera', 'SamsungBrowser': 'Samsung Internet', 'Macintosh': 'macOS', 'CrOS': 'ChromeOS'}
_SYSTEMS = ('Android', 'iPhone', 'iPad', 'Windows', 'Macintosh', 'CrOS', 'Linux')


def sessions_of(user: User) -> list[Session]:
    """The browsers a user is signed in with, the one that asks first, then the latest seen."""
    found = [
        Session(
            id=one.id,
            browser=_first(_BROWSERS, one.agent),
            system=_first(_SYSTEMS, one.agent),
            address=one.address or '',
            started_at=aware(one.started_at),
            seen_at=aware(one.seen_at),
            lasting=bool(one.lasting),
            current=one.id == user.session_id,
        )
        for one in user.sessions
    ]
    return sorted(found, key=lambda one: (one.current, one.seen_at), reverse=True)


def _first(words: tuple[str, ...], text: str | None) -> str:
    found = next((word for word in words if word in (text or '')), '')
    return _NAMES.get(found, found)


def rename(user: User, username: str) -> bool:
    """Give a user another name; False if somebody was faster to take it.

    :param username: one that :func:`vulyk.models.usernames.check` takes.
    """
    user.username = username
    try:
        user.save()
    except NotUniqueError:
        user.reload()
        return False
    return True


def set_time_zone(user: User, zone: str, *, chosen: bool) -> bool:
    """Note where a user lives from now on; what he did before keeps the day it had. Returns whether the account has it.

    :param chosen: by the user; then it stays, whatever his browser tells (until he chooses none, '').
    :raises ValueError: there is no such zone.
    """
    if not zone and chosen:
        User.objects(pk=user.id).update_one(set__chose_time_zone=False)
        return True
    if not zones.is_zone(zone):
        raise ValueError(zone)
    if user.chose_time_zone and not chosen:
        return False
    if user.time_zone != zone and not signals.send(signals.on_time_zone_changed, user, zone=zone):
        return False  # not here either: so the browser tells it again
    User.objects(pk=user.id).update_one(set__time_zone=zone, set__chose_time_zone=chosen)
    return True


def change_password(user: User, password: str) -> None:
    """Set a password, and sign the user out everywhere but in the session he changed it from.

    :raises PasswordError: see :func:`vulyk.models.passwords.check`.
    """
    user.set_password(password)
    user.save()
    user.end_sessions(but=user.session_id)
