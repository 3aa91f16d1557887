"""What becomes of an answer when things go wrong: it is sent once, it is never lost, and the volunteer is told."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests import factories
from tests.browser.work import (
    answers_of,
    expect_state,
    expect_usable_buttons,
    hold,
    intercept,
    notice,
    open_project,
    shown_after,
    skip,
    stop,
    submit,
    toast,
)
from vulyk.models.problems import Problem
from vulyk.models.tasks import AbstractAnswer, AbstractTask
from vulyk.models.user import Group, User

PASSWORD = 'a long password'
LINE = 'Tochter, und hinterließ einen Sohn,'


@pytest.fixture
def user(site) -> User:
    """A volunteer with a password, who works on lines of print; three are loaded."""
    site.load_samples('transcription', 3)
    return factories.make_user(username='curious_bee', email='bee@example.org', password=PASSWORD)


@pytest.fixture
def task(page: Page, user: User, signed_in) -> dict:
    """The task in hand, its answer typed but not submitted."""
    task = open_project(signed_in(page, user), 'transcription')
    expect(page.locator('#vk-progress.is-known')).to_be_visible()  # or what a test refuses would be this request too
    page.keyboard.insert_text(LINE)
    return task


def sign_in(page: Page, email: str) -> None:
    page.get_by_label('E-mail address').fill(email)
    page.get_by_label('Password').fill(PASSWORD)
    page.keyboard.press('Enter')


def answers() -> int:
    return AbstractAnswer.objects.count()


# --- sent once --------------------------------------------------------------------------------------------------------


def test_double_click_posts_once(page, user, task, watch):
    shown_after(page, submit(page).dblclick)
    assert watch.posts('/done/') == 1
    assert answers_of(user) == {task['data']['key']: {'text': LINE}}


def test_presses_while_an_answer_is_on_its_way_are_ignored(page, user, task, watch):
    held = hold(page, '**/done/**')
    submit(page).click()
    expect_state(page, 'saving')
    expect(submit(page)).to_have_class(re.compile(r'\bdisabled\b'))
    expect(page.locator('#vk-status')).to_have_text('Saving …')  # shown when it takes longer than a moment
    for _ in range(3):
        page.keyboard.press('Control+Enter')
        page.keyboard.press('Enter')
        page.keyboard.press('Escape')
        submit(page).click(force=True)
        skip(page).click(force=True)
    shown_after(page, held().continue_)
    assert (watch.posts('/done/'), watch.posts('/skip/')) == (1, 0)
    assert answers() == 1


def test_key_that_is_held_down_posts_once(page, user, task, watch):
    submit(page).focus()

    def hold_down() -> None:
        for _ in range(5):
            page.keyboard.down('Enter')
        page.keyboard.up('Enter')

    shown_after(page, hold_down)
    expect_state(page, 'ready')
    assert watch.posts('/done/') == 1


def test_double_click_on_skip_skips_one_task(page, user, task, watch):
    shown_after(page, skip(page).dblclick)
    assert watch.posts('/skip/') == 1
    assert AbstractTask.objects(users_skipped=user.id).count() == 1


# --- the network ------------------------------------------------------------------------------------------------------


def test_answer_survives_a_network_failure_and_is_sent_by_retry(page, user, task, watch):
    watch.expect('ERR_FAILED')
    intercept(page, '**/done/**', stop)
    submit(page).click()
    expect_state(page, 'failed')
    expect(notice(page)).to_contain_text('The site could not be reached. Your answer is kept on this device.')
    expect(page.locator('#vt-text')).to_have_value(LINE)
    expect_usable_buttons(page)
    page.get_by_role('button', name='Try again').click()
    expect_state(page, 'failed')
    assert answers() == 0
    page.unroute('**/done/**')
    shown_after(page, page.get_by_role('button', name='Try again').click)
    expect(notice(page)).to_be_hidden()
    assert answers_of(user) == {task['data']['key']: {'text': LINE}}


def test_answer_is_sent_by_itself_when_the_network_comes_back(page, user, task, watch):
    watch.expect('ERR_INTERNET_DISCONNECTED')
    page.context.set_offline(True)
    submit(page).click()
    expect_state(page, 'failed')
    shown_after(page, lambda: page.context.set_offline(False))
    assert answers_of(user) == {task['data']['key']: {'text': LINE}}
    assert page.evaluate('Object.keys(localStorage).filter(key => key.startsWith("vulyk:answer"))') == []


def test_answer_may_be_changed_after_a_failure_and_the_new_one_is_sent(page, user, task, watch):
    watch.expect('ERR_FAILED')
    intercept(page, '**/done/**', stop, times=1)
    submit(page).click()
    expect_state(page, 'failed')
    page.locator('#vt-text').fill('Tochter')
    shown_after(page, lambda: page.keyboard.press('Control+Enter'))
    assert answers_of(user) == {task['data']['key']: {'text': 'Tochter'}}


def test_lost_response_does_not_make_a_second_answer(page, user, task, watch):
    watch.expect('ERR_FAILED')

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    intercept(page, '**/done/**', lose, times=1)
    submit(page).click()
    expect_state(page, 'failed')
    assert answers() == 1
    shown_after(page, page.get_by_role('button', name='Try again').click)
    expect(page.locator('.vk-toast')).to_have_count(0)
    assert answers_of(user) == {task['data']['key']: {'text': LINE}}


def test_answer_that_could_not_be_sent_is_sent_at_the_next_visit(page, user, task, watch):
    watch.expect('ERR_FAILED')
    intercept(page, '**/done/**', stop, times=1)
    submit(page).click()
    expect_state(page, 'failed')
    page.goto('about:blank')
    following = open_project(page, 'transcription')
    expect(toast(page, 'Your answer from last time has been saved.')).to_be_visible()
    assert following['id'] != task['id']
    assert answers_of(user) == {task['data']['key']: {'text': LINE}}


def test_next_task_that_cannot_be_fetched_is_fetched_by_retry(page, user, signed_in, watch):
    watch.expect('ERR_FAILED')
    intercept(page, '**/next*', stop, times=1)
    signed_in(page, user).goto('/type/transcription/')
    expect(notice(page)).to_contain_text('The next task could not be fetched')
    shown_after(page, page.get_by_role('button', name='Try again').click)
    expect(notice(page)).to_be_hidden()


# --- the session ------------------------------------------------------------------------------------------------------


def lose_cookie(page: Page, user: User) -> None:
    page.context.clear_cookies()


def deactivate(page: Page, user: User) -> None:
    user.update(active=False)


@pytest.mark.parametrize('end', [lose_cookie, deactivate])
def test_answer_given_after_the_session_has_ended_is_sent_after_signing_in_again(page, user, task, watch, end):
    watch.expect_status(401, '/done/')
    end(page, user)
    submit(page).click()
    expect_state(page, 'expired')
    expect(notice(page)).to_contain_text('Please sign in again – your answer is kept and will be sent then.')
    expect(page.locator('#vt-text')).to_have_value(LINE)
    notice(page).get_by_role('link', name='Sign in').click()
    expect(page.get_by_role('heading', name='Sign in')).to_be_visible()
    user.update(active=True)
    following = shown_after(page, lambda: sign_in(page, 'bee@example.org'))
    expect(toast(page, 'Your answer from last time has been saved.')).to_be_visible()
    assert page.url.endswith('/type/transcription/')
    assert following['id'] != task['id']
    assert answers_of(user) == {task['data']['key']: {'text': LINE}}


def test_answer_is_never_sent_for_somebody_else_who_signs_in_instead(page, user, task, watch):
    watch.expect_status(401, '/done/')
    other = factories.make_user(email='other@example.org', password=PASSWORD)
    page.context.clear_cookies()
    submit(page).click()
    notice(page).get_by_role('link', name='Sign in').click()
    shown_after(page, lambda: sign_in(page, 'other@example.org'))
    expect(page.locator('.vk-menu-name')).to_have_text(other.username)
    expect(page.locator('.vk-toast')).to_have_count(0)
    shown_after(page, skip(page).click)
    assert answers() == 0

    page.context.clear_cookies()
    page.goto('/sign-in?next=/type/transcription/')
    shown_after(page, lambda: sign_in(page, 'bee@example.org'))
    assert answers_of(user) == {task['data']['key']: {'text': LINE}}
    assert answers_of(other) == {}


def test_answer_is_not_sent_when_somebody_else_has_signed_in_in_another_tab(page, user, task, signed_in, watch):
    watch.expect_status(400, '/done/')  # the token of the session before; the second attempt has the new one
    other = factories.make_user()
    signed_in(page, other)
    tab = page.context.new_page()
    tab.goto('/')
    submit(page).click()
    expect_state(page, 'expired')
    expect(notice(page)).to_contain_text('Somebody else has signed in with this browser.')
    assert answers() == 0
    signed_in(page, user)
    tab.reload()
    shown_after(page, submit(page).click)
    assert answers_of(user) == {task['data']['key']: {'text': LINE}}


def test_signed_out_in_another_tab_and_in_again_goes_on_as_if_nothing_had_happened(page, user, task, signed_in, watch):
    watch.expect_status(400, '/done/')
    page.context.clear_cookies()
    signed_in(page, user)  # a new session, of which the page has no token
    shown_after(page, submit(page).click)
    assert answers_of(user) == {task['data']['key']: {'text': LINE}}


def test_page_without_a_session_left_asks_to_sign_in_and_comes_back(page, user, signed_in, watch):
    watch.expect_status(401, '/next')
    held = hold(page, '**/next*')
    signed_in(page, user).goto('/type/transcription/')
    expect_state(page, 'loading')
    page.context.clear_cookies()
    held().continue_(headers={**held().request.headers, 'cookie': ''})
    expect(notice(page)).to_contain_text('You have been signed out. Please sign in again.')
    notice(page).get_by_role('link', name='Sign in').click()
    shown_after(page, lambda: sign_in(page, 'bee@example.org'))


# --- what the server says ---------------------------------------------------------------------------------------------


def test_answer_that_exists_already_is_explained_and_the_next_task_comes(page, site, user, task, watch):
    watch.expect_status(409, '/done/')
    site.type('transcription').on_task_done(user, task['id'], {'text': 'from the other tab'})
    following = shown_after(page, submit(page).click)
    expect(toast(page, 'You have answered this task before; that answer counts.')).to_be_visible()
    assert following['id'] != task['id']
    assert answers_of(user) == {task['data']['key']: {'text': 'from the other tab'}}


def test_task_that_has_been_deleted_is_explained_and_the_next_one_comes(page, user, task, watch):
    watch.expect_status(404, '/done/')
    AbstractTask._get_collection().delete_one({'_id': task['id']})
    shown_after(page, submit(page).click)
    expect(toast(page, 'This task is no longer there.')).to_be_visible()
    assert answers() == 0


def test_answer_that_the_task_type_refuses_stays_in_the_form_with_the_reason(page, site, user, task, watch):
    watch.expect_status(422, '/done/')
    site.type('transcription').max_characters = 10
    submit(page).click()
    expect_state(page, 'refused')
    expect(notice(page)).to_contain_text('text: 35 characters are too many for one line, the limit is 10.')
    expect(page.locator('#vt-text')).to_have_value(LINE)
    expect_usable_buttons(page)
    page.locator('#vt-text').fill('Tochter')
    shown_after(page, lambda: page.keyboard.press('Enter'))
    expect(notice(page)).to_be_hidden()
    assert answers_of(user) == {task['data']['key']: {'text': 'Tochter'}}


def test_answer_that_is_too_large_stays_in_the_form_with_the_limit(page, site, user, task, watch):
    watch.expect_status(413, '/done/')
    site.app.config['MAX_RESULT_BYTES'] = 20
    submit(page).click()
    expect_state(page, 'refused')
    expect(notice(page)).to_contain_text('are more than the 20 this site takes')
    expect(page.locator('#vt-text')).to_have_value(LINE)
    expect_usable_buttons(page)


def test_site_that_closes_still_takes_the_answer_in_hand_but_gives_no_further_task(page, site, user, task, watch):
    watch.expect_status(503, '/next')
    site.app.config['SITE_IS_CLOSED'] = True
    submit(page).click()
    expect_state(page, 'failed')
    expect(notice(page)).to_contain_text('The site is closed for a while.')
    assert answers_of(user) == {task['data']['key']: {'text': LINE}}
    site.app.config['SITE_IS_CLOSED'] = False
    following = shown_after(page, page.get_by_role('button', name='Try again').click)
    assert following['id'] != task['id']


def test_answer_that_comes_too_late_to_a_closed_site_is_kept_until_it_is_open_again(page, site, user, task, watch):
    watch.expect_status(503, '/done/')
    site.pass_time(days=1)
    site.app.config['SITE_IS_CLOSED'] = True
    submit(page).click()
    expect_state(page, 'failed')
    expect(notice(page)).to_contain_text('The site is closed for a while.')
    expect(notice(page)).to_contain_text('Your answer is kept on this device.')
    expect(page.locator('#vt-text')).to_have_value(LINE)
    expect_usable_buttons(page)
    site.app.config['SITE_IS_CLOSED'] = False
    shown_after(page, page.get_by_role('button', name='Try again').click)
    assert answers_of(user) == {task['data']['key']: {'text': LINE}}


def test_task_that_cannot_be_skipped_any_more_is_explained(page, site, user, task, watch):
    watch.expect_status(409, '/skip/')
    site.type('transcription').on_task_done(user, task['id'], {'text': 'from the other tab'})
    following = shown_after(page, skip(page).click)
    expect(toast(page, 'You have answered this task before')).to_be_visible()
    assert following['id'] != task['id']


def test_project_that_is_not_open_to_the_volunteer_any_more_says_so(page, user, task, watch):
    watch.expect_status(403, '/done/')
    watch.expect_status(403, '/type/transcription/)')
    Group(id='default').save()
    submit(page).click()
    expect(notice(page)).to_contain_text('You are not in a group that works on “transcription”.')
    page.reload()
    expect(page.get_by_role('heading', name='This is not for you')).to_be_visible()


# --- nothing left -----------------------------------------------------------------------------------------------------


def test_last_answer_is_followed_by_thanks_and_ways_on(page, site, user, signed_in, watch):
    watch.expect_nothing_left()
    for answered in AbstractTask.objects[:2]:
        site.type('transcription').on_task_done(user, answered.id, {'text': 'x'})
    open_project(signed_in(page, user), 'transcription')
    page.keyboard.type('last')
    page.keyboard.press('Enter')
    expect_state(page, 'done')
    thanks = page.locator('[data-panel=done]')
    expect(thanks.get_by_role('heading', name='All done, thank you!')).to_be_focused()
    expect(thanks.get_by_role('link', name='Other projects')).to_be_visible()
    expect(page.locator('#vt-text')).to_be_hidden()
    expect(submit(page)).to_be_hidden()
    expect(page.locator('#user-stats dd').first).to_have_text('3')
    thanks.get_by_role('link', name='Leaderboard').click()
    expect(page.locator('.is-me .vk-rank-count')).to_have_text('3')


def test_tasks_in_the_hands_of_others_are_waited_for(page, site, user, signed_in, watch):
    watch.expect_nothing_left()
    kind = site.type('transcription')
    ids = [task.id for task in AbstractTask.objects]
    holders = [factories.make_user() for _ in range(kind.redundancy)]
    for task_id in ids[:2]:
        kind.on_task_done(user, task_id, {'text': 'x'})
    for holder in holders:
        for task_id in ids[:2]:
            kind.on_task_done(holder, task_id, {'text': 'x'})
        assert kind.get_next(holder)['id'] == ids[2]
    signed_in(page, user).goto('/type/transcription/')
    expect_state(page, 'waiting')
    expect(page.get_by_role('heading', name='Nothing right now, more may come')).to_be_visible()
    kind.skip_task(ids[2], holders[0])
    shown_after(page, page.get_by_role('button', name='Look again').click)
    page.keyboard.type('last')
    page.keyboard.press('Enter')
    expect_state(page, 'done')


# --- skipping and keys ------------------------------------------------------------------------------------------------


def test_escape_skips_and_control_enter_submits(page, user, signed_in, watch):
    first = open_project(signed_in(page, user), 'transcription')
    second = shown_after(page, lambda: page.keyboard.press('Escape'))
    assert AbstractTask.objects.get(pk=first['id']).users_skipped == [user]
    page.keyboard.type('x')
    shown_after(page, lambda: page.keyboard.press('Control+Enter'))
    assert (watch.posts('/skip/'), watch.posts('/done/')) == (1, 1)
    assert answers_of(user) == {second['data']['key']: {'text': 'x'}}


def test_buttons_work_by_space_and_enter(page, user, task, watch):
    submit(page).focus()
    shown_after(page, lambda: page.keyboard.press('Space'))
    skip(page).focus()
    shown_after(page, lambda: page.keyboard.press('Enter'))
    assert (watch.posts('/done/'), watch.posts('/skip/')) == (1, 1)


def test_escape_closes_help_and_menu_without_skipping(page, user, task, watch):
    page.get_by_role('button', name='Help').click()
    page.keyboard.press('Escape')
    expect(page.get_by_role('dialog')).to_be_hidden()
    page.locator('.vk-menu summary').click()
    expect(page.get_by_role('button', name='Sign out')).to_be_visible()
    page.keyboard.press('Escape')
    expect(page.get_by_role('button', name='Sign out')).to_be_hidden()
    assert watch.posts('/type/') == 0
    expect(page.locator('#vt-text')).to_have_value(LINE)


def test_question_mark_shows_the_keys_of_page_and_plugin_unless_somebody_is_typing(page, user, task):
    page.keyboard.type('?')
    expect(page.locator('#vt-text')).to_have_value(f'{LINE}?')
    page.locator('.kit-view').focus()
    page.keyboard.press('?')
    keys = page.get_by_role('dialog', name='Keyboard shortcuts')
    expect(keys).to_contain_text('skip, which can be undone')
    expect(keys).to_contain_text('from the text to the picture')
    page.keyboard.press('Escape')
    expect(keys).to_be_hidden()
    expect_state(page, 'ready')


def test_problem_is_reported_by_keyboard_and_the_answer_is_read_under_my_reports(page, user, task):
    more = page.locator('.vk-more summary')
    more.focus()
    page.keyboard.press('Enter')
    page.get_by_role('button', name='Report a problem with this task').press('Enter')
    expect(page.get_by_label('What is wrong with it?')).to_be_focused()
    page.keyboard.type('It is upside down.')
    page.get_by_role('button', name='Send').press('Enter')
    expect(toast(page, 'Your report has been sent.')).to_be_visible()
    expect(page.get_by_role('dialog')).to_have_count(0)
    problem = Problem.objects.get()
    assert (problem.task.id, problem.text) == (task['id'], 'It is upside down.')
    Problem.answer(problem.id, 'Turned, thank you.', problem.created_at)
    with page.expect_response(re.compile('/problems/read')):
        page.goto('/problems')
    expect(page.locator('.vk-problem')).to_contain_text('Turned, thank you.')
    assert Problem.unread_by(user) == 0


def test_plugin_that_never_listens_to_skip_is_skipped_for(page, site, user, signed_in, watch):
    site.load('plain_task', [{'n': 1}, {'n': 2}])
    first = open_project(signed_in(page, user), 'plain_task')
    second = shown_after(page, skip(page).click)
    assert {first['data']['n'], second['data']['n']} == {1, 2}


def test_answer_is_taken_long_after_the_task_was_shown(page, site, user, task):
    site.pass_time(days=1)
    shown_after(page, submit(page).click)
    assert answers_of(user) == {task['data']['key']: {'text': LINE}}
