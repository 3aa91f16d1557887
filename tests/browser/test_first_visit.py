"""The first visit of a project: tour, examples, a practice task; or the help."""

import json
from importlib import import_module
from importlib.resources import files

import pytest
from playwright.sync_api import expect

from tests.browser.work import answers_of, expect_state, notice, open_project, shown_after, submit
from vulyk.models.tasks import AbstractAnswer


@pytest.fixture
def newcomer(own_page, user, signed_in):
    """The page of somebody who has never seen a task."""
    own_page.add_init_script('window.isNewcomer = true')
    return signed_in(own_page, user)


def test_newcomer_is_shown_around_and_practises_before_the_first_task(newcomer, site, user, watch):
    site.load_samples('images', 3)
    task = open_project(newcomer, 'images')
    tour = newcomer.get_by_role('dialog', name='A short tour')
    expect(tour).to_contain_text('Look at the photo')
    expect(newcomer.locator('.kit-frame.vk-spot')).to_be_visible()
    for words in ('Choose an answer', 'Submit or skip', 'Three examples'):
        newcomer.keyboard.press('Tab')
        tour.get_by_role('button', name='Next').click()
        expect(tour).to_contain_text(words)
    tour.get_by_role('button', name='Try a practice task').click()
    expect(notice(newcomer)).to_contain_text('This is a practice task.')
    newcomer.locator('.vi[data-state=ready]').wait_for()
    newcomer.locator('.vi-choice', has_text='Big cat').click()
    submit(newcomer).click()
    expect(notice(newcomer)).to_contain_text('Look again')
    newcomer.locator('.vi-choice', has_text='Domestic cat').click()
    submit(newcomer).click()
    expect(notice(newcomer)).to_contain_text('That is right')
    newcomer.get_by_role('button', name='Start with the real tasks').click()
    expect(notice(newcomer)).to_be_hidden()
    assert newcomer.evaluate('Vulyk.State.task_id') == task['id']
    assert (watch.posts('/done/'), AbstractAnswer.objects.count()) == (0, 0)
    newcomer.locator('.vi-choice').first.click()
    shown_after(newcomer, submit(newcomer).click)
    assert list(answers_of(user)) == [task['data']['key']]


def test_tour_is_shown_once_and_again_from_the_menu(newcomer, site):
    site.load_samples('transcription', 2)
    open_project(newcomer, 'transcription')
    tour = newcomer.get_by_role('dialog', name='A short tour')
    tour.get_by_role('button', name='Close').click()
    open_project(newcomer, 'transcription')
    newcomer.locator('.vk-more summary').click()
    expect(tour).to_have_count(0)
    newcomer.get_by_role('button', name='Tour and practice').click()
    expect(tour).to_contain_text('Look at the line')
    newcomer.keyboard.press('Escape')
    expect_state(newcomer, 'ready')


def test_older_plugin_shows_its_help_to_a_newcomer(newcomer, site):
    site.load('legacy_cards', [{'key': 1, 'number': 1, 'title': 'A card', 'lines': []}])
    open_project(newcomer, 'legacy_cards')
    expect(newcomer.locator('#tag_hints .cards-help')).to_be_visible()
    newcomer.keyboard.press('Escape')
    expect(newcomer.locator('.mfp-wrap')).to_have_count(0)


@pytest.mark.parametrize(
    ('package', 'name'),
    [
        ('vulyk_images', 'ImageChoiceTaskType'),
        ('vulyk_transcription', 'TranscriptionTaskType'),
        ('vulyk_records', 'RecordsTaskType'),
        ('vulyk_tagging', 'TaggingTaskType'),
    ],
)
def test_practice_tasks_have_answers_that_the_task_type_accepts(package, name):
    settings = import_module(package).configure(import_module(f'{package}.settings'))
    kind = getattr(import_module(f'{package}.models.task_types'), name)(settings=settings)
    items = (files(package) / kind.practice).read_text(encoding='utf-8').splitlines()
    assert items
    for item in map(json.loads, items):
        task = kind.task_model(id='practice', task_type=kind.type_name, task_data=item['data'])
        for result in item['results']:
            kind.validate_result(task, result)
