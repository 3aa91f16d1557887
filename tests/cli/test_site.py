"""``site new``: from nothing to a site of one's own."""

import stat
from pathlib import Path

import pymongo
import pytest
from click.testing import CliRunner

from vulyk import control, settings
from vulyk.cli.site import settings_of, settings_text

ADMIN = ('--email', 'ada@example.org', '--username', 'ada', '--password', 'correct horse')


@pytest.fixture
def new(make_app, monkeypatch, tmp_path, mongo_uri, worker_id):
    """Makes a site in the folder ``own``, on the server of the tests: ``new(*options)``."""
    database = f'vulyk_{worker_id}_own'
    monkeypatch.setattr(control, 'build', lambda config: make_app(**config, MONGODB_TIMEOUT_SECONDS=0.2))

    def make(*options: str, text: str | None = None):
        server = ('--name', "Ada's", '--mongodb', mongo_uri, '--database', database)
        return CliRunner().invoke(control.cli, ['site', 'new', str(tmp_path / 'own'), *server, *options], input=text)

    yield make
    with pymongo.MongoClient(mongo_uri) as client:
        client.drop_database(database)


def test_site_is_made_with_settings_of_its_own_and_an_admin_who_can_sign_in(new, tmp_path, make_app):
    result = new(*ADMIN, '--plugin', 'vulyk_plain')
    assert result.exit_code == 0, result.output
    path = tmp_path / 'own' / 'local_settings.py'
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = settings_of(path.read_text('utf-8'), path)
    assert (found['SITE_NAME'], len(found['SECRET_KEY'])) == ("Ada's", 64)
    browser = make_app(**found).test_client()
    home = browser.post('/sign-in', data={'email': 'ada@example.org', 'password': 'correct horse'})
    assert home.status_code == 302
    assert browser.get('/type/plain_task/').status_code == 200
    assert f'cd {tmp_path / "own"}\n' in result.output
    again = new(*ADMIN)
    assert (again.exit_code, 'local_settings.py exists already' in again.output) == (2, True)
    path.parent.rename(tmp_path / 'first')
    again = new('--email', 'eve@example.org', '--username', 'eve', '--password', 'correct horse')
    assert (again.exit_code, 'holds a site already' in again.output, path.exists()) == (1, True, False)


@pytest.mark.parametrize(
    ('options', 'reason'),
    [
        ((*ADMIN[:4], '--password', 'short'), 'too short'),
        (('--email', 'ada', *ADMIN[2:]), 'is not an e-mail address'),
        (('--email', 'a@b.c', '--username', 'a b@c', *ADMIN[4:]), 'The username is what others see'),
        ((*ADMIN, '--plugin', 'vulyk_nothing'), 'The plugin vulyk_nothing is not installed here. There are: '),
        ((*ADMIN, '--database', 'a/b'), 'A database is called by'),
        ((*ADMIN, '--mongodb', 'localhost'), 'Invalid URI scheme'),
        ((*ADMIN, '--mongodb', 'mongodb://me:secret@:x'), 'me:…@'),
    ],
)
def test_wrong_facts_are_refused_before_anything_is_made(new, tmp_path, options, reason):
    result = new(*options)
    assert (result.exit_code, reason in result.output) == (2, True), result.output
    assert 'secret' not in result.output
    assert not (tmp_path / 'own').exists()


def test_server_that_is_away_leaves_nothing_behind(new, tmp_path, closed_port):
    (tmp_path / 'own').mkdir()
    away = f'mongodb://127.0.0.1:{closed_port}/?serverSelectionTimeoutMS=100'
    result = new(*ADMIN, '--plugin', 'vulyk_plain', '--mongodb', away)
    assert (result.exit_code, 'No MongoDB answers' in result.output) == (1, True)
    assert list((tmp_path / 'own').iterdir()) == []


def test_folder_is_looked_at_before_anything_is_asked(tmp_path):
    (tmp_path / 'file').touch()
    result = CliRunner().invoke(control.cli, ['site', 'new', str(tmp_path / 'file' / 'own')])
    assert (result.exit_code, 'is no folder that can be written' in result.output) == (2, True)
    assert 'Name of the site' not in result.output


@pytest.mark.parametrize('uri', ['', 'mongodb://db1/'])
def test_file_of_settings_names_settings_that_exist(uri):
    text = settings_text('A {site} "of" \'mine\'', 'key', {'vulyk_plain': 'PlainTaskType'}, uri, 'vulyk')
    found = settings_of(text, Path('/srv/own/local_settings.py'))
    assert found['SITE_NAME'] == 'A {site} "of" \'mine\''
    assert set(found) - {'HERE'} <= set(vars(settings))
    assert ('EMBEDDED_MONGOD' in found) == (not uri)
