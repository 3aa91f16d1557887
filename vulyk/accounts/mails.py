"""Mails. They are sent by background jobs, so that no page waits for a mail server or tells by its speed who has an account."""

import logging
import smtplib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
from flask import current_app, has_request_context, request
from flask_babel import force_locale, get_locale
from flask_mailman import EmailMultiAlternatives, Mail

from vulyk.accounts.models import EMAIL, REGISTER, RESET, Link
from vulyk.jobs import enqueue, job
from vulyk.models.exc import InitializationError
from vulyk.models.user import User, key_of_email
from vulyk.texts import gettext
from vulyk.utils import get_template_path

if TYPE_CHECKING:
    from flask import Flask

log = logging.getLogger(__name__)

UNSENT = ('console', 'dummy', 'file', 'locmem')  # what such mails say only those who run the site read
MAX_TRIES = 10  # after that many the mail is given up: within some nine hours
MAX_PROBLEM = 300  # characters of what a mail server says
_NO_SUCH_MAILBOX = range(550, 554)  # answers that are about the address
_REFUSED = range(500, 600)  # a mail that gets one of these would get it again
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
            raise InitializationError(
                gettext('MAIL_SERVER: name the mail server that MAIL_BACKEND = "smtp" is to use.')
            )
        if not config['MAIL_DEFAULT_SENDER']:
            raise InitializationError(
                gettext('MAIL_DEFAULT_SENDER: mails need a sender, such as no-reply@vulyk.example.org')
            )
    if config['MAIL_BACKEND'] not in UNSENT and not config['SITE_URL']:
        # What a browser calls the site is what somebody wants others to click on.
        raise InitializationError(
            gettext('SITE_URL: mails need the address of the site, such as https://vulyk.example.org')
        )
    if config['SITE_URL'] and not config['SITE_URL'].startswith(('http://', 'https://')):
        raise InitializationError(gettext('SITE_URL: must begin with https:// (or http://).'))
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
    enqueue(mail_link, link_id=link.id, site=site_url(), language=str(get_locale()))


def send_reset(email: str) -> None:
    """Have a link for a new password sent to an address, if it is that of an account."""
    enqueue(mail_reset, email=email, site=site_url(), language=str(get_locale()))


def send_notice(name: str, email: str, **facts: str) -> None:
    """Have a mail sent that tells something; ``name`` is that of its template."""
    enqueue(mail_notice, name=name, email=email, site=site_url(), language=str(get_locale()), **facts)


@job
def mail_link(link_id: str, site: str, language: str = '', tries: int = 0) -> None:
    """Send a link that has not been used meanwhile; who has an account with its address already is told that instead.

    That is looked up here, where nobody can measure how long it takes.
    """
    link = Link.objects(pk=link_id).first()
    if link is None:
        return
    key = key_of_email(link.email) if link.purpose in (REGISTER, EMAIL) else None
    if key and User.objects(email_key=key, pk__ne=link.user).first() is not None:
        link.use()
        mail_notice('registered_already', link.email, site, language)
    else:
        arguments = {'link_id': link_id, 'language': language}
        _deliver(mail_link, link.purpose, link.email, tries, arguments, site, address=address_of(link, site))


@job
def mail_reset(email: str, site: str, language: str = '') -> None:
    """Look for the account of an address; here, where nobody can measure how long it takes."""
    user = User.get_by_email(email)
    if user is not None:
        link = Link.make(RESET, datetime.now(UTC), user=user.id, email=user.email)
        mail_link(link.id, site, language)


@job
def mail_notice(name: str, email: str, site: str, language: str = '', tries: int = 0, **facts: str) -> None:
    """Send a mail that tells something."""
    arguments = {'name': name, 'email': email, 'language': language, **facts}
    _deliver(mail_notice, name, email, tries, arguments, site, **facts)


