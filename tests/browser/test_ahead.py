"""Tasks fetched in advance: the next one is there at once, work goes on offline, and nothing is lost or doubled."""

import re
import threading

import pytest
from flask import request, signals
from playwright.sync_api import Page, expect

from tests import factories
from tests.browser.work import (
    answers_of,
    expect_state,
    hold,
    notice,
    open_project,
    shown_after,
    skip,
    submit,
    toast,
)
from vulyk.models.progress import Progress
from vulyk.models.tasks import AbstractAnswer, AbstractTask

MANY = 30  # so many that tasks are fetched in advance


@pytest.fixture
def line(page: Page, site, user, signed_in) -> dict:
    """The first of many lines of print, the next ones fetched in advance."""
    site.load_samples('transcription', MANY)
    return open_ahead(signed_in(page, user), 'transcription')


def open_ahead(page: Page, name: str) -> dict:
    with page.expect_response(re.compile('/next')) as response:
        page.goto(f'/type/{name}/')
    expect_state(page, 'ready')
    result = response.value.json()['result']
    assert len(result['ahead']) == 3
    return {**result['task'], 'ahead': result['ahead']}


def shown(page: Page) -> str:
    """The id of the task on the page."""
    return page.evaluate('Vulyk.State.task_id')


def answer(page: Page, text: str) -> None:
    page.locator('#vt-text').fill(text)
    page.keyboard.press('Control+Enter')


def stored(user) -> list[str]:
    return sorted(result['text'] for result in answers_of(user).values())


def test_next_task_is_on_the_page_before_the_answer_has_arrived(page, user, line):
    held = hold(page, '**/done/**')
    answer(page, 'one')
    expect(page.locator('.vt')).to_have_attribute('data-state', 'ready')
    assert shown(page) == line['ahead'][0]['id']
    expect(page.locator('#user-stats dd').first).to_have_text('1')
    assert AbstractAnswer.objects.count() == 0
    with page.expect_response(re.compile('/next')):
        held().continue_()
    assert stored(user) == ['one']
    expect(page.locator('.vk-today')).to_have_text('1 today')
    page.reload()
    expect(page.locator('.vk-today')).to_have_text('1 today')


def test_answers_given_without_a_connection_are_stored_once_each_after_the_tab_was_closed(page, user, line, watch):
    watch.expect('ERR_INTERNET_DISCONNECTED')
    page.context.set_offline(True)
    for word in ('one', 'two', 'three'):
        answer(page, word)
        expect(notice(page)).to_contain_text('Answers that wait on this device until they can be sent')
    assert shown(page) == line['ahead'][2]['id']
    answer(page, 'four')
    expect_state(page, 'failed')
    expect(notice(page)).to_contain_text('Your answer is kept on this device.')
    assert AbstractAnswer.objects.count() == 0
    tab = page.context.new_page()
    page.close()
    page.context.set_offline(False)
    open_project(tab, 'transcription')
    expect(toast(tab, 'Your answers from last time have been saved: 4.')).to_be_visible()
    assert stored(user) == ['four', 'one', 'three', 'two']
    assert AbstractAnswer.objects.count() == 4


def test_answers_wait_for_the_connection_and_go_out_when_it_is_back(page, user, line, watch):
    watch.expect('ERR_INTERNET_DISCONNECTED')
    page.context.set_offline(True)
    answer(page, 'one')
    expect(notice(page)).to_be_visible()
    with page.expect_response(re.compile('/next')):
        page.context.set_offline(False)
    expect(notice(page)).to_be_hidden()
    assert stored(user) == ['one']


def test_answers_that_come_when_their_task_has_enough_are_extra_and_the_page_says_so(page, site, user, line, watch):
    watch.expect('ERR_INTERNET_DISCONNECTED')
    page.context.set_offline(True)
    answer(page, 'late')
    expect(notice(page)).to_be_visible()
    site.pass_time(days=1)
    kind = site.type('transcription')
    for _ in range(kind.redundancy):
        kind.on_task_done(factories.make_user(), line['id'], {'text': 'in time'})
    page.context.set_offline(False)
    expect(toast(page, 'One of your answers came after its task had enough.')).to_be_visible()
    assert AbstractAnswer.objects.get(created_by=user).extra is True


def test_answers_that_wait_are_never_sent_for_somebody_else_on_the_same_computer(page, user, line, signed_in, watch):
    watch.expect('ERR_INTERNET_DISCONNECTED')
    page.context.set_offline(True)
    for word in ('one', 'two'):
        answer(page, word)
    page.locator('#vt-text').fill('half')
    other = signed_in(page.context.new_page(), factories.make_user())
    page.close()
    other.context.set_offline(False)
    open_project(other, 'transcription')
    other.goto('/')
    expect(other.get_by_role('heading', name='Projects')).to_be_visible()
    assert AbstractAnswer.objects.count() == 0
    with other.expect_response(re.compile('/done/')), other.expect_response(re.compile('/done/')):
        signed_in(other, user).goto('/')
    expect(toast(other, 'Your answers from last time have been saved: 2.')).to_be_visible()
    assert stored(user) == ['one', 'two']


