"""What plugins in the wild need, row by row of the list we keep of it, tried with one that has all of their habits."""

import re
import sys
from collections import Counter
from importlib import metadata
from types import SimpleNamespace

import pytest
import vulyk_legacy
from mongoengine.connection import get_db
from playwright.sync_api import Page, expect
from vulyk_legacy import export, settings
from vulyk_legacy.models.task_types import CardTaskType

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
    width_of,
)
from vulyk.models.tasks import AbstractAnswer, AbstractTask, Batch

KINDS = ['person', 'place', 'organisation']
ODD = {'$x': [1, 2.5, -0.0, None, True], 'a.b': {'': 'ſ⸗ß'}, '_cls': 'no class', '_id': {'$ref': 'x', '$id': 'y'}}


def card(number: int) -> dict:
    return {
        'key': f'card-{number}',
        'number': number,
        'title': f'Card <{number}> & more',
        'hint': 'An “old” hint',
        'lines': ['first line', '<script>alert(1)</script>', f'ſ line {number}'],
    }


def kind_of(task: dict) -> str:
    """The answer to a card."""
    return KINDS[task['data']['number'] % 3]


@pytest.fixture
def cards(site) -> list[dict]:
    """Ten cards are loaded."""
    cards = [card(number) for number in range(10)]
    site.load('legacy_cards', cards)
    return cards


@pytest.fixture
def task(page: Page, user, signed_in, cards) -> dict:
    """The card in hand."""
    return open_project(signed_in(page, user), 'legacy_cards')


def expect_card(page: Page, task: dict) -> None:
    expect(page.locator('.card-title')).to_have_text(task['data']['title'])
    expect(page.locator('.list-group-item').nth(1)).to_have_text('<script>alert(1)</script>')


def events(page: Page) -> list[str]:
    """What the plugin has been told so far."""
    return page.evaluate('cards.events')


# --- loading ----------------------------------------------------------------------------------------------------------


def test_plugin_is_found_on_the_path_and_never_installed(site):
    assert 'vulyk_legacy' not in metadata.packages_distributions()
    assert type(site.type('legacy_cards')) is CardTaskType
    assert site.app.plugin_errors == {}


def test_local_settings_are_overlaid_and_their_absence_is_silent(monkeypatch):
    monkeypatch.setitem(sys.modules, 'vulyk.local_settings', None)
    assert vulyk_legacy.configure(settings) == {'KINDS': KINDS, 'NOTE_LENGTH': 200}
    monkeypatch.setitem(sys.modules, 'vulyk.local_settings', SimpleNamespace(NOTE_LENGTH=5, OTHER=1))
    monkeypatch.setattr('vulyk.local_settings', sys.modules['vulyk.local_settings'], raising=False)
    assert vulyk_legacy.configure(settings) == {'KINDS': KINDS, 'NOTE_LENGTH': 5}


def test_class_attributes_stay_as_the_plugin_wrote_them(site):
    kind = site.type('legacy_cards')
    assert (kind.name, kind.redundancy, kind.type_name) == ('Index cards', 2, 'legacy_cards')
    assert kind.JS_ASSETS == ['static/scripts/templates.js', 'static/scripts/cards.js']
    assert kind.to_dict()['description'] == 'Say whether a card is about a person, a place or an organisation'


def test_facts_of_gamified_batches_are_kept(site, cards):
    assert Batch.objects.get(task_type='legacy_cards').batch_meta == {
        'points_per_task': 2.0,
        'coins_per_task': 0.5,
        'is_important': True,
    }
    assert site.type('legacy_cards').to_dict()['batch_info']['is_important'] is True


# --- ten tasks --------------------------------------------------------------------------------------------------------


def expect_ten_answers(site, user, cards) -> None:
    """What was chosen is in the database, in the export, and what old scripts make of both."""
    answers = answers_of(user)
    assert {key: (answer['kind'], answer['sure'], answer['note']) for key, answer in answers.items()} == {
        card['key']: (KINDS[card['number'] % 3], 'sure', 'ſ' if card['number'] == 3 else '') for card in cards
    }
    assert {key: answer['card'] for key, answer in answers.items()} == {card['key']: card for card in cards}
    votes = {card['title']: Counter([KINDS[card['number'] % 3]]) for card in cards}
    assert export.kinds_in_database(get_db(), 'legacy_cards') == votes
    site.export('legacy_cards')
    assert export.kinds_in_file(site.path('legacy_cards-answers.jsonl')) == votes


