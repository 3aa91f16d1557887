"""Pictures, sound and documents that tasks show: stored once per content, named by their SHA-256.

Of large pictures there are smaller ones too, made when somebody asks for them first.
"""

import hashlib
import io
import math
import os
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gridfs
from bson import Binary
from flask_babel import gettext
from gridfs.errors import FileExists, NoFile
from mongoengine.connection import get_db
from PIL import Image, ImageOps
from pymongo.collection import Collection

from vulyk.models.exc import TaskImportError

BUCKET = 'media'
SMALLER = 'media_smaller'
CHUNK_BYTES = 255 * 1024
WIDTHS = (480, 1280)  # of the smaller pictures
MAX_PIXELS = 89_478_485  # Pillow's own limit: unpacked, a few kilobytes may fill all memory
QUALITY = 80
_ORIENTATION = 0x0112  # in EXIF: 5 and more say that width and height are exchanged

_one_at_a_time = threading.Lock()  # unpacking takes memory: one picture per process

# (offset, bytes, content type): what the file is, not what its name claims
_SIGNATURES: list[tuple[int, bytes, str | None]] = [
    (0, b'\xff\xd8\xff', 'image/jpeg'),
    (0, b'\x89PNG\r\n\x1a\n', 'image/png'),
    (0, b'GIF87a', 'image/gif'),
    (0, b'GIF89a', 'image/gif'),
    (8, b'WEBP', 'image/webp'),
    (4, b'ftypavif', 'image/avif'),
    (0, b'ID3', 'audio/mpeg'),
    *((0, bytes([0xFF, second]), 'audio/mpeg') for second in (0xFA, 0xFB, 0xF2, 0xF3, 0xE2, 0xE3)),
    (0, b'OggS', 'audio/ogg'),
    (0, b'fLaC', 'audio/flac'),
    (8, b'WAVE', 'audio/wav'),
    *((4, b'ftyp' + brand, None) for brand in (b'hei', b'hev', b'mif', b'msf')),  # pictures that browsers do not know
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
        raise TaskImportError(gettext('%(file)s is not the path of a file', file=repr(relative)))
    path = (root / relative).resolve()
    if not path.is_relative_to(root.resolve()):
        raise TaskImportError(gettext('%(file)s lies outside of the folder of the data file', file=repr(relative)))
    if not os.path.isfile(path):  # unlike Path.is_file it bears names that are too long
        raise TaskImportError(gettext('there is no file %(file)s beside the data file', file=repr(relative)))
    if path.stat().st_size > max_bytes:
        raise TaskImportError(
            gettext(
                '%(file)s has more than %(limit)s bytes (setting MEDIA_MAX_BYTES)',
                file=repr(relative),
                limit=f'{max_bytes:,}',
            )
        )
    with path.open('rb') as file:
        kind = content_type(file.read(16))
        if kind is None:
            raise TaskImportError(gettext('%(file)s is no picture, sound, video or PDF', file=repr(relative)))
        width, height = _size_of(file) if kind.startswith('image/') else (0, 0)
    if width * height > MAX_PIXELS:
        raise TaskImportError(
            gettext(
                '%(file)s has more than %(limit)s pixels',
                file=repr(relative),
                limit=f'{MAX_PIXELS:,}',
            )
        )
    return path


def is_remote(value: object) -> bool:
    """Whether a task names a file of another site, by its address."""
    return isinstance(value, str) and value.startswith(('http://', 'https://'))


def host_of(address: str) -> str:
    """Scheme and host of an address, as ``MEDIA_ORIGINS`` names them."""
    parts = urlsplit(address)
    return f'{parts.scheme}://{parts.netloc}'


def is_allowed(host: str, origins: Sequence[str]) -> bool:
    """Whether browsers may show files of this host: ``https://scans.example.org``, with or without scheme, or ``*.…``."""
    return any(fnmatch(host if '://' in origin else host.partition('://')[2], origin.rstrip('/')) for origin in origins)


def store(path: Path, task_type: str) -> str:
    """Put a file into the storage; the same content is stored once. Returns its SHA-256, hexadecimal.

    :param task_type: whose tasks show it; who may work on none of them does not get it.
    """
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    kind = content_type(data[:16]) or ''
    width, height = _size_of(io.BytesIO(data)) if kind.startswith('image/') else (0, 0)
    facts = {
        'filename': path.name,
        'metadata': {'type': kind, 'width': width, 'height': height},
        'chunkSize': CHUNK_BYTES,
    }
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


def find(digest: str, task_type: str) -> gridfs.GridOut | None:
    """A file that tasks of this type show, to be read in parts; its ``metadata['type']`` is its content type."""
    try:
        file = gridfs.GridFS(get_db(), collection=BUCKET).get(digest)
    except NoFile:
        return None
    return file if task_type in (file.metadata or {}).get('taskTypes', ()) else None


def widths_of(digests: Sequence[str]) -> dict[str, int]:
    """How wide pictures are, in pixels; other files, and pictures nobody can measure, are left out."""
    found = _files().find({'_id': {'$in': list(digests)}, 'metadata.width': {'$gt': 0}}, {'metadata.width': 1})
    return {file['_id']: file['metadata']['width'] for file in found}


def damaged(digests: Sequence[str]) -> list[str]:
    """Those of these files that are missing, or lack a part; the parts themselves are not read."""
    mine = {'$match': {'files_id': {'$in': list(digests)}}}
    count = {'$group': {'_id': '$files_id', 'number': {'$sum': 1}}}
    parts = {row['_id']: row['number'] for row in get_db()[f'{BUCKET}.chunks'].aggregate([mine, count])}
    files = _files().find({'_id': {'$in': list(digests)}}, {'length': 1, 'chunkSize': 1})
    needed = {file['_id']: math.ceil(file['length'] / file['chunkSize']) for file in files}
    return [digest for digest in digests if needed.get(digest) != parts.get(digest, 0)]


def smaller(file: gridfs.GridOut, width: int) -> tuple[bytes, str] | None:
    """``(content, content type)`` of a picture made smaller; None if it is no wider, or not to be made smaller.

    It is made once and kept.
    """
    if width not in WIDTHS or (file.metadata or {}).get('width', 0) <= width:
        return None
    pictures = get_db()[SMALLER]
    key = f'{file._id}.{width}'
    made = pictures.find_one({'_id': key})
    if made is None:
        with _one_at_a_time:
            data = _made_smaller(file.read(), width)
        if data is not None and len(data) >= file.length:
            data = None  # line art packs well as it is
        made = {'_id': key, 'data': data and Binary(data)}
        pictures.update_one({'_id': key}, {'$setOnInsert': {'data': made['data']}}, upsert=True)
    return (bytes(made['data']), 'image/webp') if made['data'] else None


def _made_smaller(data: bytes, width: int) -> bytes | None:
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if getattr(picture, 'n_frames', 1) > 1:
                return None  # it moves
            picture.draft('RGB', (width, width))  # JPEG: unpacks no more than is needed
            upright = ImageOps.exif_transpose(picture)
            height = max(1, round(upright.height * width / upright.width))
            transparent = upright.mode in ('LA', 'PA', 'RGBA') or 'transparency' in upright.info
            scaled = upright.convert('RGBA' if transparent else 'RGB').resize((width, height), Image.Resampling.LANCZOS)
            written = io.BytesIO()
            scaled.save(written, 'WEBP', quality=QUALITY, icc_profile=picture.info.get('icc_profile'))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # broken, or of a size WebP does not know
        return None
    return written.getvalue()


def _size_of(file: Any) -> tuple[int, int]:
    """Width and height as they are shown, from the head of the file; (0, 0) if they cannot be told."""
    try:
        with Image.open(file) as picture:
            turned = picture.getexif().get(_ORIENTATION, 1) >= 5
            return (picture.height, picture.width) if turned else picture.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return MAX_PIXELS, MAX_PIXELS
    except (OSError, ValueError, SyntaxError):
        return 0, 0


def _files() -> Collection[dict[str, Any]]:
    files: Collection[dict[str, Any]] = get_db()[f'{BUCKET}.files']
    return files
