"""The forms in which answers leave: JSON lines, tables, compressed files."""

import bz2
import csv
import gzip
import io
import lzma
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import IO, Any

import orjson
import zstandard
from bson import DBRef
from flask_babel import gettext

from vulyk.models.exc import TaskExportError
from vulyk.utils import chunked

# What each is called in commands and pages, and the suffix of its files.
FORMATS = {'tasks': '.jsonl', 'jsonl': '.jsonl', 'csv': '.csv'}

MAX_COLUMNS = 16_384  # what spreadsheets open
_FORMULA = ('=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠')
_ROWS_AT_ONCE = 1000

Columns = dict[str, None]  # an ordered set of names


class Shaper:
    """Turns the answers of a task into bytes; a table needs a second pass, because its first line names all fields.

    :param form: a key of :data:`FORMATS`.
    :param columns: those met before, when an export goes on.
    """

    def __init__(self, form: str, columns: Iterable[str] = ()) -> None:
        self.is_table = form == 'csv'
        self.columns: Columns = dict.fromkeys(columns)
        self._line_per_answer = form != 'tasks'

    def shape(self, entries: list[Any]) -> bytes:
        """The lines for one task.

        :raises TaskExportError: a table with more columns than spreadsheets open.
        """
        if not self._line_per_answer:
            return _dump(entries)
        if not self.is_table:
            return b''.join(map(_dump, entries))
        rows = [flatten(entry if isinstance(entry, dict) else {'value': entry}) for entry in entries]
        for row in rows:
            self.columns.update(dict.fromkeys(row))
        if len(self.columns) > MAX_COLUMNS:
            raise TaskExportError(
                gettext(
                    'The answers hold more than %(limit)s different fields, too many for the columns '
                    'of a table. Export JSON lines (format jsonl) instead.',
                    limit=f'{MAX_COLUMNS:,}',
                )
            )
        return b''.join(map(_dump, rows))

    def table(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """The second pass: CSV, as RFC 4180 describes it, of what :meth:`shape` has made."""
        names = self.names()
        if names:
            yield _csv([[neutral(name) for name in names]])
        for chunk in chunked(map(orjson.loads, lines), _ROWS_AT_ONCE):
            yield _csv([_cell(row.get(name)) for name in names] for row in chunk)

    def names(self) -> list[str]:
        """The columns as they were met, those of ``task``, ``answer`` and so on together."""
        kinds = {kind: number for number, kind in enumerate(dict.fromkeys(map(_kind, self.columns)))}
        return sorted(self.columns, key=lambda name: kinds[_kind(name)])


def stream(tasks: Iterable[list[Any]], shaper: Shaper) -> Iterator[bytes]:
    """The answers of tasks as the bytes of a file, in pieces; a table is put aside on disk until all its fields are known."""
    if not shaper.is_table:
        yield from map(shaper.shape, tasks)
        return
    with tempfile.TemporaryFile() as aside:
        for entries in tasks:
            aside.write(shaper.shape(entries))
        aside.seek(0)
        yield from shaper.table(aside)


def flatten(value: dict[str, Any]) -> dict[str, Any]:
    """The fields of nested objects under their paths, with dots between the names.

    A dot or backslash inside a name gets a backslash, so that no two fields have the same path. Lists and empty objects
    stay values.

    >>> flatten({'answer': {'place': {'city': 'Lviv'}, 'a.b': [1, 2]}})
    {'answer.place.city': 'Lviv', 'answer.a\\\\.b': [1, 2]}
    """
    return dict(_paths(value, ''))


def _kind(path: str) -> str:
    return path.partition('.')[0]


def neutral(text: str) -> str:
    """The text, marked as text with an apostrophe if a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _paths(value: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        path = prefix + str(key).replace('\\', '\\\\').replace('.', '\\.')
        if isinstance(item, dict) and item:
            yield from _paths(item, f'{path}.')
        else:
            yield path, item


def _cell(value: Any) -> str:
    if value is None:
        return ''
    return neutral(value) if isinstance(value, str) else orjson.dumps(value).decode()


def _csv(rows: Iterable[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _dump(value: Any) -> bytes:
    return orjson.dumps(value, default=_of_old_database, option=orjson.OPT_APPEND_NEWLINE)


def _of_old_database(value: Any) -> Any:
    """What other programs have stored and JSON does not know: ids, decimals, bytes."""
    return dict(value.as_doc()) if isinstance(value, DBRef) else str(value)


# --- compression --------------------------------------------------------------------------------------------------------

Opener = Callable[[IO[bytes]], AbstractContextManager[IO[bytes]]]

# Archives of these kinds may be appended to one another, so that an export can go on where it was cut off. The presets are
# fast ones: answers come faster than the best ones pack.
COMPRESSORS: dict[str, Opener] = {
    '.gz': lambda file: gzip.GzipFile(fileobj=file, mode='wb', filename='', compresslevel=6, mtime=0),
    '.bz2': lambda file: bz2.BZ2File(file, 'wb'),
    '.xz': lambda file: lzma.LZMAFile(file, 'wb', preset=2),  # noqa: SIM115  # closed by Packer
    '.zst': lambda file: zstandard.ZstdCompressor().stream_writer(file, closefd=False),
}


class Packer:
    """Writes to a file, compressed as the suffix of its name says.

    :param file: an open binary file; it stays open.
    :param suffix: a key of :data:`COMPRESSORS`; any other means plain.
    """

    def __init__(self, file: IO[bytes], suffix: str) -> None:
        self._file = file
        self._compressor = COMPRESSORS.get(suffix)
        self._archive: IO[bytes] | None = None
        self._begin()

    def _begin(self) -> None:
        self._archive = self._compressor(self._file) if self._compressor else None  # type: ignore[assignment]

    def write(self, data: bytes) -> None:
        """Add some bytes."""
        (self._archive or self._file).write(data)

    def cut(self) -> int:
        """Finish the archive at hand and begin another; returns where in the file that is."""
        self.finish()
        end = self._file.tell()
        self._begin()
        return end

    def finish(self) -> None:
        """Write everything that is still held back."""
        if self._archive is not None:
            self._archive.close()
        self._file.flush()
