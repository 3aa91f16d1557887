"""The data that is measured on: as the platform would have written it, a million answers included.

Tasks are imported by the platform, and some answers are given through it. Their documents are the models of the many
other answers; tasks are changed by the platform's own updates (:mod:`vulyk.ext.leases`), but a thousand at a time.
"""

import itertools
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from bson import ObjectId
from pymongo import ReplaceOne, UpdateOne
from pymongo.write_concern import WriteConcern

from tests.load.bench_app import Variant
from vulyk.cli.batches import add_batch
from vulyk.ext import leases
from vulyk.ext.assignment import open_loads
from vulyk.models.progress import Progress
from vulyk.models.stats import WorkSession
from vulyk.models.task_types import AbstractTaskType
from vulyk.models.tasks import AbstractAnswer, AbstractTask, Batch
from vulyk.models.transaction import in_transaction
from vulyk.models.user import Group, User
from vulyk.utils import chunked

AT_ONCE = 10_000  # tasks of a site that is seeded beside others
MOST = 100_000  # tasks that the diligent have answered or skipped
TOGETHER = 2_000  # tasks of small batches that are imported in one transaction, which has to fit into the cache
BY_HAND = 20  # tasks answered through the platform, by everybody they need
NEWCOMERS = 200
LEFT = 40  # tasks with free places in nearly finished batches: enough for all who ask
RESULT = {'text': 'Stefania Kovalenko, born 1873', 'legible': True}


class Place(NamedTuple):
    """Where a task stands on everybody's way."""

    id: str
    load: ObjectId
    order: int


