"""The task type "transcription" as volunteers use it."""

import re
import unicodedata

import pytest
from playwright.sync_api import Page, expect

from tests.browser.work import (
    answers_of,
    expect_state,
    expect_usable_buttons,
    open_project,
    shown_after,
    skip,
    submit,
    width_of,
)


@pytest.fixture
def truth(site):
    """Ten lines are loaded; ``{key: what the line says}``."""
    return site.load_samples('transcription')


@pytest.fixture
def text(page):
    return page.locator('#vt-text')


def expect_line_of(page: Page, task: dict) -> None:
    line = page.locator('.kit-view img')
    expect(line).to_have_attribute('src', task['media'][task['data']['image']])
    assert line.evaluate('line => line.naturalWidth') > 100


def type_line(page: Page, text: str) -> None:
    """Type as on a keyboard with English letters; Alt and a digit give the rest."""
    keys = page.locator('.vt-character').evaluate_all(
        'pad => Object.fromEntries(pad.map(button => [button.dataset.character, button.getAttribute("aria-keyshortcuts")]))'
    )
    for part in split_by_script(text):
        if part.isascii():
            page.keyboard.type(part)
        else:
            page.keyboard.press(keys[part].replace('+', '+Digit'))


def split_by_script(text: str) -> list[str]:
    """Runs of ASCII, and every other letter by itself."""
    return re.findall(r'[\x00-\x7f]+|.', text)


def test_ten_lines_are_typed_by_keyboard_only_and_exported_letter_by_letter(
    page, text, site, user, signed_in, truth, watch
):
    task = open_project(signed_in(page, user), 'transcription')
    for number in range(10):
        expect_line_of(page, task)
        expect(text).to_be_focused()
        type_line(page, truth[task['data']['key']])
        press = ('Enter', 'Control+Enter')[number % 2]
        if number < 9:
            task = shown_after(page, lambda press=press: page.keyboard.press(press))
        else:
            watch.expect_nothing_left()
            page.keyboard.press(press)
    expect_state(page, 'done')
    assert {'ſ', '⸗', 'ß', 'é'} <= set(''.join(truth.values()))
    assert answers_of(user) == {key: {'text': line} for key, line in truth.items()}
    exported = {line[0]['task']['data']['key']: line[0]['answer']['text'] for line in site.export('transcription')}
    assert exported == truth


def test_ten_lines_are_typed_by_touch_on_a_phone(phone, user, signed_in, truth, watch):
    task = open_project(signed_in(phone, user), 'transcription')
    for number in range(10):
        expect_line_of(phone, task)
        assert width_of(phone) == 390
        phone.locator('#vt-text').tap()
        for part in split_by_script(truth[task['data']['key']]):
            if part.isascii():
                phone.keyboard.insert_text(part)  # what the phone's own keyboard does
            else:
                phone.locator(f'.vt-character[data-character="{part}"]').tap()
        if number < 9:
            task = shown_after(phone, submit(phone).tap)
        else:
            watch.expect_nothing_left()
            submit(phone).tap()
    expect_state(phone, 'done')
    assert answers_of(user) == {key: {'text': line} for key, line in truth.items()}


def test_the_special_character_comes_where_the_caret_is_and_can_be_undone(page, text, user, signed_in, truth):
    open_project(signed_in(page, user), 'transcription')
    page.keyboard.type('Waer')
    page.keyboard.press('ArrowLeft')
    page.keyboard.press('ArrowLeft')
    page.keyboard.press('Alt+Digit1')
    expect(text).to_have_value('Waſer')
    page.locator('.vt-character', has_text='ß').click()
    expect(text).to_have_value('Waſßer')
    expect(text).to_be_focused()
    for _ in 'ſß':  # a browser undoes in one go what came in one go; on a busy machine these came in two
        if text.input_value() != 'Waer':
            page.keyboard.press('Control+z')
    expect(text).to_have_value('Waer')


