"""Watching the work: the first page with its charts, background jobs."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from bson import ObjectId

from tests.factories import answer, make_tasks, make_user
from vulyk import jobs
from vulyk.ext import statistics
from vulyk.jobs import DEAD, LEASED, READY, Job
from vulyk.models.audit import AuditRecord
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import AbstractAnswer

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> None:
    statistics._today.forget()


@pytest.fixture
def answers(plain):
    """Three answers of two people: one yesterday at ten and at eleven, one today at nine."""
    tasks, (ann, ben) = make_tasks(plain, 2), (make_user(), make_user())
    given = [(tasks[0], ann, NOW - timedelta(hours=26)), (tasks[1], ann, NOW - timedelta(hours=25))]
    given.append((tasks[0], ben, NOW - timedelta(hours=3)))
    for number, (task, user, at) in enumerate(given):
        answer(plain, task, user)
        AbstractAnswer.objects(task=task, created_by=user).update_one(set__created_at=at)
        session = WorkSession._get_collection().find_one_and_delete({'user': user.id, 'task': task.id})
        moved = ObjectId(ObjectId.from_datetime(at).binary[:4] + ObjectId().binary[4:])
        WorkSession._get_collection().insert_one({**session, '_id': moved, 'activity': 10 * (number + 1)})


# --- statistics ---------------------------------------------------------------------------------------------------------


def test_day_is_counted_by_hour_person_and_time(app, answers):
    with app.app_context():
        everything, plain_task = statistics.count_day(date(2026, 11, 19))
    assert (everything['type'], plain_task['type']) == ('', 'plain_task')
    assert {hour: number for hour, number in enumerate(plain_task['hours']) if number} == {10: 1, 11: 1}
    facts = {name: plain_task[name] for name in ('answers', 'volunteers', 'seconds')}
    assert facts == {'answers': 2, 'volunteers': 1, 'seconds': 15}


def test_day_that_is_over_is_counted_once_and_today_anew(app, answers):
    with app.app_context():
        before = statistics.month('plain_task', NOW, days=3)
        assert [day['answers'] for day in before] == [0, 2, 1]
        AbstractAnswer.objects.delete()
        statistics._today.forget()
        assert [day['answers'] for day in statistics.month('', NOW, days=3)] == [0, 2, 0]
        assert [day['answers'] for day in statistics.month('another', NOW, days=3)] == [0, 0, 0]


def test_days_that_take_too_long_are_left_for_the_next_visit(app, answers):
    with app.app_context():
        hurried = statistics.month('', NOW, days=3, seconds=0)
    assert (hurried[:2], hurried[2]['answers']) == ([None, None], 1)


def test_charts_are_tables_too(admin_client, plain):
    answer(plain, make_tasks(plain, 1)[0], make_user())
    page = admin_client.get('/admin/').text
    titles = re.findall(r'va-chart-title">([^<]+)<', page)
    assert titles == [
        'Answers per hour',
        'Answers per day',
        'Active volunteers per day',
        'Time per task (median)',
    ]
    today = re.findall(r'data-number="1"><th scope="row">([^<]+)</th><td class="va-count">1</td>', page)
    assert [len(label) for label in today] == [16, 10, 10]
    assert '<dt>Active in the last hour</dt><dd>1</dd>' in page


def test_project_admin_sees_charts_of_the_project_only(login, plain, app):
    answer(plain, make_tasks(plain, 1)[0], make_user())
    browser = login(make_user(manages=['plain_task']))
    assert browser.get('/admin/?project=other').text.count('<option value="plain_task" selected>') == 1
    assert 'All projects' not in browser.get('/admin/').text
    assert 'va-chart' not in login(make_user(manages=['not_enabled'])).get('/admin/').text


# --- background work ----------------------------------------------------------------------------------------------------


@jobs.job
def nothing(what: str = '') -> None:
    """A job that does nothing."""


@pytest.fixture
def dead(app) -> Job:
    """A job that has failed for good."""
    with app.app_context():
        jobs.enqueue(nothing, what='for <b>ann</b>')
        Job.objects.update(set__state=DEAD, set__tries=5, set__error='ValueError: no')
        return Job.objects.get()


def test_missing_worker_and_failed_jobs_are_said_in_red(admin_client, dead, app):
    page = admin_client.get('/admin/').text
    assert re.findall(r'va-trouble" role="alert">(\S+ \S+ \S+)', page) == ['No worker is', '1 jobs have']
    assert 'No worker is running' in admin_client.get('/admin/job/').text
    with app.app_context():
        jobs.sweep_if_due('w', datetime.now(UTC))
    assert 'No worker is running' not in admin_client.get('/admin/').text


def test_dead_job_is_shown_with_its_arguments_and_error(admin_client, dead):
    assert 'ValueError: no' in admin_client.get('/admin/job/?flt0_0=dead').text
    assert 'ValueError: no' not in admin_client.get('/admin/job/?flt0_0=ready').text
    assert 'for &lt;b&gt;ann&lt;/b&gt;' in admin_client.get(f'/admin/job/details/?id={dead.pk}').text


@pytest.mark.parametrize(('verb', 'left'), [('retry', [(READY, 0)]), ('discard', [])])
def test_dead_job_is_tried_again_or_discarded_and_that_is_noted(admin_client, dead, verb, left):
    form = {'action': verb, 'rowid': [str(dead.pk), 'nonsense']}
    assert admin_client.post('/admin/job/action/', data=form).status_code == 302
    assert list(Job.objects.scalar('state', 'tries')) == left
    record = AuditRecord.objects.get()
    assert (record.action, record.subject) == (f'job.{verb}', f'job {dead.pk}')
    assert record.before['error'] == 'ValueError: no'


def test_job_that_is_being_done_is_left_alone(admin_client, dead):
    Job.objects.update(set__state=LEASED)
    admin_client.post('/admin/job/action/', data={'action': 'discard', 'rowid': str(dead.pk)})
    assert Job.objects.count() == 1
    assert '/admin/job/action/' not in admin_client.get(f'/admin/job/details/?id={dead.pk}').text
