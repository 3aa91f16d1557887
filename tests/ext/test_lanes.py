"""Where tasks wait to be handed out: loads of batches, tasks that have come back, tasks that came one by one."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from mongoengine.connection import get_connection
from vulyk_plain.models.tasks import PlainTask

from tests.ext.test_leases import hold, stored
from tests.factories import answer, make_tasks, make_user
from vulyk.cli.batches import delete_batch
from vulyk.ext import assignment, consistency, counting
from vulyk.ext.assignment import Assigner, open_loads
from vulyk.models.exc import TaskNotFoundError
from vulyk.models.recent import Recent
from vulyk.models.tasks import AbstractTask, Batch, Load
from vulyk.models.transaction import in_transaction


@pytest.fixture
def remembered(monkeypatch):
    """From now on nothing makes this process forget what it remembers: somebody else's process changes the database."""
    return lambda: monkeypatch.setattr(Recent, 'forget', lambda self: None)


def in_hand(kind: Any, user: Any) -> str | None:
    """The id of the task a user gets."""
    return kind.get_next(user).get('id')


def drain(kind: Any, user: Any) -> list[str]:
    """The ids of all tasks a user gets when he answers each."""
    done = []
    while task_id := in_hand(kind, user):
        kind.on_task_done(user, task_id, {})
        done.append(task_id)
    return done


def ids(tasks: list[Any]) -> set[str]:
    return {task.id for task in tasks}


STRATEGIES = pytest.mark.parametrize('strategy', ['random', 'sequential', 'breadth_first', 'depth_first'])


# --- nobody is sent away because of what a process remembers ----------------------------------------------------------


@STRATEGIES
def test_batch_that_another_process_has_just_loaded_is_found_before_anybody_is_sent_away(variant, remembered, strategy):
    kind, user = variant(assignment=strategy), make_user()
    assert in_hand(kind, user) is None
    remembered()
    (task,) = make_tasks(kind, 1, batch='new')
    assert in_hand(kind, user) == task.id


@STRATEGIES
def test_place_that_another_process_has_just_given_back_is_found(variant, remembered, strategy):
    kind, user, holder = variant(assignment=strategy, redundancy=1), make_user(), make_user()
    (task,) = make_tasks(kind, 1)
    kind.get_next(holder)
    assert in_hand(kind, user) is None
    remembered()
    kind.skip_task(task.id, holder)
    assert in_hand(kind, user) == task.id


@STRATEGIES
def test_place_that_has_just_expired_is_found_without_a_sweeper(variant, clock, strategy):
    kind, user, holder = variant(assignment=strategy, redundancy=1), make_user(), make_user()
    (task,) = make_tasks(kind, 1)
    kind.get_next(holder)
    clock.later(minutes=30)
    assert in_hand(kind, user) == task.id


@STRATEGIES
def test_task_whose_batch_goes_on_again_is_found(variant, remembered, strategy):
    kind, user = variant(assignment=strategy), make_user()
    (task,) = make_tasks(kind, 1, batch='b')
    Batch.objects.update(set__paused=True)
    assert in_hand(kind, user) is None
    remembered()
    Batch.objects.update(set__paused=False)
    assert in_hand(kind, user) == task.id


def test_task_of_a_new_batch_is_kept_over_a_reload_by_a_process_that_does_not_know_it(variant, monkeypatch):
    kind, user = variant(), make_user()
    make_tasks(kind, 3)
    known = open_loads.get('plain_task')
    make_tasks(kind, 2, batch='first of all')
    Batch.objects(pk='first of all').update(set__priority=9)
    first = in_hand(kind, user)
    real = open_loads.get
    monkeypatch.setattr(open_loads, 'get', lambda key, fresh=False: real(key, fresh=True) if fresh else known)
    assert in_hand(kind, user) == first


# --- paused, deleted, extended batches --------------------------------------------------------------------------------


def test_somebody_with_a_task_of_a_paused_batch_gets_one_of_another_and_may_answer_both(variant):
    kind, user = variant(redundancy=1), make_user()
    (paused,), (other,) = make_tasks(kind, 1, batch='a'), make_tasks(kind, 1, batch='b')
    assert in_hand(kind, user) == paused.id
    Batch.objects(pk='a').update(set__paused=True)
    open_loads.forget()
    assert in_hand(kind, user) == other.id
    for task in (paused, other):
        assert answer(kind, task, user).closed
    assert list(consistency.check()) == []


