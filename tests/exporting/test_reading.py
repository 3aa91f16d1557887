"""Tasks and their answers as they were at one moment, in the order of their ids."""

from datetime import UTC, datetime, timedelta

import pytest
from mongoengine.connection import get_connection, get_db
from pymongo.errors import CursorNotFound, OperationFailure
from vulyk_plain.models.task_types import PlainTaskType
from vulyk_plain.models.tasks import PlainAnswer

from tests.factories import answer, make_tasks, make_user
from vulyk.exporting import reading
from vulyk.exporting.reading import Wanted, read
from vulyk.models.tasks import AbstractAnswer, AbstractTask

NOW = datetime.now(UTC)


def numbers(kind, **options) -> list[list[int]]:
    return sorted([entry['answer']['n'] for entry in line] for _, line in read(kind, Wanted('b1', **options)))


def test_tasks_come_in_the_order_of_their_ids(single, work):
    assert [task_id for task_id, _ in read(single, Wanted('b1'))] == work


@pytest.mark.parametrize('batch', ['b1', '__all__'])
def test_reading_goes_on_behind_any_task(single, work, batch):
    assert [task_id for task_id, _ in read(single, Wanted(batch), after=work[2])] == work[3:]


def test_small_messages_give_the_same_as_large_ones(plain, monkeypatch):
    for task in make_tasks(plain, 7, batch='b1'):
        for number in (1, 2):
            answer(plain, task, make_user(), {'n': number})
    expected = list(read(plain, Wanted('b1', with_sessions=True)))
    monkeypatch.setattr(reading, 'TASKS_AT_ONCE', 3)
    monkeypatch.setattr(reading, 'ANSWERS_AT_ONCE', 1)
    assert list(read(plain, Wanted('b1', with_sessions=True))) == expected
    assert len(expected) == 7


def test_task_that_is_answered_while_it_is_read_comes_as_it_was_before(plain, monkeypatch):
    task, user = make_tasks(plain, 1, batch='b1')[0], make_user()
    answer(plain, task, make_user(), {'n': 1})
    original = reading._Reader._some_tasks

    def and_somebody_answers(self, *query):
        tasks = original(self, *query)
        if tasks:
            answer(plain, task, user, {'n': 2})
        return tasks

    monkeypatch.setattr(reading._Reader, '_some_tasks', and_somebody_answers)
    ((_, (entry,)),) = read(plain, Wanted('b1', closed=False))
    assert (entry['task']['closed'], entry['answer']) == (False, {'n': 1})
    assert task.reload().closed


def test_tasks_that_got_no_answer_since_are_left_out(plain):
    old, new, _ = make_tasks(plain, 3, batch='b1')
    for task, ages in ((old, (3, 2)), (new, (3, 0))):
        for age in ages:
            answer(plain, task, make_user(), {'n': age})
            PlainAnswer.objects(task=task, result__n=age).update(set__created_at=NOW - timedelta(days=age))
    assert numbers(plain, since=NOW - timedelta(days=1)) == [[3, 0]]
    assert numbers(plain, since=NOW - timedelta(days=2, hours=1), closed=False) == [[3, 0], [3, 2]]
    assert numbers(plain, since=NOW + timedelta(days=1)) == []


def test_addresses_are_filled_in_on_demand(single, work):
    users = [line[0]['user'] for _, line in read(single, Wanted('b1', with_emails=True))]
    assert users == [{'username': 'ann', 'email': 'ann@example.org'}] * 5
    assert {line[0]['user']['email'] for _, line in read(single, Wanted('b1'))} == {''}


def test_username_of_old_times_that_is_an_address_is_cut_off(single):
    (task,) = make_tasks(single, 1, batch='b1')
    answer(single, task, make_user(username='ann@example.org'), {'n': 1})
    ((_, (entry,)),) = read(single, Wanted('b1'))
    assert entry['user'] == {'username': 'ann', 'email': ''}


def test_people_without_address_have_none_in_exports_either(single):
    (task,) = make_tasks(single, 1, batch='b1')
    answer(single, task, make_user(email=None), {'n': 1})
    ((_, (entry,)),) = read(single, Wanted('b1', with_emails=True))
    assert entry['user']['email'] == ''


def test_counted_answers_are_told_from_extra_ones(plain):
    (task,) = make_tasks(plain, 1, batch='b1')
    for number in (1, 2, 3):
        answer(plain, task, make_user(), {'n': number})
    assert (numbers(plain), numbers(plain, counted_only=True)) == ([[1, 2, 3]], [[1, 2]])


