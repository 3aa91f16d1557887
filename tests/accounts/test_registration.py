"""From a visitor to a member: registration, confirmation, invitations, terms."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.accounts.conftest import PASSWORD, said
from tests.factories import make_user
from tests.mailbox import text_of
from vulyk.accounts import services
from vulyk.accounts.models import LIFETIMES, Link
from vulyk.models.user import User

FORM = {'username': 'new_bee', 'email': 'Bee@Example.org', 'password': PASSWORD, 'terms': '1'}


def register(browser, path='/register', **changes):
    return browser.post(path, data={**FORM, **changes})


def who(browser) -> str | None:
    return browser.get('/session').json['result']['user']


# --- with mails -------------------------------------------------------------------------------------------------------


def test_link_in_the_mail_makes_the_account_and_signs_in(visitor, mailbox):
    assert 'Look into your mail' in register(visitor).text
    assert User.objects.count() == 0
    link = mailbox.link()
    assert 'Bee@Example.org' in visitor.get(link).text
    assert User.objects.count() == 0, 'opening a link changes nothing'
    assert visitor.post(link).location == '/'
    user = User.objects.get()
    assert (user.username, user.email, user.email_confirmed) == ('new_bee', 'Bee@Example.org', True)
    assert who(visitor) == str(user.id)
    assert user.check_password(PASSWORD)
    assert [one['version'] for one in user.consents] == ['2']
    assert [group.id for group in user.groups] == ['default']


def test_mail_says_what_it_is_about(visitor, mailbox):
    register(visitor)
    (mail,) = mailbox.read()
    assert (mail['To'], mail['From']) == ('Bee@Example.org', 'no-reply@vulyk.example.org')
    assert mail['Subject'] == 'Finish your registration at Vulyk workspace'
    assert PASSWORD not in text_of(mail)


def test_link_works_once(visitor, mailbox, site):
    register(visitor)
    link = mailbox.link()
    visitor.post(link)
    assert (visitor.get(link).status_code, site.test_client().post(link).status_code) == (404, 404)
    assert User.objects.count() == 1


@pytest.mark.parametrize('change', [str.upper, lambda text: text[:-1], lambda text: text + 'x', lambda _: 'x'])
def test_forged_link_opens_nothing(visitor, mailbox, change):
    register(visitor)
    path, _, text = mailbox.link().rpartition('/')
    assert visitor.post(f'{path}/{change(text)}').status_code == 404
    assert User.objects.count() == 0


def test_link_for_one_thing_is_none_for_another(visitor, mailbox):
    register(visitor)
    text = mailbox.link().rpartition('/')[2]
    for path in ('/password', '/account/email/confirm', '/register'):
        assert visitor.get(f'{path}/{text}').status_code == 404


def test_link_ends_after_its_time(visitor, mailbox):
    register(visitor)
    link = mailbox.link()
    Link.objects.update(set__expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert visitor.post(link).status_code == 404
    assert all(timedelta(hours=1) <= lifetime <= timedelta(days=14) for lifetime in LIFETIMES.values())


def test_answer_is_the_same_whether_or_not_the_address_has_an_account(visitor, mailbox, ada):
    known, unknown = (register(visitor, email=email) for email in ('ADA@example.org', 'nobody@example.org'))
    assert said(known).replace('ADA@example.org', '') == said(unknown).replace('nobody@example.org', '')
    subjects = {mail['To']: mail['Subject'] for mail in mailbox.read(2)}
    assert 'You have an account' in subjects['ADA@example.org']
    assert User.objects.count() == 1


def test_of_two_links_for_one_address_one_makes_the_account(visitor, mailbox, site):
    register(visitor)
    first = mailbox.link()
    register(visitor, username='other_bee')
    second = mailbox.link()
    visitor.post(first)
    assert site.test_client().post(second).location.startswith('/sign-in')
    assert User.objects.get().username == 'new_bee'


def test_name_that_was_taken_meanwhile_is_replaced(visitor, mailbox):
    register(visitor)
    link = mailbox.link()
    make_user(username='New-Bee')
    visitor.post(link)
    assert User.objects.get(email=FORM['email']).username not in ('new_bee', 'New-Bee')


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'username': 'ADA'}, 'Somebody has this name already'),
        ({'username': 'bee@example.org'}, 'no addresses'),
        ({'email': 'nothing'}, 'This is not an e-mail address.'),
        ({'email': 'a@b@example.org'}, 'This is not an e-mail address.'),
        ({'email': 'bee@example.org\r\nBcc: all@example.org'}, 'This is not an e-mail address.'),
        ({'password': '12345678'}, 'would be guessed soon'),
        ({'password': 'new_bee1'}, 'would be guessed soon'),
        ({'terms': ''}, 'Without your agreement'),
    ],
)
def test_wrong_form_is_refused_with_the_reason(visitor, mailbox, ada, changes, reason):
    response = register(visitor, **changes)
    assert (response.status_code, reason in response.text) == (422, True)
    assert Link.objects.count() == 0


def test_name_may_be_left_to_the_site(visitor, mailbox):
    register(visitor, username='')
    visitor.post(mailbox.link())
    assert User.objects.get().username[-4:].isdigit()


def test_address_in_links_is_that_of_the_settings_whatever_the_browser_says(visitor, mailbox):
    evil = 'http://evil.example'
    token = visitor.get('/session', base_url=evil).json['result']['csrf']
    visitor.post('/register', data=FORM, base_url=evil, headers={'X-CSRFToken': token})
    (mail,) = mailbox.read()
    assert 'evil' not in text_of(mail)


def test_mail_that_could_not_be_sent_is_sent_later(visitor, mailbox, site):
    from vulyk.jobs import Job

    register(visitor)
    mailbox.refuses = '451 not now'
    mailbox.read(0)
    assert Job.objects.get().run_at > datetime.now(UTC) + timedelta(seconds=30)
    mailbox.refuses = ''
    Job.objects.update(set__run_at=datetime.now(UTC))
    mailbox.read(1)


def test_form_that_a_program_has_filled_in_makes_no_account(visitor, mailbox):
    assert 'Look into your mail' in register(visitor, website='https://spam.example').text
    mailbox.read(0)


def test_registering_is_limited(client, app, monkeypatch):
    monkeypatch.setitem(app.config, 'RATE_LIMITS', {'register': (2, 3600)})
    assert [register(client, password='short').status_code for _ in range(3)] == [422, 422, 429]


# --- without mails ----------------------------------------------------------------------------------------------------


def test_without_a_mail_server_the_account_is_there_at_once(client):
    assert register(client).location == '/'
    user = User.objects.get()
    assert (who(client), user.email_confirmed) == (str(user.id), False)
    assert 'not confirmed' in client.get('/account').text


def test_without_a_mail_server_the_form_says_that_the_address_is_taken(client):
    make_user(email='bee@example.org')
    response = register(client)
    assert (response.status_code, 'sign in with it' in response.text) == (422, True)


def test_two_who_register_one_address_at_once_get_one_account(app, monkeypatch):
    facts = {'username': 'new_bee', 'password': '', 'terms': None, 'invitation': None}
    services.make_account('bee@example.org', facts, datetime.now(UTC), confirmed=False)
    with pytest.raises(services.AccountExistsError):
        services.make_account('BEE@example.org', facts, datetime.now(UTC), confirmed=False)


# --- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(('way_in', 'words'), [('closed', 'no new accounts'), ('invitation', 'by invitation')])
def test_closed_door_says_so(client, app, monkeypatch, way_in, words):
    monkeypatch.setitem(app.config, 'REGISTRATION', way_in)
    for response in (client.get('/register'), register(client)):
        assert (response.status_code, words in response.text) == (403, True)
    assert 'href="/register"' not in client.get('/sign-in').text
    assert User.objects.count() == 0


def test_invitation_opens_the_door_once(client, app, monkeypatch):
    monkeypatch.setitem(app.config, 'REGISTRATION', 'invitation')
    path = f'/register/{services.invite("bee@example.org", datetime.now(UTC), by_mail=False).text}'
    assert 'value="bee@example.org"' in client.get(path).text
    assert register(client, path).location == '/'
    assert register(app.test_client(), path, email='b@example.org').status_code == 404
    assert User.objects.count() == 1


def test_door_that_was_closed_meanwhile_is_closed_to_invitations_too(client, app, monkeypatch):
    path = f'/register/{services.invite(None, datetime.now(UTC), by_mail=False).text}'
    monkeypatch.setitem(app.config, 'REGISTRATION', 'closed')
    for response in (client.get(path), register(client, path)):
        assert (response.status_code, 'no new accounts' in response.text) == (403, True)


def test_link_of_a_registration_is_over_when_the_door_is_closed(visitor, mailbox, site, monkeypatch):
    register(visitor)
    link = mailbox.link()
    monkeypatch.setitem(site.config, 'REGISTRATION', 'closed')
    assert (visitor.get(link).status_code, visitor.post(link).status_code) == (403, 403)
    assert User.objects.count() == 0


def test_invitation_by_mail_proves_the_address(visitor, mailbox, site, monkeypatch):
    monkeypatch.setitem(site.config, 'REGISTRATION', 'invitation')
    services.invite('Bee@Example.org', datetime.now(UTC), by_mail=True)
    assert register(visitor, mailbox.link()).location == '/'
    assert User.objects.get().email_confirmed


def test_unused_invitation_survives_a_form_that_was_refused(client, app, monkeypatch):
    monkeypatch.setitem(app.config, 'REGISTRATION', 'invitation')
    path = f'/register/{services.invite(None, datetime.now(UTC), by_mail=False).text}'
    assert register(client, path, password='short').status_code == 422
    assert register(client, path).status_code == 302


# --- terms ------------------------------------------------------------------------------------------------------------


def test_changed_terms_are_asked_again_before_the_next_page(hers, ada, site, monkeypatch):
    assert hers.get('/account').status_code == 200
    monkeypatch.setitem(site.config, 'TERMS_VERSION', '3')
    asked = hers.get('/account')
    assert asked.location == '/terms/agree?next=/account'
    assert 'The terms have changed' in hers.get(asked.location).text
    assert hers.post('/terms/agree', data={'next': '/account'}).status_code == 422
    assert hers.post('/terms/agree', data={'next': '/account', 'terms': '1'}).location == '/account'
    assert hers.get('/account').status_code == 200
    assert [one['version'] for one in ada.reload().consents] == ['2', '3']


def test_who_does_not_agree_may_take_his_data_and_leave(hers, site, monkeypatch):
    monkeypatch.setitem(site.config, 'TERMS_VERSION', '3')
    for path in ('/terms', '/account/data', '/account/delete'):
        assert hers.get(path).status_code == 200


def test_work_in_hand_goes_on_until_the_next_page(hers, site, monkeypatch):
    monkeypatch.setitem(site.config, 'TERMS_VERSION', '3')
    assert hers.get('/type/plain_task/next').status_code == 404
    assert hers.get('/session').status_code == 200


def test_text_of_the_operator_is_shown_without_scripts(visitor, site, monkeypatch):
    monkeypatch.setitem(site.config, 'TERMS_TEXT', '<h2>Ours</h2><script>alert(1)</script>')
    text = visitor.get('/terms').text
    assert '<h2>Ours</h2>' in text
    assert 'alert(1)' not in text
