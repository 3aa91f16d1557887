"""Tasks in: files of records become a batch of tasks, all of them or none.

The first pass reads and checks everything and writes nothing but media. The second inserts the tasks under a load that
nobody sees; one transaction at the end publishes it with its batch. What a killed process leaves is deleted by the next load.
"""

import bz2
import csv
import gzip
import hashlib
import io
import lzma
import os
import socket
import time
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import orjson
import zstandard
from bson import ObjectId
from flask_babel import gettext
from pymongo.errors import DuplicateKeyError

from vulyk.ext import leases
from vulyk.ext.assignment import open_loads, task_order
from vulyk.models import media
from vulyk.models.exc import MalformedResultError, TaskImportError
from vulyk.models.fields import encode, parse_json_object
from vulyk.models.tasks import AbstractTask, Batch, Load
from vulyk.models.transaction import in_transaction
from vulyk.utils import aware, chunked

if TYPE_CHECKING:
    from vulyk.models.task_types import AbstractTaskType

MAX_LINE_BYTES = 16 * 1024 * 1024
CHUNK = 1000
BEAT_EVERY_S = 10
HEARTBEAT = timedelta(seconds=60)  # a load that has not shown itself for so long is dead
MAX_KEY_LENGTH = 200
SHOWN_PROBLEMS = 20

_FOREIGN_MARKS = {
    b'\xff\xfe\x00\x00': 'UTF-32',
    b'\x00\x00\xfe\xff': 'UTF-32',
    b'\xff\xfe': 'UTF-16',
    b'\xfe\xff': 'UTF-16',
}


class _ZstReader(io.RawIOBase):
    """Unpacks Zstandard. The library's own reader takes an archive that is cut off for a complete one."""

    def __init__(self, filename: str) -> None:
        self._file = open(filename, 'rb')  # noqa: SIM115  # closed by close()
        self._unpacker = zstandard.ZstdDecompressor().decompressobj()
        self._unpacked = b''

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._unpacked:
            packed = self._unpacker.unused_data or self._file.read(io.DEFAULT_BUFFER_SIZE)
            if self._unpacker.eof and packed:  # an archive may have several frames
                self._unpacker = zstandard.ZstdDecompressor().decompressobj()
            if not packed:
                if self._unpacker.eof:
                    return 0
                raise EOFError
            self._unpacked = self._unpacker.decompress(packed)
        size = min(len(buffer), len(self._unpacked))
        buffer[:size], self._unpacked = self._unpacked[:size], self._unpacked[size:]
        return size

    def close(self) -> None:
        self._file.close()
        super().close()


def _open_zst(filename: str, mode: str) -> IO[bytes]:
    return io.BufferedReader(_ZstReader(filename))


_OPENERS: dict[str, Callable[..., Any]] = {'.gz': gzip.open, '.bz2': bz2.open, '.xz': lzma.open, '.zst': _open_zst}


# Id, data, and the files it names: {path: SHA-256}
NewTask = tuple[str, dict[str, Any], dict[str, str]]


class Record(NamedTuple):
    """One task to be, and where it stands."""

    path: str
    line: int
    data: dict[str, Any]


@dataclass
class Report:
    """What the first pass found. ``first`` holds the first three tasks, ``hosts`` the other sites that tasks show files of."""

    records: int = 0
    duplicates: int = 0
    invalid: int = 0
    problems: list[str] = field(default_factory=list)
    first: list[dict[str, Any]] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)


class Loaded(NamedTuple):
    """What a load did: tasks stored, records that are tasks already, records left out because they are not valid."""

    loaded: int
    duplicates: int
    invalid: int


# --- reading ----------------------------------------------------------------------------------------------------------


@contextmanager
def open_anything(filename: str) -> Generator[IO[bytes], None, None]:
    """Open a plain, ``.gz``, ``.bz2``, ``.xz`` or ``.zst`` file for reading bytes."""
    with _OPENERS.get(Path(filename).suffix.lower(), open)(filename, 'rb') as file:
        yield file