def test_somebody_with_a_task_of_a_paused_batch_gets_nothing_when_there_is_nothing_else(variant):
    kind, user = variant(redundancy=1), make_user()
    (task,) = make_tasks(kind, 1, batch='a')
    kind.get_next(user)
    Batch.objects.update(set__paused=True)
    open_loads.forget()
    assert in_hand(kind, user) is None
    Batch.objects.update(set__paused=False)
    assert in_hand(kind, user) == task.id


def test_returned_tasks_of_a_paused_batch_are_found_by_those_who_walked_past_them(variant, clock):
    kind, walker, holder = variant(redundancy=1), make_user(), make_user()
    paused = make_tasks(kind, 3, batch='a')
    others = make_tasks(kind, 3, batch='b')
    for task in (*paused, *others):
        hold(kind, task, holder)
        kind.skip_task(task.id, holder)
    Batch.objects(pk='a').update(set__paused=True)
    open_loads.forget()
    clock.later(minutes=5)
    assert set(drain(kind, walker)) == ids(others)
    clock.later(minutes=5)
    Batch.objects(pk='a').update(set__paused=False)
    assert set(drain(kind, walker)) == ids(paused)


def test_tasks_of_a_deleted_batch_are_neither_kept_nor_offered(variant):
    kind, user = variant(), make_user()
    make_tasks(kind, 2, batch='gone')
    (other,) = make_tasks(kind, 1, batch='stays')
    gone = in_hand(kind, user)
    delete_batch('gone', purge=False, force=True)
    assert in_hand(kind, user) == other.id
    assert in_hand(kind, make_user()) == other.id
    with pytest.raises(TaskNotFoundError):
        kind.on_task_done(user, gone, {})
    assert list(consistency.check()) == []


def close_batch(kind: Any, batch: str = 'b') -> tuple[Any, Any]:
    """A batch whose only task is answered, and who did it; everybody has seen that it is closed."""
    (task,), user = make_tasks(kind, 1, batch=batch), make_user()
    answer(kind, task, user)
    open_loads.get('plain_task', fresh=True)
    assert Load.objects.get(batch=batch).finished
    return task, user


def test_batch_reopened_by_a_withdrawn_answer_is_served_again(variant):
    kind = variant(redundancy=1)
    task, user = close_batch(kind)
    kind.withdraw_answer(user, task.id)
    assert in_hand(kind, make_user()) == task.id


def test_batch_reopened_by_a_raised_redundancy_is_served_again(variant, clock):
    kind = variant(redundancy=1)
    task, _ = close_batch(kind)
    counting.set_redundancy('b', 2, clock())
    assert in_hand(kind, make_user()) == task.id


def test_batch_reopened_by_more_tasks_is_served_again(variant):
    kind = variant(redundancy=1)
    close_batch(kind, 'default')
    (task,) = make_tasks(kind, 1)
    assert in_hand(kind, make_user()) == task.id


def test_batch_that_opens_while_somebody_notes_it_as_finished_is_served(variant, monkeypatch):
    kind = variant(redundancy=1)
    (task,), user = make_tasks(kind, 1, batch='b'), make_user()
    answer(kind, task, user)
    real, waiting = in_transaction, [1]

    def opened_meanwhile(work):
        if waiting:
            waiting.pop()
            kind.withdraw_answer(user, task.id)
        return real(work)

    monkeypatch.setattr(assignment, 'in_transaction', opened_meanwhile)
    open_loads.get('plain_task', fresh=True)
    assert not waiting
    assert in_hand(kind, make_user()) == task.id


# --- returned tasks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('mine', [0, 19, 20, 21, 40, 59])
def test_tasks_that_return_in_the_same_moment_are_all_found(variant, clock, mine):
    kind, user, holder, other = variant(redundancy=2), make_user(), make_user(), make_user()
    tasks = make_tasks(kind, 60)
    for number, task in enumerate(tasks):
        hold(kind, task, holder, *([] if number < mine else [other]))
        if number < mine:
            answer(kind, task, user)
    AbstractTask.objects.update(set__lane='returned', set__returned=clock(), set__leases=[], set__expiry=None)
    for _ in range(2):
        clock.later(minutes=1)
        assert set(drain(kind, user)) == ids(tasks[mine:])
        tasks, mine = [], 0


