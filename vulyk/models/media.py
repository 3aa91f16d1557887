"""Pictures, sound and documents that tasks show: stored once per content, named by their SHA-256."""

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gridfs
from bson import Binary
from gridfs.errors import FileExists, NoFile
from mongoengine.connection import get_db
from pymongo.collection import Collection

from vulyk.models.exc import TaskImportError

BUCKET = 'media'
CHUNK_BYTES = 255 * 1024

# (offset, bytes, content type): what the file is, not what its name claims
_SIGNATURES = [
    (0, b'\xff\xd8\xff', 'image/jpeg'),
    (0, b'\x89PNG\r\n\x1a\n', 'image/png'),
    (0, b'GIF87a', 'image/gif'),
    (0, b'GIF89a', 'image/gif'),
    (8, b'WEBP', 'image/webp'),
    (4, b'ftypavif', 'image/avif'),
    (0, b'ID3', 'audio/mpeg'),
    (0, b'\xff\xfb', 'audio/mpeg'),
    (0, b'OggS', 'audio/ogg'),
    (0, b'fLaC', 'audio/flac'),
    (8, b'WAVE', 'audio/wav'),
    (4, b'ftyp', 'video/mp4'),
    (0, b'\x1aE\xdf\xa3', 'video/webm'),
    (0, b'%PDF-', 'application/pdf'),
]


def content_type(head: bytes) -> str | None:
    """The type of a file by its first 16 bytes; None if it is no picture, sound, video or PDF."""
    return next((kind for offset, mark, kind in _SIGNATURES if head[offset:].startswith(mark)), None)


def check(root: Path, relative: object, *, max_bytes: int) -> Path:
    """The file a task names, which must lie below ``root`` and be something a browser may show.

    :raises TaskImportError: with the reason.
    """
    if not isinstance(relative, str) or not relative or '\0' in relative:
        raise TaskImportError(f'{relative!r} is not the path of a file')
    path = (root / relative).resolve()
    if not path.is_relative_to(root.resolve()):
        raise TaskImportError(f'{relative!r} lies outside of the folder of the data file')
    if not os.path.isfile(path):  # unlike Path.is_file it bears names that are too long
        raise TaskImportError(f'there is no file {relative!r} beside the data file')
    if path.stat().st_size > max_bytes:
        raise TaskImportError(f'{relative!r} has more than {max_bytes:,} bytes (setting MEDIA_MAX_BYTES)')
    with path.open('rb') as file:
        if content_type(file.read(16)) is None:
            raise TaskImportError(f'{relative!r} is no picture, sound, video or PDF')
    return path


def store(path: Path, task_type: str) -> str:
    """Put a file into the storage; the same content is stored once. Returns its SHA-256, hexadecimal.

    :param task_type: whose tasks show it; who may work on none of them does not get it.
    """
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    facts = {'filename': path.name, 'metadata': {'type': content_type(data[:16])}, 'chunkSize': CHUNK_BYTES}
    fs = gridfs.GridFS(get_db(), collection=BUCKET)
    if not fs.exists(digest):
        try:
            fs.put(data, _id=digest, **facts)
        except FileExists:  # another process is faster with the same content, or has died before it was done
            _complete(digest, data, facts)
    _files().update_one({'_id': digest}, {'$addToSet': {'metadata.taskTypes': task_type}})
    return digest


def _complete(digest: str, data: bytes, facts: dict[str, Any]) -> None:
    """Write those parts of a file that are missing; may be done by several at once."""
    chunks = get_db()[f'{BUCKET}.chunks']
    for number, start in enumerate(range(0, len(data), CHUNK_BYTES)):
        part = {'$setOnInsert': {'data': Binary(data[start : start + CHUNK_BYTES])}}
        chunks.update_one({'files_id': digest, 'n': number}, part, upsert=True)
    whole = {**facts, 'length': len(data), 'uploadDate': datetime.now(UTC)}
    _files().update_one({'_id': digest}, {'$setOnInsert': whole}, upsert=True)


def load(digest: str, task_type: str) -> tuple[bytes, str] | None:
    """``(content, content type)`` of a file that tasks of this type show, None if there is none."""
    try:
        file = gridfs.GridFS(get_db(), collection=BUCKET).get(digest)
    except NoFile:
        return None
    facts = file.metadata or {}
    return (file.read(), facts['type']) if task_type in facts.get('taskTypes', ()) else None


def _files() -> Collection[dict[str, Any]]:
    files: Collection[dict[str, Any]] = get_db()[f'{BUCKET}.files']
    return files
