"""The admin page that loads tasks from a file: what ``db load`` does, in the browser."""

import json
import logging
import shutil
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from flask import Flask, Response, current_app, request
from flask_admin import BaseView, expose
from flask_babel import gettext
from flask_login import current_user
from pymongo.errors import ConnectionFailure

from vulyk import batches, loading
from vulyk.admin.access import StaffOnly
from vulyk.models import audit, media
from vulyk.models.exc import MalformedResultError, ResultTooLargeError, TaskImportError
from vulyk.models.facts import check_facts
from vulyk.models.fields import parse_json_object
from vulyk.models.task_types import AbstractTaskType
from vulyk.models.user import User
from vulyk.utils import HTTPStatus

log = logging.getLogger(__name__)

CHUNK_BYTES = 1024 * 1024
TELL_EVERY_S = 0.5
FACTS_FILE = 'facts.json'
_DATA_FILES = ('.jsonl', '.ndjson', '.json', '.csv')


@dataclass
class Wanted:
    """What is to be done with the file, and by whom it was sent."""

    task_type: AbstractTaskType
    batch_id: str
    meta: dict[str, Any]
    key: str | None
    skip_invalid: bool
    only_check: bool
    file_name: str
    user: User


@dataclass
class Progress:
    """How far the work is: records seen of all there are (0: not known yet). ``is_over``: nobody waits for it any more."""

    phase: str = 'check'
    seen: int = 0
    records: int = 0
    is_over: bool = False
    outcome: dict[str, Any] = field(default_factory=dict)

    def step(self) -> None:
        """One more record.

        :raises TaskImportError: the browser has gone.
        """
        self.seen += 1
        if self.is_over:
            raise TaskImportError(gettext('The browser has gone.'))


class UploadView(StaffOnly, BaseView):
    """Takes one file with tasks, or an archive with the files they show; tells how far it is, line by line, as JSON."""

    extra_js = ['/static/admin/load.js']

    def is_visible(self) -> bool:
        """Not in the menu: the page of batches leads here."""
        return False

    @expose('/')
    def index(self) -> str:
        """The form."""
        return self.render(
            'admin/vulyk_load.html', task_types=my_task_types(), limit=current_app.config['UPLOAD_MAX_BYTES']
        )

    @expose('/receive', methods=('POST',))
    def receive(self) -> Response:
        """The file is the body of the request; what to do with it stands in the query string.

        Answers lines of JSON: ``{"phase", "seen", "records"}`` now and then, and the outcome at the end: ``{"error",
        "problems"}``, or ``{"records", "invalid", "problems", "first", "blocked"}``, after a load with ``{"loaded",
        "duplicates", "batch"}`` too.
        """
        folder = tempfile.TemporaryDirectory(prefix='vulyk-upload-')
        try:
            wanted = read_wanted()
            path = Path(folder.name, wanted.file_name)
            with path.open('wb') as file:
                shutil.copyfileobj(request.stream, file, CHUNK_BYTES)
        except TaskImportError as error:
            folder.cleanup()
            return Response(
                _line({'error': str(error), 'problems': []}), HTTPStatus.UNPROCESSABLE, mimetype='application/json'
            )
        except BaseException:
            folder.cleanup()
            raise
        return Response(_told(current_app._get_current_object(), wanted, path, folder), mimetype='application/x-ndjson')


def my_task_types() -> dict[str, AbstractTaskType]:
    """The task types that whoever asks looks after."""
    return {
        name: kind
        for name, kind in current_app.task_types.items()
        if current_user.is_admin() or name in current_user.manages
    }


def read_wanted() -> Wanted:
    """What the query string asks for.

    :raises TaskImportError: it cannot be done.
    """
    asked, config = request.args, current_app.config
    task_type = my_task_types().get(asked.get('type', ''))
    if task_type is None:
        raise TaskImportError(gettext('Choose one of the projects you look after.'))
    name = PurePosixPath(asked.get('name', '').replace('\\', '/')).name
    if name in ('', '..') or '\0' in name or len(name.encode()) > 200:
        raise TaskImportError(gettext('Choose a file.'))
    default = config['DEFAULT_BATCH']
    batch = batches.check_batch_id(asked.get('batch', '').strip() or default, default)
    lines = [line.partition(' ') for line in asked.get('meta', '').splitlines() if line.strip()]
    return Wanted(
        task_type=task_type,
        batch_id=batches.default_batch_id(task_type, default) if batch == default else batch,
        meta=batches.parse_meta(task_type, [(key, value.strip()) for key, _, value in lines]),
        key=asked.get('key', '').strip() or None,
        skip_invalid='skip' in asked,
        only_check='check' in asked,
        file_name=name,
        user=current_user._get_current_object(),
    )


def _told(app: Flask, wanted: Wanted, path: Path, folder: tempfile.TemporaryDirectory) -> Iterator[str]:
    """The lines of the answer. If nobody reads them any more, the work is stopped and nothing of it is seen."""
    progress = Progress()
    worker = threading.Thread(target=_work, args=(app, wanted, path, progress), daemon=True)
    worker.start()
    try:
        while worker.is_alive():
            worker.join(TELL_EVERY_S)
            yield _line({'phase': progress.phase, 'seen': progress.seen, 'records': progress.records})
        yield _line(progress.outcome)
    finally:
        progress.is_over = True
        worker.join()
        folder.cleanup()


def _line(told: dict[str, Any]) -> str:
    return json.dumps(told, ensure_ascii=False, default=str) + '\n'


