"""Several processes on one database, some of them killed: nothing acknowledged is lost, nothing is counted twice."""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from os import kill
from typing import Any

import pytest
from mongoengine.connection import get_db
from vulyk_plain.models.tasks import PlainTask

from tests import factories
from tests.ext.test_random_walk import lost_fresh_tasks, places_problems
from tests.factories import answer, make_tasks, make_user, signed_in
from tests.faults.engine import Nursery, hear_batch, hear_task, hear_withdrawn, listen
from vulyk import jobs, signals
from vulyk.ext import assignment, consistency
from vulyk.models.tasks import AbstractAnswer, AbstractTask, Batch, WithdrawnAnswer


@pytest.fixture(scope='module')
def nursery(settings: dict) -> Iterator[Nursery]:
    """Where processes come from."""
    nursery = Nursery({**settings, 'MAX_TASKS_AHEAD': 5})
    yield nursery
    nursery.close()


@pytest.fixture(autouse=True)
def _signals_are_noted(app) -> Iterator[None]:
    for table in (
        assignment.open_loads,
        assignment.last_return,
        assignment.has_loose,
        assignment.worn_out,
        assignment.looked_into,
    ):
        table.forget()
    listen()
    yield
    signals.on_task_done.disconnect(hear_task)
    signals.on_batch_done.disconnect(hear_batch)
    signals.on_answer_withdrawn.disconnect(hear_withdrawn)


def heard(name: str) -> list[Any]:
    """What a signal has been sent for, oldest first."""
    return [note['of'] for note in get_db().heard.find({'signal': name}, sort=[('_id', 1)])]


def problems() -> list[Any]:
    """Everything that is wrong."""
    now = jobs.datetime.now(jobs.UTC)
    return [*consistency.check(), *places_problems(now), *lost_fresh_tasks()]


def recover(kind: Any) -> None:
    """What ``db repair`` and the sweeper do when the killed process has been gone for a while."""
    now = kind.clock()
    list(consistency.repair({'plain_task': kind.redundancy}, now))
    for minutes in (2, 40):
        jobs.sweep(now + timedelta(minutes=minutes))


# --- killed at every write --------------------------------------------------------------------------------------------


class Scene:
    """A batch of two tasks of redundancy 2, the second of which lacks one answer: the user's, who has it in hand."""

    def __init__(self, kind: Any, browser_of: Any) -> None:
        factories.empty_database()
        factories.make_group('default', ['plain_task'])
        self.kind = kind
        self.user, self.other = make_user(), make_user()
        self.tasks = make_tasks(kind, 2, batch='b')
        for user in (self.user, self.other):
            answer(kind, self.tasks[0], user)
        answer(kind, self.tasks[1], self.other)
        self.task = self.tasks[1].id
        assert kind.get_next(self.user)['id'] == self.task
        self.spare = [task.id for task in make_tasks(kind, 5, batch='spare')]
        self.browser = browser_of(self.user)

    def request(self, method: str, action: str) -> tuple[str, str]:
        return method, f'/type/plain_task/{action}'.format(task=self.task)


def fresh_browser(scene_user: Any, app: Any) -> Any:
    browser = app.test_client()
    with browser.session_transaction() as session:
        session.update(signed_in(scene_user))
    return browser


def check_done(scene: Scene, stored: bool) -> None:
    if stored:
        assert scene.kind.get_next(scene.user).get('id') != scene.task
        assert Batch.objects.get(pk='b').closed
        assert set(heard('batch')) == {'b'}
        assert heard('task')
    scene.kind.on_task_done(scene.user, scene.task, {'a': 1})
    assert (PlainTask.objects.get(pk=scene.task).users_count, Batch.objects.get(pk='b').closed) == (2, True)
    assert scene.user.reload().processed == 2


def check_skip(scene: Scene, stored: bool) -> None:
    scene.kind.skip_task(scene.task, scene.user)
    assert scene.kind.get_next(scene.user)['id'] in scene.spare
    scene.kind.on_task_done(scene.user, scene.task, {})
    assert Batch.objects.get(pk='b').closed


def check_next(scene: Scene, stored: bool) -> None:
    seen = set()
    while task_id := scene.kind.get_next(scene.user).get('id'):
        assert task_id not in seen
        seen.add(task_id)
        scene.kind.on_task_done(scene.user, task_id, {})
    assert seen == {scene.task, *scene.spare}


