"""Mails. They are sent by background jobs, so that no page waits for a mail server or tells by its speed who has an account."""

import logging
import smtplib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from flask import current_app, has_request_context, request
from flask_mailman import EmailMessage, Mail

from vulyk.accounts.models import EMAIL, REGISTER, RESET, Link
from vulyk.jobs import enqueue, job
from vulyk.models.exc import InitializationError
from vulyk.models.user import User, key_of_email
from vulyk.utils import get_template_path

if TYPE_CHECKING:
    from flask import Flask

log = logging.getLogger(__name__)

MAX_TRIES = 10  # after that many the mail is given up: within some nine hours
PATHS = {'register': 'account/confirm', 'email': 'account/email/confirm', 'reset': 'password', 'invite': 'register'}


def init(app: 'Flask') -> None:
    """Set up the way mails are sent: by ``MAIL_SERVER``, in development and in the demo to the console.

    :raises InitializationError: the settings are no use.
    """
    config = app.config
    if not config['MAIL_BACKEND']:
        is_for_development = config['DEBUG'] or config.get('DEMO')
        config['MAIL_BACKEND'] = 'smtp' if config['MAIL_SERVER'] else 'console' if is_for_development else 'dummy'
    if config['MAIL_BACKEND'] == 'smtp':
        if not config['MAIL_SERVER']:
            raise InitializationError('MAIL_SERVER: name the mail server that MAIL_BACKEND = "smtp" is to use.')
        if not config['SITE_URL']:
            # What a browser calls the site is what somebody wants others to click on.
            raise InitializationError('SITE_URL: mails need the address of the site, such as https://vulyk.example.org')
        if not config['MAIL_DEFAULT_SENDER']:
            raise InitializationError('MAIL_DEFAULT_SENDER: mails need a sender, such as no-reply@vulyk.example.org')
    if config['SITE_URL'] and not config['SITE_URL'].startswith(('http://', 'https://')):
        raise InitializationError('SITE_URL: must begin with https:// (or http://).')
    Mail(app)


def can_be_sent() -> bool:
    """Whether the site sends mails at all."""
    return current_app.config['MAIL_BACKEND'] != 'dummy'


def site_url() -> str:
    """The address of the site, with a slash at the end: the setting, else what the browser at hand calls it."""
    url = current_app.config['SITE_URL'] or (request.url_root if has_request_context() else '')
    return url.rstrip('/') + '/'


def address_of(link: Link, site: str = '') -> str:
    """The address that a link leads to; without the site's if nobody knows it."""
    return f'{site or site_url()}{PATHS[link.purpose]}/{link.text}'


def send_link(link: Link) -> None:
    """Have a link sent to the address it is for."""
    enqueue(mail_link, link_id=link.id, site=site_url())


def send_reset(email: str) -> None:
    """Have a link for a new password sent to an address, if it is that of an account."""
    enqueue(mail_reset, email=email, site=site_url())


def send_notice(name: str, email: str, **facts: str) -> None:
    """Have a mail sent that tells something; ``name`` is that of its template."""
    enqueue(mail_notice, name=name, email=email, site=site_url(), **facts)


@job
def mail_link(link_id: str, site: str, tries: int = 0) -> None:
    """Send a link that has not been used meanwhile; who has an account with its address already is told that instead.

    That is looked up here, where nobody can measure how long it takes.
    """
    link = Link.objects(pk=link_id).first()
    if link is None:
        return
    key = key_of_email(link.email) if link.purpose in (REGISTER, EMAIL) else None
    if key and User.objects(email_key=key, pk__ne=link.user).first() is not None:
        link.use()
        mail_notice('registered_already', link.email, site)
    else:
        _deliver(mail_link, link.purpose, link.email, tries, {'link_id': link_id}, site, address=address_of(link, site))


@job
def mail_reset(email: str, site: str) -> None:
    """Look for the account of an address; here, where nobody can measure how long it takes."""
    user = User.get_by_email(email)
    if user is not None:
        link = Link.make(RESET, datetime.now(UTC), user=user.id, email=user.email)
        mail_link(link.id, site)


@job
def mail_notice(name: str, email: str, site: str, tries: int = 0, **facts: str) -> None:
    """Send a mail that tells something."""
    _deliver(mail_notice, name, email, tries, {'name': name, 'email': email, **facts}, site, **facts)


def _deliver(again: Any, name: str, email: str, tries: int, arguments: dict[str, str], site: str, **facts: str) -> None:
    """Hand a mail over; a server that does not take it now gets it again later, up to ``MAX_TRIES`` times."""
    subject, body = compose(name, site=site, **facts)
    try:
        # A connection of our own: the one that a message opens by itself stays open when the server refuses it.
        with current_app.extensions['mailman'].get_connection() as connection:
            EmailMessage(subject, body, to=[email], connection=connection).send()
    except smtplib.SMTPRecipientsRefused:
        log.warning('The mail server refuses the recipient of a mail (%s); it is not sent.', name)
    except (OSError, smtplib.SMTPException) as error:
        if tries + 1 >= MAX_TRIES:
            log.error('A mail (%s) could not be sent in %d tries and is given up: %s', name, MAX_TRIES, error)
            return
        later = timedelta(minutes=2**tries)
        log.warning('A mail (%s) could not be sent, next try in %s: %s', name, later, error)
        enqueue(again, run_at=datetime.now(UTC) + later, site=site, tries=tries + 1, **arguments)


def compose(name: str, **facts: str) -> tuple[str, str]:
    """Subject and text of a mail: the first line, and the rest, of its template."""
    # Not render_template: what pages are given, there is no browser for here.
    template = current_app.jinja_env.get_template(get_template_path(current_app, f'mail/{name}.txt'))
    text = template.render(config=current_app.config, **facts)
    subject, _, body = text.partition('\n')
    return ' '.join(subject.split()), body.strip() + '\n'
