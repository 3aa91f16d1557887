"""Scripts and styles of pages."""

import re
from pathlib import Path

import pytest

from tests.factories import make_user, signed_in
from vulyk.models.exc import InitializationError

CSS = """@charset "utf-8";
html { font-size: 10px }
.a { background: url(../images/a.png) }
.b { background: url( "deep/b.png" ) }
.c { background: url('/static/c.png') }
.d { background: url(data:image/png;base64,AAAA) }
.e { background: url(https://other.example/e.png) }
.f { background: url(#f) }
.g { width: calc( 1px + 2px ) }
"""


@pytest.fixture
def site(make_app, plugin, app):
    """``(browser of an admin, name of a plugin with two scripts and a style)``."""
    name = plugin(
        {
            'static/scripts/one.js': 'var one = `a ${1}  b`;  // a comment\n',
            'static/scripts/two.js': 'var two = 2',
            'static/scripts/empty.js': '',
            'static/styles/a.css': CSS,
        },
        attributes='JS_ASSETS = ["static/scripts/two.js", "static/scripts/empty.js", "static/scripts/one.js"]\n'
        '    CSS_ASSETS = ["static/styles/a.css"]',
    )
    built = make_app(ENABLED_TASKS={name: 'MadeTaskType', 'vulyk_plain': 'PlainTaskType'})
    browser = built.test_client()
    with browser.session_transaction() as session:
        session.update(signed_in(make_user(admin=True)))
    return browser, name


def loaded(browser, path: str) -> list[str]:
    """The addresses of scripts and styles of a page, in its order."""
    return re.findall(
        r'<(?:script|link)[^>]+?(?:src|href)="(/static/(?:scripts|styles)/[^"]+)"', browser.get(path).text
    )


def fetch(browser, path: str, part: str) -> str:
    """The text of the bundle of a page whose address holds ``part``."""
    (address,) = [address for address in loaded(browser, path) if part in address]
    return browser.get(address, buffered=True).text


def test_bundles_of_a_plugin_are_loaded_after_the_platforms(site):
    browser, name = site
    addresses = loaded(browser, f'/type/{name}/')
    scripts = [address.split('?')[0] for address in addresses if '.js' in address]
    assert scripts == [
        '/static/scripts/bootstrap5.js',
        '/static/scripts/packed.js',
        f'/static/scripts/plugin_js_{name}.js',
    ]


def test_scripts_of_a_plugin_are_joined_in_their_order_and_not_corrupted(site):
    browser, name = site
    text = fetch(browser, f'/type/{name}/', 'plugin_js')
    assert text.index('var two') < text.index('var one')
    assert '`a ${1}  b`' in text
    assert 'a comment' not in text


def test_styles_of_a_plugin_cannot_reach_the_site(site):
    browser, name = site
    text = fetch(browser, f'/type/{name}/', 'plugin_css')
    assert text.startswith('@layer plugin {')
    assert text.rstrip().endswith('}')
    assert '@charset' not in text
    assert text.count('{') == text.count('}')


def test_addresses_in_styles_of_a_plugin_are_made_absolute(site):
    browser, name = site
    text = fetch(browser, f'/type/{name}/', 'plugin_css')
    assert f'url("/static/plugin_{name}/static/images/a.png")' in text
    assert f'url("/static/plugin_{name}/static/styles/deep/b.png")' in text
    for kept in (
        "url('/static/c.png')",
        'url(data:image/png;base64,AAAA)',
        'url(https://other.example/e.png)',
        'url(#f)',
    ):
        assert kept in text
    assert 'calc(1px + 2px)' in text


@pytest.mark.parametrize('part', ['legacy.css', 'bootstrap5.css'])
def test_styles_of_libraries_are_in_the_layer_of_plugins(app, client, make_app, part, login, monkeypatch):
    frontend = part.removesuffix('.css')
    monkeypatch.setattr(app.task_types['plain_task'], 'frontend', frontend, raising=False)
    text = fetch(login(make_user()), '/type/plain_task/', part)
    assert text.startswith('@layer plugin {')


def test_styles_of_the_site_are_in_no_layer_and_win(client):
    assert not fetch(client, '/', 'packed.css').startswith('@layer plugin')


