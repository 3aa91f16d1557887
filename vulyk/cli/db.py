"""Tasks in, answers out."""

import glob
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from flask import current_app
from pymongo.errors import PyMongoError

from vulyk import batches, loading
from vulyk.batches import MAX_ID_LENGTH
from vulyk.cli.backup import backup_command, restore_command
from vulyk.cli.batches import parse_meta, read_facts, validate_batch
from vulyk.cli.context import MOMENT, TASK_TYPE, operator, with_database
from vulyk.cli.indexes import index_command
from vulyk.cli.migrate import migrate_command
from vulyk.exporting import writing
from vulyk.exporting.formats import FORMATS
from vulyk.exporting.reading import Wanted
from vulyk.exporting.writing import Export
from vulyk.ext import consistency
from vulyk.loading import open_anything
from vulyk.models import audit, media
from vulyk.models.exc import TaskExportError, TaskImportError
from vulyk.models.task_types import ALL_BATCHES, AbstractTaskType
from vulyk.models.tasks import AbstractAnswer, AbstractTask, Batch
from vulyk.terminal import Bar, json_option, print_json
from vulyk.texts import gettext

__all__ = ['export_reports', 'load_tasks', 'open_anything']


def load_tasks(task_type: AbstractTaskType, path: str, batch: str) -> int:
    """Load one file as a batch, everything or nothing, and return the number of new tasks.

    :param batch: id of a new batch, or the default one.
    :raises TaskImportError: naming file, line and reason.
    """
    return load_files(task_type, [path], batch, {}).loaded


def load_files(
    task_type: AbstractTaskType,
    paths: Sequence[str],
    batch: str,
    meta: dict[str, Any],
    *,
    facts: Mapping[str, Any] | None = None,
    key: str | None = None,
    skip_invalid: bool = False,
    progress: Callable[[], None] = lambda: None,
    published: Callable[[int], None] = lambda count: None,
) -> loading.Loaded:
    """Load several files as one batch, everything or nothing; they should have been checked with ``loading.check``.

    :param meta: facts of the batch that differ from the defaults of the task type.
    :param facts: what people are told about a new batch, checked by :func:`vulyk.models.facts.check_facts`.
    :raises TaskImportError: naming file, line and reason; or that the batch cannot be extended.
    """
    config = current_app.config
    return batches.load_files(
        task_type,
        paths,
        _batch_id(task_type, batch),
        meta,
        default_batch=config['DEFAULT_BATCH'],
        max_media_bytes=config['MEDIA_MAX_BYTES'],
        facts=facts,
        key=key,
        skip_invalid=skip_invalid,
        progress=progress,
        published=published,
    )


def _batch_id(task_type: AbstractTaskType, batch: str | None) -> str:
    """The id behind what was typed: nothing, and the name of the default batch, mean the default batch of this type."""
    default = current_app.config['DEFAULT_BATCH']
    return batches.default_batch_id(task_type, default) if batch in (None, default) else str(batch)


def export_reports(
    task_id: AbstractTaskType,
    path: str,
    batch: str,
    closed: bool,
    with_sessions: bool = False,
    counted_only: bool = False,
) -> int:
    """Write the answers of a batch, one JSON list per task and line. Returns the number of tasks.

    :param task_id: the task type (the name is the documented one).
    :param path: the file; it appears, or is replaced, when everything is written.
    :param batch: id of a batch or ``__all__``.
    :param closed: only closed tasks.
    :param counted_only: without extra answers, which came when their task had enough.
    """
    export = Export(task_id, Wanted(batch, closed, with_sessions=with_sessions, counted_only=counted_only))
    write_export(export, path)
    return export.tasks


def write_export(export: Export, path: str, *, resume: bool = False) -> None:
    """Write an export to a file with its manifest; to what is no file, a pipe for instance, and ``-`` as it comes."""
    is_file = path != '-' and (not os.path.exists(path) or os.path.isfile(path))
    if resume and not is_file:
        raise TaskExportError(gettext('--resume: only an export into a file can be gone on with.'))
    if path == '-':
        writing.write_stream(export, sys.stdout.buffer)
    elif is_file:
        writing.write_file(export, Path(path), resume=resume, facts=writing.facts_of(current_app.config))
    else:
        with open(path, 'wb') as file:
            writing.write_stream(export, file, Path(path).suffix)