def test_ten_cards_are_answered_by_the_plugins_own_keys(page, site, user, cards, task, watch):
    for number in range(10):
        expect_card(page, task)
        expect(page.locator('#user-stats dd').first).to_have_text(str(number))
        page.keyboard.press(str(KINDS.index(kind_of(task)) + 1))
        expect(page.locator('.card-kinds .active')).to_have_text(f' {kind_of(task)}')
        if task['data']['number'] == 3:
            page.locator('[name=note]').fill('ſ')
            page.locator('.card-title').click()  # hotkeys stay out of fields
        if number < 9:
            task = shown_after(page, lambda: page.keyboard.press('Enter'))
        else:
            watch.expect_nothing_left()
            page.keyboard.press('Enter')
    expect_state(page, 'done')
    assert events(page) == ['next', 'save'] * 10 + ['task_error']
    assert watch.posts('/done/') == 10
    expect_ten_answers(site, user, cards)


def test_ten_cards_are_answered_by_touch_on_a_phone(phone, site, user, signed_in, cards, watch):
    task = open_project(signed_in(phone, user), 'legacy_cards')
    assert width_of(phone) == 390
    for number in range(10):
        expect_card(phone, task)
        phone.locator('.card-kinds label', has_text=kind_of(task)).tap()
        if task['data']['number'] == 3:
            phone.locator('[name=note]').fill('ſ')
        send = (submit(phone), phone.locator('.card-send'))[number % 2]
        if number < 9:
            task = shown_after(phone, send.tap)
        else:
            watch.expect_nothing_left()
            send.tap()
    expect_state(phone, 'done')
    expect_ten_answers(site, user, cards)


def test_data_and_answers_come_back_unchanged_whatever_is_in_them(page, site, user, signed_in, watch):
    watch.expect_nothing_left()
    odd = {**card(1), 'odd': ODD}
    site.load('legacy_cards', [odd])
    assert open_project(signed_in(page, user), 'legacy_cards')['data'] == odd
    page.keyboard.press('2')
    page.keyboard.press('Enter')
    expect_state(page, 'done')
    [[line]] = site.export('legacy_cards')
    assert line['task']['data'] == line['answer']['card'] == odd
    assert answers_of(user) == {'card-1': line['answer']}


# --- the page ---------------------------------------------------------------------------------------------------------


def test_fragment_lies_where_plugins_look_for_it(page, task):
    assert page.locator('.site-wrapper #current_task[data-type=legacy_cards] .cards-place').count() == 1
    assert page.locator('a#save-button').count() == page.locator('a#skip-button').count() == 1
    assert page.evaluate('Object.keys(Vulyk.State)') == [
        *('workplace', 'body', 'stats', 'task_wrapper', 'task_type', 'task_id'),
        *('task_title', 'task_init_state', 'task_state', 'selected_terms'),
    ]
    assert page.evaluate('[Vulyk.State.task_type, Vulyk.State.task_id]') == ['legacy_cards', task['id']]
    assert page.evaluate('Vulyk.State.task_wrapper.find(".card").length') == 1  # a jQuery object, as ever
    for name in ('init', 'event_handlers', 'load_next', 'skip_task', 'save_report'):
        assert page.evaluate(f'typeof Vulyk.{name}') == 'function'


def test_libraries_and_the_platform_come_before_the_plugin_and_its_files_in_their_order(page, task):
    assert page.evaluate('cards.atLoad') == {
        'jQuery': 'function',
        'vulyk': 'object',
        'templates': 'object',
        'config': 'object',
    }
    versions = '[jQuery.fn.jquery, jQuery.migrateVersion, jQuery.fn.tooltip.Constructor.VERSION, window.$ === jQuery]'
    assert page.evaluate(versions) == ['3.7.1', '3.4.1', '3.4.1', True]
    assert page.evaluate('[typeof $.magnificPopup.open, typeof $.hotkeys, typeof $.cookie]') == [
        'function',
        'object',
        'function',
    ]
    assert page.evaluate('typeof bootstrap') == 'undefined'
    expect(page.locator('.card-title')).to_have_css('color', 'rgb(0, 0, 139)')  # of the last style sheet


