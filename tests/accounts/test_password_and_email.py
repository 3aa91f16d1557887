"""Forgotten passwords, and addresses that change."""

from datetime import UTC, datetime

import pytest

from tests.accounts.conftest import PASSWORD, said
from tests.factories import make_user
from vulyk.accounts.models import RESET, Link

NEW = {'new_password': 'another fine horse'}


def forget(browser, email='ada@example.org'):
    return browser.post('/password', data={'email': email})


def is_in(browser) -> bool:
    return browser.get('/session').json['result']['user'] is not None


# --- forgotten --------------------------------------------------------------------------------------------------------


def test_link_in_the_mail_sets_the_password_and_signs_in_and_all_others_out(visitor, hers, ada, mailbox):
    forget(visitor, ' ADA@example.org ')
    link = mailbox.link()
    assert 'ada' in visitor.get(link).text
    assert visitor.post(link, data=NEW).location == '/'
    assert ada.reload().check_password('another fine horse')
    assert (is_in(visitor), is_in(hers), ada.email_confirmed) == (True, False, True)
    assert 'has changed' in mailbox.read()[0]['Subject']


def test_answer_is_the_same_whether_or_not_there_is_such_an_account(visitor, ada, mailbox):
    known, unknown = forget(visitor), forget(visitor, 'bob@example.org')
    assert said(known).replace('ada@example.org', '') == said(unknown).replace('bob@example.org', '')
    assert [mail['To'] for mail in mailbox.read()] == ['ada@example.org']


def test_link_works_once_and_not_after_the_password_was_changed(visitor, ada, mailbox, site):
    forget(visitor)
    first = mailbox.link()
    forget(visitor)
    second = mailbox.link()
    visitor.post(first, data=NEW)
    for link in (first, second):
        assert site.test_client().post(link, data=NEW).status_code == 404


def test_bad_password_leaves_the_link_alone(visitor, ada, mailbox):
    forget(visitor)
    link = mailbox.link()
    assert visitor.post(link, data={'new_password': 'password1'}).status_code == 422
    assert visitor.post(link, data=NEW).status_code == 302


def test_account_that_is_switched_off_gets_no_mail_and_its_link_is_dead(visitor, ada, mailbox):
    link = Link.make(RESET, datetime.now(UTC), user=ada.id)
    ada.update(set__active=False)
    forget(visitor)
    mailbox.read(0)
    assert visitor.get(f'/password/{link.text}').status_code == 404


def test_nonsense_is_refused(visitor):
    assert [forget(visitor, email).status_code for email in ('', 'ada', 'a\0@b.c')] == [422] * 3


def test_site_without_mails_says_whom_to_ask(client):
    assert 'Ask those who run it' in client.get('/password').text
    assert forget(client).status_code == 200


def test_mails_for_one_account_are_limited(visitor, ada, mailbox, site, monkeypatch):
    monkeypatch.setitem(site.config, 'RATE_LIMITS', {'reset:account': (1, 3600)})
    assert [forget(visitor, email).status_code for email in ('ada@example.org', 'ADA@example.org', 'b@c.org')] == [
        200,
        429,
        200,
    ]
    mailbox.read(1)


def test_own_password_cannot_be_guessed_in_an_open_session(hers, ada, site, monkeypatch):
    monkeypatch.setitem(site.config, 'RATE_LIMITS', {'sign-in:account': (2, 3600)})
    assert [change(hers, password='wrong').status_code for _ in range(3)] == [422, 422, 429]
    assert hers.post('/account/delete', data={'password': PASSWORD}).status_code == 429


# --- another address --------------------------------------------------------------------------------------------------


def change(browser, email='new@example.org', password=PASSWORD):
    return browser.post('/account/email', data={'email-email': email, 'email-password': password})


def test_address_changes_when_the_new_one_is_confirmed_and_the_old_one_is_told(hers, ada, mailbox):
    assert 'Look into your mail' in change(hers).text
    link = mailbox.link()
    assert ada.reload().email == 'ada@example.org'
    assert hers.post(link).location == '/account'
    assert (ada.reload().email, ada.email_confirmed) == ('new@example.org', True)
    assert mailbox.read()[0]['To'] == 'ada@example.org'


def test_address_needs_the_password(hers, ada, mailbox):
    assert change(hers, password='wrong').status_code == 422
    mailbox.read(0)


def test_address_of_somebody_else_is_not_told_to_be_one(hers, ada, mailbox):
    make_user(email='taken@example.org')
    taken, free = change(hers, 'taken@example.org'), change(hers, 'free@example.org')
    assert said(taken).replace('taken@', '') == said(free).replace('free@', '')
    mailbox.read(2)


def test_links_to_the_old_address_are_dead_once_it_has_changed(visitor, hers, ada, mailbox):
    forget(visitor)
    old = mailbox.link()
    change(hers)
    hers.post(mailbox.link())
    assert visitor.get(old).status_code == 404


def test_without_mails_the_address_changes_at_once(app, login):
    user = make_user(email='ada@example.org', password=PASSWORD)
    make_user(email='taken@example.org')
    browser = login(user)
    assert change(browser, 'taken@example.org').status_code == 422
    assert change(browser).status_code == 302
    assert (user.reload().email, user.email_confirmed) == ('new@example.org', False)
    assert browser.post('/sign-in', data={'email': 'NEW@example.org', 'password': PASSWORD}).status_code == 302


@pytest.mark.parametrize('path', ['/register', '/password', '/terms'])
def test_page_of_a_visitor_opens(visitor, path):
    assert visitor.get(path).status_code == 200


def test_mails_to_addresses_of_others_are_limited(hers, site, monkeypatch, mailbox):
    monkeypatch.setitem(site.config, 'RATE_LIMITS', {'reset:account': (1, 3600)})
    assert [change(hers, f'new{number}@example.org').status_code for number in range(2)] == [200, 429]
    assert [mail['To'] for mail in mailbox.read()] == ['new0@example.org']