def test_fonts_of_the_legacy_set_are_found(app, login, monkeypatch):
    monkeypatch.setattr(app.task_types['plain_task'], 'frontend', 'legacy', raising=False)
    browser = login(make_user())
    fonts = re.findall(r'url\("(/static/[^"?#]+)', fetch(browser, '/type/plain_task/', 'legacy.css'))
    assert fonts
    for font in fonts:
        assert browser.get(font, buffered=True).status_code == 200


def test_plugin_without_scripts_and_styles_links_to_none(client, login):
    assert not [address for address in loaded(login(make_user()), '/type/plain_task/') if 'plugin_' in address]


def test_bundle_has_a_new_version_when_its_source_changes(make_app, plugin, tmp_path, app):
    name = plugin({'static/a.js': 'var a = 1'}, attributes='JS_ASSETS = ["static/a.js"]')
    versions = set()
    for text in ('var a = 1', 'var a = 22'):
        (tmp_path / name / 'static' / 'a.js').write_text(text)
        browser = make_app(ENABLED_TASKS={name: 'MadeTaskType'}).test_client()
        versions |= {address.split('?')[1] for address in loaded(browser, '/')}
    assert len(versions) == 2


def test_missing_script_of_the_site_is_named(make_app):
    with pytest.raises(InitializationError, match=r'JS_ASSETS or CSS_ASSETS are missing: .*no_such\.js'):
        make_app(JS_ASSETS=['scripts/no_such.js'])


def test_folder_that_cannot_be_written_is_named(make_app, app):
    response = make_app(ASSETS_FOLDER='/proc/assets').test_client().get('/')
    assert response.status_code == 503
    assert 'cannot be written to /proc/assets' in response.text
    assert 'ASSETS_FOLDER' in response.text


def test_nothing_unfinished_is_left_in_the_folder(make_app, app, tmp_path):
    make_app(ASSETS_FOLDER=str(tmp_path / 'assets')).test_client().get('/')
    (built,) = (tmp_path / 'assets').iterdir()
    assert not built.name.startswith('.')


def test_more_scripts_and_styles_may_be_named_in_the_settings(make_app, app):
    site = make_app(JS_ASSETS=['scripts/base.js', 'vendor/jquery.cookie/jquery.cookie.js'])
    assert 'cookie' in fetch(site.test_client(), '/', 'packed.js')


def test_filters_may_be_switched_off(make_app, app):
    plain, packed = (
        fetch(make_app(JS_ASSETS_FILTERS=filters).test_client(), '/', 'packed.js') for filters in ('', 'rjsmin')
    )
    assert len(plain) > len(packed)


# --- collected --------------------------------------------------------------------------------------------------------


def test_everything_is_collected_for_a_web_server(make_app, plugin, app, tmp_path):
    name = plugin({'static/images/a.txt': 'of the plugin'})
    root = tmp_path / 'collected'
    site = make_app(
        ENABLED_TASKS={name: 'MadeTaskType'}, COLLECT_STATIC_ROOT=str(root), COLLECT_STORAGE='vulyk.ext.storage'
    )
    assert (root / f'plugin_{name}' / 'static' / 'images' / 'a.txt').read_text() == 'of the plugin'
    assert (root / 'images' / 'favicon.svg').is_file()
    assert (root / 'scripts' / 'packed.js').is_file()
    (root / 'images' / 'mine.txt').write_text('served from there')
    client = site.test_client()
    assert client.get('/static/images/mine.txt', buffered=True).text == 'served from there'
    for address in loaded(client, '/'):
        assert (root / Path(address.split('?')[0]).relative_to('/static')).is_file()
        assert client.get(address, buffered=True).status_code == 200


def test_collected_files_of_a_plugin_may_have_another_prefix(make_app, plugin, app, tmp_path):
    name = plugin({'static/a.txt': 'x'})
    make_app(
        ENABLED_TASKS={name: 'MadeTaskType'},
        COLLECT_STATIC_ROOT=str(tmp_path / 'collected'),
        COLLECT_PLUGIN_DIR_PREFIX='of_',
    )
    assert (tmp_path / 'collected' / f'of_{name}' / 'static' / 'a.txt').is_file()


def test_sources_of_a_plugin_are_not_collected(make_app, plugin, app, tmp_path):
    make_app(
        ENABLED_TASKS={plugin({'static/a.txt': 'x'}): 'MadeTaskType'}, COLLECT_STATIC_ROOT=str(tmp_path / 'collected')
    )
    assert not list((tmp_path / 'collected').rglob('*.py'))
