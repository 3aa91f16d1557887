"""``doctor``: what is wrong with a site, and what to type."""

import json
import sys
from datetime import UTC, datetime, timedelta
from types import ModuleType

import pytest
from bson import ObjectId
from mongoengine.connection import get_db

from tests.factories import make_tasks, make_user
from vulyk import control, demo
from vulyk.cli import doctor
from vulyk.jobs import DEAD, READY, Job, sweep_if_due
from vulyk.models import database, schema
from vulyk.models.exc import InitializationError
from vulyk.models.tasks import Closing
from vulyk.models.user import Group

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def _migrated(app) -> None:
    """The database has been through all migrations."""
    for step in schema.STEPS:
        schema.begin(step, NOW)
        schema.finish(step, NOW)


@pytest.fixture
def examine(runner, monkeypatch):
    """Examines the site: ``examine(area)`` returns the states and texts of an area, one index being all it needs."""
    monkeypatch.setattr(database, 'MODELS', [Closing])

    def find(area: str) -> list[tuple[str, str]]:
        found = json.loads(runner('doctor', '--json').stdout)
        return [(one['state'], f'{one["text"]} {one["cure"]}') for one in found if one['area'] == area]

    return find


@pytest.fixture
def local_settings(app, monkeypatch, tmp_path):
    """The module of settings the site was built from; its file is readable for its owner only."""
    module = ModuleType('local_settings')
    module.__file__ = str(tmp_path / 'local_settings.py')
    (tmp_path / 'local_settings.py').touch(mode=0o600)
    monkeypatch.setitem(sys.modules, 'local_settings', module)
    monkeypatch.setattr(app, 'settings_source', module.__file__)
    return module


def test_site_without_a_fault_is_told_so_with_exit_code_0(runner, app):
    make_user(admin=True)
    sweep_if_due('w', datetime.now(UTC))
    result = runner('doctor')
    assert result.exit_code == 0, result.output
    assert 'ok       people: active accounts: 1\n' in result.stdout
    assert 'WRONG' not in result.stdout


def test_faults_are_told_with_what_to_type_and_exit_code_1(runner, app):
    result = runner('doctor')
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, 'Error: 2 things are wrong.')
    assert 'WRONG    people: There is no admin.\n         → vulyk admin create\n' in result.stdout
    assert 'WRONG    worker: Nobody does background work; none was ever done.\n' in result.stdout


def test_site_that_cannot_be_built_is_told(monkeypatch):
    def fail() -> None:
        raise InitializationError('MONGODB_SETTINGS cannot be used.')

    findings = doctor.examine(None)
    monkeypatch.setattr(doctor, 'site', lambda: control.Site(fail, fail, fail))
    assert [(one.area, one.state) for one in findings] == [('version', 'ok'), ('configuration', 'wrong')]


@pytest.mark.parametrize(
    ('setting', 'state', 'said'),
    [
        ({'SECRET_KEY': 'dev'}, 'wrong', 'SECRET_KEY is not set'),
        ({'SECRET_KEY': 'short but not known'}, 'warning', 'less than 32 characters'),
        ({'SITE_URL': 'https://example.org', 'DEBUG': True, 'TRUSTED_PROXIES': ['unix']}, 'wrong', 'DEBUG is on'),
        ({'SITE_URL': 'https://example.org'}, 'warning', 'TRUSTED_PROXIES ='),
        ({'SITE_URL': 'http://example.org', 'TRUSTED_PROXIES': ['unix']}, 'warning', 'no HTTPS'),
        ({'SITE_URL': 'http://localhost:5000', 'DEBUG': True}, 'ok', ''),
        ({'SITE_IS_CLOSED': True}, 'warning', 'The site is closed'),
    ],
)
def test_setting_that_should_not_be_is_told(examine, app, monkeypatch, setting, state, said):
    for name, value in {'SECRET_KEY': 'a key for tests only, long enough', **setting}.items():
        monkeypatch.setitem(app.config, name, value)
    ((found, text),) = examine('configuration')
    assert (found, said in text) == (state, True), text


def test_name_of_a_setting_that_does_not_exist_is_told_with_the_one_meant(examine, local_settings):
    local_settings.MAIL_SERVRE, local_settings.NONSENSE, local_settings.SITE_NAME = 'x', 1, 'Zoo'
    texts = [text for _, text in examine('configuration')]
    assert texts == [
        'There is no setting MAIL_SERVRE. Is MAIL_SERVER meant?',
        'There is no setting NONSENSE. Take it out, unless code of yours reads it.',
    ]


def test_settings_that_others_can_read_are_told(examine, local_settings, tmp_path):
    assert [state for state, _ in examine('files')] == ['ok']
    (tmp_path / 'local_settings.py').chmod(0o644)
    ((state, text),) = examine('files')
    assert (state, f'chmod go= {tmp_path}' in text) == ('wrong', True)


def test_plugin_that_is_left_out_is_told(examine, app, monkeypatch):
    monkeypatch.setattr(app, 'plugin_errors', {'vulyk_zoo': 'it has no template'})
    assert examine('plugins')[0] == ('wrong', 'vulyk_zoo is left out: it has no template vulyk plugin check vulyk_zoo')


def test_missing_index_is_told_and_not_made(examine, app):
    get_db().closings.drop_index('batch_1')
    try:
        ((state, text),) = examine('indexes')
        assert (state, 'closings {batch}' in text, 'vulyk db index --create' in text) == ('wrong', True, True)
        assert 'batch_1' not in get_db().closings.index_information()
    finally:
        get_db().closings.create_index('batch')


def test_migrations_that_are_left_and_a_newer_database_are_told(examine):
    assert examine('migrations') == [('ok', 'the database is of this version ')]
    last = schema.STEPS[-1]
    schema.Migration.objects(pk=last.key).delete()
    ((state, text),) = examine('migrations')
    assert (state, str(last.title) in text, 'vulyk db migrate' in text) == ('wrong', True, True)
    schema.Migration(id='core 99', owner='core', number=99).save()
    assert 'a newer version' in examine('migrations')[0][1]


def test_site_that_is_not_set_up_and_whose_database_is_a_demo_is_told(examine):
    Group.objects.delete()
    demo.mark()
    said = ' '.join(text for _, text in examine('people'))
    assert 'vulyk init plain_task' in said
    assert 'that of a demo' in said


def test_worker_and_jobs_are_told(examine):
    sweep_if_due('w', datetime.now(UTC))
    assert examine('worker') == [('ok', 'background work is done, 0 jobs wait ')]
    for state in (READY, DEAD):
        Job(kind='a.job', state=state, run_at=NOW - timedelta(hours=1)).save()
    assert [state for state, _ in examine('worker')] == ['ok', 'warning', 'warning']


def test_missing_file_of_a_task_is_told(examine, plain):
    (task,) = make_tasks(plain, 1)
    task.update(set__media={'a.png': str(ObjectId())})
    ((state, text),) = examine('media')
    assert (state, '1 of 1 files of tasks are missing' in text) == ('wrong', True)


def test_mail_that_cannot_leave_is_told(runner):
    assert 'There is no way to send the mail' in runner('doctor', '--mail', 'ada@example.org').stdout