def test_answer_that_is_refused_afterwards_can_be_put_right(page, site, user, line, watch):
    watch.expect_status(422, '/done/')
    site.type('transcription').max_characters = 5
    answer(page, 'too long')
    expect(notice(page)).to_contain_text('text: 8 characters are too many for one line, the limit is 5.')
    page.get_by_role('button', name='Put it right').click()
    assert shown(page) == line['id']
    expect(page.locator('#vt-text')).to_have_value('too long')
    shown_after(page, lambda: answer(page, 'short'))
    assert answers_of(user) == {line['data']['key']: {'text': 'short'}}


def test_skipped_task_comes_back_by_undo_and_its_answer_counts(page, user, line):
    page.keyboard.type('half')
    shown_after(page, skip(page).click)
    assert shown(page) == line['ahead'][0]['id']
    page.get_by_role('button', name='Undo').click()
    assert shown(page) == line['id']
    expect(page.locator('#vt-text')).to_have_value('half')
    shown_after(page, skip(page).click)
    page.locator('.vk-toast-close').click()
    page.locator('.vk-more summary').press('Enter')  # for those who are slower than the message
    page.get_by_role('button', name='Back to the skipped task').press('Enter')
    assert shown(page) == line['id']
    shown_after(page, submit(page).click)
    assert shown(page) == line['ahead'][0]['id']
    assert stored(user) == ['half']
    task = AbstractTask.objects.get(pk=line['id'])
    assert (task.users_skipped, task.users_count) == ([], 1)


def test_last_answer_can_be_changed_or_left_as_it_was(page, user, line):
    shown_after(page, lambda: answer(page, 'first'))
    change_last(page)
    assert shown(page) == line['id']
    expect(page.locator('#vt-text')).to_have_value('first')
    page.get_by_role('button', name='Leave it as it was').click()
    assert shown(page) == line['ahead'][0]['id']
    assert stored(user) == ['first']
    change_last(page)
    shown_after(page, lambda: answer(page, 'second'))
    assert shown(page) == line['ahead'][0]['id']
    assert stored(user) == ['second']
    assert Progress.raw('transcription', user.id)['total'] == 1


def change_last(page: Page) -> None:
    page.locator('.vk-more summary').click()
    page.get_by_role('button', name='Change my last answer').click()


def test_half_done_answer_is_there_again_after_a_reload(page, user, line):
    page.keyboard.type('half')
    page.reload()
    expect(page.locator('#vt-text')).to_have_value('half')
    shown_after(page, submit(page).click)
    expect(page.locator('#vt-text')).to_have_value('')
    assert stored(user) == ['half']


def test_tasks_in_advance_are_given_back_by_who_leaves(page, site, user, line):
    given_back = threading.Event()
    signals.request_finished.connect(
        lambda *_, **__: request.endpoint == 'return_ahead' and given_back.set(), site.app, weak=False
    )
    page.goto('/')
    assert given_back.wait(10)
    assert Progress.raw('transcription', user.id)['ahead'] == []


def test_plugin_that_knows_nothing_of_this_gets_the_same_events_in_the_same_order(page, site, user, signed_in):
    site.load('legacy_cards', [{'key': n, 'number': n, 'title': f'Card {n}', 'lines': []} for n in range(MANY)])
    task = open_ahead(signed_in(page, user), 'legacy_cards')
    held = hold(page, '**/done/**')
    page.keyboard.press('1')
    page.keyboard.press('Enter')
    expect_state(page, 'saving')
    assert shown(page) == task['id']  # its form stays until the answer is accepted
    shown_after(page, held().continue_)
    assert shown(page) == task['ahead'][0]['id']
    assert page.evaluate('cards.events') == ['next', 'save', 'next']
    expect(page.locator('.card-title')).to_have_text(task['ahead'][0]['data']['title'])


HALVES = {
    'images': (['2'], lambda page: expect(page.locator('.vi-radio').nth(1)).to_be_checked()),
    'tagging': (['Home', 'Shift+ArrowRight', '1'], lambda page: expect(page.locator('.vg-item')).to_have_count(1)),
    'records': (['h'], lambda page: expect(page.locator('.vc-text').first).to_have_value('h')),
}


@pytest.mark.parametrize('name', HALVES)
def test_half_done_answer_of_other_task_types_is_there_again_too(page, site, user, signed_in, name):
    site.load_samples(name, 1)
    open_project(signed_in(page, user), name)
    keys, expect_half = HALVES[name]
    for key in keys:
        page.keyboard.press(key)
    expect_half(page)
    page.reload()
    expect_half(page)
