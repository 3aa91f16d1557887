"""Signing in through a service: all the way to a real OpenID provider and back, and everything that can go wrong."""

import re
from datetime import UTC, datetime
from types import SimpleNamespace
from urllib.parse import unquote

import pytest
import requests
from social_core.exceptions import AuthCanceled, AuthConfigurationError, AuthProviderError
from werkzeug.test import TestResponse

from tests.factories import make_group, make_user
from tests.pages.provider import agree, decline, leave, settings_for, sign_in
from vulyk import social
from vulyk.accounts import newcomers, services
from vulyk.models.exc import InitializationError
from vulyk.models.social import SocialAccount, SocialNonce
from vulyk.models.user import User


@pytest.fixture
def app(keep, provider):
    """A site that trusts the provider. Its context is not entered: requests share nothing."""
    app = keep('social', **settings_for(provider))
    make_group('default', ['plain_task'])
    return app


def who(browser) -> str | None:
    return browser.get('/session').json['result']['user']


# --- in ---------------------------------------------------------------------------------------------------------------


def test_first_sign_in_makes_an_account_and_the_second_finds_it(app, client):
    assert sign_in(client).location == '/'
    ada = User.objects.get()
    assert (who(client), [group.id for group in ada.groups]) == (str(ada.id), ['default'])
    assert (ada.email, ada.email_confirmed) == ('ada@example.org', True)
    assert not re.search('ada', ada.username, re.IGNORECASE)  # nobody is called here what he is called elsewhere
    client.post('/logout')
    sign_in(client)
    assert (who(client), User.objects.count(), SocialAccount.objects.count()) == (str(ada.id), 1, 1)


def test_people_come_back_to_the_page_they_wanted(client):
    assert sign_in(client, next='/type/plain_task/leaders').location == '/type/plain_task/leaders'


@pytest.mark.parametrize(
    'target', ['https://evil.example/', '//evil.example/', '/\\evil.example', 'javascript:alert(1)']
)
def test_people_are_sent_to_no_other_site(client, target):
    assert sign_in(client, next=target).location == '/'
    client.post('/logout')
    back = agree(leave(client))
    assert client.get(f'{back}&next={target}').location == '/'


def test_two_people_are_two_accounts(app):
    one, other = app.test_client(), app.test_client()
    sign_in(one, 'ada-at-provider')
    sign_in(other, 'ben-at-provider')
    assert who(one) != who(other)


def test_session_of_before_does_not_survive(app, client):
    with client.session_transaction() as session:
        session['planted'] = 'x'
    sign_in(client)
    with client.session_transaction() as session:
        assert 'planted' not in session


def test_keys_to_the_account_at_the_service_are_not_kept(client):
    sign_in(client)
    kept = SocialAccount.objects.get()
    assert not {'access_token', 'refresh_token', 'id_token'} & kept.extra_data.keys()
    assert kept.extra_data['id'] == 'ada-at-provider'


def test_link_only_shows_a_button(client):
    page = client.get('/login/oidc/?next=/type/plain_task/')
    assert 'Continue with Library card' in page.text
    assert 'name="next" value="/type/plain_task/"' in page.text
    assert SocialNonce.objects.count() == 0


def test_button_needs_a_token(client):
    assert client.open('/login/oidc/', method='POST').status_code == 400


def test_closed_site_lets_admins_in(app, client, monkeypatch):
    sign_in(client)
    User.objects.update(set__admin=True)
    client.post('/logout')
    monkeypatch.setitem(app.config, 'SITE_IS_CLOSED', True)
    sign_in(client)
    assert client.get('/').status_code in (200, 302)


# --- who may come in, and agrees to what ------------------------------------------------------------------------------


def newcomer(app, browser, monkeypatch, **settings) -> TestResponse:
    """Somebody comes for the first time to a site with these settings."""
    for name, value in settings.items():
        monkeypatch.setitem(app.config, name, value)
    return sign_in(browser)


