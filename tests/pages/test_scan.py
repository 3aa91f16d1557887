"""A scan of the whole site, over HTTPS: headers and cookies of every address that can be opened, whoever asks."""

import re

import pytest

from tests import permissions
from tests.factories import empty_database, make_group, make_tasks, make_user
from tests.pages.test_permissions import path_of
from vulyk.blueprints.gamification import listeners
from vulyk.bootstrap import _db

URL = 'https://hive.example'
EVERYWHERE = {
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'SAMEORIGIN',
    'Referrer-Policy': 'same-origin',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Permissions-Policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
    'Strict-Transport-Security': 'max-age=31536000',
}


@pytest.fixture
def app(make_app):
    app = make_app(**permissions.SETTINGS)
    app.task_types['plain_task'].frontend = 'bootstrap5'
    listeners.disconnect(app)
    _db.prepare(app)
    with app.app_context():
        empty_database()
        make_group('default', ['plain_task'])
    return app


def weak(policy: str, path: str) -> bool:
    """Whether a content policy allows more than it has to."""
    if path.startswith('/admin/'):  # flask-admin carries handlers and styles in its markup
        policy = re.sub(r"(script-src-attr|style-src) [^;]*'unsafe-inline'", r'\1', policy)
    return "'unsafe" in policy or '*' in policy or 'http:' in policy or "object-src 'none'" not in policy


@pytest.mark.parametrize('role', ['visitor', 'admin'])
def test_every_address_has_careful_headers_and_cookies(app, login, role):
    user = make_user(admin=True)
    browser = login(user) if role == 'admin' else app.test_client()
    if role == 'admin':
        browser.set_cookie('vulyk_session', browser.get_cookie('vulyk_session').value, domain='hive.example')
    task = make_tasks(app.task_types['plain_task'], 1)[0]
    seen = set()
    for method, rule in permissions.routes(app):
        if method != 'GET':
            continue
        path = path_of(app, rule, task_id=task.id, user_id=str(user.id))
        response = browser.get(path, base_url=URL, buffered=True)
        seen.add(response.status_code)
        assert {name: response.headers.get(name) for name in EVERYWHERE} == EVERYWHERE, path
        assert 'X-Powered-By' not in response.headers
        if response.mimetype == 'text/html':
            assert not weak(response.headers['Content-Security-Policy'], path), path
        if response.mimetype in ('text/html', 'application/json') and response.status_code == 200:
            assert re.search('no-store|no-cache', response.headers['Cache-Control']), path
        for cookie in response.headers.getlist('Set-Cookie'):
            assert all(mark in cookie for mark in ('; Secure', '; HttpOnly', '; SameSite=Lax')), (path, cookie)
    assert {200, 302, 404} <= seen