class World:
    """The tasks of one task type, and volunteers who have done all kinds of things.

    ``veteran`` has answered half of the open tasks (at most ``MOST``), ``skipper`` has skipped the same. ``picky`` has
    skipped all there are (at most ``MOST``) and nothing else is left for him. ``finished`` has done everything, but others
    have tasks in hand that may come back. ``returner``: see :meth:`return_tasks`. ``newcomers`` have just signed up.

    :param size: number of open tasks.
    :param answered: with closed tasks too, so that there are about as many answers as open tasks.
    """

    def __init__(self, task_type: AbstractTaskType, variant: Variant, size: int, *, answered: bool) -> None:
        self.task_type = task_type
        self.name = task_type.type_name
        self.variant = variant
        self.size = size
        self.passed = min(size // 2, MOST)
        self.skipped = min(size, MOST)
        self.held = min(size // 10, 500)
        self.returned = min(size // 10, 10_000)
        self.answers_by_platform = self.answers_in_bulk = 0
        self._tasks = _collection(AbstractTask)
        self._record = itertools.count()
        self._totals: Counter[ObjectId] = Counter()
        crowd = make_people(max(20, min(size // 100, 1000)) if answered else task_type.redundancy)
        self._others = crowd[: task_type.redundancy]
        self.veteran, self.skipper, self.picky, self.finished, self.returner = make_people(5)
        self.newcomers: Iterator[ObjectId] = iter(make_people(NEWCOMERS))
        self._models = self._answer_through_platform(BY_HAND if answered else 1)
        if answered:
            self._make_closed_tasks((size - self.passed) // task_type.redundancy, crowd)
        self._make_open_tasks()
        self._send_everybody()

    def facts(self) -> dict[str, Any]:
        """What there is, for the report."""
        return {
            'variant': str(self.variant),
            'open_tasks': self.size,
            'answered_by_veteran': self.passed,
            'skipped': self.skipped,
            'held_by_others': self.held,
            'returned': self.returned,
            'answers_by_platform': self.answers_by_platform,
            'answers_in_bulk': self.answers_in_bulk,
        }

    def return_tasks(self) -> None:
        """Let tasks that were full be free again; ``returner`` has answered all of them but the last tenth.

        He and ``finished``, who has answered all of them, have nothing else to do.
        """
        places = self._read_way(self.returned, usersCount=0, leases=[])
        self.returned = len(places)
        start = datetime.now(UTC) - timedelta(hours=1)
        for number, group in enumerate(chunked(places, 20)):
            now = start + timedelta(seconds=number)
            until = now + self.task_type.lease
            taken = [leases.claim(user, until, self.task_type.redundancy, now) for user in self._others]
            given_back = [leases.release(user, now) for user in self._others]
            one_by_one = [{'$set': {'returned': {'$add': ['$returned', {'$mod': ['$ord', 1000]}]}}}]
            self._update(group, [stage for update in (*taken, *given_back, one_by_one) for stage in update])
        self._answer_in_bulk(places[: -max(1, len(places) // 10)], [self.returner])
        not_mine = {'lane': leases.RETURNED, 'usersProcessed': {'$ne': self.finished}}
        self._answer_in_bulk(self._places({'taskType': self.name, **not_mine}), [self.finished])
        self._write_people([self.finished, self.returner], self._everywhere())

    def fill_batches(self) -> None:
        """Let others have every place of every batch in hand, except in the last few."""
        left = -(-LEFT * self.variant.batches // self.size)
        found = [load for load in open_loads.get(self.name, fresh=True) if load.batch]
        batches = list(dict.fromkeys(load.batch for load in found))[:-left]
        loads = [load.id for load in found if load.batch in batches]
        now = datetime.now(UTC)
        until = now + self.task_type.lease
        claims = [leases.claim(user, until, self.task_type.redundancy, now) for user in self._others]
        free = {'load': {'$in': loads}, 'lane': leases.HAS_PLACE}
        self._tasks.update_many({**free, 'usersCount': 0, 'leases': []}, [stage for claim in claims for stage in claim])
        for user, claim in zip(self._others, claims, strict=True):
            self._tasks.update_many({**free, 'leases.user': {'$ne': user}}, claim)

    # --- tasks --------------------------------------------------------------------------------------------------------

    def _import(self, shares: Sequence[tuple[str, int]]) -> None:
        """Import tasks: ``(batch, number of tasks)``. Small batches share a transaction, which saves most of the time."""
        for group in _grouped(shares, TOGETHER):
            if len(group) == 1:
                self._import_one(*group[0])
            else:
                in_transaction(lambda group=group: [self._import_one(*share) for share in group])

    def _import_one(self, batch: str, count: int) -> None:
        text = 'The line of a register somebody has to read'
        records = [{'type': self.name, 'n': next(self._record), 'text': text} for _ in range(count)]
        self.task_type.import_tasks(records, batch)
        add_batch(batch, count, self.task_type, 'default')

    def _make_closed_tasks(self, count: int, crowd: Sequence[ObjectId]) -> None:
        """Tasks with all their answers, in a batch of their own; the crowd shares the work unevenly."""
        batch = f'{self.name}-done'
        self._import([(batch, count)])
        places = self._places({'batch': batch})
        chance = random.Random(1)
        per_group = -(-count // max(len(crowd), min(count, 150)))
        for number, group in enumerate(chunked(places, per_group)):
            diligent = [crowd[int(len(crowd) * chance.random() ** 3)] for _ in range(20)]
            people = dict.fromkeys([crowd[number % len(crowd)], *diligent, *crowd])
            self._answer_in_bulk(group, list(people)[: self.task_type.redundancy])
        Batch.count_closed(batch, count)
        self._write_people(crowd, {})

    def _make_open_tasks(self) -> None:
        share, more = divmod(self.size, self.variant.batches)
        numbers = range(self.variant.batches)
        self._import([(f'{self.name}-{number:03}', share + (number < more)) for number in numbers])

    def _read_way(self, count: int, **more: Any) -> list[Place]:
        """The first fresh tasks in the order in which everybody is given them."""
        way: list[Place] = []
        for chunk in chunked((load.id for load in open_loads.get(self.name, fresh=True)), 50):
            if len(way) < count:
                found = self._places({'load': {'$in': chunk}, 'lane': leases.FRESH, **more})
                way += sorted(found, key=lambda place: (chunk.index(place.load), place.order))
        return way[:count]

    def _places(self, where: dict[str, Any]) -> list[Place]:
        found = self._tasks.find(where, {'load': 1, 'ord': 1})
        return [Place(task['_id'], task['load'], task['ord']) for task in found]

    def _update(self, places: Iterable[Place], stages: list[dict[str, Any]]) -> None:
        for chunk in chunked(places, 1000):
            self._tasks.update_many({'_id': {'$in': [place.id for place in chunk]}}, stages)

    # --- people -------------------------------------------------------------------------------------------------------

    def _send_everybody(self) -> None:
        now = datetime.now(UTC)
        way = self._read_way(max(self.skipped, self.passed + self.held))
        walked, held = way[: self.passed], way[self.passed : self.passed + self.held]
        self._answer_in_bulk(walked, [self.veteran])
        self._update(walked, leases.skip(self.skipper, now))
        self._update(way[: self.skipped], leases.skip(self.picky, now))
        self._answer_in_bulk(held, [self.finished])
        self._update(held, leases.claim(self._others[0], now + self.task_type.lease, self.task_type.redundancy, now))
        reached: dict[str, int | None] = {str(place.load): None for place in walked}
        reached[str(walked[-1].load)] = walked[-1].order
        self._write_people([self.veteran, self.skipper], reached)
        self._write_people([self.picky, self.finished], self._everywhere())

    def _everywhere(self) -> dict[str, int | None]:
        """Positions of somebody who has been through all loads."""
        return {str(load.id): None for load in open_loads.get(self.name, fresh=True)}

    def _answer_through_platform(self, count: int) -> dict[str, dict[str, Any]]:
        """Let people take and answer ``count`` tasks; returns the documents that come with an answer."""
        self._import([(f'{self.name}-by-hand', count)])
        for user in User.objects(id__in=self._others):
            while task := self.task_type.get_next(user):
                self.task_type.on_task_done(user, task['id'], RESULT)
                self._totals[user.id] += 1
        self.answers_by_platform = count * len(self._others)
        return {
            'answer': AbstractAnswer._get_collection().find_one({'taskType': self.name}),
            'session': WorkSession._get_collection().find_one({'taskType': self.name}),
            'progress': Progress._get_collection().find_one({'taskType': self.name}),
        }

    def _answer_in_bulk(self, places: Sequence[Place], people: Sequence[ObjectId]) -> None:
        """What is left of it when all of ``people`` have answered all of these tasks, except totals."""
        now = datetime.now(UTC)
        for chunk in chunked(places, 1000):
            answers, sessions = [], []
            for place, user in itertools.product(chunk, people):
                by = {'_id': ObjectId(), 'task': place.id}
                answers.append({**self._models['answer'], **by, 'createdBy': user, 'createdAt': now})
                sessions.append({**self._models['session'], **by, 'user': user, 'answer': by['_id']})
            _collection(AbstractAnswer).insert_many(answers)
            _collection(WorkSession).insert_many(sessions)
            updates = [leases.answer(user, self.task_type.redundancy, now, closing=False) for user in people]
            self._update(chunk, [stage for update in updates for stage in update])
        for user in people:
            self._totals[user] += len(places)
        self.answers_in_bulk += len(places) * len(people)

    def _write_people(self, people: Sequence[ObjectId], positions: dict[str, int | None]) -> None:
        """Write how many answers each has given, and how far he has come."""
        for chunk in chunked(people, 1000):
            progress, users = [], []
            for user in chunk:
                key, total = Progress.key(self.name, user), self._totals[user]
                changes = {'_id': key, 'user': user, 'total': total, 'positions': positions}
                progress.append(ReplaceOne({'_id': key}, {**self._models['progress'], **changes}, upsert=True))
                users.append(UpdateOne({'_id': user}, {'$set': {'processed': total}}))
            _collection(Progress).bulk_write(progress)
            _collection(User).bulk_write(users)


def make_people(count: int) -> list[ObjectId]:
    """Ids of new users in the default group."""
    made: list[ObjectId] = []
    for chunk in chunked(range(count), 1000):
        ids = [ObjectId() for _ in chunk]
        people = [User(id=one, username=f'bee {one}', email=f'{one}@example.org') for one in ids]
        for person in people:
            person.groups = [Group(id='default')]
        User._get_collection().insert_many([person.to_mongo() for person in people])
        made += ids
    return made


def _collection(model: Any) -> Any:
    """Its collection, for writes that need not be safe when the next one begins."""
    return model._get_collection().with_options(write_concern=WriteConcern(w=1))


def _grouped(shares: Sequence[tuple[str, int]], most: int) -> Iterator[list[tuple[str, int]]]:
    """Neighbours together, up to ``most`` tasks."""
    group: list[tuple[str, int]] = []
    for share in shares:
        if group and sum(count for _, count in group) + share[1] > most:
            yield group
            group = []
        group.append(share)
    if group:
        yield group