def test_account_is_made_when_the_newcomer_agrees(app, client, monkeypatch):
    monkeypatch.setitem(app.config, 'TERMS_VERSION', '7')
    page = sign_in(client, next='/type/plain_task/leaders')
    assert (page.location, who(client), User.objects.count()) == ('/register/finish', None, 0)
    assert 'I have read the terms' in client.get('/register/finish').text
    assert (client.post('/register/finish').status_code, User.objects.count()) == (422, 0)
    assert client.post('/register/finish', data={'terms': '1'}).location == '/type/plain_task/leaders'
    ada = User.objects.get()
    assert (who(client), ada.email, ada.email_confirmed) == (str(ada.id), 'ada@example.org', True)
    assert ([one['version'] for one in ada.consents], SocialAccount.objects.get().user) == (['7'], ada)
    client.post('/logout')
    assert (sign_in(client).location, who(client)) == ('/', str(ada.id))


def test_agreement_of_a_newcomer_counts_once_and_in_his_browser_only(app, client, monkeypatch):
    newcomer(app, client, monkeypatch, TERMS_VERSION='7')
    assert app.test_client().post('/register/finish', data={'terms': '1'}).status_code == 404
    with client.session_transaction() as session:
        kept = dict(session)
    client.post('/register/finish', data={'terms': '1'})
    client.post('/logout')
    with client.session_transaction() as session:
        session.update(kept)
    assert (client.post('/register/finish', data={'terms': '1'}).status_code, User.objects.count()) == (404, 1)


def test_who_has_begun_twice_gets_one_account(app, client, monkeypatch):
    other = app.test_client()
    for browser in (client, other):
        newcomer(app, browser, monkeypatch, TERMS_VERSION='7')
    client.post('/register/finish', data={'terms': '1'})
    assert other.post('/register/finish', data={'terms': '1'}).location == '/sign-in'
    assert (User.objects.count(), SocialAccount.objects.count(), who(other)) == (1, 1, None)


@pytest.mark.parametrize('way_in', ['invitation', 'closed'])
@pytest.mark.parametrize('terms', [None, '7'])
def test_closed_door_is_closed_to_newcomers_and_open_to_members(app, client, monkeypatch, way_in, terms):
    page = newcomer(app, client, monkeypatch, REGISTRATION=way_in, TERMS_VERSION=terms)
    assert (page.status_code, 'New accounts are by invitation only' in page.text) == (403, True)
    assert (who(client), User.objects.count(), client.get('/register/finish').status_code) == (None, 0, 404)
    ben = make_user()
    SocialAccount(user=ben, provider='oidc', uid='ben-at-provider', id_key='sub').save()
    sign_in(client, 'ben-at-provider')
    assert who(client) == str(ben.id)


@pytest.mark.parametrize('terms', [None, '7'])
def test_invitation_opens_the_door_to_one_newcomer(app, client, monkeypatch, terms):
    with app.app_context():
        invitation = services.invite(None, datetime.now(UTC), by_mail=False).text
    monkeypatch.setitem(app.config, 'REGISTRATION', 'invitation')
    monkeypatch.setitem(app.config, 'TERMS_VERSION', terms)
    assert f'name="invitation" value="{invitation}"' in client.get(f'/register/{invitation}').text
    sign_in(client, invitation=invitation)
    if terms:
        client.post('/register/finish', data={'terms': '1'})
    assert who(client) == str(User.objects.get().id)
    page = sign_in(app.test_client(), 'ben-at-provider', invitation=invitation)
    assert (page.status_code, User.objects.count()) == (403, 1)


@pytest.mark.parametrize('terms', [None, '7'])
def test_door_that_was_closed_meanwhile_is_closed_to_invitations_too(app, client, monkeypatch, terms):
    with app.app_context():
        invitation = services.invite(None, datetime.now(UTC), by_mail=False).text
    monkeypatch.setitem(app.config, 'TERMS_VERSION', terms)
    monkeypatch.setitem(app.config, 'REGISTRATION', 'closed')
    page = sign_in(client, invitation=invitation)
    assert (page.status_code, User.objects.count()) == (403, 0)


def test_newcomer_who_has_not_agreed_before_the_door_was_closed_stays_outside(app, client, monkeypatch):
    monkeypatch.setitem(app.config, 'TERMS_VERSION', '7')
    sign_in(client)
    monkeypatch.setitem(app.config, 'REGISTRATION', 'closed')
    assert (client.post('/register/finish', data={'terms': '1'}).status_code, User.objects.count()) == (403, 0)


