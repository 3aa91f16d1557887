"""Writes an export with its manifest: into a file, which can be gone on with after a crash, or as a stream."""

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from flask_babel import gettext

from vulyk.exporting import reading
from vulyk.exporting.formats import FORMATS, Packer, Shaper, stream
from vulyk.exporting.reading import ALL_BATCHES, Wanted
from vulyk.models import audit
from vulyk.models.exc import TaskExportError
from vulyk.models.facts import FACTS
from vulyk.models.tasks import Batch
from vulyk.models.user import User
from vulyk.utils import accepts

if TYPE_CHECKING:
    from vulyk.models.task_types import AbstractTaskType

try:
    import fcntl
except ImportError:  # not a Unix; then nobody notices two exports into one file
    fcntl = None  # type: ignore[assignment]

MANIFEST = '.manifest.json'
CHECKPOINT_BYTES = 64 * 1024 * 1024  # of answers, before they are packed
_PIECE = 256 * 1024

Progress = Callable[[int], None]


@dataclass
class Export:
    """What is exported, in which form, and how far it has come.

    :param form: a key of :data:`~vulyk.exporting.formats.FORMATS`.
    :param progress: called with the number of answers of each task.
    :raises TaskExportError: the plugin exports in its own way, which does not know an option.
    """

    task_type: 'AbstractTaskType'
    wanted: Wanted
    form: str = 'tasks'
    progress: Progress = lambda count: None
    tasks: int = 0
    answers: int = 0
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        for name in self._options_for_plugin():
            if not accepts(self.task_type.export_reports, name):
                raise TaskExportError(
                    gettext(
                        'The plugin of %(type)s writes exports in its own way, which knows no --%(option)s.',
                        type=self.task_type.type_name,
                        option=name.replace('_', '-'),
                    )
                )

    def read(self, after: str = '') -> Iterator[tuple[str, list[Any]]]:
        """Pairs of a task's id and its answers, counted. Plugins that export themselves do not tell ids: they are empty."""
        for task_id, entries in self._read(after):
            self.tasks += 1
            self.answers += len(entries)
            self.progress(len(entries))
            yield task_id, entries

    def entries(self) -> Iterator[list[Any]]:
        """The answers, a list per task."""
        return (entries for _, entries in self.read())

    def _read(self, after: str) -> Iterator[tuple[str, list[Any]]]:
        if not self.task_type.exports_itself():
            yield from reading.read(self.task_type, self.wanted, after=after)
            return
        options = self._options_for_plugin()
        for entries in self.task_type.export_reports(self.wanted.batch, closed=self.wanted.closed, **options):
            yield '', entries

    def _options_for_plugin(self) -> dict[str, Any]:
        """What its own ``export_reports`` is given besides batch and ``closed``: old ones know less than there is now."""
        chosen = {
            name: value for name, value in asdict(self.wanted).items() if value and name not in ('batch', 'closed')
        }
        return chosen if self.task_type.exports_itself() else {}


def audit_emails(export: Export, actor: User | str, target: str) -> None:
    """Record that somebody exports addresses; before the first is written.

    :param actor: the user, or a text that says who it was.
    :param target: where they go.
    """
    wanted = asdict(export.wanted)
    batch = f'batch {wanted["batch"]}' if wanted['batch'] != ALL_BATCHES else 'all batches'
    subject = f'{batch} of {export.task_type.type_name}'
    audit.record(actor, 'answers.export_with_emails', subject, after={**wanted, 'format': export.form, 'to': target})


