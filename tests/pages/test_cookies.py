"""Marks of cookies, and headers of a site with HTTPS."""

import pytest

from tests.factories import make_user

PASSWORD = 'correct horse'


def cookies_after_sign_in(client, url: str) -> list[str]:
    make_user(email='ada@example.org', password=PASSWORD)
    page = client.get('/sign-in', base_url=url)
    token = page.text.split('name="csrf_token" value="')[1].split('"')[0]
    form = {'email': 'ada@example.org', 'password': PASSWORD, 'remember': '1', 'csrf_token': token}
    headers = {'X-CSRFToken': token, 'Referer': url}
    response = client.post('/sign-in', data=form, base_url=url, headers=headers)
    assert response.status_code == 302
    cookies = response.headers.getlist('Set-Cookie')
    assert {cookie.split('=')[0] for cookie in cookies} == {'vulyk_session', 'remember_token'}
    return cookies


@pytest.mark.parametrize('url', ['https://hive.example/', 'https://localhost/'])
def test_cookies_travel_over_https_only(client, url):
    for cookie in cookies_after_sign_in(client, url):
        assert '; Secure' in cookie
        assert '; HttpOnly' in cookie
        assert '; SameSite=Lax' in cookie


@pytest.mark.parametrize(
    'url', ['http://localhost:5000/', 'http://127.0.0.1:5000/', 'http://[::1]/', 'http://a.localhost/']
)
def test_cookies_work_without_https_on_ones_own_machine(client, url):
    for cookie in cookies_after_sign_in(client, url):
        assert '; Secure' not in cookie
        assert '; HttpOnly' in cookie


def test_cookie_of_a_site_that_others_reach_is_secure_even_if_https_is_not_seen(client):
    assert '; Secure' in client.get('/sign-in', base_url='http://hive.example/').headers['Set-Cookie']


@pytest.mark.parametrize('secure', [True, False])
def test_setting_decides(app, client, monkeypatch, secure):
    monkeypatch.setitem(app.config, 'SESSION_COOKIE_SECURE', secure)
    for url in ('http://hive.example/', 'http://localhost/', 'https://hive.example/'):
        assert ('; Secure' in client.get('/sign-in', base_url=url).headers['Set-Cookie']) == secure


@pytest.mark.parametrize('path', ['/', '/session', '/no/such/page', '/static/images/favicon.svg'])
def test_browsers_keep_to_https(app, client, path, monkeypatch):
    def header() -> str | None:
        return client.get(path, base_url='https://hive.example/', buffered=True).headers.get(
            'Strict-Transport-Security'
        )

    assert header() == 'max-age=31536000'
    monkeypatch.setitem(app.config, 'HSTS_SECONDS', 0)
    assert header() is None


@pytest.mark.parametrize(
    'path', ['/', '/session', '/type/plain_task/next', '/type/plain_task/', '/no/such/page', '/sign-in']
)
def test_no_two_requests_share_a_response(app, path):
    responses = []
    for _ in range(2):
        with app.test_request_context(path):
            responses.append(app.full_dispatch_request())
    assert responses[0] is not responses[1]
