"""Documents of tasks, answers and batches."""

import mongomock
import pytest
from mongoengine import Document, connect, disconnect
from mongoengine.connection import get_connection, get_db
from vulyk_plain.models.task_types import PlainTaskType
from vulyk_plain.models.tasks import PlainAnswer, PlainTask

from tests.factories import answer, make_tasks, make_user
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import AbstractAnswer, AbstractTask, Batch, BatchUpdateResult
from vulyk.models.user import Group, User

# --- batches ----------------------------------------------------------------------------------------------------------


def make_batch(**fields) -> Batch:
    return Batch(**{'id': 'b', 'task_type': 'plain_task', **fields}).save()


def test_counting_a_task_in_an_unknown_batch_does_nothing(app):
    assert Batch.task_done_in('no such batch') == BatchUpdateResult(success=False, closed=False)


def test_batch_is_closed_by_its_last_task_only(app):
    make_batch(tasks_count=3)
    assert [Batch.task_done_in('b') for _ in range(4)] == [(True, False), (True, False), (True, True), (True, False)]
    assert (Batch.objects.get().tasks_processed, Batch.objects.get().closed) == (4, True)


def test_result_of_counting_is_a_tuple_with_names():
    assert BatchUpdateResult(True, False) == (True, False)
    assert (BatchUpdateResult(True, False).success, BatchUpdateResult(True, False).closed) == (True, False)


def test_new_batch_is_open_and_empty(app):
    batch = make_batch().reload()
    assert (batch.tasks_count, batch.tasks_processed, batch.closed, batch.batch_meta, str(batch)) == (
        0,
        0,
        False,
        {},
        'b',
    )


def test_ids_of_a_batch_are_those_of_its_tasks(plain):
    tasks, _ = make_tasks(plain, 2, batch='a'), make_tasks(plain, 1, batch='b')
    assert sorted(AbstractTask.ids_in_batch(Batch.objects.get(pk='a'))) == sorted(task.id for task in tasks)
    assert PlainTask.ids_in_batch(Batch(id='none')) == []


# --- answers ----------------------------------------------------------------------------------------------------------


def test_answers_are_counted_by_user(plain):
    (one, other, rest), ada, bob = make_tasks(plain, 3), make_user(), make_user()
    for user, task in ((ada, one), (ada, other), (bob, other), (bob, rest)):
        answer(plain, task, user)
    assert AbstractAnswer.answers_numbers_by_tasks([one.id, other.id]) == {ada.id: 2, bob.id: 1}
    assert AbstractAnswer.answers_numbers_by_tasks([]) == {}


def test_answer_counts_as_one_correction_unless_the_plugin_counts_them():
    class Corrected(PlainAnswer):
        @property
        def corrections(self):
            return len(self.result)

    assert (PlainAnswer(result={'a': 1, 'b': 2}).corrections, Corrected(result={'a': 1, 'b': 2}).corrections) == (1, 2)


def test_answer_is_shown_with_its_task_and_user(plain):
    user, (task,) = make_user(), make_tasks(plain, 1)
    answer(plain, task, user, {'a': 1})
    assert PlainAnswer.objects.get().as_dict() == {
        'task': {'id': task.id, 'closed': False, 'data': task.task_data},
        'answer': {'a': 1},
        'user': {'username': user.username, 'email': ''},
    }


def test_one_user_has_one_answer_to_a_task(plain):
    user, (task,) = make_user(), make_tasks(plain, 1)
    fields = {'task': task, 'created_by': user, 'task_type': 'plain_task', 'result': {}}
    PlainAnswer(**fields).save()
    with pytest.raises(Exception, match='created_by|createdBy'):
        PlainAnswer(**fields).save()


@pytest.mark.parametrize('delete', [lambda task, user: task.delete(), lambda task, user: user.delete()])
def test_answers_and_sessions_go_with_their_task_and_user(plain, delete):
    user, (task,) = make_user(), make_tasks(plain, 1)
    answer(plain, task, user)
    delete(task, user)
    assert (AbstractAnswer.objects.count(), WorkSession.objects.count()) == (0, 0)


# --- without an application -------------------------------------------------------------------------------------------


@pytest.fixture
def reconnect(app, _kept):
    """Connects mongoengine in another way; the next test gets a new application."""

    def connect_anew(*args, **kwargs):
        disconnect()
        connect(*args, uuidRepresentation='standard', **kwargs)

    yield connect_anew
    _kept.clear()


@pytest.fixture
def naive_connection(reconnect, mongo_uri, worker_id):
    """mongoengine connected as a plain script does it: no application, times without a zone."""
    reconnect(f'vulyk_{worker_id}', host=mongo_uri)


def test_task_types_work_over_any_connection(naive_connection):
    kind, users = PlainTaskType(settings={}), [make_user(), make_user()]
    make_tasks(kind, 3)
    for user in users:
        while task := kind.get_next(user):
            kind.on_task_done(user, task['id'], {'by': user.username})
        assert user.get_stats(kind) == {'total': 3, 'position': 1}
    assert len(list(kind.export_reports('default', with_sessions=True))) == 3
    assert Batch.objects.get().closed


def test_skipped_and_returned_tasks_work_over_any_connection(naive_connection):
    kind, user, other = PlainTaskType(settings={}), make_user(), make_user()
    (task,) = make_tasks(kind, 1)
    for person in (user, other):
        assert kind.get_next(person)['id'] == task.id
        kind.skip_task(task.id, person)
    assert kind.get_next(user)['id'] == task.id
    kind.on_task_done(user, task.id, {})
    kind.get_next(other)
    kind.skip_task(task.id, other)
    assert kind.get_next(user) == {}
    kind.withdraw_answer(user, task.id)
    assert kind.get_next(user)['id'] == task.id