def _work(app: Flask, wanted: Wanted, path: Path, progress: Progress) -> None:
    with app.app_context():
        try:
            outcome = _check_and_load(wanted, path, progress)
        except TaskImportError as error:
            outcome = {'error': f'{error} Nothing was loaded.'}
        except ConnectionFailure:
            outcome = {'error': 'The database does not answer. Nothing was loaded; try again in a minute.'}
        except Exception:  # the browser waits for an outcome
            log.exception('Loading %s failed', wanted.file_name)
            outcome = {'error': 'The site has a problem. Nothing was loaded; its log says more.'}
    # Whoever sent the file knows it by its name, not by the folder it is in here.
    hidden = (f'{path.parent}/archive/', f'{path.parent}/')
    for place in hidden:
        outcome['problems'] = [problem.replace(place, '') for problem in outcome.get('problems', [])]
        if 'error' in outcome:
            outcome['error'] = outcome['error'].replace(place, '')
    progress.outcome = outcome


def _check_and_load(wanted: Wanted, path: Path, progress: Progress) -> dict[str, Any]:
    config, task_type = current_app.config, wanted.task_type
    paths, facts = _unpacked(path, config['UPLOAD_MAX_BYTES'])
    limit = config['MEDIA_MAX_BYTES']
    report = loading.check(task_type, paths, max_media_bytes=limit, key=wanted.key, progress=progress.step)
    outcome = _found(report)
    if report.invalid and not wanted.skip_invalid:
        of = report.records + report.invalid
        return {**outcome, 'error': f'{report.invalid} of {of} records are not valid. Nothing was loaded.'}
    if wanted.only_check:
        return outcome
    progress.phase, progress.seen, progress.records = 'load', 0, report.records + report.invalid

    def published(count: int) -> None:
        after = {'type': task_type.type_name, 'tasks': count, 'file': wanted.file_name}
        audit.record(wanted.user, 'tasks.load', f'batch {wanted.batch_id}', after=after)

    done = batches.load_files(
        task_type,
        paths,
        wanted.batch_id,
        wanted.meta,
        default_batch=config['DEFAULT_BATCH'],
        max_media_bytes=limit,
        facts=facts,
        key=wanted.key,
        skip_invalid=wanted.skip_invalid,
        progress=progress.step,
        published=published,
    )
    return {**outcome, 'loaded': done.loaded, 'duplicates': done.duplicates, 'batch': wanted.batch_id}


def _found(report: loading.Report) -> dict[str, Any]:
    allowed = current_app.config['MEDIA_ORIGINS']
    return {
        'records': report.records,
        'invalid': report.invalid,
        'problems': report.problems,
        'first': report.first,
        'blocked': sorted(host for host in report.hosts if not media.is_allowed(host, allowed)),
    }


def _unpacked(path: Path, limit: int) -> tuple[list[str], dict[str, Any]]:
    """The files with tasks and the facts of the batch; of an archive those that are in it, else the file itself.

    :raises TaskImportError: the archive is broken, encrypted or too large, leaves its folder, or holds no tasks.
    """
    if path.suffix.lower() != '.zip':
        return [str(path)], {}
    folder = path.parent / 'archive'
    folder.mkdir()
    try:
        with zipfile.ZipFile(path) as archive:
            _extract(archive, folder, limit)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, RuntimeError, EOFError, NotImplementedError, OSError) as error:
        raise TaskImportError(
            gettext('%(path)s: cannot be unpacked (%(reason)s).', path=path.name, reason=error)
        ) from error
    paths = sorted(str(found) for found in folder.rglob('*') if found.is_file() and _holds_tasks(found))
    if not paths:
        raise TaskImportError(
            gettext(
                '%(path)s: there is no file with tasks in it, which ends in %(names)s.',
                path=path.name,
                names=', '.join(_DATA_FILES),
            )
        )
    return paths, _facts_in(folder)


def _holds_tasks(path: Path) -> bool:
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    return (
        path.name != FACTS_FILE and not path.name.startswith('.') and any(suffix in _DATA_FILES for suffix in suffixes)
    )


def _extract(archive: zipfile.ZipFile, folder: Path, limit: int) -> None:
    left = limit
    for info in archive.infolist():
        if info.is_dir() or info.filename.startswith('__MACOSX/'):
            continue
        target = (folder / info.filename).resolve()
        if not target.is_relative_to(folder.resolve()):
            raise TaskImportError(gettext('%(file)s lies outside of the archive.', file=repr(info.filename)))
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(info) as packed, target.open('wb') as file:
            left -= _copied(packed, file, left)
        if left < 0:
            raise TaskImportError(
                gettext(
                    'Unpacked, the archive has more than %(limit)s bytes (setting UPLOAD_MAX_BYTES).',
                    limit=f'{limit:,}',
                )
            )


def _copied(source: IO[bytes], target: IO[bytes], limit: int) -> int:
    """How many bytes were copied; stops soon after the limit, because an archive may say what it likes of its size."""
    copied = 0
    while copied <= limit and (part := source.read(CHUNK_BYTES)):
        copied += target.write(part)
    return copied


def _facts_in(folder: Path) -> dict[str, Any]:
    path = folder / FACTS_FILE
    if not path.is_file():
        return {}
    try:
        return check_facts(parse_json_object(path.read_bytes(), what='facts'))
    except (MalformedResultError, ResultTooLargeError, ValueError) as error:
        raise TaskImportError(f'{FACTS_FILE}: {error}') from error
