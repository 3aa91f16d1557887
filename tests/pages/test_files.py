"""Files over the web: static ones of the site and of plugins, and those tasks show."""

import hashlib
import re

import pytest

from tests.bootstrap.making import make_plugin
from tests.factories import make_user
from vulyk.models import media

PICTURES = {
    'image/png': b'\x89PNG\r\n\x1a\n' + bytes(300_000),
    'image/jpeg': b'\xff\xd8\xff\xe0' + bytes(10),
    'audio/ogg': b'OggS' + bytes(10),
    'application/pdf': b'%PDF-1.7\n',
}


@pytest.fixture
def store(app, tmp_path):
    """Puts bytes into media storage and returns their digest."""

    def put(content: bytes) -> str:
        (tmp_path / 'file').write_bytes(content)
        return media.store(tmp_path / 'file', 'plain_task')

    return put


# --- files of tasks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('kind', PICTURES)
def test_file_comes_with_its_real_type_and_can_run_nothing(member, store, kind):
    response = member.get(f'/media/plain_task/{store(PICTURES[kind])}')
    assert (response.status_code, response.mimetype, response.data) == (200, kind, PICTURES[kind])
    assert response.headers['X-Content-Type-Options'] == 'nosniff'
    assert "default-src 'none'" in response.headers['Content-Security-Policy']


def test_file_may_be_kept_by_the_browser_but_by_no_proxy(member, store):
    cache = member.get(f'/media/plain_task/{store(PICTURES["image/png"])}').headers['Cache-Control']
    assert cache.startswith('private')
    assert 'immutable' in cache


@pytest.mark.parametrize('digest', ['0' * 64, 'no-digest', 'x' * 5000, hashlib.sha256(b'').hexdigest(), '..', '%00'])
def test_unknown_file_is_404(member, digest):
    response = member.get(f'/media/plain_task/{digest}')
    assert (response.status_code, response.mimetype in ('application/json', 'text/html')) == (404, True)


def test_file_is_served_to_those_who_may_do_its_tasks_only(client, login, store):
    digest, stranger = store(PICTURES['image/png']), make_user()
    stranger.update(set__groups=[])
    assert client.get(f'/media/plain_task/{digest}').status_code == 401
    assert login(stranger).get(f'/media/plain_task/{digest}').status_code == 403


def test_address_in_next_leads_to_the_file(app, member, plain, tmp_path, monkeypatch):
    monkeypatch.setattr(plain, 'media_fields', ('image',), raising=False)
    (tmp_path / 'a.png').write_bytes(PICTURES['image/png'])
    files = plain.store_media([{'image': 'a.png'}], tmp_path, max_bytes=10**6)
    plain.import_tasks([{'image': 'a.png'}], None, media=files)
    task = member.get('/type/plain_task/next').json['result']['task']
    assert task['data'] == {'image': 'a.png'}
    assert member.get(task['media']['a.png']).data == PICTURES['image/png']


# --- static files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'path', ['images/favicon.svg', 'images/logo.svg', 'scripts/base.js', 'vendor/jquery/jquery.min.js']
)
def test_static_file_is_served_to_everybody(client, path):
    assert client.get(f'/static/{path}', buffered=True).status_code == 200


def test_bundle_carries_its_version_and_may_be_kept_for_a_year(client):
    (address,) = set(re.findall(r'src="(/static/scripts/packed\.js\?[^"]+)"', client.get('/').text))
    response = client.get(address, buffered=True)
    assert response.status_code == 200
    assert 'max-age=31536000' in response.headers['Cache-Control']


@pytest.fixture
def plugin_site(app, make_app, tmp_path, monkeypatch):
    """A browser on a site with a plugin that has a file below ``static/``, and the name of the plugin."""
    monkeypatch.syspath_prepend(tmp_path)
    name = make_plugin(tmp_path, {'static/images/a.txt': 'of the plugin', 'settings.py': 'PASSWORD = "secret"'})
    return make_app(ENABLED_TASKS={name: 'MadeTaskType'}).test_client(), name


def test_files_of_a_plugin_are_served_below_its_name(plugin_site):
    client, name = plugin_site
    assert client.get(f'/static/plugin_{name}/static/images/a.txt', buffered=True).text == 'of the plugin'


@pytest.mark.parametrize(
    'path',
    [
        '{plugin}/settings.py',
        '{plugin}/static/../settings.py',
        '{plugin}/static/%2e%2e/settings.py',
        '{plugin}/static/images/../../settings.py',
        '{plugin}/static/..%2fsettings.py',
        '{plugin}/static/..\\settings.py',
        '{plugin}/static/../../../conftest.py',
        '{plugin}/static/',
        '{plugin}/static',
        'plugin_no_such_plugin/static/a.js',
        '../settings.py',
        '%2e%2e/settings.py',
        '..%5csettings.py',
        'scripts/../../settings.py',
        'scripts',
        'scripts/',
        'x' * 5000,
        'scripts/' + 'x' * 300,
        'a%00b',
        '',
    ],
)
def test_nothing_else_is_served(plugin_site, path):
    client, name = plugin_site
    response = client.get('/static/' + path.replace('{plugin}', f'plugin_{name}'), buffered=True)
    assert response.status_code == 404
    assert 'secret' not in response.text


def test_file_of_another_project_is_not_found(app, member, tmp_path):
    (tmp_path / 'file').write_bytes(PICTURES['image/png'])
    digest = media.store(tmp_path / 'file', 'secret_project')
    assert member.get(f'/media/plain_task/{digest}').status_code == 404
