"""The life of an account, in a real browser with a real mail server."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests import factories
from tests.browser.conftest import DESKTOP, PHONE
from tests.browser.test_pages import expect_legible, width_of
from tests.browser.work import shown_after
from tests.mailbox import Mailbox, mail_server
from vulyk.models.tasks import AbstractAnswer
from vulyk.models.user import User

PASSWORD, NEW_PASSWORD = 'seven green lanterns', 'eight brown barrels'


@pytest.fixture(scope='module')
def _mail_server() -> Iterator[tuple]:
    with mail_server() as server:
        yield server


@pytest.fixture
def mailbox(_mail_server) -> Mailbox:
    """What the mail server has taken."""
    return _mail_server[0]


@pytest.fixture
def site_settings(_mail_server, host) -> dict:
    """A site that sends mails and has terms."""
    return {**_mail_server[1], 'SITE_URL': host.url, 'TERMS_VERSION': '1'}


def test_from_registration_to_farewell(page: Page, site, mailbox, watch):
    site.load_samples('images', 2)
    page.goto('/')
    page.get_by_role('link', name='Register').click()
    page.get_by_label('Username').fill('busy_bee')
    page.get_by_label('E-mail address').fill('bee@example.org')
    page.get_by_label('Password').fill(PASSWORD)
    page.get_by_label('I have read the terms').check()
    page.get_by_role('button', name='Register').click()
    expect(page.get_by_role('heading', name='Look into your mail')).to_be_visible()

    page.goto(mailbox.link())
    page.get_by_role('button', name='Yes, this is mine').click()
    expect(page.get_by_role('status')).to_contain_text('Welcome! You are busy_bee here')
    card = page.locator('.vk-card', has_text='Cats in photos')
    shown_after(page, card.get_by_role('link', name='Start with').click)
    page.keyboard.press('1')
    shown_after(page, lambda: page.keyboard.press('Enter'))
    user = User.objects.get()
    assert AbstractAnswer.objects.get().created_by == user

    page.locator('.vk-menu summary').click()
    page.get_by_role('button', name='Sign out').click()
    page.get_by_role('link', name='Sign in', exact=True).click()
    page.get_by_role('link', name='Forgotten the password?').click()
    page.get_by_label('E-mail address').fill('BEE@example.org')
    page.get_by_role('button', name='Send the link').click()
    page.goto(mailbox.link())
    page.get_by_label('New password').fill(NEW_PASSWORD)
    page.get_by_role('button', name='Keep it and sign in').click()
    expect(page.get_by_role('status')).to_contain_text('Your password is changed.')
    mailbox.read()

    page.locator('.vk-menu summary').click()
    page.get_by_role('link', name='My account').click()
    with page.expect_download() as download:
        page.get_by_role('link', name='Download my data').click()
    assert len(json.loads(Path(download.value.path()).read_text())['answers']) == 1
    page.get_by_role('link', name='Delete my account').click()
    page.get_by_label('Your password').fill(NEW_PASSWORD)
    page.get_by_role('button', name='Delete my account for good').click()
    expect(page.get_by_role('status')).to_contain_text('Your account is deleted.')
    assert User.objects.get().username.startswith('deleted_')
    assert AbstractAnswer.objects.count() == 1
    watch.check()


@pytest.mark.parametrize('screen', [DESKTOP, PHONE], ids=['desk', 'phone'])
def test_pages_of_accounts_are_legible_and_fit(open_browser, site, signed_in, screen):
    page = open_browser(**screen)
    user = factories.make_user(username='w' * 50, email=f'{"long" * 40}@example.org', password=PASSWORD)
    for path in ('/register', '/password', '/terms', '/account', '/account/delete'):
        if path == '/account':
            signed_in(page, user)
            page.goto('/')
            expect(page.get_by_role('heading', name='Please agree to the terms')).to_be_visible()
            expect_legible(page, 'body', 'agree')
            page.get_by_label('I have read the terms').check()
            page.get_by_role('button', name='Go on').click()
        page.goto(path)
        expect_legible(page, 'body', path)
        assert width_of(page) == screen['viewport']['width'], path