def facts_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a manifest says of the site, by its settings."""
    return {'site': str(config['SITE_NAME']), 'contributors_terms': str(config['CONTRIBUTORS_TERMS']) or None}


# --- files --------------------------------------------------------------------------------------------------------------


def write_file(export: Export, path: Path, *, resume: bool, facts: Mapping[str, Any]) -> None:
    """Write the answers beside the file, and put them, with their manifest, in its place when they are complete.

    What an interrupted export leaves beside the file can be gone on with.

    :param path: compressed as its suffix says.
    :param resume: go on with what an interrupted export of the same answers has left; if there is nothing, begin.
    :param facts: of the site, for the manifest.
    :raises TaskExportError: somebody else writes this file, or what was left is of another export.
    :raises OSError: the file cannot be written.
    """
    target = path.resolve()  # a link stays one
    work = _Workplace(target)
    with work.locked() as part:
        try:
            shaper = _collect(export, work, part, target.suffix, resume=resume)
            if shaper.is_table:
                part.seek(0)
                with work.table.open('wb') as file:
                    packer = Packer(file, target.suffix)
                    for piece in shaper.table(part):
                        packer.write(piece)
                    packer.finish()
                    os.fsync(file.fileno())
            complete = work.table if shaper.is_table else work.part
            sums = {'name': target.name, **_sums(complete)}
            work.publish(complete, target, manifest(export, sums, shaper.names(), facts))
        except BaseException:
            work.tidy(keep=work.checkpoint.exists())
            raise
        work.tidy(keep=False)


def left_behind(path: Path) -> bool:
    """Whether an interrupted export has left something beside the file that can be gone on with."""
    return _Workplace(path.resolve()).checkpoint.exists()


class _Workplace:
    """The hidden files beside the one that is being written."""

    def __init__(self, target: Path) -> None:
        self.part = target.with_name(f'.{target.name}.part')
        self.checkpoint = target.with_name(f'.{target.name}.part.json')
        self.table = target.with_name(f'.{target.name}.table')
        self.scratch = target.with_name(f'.{target.name}.part.new')
        self.manifest = target.with_name(f'.{target.name}{MANIFEST}')

    @contextmanager
    def locked(self) -> Generator[IO[bytes], None, None]:
        """The part that is written already, for reading and writing, as long as nobody else has it.

        :raises TaskExportError: somebody has.
        """
        with open(os.open(self.part, os.O_RDWR | os.O_CREAT, 0o666), 'r+b') as part:
            if not (_lock(part) and _is_at(part, self.part)):
                raise TaskExportError(gettext('Another export is writing this file. Wait for it, or name another one.'))
            yield part

    def save(self, state: dict[str, Any]) -> None:
        """Note how far the part is whole."""
        self.scratch.write_text(json.dumps(state))
        self.scratch.replace(self.checkpoint)

    def load(self) -> dict[str, Any] | None:
        """What was noted last, if anything was."""
        try:
            state: dict[str, Any] = json.loads(self.checkpoint.read_text())
        except FileNotFoundError:
            return None
        return state

    def publish(self, complete: Path, target: Path, text: str) -> None:
        """Put the answers and their manifest in place. At no time does the manifest of an older file stand beside them."""
        self.manifest.write_text(text, encoding='utf-8')
        beside = target.with_name(target.name + MANIFEST)
        beside.unlink(missing_ok=True)
        complete.replace(target)
        self.manifest.replace(beside)

    def tidy(self, *, keep: bool) -> None:
        """Remove what is not needed any more; ``keep`` leaves what an export can go on with."""
        for path in (self.table, self.manifest, self.scratch, *(() if keep else (self.checkpoint, self.part))):
            path.unlink(missing_ok=True)


def _lock(file: IO[bytes]) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Whether the open file still has this name: another export may have finished and renamed it just now."""
    return path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())


def _collect(export: Export, work: _Workplace, part: IO[bytes], suffix: str, *, resume: bool) -> Shaper:
    """Write the lines of all tasks; those of a table, which are not its rows yet, as they are."""
    options = {'type': export.task_type.type_name, 'form': export.form, **asdict(export.wanted)}
    options = json.loads(json.dumps(options, default=str))
    state = work.load() if resume else None
    if state is None or state['bytes'] > os.fstat(part.fileno()).st_size:
        work.checkpoint.unlink(missing_ok=True)
        state = {'options': options, 'after': '', 'bytes': 0, 'tasks': 0, 'answers': 0, 'columns': []}
        state['started'] = export.started.isoformat()
    _refuse_others(state['options'], options)
    export.tasks, export.answers = state['tasks'], state['answers']
    export.started = datetime.fromisoformat(state['started'])
    export.progress(export.answers)
    shaper = Shaper(export.form, state['columns'])
    part.truncate(state['bytes'])
    part.seek(state['bytes'])
    packer = Packer(part, '' if shaper.is_table else suffix)
    written = 0
    for task_id, entries in export.read(state['after']):
        data = shaper.shape(entries)
        packer.write(data)
        written += len(data)
        if written >= CHECKPOINT_BYTES and task_id:
            state |= {'bytes': packer.cut(), 'after': task_id, 'tasks': export.tasks, 'answers': export.answers}
            os.fsync(part.fileno())
            work.save({**state, 'columns': list(shaper.columns)})
            written = 0
    packer.finish()
    os.fsync(part.fileno())
    return shaper


def _refuse_others(left: dict[str, Any], options: dict[str, Any]) -> None:
    different = [name for name, value in options.items() if left.get(name) != value]
    if different:
        told = ', '.join(f'{name} was {left.get(name)} and is {options[name]}' for name in different)
        raise TaskExportError(
            gettext(
                'What was left beside this file is of another export (%(export)s). Start anew without --resume.',
                export=told,
            )
        )


def _sums(path: Path) -> dict[str, Any]:
    with path.open('rb') as file:
        return {'bytes': path.stat().st_size, 'sha256': hashlib.file_digest(file, 'sha256').hexdigest()}


def write_stream(export: Export, file: IO[bytes], suffix: str = '') -> None:
    """Write the answers to a pipe, a terminal or a device, as they come; without a manifest."""
    packer = Packer(file, suffix)
    for piece in stream(export.entries(), Shaper(export.form)):
        packer.write(piece)
    packer.finish()


