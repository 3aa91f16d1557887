"""Groups: which users may work on which task types."""

from collections.abc import Generator
from typing import Any

import click

from vulyk.cli.context import TASK_TYPE, operator, with_database
from vulyk.models import audit
from vulyk.models.task_types import AbstractTaskType
from vulyk.models.user import GROUP_ID, Group, User
from vulyk.terminal import json_option, print_json
from vulyk.texts import gettext


def get_groups_ids() -> list[str]:
    """The ids of all groups."""
    return list(Group.objects.scalar('id'))


def list_groups() -> Generator[str, None, None]:
    """One line per group: its id and the task types it allows."""
    for group in Group.objects.order_by('id'):
        yield gettext('Group ID: %(group)s. Allowed types: %(types)s', group=group.id, types=list(group.allowed_types))


def validate_id(ctx: click.Context | None, param: Any, value: str) -> str:
    """The value, if it can be the id of a group.

    :raises click.BadParameter: it is not made of 2 to 100 letters, digits and underscores, beginning with no underscore.
    """
    if not GROUP_ID.match(value):
        raise click.BadParameter(
            gettext(
                '%(value)s is not a group id: use 2 to 100 Latin letters, digits and underscores, no underscore first.',
                value=repr(value),
            )
        )
    return value


def new_group(gid: str, description: str) -> None:
    """Create a group.

    :raises click.BadParameter: the id is taken, or cannot be one.
    """
    validate_id(None, 'gid', gid)
    if Group.objects(pk=gid):
        raise click.BadParameter(gettext('Group %(group)s exists already.', group=gid))
    if len(description) > Group.description.max_length:
        raise click.BadParameter(
            gettext('The description has more than %(limit)s characters.', limit=Group.description.max_length)
        )
    audit.change(operator(), Group, gid, 'create', Group(id=gid, description=description).save)


def remove_group(gid: str) -> None:
    """Delete a group; its members stay.

    :raises click.BadParameter: no such group.
    """
    audit.change(operator(), Group, gid, 'delete', _group(gid).delete)


def assign_to(username: str, gid: str) -> None:
    """Put a user into a group.

    :raises click.BadParameter: no such user or group.
    """
    group = _group(gid)
    _change_users(username, add_to_set__groups=group)


def resign(username: str, gid: str) -> None:
    """Take a user out of a group.

    :raises click.BadParameter: no such user or group.
    """
    group = _group(gid)
    _change_users(username, pull__groups=group)


def add_task_type(gid: str, task_type: str) -> None:
    """Let a group work on a task type.

    :raises click.BadParameter: no such group.
    """
    _group(gid)
    _change_group(gid, add_to_set__allowed_types=task_type)


def remove_task_type(gid: str, task_type: str) -> None:
    """Let a group no longer work on a task type.

    :raises click.BadParameter: no such group.
    """
    _group(gid)
    _change_group(gid, pull__allowed_types=task_type)


def _group(gid: str) -> Group:
    group = Group.objects(pk=gid).first()
    if group is None:
        raise click.BadParameter(
            gettext(
                'There is no group %(group)s. There are: %(names)s.',
                group=repr(gid),
                names=', '.join(get_groups_ids()) or gettext('none'),
            )
        )
    return group


def _change_group(gid: str, **changes: Any) -> None:
    audit.change(operator(), Group, gid, 'update', lambda: Group.objects(pk=gid).update_one(**changes))


def _change_users(username: str, **changes: Any) -> None:
    ids = list(User.objects(username=username).scalar('id'))
    if not ids:
        raise click.BadParameter(gettext('There is no user %(username)s.', username=repr(username)))
    for user_id in ids:
        users = User.objects(pk=user_id)
        audit.change(operator(), User, user_id, 'update', lambda users=users: users.update_one(**changes))


_gid = click.option('--gid', prompt='Group id', help='Id of the group.')
_username = click.option('--username', prompt='Username', help='The name others see.')
_task_type = click.option('--task_type', prompt='Task type', type=TASK_TYPE, help='Name of an enabled task type.')


@click.group('group')
def group_group() -> None:
    """Manage groups of users."""


@group_group.command('list')
@json_option
@with_database
def list_command(as_json: bool) -> None:
    """List groups and the task types they allow."""
    if as_json:
        facts = ('id', 'description', 'allowed_types')
        return print_json([{name: getattr(group, name) for name in facts} for group in Group.objects.order_by('id')])
    for line in list_groups():
        click.echo(line)
    return None


@group_group.command('add')
@click.option('--gid', prompt='Group id', callback=validate_id, help='Latin letters, digits and underscores.')
@click.option('--description', prompt='Description', default='', help='What the group is for.')
@with_database
def add_command(gid: str, description: str) -> None:
    """Create a group."""
    new_group(gid, description)


@group_group.command('del')
@_gid
@click.confirmation_option(prompt='Delete the group?', help='Do not ask.')
@with_database
def del_command(gid: str) -> None:
    """Delete a group."""
    remove_group(gid)


@group_group.command('assign')
@_username
@_gid
@with_database
def assign_command(username: str, gid: str) -> None:
    """Put a user into a group."""
    assign_to(username, gid)


@group_group.command('resign')
@_username
@_gid
@with_database
def resign_command(username: str, gid: str) -> None:
    """Take a user out of a group."""
    resign(username, gid)


@group_group.command('addtype')
@_gid
@_task_type
@with_database
def addtype_command(gid: str, task_type: AbstractTaskType) -> None:
    """Let a group work on a task type."""
    add_task_type(gid, task_type.type_name)


@group_group.command('deltype')
@_gid
@click.option('--task_type', prompt='Task type', help='Name of a task type, enabled or not.')
@with_database
def deltype_command(gid: str, task_type: str) -> None:
    """Let a group no longer work on a task type."""
    remove_task_type(gid, task_type)
