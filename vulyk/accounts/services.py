"""What the pages and commands of accounts do."""

from datetime import datetime
from typing import Any, NamedTuple

from mongoengine.errors import NotUniqueError

from vulyk import signals, zones
from vulyk.accounts import mails
from vulyk.accounts.models import EMAIL, INVITE, REGISTER, RESET, Link
from vulyk.ext import leaderboard
from vulyk.models import passwords
from vulyk.models.social import SocialAccount
from vulyk.models.transaction import in_transaction
from vulyk.models.user import User, key_of_email
from vulyk.utils import aware


class AccountExistsError(Exception):
    """Somebody has this address already."""


class LinkUsedError(Exception):
    """Somebody has used this link a moment ago."""


# --- registration -----------------------------------------------------------------------------------------------------


def register(
    username: str, email: str, password: str, now: datetime, *, terms: str | None, invitation: Link | None
) -> User | None:
    """Make an account, or have the address confirmed first if the site sends mails.

    :param username: one that is free, or '' for a generated one.
    :param terms: the version of the terms agreed to.
    :param invitation: the link by which somebody has come; it is used up by the account.
    :returns: the account; None if a mail is on its way, to say how to go on: to the newcomer, or to whoever has an
        account of that address already.
    :raises AccountExistsError: the address is taken, on a site that sends no mails.
    :raises LinkUsedError: the invitation is used.
    """
    facts = {
        'username': username,
        'password': passwords.make_hash(password),
        'terms': terms,
        'invitation': invitation.id if invitation else None,
    }
    was_invited_by_mail = invitation is not None and invitation.facts.get('mailed') and invitation.email == email
    if not mails.can_be_sent() or was_invited_by_mail:
        return make_account(email, facts, now, confirmed=bool(was_invited_by_mail))
    mails.send_link(Link.make(REGISTER, now, email=email, **facts))
    return None


def make_account(email: str | None, facts: dict[str, Any], now: datetime, *, confirmed: bool) -> User:
    """A new account; if the name has been taken meanwhile, with a generated one.

    :param facts: those of a link for registration: ``username`` and ``password``, or ``service``, what
        :meth:`vulyk.models.social.SocialAccount.create_social_auth` is given; ``terms`` and ``invitation`` if there are any.
    :raises AccountExistsError: the address is taken, or the account at the service has one here.
    :raises LinkUsedError: the invitation is used.
    """
    name, service = facts.get('username'), facts.get('service')

    def make() -> User:
        if facts.get('invitation') and not Link.objects(pk=facts['invitation']).delete():
            raise LinkUsedError
        if _has_account(email, service):
            raise AccountExistsError
        user = User(
            username=name if name and not User.is_username_taken(name) else User.free_username(),
            email=email,
            email_confirmed=confirmed,
            password=facts.get('password') or '',
        )
        if facts.get('terms'):
            user.consents = [{'version': facts['terms'], 'at': now}]
        user.save(force_insert=True)
        if service:
            SocialAccount.create_social_auth(user, **service)
        return user

    try:
        return in_transaction(make)
    except NotUniqueError as error:
        if _has_account(email, service):
            raise AccountExistsError from error
        return make_account(email, {**facts, 'username': ''}, now, confirmed=confirmed)


def _has_account(email: str | None, service: dict[str, str] | None) -> bool:
    key = key_of_email(email or '')
    if key and User.objects(email_key=key).first() is not None:
        return True
    return service is not None and SocialAccount.get_social_auth(**service) is not None


def finish_registration(link: Link, now: datetime) -> User:
    """Make the account of a confirmed address.

    :raises AccountExistsError: somebody has registered with that address meanwhile.
    :raises LinkUsedError: the link, or the invitation behind it, is used.
    """
    if not link.use():
        raise LinkUsedError
    return make_account(link.email, link.facts, now, confirmed=True)


def finish_joining(link: Link, terms: str, now: datetime) -> User:
    """Make the account of somebody who has come through a service and agrees to the terms.

    :raises AccountExistsError: he has one meanwhile.
    :raises LinkUsedError: the link, or the invitation behind it, is used.
    """
    if not link.use():
        raise LinkUsedError
    return make_account(link.email, {**link.facts, 'terms': terms}, now, confirmed=bool(link.email))