def test_invitation_used_by_somebody_else_meanwhile_is_used(app, client, monkeypatch):
    with app.app_context():
        invitation = services.invite(None, datetime.now(UTC), by_mail=False)
        text = invitation.text
    monkeypatch.setitem(app.config, 'REGISTRATION', 'invitation')
    monkeypatch.setitem(app.config, 'TERMS_VERSION', '7')
    sign_in(client, invitation=text)
    invitation.use()
    assert (client.post('/register/finish', data={'terms': '1'}).status_code, User.objects.count()) == (404, 0)


CONFIRMED = {
    'a service that says so': ('oidc', {'email_verified': True}, True),
    'a service that says the opposite': ('google-oauth2', {'email_verified': False}, False),
    'a service that says nothing': ('oidc', {}, False),
    'one that hands out confirmed ones only': ('facebook', {}, True),
    'GitHub, confirmed': ('github', {'emails': [{'email': 'a@b.example', 'verified': True}]}, True),
    'GitHub, not confirmed': ('github', {'emails': [{'email': 'a@b.example', 'verified': False}]}, False),
    'GitHub, another one': ('github', {'emails': [{'email': 'x@b.example', 'verified': True}]}, False),
}


@pytest.mark.parametrize(('service', 'told', 'kept'), CONFIRMED.values(), ids=CONFIRMED)
def test_address_is_kept_if_its_service_has_confirmed_it(app, service, told, kept):
    backend = SimpleNamespace(name=service)
    with app.test_request_context():
        newcomers.join(backend, {'email': 'a@b.example'}, told, 'uid')
    assert User.objects.get().email == ('a@b.example' if kept else None)


# --- not in -----------------------------------------------------------------------------------------------------------


def refused(browser, back: str, status: int, sentence: str) -> None:
    """Coming back like this shows a page with this sentence, and signs nobody in."""
    page = browser.get(back)
    assert (page.status_code, page.mimetype) == (status, 'text/html')
    assert sentence in page.text
    assert who(browser) is None


def test_who_declines_is_told_that_nothing_was_done(client):
    refused(client, decline(leave(client)), 400, 'You have not agreed at Library card, so nothing was done.')
    assert User.objects.count() == 0


OVER = 'This attempt to sign in is over, or it was begun in another browser.'


def test_way_back_works_once(app, client):
    back = agree(leave(client))
    client.get(back)
    client.post('/logout')
    refused(client, back, 400, OVER)
    refused(app.test_client(), back, 400, OVER)


def test_way_back_works_in_the_browser_that_left_only(app, client):
    refused(app.test_client(), agree(leave(client)), 400, OVER)


@pytest.mark.parametrize(
    'query', ['', '?code=x', '?state=x', '?state=x&code=y', '?state=&code=', '?error=server_error']
)
def test_way_back_that_was_made_up_is_refused(client, query):
    leave(client)
    page = client.get(f'/complete/oidc/{query}')
    assert (page.status_code, who(client)) == (400, None)


def test_wrong_state_is_refused(client):
    back = agree(leave(client))
    refused(client, re.sub('state=[^&]+', 'state=' + 'x' * 32, back), 400, OVER)


def test_wrong_code_is_refused(client):
    back = agree(leave(client))
    refused(client, re.sub('code=[^&]+', 'code=wrong', back), 400, 'Library card has not answered as it should.')


def test_who_was_switched_off_is_told_so(client):
    sign_in(client)
    client.post('/logout')
    User.objects.update(set__active=False)
    refused(client, agree(leave(client)), 403, 'This account is switched off.')


def test_address_of_another_account_is_not_taken_over(app, client):
    make_user(email='Ada@example.org')
    refused(
        client, agree(leave(client)), 409, 'Sign in to it first, then link Library card on the page of your account.'
    )
    assert (User.objects.count(), SocialAccount.objects.count()) == (1, 0)


def test_unverified_address_is_neither_compared_nor_kept(app, client):
    make_user(email='ada@example.org')
    sign_in(client, 'eve-at-provider')
    assert User.objects.get(pk=who(client)).email is None


@pytest.mark.parametrize('name', ['google-oauth2', 'email', 'username', 'nobody', '..', 'x' * 300])
@pytest.mark.parametrize('route', ['login', 'complete'])
def test_service_that_is_not_configured_is_not_there(client, route, name):
    assert client.get(f'/{route}/{name}/').status_code == 404
    assert client.post(f'/{route}/{name}/').status_code == 404


