"""The game as volunteers see it."""

import pytest
from playwright.sync_api import expect

from tests.browser.work import open_project, shown_after, submit, toast
from tests.gamification.conftest import BLUEPRINT
from tests.gamification.play import make_rule, state_of, work_all
from tests.gamification.test_api import make_fund, picture
from vulyk.blueprints.gamification.models.rules import forget_rules


@pytest.fixture
def site_settings():
    """The game is on, as it is unless settings say otherwise."""
    return {'ENABLED_BLUEPRINTS': [BLUEPRINT]}


@pytest.fixture
def truth(site):
    """A batch of two lines that one answer each finishes, a rule, and a fund; ``{key: what the line says}``."""
    forget_rules()
    site.type('transcription').redundancy = 1
    make_rule('First line', bonus=30, tasks_number=1, badge='first-cell.svg')
    make_rule('Scholar', 'transcription', tasks_number=5, badge='scribe.svg')
    make_fund(logo=picture())
    return site.load_samples('transcription', 2)


def test_answer_toast_badge_donation(own_page, site, user, signed_in, truth, watch):
    page = signed_in(own_page, user)
    page.clock.install()  # so that the pause between two looks at the news need not be waited for
    task = open_project(page, 'transcription')
    expect(page.locator('#vg-level')).to_have_text('0')
    page.locator('#vt-text').fill(truth[task['data']['key']])
    task = shown_after(page, submit(page).click)
    with page.expect_response('**/events/mark_viewed'):
        page.clock.fast_forward(6000)
    expect(toast(page, 'New badge: First line. Extra points: 30')).to_be_visible()
    expect(toast(page, 'You have reached level 2!')).to_be_visible()
    expect(page.locator('#vg-points')).to_have_text('31 points')

    with page.expect_response('**/gamification/news') as news:
        page.reload()
    assert news.value.json()['result']['events'] == []
    watch.expect_nothing_left()
    page.locator('#vt-text').fill(truth[task['data']['key']])
    submit(page).click()
    expect(page.locator('#vk-task')).to_have_attribute('data-state', 'done')

    page.goto('/gamification/my/badges')
    earned = page.locator('.vg-badge', has_text='First line')
    expect(earned).to_contain_text('Earned on')
    expect(earned.locator('img')).not_to_have_js_property('naturalWidth', 0)
    expect(page.locator('.vg-badge.is-open', has_text='Scholar')).to_contain_text('2 of 5')

    work_all()  # the batch is finished: its coins are paid
    page.get_by_role('link', name='Wallet', exact=True).first.click()
    expect(page.locator('#vg-actual')).to_have_text('2')
    expect(page.locator('.vg-fund-logo')).not_to_have_js_property('naturalWidth', 0)
    watch.expect_status(400, '/my/wallet')
    page.get_by_label('How many coins').fill('3')
    page.get_by_role('button', name='Donate').click()
    expect(page.locator('#vg-refusal')).to_have_text(
        'You can give 2 coins at most. Potential coins become yours when their batch is finished.'
    )
    page.get_by_label('How many coins').fill('1.5')
    page.get_by_role('button', name='Donate').click()
    expect(page.get_by_role('status')).to_contain_text('Thank you!')
    expect(page.locator('#vg-actual')).to_have_text('0.5')
    page.goto('/gamification/my/events')
    expect(page.locator('.vg-event').first).to_contain_text('You gave 1.5 coins to Lamp')


def test_zone_is_told_once(open_browser, user, signed_in, watch):
    page = signed_in(open_browser(timezone_id='Asia/Kolkata'), user)
    for _ in range(2):
        page.goto('/')
        page.wait_for_load_state('networkidle')  # every answer has been read to its end
    assert watch.posts('/time-zone') == 1
    assert [change['zone'] for change in state_of(user)['zones']] == ['Asia/Calcutta']
