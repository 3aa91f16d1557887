"""The task type "records" as volunteers use it."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.work import answers_of, expect_state, open_project, shown_after, submit, width_of


@pytest.fixture
def truth(site):
    """Ten cards are loaded; ``{key: {field: text}}``."""
    return site.load_samples('records')


def fields(page: Page) -> Locator:
    return page.locator('.vc-text')


def expect_card_of(page: Page, task: dict) -> None:
    card = page.locator('.kit-sheet img')
    expect(card).to_have_attribute('src', task['media'][task['data']['image']])
    expect(page.locator('#current_task > [data-state]')).to_have_attribute('data-state', 'ready')


def test_ten_cards_are_copied_by_keyboard_only_and_exported_letter_by_letter(page, site, user, signed_in, truth, watch):
    task = open_project(signed_in(page, user), 'records')
    for number in range(10):
        expect_card_of(page, task)
        expect(fields(page).first).to_be_focused()
        values = list(truth[task['data']['key']].values())
        for index, text in enumerate(values):
            page.keyboard.insert_text(text)  # what a keyboard with all these letters does
            if index < len(values) - 1:
                page.keyboard.press(('Enter', 'Tab')[number % 2])
                if number % 2:  # the box "Illegible" stands between two fields
                    page.keyboard.press('Tab')
                expect(fields(page).nth(index + 1)).to_be_focused()
        if number < 9:
            task = shown_after(page, lambda: page.keyboard.press('Control+Enter'))
        else:
            watch.expect_nothing_left()
            page.keyboard.press('Control+Enter')
    expect_state(page, 'done')
    exported = {line[0]['task']['data']['key']: line[0]['answer'] for line in site.export('records')}
    assert exported == {key: {'fields': texts, 'illegible': []} for key, texts in truth.items()}


def test_ten_cards_are_copied_by_touch_on_a_phone(phone, user, signed_in, truth, watch):
    task = open_project(signed_in(phone, user), 'records')
    for number in range(10):
        expect_card_of(phone, task)
        assert width_of(phone) == 390
        for index, text in enumerate(truth[task['data']['key']].values()):
            fields(phone).nth(index).tap()
            phone.keyboard.insert_text(text)
        if number < 9:
            task = shown_after(phone, submit(phone).tap)
        else:
            watch.expect_nothing_left()
            submit(phone).tap()
    expect_state(phone, 'done')
    assert answers_of(user) == {key: {'fields': texts, 'illegible': []} for key, texts in truth.items()}


def test_field_that_cannot_be_read_is_marked_by_a_key(page, user, signed_in, truth):
    task = open_project(signed_in(page, user), 'records')
    texts = truth[task['data']['key']]
    for index, text in enumerate(texts.values()):
        page.keyboard.insert_text(text)
        if index == 1:
            page.keyboard.press('F2')
            expect(page.get_by_label('Illegible: First names')).to_be_checked()
            fields(page).nth(2).focus()
        elif index < len(texts) - 1:
            page.keyboard.press('Enter')
    shown_after(page, lambda: page.keyboard.press('Control+Enter'))
    expected = {'fields': {**texts, 'first_name': None}, 'illegible': ['first_name']}
    assert list(answers_of(user).values()) == [expected]


def test_text_that_a_field_does_not_expect_is_refused_in_words(page, user, signed_in, truth, watch):
    open_project(signed_in(page, user), 'records')
    fields(page).nth(4).fill('in 1904')
    submit(page).click()
    expect(page.locator('.vc-refusal').nth(4)).to_contain_text('This is not in the form that is expected here')
    assert watch.posts('/done/') == 0


def test_card_is_enlarged_moved_and_turned_by_keys(page, user, signed_in, truth):
    open_project(signed_in(page, user), 'records')
    page.keyboard.press('F8')
    expect(page.locator('.kit-view')).to_be_focused()
    page.keyboard.press('+')
    expect(page.locator('.kit-percent')).to_have_text(re.compile('125'))
    page.keyboard.press('r')
    expect(page.locator('.kit-sheet img')).to_have_attribute('style', re.compile(r'rotate\(90deg\)'))
    page.keyboard.press('0')
    expect(page.locator('.kit-percent')).to_have_text(re.compile('100'))
    page.keyboard.press('F8')
    expect(fields(page).first).to_be_focused()
