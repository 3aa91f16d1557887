"""The task type "images" as volunteers use it."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.work import (
    answers_of,
    expect_state,
    expect_usable_buttons,
    intercept,
    notice,
    open_project,
    shown_after,
    skip,
    stop,
    submit,
    width_of,
)
from vulyk.models.tasks import AbstractTask

CHOICES = ['domestic', 'small_wild', 'big']
KEYS = [
    lambda index: [str(index + 1)] * 2,
    lambda index: [str(index + 1), 'Enter'],
    lambda index: ['Space', *['ArrowDown'] * index, 'Enter'],
    lambda index: [str(index + 1), 'Control+Enter'],
]


@pytest.fixture
def truth(site):
    """Ten photos are loaded; ``{key: true answer}``."""
    return site.load_samples('images')


def expect_photo_of(page, task):
    photo = page.locator('#current_task img')
    expect(photo).to_have_attribute('src', task['media'][task['data']['image']])
    assert photo.evaluate('photo => photo.naturalWidth') > 100


def test_ten_photos_are_answered_by_keyboard_only(page, site, user, signed_in, truth, watch):
    task = open_project(signed_in(page, user), 'images')
    for number in range(10):
        expect_photo_of(page, task)
        expect(page.locator('#user-stats dd').first).to_have_text(str(number))
        keys = KEYS[number % len(KEYS)](CHOICES.index(truth[task['data']['key']]))

        def answer(keys=keys):
            for key in keys:
                page.keyboard.press(key)

        if number < 9:
            task = shown_after(page, answer)
        else:
            watch.expect_nothing_left()
            answer()
    expect_state(page, 'done')
    expect(page.locator('#vk-task')).to_contain_text('All done, thank you!')
    expect(page.locator('#user-stats dd').first).to_have_text('10')
    assert answers_of(user) == {key: {'choice': label} for key, label in truth.items()}
    assert watch.posts('/done/') == 10


def test_ten_photos_are_answered_by_touch_on_a_phone(phone, site, user, signed_in, truth, watch):
    task = open_project(signed_in(phone, user), 'images')
    assert width_of(phone) == 390
    for number in range(10):
        expect_photo_of(phone, task)
        data = task['data']
        choice = phone.locator('.vi-choice', has_text=data['labels'][truth[data['key']]]['en'])
        assert min(choice.bounding_box()['height'], submit(phone).bounding_box()['height']) >= 44
        choice.tap()
        if number < 9:
            task = shown_after(phone, submit(phone).tap)
        else:
            watch.expect_nothing_left()
            submit(phone).tap()
    expect_state(phone, 'done')
    assert width_of(phone) == 390
    assert answers_of(user) == {key: {'choice': label} for key, label in truth.items()}


def test_answer_without_a_choice_is_refused_in_words_and_can_be_given_then(page, user, signed_in, truth, watch):
    open_project(signed_in(page, user), 'images')
    submit(page).click()
    expect(page.locator('#vi-problem')).to_have_text('Choose one of the answers first.')
    expect_usable_buttons(page)
    assert watch.posts('/type/') == 0
    page.get_by_label('Big cat').check(force=True)
    expect(page.locator('#vi-problem')).to_be_empty()
    shown_after(page, submit(page).click)
    assert list(answers_of(user).values()) == [{'choice': 'big'}]


def test_photo_that_fails_can_be_loaded_again_but_not_answered_unseen(page, user, signed_in, truth, watch):
    watch.expect('ERR_FAILED')
    intercept(page, '**/media/**', stop)
    signed_in(page, user).goto('/type/images/')
    expect(page.get_by_text('The picture did not load.')).to_be_visible()
    page.keyboard.press('1')
    submit(page).click()
    expect(page.locator('#vi-problem')).to_contain_text('Without the photo there is nothing to answer.')
    assert watch.posts('/done/') == 0
    page.unroute('**/media/**')
    page.get_by_role('button', name='Load it again').click()
    expect(page.locator('.vi')).to_have_attribute('data-state', 'ready')
    page.keyboard.press('1')
    shown_after(page, submit(page).click)
    assert list(answers_of(user).values()) == [{'choice': 'domestic'}]


def test_photo_of_a_foreign_host_is_blocked_with_a_sentence(page, site, user, signed_in, watch):
    watch.expect('Content Security Policy')
    photo = {'image': 'https://scans.example.org/a.jpg', 'choices': ['cat', 'dog']}
    site.load('images', [photo])
    signed_in(page, user).goto('/type/images/')
    expect(notice(page)).to_contain_text('This task shows something from scans.example.org, which this site does not')
    expect_usable_buttons(page)


def test_photo_that_fails_can_be_skipped(page, user, signed_in, truth, watch):
    watch.expect('ERR_FAILED')
    intercept(page, '**/media/**', stop, times=1)
    signed_in(page, user).goto('/type/images/')
    shown_after(page, page.get_by_role('button', name='Skip it').click)
    assert (watch.posts('/skip/'), watch.posts('/done/')) == (1, 0)


def test_help_is_opened_and_closed_by_keyboard_and_keys_do_nothing_meanwhile(page, user, signed_in, truth, watch):
    open_project(signed_in(page, user), 'images')
    opener = page.get_by_role('button', name='Help')
    opener.focus()
    page.keyboard.press('Enter')
    dialog = page.get_by_role('dialog')
    expect(dialog).to_contain_text('Look at the photo and choose the kind of cat it shows.')
    for key in ('1', '1', 'Control+Enter'):
        page.keyboard.press(key)
    page.keyboard.press('Escape')
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()
    expect_state(page, 'ready')
    assert watch.posts('/type/') == 0
    expect(page.locator('.vi-radio:checked')).to_have_count(0)


def test_author_and_licence_of_the_photo_stand_below_it(page, user, signed_in, truth):
    data = open_project(signed_in(page, user), 'images')['data']
    credit = page.locator('.kit-credit').first
    expect(credit).to_contain_text(f'Photo: {data["author"]}')
    licence = credit.get_by_role('link', name=data['licence'])
    expect(licence).to_have_attribute('href', re.compile('^https://creativecommons.org/'))


def test_skipped_photo_makes_room_for_another(page, user, signed_in, truth):
    first = open_project(signed_in(page, user), 'images')
    second = shown_after(page, skip(page).click)
    assert second['id'] != first['id']
    expect(notice(page)).to_be_hidden()
    assert answers_of(user) == {}


def test_photo_can_be_enlarged_inverted_and_given_contrast_by_keys_and_stays_so(page, site, user, signed_in, truth):
    open_project(signed_in(page, user), 'images')
    photo = page.locator('.kit-sheet img')
    page.keyboard.press('+')
    expect(page.locator('.kit-percent')).not_to_have_text('100 %')
    for name in ('More contrast', 'Invert the colours'):
        page.get_by_role('button', name=name).focus()
        page.keyboard.press('Enter')
        expect(page.get_by_role('button', name=name)).to_have_attribute('aria-pressed', 'true')
    shown_after(page, skip(page).click)
    expect(photo).to_have_css('filter', 'contrast(1.8) invert(1)')
    page.get_by_role('button', name='Invert the colours').click()
    expect(photo).to_have_css('filter', 'contrast(1.8)')


# --- and those of the other task types, for all of them at once --------------------------------------------------------


def test_texts_of_tasks_are_in_the_language_of_the_reader(page, site, user, signed_in):
    user.update(set__language='uk')
    for name in ('images', 'tagging', 'records'):
        site.load_samples(name, 1)
    tasks = AbstractTask._get_collection()
    label = {'value': 'X', 'label': {'en': 'Cross', 'uk': 'Хрест'}, 'description': {'en': 'Only English'}}
    tasks.update_one({'task_data.text': {'$exists': True}}, {'$set': {'task_data.labels': [label]}})
    field = {'name': 'year', 'label': {'fr': 'Année'}, 'hint': {'en': 'Four digits', 'uk': 'Чотири цифри'}}
    tasks.update_one(
        {'task_data.fields': {'$exists': True}},
        {'$set': {'task_data.fields': [field, {'name': 'place', 'label': 'Ort'}]}},
    )
    open_project(signed_in(page, user), 'images')
    expect(page.locator('.kit-question')).to_have_text('Що це за кішка?')
    expect(page.locator('.vi-label')).to_have_text(['Свійська кішка', 'Мала дика кішка', 'Велика кішка'])
    open_project(page, 'tagging')
    expect(page.locator('.kit-question')).to_have_text('Позначте імена й назви в цьому реченні.')
    expect(page.locator('.vg-name')).to_have_text('ХрестOnly English')
    open_project(page, 'records')
    expect(page.locator('.vc-label')).to_have_text(['Année', 'Ort'])
    expect(page.locator('.vc-note').first).to_have_text('Чотири цифри')
