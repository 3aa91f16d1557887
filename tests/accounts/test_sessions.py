"""Where somebody is signed in, and how that ends."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.factories import make_user
from vulyk.models.user import MAX_SESSIONS, User

PASSWORD = 'correct horse'


@pytest.fixture
def ada(app):
    """A member with a password."""
    return make_user(username='ada', email='ada@example.org', password=PASSWORD)


@pytest.fixture
def open_browser(app, ada):
    """Signs Ada in with a new browser."""

    def sign_in(**more):
        browser = app.test_client()
        browser.post('/sign-in', data={'email': 'ada@example.org', 'password': PASSWORD, **more})
        return browser

    return sign_in


def is_in(browser) -> bool:
    return browser.get('/session').json['result']['user'] is not None


def close(browser) -> None:
    """What closing the window does: cookies without a date go."""
    browser.delete_cookie('vulyk_session')


def test_profile_lists_every_browser_and_marks_this_one(open_browser, ada):
    open_browser()
    text = open_browser().get('/account').text
    assert text.count('class="vk-row"') == 2
    assert text.count('this one') == 1


def test_browser_that_is_signed_out_from_another_is_out_at_its_next_request(open_browser, ada):
    lost, mine = open_browser(), open_browser()
    mine.post(f'/account/sessions/{ada.reload().sessions[0].id}/end')
    assert (is_in(lost), is_in(mine)) == (False, True)


def test_everywhere_else_is_everywhere_but_here(open_browser):
    others, mine = [open_browser(), open_browser(remember='1')], open_browser()
    mine.post('/account/sessions/end')
    assert ([is_in(one) for one in others], is_in(mine)) == ([False, False], True)


def test_nobody_ends_the_session_of_somebody_else(open_browser, ada, login):
    hers = open_browser()
    login(make_user()).post(f'/account/sessions/{ada.reload().sessions[0].id}/end')
    assert is_in(hers)


def test_cookie_copied_before_signing_out_is_worth_nothing(open_browser, app):
    browser, thief = open_browser(), app.test_client()
    thief.set_cookie('vulyk_session', browser.get_cookie('vulyk_session').value)
    assert is_in(thief)
    browser.post('/logout')
    assert not is_in(thief)


def test_cookie_without_a_session_is_nobodys(client, ada):
    with client.session_transaction() as session:
        session['_user_id'] = str(ada.id)
    assert not is_in(client)


def test_session_ends_by_itself(open_browser, ada):
    browser = open_browser()
    ada.reload().update(set__sessions__0__until=datetime.now(UTC) - timedelta(seconds=1))
    assert not is_in(browser)
    assert len([open_browser(), ada.reload()][1].sessions) == 1


def test_closed_window_signs_out_unless_one_wished_to_stay(open_browser):
    short, lasting = open_browser(), open_browser(remember='1')
    for browser in (short, lasting):
        close(browser)
    assert (is_in(short), is_in(lasting)) == (False, True)


def test_wish_to_stay_is_revoked_like_any_session(open_browser):
    lasting, mine = open_browser(remember='1'), open_browser()
    close(lasting)
    mine.post('/account/sessions/end')
    assert not is_in(lasting)


def test_signing_out_ends_the_wish_to_stay(open_browser):
    browser = open_browser(remember='1')
    browser.post('/logout')
    close(browser)
    assert browser.get_cookie('remember_token') is None
    assert not is_in(browser)


def test_changed_password_signs_out_everywhere_else(open_browser):
    other, mine = open_browser(remember='1'), open_browser()
    data = {'password-password': PASSWORD, 'password-new_password': 'another fine horse'}
    assert mine.post('/account/password', data=data).status_code == 302
    assert (is_in(other), is_in(mine)) == (False, True)
    assert not is_in(open_browser())
    assert is_in(open_browser(password='another fine horse'))


REFUSED = {
    'wrong old one': ({'password-password': 'wrong'}, 'This is not your password.'),
    'short': ({'password-new_password': 'short'}, 'use at least 8 characters.'),
    'common': ({'password-new_password': 'password123'}, 'would be guessed soon'),
    'name and address': ({'password-new_password': 'ada@example.org'}, 'would be guessed soon'),
    'endless': ({'password-new_password': 'no end ' * 500}, 'use at most 1000 characters.'),
}


@pytest.mark.parametrize(('changes', 'reason'), REFUSED.values(), ids=REFUSED)
def test_password_is_changed_only_for_a_good_one_by_its_owner(open_browser, ada, changes, reason):
    data = {'password-password': PASSWORD, 'password-new_password': 'another fine horse', **changes}
    response = open_browser().post('/account/password', data=data)
    assert (response.status_code, reason in response.text) == (422, True)
    assert ada.reload().check_password(PASSWORD)


def test_hash_of_weaker_parameters_is_made_anew_at_sign_in(open_browser, ada):
    from argon2 import PasswordHasher

    old = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    ada.update(set__password=old)
    assert is_in(open_browser())
    assert ada.reload().password != old
    assert ada.check_password(PASSWORD)


def test_only_so_many_browsers_are_kept(ada):
    for _ in range(MAX_SESSIONS + 1):
        ada.start_session()
    first, *_, last = (sign_in.id for sign_in in ada.reload().sessions)
    assert (len(ada.sessions), last) == (MAX_SESSIONS, ada.session_id)
    assert User.get_by_session(f'{ada.id}.{first}')


# --- name -------------------------------------------------------------------------------------------------------------


def test_name_can_be_changed(open_browser, ada):
    response = open_browser().post('/account/username', data={'name-username': ' Ada_L '}, follow_redirects=True)
    assert 'From now on you are Ada_L.' in response.text
    assert ada.reload().username == 'Ada_L'


@pytest.mark.parametrize('name', ['BEN', 'ben@example.org', 'admin', '', '<b>'])
def test_name_of_somebody_else_or_of_the_staff_is_refused(open_browser, ada, name):
    make_user(username='ben')
    response = open_browser().post('/account/username', data={'name-username': name})
    assert (response.status_code, 'role="alert"' in response.text) == (422, True)
    assert ada.reload().username == 'ada'


def test_two_who_ask_for_one_name_at_once_do_not_both_get_it(ada):
    from vulyk.accounts import services

    make_user(username='queen')
    assert not services.rename(ada, 'Queen')
    assert User.objects(username_key='queen').count() == 1
    assert ada.reload().username == 'ada'
