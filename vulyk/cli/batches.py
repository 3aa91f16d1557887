"""Batches of tasks."""

import codecs
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from vulyk import batches
from vulyk.cli.context import BATCH, with_database
from vulyk.ext.counting import recount_user
from vulyk.models.exc import MalformedResultError, ResultTooLargeError, TaskImportError
from vulyk.models.facts import check_facts
from vulyk.models.fields import parse_json_object
from vulyk.models.stats import WorkSession
from vulyk.models.task_types import AbstractTaskType
from vulyk.models.tasks import AbstractAnswer, AbstractTask, Batch, Closing, Load
from vulyk.models.transaction import in_transaction


@contextmanager
def bad_parameter(prefix: str = '') -> Iterator[None]:
    """What cannot be loaded was asked for in a wrong way: exit code 2, with the sentence."""
    try:
        yield
    except TaskImportError as error:
        raise click.BadParameter(f'{prefix}{error}') from error


def add_batch(
    batch_id: str,
    count: int,
    task_type: AbstractTaskType,
    default_batch: str,
    batch_meta: dict[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write the batch of tasks that were just loaded. Only the default batch may be extended.

    :param count: number of tasks loaded.
    :param default_batch: name of the default batch.
    :param batch_meta: facts that differ from the defaults of the task type.
    :param facts: what people are told about it, checked by :func:`vulyk.models.facts.check_facts`.
    :raises click.BadParameter: the batch exists and is not the default one of this type.
    """
    with bad_parameter():
        batches.add_batch(batch_id, count, task_type, default_batch, batch_meta, facts)


def batches_list() -> list[str]:
    """The ids of all batches."""
    return list(Batch.objects.order_by('created_at', 'id').scalar('id'))


def validate_batch(ctx: click.Context | None, param: Any, value: str, default_batch: str) -> str:
    """The value, if tasks may be loaded into a batch of that name: a new one, or the default one.

    :raises click.BadParameter: the batch exists already, or the name is empty or too long.
    """
    with bad_parameter():
        return batches.check_batch_id(value, default_batch)


def parse_meta(task_type: AbstractTaskType, pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Facts of a batch from the command line, see :func:`vulyk.batches.parse_meta`.

    :raises click.BadParameter: a key the type does not know, or a value of the wrong kind.
    """
    with bad_parameter('--meta '):
        return batches.parse_meta(task_type, pairs)


def read_facts(path: str | None) -> dict[str, Any]:
    """What people are told about a batch, from a file with one JSON object; nothing without a file.

    :raises click.BadParameter: the file cannot be read, or holds a fact that does not exist or is not of its shape.
    """
    if path is None:
        return {}
    try:
        return check_facts(parse_json_object(Path(path).read_bytes().removeprefix(codecs.BOM_UTF8), what='facts'))
    except OSError as error:
        raise click.BadParameter(f'--facts {path}: cannot be read ({error.strerror}).') from error
    except (MalformedResultError, ResultTooLargeError, ValueError) as error:
        raise click.BadParameter(f'--facts {path}: {error}') from error


def delete_batch(batch_id: str, *, purge: bool, force: bool = False) -> None:
    """Delete a batch with its tasks.

    :param purge: delete the answers and work sessions too.
    :param force: also while volunteers have tasks of it in hand; what they send then is lost.
    :raises click.ClickException: there are answers or tasks in hand; the text says how many, and what to do.
    """

    def delete() -> None:
        tasks, answers = AbstractTask._get_collection(), AbstractAnswer._get_collection()
        in_hand = tasks.count_documents({'batch': batch_id, 'expiry': {'$gt': datetime.now(UTC)}})
        if in_hand and not force:
            raise click.ClickException(
                f'Volunteers have {in_hand} tasks of batch {batch_id} in hand. Wait until they are done, or use --force.'
            )
        of_batch = {'task': {'$in': tasks.distinct('_id', {'batch': batch_id})}}
        people = answers.distinct('createdBy', of_batch)
        number = answers.count_documents(of_batch)
        if number and not purge:
            raise click.ClickException(
                f'Batch {batch_id} holds {number} answers. Export them first, or delete them too with --purge.'
            )
        answers.delete_many(of_batch)
        WorkSession._get_collection().delete_many(of_batch)
        for user_id in people:
            recount_user(user_id)
        tasks.delete_many({'batch': batch_id})
        Load._get_collection().delete_many({'batch': batch_id})
        Closing._get_collection().delete_many({'batch': batch_id})
        Batch._get_collection().delete_one({'_id': batch_id})

    in_transaction(delete)


@click.group('batches')
def batches_group() -> None:
    """Manage batches of tasks."""


@batches_group.command('list')
@with_database
def list_command() -> None:
    """List the ids of all batches, oldest first."""
    for batch_id in batches_list():
        click.echo(batch_id)


@batches_group.command('del')
@click.option('--bid', prompt='Batch id', type=BATCH, help='Id of the batch.')
@click.option('--purge', is_flag=True, help='Delete its answers and work sessions too.')
@click.option('--force', is_flag=True, help='Also while volunteers have tasks of it in hand.')
@click.confirmation_option(prompt='Delete the batch and all of its tasks?')
@with_database
def del_command(bid: str, purge: bool, force: bool) -> None:
    """Delete a batch and its tasks; refused while there are answers, unless --purge is given."""
    delete_batch(bid, purge=purge, force=force)
    click.echo(f'Batch {bid} is deleted.')
