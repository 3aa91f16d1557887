"""Newcomers who come through a service: an account is made for them once they agree to the terms."""

from datetime import UTC, datetime
from typing import Any

from flask import current_app, redirect, session, url_for
from social_core.exceptions import AuthAssociationError, AuthPolicyError

from vulyk.accounts import services
from vulyk.accounts.models import INVITE, SERVICE, Link
from vulyk.accounts.services import AccountExistsError, LinkUsedError
from vulyk.models.social import SocialAccount
from vulyk.models.user import User

IN_SESSION = 'newcomer'  # the text of the link to finish with: it works in this browser only
# They hand out no address that its owner has not confirmed; others have to say that they have checked.
CONFIRMING = ('google-oauth2', 'facebook', 'twitter-oauth2', 'vk-oauth2')


def join(
    backend: Any, details: dict[str, Any], response: Any, uid: str, user: User | None = None, **kwargs: Any
) -> Any:
    """The step of the pipeline for somebody who comes for the first time: an account, or the page that asks for consent.

    Who comes by an invitation, or while registration is open, gets in. Nobody gets a second account for an address: who it
    belongs to signs in first, and then links the service.

    :raises AuthPolicyError: he may not register.
    :raises AuthAssociationError: the address is that of an account, or this account at the service has one.
    """
    if user is not None:
        return {'is_new': False}
    now = datetime.now(UTC)
    invitation = Link.read(session.get('invitation', ''), INVITE, now)
    way_in = current_app.config['REGISTRATION']
    if way_in == 'closed' or (way_in == 'invitation' and invitation is None):
        raise AuthPolicyError(backend, code='registration_closed', stage='pipeline')
    address = _confirmed_address(backend.name, details, response)
    if address and User.is_email_taken(address):
        raise AuthAssociationError(backend, code='email_in_use', stage='pipeline')
    facts = {
        'service': {'provider': backend.name, 'uid': str(uid), 'id_key': kwargs.get('id_key') or ''},
        'invitation': invitation.id if invitation else None,
    }
    if current_app.config['TERMS_VERSION']:
        session[IN_SESSION] = Link.make(SERVICE, now, email=address, **facts).text
        return redirect(url_for('finish_joining'))
    try:
        made = services.make_account(address, facts, now, confirmed=bool(address))
    except LinkUsedError as error:
        raise AuthPolicyError(backend, code='registration_closed', stage='pipeline') from error
    except AccountExistsError as error:  # the same person's other request was faster
        raise AuthAssociationError(backend, code='email_in_use', stage='pipeline') from error
    return {'user': made, 'social': SocialAccount.of(made)[0], 'is_new': True}


def pending(now: datetime) -> Link | None:
    """What is left to be agreed to in this browser; None if nothing is, or the time for it is over."""
    return Link.read(session.get(IN_SESSION, ''), SERVICE, now)


def _confirmed_address(service: str, details: dict[str, Any], response: Any) -> str | None:
    """The address a service tells of somebody, if the service has made sure that it is his.

    Otherwise anybody could lay hands on an address that its owner may want to register with some day.
    """
    address = (details.get('email') or '').strip()
    told = response if isinstance(response, dict) else {}
    if 'email_verified' in told:
        is_confirmed = told['email_verified'] in (True, 'true')
    elif service == 'github':
        emails = [one for one in told.get('emails') or () if isinstance(one, dict)]
        is_confirmed = any(one.get('email') == address and one.get('verified') is True for one in emails)
    else:
        is_confirmed = service in CONFIRMING
    return address if address and is_confirmed else None