def read_records(path: str) -> Iterator[Record | TaskImportError]:
    """The records of a file of JSON lines, or of a ``.csv`` file whose first line names the fields.

    Blank lines are passed over. A record that is not valid is yielded as an error, so that the caller may go on.

    :raises TaskImportError: the file cannot be read to its end; naming file, line and reason.
    """
    line = 0
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    is_csv = '.csv' in (suffixes[-1:] if suffixes[-1:] and suffixes[-1] not in _OPENERS else suffixes[-2:-1])
    try:
        with open_anything(path) as file:
            for line, found in _csv_objects(file) if is_csv else _json_objects(file):
                yield (
                    TaskImportError(gettext('%(path)s, line %(line)s: %(reason)s', path=path, line=line, reason=found))
                    if isinstance(found, str)
                    else Record(path, line, found)
                )
    except EOFError as error:
        raise TaskImportError(
            gettext('%(path)s, after line %(line)s: the archive is cut off.', path=path, line=line)
        ) from error
    except (lzma.LZMAError, zlib.error, zstandard.ZstdError) as error:
        raise TaskImportError(
            gettext(
                '%(path)s, after line %(line)s: the archive is damaged or cut off (%(reason)s).',
                path=path,
                line=line,
                reason=error,
            )
        ) from error
    except UnicodeDecodeError as error:
        raise TaskImportError(
            gettext(
                '%(path)s, after line %(line)s: byte %(start)s of the next is not valid UTF-8.',
                path=path,
                line=line,
                start=error.start,
            )
        ) from error
    except csv.Error as error:
        raise TaskImportError(
            gettext('%(path)s, after line %(line)s: not valid CSV (%(reason)s).', path=path, line=line, reason=error)
        ) from error
    except _UnreadableError as error:
        raise TaskImportError(
            gettext('%(path)s, line %(line)s: %(reason)s', path=path, line=line + 1, reason=error)
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise TaskImportError(
            gettext('%(path)s, after line %(line)s: cannot be read (%(reason)s).', path=path, line=line, reason=reason)
        ) from error


class _UnreadableError(Exception):
    pass


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    first = True
    while line := file.readline(MAX_LINE_BYTES + 1):
        if first:
            line = _without_mark(line)
            first = False
        if len(line) > MAX_LINE_BYTES:
            raise _UnreadableError(gettext('the line has more than %(limit)s bytes.', limit=f'{MAX_LINE_BYTES:,}'))
        yield line


def _without_mark(line: bytes) -> bytes:
    for mark, name in _FOREIGN_MARKS.items():
        if line.startswith(mark):
            raise _UnreadableError(gettext('the file is %(name)s; save it as UTF-8.', name=name))
    return line.removeprefix(b'\xef\xbb\xbf')


def _json_objects(file: IO[bytes]) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for number, line in enumerate(_lines(file), 1):
        if line.strip():
            try:
                record = parse_json_object(line, what='task')
            except MalformedResultError as error:
                yield number, str(error)
            else:
                yield number, record or 'task: must not be empty.'


def _csv_objects(file: IO[bytes]) -> Iterator[tuple[int, dict[str, Any] | str]]:
    csv.field_size_limit(MAX_LINE_BYTES)  # of the whole process, as it happens
    rows = csv.reader((line.decode('utf-8') for line in _lines(file)), strict=True)
    header = next(rows, [])
    if len(set(header)) != len(header) or not all(header) or any('\0' in name for name in header):
        raise _UnreadableError(gettext('the first line must name every field once, without NUL characters.'))
    for row in rows:
        if not row:
            continue
        if len(row) != len(header):
            yield rows.line_num, f'task: {len(row)} values for {len(header)} fields.'
        else:
            yield rows.line_num, dict(zip(header, row, strict=True))


# --- first pass -------------------------------------------------------------------------------------------------------


def check(
    task_type: 'AbstractTaskType',
    paths: Iterable[str],
    *,
    max_media_bytes: int,
    key: str | None = None,
    count_known: bool = False,
    progress: Callable[[], None] = lambda: None,
) -> Report:
    """Read everything, write nothing.

    :param key: the field whose value becomes the id of the task.
    :param count_known: also count the records that are tasks already, which takes a query for every thousand.
    :param progress: called for each record.
    :returns: counts, the first problems and the first tasks.
    :raises TaskImportError: a file that cannot be read to its end.
    """
    report = Report()
    seen_media: set[tuple[Path, str]] = set()
    known = _KnownTasks(task_type.type_name)
    for path in paths:
        for item in read_records(path):
            progress()
            try:
                if isinstance(item, TaskImportError):
                    raise item
                made = make_id(task_type.type_name, item.data, key)
                _check_media(task_type, item, max_media_bytes, seen_media, report.hosts)
            except TaskImportError as error:
                report.invalid += 1
                if len(report.problems) < SHOWN_PROBLEMS:
                    report.problems.append(_located(item, error))
            else:
                report.records += 1
                if count_known:
                    known.add(made)
                if len(report.first) < 3:
                    report.first.append(item.data)
    report.duplicates = known.count()
    return report


class _KnownTasks:
    """Counts ids that are tasks of a type already. Doubles inside the files are found when they are stored."""

    def __init__(self, task_type: str) -> None:
        self._type = task_type
        self._waiting: list[str] = []
        self._found = 0

    def add(self, made: str) -> None:
        self._waiting.append(made)
        if len(self._waiting) == CHUNK:
            self._found, self._waiting = self.count(), []

    def count(self) -> int:
        owners = owners_of([*self._waiting, *(f'{made}.{self._type}' for made in self._waiting)])
        return self._found + sum(owner == self._type for owner in owners.values())


def make_id(task_type: str, record: Mapping[str, Any], key: str | None) -> str:
    """The id of a task: ``<type>.<value of the key>``, or the first 20 hexadecimal digits of the SHA-1 of its compact JSON.

    :raises TaskImportError: the record has no usable value under ``key``.
    """
    if key is None:
        return hashlib.sha1(orjson.dumps(record), usedforsecurity=False).hexdigest()[:20]
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == '':
        raise TaskImportError(gettext('%(key)s: must be a text or a whole number, because it is the key.', key=key))
    made = f'{task_type}.{value}'
    if '/' in made or len(made) > MAX_KEY_LENGTH:
        raise TaskImportError(
            gettext(
                '%(key)s: a key has no “/” and, with the type, at most %(limit)s characters.',
                key=key,
                limit=MAX_KEY_LENGTH,
            )
        )
    return made


def _check_media(
    task_type: 'AbstractTaskType', record: Record, limit: int, seen: set[tuple[Path, str]], hosts: set[str]
) -> None:
    root = Path(record.path).parent
    for name in task_type.media_fields:
        if name in record.data:
            value = record.data[name]
            if media.is_remote(value):
                hosts.add(media.host_of(value))
            elif not isinstance(value, str) or (root, value) not in seen:
                try:
                    media.check(root, value, max_bytes=limit)
                except TaskImportError as error:
                    raise TaskImportError(f'{name}: {error}.') from error
                seen.add((root, value))


def _located(item: Record | TaskImportError, error: TaskImportError) -> str:
    return f'{item.path}, line {item.line}: {error}' if isinstance(item, Record) else str(error)


# --- second pass ------------------------------------------------------------------------------------------------------


def load(
    task_type: 'AbstractTaskType',
    paths: Iterable[str],
    batch_id: str,
    *,
    publish: Callable[[int], None],
    max_media_bytes: int,
    key: str | None = None,
    skip_invalid: bool = False,
    progress: Callable[[], None] = lambda: None,
) -> Loaded:
    """Store the tasks of files that have been checked; nobody sees them before all are stored.

    :param publish: writes the batch, given the number of new tasks, inside the transaction that publishes them.
    :param skip_invalid: leave out records that are not valid; otherwise the first ends the load and nothing is stored.
    :raises TaskImportError: naming file, line and reason; or that another load of this type is running.
    """
    invalid = 0
    stored_media: dict[tuple[Path, str], str] = {}

    def tasks() -> Iterator[NewTask]:
        nonlocal invalid
        for path in paths:
            for item in read_records(path):
                progress()
                try:
                    if isinstance(item, TaskImportError):
                        raise item
                    made = make_id(task_type.type_name, item.data, key)
                    files = _store_media(task_type, item, max_media_bytes, stored_media)
                except TaskImportError as error:
                    if not skip_invalid:
                        raise TaskImportError(_located(item, error)) from error
                    invalid += 1
                else:
                    yield made, item.data, files

    loaded, duplicates = store(task_type, tasks(), batch_id, publish)
    return Loaded(loaded, duplicates, invalid)


def store(
    task_type: 'AbstractTaskType',
    tasks: Iterable[NewTask],
    batch_id: str | None,
    publish: Callable[[int], None] = lambda count: None,
) -> tuple[int, int]:
    """Insert tasks under a load that nobody sees, and publish it with its batch in one transaction.

    :returns: numbers of tasks stored and of those left out because they are tasks of this type already.
    :raises TaskImportError: another load of this type is running.
    """
    loaded = duplicates = 0
    with _only_load_of(task_type, batch_id) as keeper:
        template = prototype(task_type, batch_id, keeper.id)
        for chunk in chunked(keeper.beating(tasks), CHUNK):
            documents = new_documents(task_type, chunk, template, start=loaded)
            if documents:
                AbstractTask._get_collection().insert_many(documents)
            loaded += len(documents)
            duplicates += len(chunk) - len(documents)

        def publish_load() -> None:
            publish(loaded)
            keeper.publish()

        in_transaction(publish_load)
    open_loads.forget()
    return loaded, duplicates


class _Keeper:
    """Holds the right to load tasks of one type, and shows that it is alive."""

    def __init__(self, load_id: ObjectId, clock: Callable[[], datetime]) -> None:
        self.id = load_id
        self._clock = clock
        self._loads = Load._get_collection()

    def beating(self, tasks: Iterable[NewTask]) -> Iterator[NewTask]:
        """The tasks; whoever takes them shows now and then that he is alive: storing their files may take long."""
        due = time.monotonic() + BEAT_EVERY_S
        for task in tasks:
            if time.monotonic() > due:
                self.beat()
                due = time.monotonic() + BEAT_EVERY_S
            yield task

    def beat(self) -> None:
        """Say that the load goes on.

        :raises TaskImportError: another process has taken this one for dead.
        """
        if not self._loads.update_one({'_id': self.id}, {'$set': {'heartbeat': self._clock()}}).matched_count:
            raise TaskImportError(
                gettext('The load was taken for dead by another one, which has removed its tasks; start it again.')
            )

    def publish(self) -> None:
        """Make the tasks visible; inside the transaction that writes their batch."""
        self.beat()
        self._loads.update_one({'_id': self.id}, {'$unset': {'loading': '', 'heartbeat': ''}})


@contextmanager
def _only_load_of(task_type: 'AbstractTaskType', batch_id: str | None) -> Iterator[_Keeper]:
    remove_dead_loads(task_type.type_name, task_type.clock())
    loads, now = Load._get_collection(), task_type.clock()
    document = {
        '_id': ObjectId(),
        'taskType': task_type.type_name,
        'batch': batch_id,
        'createdAt': now,
        'loading': True,
        'heartbeat': now,
        'holder': _holder(),
    }
    try:
        loads.insert_one(document)
    except DuplicateKeyError as error:
        raise TaskImportError(
            gettext(
                'Another load of %(type)s is running. Wait for it; if it was killed, its place is '
                'free %(seconds)s seconds later.',
                type=task_type.type_name,
                seconds=HEARTBEAT.seconds,
            )
        ) from error
    try:
        yield _Keeper(document['_id'], task_type.clock)
    except BaseException:
        _remove(document['_id'])
        raise


def remove_dead_loads(task_type: str, now: datetime) -> int:
    """Delete what killed loads of a type have left; returns their number."""
    loading = Load._get_collection().find({'taskType': task_type, 'loading': True})
    dead = [found for found in loading if aware(found['heartbeat']) < now - HEARTBEAT or _has_died(found)]
    for found in dead:
        _remove(found['_id'])
    return len(dead)


def _holder() -> str:
    return f'{socket.gethostname()} {os.getpid()}'


def _has_died(load: Mapping[str, Any]) -> bool:
    """Whether the process of a load was one of this machine, and is no more: nobody has to wait for its heartbeat then."""
    host, _, process = str(load.get('holder', '')).partition(' ')
    if host != socket.gethostname() or not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def _remove(load_id: ObjectId) -> None:
    unpublished = {'_id': load_id, 'loading': True}
    if Load._get_collection().find_one(unpublished) is None:
        return  # it was published after all, only the answer of the database was lost
    AbstractTask._get_collection().delete_many({'load': load_id})
    Load._get_collection().delete_one(unpublished)


def prototype(task_type: 'AbstractTaskType', batch_id: str | None, load_id: ObjectId) -> dict[str, Any]:
    """The stored form of a new task of this type, without what differs from task to task."""
    task = task_type.task_model(
        id='prototype',
        task_type=task_type.type_name,
        batch=Batch(id=batch_id) if batch_id else None,
        task_data={},
        load=load_id,
        **leases.new(task_type.redundancy),
    )
    return dict(task.to_mongo())


def new_documents(
    task_type: 'AbstractTaskType',
    chunk: Iterable[NewTask],
    template: dict[str, Any],
    *,
    start: int,
) -> list[dict[str, Any]]:
    """The tasks to insert for records ``(id, data, media)``; those that are tasks of this type already are left out.

    :param template: what :func:`prototype` returned.
    :param start: number of the first of them in its load.
    """
    fresh = _without_known(chunk, task_type.type_name)
    return [
        {
            **template,
            '_id': made,
            'task_data': encode(data),
            'media': files,
            'ord': task_order(task_type.strategy, number, task_type.priority_of(data)),
        }
        for number, (made, (data, files)) in enumerate(fresh.items(), start)
    ]


def _store_media(
    task_type: 'AbstractTaskType', record: Record, limit: int, stored: dict[tuple[Path, str], str]
) -> dict[str, str]:
    root = Path(record.path).parent
    files: dict[str, str] = {}
    for name in task_type.media_fields:
        if name in record.data:
            value = record.data[name]
            if media.is_remote(value):
                continue
            if not isinstance(value, str) or (root, value) not in stored:
                try:
                    path = media.check(root, value, max_bytes=limit)
                except TaskImportError as error:
                    raise TaskImportError(f'{name}: {error}.') from error
                stored[root, value] = media.store(path, task_type.type_name)
            files[value] = stored[root, value]
    return files


def _without_known(chunk: Iterable[NewTask], task_type: str) -> dict[str, tuple[dict[str, Any], dict[str, str]]]:
    """The records of a chunk that are no tasks of this type yet, under the id each will have."""
    wanted = {made: (data, files) for made, data, files in chunk}
    owners = owners_of(wanted)
    foreign = {made for made, owner in owners.items() if owner != task_type}
    renamed = {f'{made}.{task_type}': wanted[made] for made in foreign}
    known = {*owners, *owners_of(renamed)}
    return {made: value for made, value in {**wanted, **renamed}.items() if made not in known}


def owners_of(task_ids: Iterable[str]) -> dict[str, str]:
    """The types of those tasks that exist, also of plugins that are not enabled, which mongoengine would not see."""
    ids = list(task_ids)
    found = AbstractTask._get_collection().find({'_id': {'$in': ids}}, {'taskType': 1}) if ids else ()
    return {task['_id']: task['taskType'] for task in found}
