"""The way in and out."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from tests.factories import make_user
from vulyk import demo
from vulyk.models.user import User

PASSWORD = 'correct horse'


@pytest.fixture
def ada(app):
    """A member with a password."""
    return make_user(username='ada', email='Ada@Example.org', password=PASSWORD)


def sign_in(client, email='ada@example.org', password=PASSWORD, **more):
    return client.post('/sign-in', data={'email': email, 'password': password, **more})


def who(client) -> str | None:
    return client.get('/session').json['result']['user']


# --- in ---------------------------------------------------------------------------------------------------------------


def test_right_password_opens_a_session(client, ada):
    response = sign_in(client)
    assert (response.status_code, response.location, who(client)) == (302, '/', str(ada.id))


def test_signing_in_is_noted_once_and_not_at_every_request(client, ada):
    ada.update(set__last_login=datetime.now(UTC) - timedelta(days=1))
    sign_in(client)
    noted = ada.reload().last_login
    assert datetime.now(UTC) - noted < timedelta(minutes=1)
    client.get('/')
    assert ada.reload().last_login == noted


WRONG = {
    'wrong password': {'password': 'wrong horse'},
    'empty password': {'password': ''},
    'unknown address': {'email': 'bob@example.org'},
    'empty address': {'email': ''},
    'name instead of address': {'email': 'ada'},
    'a pattern': {'email': '.*'},
    'NUL': {'email': 'ada@example.org\0'},
    'half a surrogate pair': {'email': b'\xed\xa0\x80'},
    'very long': {'email': 'x' * 100_000, 'password': 'x' * 100_000},
}


@pytest.mark.parametrize('wrong', WRONG.values(), ids=WRONG)
def test_wrong_address_or_password_is_refused_with_one_and_the_same_sentence(client, ada, wrong):
    response = sign_in(client, **wrong)
    assert (response.status_code, who(client)) == (401, None)
    assert 'This e-mail address and password do not belong together.' in response.text


def test_missing_fields_are_refused(client, ada):
    assert (client.post('/sign-in').status_code, who(client)) == (401, None)


def test_member_who_was_switched_off_is_refused(client, ada):
    ada.update(set__active=False)
    assert (sign_in(client).status_code, who(client)) == (401, None)


@pytest.mark.parametrize('password', ['', 'anything at all'])
def test_account_without_a_password_is_refused(client, password):
    make_user(email='ada@example.org')
    assert (sign_in(client, password=password).status_code, who(client)) == (401, None)


def test_refused_form_keeps_address_and_destination(client, ada):
    text = sign_in(client, password='wrong', next='/type/plain_task/').text
    assert 'value="ada@example.org"' in text
    assert 'value="/type/plain_task/"' in text
    assert 'wrong' not in text.replace('Something went wrong', '')


def test_address_in_the_form_is_escaped(client, ada):
    assert '<script>alert' not in sign_in(client, email='"><script>alert(1)</script>').text


def test_form_without_a_token_is_refused(client, ada):
    response = client.open('/sign-in', method='POST', data={'email': 'ada@example.org', 'password': PASSWORD})
    assert (response.status_code, response.mimetype, who(client)) == (400, 'text/html', None)
    assert 'csrf_token' in response.text


def test_form_works_with_the_token_it_carries(client, ada):
    token = client.get('/sign-in').text.split('name="csrf_token" value="')[1].split('"')[0]
    data = {'email': 'ada@example.org', 'password': PASSWORD, 'csrf_token': token}
    assert client.open('/sign-in', method='POST', data=data).status_code == 302


def test_what_an_anonymous_session_held_does_not_survive_signing_in(client, ada):
    with client.session_transaction() as session:
        session['planted'] = 'x'
    sign_in(client)
    with client.session_transaction() as session:
        assert 'planted' not in session


def test_who_is_signed_in_is_not_asked_again(client, ada):
    sign_in(client)
    response = client.get('/sign-in?next=/type/plain_task/')
    assert (response.status_code, response.location) == (302, '/type/plain_task/')


# --- where to go next -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('path', ['/type/plain_task/', '/type/plain_task/leaders', '/type/plain_task/?a=1&b=ſ'])
def test_page_that_needs_a_sign_in_sends_there_and_back(client, ada, path):
    to_form = client.get(path)
    assert to_form.status_code == 302
    form = client.get(to_form.location)
    target = form.text.split('name="next" value="')[1].split('"')[0].replace('&amp;', '&')
    response = sign_in(client, next=target)
    assert response.status_code == 302
    assert client.get(response.location).status_code == 200
    assert response.location.split('?')[0] == path.split('?')[0]


OPEN_REDIRECTS = [
    'https://evil.example/',
    'http://localhost@evil.example/',
    '//evil.example/',
    '///evil.example/',
    '/\\evil.example/',
    '\\\\evil.example/',
    '/\t/evil.example/',
    '/\n/evil.example/',
    '\t//evil.example/',
    'javascript:alert(1)',
    'data:text/html,x',
    'evil.example',
    '',
    ' /',
    '/\x00/evil.example',
    '/' + 'x' * 3000,  # kept in a cookie, on the way through a service
]


@pytest.mark.parametrize('target', OPEN_REDIRECTS)
def test_redirect_to_another_site_is_refused(client, ada, target):
    assert sign_in(client, next=target).location == '/'
    assert client.get('/sign-in?' + urlencode({'next': target})).location == '/'


def test_two_destinations_are_no_way_out(client, ada):
    response = client.post(
        '/sign-in?next=//evil.example/', data={'email': 'ada@example.org', 'password': PASSWORD, 'next': '/type/x/'}
    )
    assert 'evil' not in response.location


# --- out --------------------------------------------------------------------------------------------------------------


def test_signing_out_ends_the_session(client, ada):
    sign_in(client)
    response = client.post('/logout')
    assert (response.status_code, response.location, who(client)) == (302, '/', None)


def test_signing_out_needs_a_post(client, ada):
    sign_in(client)
    assert (client.get('/logout').status_code, who(client)) == (405, str(ada.id))


def test_signing_out_needs_a_token(client, ada):
    sign_in(client)
    assert (client.open('/logout', method='POST').status_code, who(client)) == (400, str(ada.id))


def test_anybody_may_sign_out(client):
    assert client.post('/logout').status_code == 302


def test_cookie_cannot_be_read_by_scripts_nor_sent_by_other_sites(client, ada):
    cookie = sign_in(client).headers['Set-Cookie']
    assert cookie.startswith('vulyk_session=')
    assert 'HttpOnly' in cookie
    assert 'SameSite=Lax' in cookie


# --- the demo's two doors ---------------------------------------------------------------------------------------------


@pytest.fixture
def demo_site(app, monkeypatch):
    """A site with the demo's setting and the demo's mark in its database."""
    monkeypatch.setitem(app.config, 'DEMO', True)
    demo.mark()
    return app


@pytest.mark.parametrize(('role', 'admin'), [('volunteer', False), ('admin', True)])
def test_demo_lets_everybody_in_as_volunteer_or_admin(demo_site, client, role, admin):
    assert client.post(f'/demo/{role}').status_code == 302
    assert User.get_by_id(who(client)).admin is admin


def test_demo_account_is_one_account(demo_site):
    for _ in range(2):
        demo_site.test_client().post('/demo/volunteer')
    assert User.objects(email=demo.ACCOUNTS['volunteer']['email']).count() == 1


def test_demo_shows_its_doors(demo_site, client):
    assert 'action="/demo/volunteer"' in client.get('/').text


def test_demo_accounts_cannot_be_used_with_a_password(demo_site, client):
    client.post('/demo/admin')
    stranger = demo_site.test_client()
    assert sign_in(stranger, email=demo.ACCOUNTS['admin']['email'], password='').status_code == 401


@pytest.mark.parametrize('role', ['owner', 'volunteer/', 'x' * 1000])
def test_demo_has_no_other_doors(demo_site, client, role):
    assert (client.post(f'/demo/{role}').status_code, who(client)) == (404, None)


def test_doors_need_a_token(demo_site, client):
    assert (client.open('/demo/admin', method='POST').status_code, who(client)) == (400, None)


@pytest.mark.parametrize('role', ['volunteer', 'admin'])
@pytest.mark.parametrize(
    ('setting', 'mark'), [(False, False), (False, True), (True, False)], ids=['neither', 'mark', 'setting']
)
def test_doors_are_shut_unless_setting_and_mark_agree(app, client, monkeypatch, role, setting, mark):
    monkeypatch.setitem(app.config, 'DEMO', setting)
    if mark:
        demo.mark()
    response = client.post(f'/demo/{role}')
    assert (response.status_code, who(client), User.objects.count()) == (404, None, 0)
    assert '/demo/' not in client.get('/').text
