"""A database that is away, or of the wrong kind."""

import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pymongo
import pytest
from mongoengine.connection import get_connection
from pymongo.errors import AutoReconnect, ServerSelectionTimeoutError

from vulyk import mongod
from vulyk.bootstrap import _db
from vulyk.models.exc import DatabaseError
from vulyk.models.user import Group


@pytest.fixture
def away(make_app, closed_port, _kept):
    """A site whose database does not answer."""
    _kept.clear()
    return make_app(
        MONGODB_SETTINGS={'DB': 'vulyk', 'HOST': '127.0.0.1', 'PORT': closed_port}, MONGODB_TIMEOUT_SECONDS=0.3
    )


@pytest.fixture(scope='module')
def standalone():
    """The address of a MongoDB that is no replica set."""
    folder = Path(tempfile.mkdtemp(prefix='vulyk-standalone-', dir='/dev/shm' if Path('/dev/shm').is_dir() else None))
    process = subprocess.Popen(
        [mongod.find_mongod(), '--dbpath', str(folder), '--port', '0', '--bind_ip', '127.0.0.1', '--nounixsocket']
        + ['--wiredTigerCacheSizeGB', '0.25', '--wiredTigerEngineConfigString', 'log=(prealloc=false,file_max=8MB)'],
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if found := re.search(r'Listening on","attr":\{"address":"127\.0\.0\.1:(\d+)"|"port":(\d+),.*?Waiting', line):
            port = found[1] or found[2]
            break
        if found := re.search(r'Waiting for connections","attr":\{"port":(\d+)', line):
            port = found[1]
            break
    yield f'127.0.0.1:{port}'
    process.terminate()
    process.stdout.read()
    process.stdout.close()
    process.wait(30)
    shutil.rmtree(folder, ignore_errors=True)


def test_no_server_that_starts_meanwhile_gets_the_port_of_the_database_that_is_away(closed_port):
    with socket.socket() as server, pytest.raises(OSError, match='in use'):
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as mongod does
        server.bind(('127.0.0.1', closed_port))


def test_application_can_be_built_without_its_database(away):
    assert list(away.task_types) == ['plain_task']


def test_page_says_soon_that_the_database_is_away(away, closed_port):
    start = time.monotonic()
    response = away.test_client().get('/')
    assert time.monotonic() - start < 5
    assert (response.status_code, response.mimetype) == (503, 'text/html')
    assert f'No MongoDB answers at 127.0.0.1:{closed_port}' in response.text
    assert 'MONGODB_SETTINGS' in response.text


@pytest.mark.parametrize('path', ['/type/plain_task/next', '/session'])
def test_json_says_that_the_database_is_away(away, path):
    response = away.test_client().get(path)
    assert (response.status_code, response.json['result']) == (503, {})
    assert 'No MongoDB answers' in response.json['errors'][0]


@pytest.mark.parametrize('path', ['/no/such/page', '/type/x/', '/sign-in'])
def test_every_page_is_a_page_while_the_database_is_away(away, path):
    assert away.test_client().get(path).status_code == 503


def test_page_about_the_database_has_its_styles(away):
    client = away.test_client()
    addresses = re.findall(r'href="(/static/[^"]+)"', client.get('/').text)
    assert addresses
    for address in addresses:
        assert client.get(address, buffered=True).status_code == 200


def test_site_recovers_when_the_database_is_back(away, monkeypatch):
    client = away.test_client()
    assert client.get('/').status_code == 503
    monkeypatch.setattr('vulyk.models.database.prepare', lambda: None)
    _db.prepare(away)
    assert away.extensions['vulyk_database']['prepared']


@pytest.fixture
def lost(app, monkeypatch):
    """A site whose database was there and goes away: every look at the groups fails."""

    def lose(*args, **kwargs):
        raise AutoReconnect('connection reset')

    monkeypatch.setitem(app.config, 'PROPAGATE_EXCEPTIONS', False)
    client = app.test_client()
    client.get('/')
    monkeypatch.setattr(Group, 'objects', property(lose))
    monkeypatch.setattr('vulyk.bootstrap._templates.Group', type('Lost', (), {'objects': staticmethod(lose)}))
    return client


@pytest.mark.parametrize('path', ['/', '/sign-in', '/no/such/page', '/type/plain_task/'])
def test_page_survives_a_database_that_goes_away_in_between(lost, path):
    response = lost.get(path)
    assert response.status_code in (302, 503)
    assert 'Traceback' not in response.text


def test_message_says_that_nothing_is_lost(lost):
    assert 'Nothing you have sent is lost' in lost.get('/').text


def test_json_survives_a_database_that_goes_away_in_between(app, login, monkeypatch):
    from tests.factories import make_user

    def lose(*args, **kwargs):
        raise ServerSelectionTimeoutError('no servers found yet')

    member = login(make_user())
    monkeypatch.setattr(app.task_types['plain_task'], 'next_with_stats', lose)
    response = member.get('/type/plain_task/next')
    assert (response.status_code, response.json['result']) == (503, {})
    assert 'Nothing you have sent is lost' in response.json['errors'][0]


# --- a server of the wrong kind ---------------------------------------------------------------------------------------


def test_standalone_server_is_refused_with_the_two_lines_that_cure_it(make_app, standalone, _kept):
    _kept.clear()
    site = make_app(MONGODB_SETTINGS={'DB': 'vulyk', 'HOST': f'mongodb://{standalone}/'})
    with pytest.raises(DatabaseError) as refusal:
        _db.prepare(site)
    first, *cure = str(refusal.value).splitlines()
    assert first.startswith(f'MongoDB at {standalone} is a standalone server')
    assert ['--replSet' in cure[0], 'rs.initiate()' in cure[1], len(cure)] == [True, True, 2]


def test_site_on_a_standalone_server_answers_503_and_writes_nothing(make_app, standalone, _kept):
    _kept.clear()
    site = make_app(MONGODB_SETTINGS={'DB': 'vulyk', 'HOST': f'mongodb://{standalone}/'})
    response = site.test_client().get('/')
    assert (response.status_code, 'rs.initiate()' in response.text) == (503, True)
    with pymongo.MongoClient(f'mongodb://{standalone}/') as client:
        assert client['vulyk'].list_collection_names() == []


def test_server_that_refuses_us_is_told(app, monkeypatch):
    from pymongo.errors import OperationFailure

    from vulyk.models import database

    class Admin:
        def command(self, name):
            raise OperationFailure('Authentication failed.', 18)

    monkeypatch.setattr(type(get_connection()), 'admin', Admin(), raising=False)
    with pytest.raises(DatabaseError, match=r'refuses us .*Authentication failed.*MONGODB_SETTINGS'):
        database.check_server()