def test_task_that_somebody_let_expire_is_found_by_him_again_among_many_that_are_his(variant, clock):
    kind, user, others = variant(redundancy=3), make_user(), [make_user() for _ in range(3)]
    tasks = make_tasks(kind, 45)
    for task in tasks:
        hold(kind, task, *others)
        kind.skip_task(task.id, others[0])
        clock.later(seconds=1)
    left = in_hand(kind, user)
    for task in tasks:
        if task.id != left:
            answer(kind, task, user)
    clock.later(minutes=31)
    assert drain(kind, user) == [left]


def test_task_comes_back_to_the_one_who_gave_it_back_before_those_he_skipped(variant, clock):
    kind, user = variant(redundancy=1), make_user()
    tasks = make_tasks(kind, 100)
    kind.get_next(user)
    ahead = {task['id'] for task, _ in kind.get_ahead(user, 3)}
    for task in tasks:
        clock.later(seconds=1)
        if task.id not in ahead:
            kind.skip_task(task.id, user)
    assert kind.return_ahead(user) == 3
    assignment.last_return.forget()
    assert set(drain(kind, user)[:3]) == ahead


# --- skipped tasks ----------------------------------------------------------------------------------------------------


@STRATEGIES
def test_skipped_tasks_come_round_in_turn_with_every_strategy(variant, strategy):
    kind, user = variant(assignment=strategy, redundancy=1), make_user()
    tasks = ids(make_tasks(kind, 4))
    seen = []
    for _ in range(12):
        seen.append(in_hand(kind, user))
        kind.skip_task(seen[-1], user)
    assert [set(seen[start : start + 4]) for start in (0, 4, 8)] == [tasks] * 3


@STRATEGIES
def test_skipped_task_of_a_paused_batch_does_not_come_back(variant, strategy):
    kind, user = variant(assignment=strategy), make_user()
    (task,) = make_tasks(kind, 1, batch='b')
    kind.skip_task(task.id, user)
    Batch.objects.update(set__paused=True)
    open_loads.forget()
    assert in_hand(kind, user) is None


# --- an honest "nothing" ----------------------------------------------------------------------------------------------


def test_skipped_task_that_somebody_else_holds_may_come_back(variant):
    kind, user, holder = variant(redundancy=1), make_user(), make_user()
    (task,) = make_tasks(kind, 1)
    kind.skip_task(task.id, user)
    assert in_hand(kind, holder) == task.id
    assert (in_hand(kind, user), kind.may_come_back(user)) == (None, True)


def test_task_given_back_just_after_somebody_was_refused_may_come_back(variant, monkeypatch):
    kind, user, holder = variant(redundancy=1), make_user(), make_user()
    (task,) = make_tasks(kind, 1)
    kind.get_next(holder)
    assert in_hand(kind, user) is None
    kind.skip_task(task.id, holder)
    assert kind.may_come_back(user)


def test_task_taken_between_two_looks_may_come_back(variant):
    kind, user, holder = variant(redundancy=1), make_user(), make_user()
    (task,) = make_tasks(kind, 1)
    kind.get_next(holder)
    kind.skip_task(task.id, holder)
    tasks = PlainTask._get_collection()

    class Collection:
        """The tasks, of which somebody takes one when the look at those that are taken is over."""

        def find_one(self, where: dict[str, Any], *args: Any) -> Any:
            found = tasks.find_one(where, *args)
            with ThreadPoolExecutor(1) as stranger:
                stranger.submit(hold, kind, task, holder).result()
            return found

    assigner = Assigner(kind, user.id, now=kind.clock(), lease=kind.lease)
    assigner.tasks = Collection()
    assert assigner.may_come_back()


def test_answered_tasks_of_others_and_paused_ones_do_not_come_back(variant):
    kind, user, holder = variant(redundancy=2), make_user(), make_user()
    (mine,), (paused,) = make_tasks(kind, 1, batch='a'), make_tasks(kind, 1, batch='b')
    answer(kind, mine, user)
    hold(kind, mine, holder)
    hold(kind, paused, holder, make_user())
    Batch.objects(pk='b').update(set__paused=True)
    open_loads.forget()
    assert (in_hand(kind, user), kind.may_come_back(user)) == (None, False)


# --- tasks that did not come as a load --------------------------------------------------------------------------------


def save_by_hand(task_id: str, **fields: Any) -> None:
    PlainTask(id=task_id, task_type='plain_task', task_data={'n': task_id}, **fields).save()


