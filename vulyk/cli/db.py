"""Tasks in, answers out."""

import bz2
import glob
import gzip
import io
import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, NamedTuple

import click
import orjson
from flask import current_app

from vulyk.cli.batches import add_batch, default_batch_id, parse_meta, validate_batch
from vulyk.cli.context import TASK_TYPE, with_database
from vulyk.ext import consistency
from vulyk.models.exc import MalformedResultError, TaskImportError
from vulyk.models.fields import parse_json_object
from vulyk.models.task_types import ALL_BATCHES, AbstractTaskType, ImportResult
from vulyk.models.tasks import AbstractTask, Batch
from vulyk.models.transaction import in_transaction

_BOMS = {b'\xff\xfe': 'UTF-16', b'\xfe\xff': 'UTF-16'}


class Records(NamedTuple):
    """What a file holds: JSON objects, and the line each stands on."""

    path: str
    lines: list[int]
    objects: list[dict[str, Any]]


@contextmanager
def open_anything(filename: str) -> Generator[IO[bytes], None, None]:
    """Open a plain, ``.gz`` or ``.bz2`` file for reading bytes."""
    openers = {'.gz': gzip.open, '.bz2': bz2.open}
    with openers.get(Path(filename).suffix, open)(filename, 'rb') as file:
        yield file


def read_records(path: str) -> Records:
    """Read a file of JSON objects, one a line; blank lines are passed over.

    :raises TaskImportError: naming file, line and reason.
    """
    lines, objects = [], []
    number = 0
    try:
        with open_anything(path) as file:
            for number, line in enumerate(io.BufferedReader(file), 1):
                if number == 1:
                    line = _without_bom(line, path)
                if line.strip():
                    objects.append(parse_json_object(line, what='task'))
                    lines.append(number)
    except MalformedResultError as error:
        raise TaskImportError(f'{path}, line {number}: {error}') from error
    except EOFError as error:
        raise TaskImportError(f'{path}, after line {number}: the archive is cut off.') from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise TaskImportError(f'{path}, after line {number}: cannot be read ({reason}).') from error
    return Records(path, lines, objects)


def load_tasks(task_type: AbstractTaskType, path: str, batch: str) -> int:
    """Load one file as a batch, everything or nothing, and return the number of new tasks.

    :param batch: id of a new batch, or the default one.
    :raises TaskImportError: naming file, line and reason.
    """
    return load_files(task_type, [path], batch, {}).loaded


def load_files(task_type: AbstractTaskType, paths: Iterable[str], batch: str, meta: dict[str, Any]) -> ImportResult:
    """Load several files as one batch, everything or nothing.

    :param meta: facts of the batch that differ from the defaults of the task type.
    :raises TaskImportError: naming file, line and reason.
    :raises click.BadParameter: the batch cannot be extended.
    """
    default = current_app.config['DEFAULT_BATCH']
    batch_id = default_batch_id(task_type, default) if batch == default else batch
    files = [read_records(path) for path in paths]
    media = [_located(_store_media, task_type, records) for records in files]

    def load() -> ImportResult:
        results = [
            _located(_import, task_type, records, batch_id, stored)
            for records, stored in zip(files, media, strict=True)
        ]
        total = ImportResult(*(sum(column) for column in zip(*results, strict=True)))
        add_batch(batch_id, total.loaded, task_type, default, meta)
        return total

    return in_transaction(load)


def export_reports(task_id: AbstractTaskType, path: str, batch: str, closed: bool, with_sessions: bool = False) -> int:
    """Write the answers of a batch, one JSON list per task and line. Returns the number of tasks.

    :param task_id: the task type (the name is the documented one).
    :param path: the file; it appears, or is replaced, when everything is written.
    :param batch: id of a batch or ``__all__``.
    :param closed: only closed tasks.
    """
    target = Path(path)
    scratch = target.with_name(f'.{target.name}.{os.getpid()}.part')
    count = 0
    try:
        with scratch.open('wb') as file:
            for answers in task_id.export_reports(batch, closed=closed, with_sessions=with_sessions):
                file.write(orjson.dumps(answers) + b'\n')
                count += 1
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)
    return count


def _without_bom(line: bytes, path: str) -> bytes:
    for mark, name in _BOMS.items():
        if line.startswith(mark):
            raise TaskImportError(f'{path}, line 1: the file is {name}; save it as UTF-8.')
    return line.removeprefix(b'\xef\xbb\xbf')


def _store_media(task_type: AbstractTaskType, records: Records) -> dict[str, str]:
    if not task_type.media_fields:
        return {}
    limit = current_app.config['MEDIA_MAX_BYTES']
    return task_type.store_media(records.objects, Path(records.path).parent, max_bytes=limit)


def _import(task_type: AbstractTaskType, records: Records, batch_id: str, media: dict[str, str]) -> ImportResult:
    # Plugins that override import_tasks know its two documented parameters, and may return nothing.
    result = task_type.import_tasks(records.objects, batch_id, **({'media': media} if media else {}))
    return result or ImportResult(loaded=len(records.objects), duplicates=0)


