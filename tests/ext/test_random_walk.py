"""Whatever people do, in whatever order: every counter is right, no place is taken twice, nobody is sent away too early."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from vulyk_plain.models.tasks import PlainTask

from tests.factories import make_tasks, make_user, seeds
from vulyk.ext import assignment, consistency, counting
from vulyk.jobs import sweep
from vulyk.models.exc import AnswerConflictError, TaskSkipError, WorkSessionLookUpError, WorkSessionUpdateError
from vulyk.models.progress import Progress
from vulyk.models.tasks import AbstractAnswer, AbstractTask, Batch
from vulyk.models.user import User
from vulyk.utils import aware


class Walk:
    """A few people and an operator who do random things; after each the database is looked at."""

    def __init__(self, kind: Any, clock: Any, seed: int) -> None:
        self.kind, self.clock = kind, clock
        self.random = random.Random(seed)
        self.users = [make_user() for _ in range(4)]
        self.batches = 0
        self.done: list[str] = []
        self.kind.work_session_manager.clock = clock
        self.load()

    def step(self) -> None:
        """One random thing, and a look at everything."""
        actions = {
            self.ask: 30,
            self.answer: 22,
            self.answer_unasked: 4,
            self.skip: 10,
            self.wait: 8,
            self.work: 4,
            self.withdraw: 5,
            self.fetch_ahead: 6,
            self.give_back: 3,
            self.change_redundancy: 3,
            self.load: 2,
            self.pause_or_resume: 3,
            self.save_by_hand: 2,
            self.tidy_up: 3,
        }
        (action,) = self.random.choices(list(actions), weights=list(actions.values()))
        action()
        problems = [*consistency.check(), *places_problems(self.now), *lost_fresh_tasks()]
        assert not problems, '\n'.join([*map(str, problems), 'after', *self.done[-12:]])

    @property
    def now(self) -> datetime:
        return self.clock()

    def note(self, *what: Any) -> None:
        self.done.append(' '.join(str(word) for word in what))

    # --- what people do ---

    def ask(self) -> None:
        user = self.random.choice(self.users)
        in_hand = self.in_hand(user)
        if a_second_later := self.random.random() < 0.5:
            for table in (assignment.open_loads, assignment.last_return, assignment.has_loose, assignment.has_plenty):
                table.forget()
        data = self.kind.get_next(user)
        self.note(user, 'asks and gets', data.get('id'))
        log = '\n'.join(self.done[-12:])
        could_do = [task for task in self.open_tasks(user) if self.has_place(task, user)]
        if not data:
            assert not could_do, f'nothing for {user}, who could do {could_do[0]}\n{log}'
            if not self.kind.may_come_back(user):
                assert not self.open_tasks(user), f'nothing ever for {user}, but {self.open_tasks(user)[0]}\n{log}'
            return
        task = AbstractTask._get_collection().find_one({'_id': data['id']})
        assert not task['closed'], log
        assert user.id not in task.get('usersProcessed', []), log
        assert any(lease['user'] == user.id and lease['until'] > self.now for lease in task['leases']), log
        assert task.get('batch') not in self.paused(), f'{task} is paused\n{log}'
        if in_hand is not None:
            assert task['_id'] == in_hand, log
        elif a_second_later and user.id in task.get('usersSkipped', []):
            fresher = [
                other for other in could_do if other.get('lane') and user.id not in other.get('usersSkipped', [])
            ]
            fresher = [other for other in fresher if user.id not in [lease['user'] for lease in other['leases']]]
            assert not fresher, f'{user} has skipped it, and could do {fresher}\n{log}'

    def answer(self) -> None:
        user = self.random.choice(self.users)
        task_id = self.in_hand(user)
        if task_id is not None:
            self.note(user, 'answers', task_id)
            self.kind.on_task_done(user, task_id, {'by': str(user.id)})

    def answer_unasked(self) -> None:
        user, task_id = self.random.choice(self.users), self.any_task()
        try:
            self.kind.on_task_done(user, task_id, {'n': self.random.random()})
            self.note(user, 'answers unasked', task_id)
        except AnswerConflictError:
            self.note(user, 'is refused a second answer to', task_id)

    def skip(self) -> None:
        user = self.random.choice(self.users)
        task_id = self.in_hand(user) if self.random.random() < 0.8 else self.any_task()
        if task_id is not None:
            try:
                self.kind.skip_task(task_id, user)
                self.note(user, 'skips', task_id)
            except TaskSkipError:
                self.note(user, 'may not skip', task_id)

    def wait(self) -> None:
        minutes = self.random.choice([0.01, 1, 5, 10, 20, 31])
        self.clock.later(minutes=minutes)
        self.note(minutes, 'minutes pass')

    def work(self) -> None:
        user = self.random.choice(self.users)
        if (task_id := self.in_hand(user)) is not None:
            try:
                self.kind.record_activity(user.id, task_id, 5)
                self.note(user, 'works on', task_id)
            except (WorkSessionUpdateError, WorkSessionLookUpError):
                pass

    def withdraw(self) -> None:
        answers = list(AbstractAnswer._get_collection().find({}, {'task': 1, 'createdBy': 1}))
        if answers:
            answer = self.random.choice(answers)
            self.note('an answer of', answer['createdBy'], 'to', answer['task'], 'is withdrawn')
            counting.withdraw(answer['_id'], self.kind.redundancy, by=None, reason='', now=self.now)

    def fetch_ahead(self) -> None:
        user = self.random.choice(self.users)
        before = set(held(user, self.now))
        tasks = self.kind.get_ahead(user, self.random.choice([1, 2, 3]))
        self.note(user, 'fetches ahead', [task['id'] for task, _ in tasks])
        assert {task['id'] for task, _ in tasks} <= set(held(user, self.now)) | before

    def give_back(self) -> None:
        user = self.random.choice(self.users)
        self.note(user, 'gives back', self.kind.return_ahead(user))

    # --- what operators do ---

    def change_redundancy(self) -> None:
        if batches := sorted(Batch.objects.scalar('id')):
            batch, number = self.random.choice(batches), self.random.randint(1, 4)
            self.note(batch, 'needs', number, 'answers')
            counting.set_redundancy(batch, number, self.now)

    def load(self) -> None:
        self.batches += 1
        batch = self.random.choice(['default', f'b{self.batches}', None])
        self.note(
            'tasks are loaded:', [task.id for task in make_tasks(self.kind, self.random.randint(1, 4), batch)], batch
        )

    def save_by_hand(self) -> None:
        task_id = f'by hand {len(self.done)}'
        PlainTask(id=task_id, task_type='plain_task', task_data={'n': task_id}).save()
        self.note('a script saves', task_id)

    def pause_or_resume(self) -> None:
        if batches := sorted(Batch.objects.scalar('id', 'paused')):
            batch, paused = self.random.choice(batches)
            Batch.objects(pk=batch).update_one(set__paused=not paused)
            assignment.open_loads.forget()
            self.note(batch, 'goes on' if paused else 'is paused')

    def tidy_up(self) -> None:
        self.note('sweep')
        sweep(self.now)

    # --- looking ---

    def any_task(self) -> str:
        return self.random.choice(sorted(AbstractTask.objects.scalar('id')))

    def in_hand(self, user: User) -> str | None:
        """The task this user has been shown, if his place is still his."""
        progress = Progress.raw('plain_task', user.id)
        alive = {'$elemMatch': {'user': user.id, 'until': {'$gt': self.now}}}
        where = {'_id': progress.get('lease'), 'leases': alive, 'closed': {'$ne': True}}
        task = AbstractTask._get_collection().find_one({**where, 'batch': {'$nin': list(self.paused())}})
        return task and task['_id']

    def open_tasks(self, user: User) -> list[dict[str, Any]]:
        """Tasks this user may still answer, some day."""
        where = {'closed': {'$ne': True}, 'usersProcessed': {'$ne': user.id}, 'batch': {'$nin': list(self.paused())}}
        return list(AbstractTask._get_collection().find(where))

    def has_place(self, task: dict[str, Any], user: User) -> bool:
        others = [lease for lease in task['leases'] if lease['until'] > self.now and lease['user'] != user.id]
        return task.get('usersCount', 0) + len(others) < (task.get('need') or self.kind.redundancy)

    def paused(self) -> set[str]:
        return set(Batch.objects(paused=True).scalar('id'))


def held(user: User, now: datetime) -> list[str]:
    """Tasks in which a user has a place."""
    alive = {'$elemMatch': {'user': user.id, 'until': {'$gt': now}}}
    return [task['_id'] for task in AbstractTask._get_collection().find({'leases': alive})]


def places_problems(now: datetime) -> Iterator[str]:
    """What the check of counters does not look at: leases, lanes and the times the indexes need."""
    for task in AbstractTask._get_collection().find():
        leases, lane = task.get('leases') or [], task.get('lane')
        live = [lease for lease in leases if aware(lease['until']) > now]
        is_open, need = not task.get('closed'), task.get('need') or 2
        if is_open and task.get('usersCount', 0) + len(live) > need:
            yield f'too many places are taken: {task}'
        if len({lease['user'] for lease in leases}) < len(leases):
            yield f'somebody has two places: {task}'
        if {lease['user'] for lease in leases} & set(task.get('usersProcessed') or []):
            yield f'somebody who has answered has a place: {task}'
        if lane not in (None, 'fresh', 'returned') or (lane == 'returned') != (task.get('returned') is not None):
            yield f'its lane is wrong: {task}'
        if is_open and task.get('expiry') != min((lease['until'] for lease in leases), default=None):
            yield f'expiry is wrong: {task}'
        if not is_open and (task.get('expiry') or lane):
            yield f'closed, but still in an index: {task}'


def lost_fresh_tasks() -> Iterator[str]:
    """Fresh tasks that somebody has walked past without having had them: he would never see them."""
    for progress in Progress._get_collection().find():
        user = progress['user']
        for load, position in (progress.get('positions') or {}).items():
            for task in AbstractTask._get_collection().find({'lane': 'fresh'}):
                passed = str(task['load']) == load and (position is None or task['ord'] <= position)
                mine = user in [*task['usersProcessed'], *task['usersSkipped'], *(ls['user'] for ls in task['leases'])]
                if passed and not mine:
                    yield f'user {user} has walked past fresh task {task}'


@pytest.mark.parametrize('seed', seeds(3))
@pytest.mark.parametrize('strategy', ['random', 'sequential', 'breadth_first'])
def test_everything_is_right_after_every_step(variant, clock, seed, strategy, monkeypatch):
    monkeypatch.setattr(assignment, 'FEW_PLACES', 3)
    walk = Walk(variant(assignment=strategy, lease=timedelta(minutes=30)), clock, seed)
    for _ in range(70):
        walk.step()


@pytest.mark.parametrize(
    'attributes',
    [{'redundancy': 1}, {'_is_ready_for_autoclose': lambda self, task, answer: answer.id.binary[-1] % 3 == 0}],
    ids=['one answer', 'a sure answer'],
)
def test_everything_is_right_where_fewer_answers_may_be_enough(variant, clock, monkeypatch, attributes):
    monkeypatch.setattr(assignment, 'FEW_PLACES', 3)
    walk = Walk(variant(**attributes), clock, 11)
    for _ in range(70):
        walk.step()
