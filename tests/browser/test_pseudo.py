"""Pages in the pseudo-locale, as scripts have made them: no word outside of brackets, none too narrow for longer words."""

import pytest
from playwright.sync_api import Page, expect
from vulyk_legacy.bare.models.task_types import BareTaskType
from vulyk_legacy.models.task_types import CardTaskType
from vulyk_plain.models.task_types import PlainTaskType

from tests import factories
from tests.browser.conftest import DESKTOP, PHONE
from tests.browser.test_accessibility import pages_of
from tests.browser.work import intercept, notice, open_project, skip, stop, submit, width_of
from tests.gamification.conftest import BLUEPRINT
from tests.gamification.play import make_rule
from tests.pseudo import outside, untranslated
from vulyk.blueprints.gamification.models.foundations import FundModel
from vulyk.blueprints.gamification.models.rules import forget_rules
from vulyk.models.tasks import AbstractTask, Batch
from vulyk.texts import PSEUDO

TEXTS = ('SITE_NAME', 'SITE_TITLE', 'SITE_MOTTO', 'WARM_WELCOME', 'THANKS_TASK_MESSAGE')
OURS = ('images', 'transcription', 'tagging', 'records')


@pytest.fixture
def site_settings(monkeypatch) -> dict:
    """In brackets, and so are the names of the plugins of the tests."""
    for kind in (PlainTaskType, CardTaskType, BareTaskType):
        monkeypatch.setattr(kind, 'name', '⟦Project⟧')
        monkeypatch.setattr(kind, 'description', '⟦What to do⟧')
    return {**dict.fromkeys(TEXTS, '⟦Hive⟧'), 'LANGUAGE': PSEUDO, 'CURRENCY': '€', 'ENABLED_BLUEPRINTS': [BLUEPRINT]}


@pytest.fixture
def site(site):
    """The site, with its game."""
    forget_rules()
    make_rule('⟦First cell⟧', description='⟦You began.⟧', tasks_number=1, bonus=5, badge='first-cell.svg')
    FundModel(id='f1', name='⟦Fund⟧', description='⟦For bees⟧').save()
    return site


def faults(page: Page) -> list[str]:
    """What is not translated on the page as it is, and whether it is scrolled sideways, also from right to left."""
    if not _faults(page):
        return []
    page.wait_for_load_state('networkidle')  # something may have been on its way
    return _faults(page)


def _faults(page: Page) -> list[str]:
    found = untranslated(page.content())
    for direction, options in (('ltr', PHONE), ('rtl', PHONE), ('ltr', DESKTOP)):
        page.set_viewport_size(options['viewport'])
        page.evaluate('dir => { document.documentElement.dir = dir; }', direction)
        if width_of(page) > options['viewport']['width']:
            found.append(f'is {width_of(page)} wide ({direction})')
    return found


def load(site, name: str) -> None:
    """Samples; what they say is in brackets, and so is what is said about them."""
    site.load_samples(name, 2)
    Batch.objects.update(title='⟦Title⟧', description='⟦Text⟧', attribution='⟦Who⟧', source='⟦Where⟧', licence='⟦How⟧')
    for field in ('question', 'work', 'author', 'licence'):
        said = {f'task_data.{field}': {'$exists': True}}
        AbstractTask._get_collection().update_many(said, {'$set': {f'task_data.{field}': f'⟦{field}⟧'}})


def test_pages_hold_longer_words_in_both_directions(page, site, signed_in):
    load(site, 'images')
    keeper = factories.make_user(username='⟦keeper⟧', admin=True)
    browser = site.app.test_client()
    for_visitors = pages_of(site, browser)
    with browser.session_transaction() as session:
        session.update(factories.signed_in(keeper))
    found = {}
    for addresses in (for_visitors, pages_of(site, browser)):
        for address in addresses:
            page.goto(address)
            found[address] = faults(page)
        signed_in(page, keeper)
    assert {address: said for address, said in found.items() if said} == {}


def test_task_pages_say_nothing_that_cannot_be_translated(page, site, signed_in, watch):
    watch.expect('ERR_FAILED')
    user = factories.make_user(username='⟦bee⟧')
    found = {}
    for name in OURS:
        load(site, name)
        open_project(signed_in(page, user), name)
        found[name] = faults(page)
    found['scripts'] = [text for text in page.evaluate('Object.values(Vulyk.texts)') if outside(str(text))]
    submit(page).click()  # a form with nothing in it
    expect(page.locator('.kit-problem').first).not_to_be_empty()
    found['refused'] = faults(page)
    for dialog in ('#vk-keys', '#vk-problem', '#tag_hints'):
        page.locator(dialog).evaluate('dialog => dialog.showModal?.()')
        found[dialog] = faults(page)
        page.keyboard.press('Escape')
    intercept(page, '**/skip/**', stop)
    skip(page).click()
    expect(notice(page)).to_be_visible()
    found['notice'] = faults(page)
    assert {sight: said for sight, said in found.items() if said} == {}
