"""``db backup`` and ``db restore``."""

import json
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import bson
import gridfs
import pytest
from click.testing import CliRunner
from mongoengine.connection import get_db
from pymongo.database import Database
from pymongo.errors import OperationFailure

from tests.factories import answer, empty_database, make_tasks, make_user, stored
from vulyk import backup, control, jobs
from vulyk.accounts import mails, services
from vulyk.backup import BackupError
from vulyk.ext import consistency
from vulyk.models import database, media, schema
from vulyk.models.audit import AuditRecord
from vulyk.models.exc import DatabaseError
from vulyk.models.social import SocialAccount
from vulyk.models.tasks import AbstractAnswer
from vulyk.models.user import User
from vulyk.texts import PSEUDO

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
WINDOW = 'minSnapshotHistoryWindowInSeconds'


@pytest.fixture(autouse=True)
def _indexes(app):
    """As they were: a restore makes its collections anew, and its indexes at the end."""
    yield
    database.make_indexes()


@pytest.fixture
def command(app, monkeypatch):
    """Runs commands: ``command('db', 'backup', path)``."""
    monkeypatch.setattr(control, 'build', lambda config=None: app)
    return lambda *arguments: CliRunner().invoke(control.cli, [str(argument) for argument in arguments])


@pytest.fixture
def saved(app, plain, tmp_path):
    """A backup of a small database, which is empty again afterwards."""
    for task in make_tasks(plain, 2):
        answer(plain, task, make_user())
    path = tmp_path / 'saved.zip'
    backup.backup(path, NOW)
    empty_database()
    return path


# --- there and back ---------------------------------------------------------------------------------------------------


def test_what_was_acknowledged_before_is_in_it_however_many_answer_meanwhile(app, plain, tmp_path):
    tasks, told, enough = make_tasks(plain, 300), [], threading.Event()
    users = [make_user() for _ in range(8)]

    def work(number: int) -> None:
        with app.app_context():
            for task in tasks[number::4]:
                if enough.is_set():
                    return
                plain.on_task_done(users[number], task.id, {'n': number})
                told.append((users[number].id, task.id))

    with ThreadPoolExecutor(8) as people:
        working = [people.submit(work, number) for number in range(8)]
        while len(told) < 40:
            assert not all(one.done() for one in working)
        before = set(told)
        backup.backup(tmp_path / 'a.zip', NOW)
        enough.set()
        assert [one.result() for one in working] == [None] * 8
    empty_database()
    backup.restore(tmp_path / 'a.zip', NOW, replace=False)
    assert list(consistency.check()) == []
    there = {(one['createdBy'], one['task']) for one in AbstractAnswer._get_collection().find()}
    assert before <= there <= set(told)


def test_everything_comes_back_as_it_was_but_for_what_opens_accounts(app, plain, command, tmp_path):
    ada = make_user(password='correct horse')
    answer(plain, make_tasks(plain, 1)[0], ada, {'n': 2**60, 'é': [0.1, None]})
    (tmp_path / 'a.ogg').write_bytes(b'OggS' + bytes(600_000))
    digest = media.store(tmp_path / 'a.ogg', 'plain_task')
    logo = gridfs.GridFS(get_db(), 'images').put(b'logo')
    SocialAccount(user=ada, provider='github', uid='1', extra_data={'login': 'ada'}).save()
    before = stored()
    ada.start_session()
    link = services.make_reset_link(ada, NOW)
    jobs.enqueue(mails.mail_link, link_id=link.id, site='x')
    SocialAccount._get_collection().update_one({}, {'$set': {'extra_data.access_token': 'the token'}})
    path = tmp_path / 'a.zip'
    assert command('db', 'backup', path).exit_code == 0
    with zipfile.ZipFile(path) as archive:
        content = b''.join(archive.read(name) for name in archive.namelist())
    for secret in (link.id, User.objects.get(pk=ada.id).sessions[0].id, 'the token', app.secret_key):
        assert secret.encode() not in content
    empty_database()
    done = command('db', 'restore', path)
    assert (done.exit_code, 'documents' in done.stdout) == (0, True), done.output
    after = stored()
    for name in ('audit', 'duties', 'migrations'):
        before.pop(name, None), after.pop(name, None)
    for user in (*before['user'], *after['user']):
        user.pop('sessions', None), user.pop('last_login')
    assert after == before
    assert User.objects.get(pk=ada.id).check_password('correct horse')
    assert media.find(digest, 'plain_task').read() == b'OggS' + bytes(600_000)
    assert gridfs.GridFS(get_db(), 'images').get(logo).read() == b'logo'
    assert [record.action for record in AuditRecord.objects.order_by('at')] == ['db.backup', 'db.restore']


