"""Every page, and every state of the task page, before axe-core: all of its rules, in both languages, in light and in dark."""

from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect

from tests import factories
from tests.browser.axe import LANGUAGES, complaints, prepare
from tests.browser.conftest import DESKTOP, PHONE
from tests.browser.work import answers_of, notice, open_project, shown_after, skip, submit, width_of
from tests.gamification.conftest import BLUEPRINT
from tests.gamification.play import make_rule
from tests.gamification.test_api import make_fund, picture
from vulyk.accounts.models import REGISTER, RESET, Link
from vulyk.models.tasks import AbstractTask
from vulyk.models.user import User

PLACES = {'type_id': 'images', 'invitation': ''}  # in addresses; pages that need something else are looked at below


@pytest.fixture
def site_settings():
    return {'ENABLED_BLUEPRINTS': [BLUEPRINT]}


def read_in(language: str, page: Page, member: User) -> None:
    """Open pages in this language, signed in or not."""
    page.set_extra_http_headers({'Accept-Language': language})
    member.update(set__language=language)


def pages_of(site, client: FlaskClient) -> list[str]:
    """The addresses of all pages whose parts are known, as the routes of the site say, for whoever the client is."""
    adapter = site.app.url_map.bind('')
    rules = [
        rule for rule in site.app.url_map.iter_rules() if 'GET' in rule.methods and rule.arguments <= PLACES.keys()
    ]
    addresses = {adapter.build(rule.endpoint, {name: PLACES[name] for name in rule.arguments}) for rule in rules}
    answers = {address: client.get(address) for address in sorted(addresses)}
    return [at for at, answer in answers.items() if answer.status_code == 200 and answer.mimetype == 'text/html']


def pages_of_documents(site, client: FlaskClient) -> list[str]:
    """The addresses of the pages about one document, of each kind of which there is one."""
    views = [view for view in site.app.extensions['admin'][0]._views if hasattr(view, 'model') and view.model.objects]
    addresses = [
        f'{view.url}/{page}/?id={view.model.objects.first().pk}' for view in views for page in ('edit', 'details')
    ]
    return [address for address in addresses if client.get(address).status_code == 200]


def test_axe_finds_nothing_on_any_page(own_page, site, signed_in, watch):
    page = prepare(own_page)
    watch.expect_status(404, '/nowhere')
    watch.expect_status(404, '/password/nonsense')
    now = datetime.now(UTC)
    site.load_samples('images', 2)
    keeper = factories.make_user(username='curious_bee', admin=True)
    make_rule('First photo', tasks_number=1, badge='first-cell.svg')
    make_fund(logo=picture())
    site.type('images').on_task_done(keeper, AbstractTask.objects.first().id, {'choice': 'big'})
    browser = site.app.test_client()
    new, forgotten = Link.make(REGISTER, now, email='new@example.org'), Link.make(RESET, now, user=keeper.id)
    links = [f'/account/confirm/{new.text}', f'/password/{forgotten.text}', '/password/nonsense']
    for_visitors = [*pages_of(site, browser), *links, '/nowhere']
    with browser.session_transaction() as session:
        session.update(factories.signed_in(keeper))
    for_members = [*pages_of(site, browser), f'/type/images/preview/{AbstractTask.objects.first().id}']
    for_members += pages_of_documents(site, browser)
    assert {'/', '/sign-in', '/register', '/terms'} <= set(for_visitors)
    assert {'/', '/me', '/leaders', '/account', '/problems', '/type/images/', '/admin/user/'} <= set(for_members)
    assert {'/gamification/my/wallet', '/admin/fundmodel/edit/?id=lamp'} <= set(for_members)
    found = {}
    for addresses in (for_visitors, for_members):
        for language in LANGUAGES:
            read_in(language, page, keeper)
            for address in addresses:
                page.goto(address)
                if address == '/type/images/':
                    expect(page.locator('.vi')).to_have_attribute('data-state', 'ready')
                found[language, address] = complaints(page, LANGUAGES[language])
                if language == 'uk' and not address.startswith(
                    '/admin/'
                ):  # whose tables are wide; its words are longer
                    page.set_viewport_size({'width': 320, 'height': 256})  # 1280 × 1024 enlarged to 400 %
                    found[language, address] += [] if width_of(page) <= 320 else ['is scrolled sideways when enlarged']
                    page.set_viewport_size(DESKTOP['viewport'])
        signed_in(page, keeper)
    assert {sight: said for sight, said in found.items() if said} == {}


