"""Who is an admin."""

from collections.abc import Collection
from datetime import UTC, datetime

import click

from vulyk.cli.context import TASK_TYPE, site, with_database
from vulyk.ext import suspension
from vulyk.models import usernames
from vulyk.models.task_types import AbstractTaskType
from vulyk.models.user import User, key_of_email


def list_admin() -> None:
    """Print the addresses of admins, then those of everybody else."""
    admins = User.objects(admin=True).order_by('email')
    click.echo('Allowed admins are' if admins else 'No admins found')
    _print_addresses(admins)
    click.echo('Rest of users are:')
    _print_addresses(User.objects(admin__ne=True).order_by('email'))


def toggle_admin(email: str, state: bool, projects: Collection[str] = ()) -> None:
    """Make everybody with that address an admin, or no admin any more.

    :param email: the address, ignoring case.
    :param state: True makes an admin.
    :param projects: names of task types: then it is about project admins of these, and of nothing else.
    :raises click.BadParameter: nobody has that address.
    """
    users = User.objects(email__iexact=email)
    if not users:
        raise click.BadParameter(f'User {email} does not exist.')
    if not projects:
        users.update(set__admin=state)
    elif state:
        users.update(add_to_set__manages=list(projects))
    else:
        users.update(pull_all__manages=list(projects))


def suspend(name: str, reason: str) -> tuple[User, int]:
    """Switch an account off and take back everything it has answered.

    :param name: an e-mail address, ignoring case, or a username.
    :returns: the user, and how many answers there were.
    :raises click.BadParameter: nobody, or an admin.
    """
    user = User.objects(email__iexact=name).first() or User.objects(username=name).first()
    if user is None:
        raise click.BadParameter(f'There is nobody called {name!r}: give an e-mail address or a username.')
    if user.is_staff():
        raise click.BadParameter(f'{user.username} is an admin; take that away first with: admin remove')
    redundancies = {kind.type_name: kind.redundancy for kind in site().app.task_types.values()}
    suspension.switch_off(user, by='command line', reason=reason)
    taken = suspension.withdraw_everything(user.id, redundancies, by=None, reason=reason, now=datetime.now(UTC))
    return user, taken


def create_admin(email: str, username: str, password: str) -> User:
    """A new admin with a local account.

    :raises click.BadParameter: the address or the name is taken or is none, or the password is too short.
    """
    if '@' not in email:
        raise click.BadParameter(f'{email!r} is not an e-mail address.')
    if len(email) > User.email.max_length:
        raise click.BadParameter(f'The email has more than {User.email.max_length} characters.')
    try:
        usernames.check(username.strip(), reserved=True)
    except usernames.UsernameError as error:
        raise click.BadParameter(f'The username is what others see, not {username!r}. {error}') from error
    if User.objects(email__iexact=email.strip()) or User.objects(email_key=key_of_email(email)):
        raise click.BadParameter(f'{email} has an account already; make it an admin with: admin add {email}')
    if User.objects(username__iexact=username) or User.is_username_taken(username):
        raise click.BadParameter(f'The username {username!r} is taken, or one that looks the same.')
    user = User(email=email.strip(), username=username.strip(), admin=True)
    try:
        user.set_password(password)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return user.save()


def _print_addresses(users: object) -> None:
    for user in users:  # type: ignore[attr-defined]
        projects = f' (project admin of {", ".join(user.manages)})' if user.manages else ''
        click.echo(f'- {user.email or user.username}{projects}')


@click.group('admin')
def admin_group() -> None:
    """Manage admins."""


@admin_group.command('list')
@with_database
def list_command() -> None:
    """List admins and everybody else."""
    list_admin()


project_option = click.option(
    '--project',
    'projects',
    metavar='TYPE',
    multiple=True,
    type=TASK_TYPE,
    help='Admin of this task type only; repeatable.',
)


@admin_group.command('add')
@click.argument('email')
@project_option
@with_database
def add_command(email: str, projects: tuple[AbstractTaskType, ...]) -> None:
    """Make the user with this EMAIL an admin, of the site or of some projects."""
    toggle_admin(email, True, [kind.type_name for kind in projects])
    click.echo('Done')


@admin_group.command('remove')
@click.argument('email')
@project_option
@with_database
def remove_command(email: str, projects: tuple[AbstractTaskType, ...]) -> None:
    """Take the admin's rights from the user with this EMAIL, those of the site or of some projects."""
    toggle_admin(email, False, [kind.type_name for kind in projects])
    click.echo('Done')


@admin_group.command('suspend')
@click.argument('user')
@click.option('--reason', prompt=True, help='Kept with the answers and in the audit log; asked for if left out.')
@with_database
def suspend_command(user: str, reason: str) -> None:
    """Switch off the account of USER (e-mail address or username) and take back everything it has answered."""
    found, taken = suspend(user, reason)
    click.echo(f'{found.username} is switched off; {taken} answers are taken back.')


@admin_group.command('create')
@click.option('--email', prompt=True)
@click.option('--username', prompt=True, help='The name others see.')
@click.password_option(help='At least 8 characters; asked for if left out.')
@with_database
def create_command(email: str, username: str, password: str) -> None:
    """Create an admin who signs in with e-mail address and password."""
    create_admin(email, username, password)
    click.echo(f'{username} can sign in as {email}.')