# --- raw documents ----------------------------------------------------------------------------------------------------

DOCUMENTED = {
    'user': {'_id', 'username', 'password', 'email', 'active', 'admin', 'groups', 'last_login', 'processed'},
    'groups': {'_id', 'description', 'allowed_types'},
    'batches': {'_id', '_cls', 'taskType', 'tasksCount', 'tasksProcessed', 'closed', 'batchMeta'},
    'tasks': {
        '_id',
        '_cls',
        'taskType',
        'batch',
        'usersCount',
        'usersProcessed',
        'usersSkipped',
        'closed',
        'task_data',
    },
    'reports': {'_id', '_cls', 'task', 'createdBy', 'createdAt', 'taskType', 'result'},
    'work_sessions': {'_id', '_cls', 'user', 'task', 'taskType', 'answer', 'start_time', 'end_time', 'activity'},
}


@pytest.fixture
def answered(plain):
    """``(task, user)`` after an answer and a skip."""
    user, (task,) = make_user(), make_tasks(plain, 1)
    plain.skip_task(task.id, make_user())
    answer(plain, task, user, {'a': 1})
    return task, user


@pytest.mark.parametrize(('collection', 'keys'), DOCUMENTED.items())
def test_raw_documents_have_the_documented_keys(answered, collection, keys):
    assert keys - set(get_db()[collection].find_one()) == set()


def test_raw_documents_refer_to_each_other_by_bare_ids(answered):
    task, user = answered
    raw = {name: get_db()[name].find_one() for name in ('tasks', 'reports', 'work_sessions')}
    assert raw['tasks']['batch'] == 'default'
    assert raw['tasks']['usersProcessed'] == [user.id]
    assert (raw['reports']['task'], raw['reports']['createdBy']) == (task.id, user.id)
    assert (raw['work_sessions']['task'], raw['work_sessions']['user']) == (task.id, user.id)
    assert raw['work_sessions']['answer'] == raw['reports']['_id']
    assert get_db().user.find_one({'_id': user.id})['groups'] == ['default']


@pytest.mark.parametrize(
    ('collection', 'cls'),
    [
        ('batches', 'Batch'),
        ('tasks', 'AbstractTask.PlainTask'),
        ('reports', 'AbstractAnswer.PlainAnswer'),
        ('work_sessions', 'WorkSession'),
    ],
)
def test_raw_documents_name_their_class(answered, collection, cls):
    assert get_db()[collection].find_one()['_cls'] == cls


@pytest.mark.parametrize('collection', ['user', 'groups'])
def test_raw_documents_of_people_name_no_class(answered, collection):
    assert '_cls' not in get_db()[collection].find_one()


def test_documents_of_an_older_version_can_be_read_and_answered(plain):
    """Keys and values as an existing database has them: nothing of what newer versions add."""
    ada = make_user()
    database = get_db()
    database.batches.insert_one(
        {'_id': 'old', '_cls': 'Batch', 'taskType': 'plain_task', 'tasksCount': 1, 'tasksProcessed': 0, 'closed': False}
    )
    database.tasks.insert_one(
        {
            '_id': '7d75a0f5c168adb14660',
            '_cls': 'AbstractTask.PlainTask',
            'taskType': 'plain_task',
            'batch': 'old',
            'usersCount': 1,
            'usersProcessed': [ada.id],
            'usersSkipped': [],
            'closed': False,
            'task_data': {'n': 2, 'text': 'task 2'},
        }
    )
    database.reports.insert_one(
        {
            '_cls': 'AbstractAnswer.PlainAnswer',
            'task': '7d75a0f5c168adb14660',
            'createdBy': ada.id,
            'taskType': 'plain_task',
            'result': {'a': 1},
        }
    )
    plain.on_task_done(make_user(), '7d75a0f5c168adb14660', {'a': 2})
    assert Batch.objects.get(pk='old').closed
    (line,) = plain.export_reports('old')
    assert [entry['answer'] for entry in line] == [{'a': 1}, {'a': 2}]


# --- units on a database in memory ------------------------------------------------------------------------------------


@pytest.fixture
def in_memory(reconnect):
    """mongoengine on mongomock."""
    reconnect('vulyk', mongo_client_class=mongomock.MongoClient)


def test_documents_can_be_written_and_read_in_memory(in_memory):
    group = Group(id='default', allowed_types=['plain_task']).save()
    user = User(username='ada').save()
    task = PlainTask(id='t', task_type='plain_task', task_data={'$ref': {'_cls': 'x'}}).save()
    PlainAnswer(task=task, created_by=user, task_type='plain_task', result={'a.b': 1}).save()
    assert isinstance(get_connection(), mongomock.MongoClient)
    assert (user.groups, PlainTask.objects.get().task_data) == ([group], {'$ref': {'_cls': 'x'}})
    assert PlainAnswer.objects.get(task=task).result == {'a.b': 1}


def test_permissions_can_be_checked_in_memory(in_memory):
    Group(id='default', allowed_types=['plain_task']).save()
    user = User(username='ada').save()
    assert (user.is_eligible_for('plain_task'), user.is_eligible_for('other_task')) == (True, False)


def test_tasks_can_be_imported_in_memory(in_memory):
    kind = PlainTaskType(settings={})
    assert kind.import_tasks([{'n': 1}, {'n': 1}, {'n': 2}], 'b') == (2, 1)
    assert kind.to_dict()['open_tasks'] == 2


def test_documents_are_those_of_flask_mongoengine():
    from flask_mongoengine.documents import Document as Base

    for model in (User, Group, Batch, AbstractTask, AbstractAnswer, WorkSession):
        assert issubclass(model, Base)
        assert issubclass(model, Document)