def test_indexes_are_there_after_a_restore(command, saved, app):
    for name in get_db().list_collection_names(filter={'type': 'collection'}):
        get_db().drop_collection(name)
    assert command('db', 'restore', saved).exit_code == 0
    assert any('unique' in index for index in get_db()['reports'].index_information().values())


def test_only_its_owner_may_read_it_and_nothing_is_left_beside_it(saved):
    assert (saved.stat().st_mode & 0o777, [path.name for path in saved.parent.iterdir()]) == (0o600, ['saved.zip'])


# --- no backup --------------------------------------------------------------------------------------------------------


def test_backup_replaces_no_file(command, tmp_path):
    path = tmp_path / 'a.zip'
    path.write_bytes(b'the last good one')
    refused = command('db', 'backup', path)
    assert (refused.exit_code, 'exists already' in refused.output, path.read_bytes()) == (1, True, b'the last good one')


def test_place_that_cannot_be_written_to_is_named(command, tmp_path):
    refused = command('db', 'backup', tmp_path / 'none' / 'a.zip')
    assert (refused.exit_code, 'cannot be written: No such file' in refused.output) == (1, True)


def window() -> int:
    return get_db().client.admin.command('getParameter', 1, **{WINDOW: 1})[WINDOW]


def test_server_remembers_for_longer_while_it_is_taken(app, tmp_path, monkeypatch):
    before, meanwhile, write = window(), [], backup._write_part
    monkeypatch.setattr(backup, '_write_part', lambda *all_: (meanwhile.append(window()), write(*all_))[1])
    backup.backup(tmp_path / 'a.zip', NOW)
    assert (set(meanwhile), window()) == ({backup.WINDOW_S}, before)


def test_server_that_may_not_be_told_so_is_a_warning(app, tmp_path, monkeypatch):
    ask, warned = Database.command, []

    def command(self, command, *arguments, **more):
        if command == 'getParameter':
            raise OperationFailure('not authorized', 13)
        return ask(self, command, *arguments, **more)

    monkeypatch.setattr(Database, 'command', command)
    backup.backup(tmp_path / 'a.zip', NOW, warn=warned.append)
    assert (len(warned), 'five minutes' in warned[0]) == (1, True)
    backup.check(tmp_path / 'a.zip')


def test_moment_that_the_server_has_forgotten_leaves_no_file(app, tmp_path, monkeypatch):
    def forget(*arguments):
        raise OperationFailure('Read timestamp is older than the oldest available timestamp', 239)

    monkeypatch.setattr(backup, '_write_part', forget)
    with pytest.raises(BackupError, match='--without-snapshot'):
        backup.backup(tmp_path / 'a.zip', NOW)
    assert list(tmp_path.iterdir()) == []


def test_without_a_snapshot_it_is_whole_too(saved, app, plain, tmp_path):
    backup.restore(saved, NOW, replace=False)
    manifest = backup.backup(tmp_path / 'b.zip', NOW, with_snapshot=False)
    assert manifest['collections']['reports'] == backup.check(saved)['collections']['reports']


# --- no restore -------------------------------------------------------------------------------------------------------


def rewritten(path, name: str, content: bytes | None) -> None:
    """Change a part of a backup; None leaves it out."""
    with zipfile.ZipFile(path) as archive:
        parts = {entry: archive.read(entry) for entry in archive.namelist()}
    parts[name] = content
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        for entry, data in parts.items():
            if data is not None:
                archive.writestr(entry, data)


def manifest_with(path, **changes) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return json.dumps({**json.loads(archive.read('manifest.json')), **changes}).encode()


FUTURE = bson.encode({'_id': 'core 99', 'owner': 'core', 'number': 99})


def from_the_future(path) -> None:
    digest = backup.hashlib.sha256(FUTURE).hexdigest()
    facts = {'migrations': {'documents': 1, 'bytes': len(FUTURE), 'sha256': digest}}
    rewritten(path, 'manifest.json', manifest_with(path, collections=facts))
    rewritten(path, 'migrations.bson', FUTURE)


def flipped(path) -> None:
    data = bytearray(path.read_bytes())
    start = data.index(b'reports.bson') + len('reports.bson')
    data[start + 40] ^= 0xFF
    path.write_bytes(data)