def test_first_task_waits_for_handlers_that_are_bound_late(own_page, user, signed_in, cards):
    own_page.add_init_script("""
        window.late = [];
        addEventListener('load', () => setTimeout(() => jQuery(() => jQuery(document.body).on(
            'vulyk.next', (event, data) => window.late.push(data.result.task.id)))));
    """)
    task = open_project(signed_in(own_page, user), 'legacy_cards')
    assert own_page.evaluate('late') == [task['id']]


def test_picture_of_a_style_sheet_is_found_from_the_bundle(page, user, signed_in, cards, watch):
    with page.expect_response(re.compile('stamp.png')) as response:
        open_project(signed_in(page, user), 'legacy_cards')
    assert response.value.status == 200
    assert response.value.url.endswith('/static/plugin_vulyk_legacy/static/images/stamp.png')


def test_policy_lets_old_code_run_but_nothing_that_was_injected(page, user, signed_in, cards, task, watch):
    page.keyboard.press('1')
    page.locator('.card-clear').click()  # an inline handler, in markup from a template compiled in the page
    expect(page.locator('.card-kinds .active')).to_have_count(0)
    assert 'clear' in events(page)
    assert page.locator('.cards-stamp').evaluate('stamp => getComputedStyle(stamp).display') == 'inline-block'
    watch.expect('Content Security Policy')
    page.evaluate(
        """document.body.append(Object.assign(document.createElement('script'), {text: 'window.hacked = 1'}))"""
    )
    assert page.evaluate('window.hacked') is None


def test_modern_pages_stay_strict(page, site, user, signed_in, watch):
    watch.expect('Content Security Policy')
    site.load_samples('images', 1)
    open_project(signed_in(page, user), 'images')
    page.evaluate("""document.body.insertAdjacentHTML('beforeend', '<a id="x" onclick="hacked = 1">x</a>')""")
    page.evaluate("""document.getElementById('x').click()""")
    assert page.evaluate("""[typeof hacked, typeof jQuery]""") == ['undefined', 'undefined']


def test_help_opens_as_a_popup(page, task):
    expect(page.locator('.cards-help')).to_be_hidden()
    page.locator('a.popup-with-zoom-anim[href="#tag_hints"]').click()
    expect(page.locator('#tag_hints .cards-help')).to_be_visible()
    page.keyboard.press('Escape')
    expect(page.locator('.mfp-wrap')).to_have_count(0)


def test_bootstrap_three_widgets_work(page, task):
    page.locator('.card-hint').hover()
    expect(page.locator('.tooltip-inner')).to_have_text('An “old” hint')
    page.locator('.card .dropdown-toggle').click()
    page.locator('.card .dropdown-menu a', has_text='not sure').click()
    expect(page.locator('.card-sure-word')).to_have_text('not sure')
    expect(page.locator('.card .dropdown-menu')).to_be_hidden()
    kinds = page.locator('.card-kinds label')
    kinds.nth(0).click()
    kinds.nth(2).click()
    expect(page.locator('.card-kinds .active')).to_have_text(' organisation')
    expect(page.locator('.card-kinds input:checked')).to_have_count(1)
    expect(page.locator('.cards .panel')).to_have_css('border-top-width', '1px')


def test_cookie_of_the_plugin_outlives_the_page(page, user, task):
    page.locator('.card .dropdown-toggle').click()
    page.locator('.card .dropdown-menu a', has_text='not sure').click()
    task = open_project(page, 'legacy_cards')
    expect(page.locator('.card-sure-word')).to_have_text('not sure')
    page.keyboard.press('1')
    shown_after(page, submit(page).click)
    assert answers_of(user)[task['data']['key']]['sure'] == 'not sure'


