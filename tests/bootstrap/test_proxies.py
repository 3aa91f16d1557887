"""Whose word is taken for the address and the scheme of a visitor."""

from importlib import import_module

import pytest

from vulyk import gunicorn_conf
from vulyk.bootstrap._proxies import TrustedProxies
from vulyk.models.exc import InitializationError

OURS = ['192.0.2.1', '10.0.0.0/8']


def seen(environ: dict[str, str], entries: list[str] = OURS) -> tuple[str, str, str]:
    """Address, scheme and host as the application sees them."""
    found = {}
    given = {'wsgi.url_scheme': 'http', 'HTTP_HOST': 'inside', 'SERVER_NAME': 'inside', 'SERVER_PORT': '80', **environ}
    TrustedProxies(lambda environ, _: found.update(environ), entries)(given, None)
    return found['REMOTE_ADDR'], found['wsgi.url_scheme'], found['HTTP_HOST']


SAID = {'HTTP_X_FORWARDED_PROTO': 'https', 'HTTP_X_FORWARDED_HOST': 'outside'}
CASES = {
    'a proxy of ours': ('192.0.2.1', '198.51.100.7', ('198.51.100.7', 'https', 'outside')),
    'two of ours in a row': ('192.0.2.1', '198.51.100.7, 10.1.2.3', ('198.51.100.7', 'https', 'outside')),
    'a visitor who lies to our proxy': ('192.0.2.1', '203.0.113.9, 198.51.100.7', ('198.51.100.7', 'https', 'outside')),
    'a visitor who pretends to be ours': ('192.0.2.1', '10.9.9.9, 198.51.100.7', ('198.51.100.7', 'https', 'outside')),
    'anybody else': ('203.0.113.5', '198.51.100.7', ('203.0.113.5', 'http', 'inside')),
    'nothing but nonsense': ('192.0.2.1', ', , x', ('x', 'https', 'outside')),
}


@pytest.mark.parametrize(('peer', 'forwarded', 'expected'), CASES.values(), ids=CASES)
def test_headers_are_believed_of_our_proxies_only(peer, forwarded, expected):
    assert seen({'REMOTE_ADDR': peer, 'HTTP_X_FORWARDED_FOR': forwarded, **SAID}) == expected


def test_path_of_the_site_is_nothing_that_a_visitor_may_say():
    found = {}
    given = {'REMOTE_ADDR': '192.0.2.1', 'HTTP_X_FORWARDED_PREFIX': '//evil.example', 'HTTP_X_FORWARDED_FOR': 'x'}
    TrustedProxies(lambda environ, _: found.update(environ), OURS)(given, None)
    assert 'SCRIPT_NAME' not in found


def test_web_server_itself_believes_nobody():
    server = pytest.importorskip('gunicorn.config').Config()
    for name in ('forwarder_headers', 'secure_scheme_headers'):
        server.set(name, getattr(gunicorn_conf, name))
    asked = b'GET / HTTP/1.1\r\nHost: x\r\nSCRIPT_NAME: /evil\r\nX-Forwarded-Proto: https\r\n\r\n'
    request = next(iter(import_module('gunicorn.http.parser').RequestParser(server, iter([asked]), ('127.0.0.1', 1))))
    assert (request.scheme, 'SCRIPT_NAME' in dict(request.headers)) == ('http', False)


def test_socket_of_the_file_system_has_to_be_named():
    environ = {'REMOTE_ADDR': '', 'HTTP_X_FORWARDED_FOR': '198.51.100.7', **SAID}
    assert seen(environ) == ('', 'http', 'inside')
    assert seen(environ, ['unix']) == ('198.51.100.7', 'https', 'outside')


@pytest.mark.parametrize('entries', [['proxy.example'], ['10.0.0.1/8'], [7.5]])
def test_entry_that_is_no_address_stops_the_site(make_app, entries):
    with pytest.raises(InitializationError, match='TRUSTED_PROXIES'):
        make_app(TRUSTED_PROXIES=entries)


def test_site_behind_a_proxy_knows_its_visitors(make_app):
    browser = make_app(TRUSTED_PROXIES=['127.0.0.1']).test_client()
    response = browser.get('/', headers={'X-Forwarded-Proto': 'https', 'X-Forwarded-For': '198.51.100.7'})
    assert response.headers['Strict-Transport-Security'] == 'max-age=31536000'
    assert (
        'Strict-Transport-Security'
        not in make_app().test_client().get('/', headers={'X-Forwarded-Proto': 'https'}).headers
    )