@pytest.mark.parametrize(
    ('typed', 'stored'),
    [
        ('unterge\u2e17', 'unterge⸗'),
        (unicodedata.normalize('NFD', 'Wäſche, é'), 'Wäſche, é'),
        ('  two  words ', 'two  words'),
        ('𝔉raktur ℔ ꝛc. „ ‚ ’ a\u0364', '𝔉raktur ℔ ꝛc. „ ‚ ’ a\u0364'),
        ('<b>&amp; "\\ {{x}} %(y)s', '<b>&amp; "\\ {{x}} %(y)s'),
        ('אב and ك 字', 'אב and ك 字'),
    ],
    ids=['hyphen', 'decomposed', 'spaces', 'rare', 'markup', 'scripts'],
)
def test_text_is_stored_as_typed_but_composed_and_trimmed(page, user, signed_in, truth, typed, stored):
    open_project(signed_in(page, user), 'transcription')
    page.keyboard.insert_text(typed)
    shown_after(page, lambda: page.keyboard.press('Enter'))
    assert list(answers_of(user).values()) == [{'text': stored}]


def test_pasted_lines_become_one(page, text, user, signed_in, truth):
    open_project(signed_in(page, user), 'transcription')
    text.fill('one\ntwo')
    expect(text).to_have_value('one two')


def test_empty_line_is_refused_in_words(page, text, user, signed_in, truth, watch):
    open_project(signed_in(page, user), 'transcription')
    page.keyboard.type('  ')
    page.keyboard.press('Enter')
    expect(page.locator('#vt-problem')).to_contain_text('Type what the line says')
    expect_usable_buttons(page)
    expect(text).to_be_focused()
    assert watch.posts('/type/') == 0


def test_line_that_cannot_be_read_is_answered_as_illegible(page, user, signed_in, truth):
    open_project(signed_in(page, user), 'transcription')
    page.keyboard.type('something')
    page.get_by_label('I cannot read this line').press('Space')
    shown_after(page, lambda: page.keyboard.press('Enter'))
    assert list(answers_of(user).values()) == [{'illegible': True}]
    expect(page.locator('#vt-illegible')).not_to_be_checked()


def test_escape_leaves_the_text_first_and_skips_only_then(page, text, user, signed_in, truth, watch):
    open_project(signed_in(page, user), 'transcription')
    page.keyboard.type('half a li')
    page.keyboard.press('Escape')
    expect(text).not_to_be_focused()
    expect(text).to_have_value('half a li')
    assert watch.posts('/type/') == 0
    shown_after(page, lambda: page.keyboard.press('Escape'))
    assert watch.posts('/skip/') == 1
    expect(text).to_have_value('')


def test_keys_change_the_size_of_the_picture(page, text, user, signed_in, truth):
    open_project(signed_in(page, user), 'transcription')
    line = page.locator('.kit-view img')
    width = line.bounding_box()['width']
    page.keyboard.press('Alt++')
    page.keyboard.press('Alt++')
    expect(page.locator('.kit-percent')).to_have_text('156 %')
    assert line.bounding_box()['width'] == pytest.approx(width * 1.5625, rel=0.01)
    expect(text).to_have_value('')
    page.locator('.kit-view').focus()
    page.keyboard.press('End')
    assert page.locator('.kit-view').evaluate('view => view.scrollLeft') > 0
    page.keyboard.press('0')
    expect(page.locator('.kit-percent')).to_have_text('100 %')


def test_two_fingers_enlarge_the_picture_and_one_moves_it(phone, user, signed_in, truth):
    open_project(signed_in(phone, user), 'transcription')
    view = phone.locator('.kit-view')
    box = view.bounding_box()
    x, y = box['x'] + box['width'] / 2, box['y'] + box['height'] / 2
    touch = phone.context.new_cdp_session(phone)

    def fingers(kind: str, *places: float) -> None:
        points = [{'x': place, 'y': y, 'id': number} for number, place in enumerate(places)]
        touch.send('Input.dispatchTouchEvent', {'type': kind, 'touchPoints': points})

    fingers('touchStart', x - 20, x + 20)
    for distance in (30, 40, 60, 80):
        fingers('touchMove', x - distance, x + distance)
    fingers('touchEnd')
    expect(phone.locator('.kit-percent')).not_to_have_text('100 %')
    before = view.evaluate('view => view.scrollLeft')
    fingers('touchStart', x + 60)
    for step in range(1, 8):
        fingers('touchMove', x + 60 - 15 * step)
    fingers('touchEnd')
    phone.wait_for_function('before => document.querySelector(".kit-view").scrollLeft > before + 20', arg=before)
    assert width_of(phone) == 390


def test_skip_button_brings_another_line(phone, user, signed_in, truth):
    first = open_project(signed_in(phone, user), 'transcription')
    second = shown_after(phone, skip(phone).tap)
    assert first['id'] != second['id']
    assert answers_of(user) == {}
