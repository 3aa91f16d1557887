"""Markup in every field that anybody can fill, shown in the browser: it stays text.

Each page is watched: a script that runs, a picture of the payload that is asked for, and a handler that the content policy
stops all fail the test.
"""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Site
from tests.browser.work import intercept
from tests.factories import answer, make_group, make_user
from vulyk.blueprints.gamification import listeners
from vulyk.blueprints.gamification.models.foundations import FundModel
from vulyk.blueprints.gamification.models.rules import RuleModel
from vulyk.models import audit
from vulyk.models.social import SocialAccount
from vulyk.models.tasks import AbstractAnswer, AbstractTask, Batch
from vulyk.models.user import User

EVIL = '"\'><img src=/pwned onerror="pwned=1"><script>pwned=1</script>{{7*7}}</textarea></title><svg onload="pwned=1">'
BLUEPRINTS = [{'path': 'vulyk.blueprints.gamification.gamification', 'config': {}, 'url_prefix': 'gamification'}]


@pytest.fixture
def make_app(make_app):
    """Sites with the game, and with texts of an operator that hold markup too."""
    made = []

    def make(**more):
        made.append(make_app(**{**more, 'ENABLED_BLUEPRINTS': BLUEPRINTS, 'WARM_WELCOME': EVIL, 'SITE_TITLE': EVIL}))
        return made[-1]

    yield make
    for app in made:
        listeners.disconnect(app)


@pytest.fixture
def evil(site: Site) -> User:
    """Markup in every document there is; the user has it in his name, and is an admin."""
    group = make_group('evil', [])
    group.update(set__description=EVIL)
    user = make_user(username=EVIL, name=EVIL[:100], admin=True, groups=[group])
    site.load_samples('images', 1)
    asked = {'task_data.question': EVIL, 'task_data.choices': [EVIL, 'b'], 'task_data.more': EVIL}
    AbstractTask._get_collection().update_one({'taskType': 'images'}, {'$set': asked})
    site.load('plain_task', [{'n': EVIL}])
    facts = dict.fromkeys(('title', 'description', 'help', 'licence', 'source', 'attribution'), EVIL)
    Batch.objects.update(**{f'set__{name}': text for name, text in facts.items()})
    plain = site.type('plain_task')
    answer(plain, plain.task_model.objects(task_type='plain_task').first(), user, {EVIL: EVIL})
    RuleModel(id='r1', name=EVIL[:100], description=EVIL, badge='cell.svg', tasks_number=1).save()
    FundModel(id='f1', name=EVIL[:100], description=EVIL, site='https://example.org/').save()
    SocialAccount(user=user, provider='github', uid=EVIL).save()
    audit.record(user, 'user.suspend', EVIL, {EVIL: EVIL}, {'reason': EVIL})
    return user


def paths_of_pages() -> list[str]:
    """The pages on which any of it is shown."""
    task, given = AbstractTask.objects(task_type='plain_task').first(), AbstractAnswer.objects.get()
    user, batch = given.created_by, Batch.objects(task_type='plain_task').get()
    lists = [
        f'/admin/{view}/' for view in ('user', 'group', 'batch', 'task', 'answer', 'audit', 'rulemodel', 'fundmodel')
    ]
    documents = [
        f'/admin/{view}/{action}/?id={document.pk}'
        for view, document in (('user', user), ('batch', batch), ('task', task), ('answer', given))
        for action in ('edit', 'details')
    ]
    return [
        '/',
        '/type/plain_task/leaders',
        '/account',
        '/gamification/my/badges',
        '/gamification/my/wallet',
        '/gamification/totals',
        '/admin/',
        *lists,
        *documents,
        f'/admin/user/suspend/?id={user.pk}',
        '/admin/rulemodel/edit/?id=r1',
        '/admin/fundmodel/edit/?id=f1',
    ]


def unharmed(page: Page) -> None:
    """Nothing of the payload runs, or could."""
    assert page.evaluate('window.pwned') is None
    assert page.locator('[onerror], [onload]').count() == 0


def test_markup_in_names_and_texts_stays_text(evil, page, signed_in):
    signed_in(page, evil)
    for path in paths_of_pages():
        response = page.goto(path, wait_until='load')
        assert response.status == 200, path
        unharmed(page)


def test_markup_in_a_task_stays_text_and_rich_texts_are_cleaned(site, evil, page, signed_in):
    # The help of a batch is rich text, and may show a picture.
    intercept(page, '**/pwned', lambda route: route.fulfill(body='', content_type='image/png'))
    signed_in(page, evil).goto('/type/images/')
    expect(page.locator('#current_task')).to_contain_text('{{7*7}}')
    unharmed(page)


def test_markup_in_addresses_and_forms_stays_text(site, page, watch):
    watch.expect_status(404, '/no/')
    for path in (f'/sign-in?next=/{EVIL}', f'/no/{EVIL}'):
        page.goto(path, wait_until='load')
        unharmed(page)
    page.goto('/sign-in')
    page.get_by_label('E-mail address').evaluate('field => { field.type = "text"; }')
    page.get_by_label('E-mail address').fill(EVIL)
    page.get_by_label('Password').fill('x')
    watch.expect_status(401, '/sign-in')
    page.locator('form').get_by_role('button', name='Sign in').click()
    expect(page.get_by_role('alert')).to_be_visible()
    unharmed(page)