def test_numbers_of_the_volunteer_stand_in_the_first_two_dd(page, user, task):
    stats = page.locator('#user-stats dl')
    assert stats.locator('dt').count() == stats.locator('dd').count() == 3  # the third is the plugin's own
    expect(stats.locator('dd')).to_have_text(['0', '0', '0'])
    page.keyboard.press('1')
    shown_after(page, submit(page).click)
    expect(stats.locator('dd')).to_have_text(['1', '1', '1'])


def test_one_key_press_means_one_key(page, task, watch):
    page.keyboard.press('2')
    expect(page.locator('.card-kinds .active')).to_have_text(' place')
    for key in ('x', 'Escape', 'Control+Enter', 'F2'):  # Esc and Ctrl+Enter are keys of modern pages only
        page.keyboard.press(key)
    page.locator('[name=note]').focus()
    page.keyboard.type('123 sss')
    expect(page.locator('.card-kinds .active')).to_have_text(' place')
    assert watch.posts('/type/') == 0


def test_keys_go_on_working_after_a_click(page, user, task):
    page.locator('.card-kinds label').nth(0).click()  # which moves the focus to the radio button inside
    page.keyboard.press('3')
    expect(page.locator('.card-kinds .active')).to_have_text(' organisation')
    shown_after(page, lambda: page.keyboard.press('Enter'))
    assert answers_of(user)[task['data']['key']]['kind'] == 'organisation'


# --- the buttons ------------------------------------------------------------------------------------------------------


def test_refused_form_that_calls_back_with_nothing_leaves_the_buttons_usable(page, user, task, watch):
    submit(page).click()
    expect(page.locator('.card-problem')).to_have_text('Choose a kind first')
    expect_usable_buttons(page)
    page.keyboard.press('1')
    shown_after(page, submit(page).click)
    assert watch.posts('/done/') == 1
    assert len(answers_of(user)) == 1


def test_refused_form_that_never_calls_back_leaves_the_buttons_usable(page, user, task, watch):
    page.keyboard.press('1')
    page.locator('[name=note]').fill('x' * 201)
    submit(page).click()
    expect(page.locator('.card-problem')).to_have_text('The note is too long')
    expect_usable_buttons(page)
    page.locator('[name=note]').fill('x' * 200)
    shown_after(page, submit(page).click)
    assert watch.posts('/done/') == 1


def test_plugin_frees_the_buttons_itself_and_shows_a_message(page, user, task, watch):
    page.keyboard.press('1')
    page.locator('[name=note]').fill('?')
    submit(page).click()
    expect(page.locator('.mfp-content .cards-message')).to_contain_text('A question mark is no note')
    expect_usable_buttons(page)
    page.keyboard.press('Escape')
    expect(page.locator('.mfp-wrap')).to_have_count(0)
    page.locator('[name=note]').fill('')
    shown_after(page, submit(page).click)
    assert watch.posts('/done/') == 1


def test_plugin_may_call_back_later(page, user, task, watch):
    page.keyboard.press('1')
    page.locator('[name=note]').fill('maybe')
    submit(page).click()
    expect(page.locator('.cards-yes')).to_be_visible()
    assert watch.posts('/done/') == 0
    following = shown_after(page, page.locator('.cards-yes').click)
    assert following['id'] != task['id']
    assert answers_of(user)[task['data']['key']]['note'] == 'maybe'


def test_callback_of_an_old_task_answers_nothing(page, user, task, watch):
    page.keyboard.press('1')
    page.locator('[name=note]').fill('maybe')
    submit(page).click()
    expect(page.locator('.cards-yes')).to_be_visible()
    shown_after(page, lambda: page.evaluate('jQuery("a#skip-button").click()'))
    page.locator('.cards-yes').click()
    expect(page.locator('.mfp-wrap')).to_have_count(0)
    assert watch.posts('/done/') == 0
    expect_usable_buttons(page)


def test_double_press_posts_once(page, user, task, watch):
    page.keyboard.press('1')
    shown_after(
        page,
        lambda: page.evaluate(
            'jQuery("a#save-button").click().click(); document.querySelector("#save-button").click()'
        ),
    )
    assert (watch.posts('/done/'), len(answers_of(user))) == (1, 1)