def invite(email: str | None, now: datetime, *, by_mail: bool) -> Link:
    """An invitation, mailed if ``by_mail``; else its address has to be handed over."""
    link = Link.make(INVITE, now, email=email, mailed=by_mail)
    if by_mail:
        mails.send_link(link)
    return link


# --- name, time zone --------------------------------------------------------------------------------------------------


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


def set_language(user: User, language: str) -> None:
    """Note which language somebody wants to read, '' for none in particular."""
    User.objects(pk=user.id).update_one(set__language=language)
    user.language = language


# --- password, address ------------------------------------------------------------------------------------------------


def change_password(user: User, password: str) -> None:
    """Set a password, and sign the user out everywhere but in the session he changed it from. Links that are out are over.

    :raises PasswordError: see :func:`vulyk.models.passwords.check`.
    """
    user.set_password(password)
    user.save()
    user.end_sessions(but=user.session_id)
    Link.objects(user=user.id, purpose=RESET).delete()
    if user.email and mails.can_be_sent():
        mails.send_notice('password_changed', user.email)


def make_reset_link(user: User, now: datetime) -> Link:
    """A link for a new password, for an admin to hand over."""
    return Link.make(RESET, now, user=user.id)


def reset_password(link: Link, user: User, password: str) -> None:
    """Set the password of somebody who has come by a link, and sign everybody else out of the account.

    :raises LinkUsedError: the link is used.
    :raises PasswordError: see :func:`vulyk.models.passwords.check`.
    """
    passwords.check(password, [user.username, user.email or ''])
    if not link.use():
        raise LinkUsedError
    if link.email and link.email == user.email:  # it went there
        user.email_confirmed = True
    change_password(user, password)


def change_email(user: User, email: str, now: datetime) -> bool:
    """Give an account another address, or have it confirmed first if the site sends mails; True if it has it now.

    :raises AccountExistsError: it is taken, on a site that sends no mails.
    """
    if not mails.can_be_sent():
        _set_email(user, email, confirmed=False)
        return True
    mails.send_link(Link.make(EMAIL, now, user=user.id, email=email))
    return False


def confirm_email(link: Link) -> User:
    """Give an account the address that has been confirmed.

    :raises AccountExistsError: somebody has taken it meanwhile.
    :raises LinkUsedError: the link is used, or the account is gone.
    """
    user = User.objects(pk=link.user, active=True).first()
    if user is None or not link.use():
        raise LinkUsedError
    old = user.email
    _set_email(user, link.email, confirmed=True)
    if old and key_of_email(old) != key_of_email(link.email):
        mails.send_notice('address_changed', old)
    return user


def _set_email(user: User, email: str, *, confirmed: bool) -> None:
    user.email, user.email_confirmed, user.mail_problem = email, confirmed, None
    try:
        user.save()
    except NotUniqueError as error:
        raise AccountExistsError from error
    Link.objects(user=user.id, purpose__in=[RESET, EMAIL]).delete()  # they went to the old one


def set_hidden(user: User, hidden: bool) -> None:
    """Leave somebody out of leaderboards, or not; other processes notice within a minute."""
    User.objects(pk=user.id).update_one(set__hidden=hidden)
    leaderboard.forget()


# --- sessions ---------------------------------------------------------------------------------------------------------


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
_SYSTEMS = ('Android', 'iPhone', 'iPad', 'Windows', 'Macintosh', 'CrOS', 'Linux')
_NAMES = {'Edg': 'Edge', 'OPR': 'Opera', 'SamsungBrowser': 'Samsung Internet', 'Macintosh': 'macOS', 'CrOS': 'ChromeOS'}


def sessions_of(user: User, now: datetime) -> list[Session]:
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
        if aware(one.until) > now
    ]
    return sorted(found, key=lambda one: (one.current, one.seen_at), reverse=True)


def _first(words: tuple[str, ...], text: str | None) -> str:
    found = next((word for word in words if word in (text or '')), '')
    return _NAMES.get(found, found)
