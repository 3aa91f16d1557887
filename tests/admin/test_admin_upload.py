"""Loading tasks on the admin pages: the same as ``db load``."""

import io
import json
import zipfile

import pytest
from mongoengine.connection import get_db

from tests import factories
from vulyk.admin import upload
from vulyk.models.audit import AuditRecord
from vulyk.models.tasks import AbstractTask, Batch

LINES = b'{"n": 1}\n{"n": 2}\n'
PNG = b'\x89PNG\r\n\x1a\n' + bytes(8)


@pytest.fixture
def send(admin_client):
    """Sends a file and returns the last line of the answer: ``send(LINES, batch='b1')``."""

    def send_file(content: bytes, client=admin_client, **wanted):
        query = {'type': 'plain_task', 'name': 'a.jsonl', **wanted}
        answer = client.post(
            '/admin/load/receive', query_string=query, data=content, content_type='application/octet-stream'
        )
        return json.loads(answer.text.splitlines()[-1])

    return send_file


def packed(**files: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, 'w', zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return archive.getvalue()


def assert_nothing_loaded() -> None:
    assert [get_db()[name].count_documents({}) for name in ('tasks', 'batches', 'loads', 'audit')] == [0, 0, 0, 0]


def test_file_becomes_a_batch_and_the_load_is_audited(app, send, admin):
    told = send(LINES, batch='b1', key='n')
    assert (told['loaded'], told['duplicates'], told['invalid'], told['batch']) == (2, 0, 0, 'b1')
    assert {task.id for task in AbstractTask.objects} == {'plain_task.1', 'plain_task.2'}
    record = AuditRecord.objects.get()
    assert (record.actor_id, record.action, record.subject) == (admin.id, 'tasks.load', 'batch b1')
    assert record.after == {'type': 'plain_task', 'tasks': 2, 'file': 'a.jsonl'}


def test_checking_only_shows_the_first_tasks_and_writes_nothing(send):
    told = send(LINES, check='1')
    assert (told['records'], told['first'], 'loaded' in told) == (2, [{'n': 1}, {'n': 2}], False)
    assert_nothing_loaded()


def test_problems_are_told_by_file_and_line_and_nothing_is_loaded(send):
    told = send(b'{"n": 1}\n[2]\n')
    assert told['error'] == '1 of 2 records are not valid. Nothing was loaded.'
    assert told['problems'] == ['a.jsonl, line 2: task: must be a JSON object, not a list.']
    assert_nothing_loaded()


def test_invalid_records_can_be_left_out(send):
    told = send(b'{"n": 1}\n[2]\n', skip='1')
    assert (told['loaded'], told['invalid']) == (1, 1)


def test_archive_brings_pictures_and_facts(app, send, monkeypatch):
    monkeypatch.setattr(app.task_types['plain_task'], 'media_fields', ('image',), raising=False)
    tasks = b'{"image": "images/a.png"}\n'
    content = packed(**{'zoo/tasks.jsonl': tasks, 'zoo/images/a.png': PNG, 'facts.json': b'{"title": "Zoo"}'})
    assert send(content, name='zoo.zip', batch='zoo')['loaded'] == 1
    assert list(AbstractTask.objects.get().media) == ['images/a.png']
    assert Batch.objects.get(pk='zoo').facts == {'title': 'Zoo'}


def test_facts_of_its_type_are_read_line_by_line(send):
    send(LINES, batch='b1', meta='urgent true\nnote two words\n')
    meta = Batch.objects.get(pk='b1').batch_meta
    assert (meta['urgent'], meta['note']) == (True, 'two words')


REFUSED = [
    (LINES, {'type': 'no_such_type'}, 'Choose one of the projects'),
    (LINES, {'name': ''}, 'Choose a file'),
    (LINES, {'name': '..'}, 'Choose a file'),
    (LINES, {'batch': 'x' * 51}, 'A batch id has 1 to 50 characters'),
    (LINES, {'batch': '__all__'}, 'means all batches'),
    (LINES, {'meta': 'weight heavy'}, "weight: 'heavy' is not a number"),
    (LINES[:5], {'name': 'a.gz'}, 'a.gz, after line 0: '),
    (b'PK no archive', {'name': 'a.zip'}, 'a.zip: cannot be unpacked'),
    (packed(readme=b'x'), {'name': 'a.zip'}, 'a.zip: there is no file with tasks in it'),
    (packed(**{'../../evil.jsonl': LINES}), {'name': 'a.zip'}, "'../../evil.jsonl' lies outside of the archive"),
    (packed(**{'a.jsonl': b'\n' * 3_000_000}), {'name': 'a.zip'}, 'more than 2,000,000 bytes'),
    (packed(**{'a.jsonl': LINES, 'facts.json': b'[]'}), {'name': 'a.zip'}, 'facts.json: facts: must be a JSON'),
]


@pytest.mark.parametrize(('content', 'wanted', 'reason'), REFUSED, ids=[reason for _, _, reason in REFUSED])
def test_what_cannot_be_loaded_is_refused_with_a_sentence(app, monkeypatch, send, content, wanted, reason):
    monkeypatch.setitem(app.config, 'UPLOAD_MAX_BYTES', 2_000_000)
    told = send(content, **wanted)
    assert reason in told['error']
    assert '/tmp' not in told['error']
    assert_nothing_loaded()


def test_file_beyond_the_limit_is_refused_before_it_is_read(app, admin_client, monkeypatch):
    monkeypatch.setitem(app.config, 'UPLOAD_MAX_BYTES', 10)
    address = '/admin/load/receive?type=plain_task&name=a.jsonl'
    answer = admin_client.post(address, data=LINES, content_type='application/octet-stream')
    assert answer.status_code == 413
    assert_nothing_loaded()


def test_browser_that_goes_away_leaves_nothing(app, admin_client, monkeypatch):
    monkeypatch.setattr(upload, 'TELL_EVERY_S', 0)
    lines = b''.join(b'{"n": %d}\n' % number for number in range(5000))
    address = '/admin/load/receive?type=plain_task&name=a.jsonl'
    answer = admin_client.post(address, data=lines, content_type='application/octet-stream', buffered=False)
    assert json.loads(next(answer.iter_encoded()))['phase'] in ('check', 'load')
    answer.close()
    assert_nothing_loaded()


def test_project_admin_loads_tasks_of_his_projects_only(app, login, send):
    keeper = factories.make_user(manages=['plain_task'])
    assert 'value="plain_task"' in login(keeper).get('/admin/load/').text
    assert send(LINES, client=login(keeper), batch='b1')['loaded'] == 2
    other = login(factories.make_user(manages=['other_task']))
    assert 'value="plain_task"' not in other.get('/admin/load/').text
    assert 'Choose one of the projects' in send(LINES, client=other, batch='b2')['error']
