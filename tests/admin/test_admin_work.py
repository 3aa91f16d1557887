"""Watching the work: the first page with its charts, background jobs, answers side by side, batches."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from bson import ObjectId
from mongoengine.connection import get_db
from pymongo.errors import ExecutionTimeout

from tests.factories import answer, make_tasks, make_user
from vulyk import jobs
from vulyk.admin import models
from vulyk.ext import statistics
from vulyk.jobs import DEAD, LEASED, READY, Job
from vulyk.models.audit import AuditRecord
from vulyk.models.social import SocialAccount
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import AbstractAnswer, AbstractTask, Batch, WithdrawnAnswer
from vulyk.models.user import User

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


# --- answers ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def task(plain):
    """A closed task: two people agree in one field and differ in another."""
    task = make_tasks(plain, 1, batch='b1')[0]
    answer(plain, task, make_user(username='ann'), {'kind': 'ship', 'name': 'Argo'})
    answer(plain, task, make_user(username='ben'), {'kind': 'ship', 'name': '<b>Ergo</b>'})
    return task


def test_answers_stand_side_by_side_and_differences_are_marked(admin_client, task):
    page = admin_client.get(f'/admin/task/compare/?id={task.id}').text
    rows = re.findall(r'<tr( class="va-differs")?>\s*<th scope="row">(\w+).*?</tr>', page, re.DOTALL)
    assert [name for differs, name in rows if differs] == ['name']
    assert 'kind' in [name for differs, name in rows if not differs]
    assert '&lt;b&gt;Ergo' in page
    assert page.index('>ann<') < page.index('>ben<')


def test_answer_is_taken_back_with_a_reason(admin_client, task, admin):
    found = AbstractAnswer.objects.order_by('-id').first()
    address = f'/admin/answer/withdraw/?id={found.id}'
    assert 'Ergo' in admin_client.get(address).text
    assert admin_client.post(address, data={'reason': ' '}).status_code == 422
    assert AbstractAnswer.objects.count() == 2
    done = admin_client.post(address, data={'reason': 'Typed at random'})
    assert done.location == f'/admin/task/compare/?id={task.id}'
    kept = WithdrawnAnswer.objects.no_dereference().get()
    assert (kept.reason, kept.withdrawn_by.id) == ('Typed at random', admin.id)
    assert (AbstractTask.objects.get().closed, AbstractTask.objects.get().users_count) == (False, 1)
    assert AuditRecord.objects.get(action='answer.withdraw').before['reason'] == 'Typed at random'
    assert admin_client.post(address, data={'reason': 'again'}).location == '/admin/answer/'


def test_task_is_previewed_without_being_handed_out(admin_client, task, plain, app):
    page = admin_client.get(f'/type/plain_task/preview/{task.id}').text
    assert f'"id": "{task.id}"' in re.search(r'id="vk-preview"[^>]*>(.*?)</script>', page)[1]
    assert AbstractTask.objects.get().leases == []
    assert admin_client.get('/type/plain_task/preview/nothing').status_code == 404


def test_work_sessions_are_listed_and_filtered(admin_client, task):
    assert admin_client.get('/admin/session/?flt0_2=ann').text.count('/admin/session/details/') == 1
    assert admin_client.get('/admin/session/').text.count('/admin/session/details/') == 2


def test_tasks_are_filtered_by_the_number_of_answers(admin_client, task, plain):
    other = make_tasks(plain, 1, batch='b2')[0]
    AbstractTask._get_collection().update_one({'_id': other.id}, {'$set': {'batch': 'b1'}})
    for number, found in (('2', 1), ('0', 1), ('1', 0), ('many', 0)):
        page = admin_client.get(f'/admin/task/?flt0_1=b1&flt1_3={number}').text
        assert page.count('/admin/task/details/') == found, number


# --- batches, users -----------------------------------------------------------------------------------------------------


def test_batches_are_paused_and_resumed(admin_client, task):
    Batch.objects(pk='b1').update_one(upsert=True, set__task_type='plain_task')
    for verb, paused in (('pause', True), ('resume', False)):
        admin_client.post('/admin/batch/action/', data={'action': verb, 'rowid': ['b1', 'nothing']})
        assert Batch.objects.get(pk='b1').paused is paused
    assert AuditRecord.objects.count() == 2


def test_number_of_answers_of_a_batch_is_changed_in_the_background(admin_client, task, app):
    Batch.objects(pk='b1').update_one(upsert=True, set__task_type='plain_task', set__redundancy=2)
    form = {'priority': '3', 'redundancy': '4'}
    assert admin_client.post('/admin/batch/edit/?id=b1', data=form).status_code == 302
    assert (Batch.objects.get(pk='b1').redundancy, Batch.objects.get(pk='b1').priority) == (2, 3)
    with app.app_context():
        assert jobs.work('w', datetime.now(UTC))
    assert (Batch.objects.get(pk='b1').redundancy, AbstractTask.objects.get().need) == (4, 4)
    refused = admin_client.post('/admin/batch/edit/?id=b1', data={**form, 'redundancy': '0'})
    assert 'between 1 and 1000' in refused.text


def test_ways_to_sign_in_are_told(admin_client):
    user = make_user(username='ann')
    assert '(not at all)' in admin_client.get(f'/admin/user/details/?id={user.id}').text
    user.set_password('quiet heron at dusk')
    user.save()
    SocialAccount(user=user, provider='github', uid='7').save()
    assert 'password, github' in admin_client.get(f'/admin/user/details/?id={user.id}').text


# --- costs --------------------------------------------------------------------------------------------------------------

MANY = 1500


@pytest.fixture
def crowded(app, plain, monkeypatch) -> None:
    """A site with many tasks, answers and people, all of long ago; a list counts up to fifty."""
    monkeypatch.setattr(models, 'MAX_COUNTED', 50)
    first, user = make_tasks(plain, 1, batch='b1')[0], make_user()
    answer(plain, first, user)
    task, given = AbstractTask._get_collection().find_one(), AbstractAnswer._get_collection().find_one()
    person = User._get_collection().find_one({'_id': user.id})
    long_ago = NOW - timedelta(days=400)
    AbstractAnswer._get_collection().delete_many({})
    AbstractTask._get_collection().insert_many([{**task, '_id': f't{n:05}'} for n in range(MANY)])
    AbstractAnswer._get_collection().insert_many(
        [{**given, '_id': ObjectId(), 'task': f't{n:05}', 'createdAt': long_ago} for n in range(MANY)]
    )
    User._get_collection().insert_many(
        [
            {**person, '_id': ObjectId(), 'username': f'u{n}', 'usernameKey': f'u{n}', 'emailKey': f'u{n}@x.org'}
            for n in range(MANY)
        ]
    )


@pytest.mark.parametrize(
    'path',
    [
        '/admin/',
        '/admin/task/',
        '/admin/task/?flt0_0=plain_task',
        '/admin/task/?flt0_1=b1',
        '/admin/task/?flt0_3=9',
        '/admin/task/?flt0_1=b1&flt1_3=9',
        '/admin/task/?search=t00',
        '/admin/task/?page=1000000',
        '/admin/answer/',
        '/admin/answer/?flt0_0=plain_task',
        '/admin/answer/?flt0_1=t00007',
        '/admin/user/',
        '/admin/user/?search=u99',
        '/admin/session/',
        '/admin/job/',
    ],
)
def test_lists_cost_the_same_however_much_there_is(admin_client, app, crowded, path, costs):
    admin_client.get(path)  # a day that is over is counted once
    with costs() as cost:
        response = admin_client.get(path)
    assert response.status_code == 200
    assert max(cost.examined) < MANY / 5, cost.examined


@pytest.fixture
def costs(app):
    """``with costs() as cost: …``; then ``cost.examined`` has what each command examined, keys and documents together."""

    class Cost:
        def __enter__(self):
            self.database = get_db()
            self.database.command('profile', 0)
            self.database.drop_collection('system.profile')
            self.database.command('profile', 2)
            return self

        def __exit__(self, *_):
            self.database.command('profile', 0)
            entries = list(self.database['system.profile'].find({'ns': {'$not': {'$regex': 'system'}}}))
            self.examined = [entry.get('keysExamined', 0) + entry.get('docsExamined', 0) for entry in entries]
            self.database.drop_collection('system.profile')

    return Cost


def test_list_that_takes_too_long_says_so(admin_client, crowded, monkeypatch):
    def slow(self, query):
        raise ExecutionTimeout('too long')

    monkeypatch.setattr(models.AuthModelView, '_count', slow)
    assert 'There is too much to look through.' in admin_client.get('/admin/task/').text
