"""The whole database in one file, taken while people work, and back into an empty database.

The file is a ZIP archive: ``<collection>.bson`` holds the documents of a collection, one behind the other, as the database
stores them; ``manifest.json``, written last, says how many there are, and the SHA-256 of each part. Documents are read and
written in batches, so memory does not grow with the database.
"""

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from flask_babel import gettext
from mongoengine.connection import get_db
from pymongo.client_session import ClientSession
from pymongo.errors import OperationFailure, PyMongoError

from vulyk.jobs import Duty
from vulyk.models import schema
from vulyk.models.exc import DatabaseError
from vulyk.models.schema import RESTORING, Migration
from vulyk.models.social import TOKENS

FORMAT = 1
MANIFEST = 'manifest.json'
WINDOW_S = 24 * 3600  # so long the server keeps what the snapshot needs; it needs five minutes by default
BATCH_BYTES, BATCH_DOCUMENTS = 8 * 1024 * 1024, 1000
MAX_DOCUMENT_BYTES = 16 * 1024 * 1024 + 16 * 1024

# What opens accounts, what is over in minutes, and what can be made again stays here, and the mark of a demo with it.
LEFT_OUT = {
    'account_links',
    'attempts',
    'duties',
    'instance',
    'media_smaller',
    'social_associations',
    'social_codes',
    'social_nonces',
    'social_partials',
}
_FILTERS = {'jobs': {'kind': {'$not': {'$regex': r'^vulyk\.accounts\.mails\.'}}}}  # nobody gets a mail from a copy
_PACKED_ALREADY = ('.chunks',)  # pictures and sound
_SNAPSHOT_GONE = (239, 246)  # SnapshotTooOld, SnapshotUnavailable
_RAW = CodecOptions(document_class=RawBSONDocument)

Progress = Callable[[int], None]


class BackupError(Exception):
    """There is no backup, or it cannot be restored; the text says why, and what to do."""


# --- backup -----------------------------------------------------------------------------------------------------------


def backup(
    path: Path,
    now: datetime,
    *,
    with_snapshot: bool = True,
    warn: Callable[[str], None] = lambda text: None,
    progress: Progress = lambda number: None,
) -> dict[str, Any]:
    """Write the database to a file, which appears when everything is in it. Returns its manifest.

    Every answer that was acknowledged before is in it, and of what comes later nothing: all is read as of one moment.

    :param with_snapshot: False reads each document as it is when its turn comes; for a site nobody works on.
    :param warn: is told what the operator should know.
    :raises BackupError: the file exists or cannot be written, or the server has forgotten the moment.
    """
    if path.exists():
        raise BackupError(
            gettext('%(path)s exists already; a backup replaces nothing. Choose another name.', path=path)
        )
    part = path.with_name(f'{path.name}.part')
    manifest = {'format': FORMAT, 'vulyk': version('vulyk'), 'taken_at': now.isoformat(), 'collections': {}}
    window = _longer_window(warn) if with_snapshot else nullcontext()
    try:
        with window, _snapshot(with_snapshot) as session, _opened(part) as file:
            with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                for name in _collections():
                    manifest['collections'][name] = _write_part(archive, name, session, progress)
                archive.writestr(MANIFEST, json.dumps(manifest, indent=1))
            file.flush()
            os.fsync(file.fileno())
        _publish(part, path)
    except FileExistsError as error:
        raise BackupError(
            gettext('%(path)s exists already; a backup replaces nothing. Choose another name.', path=path)
        ) from error
    except OSError as error:
        raise BackupError(
            gettext('%(path)s cannot be written: %(reason)s.', path=path, reason=error.strerror)
        ) from error
    except OperationFailure as error:
        if error.code in _SNAPSHOT_GONE:
            raise BackupError(
                gettext(
                    'The database has forgotten the moment the backup is of before it was done. Let the '
                    'database user change the parameter minSnapshotHistoryWindowInSeconds, raise it '
                    'yourself, or stop the site and use --without-snapshot.'
                )
            ) from error
        raise
    finally:
        part.unlink(missing_ok=True)
    return manifest


def _opened(part: Path) -> IO[bytes]:
    """A new file that only its owner may read: addresses of people are in it, and hashes of passwords."""
    part.unlink(missing_ok=True)
    return os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), 'w+b')


def _publish(part: Path, path: Path) -> None:
    try:
        os.link(part, path)  # unlike a rename this replaces nothing
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        part.rename(path)