@click.group('db')
def db_group() -> None:
    """Load tasks and export answers."""


@db_group.command('load')
@click.argument('task_type', metavar='TYPE', type=TASK_TYPE)
@click.argument('path', nargs=-1, required=True)
@click.option('--batch', help='Id of the new batch; left out: the default batch, which may be extended.')
@click.option('--meta', type=(str, str), multiple=True, metavar='KEY VALUE', help='A fact of the batch; repeatable.')
@click.option('--facts', metavar='FILE', help='What people are told about the batch: a JSON file.')
@click.option('--key', metavar='FIELD', help='Field whose value becomes the id of the task.')
@click.option('--skip-invalid', is_flag=True, help='Leave out records that are not valid, and count them.')
@click.option('--dry-run', is_flag=True, help='Only check: counts, problems, and the first three tasks.')
@json_option
@with_database
def load_command(
    task_type: AbstractTaskType,
    path: tuple[str, ...],
    batch: str | None,
    meta: tuple[tuple[str, str], ...],
    facts: str | None,
    key: str | None,
    skip_invalid: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Load files as tasks of TYPE: all of them, or none.

    Files hold one JSON object a line, or CSV with the names of the fields in the first line; .gz, .bz2, .xz and .zst are
    unpacked. Quoted wildcards work; several files become one batch.
    """
    default = current_app.config['DEFAULT_BATCH']
    batch = validate_batch(None, 'batch', default if batch is None else batch, default)
    batch_meta, told = parse_meta(task_type, meta), read_facts(facts)
    _check_default_batch(task_type, batch, '--meta' if batch_meta else '--facts' if told else None)
    files = [found for pattern in path for found in _expanded(pattern)]
    limit = current_app.config['MEDIA_MAX_BYTES']
    try:
        with Bar(None, gettext('Checking')) as bar:
            report = loading.check(
                task_type, files, max_media_bytes=limit, key=key, count_known=dry_run, progress=bar.advance
            )
        _tell_problems(report)
        _tell_blocked(report)
        if dry_run and as_json:
            print_json({'valid': report.records, **_facts(report, ('invalid', 'duplicates', 'problems', 'first'))})
        elif dry_run:
            _tell_first(report, len(files))
        if report.invalid and not skip_invalid:
            raise TaskImportError(
                gettext(
                    '%(invalid)s of %(number)s records are not valid.',
                    invalid=report.invalid,
                    number=report.records + report.invalid,
                )
            )
        if dry_run:
            return None

        def published(count: int) -> None:
            names = [Path(file).name for file in files]
            after = {'type': task_type.type_name, 'tasks': count, 'files': names}
            audit.record(operator(), 'tasks.load', f'batch {_batch_id(task_type, batch)}', after=after)

        with Bar(report.records + report.invalid, gettext('Loading')) as bar:
            result = load_files(
                task_type,
                files,
                batch,
                batch_meta,
                facts=told,
                key=key,
                skip_invalid=skip_invalid,
                progress=bar.advance,
                published=published,
            )
    except TaskImportError as error:
        raise click.UsageError(gettext('%(reason)s Nothing was loaded.', reason=error)) from error
    if as_json:
        return print_json({'batch': _batch_id(task_type, batch), **result._asdict()})
    click.echo(gettext('Finished loading %(number)s tasks', number=result.loaded))
    if result.duplicates:
        click.echo(gettext('%(number)s records are tasks already and were left out', number=result.duplicates))
    if result.invalid:
        click.echo(gettext('%(number)s records are not valid and were left out', number=result.invalid))
    return None


def _facts(of: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(of, name) for name in names}


def _check_default_batch(task_type: AbstractTaskType, batch: str, option: str | None) -> None:
    """Refuse what the default batch of a type cannot take, before anything is loaded.

    :param option: one that only a new batch takes.
    """
    batch_id = _batch_id(task_type, batch)
    if len(batch_id) > MAX_ID_LENGTH:
        raise click.BadParameter(
            gettext('The id %(batch)s of the default batch is too long; name a batch with --batch.', batch=batch_id)
        )
    if option and Batch.objects(pk=batch_id):
        raise click.BadParameter(
            gettext(
                '%(option)s: batch %(batch)s exists and keeps its facts; name a new one with --batch.',
                option=option,
                batch=batch_id,
            )
        )


def _tell_problems(report: loading.Report) -> None:
    for problem in report.problems:
        click.echo(problem, err=True)
    if report.invalid > len(report.problems):
        click.echo(gettext('… and %(number)s more', number=report.invalid - len(report.problems)), err=True)


def _tell_first(report: loading.Report, files: int) -> None:
    click.echo(
        gettext(
            '%(valid)s of %(number)s records in %(files)s files are valid, %(known)s of them are tasks already. '
            'The first of them:',
            valid=report.records,
            number=report.records + report.invalid,
            files=files,
            known=report.duplicates or gettext('none'),
        )
    )
    for data in report.first:
        click.echo(json.dumps(data, ensure_ascii=False, indent=2))


def _tell_blocked(report: loading.Report) -> None:
    allowed = current_app.config['MEDIA_ORIGINS']
    for host in sorted(host for host in report.hosts if not media.is_allowed(host, allowed)):
        click.echo(
            gettext(
                'Tasks show files of %(host)s, which is not in MEDIA_ORIGINS: volunteers will read that '
                'they are blocked.',
                host=host,
            ),
            err=True,
        )


def _expanded(pattern: str) -> list[str]:
    if pattern and os.path.exists(pattern):  # it may well hold brackets
        return [pattern]
    found = sorted(glob.glob(pattern, recursive=True))
    if not found:
        raise click.BadParameter(gettext('There is no file %(file)s.', file=pattern or gettext('without a name')))
    return found


@db_group.command('export')
@click.argument('task_type', metavar='TYPE', type=TASK_TYPE)
@click.argument('path', type=click.Path(dir_okay=False, writable=True, allow_dash=True))
@click.option('--batch', help='Id of a batch, or __all__; left out: the default batch.')
@click.option('--format', 'form', type=click.Choice(list(FORMATS)), default='tasks', show_default=True)
@click.option('--export-all', is_flag=True, help='Open tasks too, not only closed ones.')
@click.option('--since', type=MOMENT, help='Only tasks that got an answer at that time (UTC) or later.')
@click.option('--with-sessions', is_flag=True, help='Add when and how long people worked.')
@click.option('--with-emails', is_flag=True, help='Fill in the addresses of the people; the audit log will say so.')
@click.option('--counted-only', is_flag=True, help='Without answers that came when their task had enough.')
@click.option('--resume', is_flag=True, help='Go on with what an interrupted export has left beside PATH, if anything.')
@json_option
@with_database
def export_command(
    task_type: AbstractTaskType,
    path: str,
    batch: str | None,
    form: str,
    export_all: bool,
    since: datetime | None,
    with_sessions: bool,
    with_emails: bool,
    counted_only: bool,
    resume: bool,
    as_json: bool,
) -> None:
    """Write the answers to tasks of TYPE to the file PATH, or to standard output (-), with a manifest beside the file.

    Format tasks is one JSON list for each task and line, jsonl one JSON object for each answer and line, csv a table with
    one row for each answer. A file ending in .gz, .bz2, .xz or .zst is packed.
    """
    batch_id = _existing_batch(task_type, batch)
    wanted = Wanted(batch_id, not export_all, with_sessions, with_emails, counted_only, since)
    if form != 'csv' and '.csv' in Path(path).suffixes[-2:]:
        click.echo(
            gettext('%(path)s gets JSON lines, in spite of its name; --format csv writes a table.', path=path), err=True
        )
    try:
        with Bar(_expected_answers(task_type, batch_id), gettext('Exporting')) as bar:
            export = Export(task_type, wanted, form, progress=bar.advance)
            if with_emails:
                writing.audit_emails(export, operator(), path)
            write_export(export, path, resume=resume)
    except TaskExportError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        name = gettext('Standard output') if path == '-' else path or gettext('A file without a name')
        raise click.ClickException(
            gettext(
                '%(name)s cannot be written: %(reason)s.%(hint)s', name=name, reason=error.strerror, hint=_hint(path)
            )
        ) from error
    except PyMongoError as error:
        raise click.ClickException(
            gettext('The database has failed: %(reason)s.%(hint)s', reason=error, hint=_hint(path))
        ) from error
    except KeyboardInterrupt:
        click.echo(_hint(path), err=True)
        raise
    if as_json:
        print_json({'path': path, 'batch': batch_id, 'tasks': export.tasks, 'answers': export.answers}, err=path == '-')
    else:
        click.echo(gettext('Finished exporting answers for %(number)s tasks', number=export.tasks), err=path == '-')
    if not export.tasks and not export_all:
        _explain_empty_export(task_type, batch_id)


def _hint(path: str) -> str:
    if path == '-' or not writing.left_behind(Path(path)):
        return ''
    return ' ' + gettext('What is written so far lies beside it; the same command with --resume goes on.')


def _expected_answers(task_type: AbstractTaskType, batch_id: str) -> int:
    """Roughly, for the progress bar."""
    answers = AbstractAnswer._get_collection()
    if batch_id == ALL_BATCHES:
        return answers.count_documents({'taskType': task_type.type_name})
    batch = Batch.objects.get(pk=batch_id)
    return batch.tasks_processed * (batch.redundancy or task_type.redundancy)


def _existing_batch(task_type: AbstractTaskType, batch: str | None) -> str:
    batch_id = _batch_id(task_type, batch)
    if batch_id == ALL_BATCHES or Batch.objects(pk=batch_id, task_type=task_type.type_name):
        return batch_id
    own = ', '.join(Batch.objects(task_type=task_type.type_name).order_by('created_at').scalar('id')) or gettext('none')
    raise click.BadParameter(
        gettext(
            '%(type)s has no batch %(batch)s. It has: %(names)s. For all of them use --batch %(all)s.',
            type=task_type.type_name,
            batch=repr(batch_id),
            names=own,
            all=ALL_BATCHES,
        )
    )


def _explain_empty_export(task_type: AbstractTaskType, batch_id: str) -> None:
    answered = AbstractTask.objects(task_type=task_type.type_name, closed__ne=True, users_count__gt=0)
    if batch_id != ALL_BATCHES:
        answered = answered.filter(batch=batch_id)
    click.echo(
        gettext(
            'No task is closed yet. %(number)s open tasks have answers; --export-all exports them too.',
            number=answered.count(),
        ),
        err=True,
    )


@db_group.command('check')
@json_option
@with_database
def check_command(as_json: bool) -> None:
    """Compare every counter with its documents; exit code 1 if something is wrong. Volunteers may go on working."""
    problems = []
    with Bar(None, gettext('Comparing')) as bar:
        for problem in consistency.check(progress=bar.advance):
            problems.append(problem)
            if not as_json:
                click.echo(f'{problem.kind} {problem.id}: {problem.text}')
    if as_json:
        print_json([problem._asdict() for problem in problems])
    if problems:
        raise click.ClickException(
            gettext(
                '%(number)s problems; "db repair" mends what can be derived from the documents.', number=len(problems)
            )
        )
    if not as_json:
        click.echo(gettext('Everything agrees.'))


@db_group.command('repair')
@with_database
def repair_command() -> None:
    """Complete what was left unfinished, mend counters, and say what was done."""
    redundancies = {name: task_type.redundancy for name, task_type in current_app.task_types.items()}
    repairs = 0
    now = datetime.now(UTC)
    for name in redundancies:
        if dead := loading.remove_dead_loads(name, now):
            repairs += dead
            click.echo(
                gettext('%(type)s: what %(number)s interrupted loads had left is deleted.', type=name, number=dead)
            )
    with Bar(None, gettext('Comparing')) as bar:
        for text in consistency.repair(redundancies, now, progress=bar.advance):
            repairs += 1
            click.echo(text)
    click.echo(gettext('%(number)s repairs', number=repairs) if repairs else gettext('Nothing to repair.'))


db_group.add_command(index_command)
db_group.add_command(migrate_command)
db_group.add_command(backup_command)
db_group.add_command(restore_command)
