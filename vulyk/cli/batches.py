"""Batches of tasks."""

import codecs
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
from bson import Decimal128

from vulyk.cli.context import BATCH, with_database
from vulyk.ext.counting import recount_user
from vulyk.models.exc import MalformedResultError, ResultTooLargeError
from vulyk.models.facts import check_facts
from vulyk.models.fields import parse_json_object
from vulyk.models.stats import WorkSession
from vulyk.models.task_types import ALL_BATCHES, AbstractTaskType
from vulyk.models.tasks import AbstractAnswer, AbstractTask, Batch, Closing, Load
from vulyk.models.transaction import in_transaction

MAX_ID_LENGTH = 50


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
    existing = Batch.objects(pk=batch_id).first()
    if existing is None:
        meta = {**task_type.task_type_meta, **(batch_meta or {})}
        Batch(
            id=batch_id,
            task_type=task_type.type_name,
            tasks_count=count,
            batch_meta=meta,
            redundancy=task_type.redundancy,
            **(facts or {}),
        ).save(force_insert=True)
        return
    if existing.task_type != task_type.type_name:
        raise click.BadParameter(f'Batch {batch_id} belongs to the task type {existing.task_type}.')
    if batch_id != default_batch_id(task_type, default_batch):
        raise click.BadParameter(f'Batch with id {batch_id} already exists')
    if count:
        Batch.objects(pk=batch_id).update_one(inc__tasks_count=count, set__closed=False)
        Load.open_again(batch_id)


def default_batch_id(task_type: AbstractTaskType, default_batch: str) -> str:
    """The default batch of a type: the one called so if it is this type's or nobody's, else ``<default>_<type>``."""
    owner = Batch.objects(pk=default_batch).scalar('task_type').first()
    return default_batch if owner in (None, task_type.type_name) else f'{default_batch}_{task_type.type_name}'


def batches_list() -> list[str]:
    """The ids of all batches."""
    return list(Batch.objects.order_by('created_at', 'id').scalar('id'))


def validate_batch(ctx: click.Context | None, param: Any, value: str, default_batch: str) -> str:
    """The value, if tasks may be loaded into a batch of that name: a new one, or the default one.

    :raises click.BadParameter: the batch exists already, or the name is empty or too long.
    """
    if not value.strip() or len(value) > MAX_ID_LENGTH:
        raise click.BadParameter(f'A batch id has 1 to {MAX_ID_LENGTH} characters.')
    if value == ALL_BATCHES:
        raise click.BadParameter(f'{value} means all batches; choose another id.')
    existing = Batch.objects(pk=value).first() if value != default_batch else None
    if existing is not None:
        raise click.BadParameter(f'Batch with id {value} already exists (it belongs to {existing.task_type})')
    return value


def parse_meta(task_type: AbstractTaskType, pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Facts of a batch from the command line, converted to the types the task type declares.

    :param pairs: ``(key, text)``; numbers are kept as exact decimals, truth values are true, false, 1 or 0.
    :raises click.BadParameter: a key the type does not know, or a value of the wrong kind.
    """
    known = task_type.task_type_meta
    meta: dict[str, Any] = {}
    for key, text in pairs:
        if key not in known:
            names = ', '.join(known) or 'none'
            raise click.BadParameter(f'--meta {key}: {task_type.type_name} has no such fact. It knows: {names}.')
        try:
            meta[key] = _convert(text, known[key])
        except (KeyError, ValueError, ArithmeticError) as error:
            kind = {bool: 'true or false', str: 'a text'}.get(type(known[key]), 'a number')
            raise click.BadParameter(f'--meta {key}: {text!r} is not {kind}.') from error
    return meta


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


def _convert(text: str, default: Any) -> Any:
    if isinstance(default, bool):
        return {'true': True, '1': True, 'false': False, '0': False}[text.strip().lower()]
    if isinstance(default, (int, float, Decimal)):
        number = Decimal(text)
        if not number.is_finite():
            raise ValueError(text)
        return Decimal128(number)
    return text


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
