"""Answers of a batch, downloaded by those who look after it."""

import io
import json
import zipfile

import pytest

from tests.factories import answer, make_tasks, make_user
from vulyk.exporting import formats
from vulyk.models.audit import AuditRecord
from vulyk.models.tasks import Batch

PAGE = '/admin/batch/answers/?id=b1'
CHOICE = {'batch': 'b1', 'form': 'jsonl'}


@pytest.fixture(autouse=True)
def work(plain):
    """Batch ``b1``: one task closed by the answers 1 and 2, one open with the answer 3."""
    one, other = make_tasks(plain, 2, batch='b1')
    for task, number in ((one, 1), (one, 2), (other, 3)):
        answer(plain, task, make_user(), {'n': number})


@pytest.fixture
def keeper(login):
    """The browser of the project admin of ``plain_task``."""
    return login(make_user(username='keeper_of_plain', manages=['plain_task']))


def archive(response) -> zipfile.ZipFile:
    assert (response.status_code, response.mimetype) == (200, 'application/zip')
    return zipfile.ZipFile(io.BytesIO(response.data))


def entries(response) -> list[dict]:
    downloaded = archive(response)
    return [json.loads(line) for line in downloaded.read(downloaded.namelist()[0]).splitlines()]


def test_list_of_batches_leads_to_the_page(admin_client):
    assert 'href="/admin/batch/answers/?id=b1"' in admin_client.get('/admin/batch/').text
    page = admin_client.get(PAGE).text
    assert 'Answers of b1' in page
    assert '1 of 2 tasks are closed.' in page


def test_archive_holds_answers_and_manifest(admin_client):
    response = admin_client.post(PAGE, data=CHOICE)
    assert response.headers['Content-Disposition'] == 'attachment; filename="b1.zip"'
    assert archive(response).namelist() == ['b1.jsonl', 'b1.jsonl.manifest.json']
    assert [entry['answer']['n'] for entry in entries(response)] == [1, 2]
    assert json.loads(archive(response).read('b1.jsonl.manifest.json'))['site'] == 'Test hive'


@pytest.mark.parametrize(
    ('choice', 'numbers'),
    [
        ({'with_open': 'y'}, [1, 2, 3]),
        ({'since': '2020-01-01T00:00'}, [1, 2]),
        ({'since': '2999-01-01T00:00'}, []),
        ({'batch': '__all__'}, [1, 2]),
    ],
    ids=str,
)
def test_options_of_the_command_are_there(admin_client, choice, numbers):
    assert sorted(entry['answer']['n'] for entry in entries(admin_client.post(PAGE, data=CHOICE | choice))) == numbers


def test_times_and_tables_can_be_had_too(admin_client):
    downloaded = archive(admin_client.post(PAGE, data=CHOICE | {'form': 'csv', 'with_sessions': 'y'}))
    assert b'session.activity' in downloaded.read('b1.csv')


@pytest.mark.parametrize('choice', [{'form': 'xls'}, {'since': 'yesterday'}, {'batch': 'b2'}], ids=str)
def test_choice_that_is_none_is_told_beside_its_field(admin_client, choice):
    response = admin_client.post(PAGE, data=CHOICE | choice)
    assert (response.status_code, 'invalid-feedback' in response.text) == (200, True)


def test_addresses_come_on_demand_and_that_is_recorded(admin, admin_client):
    downloaded = entries(admin_client.post(PAGE, data=CHOICE | {'with_emails': 'y'}))
    assert all('@example.org' in entry['user']['email'] for entry in downloaded)
    record = AuditRecord.objects.get()
    assert (record.actor_id, record.action) == (admin.id, 'answers.export_with_emails')
    assert (record.subject, record.after['to']) == ('batch b1 of plain_task', 'a download')


def test_other_downloads_are_not_recorded(admin_client):
    admin_client.post(PAGE, data=CHOICE)
    assert AuditRecord.objects.count() == 0


def test_project_admins_download_without_addresses(keeper):
    assert 'E-mail' not in keeper.get(PAGE).text
    downloaded = entries(keeper.post(PAGE, data=CHOICE | {'with_emails': 'y'}))
    assert {entry['user']['email'] for entry in downloaded} == {''}


@pytest.mark.parametrize('batch', ['foreign', 'nothing', ''])
def test_batch_of_another_project_and_no_batch_lead_back_to_the_list(keeper, batch):
    Batch(id='foreign', task_type='other_task', tasks_count=0).save()
    response = keeper.post(f'/admin/batch/answers/?id={batch}', data=CHOICE)
    assert (response.status_code, response.location) == (302, '/admin/batch/')


def test_batch_of_a_plugin_that_is_not_enabled_leads_back_to_the_list(admin_client):
    Batch(id='foreign', task_type='other_task', tasks_count=0).save()
    assert admin_client.get('/admin/batch/answers/?id=foreign').location == '/admin/batch/'
    assert 'the plugin of its project is not enabled' in admin_client.get('/admin/batch/').text


def test_odd_name_of_a_batch_makes_no_odd_file_name(admin_client, plain):
    make_tasks(plain, 1, batch='../"Б 1"')
    response = admin_client.post('/admin/batch/answers/?id=../"Б 1"', data=CHOICE | {'batch': '../"Б 1"'})
    assert response.headers['Content-Disposition'] == 'attachment; filename="_1_.zip"'
    assert archive(response).namelist()[0] == '_1_.jsonl'


def test_option_that_an_old_plugin_does_not_know_is_told_on_the_page(admin_client, plain, monkeypatch):
    monkeypatch.setattr(type(plain), 'export_reports', lambda self, batch, closed=True: iter(()))
    page = admin_client.post(PAGE, data=CHOICE | {'counted_only': 'y'}).text
    assert 'knows no --counted-only' in page


def test_what_goes_wrong_on_the_way_is_told_in_the_archive(admin_client, monkeypatch):
    monkeypatch.setattr(formats, 'MAX_COLUMNS', 1)
    downloaded = archive(admin_client.post(PAGE, data=CHOICE | {'form': 'csv'}))
    assert downloaded.namelist() == ['b1.csv', 'ERROR.txt']
    assert b'too many for the columns of a table' in downloaded.read('ERROR.txt')
