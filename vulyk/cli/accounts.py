"""Accounts: invitations, links for new passwords, and those of older versions."""

from datetime import UTC, datetime

import click
from flask import current_app

from vulyk.accounts import mails, migration, services
from vulyk.accounts.models import Link
from vulyk.cli.context import operator, with_database
from vulyk.models import audit
from vulyk.models.user import User
from vulyk.terminal import Bar, json_option, print_json
from vulyk.texts import gettext


def find_user(name: str) -> User:
    """The active user of that username or e-mail address.

    :raises click.BadParameter: there is none.
    """
    user = User.get_by_email(name) if '@' in name else User.get_by_username(name)
    if user is None or not user.active:
        raise click.BadParameter(
            gettext('There is no active user %(name)s; give a username or an e-mail address.', name=repr(name))
        )
    return user


def show(link: Link, *, as_json: bool) -> None:
    """Print the address of a link, and until when it works."""
    if not current_app.config['SITE_URL']:
        click.echo(gettext('The setting SITE_URL is missing: put the address of your site before this path.'), err=True)
    if as_json:
        return print_json({'link': mails.address_of(link), 'expires_at': link.expires_at})
    click.echo(mails.address_of(link))
    click.echo(gettext('It works once, until %(time)s UTC.', time=f'{link.expires_at:%Y-%m-%d %H:%M}'), err=True)
    return None


@click.group('accounts')
def accounts_group() -> None:
    """Invitations, links for new passwords, accounts of older versions."""


@accounts_group.command('reset-link')
@click.argument('user')
@json_option
@with_database
def reset_link_command(user: str, as_json: bool) -> None:
    """Print a link with which USER (username or e-mail address) can choose a new password. Hand it to nobody else."""
    found = find_user(user)
    audit.record(operator(), 'user.reset_link', f'user {found.id} {found.username}')
    show(services.make_reset_link(found, datetime.now(UTC)), as_json=as_json)


@accounts_group.command('invite')
@click.argument('email', required=False)
@json_option
@with_database
def invite_command(email: str | None, as_json: bool) -> None:
    """Invite somebody: mail a link to EMAIL if the site sends mails, else print it."""
    if current_app.config['REGISTRATION'] == 'closed':
        raise click.ClickException(
            gettext("This site makes no new accounts: set REGISTRATION = 'invitation' to invite people.")
        )
    if email is not None and '@' not in email:
        raise click.BadParameter(gettext('%(email)s is not an e-mail address.', email=repr(email)))
    by_mail = email is not None and mails.can_be_sent()
    if by_mail and not current_app.config['SITE_URL']:
        raise click.ClickException(
            gettext('SITE_URL: mails need the address of the site, such as https://vulyk.example.org')
        )
    link = services.invite(email, datetime.now(UTC), by_mail=by_mail)
    if not by_mail:
        show(link, as_json=as_json)
    elif as_json:
        print_json({'mailed_to': email})
    else:
        click.echo(gettext('An invitation to %(email)s is on its way.', email=email))


@accounts_group.command('migrate')
@click.option('--dry-run', is_flag=True, help='Say what would be done, and change nothing.')
@with_database
def migrate_command(dry_run: bool) -> None:
    """Give accounts of an older version whose name is an address a generated one; make names and addresses unique."""
    changes = 0
    with Bar(None, gettext('Comparing')) as bar:
        for text in migration.migrate(dry_run=dry_run, progress=bar.advance):
            changes += 1
            click.echo(text)
    if not changes:
        click.echo(gettext('Nothing to do.'))