def check_withdraw(scene: Scene, stored: bool) -> None:
    gone = WithdrawnAnswer.objects.count()
    assert gone + AbstractAnswer.objects(task=scene.tasks[0].id).count() == 2
    assert len(heard('withdrawn')) >= gone
    if gone:
        assert PlainTask.objects.get(pk=scene.tasks[0].id).closed is False
        scene.kind.on_task_done(scene.user, scene.tasks[0].id, {})
    assert PlainTask.objects.get(pk=scene.tasks[0].id).users_count == 2


PATHS = {
    'done': ('POST', 'done/{task}', {'result': {'a': 1}}, check_done),
    'skip': ('POST', 'skip/{task}', {}, check_skip),
    'next': ('GET', 'next?ahead=2', {}, check_next),
    'withdraw': ('POST', 'withdraw/{first}', {}, check_withdraw),
}


@pytest.mark.parametrize('name', PATHS)
def test_process_killed_at_any_write_loses_nothing_and_leaves_nothing_half_done(app, plain, nursery, name):
    method, action, body, check = PATHS[name]
    writes, number = ['unknown'], 0
    while number <= len(writes):
        scene = Scene(plain, lambda user: fresh_browser(user, app))
        if name == 'next':  # something new, not the task in hand
            plain.skip_task(scene.task, scene.user)
            AbstractTask.objects(pk=scene.task).update(pull__users_skipped=scene.user)
        path = '/type/plain_task/' + action.format(task=scene.task, first=scene.tasks[0].id)
        before = {item['_id'] for item in AbstractAnswer._get_collection().find({}, {'_id': 1})}
        code, result = nursery.run('request', user=str(scene.user.id), method=method, path=path, kill_at=number, **body)
        if number == 0:  # nobody is killed: how many writes are there?
            assert (code, result['status']) == (0, 200), result
            writes = result['writes']
        else:
            assert code == -signal.SIGKILL, (number, code)
        recover(plain)
        where = f'killed at {writes[number - 1] if number else "none"} of {writes}'
        assert problems() == [], where
        after = {item['_id'] for item in AbstractAnswer._get_collection().find({}, {'_id': 1})}
        gone = {item['_id'] for item in WithdrawnAnswer._get_collection().find({}, {'_id': 1})}
        assert before <= after | gone, where
        try:
            check(scene, bool(after - before))
        except AssertionError as error:
            raise AssertionError(where) from error
        recover(plain)
        assert problems() == [], where
        number += 1
    assert len(writes) >= {'done': 9, 'skip': 4, 'next': 4, 'withdraw': 8}[name], writes


# --- at the same instant ----------------------------------------------------------------------------------------------


def at_the_same_instant(nursery: Nursery, each: list[dict[str, Any]]) -> list[list[int]]:
    """Let processes answer lists of tasks in step; the statuses each got."""
    return nursery.together('answer_on_the_dot', each, start=time.time() + 1.5 + 0.3 * len(each), gap=0.04)


def test_two_users_who_answer_sixty_tasks_at_the_same_instant_close_all(plain, nursery):
    tasks = [task.id for task in make_tasks(plain, 60)]
    each = [{'user': str(make_user().id), 'tasks': tasks, 'result': {'by': number}} for number in range(2)]
    assert at_the_same_instant(nursery, each) == [[200] * 60] * 2
    assert PlainTask.objects(closed=True, users_count=2).count() == 60
    assert (Batch.objects.get().closed, heard('batch')) == (True, ['default'])
    assert problems() == []


def test_of_six_users_at_once_two_count_and_the_others_are_extra(plain, nursery):
    tasks = [task.id for task in make_tasks(plain, 10)]
    each = [{'user': str(make_user().id), 'tasks': tasks, 'result': {'by': number}} for number in range(6)]
    assert at_the_same_instant(nursery, each) == [[200] * 10] * 6
    assert AbstractAnswer.objects.count() == 60
    assert AbstractAnswer.objects(extra=True).count() == 40
    assert len(heard('task')) == len(set(heard('task'))) == 60
    assert heard('batch') == ['default']
    assert problems() == []


