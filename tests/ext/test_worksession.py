"""Accounting of work sessions."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from vulyk_plain.models.tasks import PlainAnswer

from tests.factories import make_tasks, make_user
from vulyk import signals
from vulyk.ext.worksession import WorkSessionManager
from vulyk.models.exc import WorkSessionLookUpError, WorkSessionUpdateError
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import Batch


@pytest.fixture
def manager(app, clock):
    """A manager on a clock of its own."""
    return WorkSessionManager(WorkSession, clock=clock)


@pytest.fixture
def work(plain):
    """``(task, user)``."""
    return make_tasks(plain, 1)[0], make_user()


def save_answer(task, user) -> PlainAnswer:
    return PlainAnswer(task=task, created_by=user, task_type='plain_task', result={}).save()


@pytest.mark.parametrize('wrong', [Batch, object])
def test_session_model_must_be_a_work_session(wrong):
    with pytest.raises(TypeError, match='work_session_model'):
        WorkSessionManager(wrong)


def test_started_session_knows_who_what_and_when(manager, work, clock):
    task, user = work
    manager.start_work_session(task, user.id)
    session = WorkSession.objects.get()
    assert (session.user, session.task, session.task_type) == (user, task, 'plain_task')
    assert (session.start_time, session.end_time, session.activity, session.answer) == (clock(), None, 0, None)


def test_starting_again_keeps_start_and_activity(manager, work, clock):
    task, user = work
    manager.start_work_session(task, user.id)
    began = clock()
    clock.later(minutes=5)
    manager.record_activity(task, user.id, 60)
    manager.start_work_session(task, user.id)
    assert (WorkSession.objects.get().start_time, WorkSession.objects.get().activity) == (began, 60)


def test_starting_a_finished_session_leaves_it_finished(manager, work):
    task, user = work
    manager.end_work_session(task, user.id, save_answer(task, user))
    before = WorkSession.objects.get().to_mongo()
    manager.start_work_session(task, user.id)
    assert WorkSession.objects.get().to_mongo() == before


def test_starting_in_four_tabs_at_once_opens_one(manager, plain):
    user, tasks, start = make_user(), make_tasks(plain, 60), threading.Barrier(4)

    def open_all():
        for task in tasks:
            start.wait()
            manager.start_work_session(task, user.id)

    with ThreadPoolExecutor(4) as pool:
        assert [future.result() for future in [pool.submit(open_all) for _ in range(4)]] == [None] * 4
    assert WorkSession.objects.count() == 60


def test_ended_session_has_answer_and_time_and_is_announced(manager, work, clock):
    task, user = work
    manager.start_work_session(task, user.id)
    clock.later(minutes=2)
    answer, heard = save_answer(task, user), []

    def listen(sender, answer):
        heard.append((sender, answer))

    with signals.on_task_done.connected_to(listen):
        manager.end_work_session(task, user.id, answer)
    session = WorkSession.objects.get()
    assert (session.answer, session.end_time - session.start_time) == (answer, timedelta(minutes=2))
    assert heard == [(manager, answer)]


def test_ending_a_session_that_was_never_started_opens_it_first(manager, work):
    task, user = work
    manager.end_work_session(task, user.id, save_answer(task, user))
    assert WorkSession.objects.get().end_time == WorkSession.objects.get().start_time


def test_session_ends_once(manager, work):
    task, user = work
    answer = save_answer(task, user)
    manager.end_work_session(task, user.id, answer)
    with pytest.raises(WorkSessionUpdateError, match='finished already'):
        manager.end_work_session(task, user.id, answer)
    assert WorkSession.objects.count() == 1


def test_deleted_session_is_gone(manager, work):
    task, user = work
    manager.start_work_session(task, user.id)
    manager.delete_work_session(task, user.id)
    assert WorkSession.objects.count() == 0


def test_finished_session_is_never_deleted(manager, work):
    task, user = work
    manager.end_work_session(task, user.id, save_answer(task, user))
    with pytest.raises(WorkSessionLookUpError):
        manager.delete_work_session(task, user.id)
    assert WorkSession.objects.count() == 1


@pytest.mark.parametrize(
    'use',
    [
        lambda manager, task, user: manager.delete_work_session(task, user.id),
        lambda manager, task, user: manager.record_activity(task, user.id, 1),
    ],
    ids=['delete', 'record'],
)
def test_missing_session_is_an_error(manager, work, use):
    with pytest.raises(WorkSessionLookUpError, match='no open work session'):
        use(manager, *work)


@pytest.mark.parametrize(('reports', 'total'), [([60], 60), ([20, 30, 10], 60), ([0], 0), ([59, 1, 0], 60)])
def test_activity_adds_up_to_the_time_that_has_passed(manager, work, clock, reports, total):
    task, user = work
    manager.start_work_session(task, user.id)
    clock.later(seconds=60)
    for seconds in reports:
        manager.record_activity(task, user.id, seconds)
    assert WorkSession.objects.get().activity == total


@pytest.mark.parametrize('reports', [[-1], [61], [60, 1], [30, 31], [10**12]])
def test_activity_beyond_the_time_that_has_passed_is_refused(manager, work, clock, reports):
    task, user = work
    manager.start_work_session(task, user.id)
    clock.later(seconds=60)
    *accepted, last = reports
    for seconds in accepted:
        manager.record_activity(task, user.id, seconds)
    with pytest.raises(WorkSessionUpdateError, match='^seconds'):
        manager.record_activity(task, user.id, last)
    assert WorkSession.objects.get().activity == sum(accepted)


def test_activity_after_the_end_is_refused(manager, work, clock):
    task, user = work
    manager.end_work_session(task, user.id, save_answer(task, user))
    clock.later(seconds=60)
    with pytest.raises(WorkSessionLookUpError):
        manager.record_activity(task, user.id, 1)


def test_sessions_of_others_are_left_alone(manager, work):
    task, user = work
    manager.start_work_session(task, user.id)
    manager.start_work_session(task, make_user().id)
    manager.delete_work_session(task, user.id)
    assert WorkSession.objects.count() == 1