def _located(step: Any, task_type: AbstractTaskType, records: Records, *args: Any) -> Any:
    """Run a step over the records of a file; its error names the file and the line."""
    try:
        return step(task_type, records, *args)
    except TaskImportError as error:
        if error.record is None:
            raise
        raise TaskImportError(f'{records.path}, line {records.lines[error.record - 1]}: {error}') from error


@click.group('db')
def db_group() -> None:
    """Load tasks and export answers."""


@db_group.command('load')
@click.argument('task_type', metavar='TYPE', type=TASK_TYPE)
@click.argument('path', nargs=-1, required=True)
@click.option('--batch', help='Id of the new batch; left out: the default batch, which may be extended.')
@click.option('--meta', type=(str, str), multiple=True, metavar='KEY VALUE', help='A fact of the batch; repeatable.')
@with_database
def load_command(task_type: AbstractTaskType, path: tuple[str, ...], batch: str | None, meta: Any) -> None:
    """Load files of JSON lines (plain, .gz, .bz2; quoted wildcards work) as tasks of TYPE: all of them, or none."""
    default = current_app.config['DEFAULT_BATCH']
    batch = validate_batch(None, 'batch', default if batch is None else batch, default)
    facts = parse_meta(task_type, meta)
    files = [found for pattern in path for found in _expanded(pattern)]
    for number, file in enumerate(files, 1):
        click.echo(f'Loading file {number} from {len(files)}: {file}')
    try:
        result = load_files(task_type, files, batch, facts)
    except TaskImportError as error:
        raise click.UsageError(f'{error} Nothing was loaded.') from error
    click.echo(f'Finished loading {result.loaded} tasks')
    if result.duplicates:
        click.echo(f'{result.duplicates} records are tasks already and were left out')


def _expanded(pattern: str) -> list[str]:
    found = sorted(glob.glob(pattern, recursive=True)) if glob.has_magic(pattern) else [pattern]
    if not found or not Path(found[0]).exists():
        raise click.BadParameter(f'There is no file {pattern}.')
    return found


@db_group.command('export')
@click.argument('task_type', metavar='TYPE', type=TASK_TYPE)
@click.argument('path', type=click.Path(dir_okay=False, writable=True))
@click.option('--batch', help=f'Id of a batch, or {ALL_BATCHES}; left out: the default batch.')
@click.option('--export-all', is_flag=True, help='Open tasks too, not only closed ones.')
@click.option('--with-sessions', is_flag=True, help='Add when and how long people worked.')
@with_database
def export_command(
    task_type: AbstractTaskType, path: str, batch: str | None, export_all: bool, with_sessions: bool
) -> None:
    """Write the answers to tasks of TYPE to the file PATH, one JSON list per task and line."""
    batch_id = _existing_batch(task_type, batch)
    try:
        count = export_reports(task_type, path, batch_id, not export_all, with_sessions)
    except OSError as error:
        raise click.ClickException(f'{path} cannot be written: {error.strerror}.') from error
    click.echo(f'Finished exporting answers for {count} tasks')
    if not count and not export_all:
        _explain_empty_export(task_type, batch_id)


def _existing_batch(task_type: AbstractTaskType, batch: str | None) -> str:
    default = current_app.config['DEFAULT_BATCH']
    batch_id = default_batch_id(task_type, default) if batch in (None, default) else batch
    if batch_id == ALL_BATCHES or Batch.objects(pk=batch_id, task_type=task_type.type_name):
        return batch_id
    own = ', '.join(Batch.objects(task_type=task_type.type_name).order_by('created_at').scalar('id')) or 'none'
    raise click.BadParameter(
        f'{task_type.type_name} has no batch {batch_id!r}. It has: {own}. For all of them use --batch {ALL_BATCHES}.'
    )


def _explain_empty_export(task_type: AbstractTaskType, batch_id: str) -> None:
    answered = AbstractTask.objects(task_type=task_type.type_name, closed__ne=True, users_count__gt=0)
    if batch_id != ALL_BATCHES:
        answered = answered.filter(batch=batch_id)
    click.echo(
        f'No task is closed yet. {answered.count()} open tasks have answers; --export-all exports them too.', err=True
    )


@db_group.command('check')
@with_database
def check_command() -> None:
    """Compare every counter with its documents; exit code 1 if something is wrong. Volunteers may go on working."""
    problems = 0
    for problem in consistency.check():
        problems += 1
        click.echo(f'{problem.kind} {problem.id}: {problem.text}')
    if problems:
        raise click.ClickException(f'{problems} problems; "db repair" mends what can be derived from the documents.')
    click.echo('Everything agrees.')


@db_group.command('repair')
@with_database
def repair_command() -> None:
    """Complete what was left unfinished, mend counters, and say what was done."""
    redundancies = {name: task_type.redundancy for name, task_type in current_app.task_types.items()}
    repairs = 0
    for text in consistency.repair(redundancies, datetime.now(UTC)):
        repairs += 1
        click.echo(text)
    click.echo(f'{repairs} repairs' if repairs else 'Nothing to repair.')
