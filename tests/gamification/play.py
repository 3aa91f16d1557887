"""Short ways to play."""

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from bson import ObjectId
from flask import Flask, current_app

from tests.factories import make_tasks
from vulyk import jobs
from vulyk.blueprints.gamification.core.amounts import exact, total
from vulyk.blueprints.gamification.core.rules import ProjectRule, Rule, stable_id
from vulyk.blueprints.gamification.models.events import EventModel
from vulyk.blueprints.gamification.models.rules import RuleModel
from vulyk.blueprints.gamification.models.state import UserStateModel
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import AbstractAnswer, AbstractTask
from vulyk.models.user import User

_numbers = itertools.count(1)


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def later(self, **amount: float) -> None:
        """Let time pass: ``later(minutes=5)``."""
        self.now += timedelta(**amount)


class Play:
    """Lets users answer."""

    def __init__(self, app: Flask, clock: Clock) -> None:
        self.app = app
        self.clock = clock

    def tasks(
        self, count: int, *, kind: str = 'game_task', batch: str | None = None, **meta: Any
    ) -> list[AbstractTask]:
        """New tasks in a batch of their own; keywords are facts of the batch."""
        from vulyk.models.tasks import Batch

        batch = batch or f'b{next(_numbers)}'
        made = make_tasks(self.app.task_types[kind], count, batch)
        for key, value in meta.items():
            Batch.objects(pk=batch).update_one(__raw__={'$set': {f'batchMeta.{key}': value}})
        return made

    def answer(self, user: User, task: AbstractTask | None = None, *, at: datetime | None = None, **tasks: Any) -> Any:
        """Answer a task, a new one if none is given; returns the stored answer."""
        if at is not None:
            self.clock.now = at
        if task is None:
            (task,) = self.tasks(1, **tasks)
        kind = self.app.task_types[task.task_type]
        kind.on_task_done(user, task.id, {'by': str(user.id)})
        return AbstractAnswer.objects(task=task.id, created_by=user.id).first()

    def answers(self, user: User, count: int, **tasks: Any) -> None:
        """Answer new tasks, a second apart."""
        for task in self.tasks(count, **tasks):
            self.answer(user, task)
            self.clock.later(seconds=1)


def make_rule(name: str | None = None, project: str = '', **facts: Any) -> Rule:
    """A rule that is stored; ``tasks_number`` and so on as keywords."""
    name = name or f'rule {next(_numbers)}'
    rule = new_rule(name, project, **facts)
    RuleModel.from_rule(rule).save()
    return rule


def new_rule(name: str = 'rule', project: str = '', **facts: Any) -> Rule:
    """A rule that is not stored."""
    usual = {'badge': 'b.svg', 'description': 'd', 'bonus': 0, 'tasks_number': 0, 'days_number': 0}
    usual |= {'is_weekend': False, 'is_adjacent': False}
    rule = Rule(rule_id=stable_id(name, project), name=name, **{**usual, **facts})
    return ProjectRule.from_rule(rule, project) if project else rule


def state_of(user: User) -> dict[str, Any]:
    """The stored state; an empty one if there is none."""
    return UserStateModel._get_collection().find_one({'user': user.id}) or {}


def facts_of(user: User, **conditions: Any) -> list[dict[str, Any]]:
    """The stored facts of a user, in the order in which they were booked."""
    found = EventModel._get_collection().find({'user': user.id, **conditions})
    return sorted(found, key=lambda fact: fact.get('number') or 0)


def sums_of(user: User) -> tuple[Decimal, Decimal, Decimal]:
    """Points, actual and potential coins, as the facts of a user add up to."""
    facts = facts_of(user)
    points = total(exact(fact['points']) for fact in facts)
    actual = total(exact(fact['actual']) for fact in facts)
    return points, actual, total(exact(fact['coins']) for fact in facts) - actual


def amounts_of(user: User) -> tuple[Decimal, Decimal, Decimal]:
    """Points, actual and potential coins of the state of a user."""
    state = state_of(user)
    return tuple(exact(state.get(field, 0)) for field in ('points', 'actualCoins', 'potentialCoins'))


def assert_state_is_sum_of_facts(*users: User) -> None:
    """State = the sum of the facts, exactly, and one fact per answer of a gamified type."""
    for user in users or User.objects:
        assert amounts_of(user) == sums_of(user)
        state, kinds = state_of(user), [kind for kind in current_app.task_types if kind != 'plain_task']
        answers = AbstractAnswer._get_collection().distinct('_id', {'createdBy': user.id, 'taskType': {'$in': kinds}})
        booked = [fact['answer'] for fact in facts_of(user, kind='answer') if not fact.get('reversed')]
        assert sorted(booked) == sorted(answers)
        assert sorted(rule for fact in facts_of(user) for rule in fact['achievements']) == sorted(
            state.get('achievements', [])
        )


def work_all() -> None:
    """Do all jobs that are waiting, also those of workers that have died: each time it is an hour later."""
    now = datetime.now(UTC) + timedelta(hours=next(_numbers))
    while jobs.work('test', now):
        pass


def sweep() -> None:
    """Do what the sweeper does when something has been left unfinished for a long time; each time it is a day later."""
    jobs.sweep(datetime(2100, 1, 1, tzinfo=UTC) + timedelta(days=next(_numbers)))


def at_once(*actions: Callable[[], object]) -> list[object]:
    """Run all actions in threads that start together; their results, or the exceptions they raised."""
    start = threading.Barrier(len(actions))
    app = current_app._get_current_object()

    def run(action: Callable[[], object]) -> object:
        with app.app_context():
            start.wait()
            try:
                return action()
            except Exception as error:
                return error

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


def make_sessions(histories: dict[ObjectId, list[tuple[datetime, str]]]) -> None:
    """Finished sessions ``{user: [(moment, task type)]}``, of answers that exist nowhere else."""
    sessions = [
        {
            '_cls': 'WorkSession',
            'user': user_id,
            'task': f't{next(_numbers)}',
            'taskType': task_type,
            'answer': ObjectId(),
            'start_time': ended,
            'end_time': ended,
            'activity': 0,
        }
        for user_id, moments in histories.items()
        for ended, task_type in moments
    ]
    if sessions:
        WorkSession._get_collection().insert_many(sessions)
