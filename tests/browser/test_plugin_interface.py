"""What the page offers to plugins of the modern kind, tried with a plugin that has no script: each test brings its own."""

import pytest
from playwright.sync_api import expect

from tests.browser.work import (
    answers_of,
    expect_state,
    expect_usable_buttons,
    open_project,
    shown_after,
    skip,
    submit,
    toast,
)
from vulyk.models.tasks import AbstractTask

SCRIPT = """
    window.seen = [];
    document.addEventListener('DOMContentLoaded', () => {
        for (const name of ['next', 'save', 'skip', 'task-error']) {
            document.body.addEventListener(`vulyk:${name}`, event => {
                seen.push([name, Object.keys(event.detail)]);
                window.last = event.detail;
                if (window.react && react[name]) { react[name](event); }
            });
        }
    });
"""


@pytest.fixture
def page(own_page):
    return own_page


@pytest.fixture
def task(page, site, user, signed_in):
    """The first of three plain tasks."""
    site.load('plain_task', [{'key': number} for number in (1, 2, 3)])
    page.add_init_script(SCRIPT)
    return open_project(signed_in(page, user), 'plain_task')


def react(page, **reactions: str) -> None:
    """Let the plugin do something at an event: ``save='event => …'``."""
    page.evaluate(f'react = {{{", ".join(f"{name!r}: {code}" for name, code in reactions.items())}}}')


def test_events_come_with_what_was_promised(page, user, task, watch):
    assert page.evaluate('last.response.result') == {'task': task, 'stats': {'total': 0, 'position': 0}}
    react(page, save='event => event.detail.callback({x: seen.length})')
    shown_after(page, submit(page).click)
    shown_after(page, skip(page).click)
    react(page, save='event => event.detail.callback({last: true})')
    shown_after(page, submit(page).click)  # the skipped task comes back when nothing else is left
    watch.expect_nothing_left()
    submit(page).click()
    expect_state(page, 'done')
    assert page.evaluate('seen') == [
        ['next', ['response']],
        ['save', ['callback']],
        ['next', ['response']],
        ['skip', ['callback']],
        ['next', ['response']],
        ['save', ['callback']],
        ['next', ['response']],
        ['save', ['callback']],
        ['task-error', ['response']],
    ]
    assert page.evaluate('last.response') == {'result': {}, 'errors': ['There is no task having type like this']}
    assert answers_of(user)[task['data']['key']] == {'x': 2}
    assert len(answers_of(user)) == 3


@pytest.mark.parametrize(
    'refuse', ['event => event.detail.callback()', 'event => event.detail.callback(null)', '() => 0']
)
def test_refused_form_is_not_posted_and_can_be_submitted_again(page, user, task, watch, refuse):
    react(page, save=refuse)
    submit(page).click()
    expect_usable_buttons(page)
    assert watch.posts('/done/') == 0
    react(page, save='event => event.detail.callback({ok: true})')
    shown_after(page, submit(page).click)
    assert answers_of(user) == {task['data']['key']: {'ok': True}}


def test_callback_may_come_late_but_answers_only_its_own_task_and_only_once(page, user, task, watch):
    react(page, save='event => { late = event.detail.callback; }')
    submit(page).click()
    shown_after(page, lambda: page.evaluate('late({first: true}); late({second: true})'))
    page.evaluate('late({third: true})')
    expect_state(page, 'ready')
    assert watch.posts('/done/') == 1
    assert answers_of(user) == {task['data']['key']: {'first': True}}


def test_plugin_may_take_skipping_into_its_own_hands(page, user, task, watch):
    react(page, skip='event => { event.preventDefault(); late = event.detail.callback; }')
    skip(page).click()
    expect_usable_buttons(page)
    assert watch.posts('/skip/') == 0
    shown_after(page, lambda: page.evaluate('late()'))
    assert AbstractTask.objects.get(pk=task['id']).users_skipped == [user]


@pytest.mark.parametrize('name', ['next', 'save', 'skip'])
def test_error_in_a_plugin_is_reported_and_stops_nothing(page, user, task, watch, name):
    watch.expect('the plugin broke')
    react(page, **{name: '() => { throw new Error("the plugin broke"); }'})
    submit(page).click()
    expect_usable_buttons(page)
    shown_after(page, skip(page).click)
    expect_usable_buttons(page)
    react(page, save='event => event.detail.callback({ok: true})')
    shown_after(page, submit(page).click)
    assert len(answers_of(user)) == 1


def test_answer_that_is_no_object_is_refused_by_the_server_in_words(page, task, watch):
    watch.expect_status(400, '/done/')
    react(page, save='event => event.detail.callback([1, 2])')
    submit(page).click()
    expect_state(page, 'refused')
    expect(page.locator('#vk-notice')).to_contain_text('result')
    expect_usable_buttons(page)


def test_messages_of_a_plugin_are_shown_and_read_out(page, task):
    page.evaluate('Vulyk.announce("Read this"); Vulyk.notify("Saved a draft"); Vulyk.notify("<b>Broken</b>", "error")')
    expect(page.locator('#vk-live[aria-live=polite]')).to_have_text('Read thisSaved a draft')
    expect(toast(page, 'Saved a draft')).to_be_visible()
    alert = page.get_by_role('alert').filter(has_text='<b>Broken</b>')
    alert.get_by_role('button', name='Close').click()
    expect(alert).to_have_count(0)


def test_requests_and_forms_of_a_plugin_carry_the_token(page, user, task):
    status = page.evaluate(
        """id => Vulyk.fetch(`/type/plain_task/done/${id}`, {
            method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{"result": {"x": 1}}',
        }).then(response => response.status)""",
        task['id'],
    )
    assert status == 200
    assert answers_of(user) == {task['data']['key']: {'x': 1}}
    page.evaluate("""document.querySelector('#current_task').innerHTML =
        '<form method="post" action="/logout"><button>Leave</button></form>'""")
    page.get_by_role('button', name='Leave').click()
    expect(page.get_by_role('link', name='Sign in and start')).to_be_visible()


def test_task_page_loads_no_library_of_the_old_kind(page, task, watch):
    assert page.evaluate('[typeof jQuery, typeof bootstrap.Modal, bootstrap.Tooltip.VERSION[0]]') == [
        'undefined',
        'function',
        '5',
    ]
    assert not [request for request in watch.requests if 'legacy' in request]
