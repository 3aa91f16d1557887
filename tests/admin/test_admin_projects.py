"""What the admin of a project sees and changes: what belongs to his task types."""

from datetime import UTC, datetime

import pytest

from tests.factories import answer, make_tasks, make_user
from vulyk.models.problems import Problem
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import AbstractAnswer, AbstractTask, Batch


@pytest.fixture
def keeper(login):
    """The browser of the project admin of ``plain_task``."""
    return login(make_user(username='keeper_of_plain', manages=['plain_task']))


@pytest.fixture
def mine(plain):
    """A task of ``plain_task`` with an answer."""
    task = make_tasks(plain, 1, batch='mine')[0]
    answer(plain, task, make_user(username='ada', email='ada@example.org'), {'x': 'my answer'})
    return task


@pytest.fixture
def foreign():
    """A task, its batch and an answer of another task type."""
    Batch(id='foreign', task_type='other_task', tasks_count=1, tasks_processed=0).save()
    AbstractTask._get_collection().insert_one(
        {
            '_id': 'foreign-task',
            '_cls': 'AbstractTask',
            'taskType': 'other_task',
            'batch': 'foreign',
            'task_data': {'n': 1},
        }
    )
    answered = {'_cls': 'AbstractAnswer', 'taskType': 'other_task', 'task': 'foreign-task', 'createdBy': make_user().id}
    answer_id = AbstractAnswer._get_collection().insert_one({**answered, 'result': {'x': 'secret'}}).inserted_id
    return {'batch': 'foreign', 'task': 'foreign-task', 'answer': str(answer_id)}


def test_first_page_and_menu_show_what_is_theirs(keeper, mine):
    page = keeper.get('/admin/').text
    assert 'plain_task' in page
    assert all(f'href="/admin/{view}/"' in page for view in ('batch', 'task', 'answer'))
    assert not any(f'href="/admin/{view}/"' in page for view in ('user', 'group', 'charity'))
    assert 'vulyk_that_is_missing' not in page  # which plugins failed is the business of admins
    assert 'Users' not in page


def test_lists_hold_documents_of_their_projects_only(keeper, mine, foreign):
    for view, own in (('batch', 'mine'), ('task', mine.id), ('answer', 'my answer')):
        page = keeper.get(f'/admin/{view}/').text
        assert own in page
        assert 'foreign' not in page
        assert 'secret' not in page


@pytest.mark.parametrize('view', ['batch', 'task', 'answer'])
def test_documents_of_other_projects_can_neither_be_seen_nor_changed(keeper, foreign, view):
    path = f'/admin/{view}/edit/?id={foreign[view]}'
    fields = {'priority': 7, 'task_data': '{"n": 2}', 'result': '{"x": 2}'}
    for response in (keeper.get(path), keeper.post(path, data=fields)):
        assert (response.status_code, response.location) == (302, f'/admin/{view}/')
    assert Batch.objects.get(pk='foreign').priority == 0
    assert AbstractTask._get_collection().find_one('foreign-task')['task_data'] == {'n': 1}
    assert AbstractAnswer._get_collection().find_one({'task': 'foreign-task'})['result'] == {'x': 'secret'}


@pytest.fixture
def surroundings(foreign):
    """What else there is of the other task type."""
    now, ada = datetime.now(UTC), make_user()
    Problem.tell(ada, 'other_task', 'foreign-task', 'a secret problem', now)
    session = {
        '_cls': 'WorkSession',
        'user': ada.id,
        'task': 'foreign-task',
        'taskType': 'other_task',
        'start_time': now,
    }
    session_id = WorkSession._get_collection().insert_one(session).inserted_id
    return {**foreign, 'problem': str(Problem.objects.get().id), 'session': str(session_id)}


def test_nothing_else_of_other_projects_can_be_opened_or_done(keeper, surroundings):
    def stored() -> list:
        models = (AbstractTask, AbstractAnswer, Batch, Problem, WorkSession)
        return [list(model._get_collection().find(sort=[('_id', 1)])) for model in models]

    before, found = stored(), surroundings
    pages = [f'{view}/details/?id={found[view]}' for view in found]
    pages += [
        f'task/compare/?id={found["task"]}',
        f'answer/withdraw/?id={found["answer"]}',
        'batch/answers/?id=foreign',
    ]
    pages += [f'{view}/' for view in found]
    forms = {
        f'answer/withdraw/?id={found["answer"]}': {'reason': 'because'},
        'batch/answers/?id=foreign': {'batch': 'foreign', 'form': 'csv'},
        f'problem/edit/?id={found["problem"]}': {'reply': 'mine', 'hide': 'y'},
        'problem/delete/': {'id': found['problem']},
        'problem/action/': {'action': 'delete', 'rowid': found['problem']},
        'batch/action/': {'action': 'pause', 'rowid': 'foreign'},
        'load/receive?type=other_task&name=a.jsonl&batch=foreign': {'n': 1},
    }
    given = [keeper.get(f'/admin/{path}') for path in pages]
    given += [keeper.post(f'/admin/{path}', data=form) for path, form in forms.items()]
    assert {response.status_code for response in given} <= {200, 302, 404, 422}
    told = [one.request.full_path for one in given if 'secret' in one.text]
    assert told == []
    assert stored() == before


def test_answers_of_their_projects_can_be_corrected(keeper, mine):
    given = AbstractAnswer.objects.get()
    keeper.post(f'/admin/answer/edit/?id={given.id}', data={'result': '{"x": "corrected"}'})
    assert given.reload().result == {'x': 'corrected'}


def test_no_page_shows_them_an_address(keeper, mine):
    given = AbstractAnswer.objects.get()
    for path in ('answer/', 'task/', f'task/details/?id={mine.id}', f'answer/details/?id={given.id}'):
        assert 'ada@example.org' not in keeper.get(f'/admin/{path}').text


def test_admin_gives_a_project_to_somebody(admin_client):
    user = make_user()
    admin_client.post(f'/admin/user/edit/?id={user.id}', data={'active': 'y', 'manages': ['plain_task']})
    assert user.reload().manages == ['plain_task']
    assert 'plain_task' in admin_client.get('/admin/user/').text