FAILURES = {
    'cancel': (AuthCanceled(), 400),
    'provider away': (AuthProviderError(code='connection_failed'), 400),
    'connection lost': (requests.ConnectionError('lost'), 400),
    'nonsense': (KeyError('sub'), 400),
    'misconfigured': (AuthConfigurationError(), 503),
}


@pytest.mark.parametrize(('failure', 'status'), FAILURES.values(), ids=FAILURES)
def test_whatever_a_service_does_people_see_a_page(client, monkeypatch, failure, status):
    def fail(*args, **kwargs):
        raise failure

    monkeypatch.setattr('vulyk.bootstrap._social_login.do_complete', fail)
    refused(client, '/complete/oidc/?state=x', status, 'That did not work')


def test_provider_that_is_away_is_a_page_at_the_start_too(app, client, monkeypatch):
    monkeypatch.setitem(app.config, 'SOCIAL_AUTH_OIDC_OIDC_ENDPOINT', 'http://127.0.0.1:9')
    page = client.post('/login/oidc/')
    assert (page.status_code, 'Library card has not answered as it should' in page.text) == (400, True)


def test_attempts_that_were_never_finished_do_not_fill_the_cookie(client):
    for _ in range(30):
        address = leave(client)
    assert len(client.get_cookie('vulyk_session').value) < 4000
    client.get(agree(address))
    assert who(client)


# --- linking ----------------------------------------------------------------------------------------------------------


def test_account_at_a_service_is_linked_and_unlinked(app, login):
    ada = make_user(email='ada@example.org', password='correct horse')
    browser = login(ada)
    assert sign_in(browser, next='/account').location == '/account'
    assert (User.objects.count(), who(browser)) == (1, str(ada.id))
    link = SocialAccount.objects.get(user=ada)
    assert f'action="/disconnect/oidc/{link.id}/"' in browser.get('/account').text
    response = browser.post(f'/disconnect/oidc/{link.id}/', data={'next': '/account'})
    assert (response.status_code, response.location) == (302, 'http://localhost/account')
    assert SocialAccount.objects.count() == 0
    assert 'action="/login/oidc/"' in browser.get('/account').text


def test_last_way_in_cannot_be_unlinked(client):
    sign_in(client)
    link = SocialAccount.objects.get()
    for path in (f'/disconnect/oidc/{link.id}/', '/disconnect/oidc/'):
        page = client.post(path)
        assert (page.status_code, 'This is your last way to sign in.' in page.text) == (409, True)
    assert SocialAccount.objects.count() == 1


def test_one_of_two_accounts_can_be_unlinked_and_not_the_other(client):
    sign_in(client, 'ada-at-provider')
    sign_in(client, 'ben-at-provider')
    one, other = SocialAccount.objects
    assert client.post(f'/disconnect/oidc/{one.id}/').status_code == 302
    assert client.post(f'/disconnect/oidc/{other.id}/').status_code == 409


def test_link_to_a_service_that_is_no_longer_configured_is_no_way_in(client):
    sign_in(client)
    ada = User.objects.get()
    SocialAccount(user=ada, provider='github', uid='1').save()
    assert client.post(f'/disconnect/oidc/{SocialAccount.objects.first().id}/').status_code == 409


def test_account_of_somebody_else_cannot_be_linked_or_unlinked(app, login):
    stranger = app.test_client()
    sign_in(stranger)
    link = SocialAccount.objects.get()
    browser = login(make_user(password='correct horse'))
    page = browser.get(agree(leave(browser)))
    assert (page.status_code, 'belongs to another account here' in page.text) == (409, True)
    browser.post(f'/disconnect/oidc/{link.id}/')
    assert SocialAccount.objects.get().user.id == User.objects.get(pk=who(stranger)).id


@pytest.mark.parametrize('link', ['x', '0' * 24, '7', '..'])
def test_link_that_does_not_exist_is_no_error_of_the_site(app, login, link):
    browser = login(make_user(password='correct horse'))
    assert browser.post(f'/disconnect/oidc/{link}/').status_code in (302, 308, 404)


def test_visitor_unlinks_nothing(client):
    assert client.post('/disconnect/oidc/').location.startswith('/sign-in')


