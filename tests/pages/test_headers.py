"""Security headers and the content security policy of each kind of page."""

import re

import pytest

from tests.factories import make_user


def policy(response) -> dict[str, list[str]]:
    """The policy of a page: directive → sources."""
    directives = response.headers['Content-Security-Policy'].split('; ')
    return {name: sources for name, *sources in (directive.split() for directive in directives)}


@pytest.fixture
def task_page(app, login, monkeypatch):
    """The task page of ``plain_task`` with settings and attributes: ``task_page(frontend='legacy', CSP_EXTRA={…})``."""

    def get(frontend: str = 'bootstrap5', **settings):
        monkeypatch.setattr(app.task_types['plain_task'], 'frontend', frontend, raising=False)
        for key, value in settings.items():
            monkeypatch.setitem(app.config, key, value)
        return login(make_user()).get('/type/plain_task/')

    return get


@pytest.mark.parametrize('path', ['/', '/sign-in', '/no/such/page', '/session', '/static/images/favicon.svg'])
def test_every_response_has_the_headers_of_a_careful_site(client, path):
    headers = client.get(path, buffered=True).headers
    assert headers['X-Content-Type-Options'] == 'nosniff'
    assert headers['X-Frame-Options'] == 'SAMEORIGIN'
    assert headers['Referrer-Policy'] == 'same-origin'


@pytest.mark.parametrize('path', ['/', '/sign-in', '/no/such/page'])
def test_pages_of_the_site_are_strict_and_kept_by_no_cache(client, path):
    response = client.get(path)
    assert response.headers['Cache-Control'] == 'no-store'
    rules = policy(response)
    assert (rules['default-src'], rules['object-src'], rules['frame-ancestors']) == (["'self'"], ["'none'"], ["'self'"])
    assert "'unsafe-eval'" not in rules['script-src']
    assert not any("'unsafe-inline'" in sources for sources in rules.values())


def test_pages_of_modern_plugins_are_strict(task_page):
    rules = policy(task_page())
    assert rules['style-src'] == ["'self'"]
    assert rules['img-src'] == ["'self'", 'data:', 'blob:']
    assert 'script-src-attr' not in rules
    assert "'unsafe-eval'" not in rules['script-src']


def test_pages_of_legacy_plugins_allow_what_these_need(task_page):
    rules = policy(task_page('legacy'))
    assert "'unsafe-eval'" in rules['script-src']
    assert rules['script-src-attr'] == ["'unsafe-inline'"]
    assert rules['style-src'] == ["'self'", "'unsafe-inline'"]
    for directive in ('img-src', 'media-src', 'frame-src'):
        assert rules[directive] == ["'self'", 'data:', 'blob:', 'https:']


def test_legacy_plugins_do_not_loosen_the_other_pages(task_page, client):
    task_page('legacy')
    assert not any("'unsafe-inline'" in sources for sources in policy(client.get('/')).values())


@pytest.mark.parametrize('frontend', ['bootstrap5', 'legacy'])
def test_sources_may_be_added_per_directive_and_do_not_pile_up(task_page, frontend):
    extra = {'script-src': ['https://stats.example'], 'connect-src': ['https://stats.example']}
    for _ in range(2):
        rules = policy(task_page(frontend, CSP_EXTRA=extra))
    assert rules['script-src'].count('https://stats.example') == 1
    assert rules['connect-src'] == ["'self'", 'https://stats.example']


@pytest.mark.parametrize('frontend', ['bootstrap5', 'legacy'])
def test_hosts_of_scans_may_be_named(task_page, frontend):
    rules = policy(task_page(frontend, MEDIA_ORIGINS=['http://scans.example']))
    for directive in ('img-src', 'media-src', 'frame-src'):
        assert 'http://scans.example' in rules[directive]


def test_nonce_is_new_for_every_page_and_on_every_inline_script(client):
    pages = [client.get('/') for _ in range(2)]
    nonces = []
    for response in pages:
        (nonce,) = {source for source in policy(response)['script-src'] if source.startswith("'nonce-")}
        nonces.append(nonce)
        inline = [tag for tag in re.findall(r'<script[^>]*>', response.text) if 'src=' not in tag]
        assert inline
        assert all(f'nonce="{nonce[7:-1]}"' in tag for tag in inline)
    assert nonces[0] != nonces[1]


def test_inline_scripts_of_a_plugin_get_the_nonce(app, task_page, monkeypatch):
    source = '<script>1</script><SCRIPT type="text/x-template">2</SCRIPT><script nonce="own">3</script>'
    template = app.jinja_env.from_string(source)
    real = app.jinja_env.get_or_select_template
    monkeypatch.setattr(
        app.jinja_env,
        'get_or_select_template',
        lambda name, *args, **kwargs: template if name == 'plain_task/index.html' else real(name, *args, **kwargs),
    )
    response = task_page('legacy')
    (nonce,) = {source[7:-1] for source in policy(response)['script-src'] if source.startswith("'nonce-")}
    assert f'<script nonce="{nonce}">1' in response.text
    assert f'<script nonce="{nonce}" type="text/x-template">2' in response.text
    assert '<script nonce="own">3' in response.text


@pytest.mark.parametrize('frontend', ['bootstrap5', 'legacy'])
def test_everything_a_page_loads_comes_from_this_site(client, task_page, frontend):
    for response in (client.get('/'), client.get('/sign-in'), task_page(frontend)):
        addresses = re.findall(r'<(?:script|link|img|iframe)[^>]+?(?:src|href)="([^"]*)"', response.text)
        assert addresses
        assert all(address.startswith('/') and not address.startswith('//') for address in addresses)
        for address in addresses:
            assert client.get(address, buffered=True).status_code == 200


@pytest.mark.parametrize(
    ('frontend', 'loaded', 'absent'),
    [
        ('bootstrap5', ['/scripts/bootstrap5.js', '/styles/bootstrap5.css'], ['legacy']),
        ('legacy', ['/scripts/legacy.js', '/styles/legacy.css'], ['bootstrap5.js', 'bootstrap5.css']),
    ],
)
def test_task_page_loads_the_libraries_its_plugin_was_written_for(task_page, frontend, loaded, absent):
    text = task_page(frontend).text
    addresses = ' '.join(re.findall(r'(?:src|href)="(/static/[^"]*)"', text))
    assert all(part in addresses for part in loaded)
    assert not any(part in addresses for part in absent)