def test_documents_of_an_old_database_are_read(single):
    user = make_user(username='ann')
    get_db().tasks.insert_one({'_id': 't', 'taskType': 'plain_task', 'batch': 'b1', 'task_data': {'when': NOW}})
    get_db().reports.insert_many(
        [
            {'task': 't', 'createdBy': user.id, 'createdAt': NOW, 'taskType': 'plain_task', 'result': {'n': 1}},
            {'task': 't', 'taskType': 'plain_task'},
        ]
    )
    ((_, (entry, bare)),) = read(
        single, Wanted('__all__', closed=False, with_sessions=True, since=NOW - timedelta(days=1))
    )
    assert (entry['task']['id'], entry['task']['closed'], entry['answer']) == ('t', False, {'n': 1})
    assert (bare['answer'], bare['user']) == (None, {'username': '', 'email': ''})
    assert list(read(single, Wanted('b1'))) == []


def kill_cursors() -> int:
    """End all cursors that are open in this database, as a server does with those that nobody has used for long."""
    pipeline = [{'$currentOp': {'idleCursors': True}}, {'$match': {'cursor.cursorId': {'$exists': True}}}]
    cursors = [
        operation['cursor']['cursorId']
        for operation in get_connection().admin.aggregate(pipeline)
        if operation.get('ns') == f'{get_db().name}.reports'
    ]
    if cursors:
        get_db().command('killCursors', 'reports', cursors=cursors)
    return len(cursors)


def test_reading_survives_the_loss_of_its_cursor(single, work, monkeypatch):
    monkeypatch.setattr(reading, 'ANSWERS_AT_ONCE', 1)
    monkeypatch.setattr(reading, 'sleep', lambda seconds: None)
    found, killed = [], 0
    for task_id, _ in read(single, Wanted('b1')):
        found.append(task_id)
        if len(found) == 2:
            killed = kill_cursors()
    assert (found, killed) == (work, 1)


def test_reading_gives_up_when_nothing_helps(single, work, monkeypatch):
    pauses = []
    monkeypatch.setattr(reading, 'sleep', pauses.append)

    def fail(self, *query):
        raise CursorNotFound('gone', 43)

    monkeypatch.setattr(reading._Reader, '_some_tasks', fail)
    with pytest.raises(CursorNotFound):
        list(read(single, Wanted('b1')))
    assert pauses == [1, 2, 3, 4]


def test_failure_that_will_not_pass_is_told_at_once(single, work, monkeypatch):
    def fail(self, *query):
        raise OperationFailure('no rights', 13)

    monkeypatch.setattr(reading._Reader, '_some_tasks', fail)
    with pytest.raises(OperationFailure, match='no rights'):
        list(read(single, Wanted('b1')))


@pytest.mark.parametrize('options', [{}, {'closed': False}], ids=['closed', 'all'])
@pytest.mark.parametrize('batch', ['b1', '__all__'])
def test_tasks_are_read_from_an_index_in_their_order(single, work, batch, options):
    reader = reading._Reader(single, Wanted(batch, **options))
    where = reader._where(None) | {'_id': {'$gt': work[0]}}
    plan = AbstractTask._get_collection().find(where, hint=reader._index).sort('_id').limit(10).explain()
    text = str(plan['queryPlanner']['winningPlan'])
    assert "'_id_'" not in text
    assert "'SORT'" not in text


def test_plugin_may_call_export_reports_with_its_own_tasks_in_their_order(single, work):
    backwards = single.task_model.objects.order_by('-id')
    lines = list(single.export_reports('b1', qs=backwards))
    assert [line[0]['task']['id'] for line in lines] == work[::-1]


def test_documents_that_shape_lines_get_people_and_tasks(app):
    class Own(PlainAnswer):
        def as_dict(self):
            return {**super().as_dict(), 'batch': self.task.batch.id, 'name': self.created_by.username}

    class OwnTaskType(PlainTaskType):
        answer_model = Own
        redundancy = 1

    kind = OwnTaskType(settings={})
    (task,) = make_tasks(kind, 1, batch='b1')
    answer(kind, task, make_user(username='ben', email='ben@example.org'), {'n': 1})
    ((_, (entry,)),) = read(kind, Wanted('b1', with_emails=True))
    assert (entry['batch'], entry['name'], entry['user']['email']) == ('b1', 'ben', 'ben@example.org')
    assert AbstractAnswer.objects.count() == 1