def _deliver(again: Any, name: str, email: str, tries: int, arguments: dict[str, str], site: str, **facts: str) -> None:
    """Hand a mail over. A server that does not take it now gets it again later, up to ``MAX_TRIES`` times.

    An address that the server refuses for good gets no more mails, and its account says so; only the link that proves that
    it works after all is sent.
    """
    if name != EMAIL and _is_refused(email):
        log.info('A mail (%s) is not sent, because the mail server has refused its address.', name)
        return
    try:
        # A connection of our own: the one that a message opens by itself stays open when the server refuses it.
        with (
            current_app.extensions['mailman'].get_connection() as connection,
            force_locale(language_of(email, arguments['language'])),
        ):
            mail = message(name, email, site=site, connection=connection, **facts)
            if current_app.config['MAIL_BACKEND'] == 'console':
                write_out(mail)
            else:
                mail.send()
    except (OSError, smtplib.SMTPException) as error:
        code, reason = _answer_to(error)
        trouble = f'answer {code}' if code else str(error)  # what the server says in full holds the address
        if code in _NO_SUCH_MAILBOX:
            log.warning('The mail server refuses an address for good; it gets no more mails (%s).', name)
            User.objects(email_key=key_of_email(email)).update(set__mail_problem=f'{code} {reason}'[:MAX_PROBLEM])
        elif code in _REFUSED or tries + 1 >= MAX_TRIES:
            log.error('A mail (%s) is given up after %d tries: %s', name, tries + 1, trouble)
        else:
            later = timedelta(minutes=2**tries)
            log.warning('A mail (%s) could not be sent, next try in %s: %s', name, later, trouble)
            enqueue(again, run_at=datetime.now(UTC) + later, site=site, tries=tries + 1, **arguments)


def _is_refused(email: str) -> bool:
    return User.objects(email_key=key_of_email(email), mail_problem__gt='').first() is not None


def _answer_to(error: Exception) -> tuple[int, str]:
    """Code and words of a mail server that did not take this mail for its recipient or content; 0 for any other failure.

    A server that refuses us (our sender, our password) says nothing about the address.
    """
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, said = next(iter(error.recipients.values()))
    elif isinstance(error, smtplib.SMTPDataError):
        code, said = error.smtp_code, error.smtp_error
    else:
        return 0, ''
    return code, said.decode(errors='replace') if isinstance(said, bytes) else str(said)


def message(name: str, email: str, *, connection: Any = None, **facts: str) -> EmailMultiAlternatives:
    """A mail as text and as HTML."""
    subject, body = compose(name, **facts)
    paragraphs = [part.splitlines() for part in body.strip().split('\n\n')]
    frame = current_app.jinja_env.get_template(get_template_path(current_app, 'mail/_frame.html'))
    html = frame.render(config=current_app.config, subject=subject, paragraphs=paragraphs, html_lang=str(get_locale()))
    mail = EmailMultiAlternatives(subject, body, to=[email], connection=connection)
    mail.attach_alternative(html, 'text/html')
    return mail


def write_out(mail: EmailMultiAlternatives) -> None:
    """Show a mail on the terminal as people read it: sent as it is, letters of another alphabet would be a code."""
    click.echo(f'\n{", ".join(mail.to)}\n{mail.subject}\n\n{mail.body}\n{"-" * 80}')


def language_of(email: str, asked: str) -> str:
    """What the account of an address has chosen; without one the language that the mail was asked for in."""
    user = User.get_by_email(email)
    own = user.language if user else ''
    return own if own in current_app.config['LANGUAGES'] else asked or str(get_locale())


def compose(name: str, **facts: str) -> tuple[str, str]:
    """Subject and text of a mail: the first line, and the rest, of its template."""
    # Not render_template: what pages are given, there is no browser for here.
    template = current_app.jinja_env.get_template(get_template_path(current_app, f'mail/{name}.txt'))
    text = template.render(config=current_app.config, **facts)
    subject, _, body = text.partition('\n')
    return ' '.join(subject.split()), body.strip() + '\n'