DAMAGE = {
    'no archive': (lambda path: path.write_bytes(b'hello'), 'no backup of Vulyk'),
    'nothing': (lambda path: path.write_bytes(b''), 'no backup of Vulyk'),
    'not there': (lambda path: path.unlink(), 'cannot be read: No such file'),
    'cut off': (lambda path: path.write_bytes(path.read_bytes()[:-700]), 'no backup of Vulyk'),
    'a bit flipped': (flipped, 'damaged'),
    'another archive': (lambda path: rewritten(path, 'manifest.json', None), 'no backup of Vulyk'),
    'manifest of something else': (lambda path: rewritten(path, 'manifest.json', b'[]'), 'no backup of Vulyk'),
    'another format': (lambda path: rewritten(path, 'manifest.json', manifest_with(path, format=2)), 'of format 2'),
    'a part missing': (lambda path: rewritten(path, 'reports.bson', None), 'reports.bson'),
    'a part of another backup': (lambda path: rewritten(path, 'reports.bson', bson.encode({})), 'reports is not what'),
    'no documents': (lambda path: rewritten(path, 'reports.bson', b'\xff' * 9), 'no document'),
    'half a document': (lambda path: rewritten(path, 'reports.bson', b'\x09\0\0\0'), 'in the middle'),
    'a newer version': (from_the_future, "newer version of Vulyk: it has been through migration 'core 99'"),
}


@pytest.mark.parametrize(('damage', 'reason'), DAMAGE.values(), ids=DAMAGE)
def test_bad_backup_is_refused_before_anything_is_touched(command, saved, damage, reason):
    damage(saved)
    kept = make_user()
    before = stored()
    refused = command('db', 'restore', saved, '--replace', '--yes')
    assert (refused.exit_code, reason in refused.output, 'Nothing was touched.' in refused.output) == (1, True, True)
    assert (stored() == before, User.objects.get()) == (True, kept)


@pytest.mark.parametrize(
    'damage', ['no archive', 'another archive', 'a part missing', 'no documents', 'half a document']
)
def test_reason_why_a_backup_is_refused_can_be_translated(app, saved, monkeypatch, damage):
    monkeypatch.setitem(app.config, 'LANGUAGE', PSEUDO)
    DAMAGE[damage][0](saved)
    with pytest.raises(BackupError, match='⟦.*⟦.*⟧.*⟧'):
        backup.check(saved)


def test_database_that_is_not_empty_is_left_alone_unless_one_insists(command, saved):
    kept = make_user()
    refused = command('db', 'restore', saved)
    assert (refused.exit_code, 'The database is not empty.' in refused.output) == (1, True)
    assert command('db', 'restore', saved, '--replace').exit_code == 1  # nobody says yes
    assert User.objects.get() == kept
    assert command('db', 'restore', saved, '--replace', '--yes').exit_code == 0
    assert (User.objects(pk=kept.id).first(), AbstractAnswer.objects.count()) == (None, 2)


def test_half_restored_database_is_not_used(app, command, saved, monkeypatch):
    def die(documents):
        for batch in whole(documents):
            yield batch
            raise KeyboardInterrupt

    whole = backup._batches
    with monkeypatch.context() as patch:
        patch.setattr(backup, '_batches', die)
        with pytest.raises(KeyboardInterrupt):
            backup.restore(saved, NOW, replace=False)
    with pytest.raises(DatabaseError, match='vulyk db restore --replace'):
        schema.check()
    assert command('db', 'restore', saved, '--replace', '--yes').exit_code == 0
    schema.check()
    assert list(consistency.check()) == []


def test_database_that_refuses_half_way_says_what_to_do(app, command, saved, monkeypatch):
    def refuse(documents):
        raise OperationFailure('no space left')

    monkeypatch.setattr(backup, '_batches', refuse)
    failed = command('db', 'restore', saved)
    assert (failed.exit_code, 'no space left' in failed.output, 'again with --replace' in failed.output) == (
        1,
        True,
        True,
    )
    empty_database()


def test_documents_larger_than_a_batch_come_back(app, tmp_path):
    large = [{'_id': number, 'text': 'x' * 5_000_000} for number in range(4)]
    get_db()['plugin_notes'].insert_many(large)
    backup.backup(tmp_path / 'a.zip', NOW)
    get_db().drop_collection('plugin_notes')
    empty_database()
    backup.restore(tmp_path / 'a.zip', NOW, replace=False)
    assert list(get_db()['plugin_notes'].find()) == large
    get_db().drop_collection('plugin_notes')