def test_skip_asks_the_plugin_and_puts_the_card_aside(page, user, task, watch):
    following = shown_after(page, lambda: page.keyboard.press('s'))
    assert events(page) == ['next', 'skip', 'next']
    assert AbstractTask.objects.get(pk=task['id']).users_skipped == [user]
    third = shown_after(page, skip(page).click)
    assert len({task['id'], following['id'], third['id']}) == 3
    assert watch.posts('/skip/') == 2


def test_plugin_is_told_when_nothing_is_left_and_the_platform_says_it_too(page, site, user, signed_in, watch):
    watch.expect_nothing_left()
    signed_in(page, user).goto('/type/legacy_cards/')
    expect_state(page, 'done')
    expect(page.get_by_role('heading', name='All done, thank you!')).to_be_visible()
    assert events(page) == ['task_error']
    assert page.evaluate('cards.error') == {'result': {}, 'errors': ['There is no task having type like this']}
    expect(submit(page)).to_be_hidden()


def test_answer_survives_a_network_failure(page, user, task, watch):
    watch.expect('ERR_FAILED')
    intercept(page, '**/done/**', stop, times=1)
    page.keyboard.press('2')
    page.keyboard.press('Enter')
    expect(notice(page)).to_contain_text('Your answer is kept on this device.')
    expect_usable_buttons(page)
    shown_after(page, page.get_by_role('button', name='Try again').click)
    assert answers_of(user)[task['data']['key']]['kind'] == 'place'


def test_session_that_has_ended_loses_no_answer(page, user, signed_in, task, watch):
    watch.expect_status(401, '/done/')
    page.context.clear_cookies()
    page.keyboard.press('2')
    page.keyboard.press('Enter')
    expect(notice(page)).to_contain_text('Please sign in again')
    signed_in(page, user)
    open_project(page, 'legacy_cards')
    expect(toast(page, 'Your answer from last time has been saved.')).to_be_visible()
    assert answers_of(user)[task['data']['key']]['kind'] == 'place'


def test_requests_of_the_plugin_itself_carry_the_token(page, user, task):
    answer = page.evaluate(
        'id => jQuery.post("/type/legacy_cards/done/" + id, {result: JSON.stringify({kind: "place"})})', task['id']
    )
    assert answer == {'result': {'done': True}, 'errors': []}
    assert AbstractAnswer.objects.get().result == {'kind': 'place'}


# --- styles -----------------------------------------------------------------------------------------------------------

SHELL = [
    '#logo',
    '.vk-brand-logo',
    '.vk-header-inner',
    '.vk-headlink',
    '.vk-helplink',
    '.vk-taskhead-title',
    '.vk-progress-text',
    '#user-stats',
    '#user-stats dt',
    '#user-stats dd',
    '.vk-menu-button',
    '.vk-menu-name',
    '.vk-avatar',
    '.vk-bar',
    '.vk-bar-row',
    '#vk-status',
    '#skip-button',
    '#save-button',
]
LOOK = """elements => Object.fromEntries(elements.map(selector => {
    const style = getComputedStyle(document.querySelector(selector));
    const names = ['font-size', 'font-family', 'font-weight', 'font-style', 'line-height', 'letter-spacing', 'color',
        'text-transform', 'text-align', 'text-decoration-line', 'background-color', 'display', 'position', 'float',
        'box-sizing', 'margin', 'padding', 'border', 'border-radius', 'list-style-type', 'top'];
    return [selector, Object.fromEntries(names.map(name => [name, style.getPropertyValue(name)]))];
}))"""


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_styles_of_a_plugin_do_not_reach_the_shell(open_browser, site, user, signed_in, cards, scheme):
    page = signed_in(open_browser(color_scheme=scheme), user)
    site.load('plain_task', [{'n': 1}])
    open_project(page, 'plain_task')
    modern = page.evaluate(LOOK, SHELL)
    open_project(page, 'legacy_cards')
    old = page.evaluate(LOOK, SHELL)
    assert old == modern
    assert old['.vk-headlink']['font-size'] == '16px'
    assert page.evaluate('getComputedStyle(document.documentElement).fontSize') == '10px'  # the plugin has its way …
    expect(page.locator('.card-clear')).to_have_css('border-top-style', 'double')  # … in its own place
    expect(page.locator('.card-title')).to_have_css('letter-spacing', '1px')


