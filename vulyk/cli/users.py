"""Who takes part: finding people, looking at an account, letting somebody in or not."""

from typing import Any

import click
from flask import current_app
from mongoengine import Q

from vulyk.cli.context import USER, operator, with_database
from vulyk.ext import suspension
from vulyk.models.progress import Progress
from vulyk.models.social import SocialAccount
from vulyk.models.stats import WorkSession
from vulyk.models.user import Group, User
from vulyk.terminal import json_option, print_facts, print_json, print_json_list, print_table
from vulyk.texts import gettext

FIELDS = ('username', 'email', 'active', 'admin', 'manages', 'groups', 'processed', 'last_login', 'deleted_at')
COLUMNS = ('username', 'email', 'active', 'admin', 'groups', 'answers', 'last_login')


def find(search: str | None, group: str | None, *, admins: bool, inactive: bool) -> Any:
    """Users, the newest first; all conditions have to be met.

    :param search: a part of the username or the e-mail address, ignoring case.
    :param group: the id of a group they are in.
    """
    users = User.objects.no_dereference().order_by('-id')
    if search:
        users = users.filter(Q(username__icontains=search) | Q(email__icontains=search))
    if group:
        users = users.filter(groups=Group(id=group))
    if admins:
        users = users.filter(Q(admin=True) | Q(manages__0__exists=True))
    return users.filter(active=False) if inactive else users


def to_facts(stored: dict[str, Any]) -> dict[str, Any]:
    """What scripts are told about a user.

    :param stored: as the database has it: documents would take a minute and gigabytes for 100,000 people.
    """
    return {
        'id': stored['_id'],
        'username': stored.get('username'),
        'email': stored.get('email'),
        'active': stored.get('active', True),
        'admin': stored.get('admin', False),
        'manages': stored.get('manages', []),
        'groups': stored.get('groups', []),
        'answers': stored.get('processed', 0),
        'created_at': stored['_id'].generation_time,
        'last_login': stored.get('last_login'),
        'deleted_at': stored.get('deletedAt'),
    }


def to_more_facts(user: User) -> dict[str, Any]:
    """Everything but the answers: what :func:`to_facts` says, and how this user signs in and works."""
    services = [account.provider for account in SocialAccount.of(user)]
    totals = Progress.objects(user=user.id, total__gt=0).order_by('task_type').scalar('task_type', 'total')
    return {
        **to_facts(User._get_collection().find_one({'_id': user.id})),
        'email_confirmed': user.email_confirmed,
        'sign_in_methods': [*(['password'] if user.password else []), *services],
        'sessions': len(user.sessions),
        'time_zone': user.time_zone,
        'may_work_on': [name for name in current_app.task_types if user.is_eligible_for(name)],
        'answers_by_type': dict(totals),
        'hours_of_work': round(WorkSession.get_total_user_time_precise(user.id) / 3600, 2),
    }


def _without_nul(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and ('\0' in value or len(value) > User.email.max_length):
        raise click.BadParameter(
            gettext('A text of at most %(limit)s characters is looked for.', limit=User.email.max_length)
        )
    return value


@click.group('user')
def user_group() -> None:
    """Find people, look at an account, let somebody in or not."""


@user_group.command('list')
@click.option('--search', callback=_without_nul, help='Only who has it in username or e-mail address.')
@click.option('--group', metavar='GID', help='Only members of this group.')
@click.option('--admins', is_flag=True, help='Only admins, of the site or of a project.')
@click.option('--inactive', is_flag=True, help='Only accounts that are switched off.')
@click.option('--limit', type=click.IntRange(min=1), help='At most so many.')
@json_option
@with_database
def list_command(
    search: str | None, group: str | None, admins: bool, inactive: bool, limit: int | None, as_json: bool
) -> None:
    """List people, the newest first."""
    if group and Group.objects(pk=group).first() is None:
        known = ', '.join(Group.objects.order_by('id').scalar('id')) or gettext('none')
        raise click.BadParameter(
            gettext('There is no group %(group)s. There are: %(names)s.', group=repr(group), names=known)
        )
    users = find(search, group, admins=admins, inactive=inactive)
    stored = (users.limit(limit) if limit else users).only(*FIELDS).as_pymongo().no_cache()
    rows = map(to_facts, stored)
    if as_json:
        return print_json_list(rows)
    return print_table(COLUMNS, [[row[name] for name in COLUMNS] for row in rows])


@user_group.command('show')
@click.argument('user', type=USER)
@json_option
@with_database
def show_command(user: User, as_json: bool) -> None:
    """Print what is known about USER (username, e-mail address or id)."""
    facts = to_more_facts(user)
    if as_json:
        return print_json(facts)
    return print_facts(facts)


@user_group.command('deactivate')
@click.argument('user', type=USER)
@with_database
def deactivate_command(user: User) -> None:
    """Let USER in no more; who is in is out at once. The answers stay; "admin suspend" takes them back."""
    try:
        suspension.set_active(user, False, by=operator())
    except suspension.LastAdminError as error:
        raise click.ClickException(
            gettext(
                '%(username)s is the last active admin; make somebody else one first: admin add EMAIL',
                username=user.username,
            )
        ) from error
    click.echo(gettext('%(username)s is switched off.', username=user.username))


@user_group.command('activate')
@click.argument('user', type=USER)
@with_database
def activate_command(user: User) -> None:
    """Let USER in again."""
    if user.deleted_at:
        raise click.ClickException(
            gettext('%(username)s has been deleted; there is nobody to let in.', username=user.username)
        )
    suspension.set_active(user, True, by=operator())
    click.echo(gettext('%(username)s can sign in.', username=user.username))
