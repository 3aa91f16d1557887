"""Files over the web: static ones of the site and of plugins, and those tasks show."""

import hashlib
import io
import re

import pytest
from mongoengine.connection import get_db
from PIL import Image

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


RANGES = [
    ('bytes=0-7', 206, PICTURES['image/png'][:8], 'bytes 0-7/300008'),
    ('bytes=300000-', 206, bytes(8), 'bytes 300000-300007/300008'),
    ('bytes=-4', 206, bytes(4), 'bytes 300004-300007/300008'),
    ('bytes=261000-262000', 206, bytes(1001), 'bytes 261000-262000/300008'),
    ('bytes=400000-', 416, None, 'bytes */300008'),
    ('nonsense', 416, None, 'bytes */300008'),
]


@pytest.mark.parametrize(('asked', 'status', 'content', 'told'), RANGES, ids=[row[0] for row in RANGES])
def test_part_of_a_file_can_be_asked_for(member, store, asked, status, content, told):
    response = member.get(f'/media/plain_task/{store(PICTURES["image/png"])}', headers={'Range': asked})
    assert (response.status_code, response.headers.get('Content-Range')) == (status, told)
    assert content is None or response.data == content


def test_file_that_the_browser_has_is_not_sent_again(member, store):
    address = f'/media/plain_task/{store(PICTURES["image/png"])}'
    etag = member.get(address).headers['ETag']
    again = member.get(address, headers={'If-None-Match': etag})
    assert (again.status_code, again.data) == (304, b'')


# --- smaller pictures -------------------------------------------------------------------------------------------------


@pytest.fixture
def photo(app, member, plain, tmp_path, monkeypatch):
    """A task shows a noisy photo of 2000 × 1000 pixels; asks for it: ``photo(headers={…})`` returns ``next``'s task."""
    monkeypatch.setattr(plain, 'media_fields', ('image',), raising=False)
    small = Image.effect_noise((200, 100), 90)
    small.resize((2000, 1000)).convert('RGB').save(tmp_path / 'a.jpg', quality=95)
    files = plain.store_media([{'image': 'a.jpg'}], tmp_path, max_bytes=10**7)
    plain.import_tasks([{'image': 'a.jpg'}], None, media=files)
    return lambda **how: member.get('/type/plain_task/next', **how).json['result']['task']


def test_photo_comes_in_two_smaller_widths_too(member, photo):
    task = photo()
    address = task['media']['a.jpg']
    assert task['srcset']['a.jpg'] == f'{address}?width=480 480w, {address}?width=1280 1280w, {address} 2000w'
    for width, height in ((480, 240), (1280, 640)):
        response = member.get(f'{address}?width={width}')
        picture = Image.open(io.BytesIO(response.data))
        assert (response.mimetype, picture.format, picture.size) == ('image/webp', 'WEBP', (width, height))
        assert 'immutable' in response.headers['Cache-Control']
    assert get_db()['media_smaller'].count_documents({}) == 2


def test_who_saves_data_gets_no_full_photo(photo):
    task = photo(headers={'Save-Data': 'on'})
    assert task['media']['a.jpg'].endswith('?width=1280')
    assert [part.split()[1] for part in task['srcset']['a.jpg'].split(', ')] == ['480w', '1280w']


@pytest.mark.parametrize('width', ['7', '-1', 'x', '99999999999', ''])
def test_photo_of_another_width_is_the_photo(member, photo, width):
    response = member.get(f'{photo()["media"]["a.jpg"]}?width={width}')
    assert (response.mimetype, get_db()['media_smaller'].count_documents({})) == ('image/jpeg', 0)


def test_file_that_is_no_picture_has_one_size_only(member, store):
    response = member.get(f'/media/plain_task/{store(PICTURES["audio/ogg"])}?width=480')
    assert (response.mimetype, response.data) == ('audio/ogg', PICTURES['audio/ogg'])


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