def _collections() -> list[str]:
    found = get_db().list_collections(filter={'type': 'collection'})
    names = (one['name'] for one in found)
    return sorted(name for name in names if name not in LEFT_OUT and not name.startswith('system.'))


@contextmanager
def _longer_window(warn: Callable[[str], None]) -> Iterator[None]:
    """Have the server remember for longer while the backup is taken, if it lets us."""
    admin, name = get_db().client.admin, 'minSnapshotHistoryWindowInSeconds'
    try:
        before = admin.command('getParameter', 1, **{name: 1})[name]
        if before < WINDOW_S:
            admin.command('setParameter', 1, **{name: WINDOW_S})
    except OperationFailure:
        warn(
            gettext(
                'The database does not let us raise %(name)s: the backup has to be done in five minutes, or it fails.',
                name=name,
            )
        )
        yield
        return
    try:
        yield
    finally:
        try:
            admin.command('setParameter', 1, **{name: before})
        except PyMongoError as error:
            warn(
                gettext(
                    '%(name)s could not be set back to %(before)s: %(reason)s', name=name, before=before, reason=error
                )
            )


@contextmanager
def _snapshot(wanted: bool) -> Iterator[ClientSession]:
    """A session in which all is read as it was when the first document was."""
    # Once this is safe, all that was acknowledged before is, and part of what the server shows.
    Duty.objects(pk='backup').update_one(upsert=True, set__next_at=datetime.now(UTC))
    with get_db().client.start_session(snapshot=wanted) as session:
        yield session


def _write_part(archive: zipfile.ZipFile, name: str, session: ClientSession, progress: Progress) -> dict[str, Any]:
    collection = get_db().get_collection(name)
    digest, number, size = hashlib.sha256(), 0, 0
    info = zipfile.ZipInfo(f'{name}.bson', datetime.now(UTC).timetuple()[:6])
    info.compress_type = zipfile.ZIP_STORED if name.endswith(_PACKED_ALREADY) else zipfile.ZIP_DEFLATED
    with archive.open(info, 'w', force_zip64=True) as part:
        for raw in collection.find_raw_batches(_FILTERS.get(name, {}), session=session):
            data = _without_secrets(name, raw)
            part.write(data)
            digest.update(data)
            count = sum(1 for _ in _documents(raw))
            number, size = number + count, size + len(data)
            progress(count)
    return {'documents': number, 'bytes': size, 'sha256': digest.hexdigest()}


