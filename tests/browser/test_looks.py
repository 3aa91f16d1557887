"""Light and dark: as the system says, or as chosen, without the other one showing first."""

from playwright.sync_api import Page, expect

from tests.browser.work import hold, open_project, skip

LIGHT, DARK = 'rgb(255, 255, 255)', 'rgb(23, 33, 48)'
FIRST_GROUND = """
    new PerformanceObserver(() => {
        window.firstGround ??= getComputedStyle(document.querySelector('.vk-header')).backgroundColor;
    }).observe({type: 'paint', buffered: true});
"""


def ground(page: Page) -> str:
    return page.locator('.vk-header').evaluate('header => getComputedStyle(header).backgroundColor')


def test_colours_that_were_chosen_stay_and_nothing_else_is_painted_first(open_browser, site, user, signed_in):
    site.load_samples('tagging', 1)
    page = signed_in(open_browser(color_scheme='light'), user)
    page.add_init_script(FIRST_GROUND)
    page.goto('/')
    assert ground(page) == LIGHT
    page.locator('.vk-menu summary').click()
    with page.expect_response('**/theme'):
        page.get_by_role('button', name='Dark').click()
    assert ground(page) == DARK
    expect(page.get_by_role('button', name='Dark')).to_have_attribute('aria-pressed', 'true')
    open_project(page, 'tagging')
    assert page.wait_for_function('window.firstGround').json_value() == DARK
    expect(page.locator('html')).to_have_attribute('data-bs-theme', 'dark')
    page.locator('.vk-menu summary').click()
    with page.expect_response('**/theme'):
        page.get_by_role('button', name='As the device').click()
    assert ground(page) == LIGHT
    expect(page.locator('html')).to_have_attribute('data-bs-theme', 'light')


def test_colours_of_the_system_are_followed_while_the_page_is_open(open_browser, site):
    page = open_browser(color_scheme='dark')
    page.goto('/')
    assert ground(page) == DARK
    page.emulate_media(color_scheme='light')
    assert ground(page) == LIGHT


# Whatever is being changed but how much shines through: only that may come and go for those who do not want motion.
MOVING = """
    () => document.getAnimations()
        .filter(({effect}) => effect.getKeyframes().some(
            ({offset, computedOffset, easing, composite, opacity, ...moved}) => Object.keys(moved).length,
        ))
        .map(({effect}) => effect.target.className)
"""


def test_nothing_moves_for_those_who_do_not_want_it(open_browser, site, user, signed_in):
    site.load_samples('transcription', 2)
    page = signed_in(open_browser(reduced_motion='reduce'), user)
    picture = hold(page, '**/media/**')
    page.goto('/type/transcription/')
    picture()
    expect(page.get_by_text('Loading the picture …')).to_be_visible()
    assert page.evaluate(MOVING) == []
    picture().continue_()
    expect(page.locator('.vt')).to_have_attribute('data-state', 'ready')
    page.keyboard.type('half')
    skip(page).click()
    expect(page.locator('.vk-toast')).to_be_visible()
    page.locator('.vk-more summary').click()
    assert page.evaluate(MOVING) == []