@pytest.mark.parametrize(
    ('status', 'state', 'parts'),
    [
        (
            503,
            'failed',
            ['#vk-notice', '.vk-notice-text', '#vk-retry', '.vk-toast', '.vk-toast-text', '.vk-toast-close'],
        ),
        (404, 'done', ['.vk-panel', '.vk-panel h2', '.vk-panel .vk-rich', '.vk-panel a']),
    ],
)
def test_states_and_messages_of_the_shell_keep_their_look_too(page, user, signed_in, watch, status, state, parts):
    watch.expect_status(status, '/next')
    intercept(page, '**/next*', lambda route: route.fulfill(status=status, json={'result': {}, 'errors': []}))
    looks = []
    for name in ('plain_task', 'legacy_cards'):
        signed_in(page, user).goto(f'/type/{name}/')
        expect_state(page, state)
        page.evaluate('Vulyk.notify("Something happened", "error")')
        looks.append(page.evaluate(LOOK, parts))
    assert looks[0] == looks[1]


# --- a plugin without scripts and styles ------------------------------------------------------------------------------


@pytest.fixture
def bare(page: Page, site, user, signed_in) -> dict:
    """A question of the plugin that has no files but its template."""
    site.load('legacy_bare', [{'key': number, 'question': f'Question {number}?'} for number in (1, 2)])
    return open_project(signed_in(page, user), 'legacy_bare')


def test_plugin_without_scripts_and_styles_works(page, user, bare, watch):
    watch.expect_nothing_left()
    expect(page.locator('.bare-question')).to_have_text(bare['data']['question'])
    following = shown_after(page, page.get_by_text('Yes', exact=True).click)
    page.get_by_text('No', exact=True).click()
    expect_state(page, 'done')  # which this plugin does not care for
    assert answers_of(user) == {bare['data']['key']: {'word': 'yes'}, following['data']['key']: {'word': 'no'}}
    assert not [request for request in watch.requests if 'plugin_' in request]


def test_buttons_hidden_by_a_plugin_stay_hidden_and_can_be_clicked_from_scripts(page, bare, watch):
    expect(submit(page)).to_be_hidden()
    expect(skip(page)).to_be_hidden()
    shown_after(page, lambda: page.evaluate('$("a#skip-button").click()'))
    assert watch.posts('/skip/') == 1


def test_missing_help_is_replaced_by_the_platforms(page, bare):
    page.locator('.popup-with-zoom-anim').click()
    expect(page.locator('#tag_hints')).to_contain_text('How it works')


def test_home_page_and_leaderboard_show_old_plugins_too(page, site, user, signed_in, cards):
    other = factories.make_user()
    kind = site.type('legacy_cards')
    kind.on_task_done(other, kind.get_next(other)['id'], {'kind': 'place'})
    signed_in(page, user).goto('/')
    expect(page.locator('.vk-card', has_text='Index cards')).to_contain_text('0 of 10 tasks done')
    page.get_by_role('link', name='Leaderboard of “Index cards”').click()
    expect(page.locator('.vk-rank-name')).to_contain_text(['Name', other.username])


def test_picture_that_never_comes_does_not_hold_up_the_first_task(own_page, user, signed_in, cards):
    page = signed_in(own_page, user)
    page.clock.install()
    held = hold(page, '**/stamp.png')
    page.goto('/type/legacy_cards/', wait_until='domcontentloaded')
    expect_state(page, 'loading')
    shown_after(page, lambda: page.clock.fast_forward(5000))
    expect(page.locator('.card')).to_be_visible()
    assert page.evaluate('document.readyState') == 'interactive'
    held().continue_()


def test_error_in_a_plugin_is_reported_and_stops_nothing(page, user, task, watch):
    watch.expect('the plugin broke')
    page.evaluate('jQuery(document.body).on("vulyk.next", () => { throw new Error("the plugin broke"); })')
    shown_after(page, skip(page).click)
    page.keyboard.press('1')
    shown_after(page, submit(page).click)
    assert len(answers_of(user)) == 1