@pytest.mark.parametrize('batch', [None, 'default'])
def test_task_that_a_script_saves_is_offered_to_people_who_have_seen_everything(variant, batch):
    kind, user = variant(), make_user()
    make_tasks(kind, 2)
    drain(kind, user)
    for number in range(3):
        save_by_hand(f'by hand {number}', batch=batch and Batch.objects.get(pk=batch))
        assert in_hand(kind, user) == f'by hand {number}'
        kind.on_task_done(user, f'by hand {number}', {})


def test_tasks_of_an_older_version_are_offered_once_they_have_been_adopted(variant, clock):
    kind, user = variant(redundancy=2), make_user()
    make_tasks(kind, 2)
    drain(kind, user)
    for number in range(5):
        old = {'_id': f'old {number}', '_cls': PlainTask._class_name, 'taskType': 'plain_task', 'task_data': {}}
        AbstractTask._get_collection().insert_one({**old, **({'batch': 'default'} if number % 2 else {})})
    assert in_hand(kind, user) is None
    list(consistency.repair({'plain_task': 2}, clock()))
    assert set(drain(kind, user)) == {f'old {number}' for number in range(5)}
    assert stored(PlainTask(id='old 1'))['need'] == 2


def test_adoption_that_was_killed_is_completed_and_nobody_misses_a_task(variant, clock, monkeypatch):
    kind, user = variant(redundancy=1), make_user()
    for number in range(4):
        old = {'_id': f'old {number}', '_cls': PlainTask._class_name, 'taskType': 'plain_task', 'task_data': {}}
        AbstractTask._get_collection().insert_one(old)

    def die(now):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(consistency, '_publish_adopted', die)
        list(consistency.repair({'plain_task': 1}, clock()))
    open_loads.forget()
    assert in_hand(kind, user) is None
    list(consistency.repair({'plain_task': 1}, clock()))
    assert set(drain(kind, user)) == {f'old {number}' for number in range(4)}
    assert Load.objects.count() == 1


def test_repair_leaves_the_loads_there_are(variant, clock):
    kind = variant()
    make_tasks(kind, 2)
    save_by_hand('by hand')
    before = list(Load._get_collection().find())
    list(consistency.repair({'plain_task': 2}, clock()))
    assert list(Load._get_collection().find()) == before


# --- locked tasks -----------------------------------------------------------------------------------------------------


@pytest.fixture
def locked(app):
    """Locks a task, as a process does that dies in the middle of an answer: ``locked(task)``, until ``locked.end()``."""

    class Lock:
        session = None

        def __call__(self, task: Any) -> None:
            self.session = get_connection().start_session()
            self.session.start_transaction()
            change = {'$set': {'usersCount': 1}}
            AbstractTask._get_collection().update_one({'_id': task.id}, change, session=self.session)

        def end(self) -> None:
            self.session.abort_transaction()
            self.session.end_session()

    lock = Lock()
    yield lock
    if not lock.session.has_ended:
        lock.end()


@pytest.mark.parametrize('returned', [False, True], ids=['fresh', 'returned'])
def test_task_locked_by_a_process_that_died_holds_nobody_up_and_is_offered_later(
    variant, locked, monkeypatch, returned
):
    monkeypatch.setattr(assignment, 'PATIENCE_MS', 500)
    kind, user, holder = variant(redundancy=1), make_user(), make_user()
    tasks = make_tasks(kind, 3)
    for task in tasks if returned else ():
        hold(kind, task, holder)
        kind.skip_task(task.id, holder)
    locked(tasks[0])
    started = time.monotonic()
    seen = [in_hand(kind, user)]
    kind.on_task_done(user, seen[0], {})
    seen.append(in_hand(kind, user))
    kind.on_task_done(user, seen[1], {})
    assert set(seen) == ids(tasks[1:])
    assert in_hand(kind, user) is None
    assert kind.may_come_back(user)
    assert time.monotonic() - started < 20
    locked.end()
    assert in_hand(kind, user) == tasks[0].id


def test_locked_task_does_not_hold_up_the_sweeper(variant, clock, locked, monkeypatch):
    kind = variant(redundancy=1)
    tasks = make_tasks(kind, 2)
    for task in tasks:
        hold(kind, task, make_user())
    locked(tasks[0])
    clock.later(minutes=31)
    started = time.monotonic()
    with monkeypatch.context() as shorter:
        shorter.setattr(assignment, 'PATIENCE_MS', 100)
        assignment.reap(clock())
    assert time.monotonic() - started < 10
    locked.end()
    assignment.reap(clock())
    assert [stored(task)['leases'] for task in tasks] == [[], []]