# --- downloads ----------------------------------------------------------------------------------------------------------


def zip_pieces(export: Export, name: str, facts: Mapping[str, Any]) -> Iterator[bytes]:
    """A ZIP archive with the answers and their manifest, piece by piece, as they are read.

    What goes wrong on the way is told in a file ``ERROR.txt`` in the place of the manifest: it is too late for a page.

    :param name: of the file with the answers, without suffix.
    :param facts: of the site, for the manifest.
    """
    sink, shaper, digest, size = _Sink(), Shaper(export.form), hashlib.sha256(), 0
    name += FORMATS[export.form]
    with zipfile.ZipFile(sink, 'w', zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]
        with archive.open(_zip_entry(export, name), 'w', force_zip64=True) as member:
            yield sink.take()  # so that whoever waits knows that it has begun
            try:
                for piece in stream(export.entries(), shaper):
                    member.write(piece)
                    digest.update(piece)
                    size += len(piece)
                    if sink.size >= _PIECE:
                        yield sink.take()
            except TaskExportError as error:
                beside, text = 'ERROR.txt', f'{error}\n'
            else:
                sums = {'name': name, 'bytes': size, 'sha256': digest.hexdigest()}
                beside, text = f'{name}{MANIFEST}', manifest(export, sums, shaper.names(), facts)
        archive.writestr(_zip_entry(export, beside), text)
    yield sink.take()


def _zip_entry(export: Export, name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, export.started.timetuple()[:6])
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


class _Sink:
    """Takes what :class:`zipfile.ZipFile` writes; it can be neither read nor wound back."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        """What was written since the last time."""
        taken, self._pieces, self.size = b''.join(self._pieces), [], 0
        return taken


# --- manifest -----------------------------------------------------------------------------------------------------------


def manifest(export: Export, sums: Mapping[str, Any], columns: list[str], facts: Mapping[str, Any]) -> str:
    """JSON text that tells what a file is: what it holds, where that comes from, and under which terms.

    :param sums: name, size and checksum of the file.
    :param columns: of a table.
    :param facts: ``site``, the name of the site, and ``contributors_terms``, under which people gave their answers.
    """
    kind, wanted = export.task_type, export.wanted
    told = {
        'what': 'Answers of volunteers, exported by Vulyk',
        'site': facts['site'],
        'task_type': {'type': kind.type_name, 'name': str(kind.name), 'description': str(kind.description)},
        'batches': [_facts_of(batch) for batch in _batches(export)],
        'contributors_terms': facts['contributors_terms'],
        'options': {'format': export.form, **asdict(wanted)},
        'counts': {'tasks': export.tasks, 'answers': export.answers},
        'started_at': export.started,
        'finished_at': datetime.now(UTC),
        'file': sums,
        'schema': {'columns': columns} if export.form == 'csv' else _schema(export),
    }
    return json.dumps(told, ensure_ascii=False, indent=2, default=_to_json) + '\n'


def _batches(export: Export) -> Iterator[Batch]:
    found = Batch.objects(task_type=export.task_type.type_name).order_by('created_at', 'id')
    yield from found if export.wanted.batch == ALL_BATCHES else found.filter(pk=export.wanted.batch)


def _facts_of(batch: Batch) -> dict[str, Any]:
    """What is known of the material; ``licence`` and so on are None where nobody has said."""
    return {
        'id': batch.id,
        **{name: getattr(batch, name) or None for name in FACTS},
        'loaded_at': batch.created_at,
        'redundancy': batch.redundancy,
        'tasks': batch.tasks_count,
        'closed_tasks': batch.tasks_processed,
        'facts': batch.batch_meta,
    }


def _schema(export: Export) -> dict[str, Any]:
    """JSON Schema of one line of the file."""
    text = {'type': 'string'}
    properties: dict[str, Any] = {
        'task': _object(id=text, closed={'type': 'boolean'}, data={'type': 'object'}),
        'answer': {'type': 'object'},
        'user': _object(username=text, email=text),
    }
    entry = _object(**properties)
    if export.wanted.with_sessions:
        seconds = {'type': 'integer', 'minimum': 0}
        entry['properties']['session'] = _object(start_time=text, end_time=text, duration=seconds, activity=seconds)
    if export.task_type.exports_itself() or export.task_type.shapes_lines():
        entry = {'description': f'As the plugin of {export.task_type.type_name} writes it'}
    line = {'type': 'array', 'items': entry} if export.form == 'tasks' else entry
    return {'$schema': 'https://json-schema.org/draft/2020-12/schema', **line}


def _object(**properties: Any) -> dict[str, Any]:
    return {'type': 'object', 'properties': properties, 'required': list(properties)}


def _to_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)