def expect_no_complaint(page: Page, language: str) -> None:
    assert (page.locator('html').get_attribute('lang'), complaints(page, LANGUAGES[language])) == (language, [])


def test_axe_finds_nothing_whatever_state_the_task_page_is_in(own_page, site, user, signed_in, watch):
    page = prepare(own_page)
    watch.expect('ERR_INTERNET_DISCONNECTED')
    for name in ('images', 'transcription', 'tagging', 'records'):
        site.load_samples(name, 3)
    signed_in(page, user)
    for language in LANGUAGES:
        read_in(language, page, user)
        look_at_every_state(page, language)
        page.goto('about:blank')  # the page would ask again as soon as it could
        page.context.set_offline(False)


def look_at_every_state(page: Page, language: str) -> None:
    for name in ('images', 'transcription', 'tagging', 'records'):
        open_project(page, name)
        expect_no_complaint(page, language)
    submit(page).click()  # a form with nothing in it
    expect(page.locator('.kit-problem').first).not_to_be_empty()
    expect_no_complaint(page, language)
    page.locator('.vk-more summary').click()
    expect_no_complaint(page, language)
    for dialog in ('vk-keys', 'vk-problem'):
        page.locator('.vk-more').evaluate('menu => { menu.open = true; }')
        page.locator(f'[data-open={dialog}]').click()
        expect(page.locator(f'#{dialog}')).to_be_visible()
        expect_no_complaint(page, language)
        page.keyboard.press('Escape')
    page.locator('.vk-helplink').click()
    expect(page.locator('#tag_hints')).to_be_visible()
    expect_no_complaint(page, language)
    page.keyboard.press('Escape')
    page.locator('.vk-more').evaluate('menu => { menu.open = true; }')
    page.locator('[data-open=vk-tour]').click()
    for _ in range(3):
        page.locator('[data-go=next]').click()
    expect_no_complaint(page, language)
    page.locator('[data-go=end]').click()
    expect(notice(page)).to_be_visible()
    expect_no_complaint(page, language)
    skip(page).click()  # to the real tasks
    expect(notice(page)).to_be_hidden()
    page.context.set_offline(True)
    skip(page).click()
    expect(notice(page)).to_be_visible()
    expect_no_complaint(page, language)


def test_axe_is_asked_again_about_a_page_that_changes_in_one_theme_only(own_page):
    page = prepare(own_page)
    page.goto('/')
    assert complaints(page, 'light') == []
    page.locator('h1').evaluate('heading => { heading.style.color = "#333"; }')
    assert [said[:20] for said in complaints(page, 'light')] == ['dark: color-contrast']


def test_axe_finds_nothing_where_a_form_was_refused(own_page, site, watch, user, signed_in):
    page = prepare(own_page)
    watch.expect_status(422, '/register')
    watch.expect_status(422, '/account')
    for address, form in (('/register', 'form[action^="/register"]'), ('/account', 'form[action$="/username"]')):
        for language in LANGUAGES:
            read_in(language, page, user)
            page.goto(address)
            page.locator(form).evaluate('form => { form.noValidate = true; form.requestSubmit(); }')
            expect(page.get_by_role('alert').first).to_be_visible()
            expect_no_complaint(page, language)
        signed_in(page, user)


@pytest.mark.parametrize(
    ('setting', 'value', 'part'), [('TERMS_VERSION', '2', '#agree'), ('SITE_IS_CLOSED', True, '#holding-page')]
)
def test_axe_finds_nothing_on_a_page_that_stands_before_all_others(
    own_page, site, watch, user, signed_in, setting, value, part
):
    page = prepare(signed_in(own_page, user))
    site.app.config[setting] = value
    if setting == 'SITE_IS_CLOSED':
        watch.expect_status(503, '/me')
    for language in LANGUAGES:
        read_in(language, page, user)
        page.goto('/me')
        expect(page.locator(part)).to_be_visible()
        expect_no_complaint(page, language)


# --- without a mouse, without eyes ------------------------------------------------------------------------------------