def _documents(raw: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(raw):
        end = start + int.from_bytes(raw[start : start + 4], 'little')
        yield raw[start:end]
        start = end


def _without_secrets(name: str, raw: bytes) -> bytes:
    """Documents without what opens an account: sessions, and keys to accounts at services that older versions kept."""
    if name not in ('user', 'user_social_auth'):
        return raw
    changed = []
    for one in _documents(raw):
        document = bson.decode(one)
        document.pop('sessions', None)
        if isinstance(document.get('extra_data'), dict):
            document['extra_data'] = {key: it for key, it in document['extra_data'].items() if key not in TOKENS}
        changed.append(bson.encode(document))
    return b''.join(changed)


# --- restore ----------------------------------------------------------------------------------------------------------


def check(path: Path, progress: Progress = lambda number: None) -> dict[str, Any]:
    """Read a backup from end to end, and touch nothing. Returns its manifest.

    :raises BackupError: it is no backup, it is damaged, or it is of a newer version.
    """
    try:
        with path.open('rb') as file, _archive(file) as archive:
            manifest = _read_manifest(archive, path)
            for name, facts in manifest['collections'].items():
                digest, number = hashlib.sha256(), 0
                for one in _read_part(archive, name):
                    digest.update(one)
                    number += 1
                    progress(1)
                if (number, digest.hexdigest()) != (facts['documents'], facts['sha256']):
                    raise BackupError(
                        gettext(
                            '%(path)s is damaged: %(name)s is not what it was when the backup was taken.',
                            path=path,
                            name=name,
                        )
                    )
            if 'migrations' in manifest['collections']:
                _refuse_newer(archive)
    except OSError as error:
        raise BackupError(
            gettext('%(path)s cannot be read: %(reason)s.', path=path, reason=error.strerror or error)
        ) from error
    except (
        zipfile.BadZipFile,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        NotImplementedError,
    ) as error:
        raise BackupError(
            gettext('%(path)s is no backup of Vulyk, or it is damaged: %(reason)s', path=path, reason=error)
        ) from error
    except Exception as error:  # what zlib raises has no public name
        if type(error).__module__ == 'zlib':
            raise BackupError(gettext('%(path)s is damaged: %(reason)s', path=path, reason=error)) from error
        raise
    return manifest


def _archive(file: IO[bytes]) -> zipfile.ZipFile:
    if not zipfile.is_zipfile(file):
        raise ValueError(gettext('it is no ZIP archive'))
    return zipfile.ZipFile(file)


def _part(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    if name not in archive.namelist():
        raise ValueError(gettext('%(name)s is not in it', name=name))
    return archive.open(name)


def _read_manifest(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    with _part(archive, MANIFEST) as part:
        manifest: dict[str, Any] = json.load(part)
    if manifest['format'] != FORMAT:
        raise BackupError(
            gettext(
                '%(path)s is of format %(format)s; this version of Vulyk reads format %(known)s.',
                path=path,
                format=manifest['format'],
                known=FORMAT,
            )
        )
    for name in manifest['collections']:
        if not name or '$' in name or '\0' in name or name.startswith('system.'):
            raise ValueError(gettext('%(name)s is no name of a collection', name=repr(name)))
    return manifest


def _read_part(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    """The documents of a collection, one after the other."""
    with _part(archive, f'{name}.bson') as part:
        while head := part.read(4):
            size = int.from_bytes(head, 'little')
            if len(head) < 4 or not 5 <= size <= MAX_DOCUMENT_BYTES:
                raise ValueError(gettext('%(name)s holds something that is no document', name=name))
            one = head + part.read(size - 4)
            if len(one) < size or one[-1] != 0:
                raise ValueError(gettext('%(name)s ends in the middle of a document', name=name))
            yield one


def _refuse_newer(archive: zipfile.ZipFile) -> None:
    found = schema.unknown(bson.decode(one) for one in _read_part(archive, 'migrations'))
    if found:
        raise BackupError(
            gettext(
                'The backup is of a newer version of Vulyk: it has been through migration %(migration)s.',
                migration=repr(found),
            )
        )


def is_empty() -> bool:
    """Whether the database holds nothing that a restore could collide with."""
    return not any(get_db()[name].find_one({}, {'_id': 1}) for name in _collections() if name != 'migrations')


def restore(
    path: Path,
    now: datetime,
    *,
    replace: bool,
    manifest: dict[str, Any] | None = None,
    progress: Progress = lambda number: None,
) -> dict[str, Any]:
    """Put a backup into the database; make the indexes afterwards. Returns its manifest.

    If it is cut off, the site refuses the database until a restore has been done.

    :param replace: drop what is there before; otherwise the database has to be empty.
    :param manifest: what :func:`check` has found in the file; None: it is checked first.
    :raises BackupError: the backup is not good, or the database not empty. Nothing was touched then.
    :raises DatabaseError: the database has refused something half-way.
    """
    manifest = manifest or check(path)
    if not (replace or is_empty()):
        raise BackupError(gettext('The database is not empty. Name another one in MONGODB_SETTINGS, or use --replace.'))
    try:
        _fill(path, manifest['collections'], now, progress)
    except PyMongoError as error:
        raise DatabaseError(
            gettext(
                'The database could not be filled: %(reason)s. A part is missing now: remove the cause, '
                'then do it again with --replace.',
                reason=error,
            )
        ) from error
    return manifest


def _fill(path: Path, names: Iterable[str], now: datetime, progress: Progress) -> None:
    database = get_db()
    marks = Migration._get_collection()
    mark = {'owner': RESTORING, 'number': 0, 'startedAt': now}
    marks.update_one({'_id': RESTORING}, {'$set': mark}, upsert=True)
    for name in (*_collections(), *LEFT_OUT):
        if name == marks.name:
            marks.delete_many({'_id': {'$ne': RESTORING}})
        else:
            database.drop_collection(name)
    with zipfile.ZipFile(path) as archive:
        for name in names:
            for batch in _batches(_read_part(archive, name)):
                database.get_collection(name, codec_options=_RAW).insert_many(batch, ordered=False)
                progress(len(batch))
    marks.delete_one({'_id': RESTORING})


def _batches(documents: Iterator[bytes]) -> Iterator[list[RawBSONDocument]]:
    batch: list[RawBSONDocument] = []
    size = 0
    for one in documents:
        batch.append(RawBSONDocument(one))
        size += len(one)
        if size >= BATCH_BYTES or len(batch) == BATCH_DOCUMENTS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
