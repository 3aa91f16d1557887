"""Markup in every field that anybody can fill, shown in the browser: it stays text.

Each page is watched: a script that runs, a picture of the payload that is asked for, and a handler that the content policy
stops all fail the test.
"""

from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Site
from tests.browser.work import intercept
from tests.factories import answer, make_group, make_user
from vulyk.blueprints.gamification.models.events import EventModel
from vulyk.blueprints.gamification.models.foundations import FundModel
from vulyk.blueprints.gamification.models.rules import RuleModel
from vulyk.blueprints.gamification.models.state import UserStateModel
from vulyk.jobs import DEAD, Job
from vulyk.models import audit
from vulyk.models.audit import AuditRecord
from vulyk.models.problems import Problem
from vulyk.models.social import SocialAccount
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import AbstractAnswer, AbstractTask, Batch
from vulyk.models.user import Group, User

EVIL = '"\'><img src=/pwned onerror="pwned=1"><script>pwned=1</script>{{7*7}}</textarea></title><svg onload="pwned=1">'
ADDRESS = 'javascript:window.pwned=1'
MODERN = ('images', 'transcription', 'tagging', 'records')
BLUEPRINTS = [{'path': 'vulyk.blueprints.gamification.gamification', 'config': {}, 'url_prefix': 'gamification'}]


FIELD = {'name': f'b{EVIL}', 'label': EVIL, 'hint': EVIL, 'pattern': EVIL}
CREDITS = {
    **dict.fromkeys(('author', 'work', 'year', 'credit', 'licence', 'language'), EVIL),
    **dict.fromkeys(('source_url', 'author_url'), ADDRESS),
}


@pytest.fixture
def site_settings() -> dict:
    """A site with the game, and with texts of an operator that hold markup too."""
    return {'ENABLED_BLUEPRINTS': BLUEPRINTS, 'WARM_WELCOME': EVIL, 'SITE_TITLE': EVIL}


@pytest.fixture
def evil(site: Site) -> User:
    """Markup in every document there is; the user has it in his name, and is an admin."""
    group = make_group('evil', [])
    group.update(set__description=EVIL)
    user = make_user(username=EVIL, name=EVIL[:100], admin=True, groups=[group])
    for name in MODERN:
        site.load_samples(name, 2)
        more = {'question': EVIL, 'fields': [EVIL, FIELD], 'choices': [EVIL, 'b'], 'labels': [EVIL, 'b'], **CREDITS}
        if name == 'images':
            more['labels'] = {EVIL: EVIL, 'b': EVIL}
        changes = {f'task_data.{field}': value for field, value in more.items()}
        AbstractTask._get_collection().update_many({'taskType': name}, {'$set': {'task_data.text': EVIL, **changes}})
    site.load('plain_task', [{'n': EVIL}])
    facts = {
        **dict.fromkeys(('title', 'description', 'help', 'licence', 'attribution'), EVIL),
        'source': f'{ADDRESS} {EVIL}',
    }
    Batch.objects.update(**{f'set__{name}': text for name, text in facts.items()})
    RuleModel(id='r1', name=EVIL[:100], description=EVIL, badge=EVIL, tasks_number=1).save()
    lines = site.type('transcription')
    answer(lines, lines.task_model.objects(task_type='transcription').first(), user, {'text': EVIL})
    plain = site.type('plain_task')
    plain_task = plain.task_model.objects(task_type='plain_task').first()
    answer(plain, plain_task, user, {EVIL: EVIL})
    FundModel(id='f1', name=EVIL[:100], description=EVIL, site='https://example.org/').save()
    SocialAccount(user=user, provider='github', uid=EVIL).save()
    Problem.tell(user, 'plain_task', plain_task.id, EVIL, datetime.now(UTC))
    Problem.answer(Problem.objects.get().pk, EVIL, datetime.now(UTC))
    Job(kind=EVIL, args={EVIL: EVIL}, state=DEAD, run_at=datetime.now(UTC), error=EVIL).save()
    user.update(set__mail_problem=EVIL, set__email=EVIL)
    user.start_session(agent=EVIL, address=EVIL)
    audit.record(user, 'user.suspend', EVIL, {EVIL: EVIL}, {'reason': EVIL})
    return user


def paths_of_pages() -> list[str]:
    """The pages on which any of it is shown."""
    task, given = (
        AbstractTask.objects(task_type='plain_task').first(),
        AbstractAnswer.objects.get(task_type='plain_task'),
    )
    batch = Batch.objects(task_type='plain_task').get()
    documents = {
        'user': given.created_by,
        'group': Group(id='evil'),
        'batch': batch,
        'task': task,
        'answer': given,
        'problem': Problem.objects.get(),
        'rulemodel': RuleModel(id='r1'),
        'fundmodel': FundModel(id='f1'),
        'job': Job.objects.get(kind=EVIL),
        'audit': AuditRecord.objects.get(subject=EVIL),
        'session': WorkSession.objects.first(),
        'eventmodel': EventModel.objects.first(),
        'userstatemodel': UserStateModel.objects.first(),
    }
    only_shown = ('job', 'audit', 'session', 'eventmodel', 'userstatemodel')
    lists = [f'/admin/{view}/' for view in documents]
    shown = ('user', 'batch', 'task', 'answer', *only_shown)
    details = [f'/admin/{view}/details/?id={one.pk}' for view, one in documents.items() if view in shown]
    forms = [f'/admin/{view}/edit/?id={one.pk}' for view, one in documents.items() if view not in only_shown]
    return [
        '/',
        '/me',
        '/leaders',
        '/type/plain_task/leaders',
        '/problems',
        '/account',
        '/gamification/my/badges',
        '/gamification/my/events',
        '/gamification/my/wallet',
        '/gamification/totals',
        '/admin/',
        *lists,
        *details,
        *forms,
        f'/admin/user/suspend/?id={given.created_by.pk}',
        f'/admin/task/compare/?id={task.pk}',
        f'/admin/answer/withdraw/?id={given.pk}',
        f'/admin/batch/answers/?id={batch.pk}',
        f'/admin/task/?search={EVIL}',
        f'/admin/answer/?flt0_1={EVIL}',
    ]


def unharmed(page: Page) -> None:
    """Nothing of the payload runs, or could."""
    assert page.evaluate('window.pwned') is None
    assert page.locator('[onerror], [onload], a[href*="window.pwned"]').count() == 0


def test_markup_in_names_and_texts_stays_text(evil, page, signed_in, watch):
    watch.expect_status(404, '/gamification/static/badges/')
    signed_in(page, evil)
    for path in paths_of_pages():
        response = page.goto(path, wait_until='load')
        assert response.status == 200, path
        unharmed(page)


def test_markup_in_a_task_stays_text_and_rich_texts_are_cleaned(site, evil, page, signed_in):
    # The help of a batch is rich text, and may show a picture.
    intercept(page, '**/pwned', lambda route: route.fulfill(body='', content_type='image/png'))
    signed_in(page, evil)
    task = AbstractTask.objects(task_type='images').first()
    for path in (*(f'/type/{name}/' for name in MODERN), f'/type/images/preview/{task.pk}'):
        page.goto(path)
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