# --- databases and settings of the existing platform --------------------------------------------------------------------


def test_link_of_the_existing_platform_is_found(client):
    ben = make_user()
    SocialAccount._get_collection().insert_one(
        {'provider': 'oidc', 'uid': 'ben-at-provider', 'user': ben.id, 'extra_data': {'id': 'ben-at-provider'}}
    )
    SocialAccount.objects.update(set__extra_data={'sub': 'ben-at-provider'})
    sign_in(client, 'ben-at-provider')
    assert (who(client), SocialAccount.objects.count()) == (str(ben.id), 1)


def test_account_linked_as_twitter_is_found_as_x():
    ben = make_user()
    SocialAccount(user=ben, provider='twitter', uid='17').save()
    assert SocialAccount.get_social_auth('twitter-oauth2', '17', '').user == ben


KEYS = ('GOOGLE_OAUTH2', 'GITHUB', 'FACEBOOK', 'TWITTER_OAUTH2', 'VK_OAUTH2')
WAYS = {
    'google-oauth2': 'https://accounts.google.com/',
    'github': 'https://github.com/',
    'facebook': 'https://www.facebook.com/',
    'twitter-oauth2': 'https://twitter.com/',
    'vk-oauth2': 'https://oauth.vk.ru/',
}


def test_buttons_are_those_of_the_services_that_are_configured(make_app):
    keys = {f'SOCIAL_AUTH_{name}_{part}': 'x' for name in KEYS for part in ('KEY', 'SECRET')}
    page = make_app(**keys).test_client().get('/sign-in').text
    assert re.findall(r'action="/login/([^/]+)/"', page) == list(WAYS)
    assert 'action="/login/' not in make_app().test_client().get('/sign-in').text


def test_buttons_lead_to_the_services(make_app):
    keys = {f'SOCIAL_AUTH_{name}_{part}': f'my-{part}' for name in KEYS for part in ('KEY', 'SECRET')}
    browser = make_app(**keys).test_client()
    for name, way in WAYS.items():
        address = re.search(r'id="social-forward" href="([^"]+)"', browser.post(f'/login/{name}/').text)[1]
        assert address.startswith(way)
        assert 'my-KEY' in address
        assert 'my-SECRET' not in address
        assert f'/complete/{name}/' in unquote(address)


def test_key_without_a_secret_is_named_in_the_log_and_has_no_button(make_app, caplog):
    page = make_app(SOCIAL_AUTH_GITHUB_KEY='x').test_client().get('/sign-in').text
    assert 'action="/login/' not in page
    assert 'GitHub: SOCIAL_AUTH_GITHUB_SECRET is missing' in caplog.text


def test_settings_for_twitter_are_used_for_x_with_a_warning(make_app):
    with pytest.warns(DeprecationWarning, match='SOCIAL_AUTH_TWITTER_OAUTH2_KEY'):
        app = make_app(SOCIAL_AUTH_TWITTER_KEY='my-key', SOCIAL_AUTH_TWITTER_SECRET='x')
    assert list(app.extensions[social.EXTENSION]) == ['twitter-oauth2']
    assert 'client_id=my-key' in app.test_client().post('/login/twitter/').text


def test_further_services_are_named_by_their_class(make_app):
    app = make_app(
        SOCIAL_AUTH_AUTHENTICATION_BACKENDS=['social_core.backends.gitlab.GitLabOAuth2'],
        SOCIAL_AUTH_GITLAB_KEY='x',
        SOCIAL_AUTH_GITLAB_SECRET='x',
    )
    assert list(app.extensions[social.EXTENSION]) == ['gitlab']


@pytest.mark.parametrize(
    ('backends', 'reason'),
    [
        (['social_core.backends.email.EmailAuth'], 'checks no password'),
        (['social_core.backends.username.UsernameAuth'], 'checks no password'),
        (['no.such.Backend'], 'no.such.Backend cannot be imported'),
        ('social_core.backends.github.GithubOAuth2', 'must be a list'),
    ],
)
def test_services_that_cannot_be_used_stop_the_site(make_app, backends, reason):
    with pytest.raises(InitializationError, match=reason):
        make_app(SOCIAL_AUTH_AUTHENTICATION_BACKENDS=backends)
