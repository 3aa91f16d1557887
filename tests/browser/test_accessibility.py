"""Every page, and every state of the task page, before axe-core: all of its rules, in light and in dark."""

from flask.testing import FlaskClient
from playwright.sync_api import Page, expect

from tests import factories
from tests.browser.axe import complaints
from tests.browser.conftest import DESKTOP
from tests.browser.work import intercept, notice, open_project, skip, stop, submit, width_of
from vulyk.models.tasks import AbstractTask

PLACES = {'type_id': 'images', 'invitation': ''}  # in addresses; pages that need something else are looked at below


def pages_of(site, client: FlaskClient) -> list[str]:
    """The addresses of all pages whose parts are known, as the routes of the site say, for whoever the client is."""
    adapter = site.app.url_map.bind('')
    rules = [
        rule for rule in site.app.url_map.iter_rules() if 'GET' in rule.methods and rule.arguments <= PLACES.keys()
    ]
    addresses = {adapter.build(rule.endpoint, {name: PLACES[name] for name in rule.arguments}) for rule in rules}
    answers = {address: client.get(address) for address in sorted(addresses)}
    return [at for at, answer in answers.items() if answer.status_code == 200 and answer.mimetype == 'text/html']


def test_axe_finds_nothing_on_any_page(page, site, signed_in, watch):
    watch.expect_status(404, '/nowhere')
    site.load_samples('images', 2)
    keeper = factories.make_user(username='curious_bee', admin=True)
    site.type('images').on_task_done(keeper, AbstractTask.objects.first().id, {'choice': 'big'})
    browser = site.app.test_client()
    for_visitors = [*pages_of(site, browser), '/nowhere']
    with browser.session_transaction() as session:
        session.update(factories.signed_in(keeper))
    for_members = [*pages_of(site, browser), f'/admin/user/edit/?id={keeper.id}']
    assert {'/', '/sign-in', '/register', '/terms'} <= set(for_visitors)
    assert {'/', '/me', '/leaders', '/account', '/problems', '/type/images/', '/admin/user/'} <= set(for_members)
    found = {}
    for addresses in (for_visitors, for_members):
        for address in addresses:
            page.goto(address)
            if address == '/type/images/':
                expect(page.locator('.vi')).to_have_attribute('data-state', 'ready')
            found[address] = complaints(page)
            if not address.startswith('/admin/'):  # whose tables are wide
                page.set_viewport_size({'width': 320, 'height': 256})  # 1280 × 1024 enlarged to 400 %
                found[address] += [] if width_of(page) <= 320 else ['is scrolled sideways when it is enlarged']
                page.set_viewport_size(DESKTOP['viewport'])
        signed_in(page, keeper)
    assert {address: said for address, said in found.items() if said} == {}


def expect_no_complaint(page: Page) -> None:
    assert complaints(page) == []


def test_axe_finds_nothing_whatever_state_the_task_page_is_in(page, site, user, signed_in, watch):
    watch.expect('ERR_FAILED')
    for name in ('images', 'transcription', 'tagging', 'records'):
        site.load_samples(name, 3)
        open_project(signed_in(page, user), name)
        expect_no_complaint(page)
    submit(page).click()  # a form with nothing in it
    expect(page.locator('.kit-problem').first).not_to_be_empty()
    expect_no_complaint(page)
    page.locator('.vk-more summary').click()
    expect_no_complaint(page)
    for opener, dialog in (('Keyboard shortcuts', '#vk-keys'), ('Report a problem with this task', '#vk-problem')):
        page.locator('.vk-more').evaluate('menu => { menu.open = true; }')
        page.get_by_role('button', name=opener).click()
        expect(page.locator(dialog)).to_be_visible()
        expect_no_complaint(page)
        page.keyboard.press('Escape')
    page.get_by_role('button', name='Help', exact=True).click()
    expect(page.locator('#tag_hints')).to_be_visible()
    expect_no_complaint(page)
    page.keyboard.press('Escape')
    intercept(page, '**/skip/**', stop)
    skip(page).click()
    expect(notice(page)).to_be_visible()
    expect_no_complaint(page)


def test_axe_finds_nothing_where_a_form_was_refused(page, site, watch, user, signed_in):
    watch.expect_status(422, '/register')
    watch.expect_status(422, '/account')
    page.goto('/register')
    page.get_by_label('E-mail address').fill('nobody')
    page.locator('form[novalidate], form').evaluate_all('forms => forms.forEach(form => { form.noValidate = true; })')
    page.get_by_role('button', name='Register').click()
    expect(page.get_by_role('alert').first).to_be_visible()
    expect_no_complaint(page)
    signed_in(page, user).goto('/account')
    page.locator('form').evaluate_all('forms => forms.forEach(form => { form.noValidate = true; })')
    page.get_by_role('button', name='Change the name').click()
    expect(page.get_by_role('alert').first).to_be_visible()
    expect_no_complaint(page)
