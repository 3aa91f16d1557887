"""Signing in through an OpenID provider, in the browser: from the site to the provider and back."""

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import LANGUAGES, complaints, prepare
from tests.pages.provider import settings_for
from vulyk.models.social import SocialAccount
from vulyk.models.user import User

STYLES = 'https://cdn.jsdelivr.net'  # of the provider's pages, which do without


@pytest.fixture
def site_settings(provider) -> dict:
    """A site that trusts the provider."""
    return settings_for(provider)


@pytest.fixture
def page(own_page: Page, watch, provider) -> Page:
    own_page.context.route(f'{STYLES}/**', lambda route: route.fulfill(body='', content_type='text/css'))
    watch.trust(provider)
    watch.trust(STYLES)
    return own_page


def leave(page: Page) -> None:
    """Go to the provider by the button on the sign-in page."""
    page.goto('/sign-in')
    page.get_by_role('button', name='Library card').click()
    expect(page.get_by_role('heading', name='Authorize Client')).to_be_visible()


def agree(page: Page, sub: str = 'ada-at-provider') -> None:
    page.get_by_role('button', name=sub).first.click()


def user_of(page: Page) -> str:
    """The id of whoever is signed in, '' for nobody."""
    return page.locator('body').get_attribute('data-user')


def sign_out(page: Page) -> None:
    page.locator('.vk-menu-button').click()
    page.get_by_role('button', name='Sign out').click()


def test_first_sign_in_makes_an_account_and_the_second_finds_it(site, page):
    for _ in range(2):
        leave(page)
        agree(page)
        expect(page.locator('.vk-menu')).to_be_visible()
        assert user_of(page) == str(User.objects.get().id)
        sign_out(page)
    assert SocialAccount.objects.count() == 1


def test_who_declines_is_told_so_and_can_try_again(page, watch):
    leave(page)
    watch.expect_status(400, '/complete/oidc/')
    page.get_by_role('button', name='Deny').click()
    expect(page.get_by_role('alert')).to_have_text('You have not agreed at Library card, so nothing was done.')
    page.get_by_role('link', name='Back to signing in').click()
    expect(page.get_by_role('button', name='Library card')).to_be_visible()
    assert User.objects.count() == 0


def test_axe_finds_nothing_on_the_pages_about_services(page, watch):
    prepare(page)
    watch.expect_status(400, '/complete/oidc/')
    for language, theme in LANGUAGES.items():
        page.set_extra_http_headers({'Accept-Language': language})
        for address in ('/sign-in', '/login/oidc/', '/complete/oidc/'):
            page.goto(address)
            assert (address, page.locator('html').get_attribute('lang'), complaints(page, theme)) == (
                address,
                language,
                [],
            )


def test_way_back_works_once_and_with_its_own_state_only(page, watch):
    backs = []
    page.on(
        'request',
        lambda request: backs.append(request.url) if urlsplit(request.url).path == '/complete/oidc/' else None,
    )
    leave(page)
    agree(page)
    expect(page.locator('.vk-menu')).to_be_visible()
    sign_out(page)
    for back in (backs[0], re.sub('state=[^&]+', 'state=' + 'x' * 32, backs[0])):
        watch.expect_status(400, '/complete/oidc/')
        page.goto(back)
        expect(page.get_by_role('alert')).to_contain_text('This attempt to sign in is over')
        assert user_of(page) == ''


def test_who_was_switched_off_is_told_so(page, watch):
    leave(page)
    agree(page)
    expect(page.locator('.vk-menu')).to_be_visible()
    sign_out(page)
    User.objects.update(set__active=False)
    leave(page)
    watch.expect_status(403, '/complete/oidc/')
    agree(page)
    expect(page.get_by_role('alert')).to_contain_text('This account is switched off.')
    assert user_of(page) == ''


def test_back_in_the_browser_leads_from_the_provider_to_the_sign_in_page(page):
    leave(page)
    page.go_back()
    expect(page).to_have_url(re.compile('/sign-in$'))