# The Tab key goes round once: whatever has the focus and shows no sign of it, by outline or shadow, or is out of sight.
UNSEEN = """
    () => {
        const {activeElement: node} = document;
        if (node === document.body) { return {isLast: false, name: ''}; }
        const {outlineStyle, outlineWidth, boxShadow} = getComputedStyle(node.matches('.vi-radio') ? node.parentNode : node);
        const {top, bottom, left, right} = node.getBoundingClientRect();
        const isMarked = outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2 || boxShadow !== 'none';
        const isInSight = bottom > 0 && top < innerHeight && right > 0 && left < innerWidth;
        const isLast = node.dataset.wasFocused === '1';
        node.dataset.wasFocused = '1';
        return {isLast, name: isMarked && isInSight ? '' : node.outerHTML.slice(0, 120)};
    }
"""


def test_every_stop_of_the_tab_key_is_seen(page, site, user, signed_in):
    for name in ('images', 'transcription', 'tagging', 'records'):
        site.load_samples(name, 2)
    signed_in(page, user)
    found = {}
    for address in (
        '/',
        '/me',
        '/account',
        *(f'/type/{name}/' for name in ('images', 'transcription', 'tagging', 'records')),
    ):
        page.goto(address)
        if address.startswith('/type/'):
            expect(page.locator('#current_task > [data-state]')).to_have_attribute('data-state', 'ready')
        stops = []
        while len(stops) < 80:
            page.keyboard.press('Tab')
            stops.append(page.evaluate(UNSEEN))
            if stops[-1]['isLast']:
                break
        assert len(stops) > 8, address
        found[address] = [stop['name'] for stop in stops[:-1] if stop['name']]
    assert {address: names for address, names in found.items() if names} == {}


HEARD = """
    window.heard = [];
    new MutationObserver(changes => changes.forEach(({addedNodes}) => {
        addedNodes.forEach(node => heard.push(node.textContent));
    })).observe(document.getElementById('vk-live'), {childList: true});
"""


def test_screen_readers_hear_what_becomes_of_an_answer_and_find_the_next_task_in_focus(
    page, site, user, signed_in, watch
):
    watch.expect('ERR_INTERNET_DISCONNECTED')
    site.load_samples('transcription', 3)
    open_project(signed_in(page, user), 'transcription')
    page.evaluate(HEARD)
    text = page.locator('#vt-text')
    page.keyboard.type('one')
    shown_after(page, submit(page).click)
    expect(text).to_be_focused()
    assert page.evaluate('heard') == ['Saved', 'New line. Type it exactly as it is printed.']
    shown_after(page, skip(page).click)
    expect(text).to_be_focused()
    assert page.evaluate('heard')[2:] == ['Skipped', 'New line. Type it exactly as it is printed.']
    page.keyboard.type('two')
    page.context.set_offline(True)
    submit(page).click()
    expect(page.get_by_role('alert').filter(has_text='Your answer is kept on this device.')).to_be_visible()
    assert [*answers_of(user).values()] == [{'text': 'one'}]


# What of the bar at the foot, of dialogs and messages lies beyond the edges of the window.
BEYOND = """
    [...document.querySelectorAll('.vk-bar *, dialog[open], dialog[open] *, .vk-toasts *')]
        .filter(node => node.checkVisibility())
        .map(node => [node.getBoundingClientRect(), node])
        .filter(([{left, right, width}]) => width > 1 && (left < 0 || right > innerWidth + 0.5))
        .map(([{left, right}, node]) => `${node.className} ${node.textContent.trim()}: ${left} to ${right}`)
"""


def test_nothing_of_the_task_page_leaves_a_small_screen_where_words_are_long(open_browser, site, user, signed_in):
    phone = signed_in(open_browser(**{**PHONE, 'viewport': {'width': 320, 'height': 640}}), user)
    user.update(set__language='uk')
    for name in ('transcription', 'tagging', 'records', 'images'):
        site.load_samples(name, 3)
        open_project(phone, name)
        assert (name, width_of(phone), phone.evaluate(BEYOND)) == (name, 320, [])
    skip(phone).tap()
    expect(phone.locator('.vk-toast')).to_be_visible()
    phone.locator('.vk-more summary').tap()
    assert phone.evaluate(BEYOND) == []
    phone.locator('[data-open=vk-tour]').tap()
    for _ in range(3):
        assert phone.evaluate(BEYOND) == []
        phone.locator('[data-go=next]').tap()
    assert phone.evaluate(BEYOND) == []
    phone.locator('[data-go=end]').tap()
    expect(notice(phone)).to_be_visible()
    assert phone.evaluate(BEYOND) == []