def test_last_two_tasks_of_sixty_batches_at_once_close_each_batch_exactly_once(plain, nursery):
    firsts, seconds = [], []
    helper = make_user()
    for number in range(60):
        one, other = make_tasks(plain, 2, batch=f'b{number}')
        for task, tasks in ((one, firsts), (other, seconds)):
            answer(plain, task, helper)
            tasks.append(task.id)
    each = [{'user': str(make_user().id), 'tasks': tasks, 'result': {}} for tasks in (firsts, seconds)]
    assert at_the_same_instant(nursery, each) == [[200] * 60] * 2
    assert Batch.objects(closed=True, tasks_processed=2).count() == 60
    assert Counter(heard('batch')) == Counter({f'b{number}': 1 for number in range(60)})
    assert get_db().heard.count_documents({'signal': 'batch', 'closed': True}) == 60
    assert problems() == []


@pytest.mark.parametrize('differ', [False, True], ids=['equal', 'different'])
def test_answer_submitted_five_times_at_once_is_one_answer(plain, nursery, differ):
    tasks, user = [task.id for task in make_tasks(plain, 12)], make_user()
    each = [{'user': str(user.id), 'tasks': tasks, 'result': {'n': number if differ else 0}} for number in range(5)]
    results = at_the_same_instant(nursery, each)
    expected = [200, 409, 409, 409, 409] if differ else [200] * 5
    assert [sorted(statuses) for statuses in zip(*results, strict=True)] == [expected] * 12
    assert AbstractAnswer.objects.count() == user.reload().processed == len(heard('task')) == 12
    assert problems() == []


def test_answers_during_loads_that_succeed_or_fail_are_never_refused(plain, nursery):
    make_tasks(plain, 5)
    loading = nursery.start('load', number=9, size=40)
    workers = [nursery.start('work', user=str(make_user().id), seconds=4) for _ in range(3)]
    code, loaded = nursery.wait(loading)
    ends = [nursery.wait(pid) for pid in workers]
    assert (code, loaded) == (0, 240)
    for code, statuses in ends:
        assert code == 0
        assert set(statuses) <= {'200', '404'}, statuses
        assert statuses['200'] > 5
    assert Batch.objects.get().tasks_count == 245
    recover(plain)
    assert problems() == []


# --- drain ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('ahead', [0, 1, 5])
def test_eight_processes_drain_a_hundred_tasks_exactly_although_one_is_killed(variant_nursery, tmp_path, ahead):
    nursery, kind = variant_nursery
    make_tasks(kind, 100)
    users = [make_user() for _ in range(8)]
    logs = [tmp_path / str(user.id) for user in users]
    pids = [
        nursery.start('drain', user=str(user.id), ahead=ahead, log=str(log), seed=number, pause=1.7)
        for number, (user, log) in enumerate(zip(users, logs, strict=True))
    ]
    while not logs[0].exists() or len(logs[0].read_text().splitlines()) < 8:
        time.sleep(0.02)
    kill(pids[0], signal.SIGKILL)
    ends = [nursery.wait(pid) for pid in pids]
    assert ends[0][0] == -signal.SIGKILL
    for code, result in ends[1:]:
        assert (code, result['wrong'], result['end']) == (0, [], 'nothing left'), result
    counted = AbstractAnswer._get_collection().count_documents({'extra': {'$ne': True}})
    assert (counted, PlainTask.objects(users_count=3, closed=True).count()) == (300, 100)
    for user, log in zip(users, logs, strict=True):
        for task_id in log.read_text().split():
            assert AbstractAnswer.objects(task=task_id, created_by=user).count() == 1
    recover(kind)
    assert (Batch.objects.get().closed, heard('batch')) == (True, ['default'])
    assert problems() == []


@pytest.fixture
def variant_nursery(app, settings, monkeypatch) -> Iterator[tuple[Nursery, Any]]:
    """Processes whose tasks need three answers and whose leases last a second and a half, and the task type."""
    kind = app.task_types['plain_task']
    monkeypatch.setattr(type(kind), 'redundancy', 3)
    nursery = Nursery({**settings, 'MAX_TASKS_AHEAD': 5, 'LEASE_SECONDS': 1.5})
    yield nursery, kind
    nursery.close()
