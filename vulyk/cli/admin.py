"""Who is an admin."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import click

from vulyk.cli.context import TASK_TYPE, USER, operator, site, with_database
from vulyk.ext import suspension
from vulyk.models import audit, usernames
from vulyk.models.task_types import AbstractTaskType
from vulyk.models.tasks import AbstractAnswer
from vulyk.models.transaction import in_transaction
from vulyk.models.user import User, key_of_email
from vulyk.terminal import Bar, json_option, print_json_list
from vulyk.texts import gettext


def list_admin() -> None:
    """Print the addresses of admins, then those of everybody else."""
    admins = User.objects(admin=True).order_by('email')
    click.echo(gettext('Allowed admins are') if admins else gettext('No admins found'))
    _print_addresses(admins)
    click.echo(gettext('Rest of users are:'))
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
        raise click.BadParameter(gettext('User %(email)s does not exist.', email=email))
    if not projects:
        changes: dict[str, Any] = {'set__admin': state}
    elif state:
        changes = {'add_to_set__manages': list(projects)}
    else:
        changes = {'pull_all__manages': list(projects)}
    for user_id in users.scalar('id'):
        user = User.objects(pk=user_id)
        audit.change(operator(), User, user_id, 'update', lambda user=user: user.update_one(**changes))


def suspend(user: User, reason: str) -> int:
    """Switch an account off and take back everything it has answered; returns how many answers there were.

    :raises click.BadParameter: an admin.
    """
    if user.is_staff():
        raise click.BadParameter(
            gettext('%(username)s is an admin; take that away first with: admin remove', username=user.username)
        )
    redundancies = {kind.type_name: kind.redundancy for kind in site().app.task_types.values()}
    suspension.switch_off(user, by=operator(), reason=reason)
    answers = AbstractAnswer._get_collection().count_documents({'createdBy': user.id})
    with Bar(answers, gettext('Taking back')) as bar:
        return suspension.withdraw_everything(
            user.id, redundancies, by=None, reason=reason, now=datetime.now(UTC), progress=bar.advance
        )


def check_admin(email: str, username: str, password: str) -> User:
    """An admin with a local account, not stored; nobody is asked whether address and name are free.

    :raises click.BadParameter: it is no address, or no username, or the password is too short or guessed soon.
    """
    if '@' not in email:
        raise click.BadParameter(gettext('%(email)s is not an e-mail address.', email=repr(email)))
    if len(email) > User.email.max_length:
        raise click.BadParameter(gettext('The email has more than %(limit)s characters.', limit=User.email.max_length))
    try:
        usernames.check(username.strip(), reserved=True)
    except usernames.UsernameError as error:
        raise click.BadParameter(
            gettext(
                'The username is what others see, not %(username)s. %(reason)s', username=repr(username), reason=error
            )
        ) from error
    user = User(email=email.strip(), username=username.strip(), admin=True)
    try:
        user.set_password(password)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return user


def create_admin(email: str, username: str, password: str) -> User:
    """A new admin with a local account.

    :raises click.BadParameter: the address or the name is taken or is none, or the password is too short.
    """
    draft = check_admin(email, username, password)
    if User.objects(email__iexact=draft.email) or User.objects(email_key=key_of_email(email)):
        raise click.BadParameter(
            gettext('%(email)s has an account already; make it an admin with: admin add %(email)s', email=email)
        )
    if User.objects(username__iexact=draft.username) or User.is_username_taken(username):
        raise click.BadParameter(
            gettext('The username %(username)s is taken, or one that looks the same.', username=repr(username))
        )

    def create() -> User:
        user = User(email=draft.email, username=draft.username, admin=True, password=draft.password).save()
        stored = User._get_collection().find_one({'_id': user.pk})
        audit.record_difference(operator(), 'user', user.pk, 'create', {}, stored)
        return user

    return in_transaction(create)


def _print_addresses(users: Any) -> None:
    for user in _stored(users):
        line = f'- {user.get("email") or user["username"]}'
        if user.get('manages'):
            line += f' ({gettext("project admin of %(projects)s", projects=", ".join(user["manages"]))})'
        click.echo(line)


def _stored(users: Any) -> Any:
    """People as the database has them: a document for each would take minutes for a hundred thousand."""
    return users.only('username', 'email', 'active', 'admin', 'manages').as_pymongo().no_cache()


@click.group('admin')
def admin_group() -> None:
    """Manage admins."""


@admin_group.command('list')
@json_option
@with_database
def list_command(as_json: bool) -> None:
    """List admins and everybody else."""
    if not as_json:
        return list_admin()
    facts = {'username': '', 'email': '', 'active': True, 'admin': False, 'manages': []}
    users = _stored(User.objects.order_by('email'))
    return print_json_list({name: user.get(name, usual) for name, usual in facts.items()} for user in users)


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
    click.echo(gettext('Done'))


@admin_group.command('remove')
@click.argument('email')
@project_option
@with_database
def remove_command(email: str, projects: tuple[AbstractTaskType, ...]) -> None:
    """Take the admin's rights from the user with this EMAIL, those of the site or of some projects."""
    toggle_admin(email, False, [kind.type_name for kind in projects])
    click.echo(gettext('Done'))


@admin_group.command('suspend')
@click.argument('user', type=USER)
@click.option('--reason', prompt='Reason', help='Kept with the answers and in the audit log; asked for if left out.')
@with_database
def suspend_command(user: User, reason: str) -> None:
    """Switch off the account of USER (username, e-mail address or id) and take back everything it has answered."""
    taken = suspend(user, reason)
    click.echo(
        gettext(
            '%(username)s is switched off; %(number)s answers are taken back.', username=user.username, number=taken
        )
    )


@admin_group.command('create')
@click.option('--email', prompt='Email')
@click.option('--username', prompt='Username', help='The name others see.')
@click.password_option(prompt='Password', help='At least 8 characters; asked for if left out.')
@with_database
def create_command(email: str, username: str, password: str) -> None:
    """Create an admin who signs in with e-mail address and password."""
    create_admin(email, username, password)
    click.echo(gettext('%(username)s can sign in as %(email)s.', username=username, email=email))
