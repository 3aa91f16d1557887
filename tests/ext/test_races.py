"""Everybody does everything at once: no request fails, and in the end every number is right."""

import random
import threading
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from vulyk_plain.models.task_types import PlainTaskType

from tests.ext.test_leases import at_once
from tests.ext.test_random_walk import lost_fresh_tasks, places_problems
from tests.factories import make_tasks, make_user, seeds
from vulyk import jobs
from vulyk.ext import assignment, consistency, counting
from vulyk.models.exc import AnswerConflictError, AnswerWithdrawalError, TaskNotFoundError, TaskSkipError
from vulyk.models.progress import Progress
from vulyk.models.tasks import AbstractAnswer, AbstractTask, Batch

REFUSALS = (AnswerConflictError, AnswerWithdrawalError, TaskNotFoundError, TaskSkipError)


class Crowd:
    """People with two tabs each, an operator and a sweeper, in threads."""

    def __init__(self, kind: Any, seed: int, seconds: float) -> None:
        self.kind, self.seed = kind, seed
        self.users = [make_user() for _ in range(3)]
        self.stop = time.monotonic() + seconds
        self.asked = 0

    def tab(self, number: int) -> None:
        """One tab of one of the users."""
        user, choose = self.users[number % 3], random.Random(self.seed * 100 + number)
        while time.monotonic() < self.stop:
            data = self.kind.get_next(user)
            self.asked += 1
            if not data:
                self.kind.may_come_back(user)
                continue
            actions = [self.answer, self.skip, self.ahead, self.back, self.withdraw]
            with suppress(*REFUSALS):
                choose.choices(actions, weights=[8, 2, 2, 1, 1])[0](user, data['id'])

    def answer(self, user: Any, task_id: str) -> None:
        self.kind.on_task_done(user, task_id, {'by': str(user.id)})

    def skip(self, user: Any, task_id: str) -> None:
        self.kind.skip_task(task_id, user)

    def ahead(self, user: Any, task_id: str) -> None:
        self.kind.get_ahead(user, 2)

    def back(self, user: Any, task_id: str) -> None:
        self.kind.return_ahead(user)

    def withdraw(self, user: Any, task_id: str) -> None:
        answer = AbstractAnswer._get_collection().find_one({'createdBy': user.id})
        if answer:
            self.kind.withdraw_answer(user, answer['task'])

    def operate(self) -> None:
        """Change redundancy, pause, load more."""
        choose = random.Random(self.seed)
        while time.monotonic() < self.stop:
            time.sleep(0.05)
            batch = choose.choice(sorted(Batch.objects.scalar('id')))
            what = choose.randrange(4)
            if what == 0:
                counting.set_redundancy(batch, choose.randint(1, 3), self.kind.clock())
            elif what == 1:
                Batch.objects(pk=batch).update(set__paused=choose.random() < 0.5)
            elif what == 2:
                make_tasks(self.kind, 3)
            else:
                jobs.sweep(self.kind.clock())


@pytest.mark.parametrize('seed', seeds(3))
def test_nothing_fails_and_nothing_is_wrong_after_a_rush(app, monkeypatch, seed):
    monkeypatch.setattr(assignment, 'FEW_PLACES', 2)
    kind = type('Rush', (PlainTaskType,), {'lease': timedelta(seconds=0.3)})(settings={})
    for batch in ('a', 'default'):
        make_tasks(kind, 25, batch=batch)
    crowd = Crowd(kind, seed, seconds=2.5)
    errors = []

    def watched(action: Any, *args: Any) -> Any:
        def run() -> None:
            try:
                action(*args)
            except Exception as error:
                errors.append(error)
                raise

        return run

    at_once(*(watched(crowd.tab, number) for number in range(6)), watched(crowd.operate))
    assert not errors
    assert crowd.asked > 50
    jobs.sweep(kind.clock())
    assert [*consistency.check(), *places_problems(kind.clock()), *lost_fresh_tasks()] == []
    everybody_finishes(kind, crowd.users)


def everybody_finishes(kind: Any, users: list[Any]) -> None:
    """Nothing is stuck: those who have been there and newcomers can answer all that is left."""
    Batch.objects.update(set__paused=False)
    time.sleep(0.35)
    jobs.sweep(kind.clock())
    for user in [*users, make_user(), make_user(), make_user()]:
        assignment.open_loads.forget()
        open_for_him = {'closed': {'$ne': True}, 'usersProcessed': {'$ne': user.id}}
        for _ in range(AbstractTask._get_collection().count_documents(open_for_him)):
            data = kind.get_next(user)
            if not data:
                break
            kind.on_task_done(user, data['id'], {})
        assert AbstractTask._get_collection().count_documents(open_for_him) == 0
    assert AbstractTask._get_collection().count_documents({'closed': {'$ne': True}}) == 0
    assert Batch.objects(closed=False).count() == 0
    assert list(consistency.check()) == []
    assert Progress._get_collection().count_documents({'lease': {'$ne': None}}) == 0


def test_reader_sees_no_half_stored_answer(app, plain):
    """Task, answer, user and progress change together for everybody who looks."""
    tasks = [task.id for task in make_tasks(plain, 25)]
    user, problems, ready = make_user(), [], threading.Event()

    def work() -> None:
        for task_id in tasks:
            plain.on_task_done(user, task_id, {})
        ready.set()

    def look() -> None:
        while not ready.is_set():
            problems.extend(consistency.check())

    at_once(work, look)
    assert problems == []
