"""The site around the tasks: home page, sign-in, leaderboard, the demo, and their looks."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests import factories
from tests.browser.conftest import DESKTOP, PHONE
from tests.browser.work import answers_of, expect_state, open_project, shown_after, submit, width_of
from vulyk.cli import samples
from vulyk.demo import mark
from vulyk.models.tasks import AbstractTask, Batch
from vulyk.models.user import Group

PASSWORD = 'a long password'


# --- home page and sign-in --------------------------------------------------------------------------------------------


def test_visitor_is_told_what_this_is_and_where_to_sign_in(page):
    page.goto('/')
    expect(page.get_by_role('heading', level=1)).to_have_text('Small tasks, done together')
    expect(page.get_by_role('button', name='Look around')).to_have_count(0)
    page.get_by_role('link', name='Sign in and start').click()
    expect(page.get_by_role('heading', name='Sign in')).to_be_visible()
    assert page.url.endswith('/sign-in')


def test_signing_in_and_choosing_a_project_need_no_mouse(page, site):
    site.load_samples('images', 2)
    user = factories.make_user(username='curious_bee', email='bee@example.org', password=PASSWORD)
    page.goto('/sign-in?next=/')
    expect(page.get_by_label('E-mail address')).to_be_focused()
    page.keyboard.type('BEE@example.org')
    page.keyboard.press('Tab')
    page.keyboard.type(PASSWORD)
    page.keyboard.press('Enter')
    expect(page.get_by_role('heading', name='Projects')).to_be_visible()
    start = page.get_by_role('link', name='Start with “Cats in photos”')
    tab_to(page, start)

    def answer() -> None:
        for key in ('1', '1'):
            page.keyboard.press(key)

    shown_after(page, lambda: page.keyboard.press('Enter'))
    shown_after(page, answer)
    assert list(answers_of(user).values()) == [{'choice': 'domestic'}]
    menu = page.locator('.vk-menu summary')
    menu.focus()
    page.keyboard.press('Enter')
    tab_to(page, page.get_by_role('button', name='Sign out'))
    page.keyboard.press('Enter')
    expect(page.get_by_role('link', name='Sign in and start')).to_be_visible()


def tab_to(page: Page, target) -> None:
    """Go by the Tab key to an element; fails if thirty presses do not reach it."""
    for _ in range(30):
        page.keyboard.press('Tab')
        if target.evaluate('element => element === document.activeElement'):
            return
    raise AssertionError(f'{target} is not reached by Tab')


def test_first_tab_stop_leads_past_the_header(page, site, user, signed_in):
    signed_in(page, user).goto('/')
    page.keyboard.press('Tab')
    skip_link = page.get_by_role('link', name='Skip to the content')
    expect(skip_link).to_be_focused()
    expect(skip_link).to_be_in_viewport()
    page.keyboard.press('Enter')
    expect(page.locator('#vk-main')).to_be_focused()


def test_wrong_password_is_told_beside_the_field_and_the_address_stays(page, site, watch):
    watch.expect_status(401, '/sign-in')
    factories.make_user(email='bee@example.org', password=PASSWORD)
    page.goto('/sign-in?next=/type/images/')
    expect(page.get_by_label('E-mail address')).to_be_focused()
    page.keyboard.type('bee@example.org')
    page.keyboard.press('Tab')
    page.keyboard.type('a wrong password')
    page.keyboard.press('Enter')
    expect(page.get_by_role('alert')).to_have_text('This e-mail address and password do not belong together.')
    expect(page.get_by_label('E-mail address')).to_have_value('bee@example.org')
    password = page.get_by_label('Password')
    expect(password).to_be_focused()
    expect(password).to_have_accessible_description('This e-mail address and password do not belong together.')
    site.load_samples('images', 1)
    page.keyboard.type(PASSWORD)
    shown_after(page, lambda: page.keyboard.press('Enter'))


def test_visitor_of_a_task_page_comes_back_to_it_after_signing_in(page, site):
    site.load_samples('images', 1)
    factories.make_user(email='bee@example.org', password=PASSWORD)
    page.goto('/type/images/')
    page.get_by_label('E-mail address').fill('bee@example.org')
    page.get_by_label('Password').fill(PASSWORD)
    shown_after(page, lambda: page.keyboard.press('Enter'))
    assert page.url.endswith('/type/images/')


def test_projects_are_listed_with_their_progress_and_a_way_in(page, site, user, signed_in):
    site.load_samples('images', 4)
    kind = site.type('images')
    for task in AbstractTask.objects[:1]:
        for _ in range(kind.redundancy):
            kind.on_task_done(factories.make_user(), task.id, {'choice': 'big'})
    signed_in(page, user).goto('/')
    photos = page.locator('.vk-card', has_text='Cats in photos')
    expect(photos).to_contain_text('1 of 4 tasks done')
    expect(page.locator('.vk-card', has_text='Lines of old print')).to_contain_text('No tasks yet')
    shown_after(page, photos.get_by_role('link', name='Start with “Cats in photos”').click)


def test_volunteer_without_a_project_is_not_left_with_an_empty_page(page, user, signed_in):
    Group(id='default').save()
    signed_in(page, user).goto('/')
    expect(page.get_by_role('heading', name='There is no project for you yet')).to_be_visible()


# --- leaderboard ------------------------------------------------------------------------------------------------------


def test_leaderboard_ranks_by_answers_and_marks_me(page, site, user, signed_in):
    site.load_samples('transcription', 3)
    kind = site.type('transcription')
    ids = [task.id for task in AbstractTask.objects]
    busy, other = factories.make_user(username='busy_bee'), factories.make_user(username='other.bee@example.org')
    for volunteer, number in ((busy, 3), (user, 1), (other, 1)):
        for task_id in ids[:number]:
            kind.on_task_done(volunteer, task_id, {'text': 'x'})
    signed_in(page, user).goto('/type/transcription/leaders')
    rows = page.locator('.vk-leaders tbody tr')
    expect(rows).to_have_count(3)
    expect(rows.nth(0)).to_have_text('1\nbusy_bee\n\n3', use_inner_text=True)
    expect(page.locator('.is-me')).to_contain_text('curious_bee')
    expect(page.locator('.is-me .vk-medal')).to_have_text('2')
    page.set_viewport_size({'width': 1280, 'height': int(page.locator('.vk-leaders').bounding_box()['y']) + 120})
    expect(page.locator('.is-me')).to_be_in_viewport(ratio=1)  # however little of the list is
    page.set_viewport_size(DESKTOP['viewport'])
    assert 'example.org' not in page.content()


def test_leaderboard_without_answers_invites(page, user, signed_in, site):
    site.load_samples('images', 1)
    signed_in(page, user).goto('/type/images/leaders')
    expect(page.get_by_role('heading', name='Nobody has answered yet')).to_be_visible()
    shown_after(page, page.get_by_role('link', name='Solve tasks').click)


# --- the demo ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def demo(site):
    """A demo instance without tasks."""
    site.app.config['DEMO'] = True
    mark()
    return site


@pytest.fixture
def filled_demo(demo):
    """The demo instance as ``make run`` fills it: samples, and the answers of real people."""
    samples.seed()
    return demo


def test_ten_answers_of_a_visitor_close_a_batch_move_the_leaderboard_and_fill_an_export(page, filled_demo):
    truth = filled_demo.truth('images')
    page.goto('/')
    page.get_by_role('button', name='Look around as a volunteer').click()
    expect(page.get_by_role('heading', name='Projects')).to_be_visible()
    expect(page.locator('.vk-card', has_text='Cats in photos')).to_contain_text('0 of 47 tasks done')
    assert filled_demo.export('images', 'images_01', closed=True) == []

    task = shown_after(page, page.get_by_role('link', name='Start with “Cats in photos”').click)
    progress = page.locator('.vk-progress-text')
    for number in range(10):
        assert AbstractTask.objects.get(pk=task['id']).batch.id == 'images_01'
        expect(progress).to_have_text(f'Batch: {number} of 10')
        data = task['data']
        page.locator('.vi-choice', has_text=data['labels'][truth[data['key']]]['en']).click()
        task = shown_after(page, submit(page).click)
    assert AbstractTask.objects.get(pk=task['id']).batch.id == 'images_02'
    batch = Batch.objects.get(pk='images_01')
    assert (batch.closed, batch.tasks_processed) == (True, 10)

    lines = filled_demo.export('images', 'images_01', closed=True)
    assert [len(answers) for answers in lines] == [3] * 10
    mine = [answer for answers in lines for answer in answers if answer['user']['username'] == 'curious_bee']
    assert {answer['task']['data']['key']: answer['answer']['choice'] for answer in mine} == {
        answer['task']['data']['key']: truth[answer['task']['data']['key']] for answer in mine
    }
    assert len(mine) == 10

    page.get_by_role('link', name='Leaderboard').first.click()
    expect(page.locator('.is-me')).to_contain_text('curious_bee')
    expect(page.locator('.is-me .vk-rank-count')).to_have_text('10')
    page.get_by_role('link', name='Projects', exact=True).click()
    expect(page.locator('.vk-card', has_text='Cats in photos')).to_contain_text('10 of 47 tasks done')


def test_visitor_may_look_around_as_an_admin(page, demo):
    demo.load_samples('images', 1)
    volunteer = factories.make_user()
    demo.type('images').on_task_done(volunteer, AbstractTask.objects.get().id, {'choice': 'big'})
    page.goto('/')
    page.get_by_role('button', name='Look around as an admin').click()
    menu = page.locator('.vk-menu')
    expect(menu.locator('.vk-menu-name')).to_have_text('head_keeper')
    menu.locator('summary').click()
    menu.get_by_role('link', name='Administration').click()
    for name in ('Users', 'Groups', 'Batches', 'Tasks', 'Answers'):  # any of them may break the policy of its page
        page.get_by_role('navigation').get_by_role('link', name=name).first.click()
        page.locator('a[title="Edit Record"], .icon a').first.click()
        expect(page.locator('form.admin-form')).to_be_visible()


def test_volunteer_of_the_demo_finds_no_way_into_the_administration(page, demo, watch):
    page.goto('/')
    page.get_by_role('button', name='Look around as a volunteer').click()
    page.locator('.vk-menu summary').click()
    expect(page.get_by_role('button', name='Sign out')).to_be_visible()
    expect(page.get_by_role('link', name='Administration')).to_have_count(0)
    watch.expect_status(403, '/admin/')
    page.goto('/admin/')
    expect(page.get_by_role('heading', name='This is not for you')).to_be_visible()


def test_demo_doors_stand_on_the_sign_in_page_too(phone, demo):
    phone.goto('/sign-in')
    phone.get_by_role('button', name='Look around as a volunteer').tap()
    expect(phone.get_by_role('heading', name='Projects')).to_be_visible()
    assert width_of(phone) == 390


# --- looks ------------------------------------------------------------------------------------------------------------

CONTRAST = (Path(__file__).parent / 'contrast.js').read_text(encoding='utf-8')
PAGES = [
    '/',
    '/sign-in',
    '/type/images/leaders',
    '/type/images/',
    '/type/transcription/',
    '/type/legacy_cards/',
    '/nowhere',
]


GROUNDS = {'light': 'rgb(255, 255, 255)', 'dark': 'rgb(23, 33, 48)'}  # of the header


@pytest.mark.parametrize('screen', [DESKTOP, PHONE], ids=['desk', 'phone'])
def test_pages_are_legible_and_fit_in_both_colour_schemes(open_browser, site, user, signed_in, watch, screen):
    watch.expect_status(404, '/nowhere')
    site.load_samples('images', 2)
    site.load_samples('transcription', 2)
    site.load('legacy_cards', [{'number': 1, 'title': 'A card', 'lines': []}])
    kind = site.type('images')
    kind.on_task_done(user, AbstractTask.objects(task_type='images').first().id, {'choice': 'big'})
    page = open_browser(**screen)
    for address in ['/', '/sign-in']:
        page.goto(address)
        expect_legible(page, 'body', address)
    signed_in(page, user)
    for address in PAGES:
        page.goto(address)
        if address in ('/type/images/', '/type/transcription/', '/type/legacy_cards/'):
            expect_state(page, 'ready')
        expect_legible(page, '.vk-header' if 'legacy' in address else 'body', address)
        assert width_of(page) == screen['viewport']['width'], address


def expect_legible(page: Page, root: str, address: str) -> None:
    """In light and in dark every text on the page has the contrast that WCAG asks for (4.5, for text of common size)."""
    for scheme, ground in GROUNDS.items():
        page.emulate_media(color_scheme=scheme, reduced_motion='reduce')  # nothing is on its way to another colour
        header = page.locator('.vk-header').evaluate('header => getComputedStyle(header).backgroundColor')
        assert header == ground, (scheme, address)
        found = page.evaluate(CONTRAST, root)
        assert len(found) > 3
        assert [(round(contrast, 2), text) for contrast, text in found if contrast < 4.5] == [], (scheme, address)


def test_page_of_a_task_shows_who_made_it(page, site, user, signed_in):
    site.load_samples('transcription', 1)
    open_project(signed_in(page, user), 'transcription')
    credit = page.locator('#vk-batch')
    expect(credit).to_contain_text('Johannes Baiter and the volunteers of archiscribe.jbaiter.de')
    expect(page.locator('#vt-text')).to_have_attribute('lang', 'de')
    expect(credit.get_by_role('link', name='CC BY 4.0')).to_be_visible()


def test_facts_of_a_batch_reach_the_page_of_an_older_plugin_too(page, site, user, signed_in):
    facts = {'title': 'Old cards', 'help': '<p>Look <i>twice</i></p>', 'licence': 'CC0 1.0', 'lang': 'fr'}
    site.load('legacy_cards', [{'number': 1, 'title': 'A card', 'lines': []}], facts)
    open_project(signed_in(page, user), 'legacy_cards')
    expect(page.locator('#vk-batch')).to_have_text('Old cards · CC0 1.0')
    expect(page.locator('#current_task')).to_have_attribute('lang', 'fr')
    page.get_by_role('button', name='Help').click()
    expect(page.locator('#tag_hints')).to_contain_text('Look twice')


@pytest.mark.parametrize('name', ['images', 'transcription', 'legacy_cards'])
def test_help_fits_on_a_phone_and_is_closed_by_touch(phone, site, user, signed_in, name):
    if name == 'legacy_cards':
        site.load(name, [{'number': 1, 'title': 'A card', 'lines': []}])
    else:
        site.load_samples(name, 1)
    open_project(signed_in(phone, user), name)
    phone.get_by_role('button', name='Help').tap()
    content = phone.locator('#tag_hints')
    expect(content).to_be_in_viewport()
    box = content.bounding_box()
    assert box['x'] >= 0
    assert box['x'] + box['width'] <= 390
    assert width_of(phone) == 390
    phone.locator('.vk-dialog[open] [data-close], .mfp-close').tap()
    expect(content).to_be_hidden()
