"""Batches of tasks."""

import codecs
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from vulyk import batches
from vulyk.cli.context import BATCH, operator, with_database
from vulyk.ext.counting import recount_user
from vulyk.models import audit
from vulyk.models.exc import MalformedResultError, ResultTooLargeError, TaskImportError
from vulyk.models.facts import check_facts
from vulyk.models.fields import parse_json_object
from vulyk.models.stats import WorkSession
from vulyk.models.task_types import AbstractTaskType
from vulyk.models.tasks import AbstractAnswer, AbstractTask, Batch, Closing, Load
from vulyk.terminal import Bar, json_option, print_facts, print_json
from vulyk.texts import gettext


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
        raise click.BadParameter(
            gettext('--facts %(path)s: cannot be read (%(reason)s).', path=path, reason=error.strerror)
        ) from error
    except (MalformedResultError, ResultTooLargeError, ValueError) as error:
        raise click.BadParameter(gettext('--facts %(path)s: %(reason)s', path=path, reason=error)) from error


def delete_batch(batch_id: str, *, purge: bool, force: bool = False) -> None:
    """Delete a batch with its tasks.

    :param purge: delete the answers and work sessions too.
    :param force: also while volunteers have tasks of it in hand; what they send then is lost.
    :raises click.ClickException: there are answers or tasks in hand; the text says how many, and what to do.
    """

    def delete() -> None:
        tasks, answers = AbstractTask._get_collection(), AbstractAnswer._get_collection()
        in_hand = tasks_in_hand(batch_id)
        if in_hand and not force:
            raise click.ClickException(
                gettext(
                    'Volunteers have %(in_hand)s tasks of batch %(batch)s in hand. Wait until they are done, '
                    'or use --force.',
                    in_hand=in_hand,
                    batch=batch_id,
                )
            )
        of_batch = {'task': {'$in': tasks.distinct('_id', {'batch': batch_id})}}
        people = answers.distinct('createdBy', of_batch)
        number = answers.count_documents(of_batch)
        if number and not purge:
            raise click.ClickException(
                gettext(
                    'Batch %(batch)s holds %(number)s answers. Export them first, or delete them too with --purge.',
                    batch=batch_id,
                    number=number,
                )
            )
        answers.delete_many(of_batch)
        WorkSession._get_collection().delete_many(of_batch)
        for user_id in people:
            recount_user(user_id)
        tasks.delete_many({'batch': batch_id})
        Load._get_collection().delete_many({'batch': batch_id})
        Closing._get_collection().delete_many({'batch': batch_id})
        Batch._get_collection().delete_one({'_id': batch_id})

    audit.change(operator(), Batch, batch_id, 'delete', delete)


def tasks_in_hand(batch_id: str) -> int:
    """How many tasks of a batch volunteers have in hand, or in advance."""
    where = {'batch': batch_id, 'expiry': {'$gt': datetime.now(UTC)}}
    return AbstractTask._get_collection().count_documents(where)


def to_facts(batch: Batch) -> dict[str, Any]:
    """What scripts are told about a batch; ``redundancy`` may be None in a database of the existing platform."""
    return {
        'id': batch.id,
        'type': batch.task_type,
        'tasks': batch.tasks_count,
        'closed_tasks': batch.tasks_processed,
        'closed': batch.closed,
        'paused': batch.paused,
        'priority': batch.priority,
        'redundancy': batch.redundancy,
        'created_at': batch.created_at,
    }


@click.group('batches')
def batches_group() -> None:
    """Manage batches of tasks."""


@batches_group.command('list')
@json_option
@with_database
def list_command(as_json: bool) -> None:
    """List the ids of all batches, oldest first."""
    if as_json:
        return print_json([to_facts(batch) for batch in Batch.objects.order_by('created_at', 'id')])
    for batch_id in batches_list():
        click.echo(batch_id)
    return None


@batches_group.command('show')
@click.argument('batch', type=BATCH)
@json_option
@with_database
def show_command(batch: str, as_json: bool) -> None:
    """Print everything about BATCH: how far it is, who gets its tasks when, what people are told about it."""
    document = Batch.objects.get(pk=batch)
    facts = {**to_facts(document), **document.facts, 'meta': document.batch_meta, 'in_hand': tasks_in_hand(batch)}
    if as_json:
        return print_json(facts)
    return print_facts(facts)


@batches_group.command('pause')
@click.argument('batch', nargs=-1, required=True, type=BATCH)
@with_database
def pause_command(batch: tuple[str, ...]) -> None:
    """Hand out no more tasks of each BATCH; who has one in hand may finish it."""
    for batch_id in batch:
        batches.set_paused(batch_id, True, by=operator())
        click.echo(
            gettext(
                'Batch %(batch)s is paused; %(number)s of its tasks are in hand.',
                batch=batch_id,
                number=tasks_in_hand(batch_id),
            )
        )


@batches_group.command('resume')
@click.argument('batch', nargs=-1, required=True, type=BATCH)
@with_database
def resume_command(batch: tuple[str, ...]) -> None:
    """Hand out tasks of each BATCH again."""
    for batch_id in batch:
        batches.set_paused(batch_id, False, by=operator())
        click.echo(gettext('Batch %(batch)s is handed out.', batch=batch_id))


@batches_group.command('priority', context_settings={'ignore_unknown_options': True})  # -5 is no option
@click.argument('batch', type=BATCH)
@click.argument('priority', metavar='NUMBER', type=click.IntRange(-batches.MAX_PRIORITY, batches.MAX_PRIORITY))
@with_database
def priority_command(batch: str, priority: int) -> None:
    """Hand out tasks of BATCH before those of batches with a lower NUMBER; it is 0 at first, and may be negative."""
    batches.set_priority(batch, priority, by=operator())
    click.echo(gettext('Batch %(batch)s has the priority %(priority)s.', batch=batch, priority=priority))


@batches_group.command('redundancy')
@click.argument('batch', type=BATCH)
@click.argument('answers', metavar='NUMBER', type=click.IntRange(1, batches.MAX_REDUNDANCY))
@with_database
def redundancy_command(batch: str, answers: int) -> None:
    """Have each task of BATCH need NUMBER answers; tasks close, or open again, accordingly.

    Volunteers may go on working. When it is interrupted, the same command does the rest.
    """
    tasks = AbstractTask._get_collection().count_documents({'batch': batch, 'need': {'$ne': answers}})
    with Bar(tasks, gettext('Changing')) as bar:
        changed = batches.set_redundancy(batch, answers, datetime.now(UTC), by=operator(), progress=bar.advance)
    click.echo(
        gettext(
            'Tasks of batch %(batch)s need %(answers)s answers; %(changed)s were changed.',
            batch=batch,
            answers=answers,
            changed=changed,
        )
    )


@batches_group.command('del')
@click.option('--bid', prompt='Batch id', type=BATCH, help='Id of the batch.')
@click.option('--purge', is_flag=True, help='Delete its answers and work sessions too.')
@click.option('--force', is_flag=True, help='Also while volunteers have tasks of it in hand.')
@click.confirmation_option(prompt='Delete the batch and all of its tasks?', help='Do not ask.')
@with_database
def del_command(bid: str, purge: bool, force: bool) -> None:
    """Delete a batch and its tasks; refused while there are answers, unless --purge is given."""
    delete_batch(bid, purge=purge, force=force)
    click.echo(gettext('Batch %(batch)s is deleted.', batch=bid))
