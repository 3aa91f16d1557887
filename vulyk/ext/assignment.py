"""Which task a volunteer gets next, and whose place it is.

Finding a task costs a handful of index keys, however many tasks and answers there are: everybody walks through the fresh
tasks of each load in one direction only, and what becomes free behind his back is found in the lane of returned tasks.
"""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError
from werkzeug.utils import import_string

from vulyk.ext import leases
from vulyk.models.exc import InitializationError
from vulyk.models.progress import Progress
from vulyk.models.recent import Recent
from vulyk.models.tasks import EPOCH, AbstractTask, Batch, Load, loose_load
from vulyk.utils import aware

if TYPE_CHECKING:
    from vulyk.models.task_types import AbstractTaskType

PAGE = 20
FEW_PLACES = 50  # nothing is fetched ahead when fewer fresh tasks are left
# Clocks differ, and an update may become visible a little after the time it carries: look at the last seconds again.
OVERLAP = timedelta(seconds=10)

_PRIORITY_RANGE = 1000
_RANDOM_BITS = 52


# --- strategies -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Strategy:
    """How tasks are chosen.

    :param order: from the number of a record in its load to a number below 2⁵², unique in the load as far as chance
        allows: tasks are handed out in this order.
    :param choose: picks a task with a free place for a user instead, from ``(task_type, user_id)``; its costs are its own.
    """

    order: Callable[[int], int]
    choose: 'Callable[[AbstractTaskType, ObjectId], dict[str, Any] | None] | None' = None


def _at_random(number: int) -> int:
    return secrets.randbits(_RANDOM_BITS)


def _in_file_order(number: int) -> int:
    return number


def _by_answers(direction: int) -> 'Callable[[AbstractTaskType, ObjectId], dict[str, Any] | None]':
    def choose(task_type: 'AbstractTaskType', user_id: ObjectId) -> dict[str, Any] | None:
        mine = {'usersProcessed': {'$ne': user_id}, 'usersSkipped': {'$ne': user_id}, 'leases.user': {'$ne': user_id}}
        loads = [load.id for load in open_loads.get(task_type.type_name)]
        where = {'load': {'$in': loads}, 'lane': leases.HAS_PLACE, **mine}
        return AbstractTask._get_collection().find_one(where, sort=[('usersCount', direction), ('ord', 1)])

    return choose


STRATEGIES: dict[str, Strategy] = {
    'random': Strategy(order=_at_random),
    'sequential': Strategy(order=_in_file_order),
    # Worked examples of a choice of one's own: they sort at every request and promise no bound.
    'breadth_first': Strategy(order=_at_random, choose=_by_answers(1)),
    'depth_first': Strategy(order=_at_random, choose=_by_answers(-1)),
}


def strategy_named(name: str) -> Strategy:
    """The strategy of that name, or the one a dotted name points to.

    :raises InitializationError: there is none.
    """
    if name in STRATEGIES:
        return STRATEGIES[name]
    found = import_string(name, silent=True) if '.' in name else None
    if not isinstance(found, Strategy):
        known = ', '.join(STRATEGIES)
        raise InitializationError(f'assignment: there is no strategy {name!r}; use {known}, or the dotted name of one.')
    return found


def task_order(strategy: Strategy, number: int, priority: int = 0) -> int:
    """The ``order`` of a task: first by its priority (−1000 … 1000, higher is earlier), then as the strategy says."""
    rank = _PRIORITY_RANGE - max(-_PRIORITY_RANGE, min(_PRIORITY_RANGE, priority))
    return (rank << _RANDOM_BITS) | strategy.order(number)


# --- loads ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OpenLoad:
    """A load whose tasks may be handed out. ``has_batch``: there is a batch document that counts its tasks."""

    id: ObjectId
    batch: str | None
    has_batch: bool


def open_batches(task_type: str) -> list[str]:
    """Ids of the batches of a type that still have open tasks and are not paused, first to do first."""
    where = {'taskType': task_type, 'closed': {'$ne': True}, 'paused': {'$ne': True}}
    return [batch['_id'] for batch in sorted(Batch._get_collection().find(where), key=_batch_order)]


def _batch_order(batch: dict[str, Any]) -> tuple[Any, ...]:
    return -batch.get('priority', 0), batch.get('createdAt', EPOCH), batch['_id']


def _read_open_loads(task_type: str) -> list[OpenLoad]:
    loads: dict[str | None, list[ObjectId]] = {}
    where = {'taskType': task_type, 'finished': {'$ne': True}, 'loading': {'$ne': True}}
    for load in Load._get_collection().find(where, sort=[('_id', 1)]):
        loads.setdefault(load.get('batch'), []).append(load['_id'])
    first_to_do = open_batches(task_type)
    elsewhere = [batch for batch in loads if batch is not None and batch not in first_to_do]
    existing = {batch['_id']: batch for batch in Batch._get_collection().find({'_id': {'$in': elsewhere}})}
    finished = [batch_id for batch_id, batch in existing.items() if batch.get('closed')]
    if finished:  # not to be looked at again, until one of these batches opens again
        Load._get_collection().update_many({'batch': {'$in': finished}}, {'$set': {'finished': True}})
    without_batch = [batch for batch in elsewhere if batch not in existing]
    return [
        OpenLoad(load, batch, has_batch=batch in first_to_do)
        for batch in (*first_to_do, *without_batch, None)
        for load in (*loads.get(batch, []), loose_load(task_type, batch))
    ]


def _read_has_returned(task_type: str) -> bool:
    where = {'taskType': task_type, 'lane': leases.RETURNED}
    return AbstractTask._get_collection().find_one(where, {'_id': 1}) is not None


# Loads of open batches by the batches' priority and creation, then loads without a batch.
open_loads = Recent(_read_open_loads, seconds=1)
# Whether a look into the lane of returned tasks is worth a question to the database.
has_returned = Recent(_read_has_returned, seconds=1)


# --- handing out ------------------------------------------------------------------------------------------------------


class Assigner:
    """Hands out the tasks of one type to one user.

    :param now: the time leases are compared with.
    :param lease: how long a place is kept.
    """

    def __init__(self, task_type: 'AbstractTaskType', user_id: ObjectId, *, now: datetime, lease: timedelta) -> None:
        self.task_type = task_type
        self.user_id = user_id
        self.now = now
        self.until = now + lease
        self.tasks = AbstractTask._get_collection()
        self.key = Progress.key(task_type.type_name, user_id)
        self.progress: dict[str, Any] = {}
        self._changes: dict[str, Any] = {}

    def current(self) -> dict[str, Any] | None:
        """The task in hand; if that is answered or its lease has ended, the first one fetched ahead that is not."""
        self.progress = Progress.raw(self.task_type.type_name, self.user_id)
        held = [self.progress.get('lease'), *(self.progress.get('ahead') or [])]
        for position, task_id in enumerate(held):
            task = self._held(task_id) if task_id else None
            if task is not None:
                if position and not self._remember(task, ahead=held[position + 1 :]):
                    return self.current()
                return task
        return None

    def next(self) -> dict[str, Any] | None:
        """The task in hand, or a new one; None if there is nothing for this user now."""
        task = self.current()
        while task is None:
            found = self.claim_next() or self._forgotten()
            if self._remember(found):
                return found
            # The user's other tab was faster: both show its task, and the place taken here is given back.
            task = self.current()
            if found is not None and (task is None or task['_id'] != found['_id']):
                self._release(found['_id'])
        return task

    def take(self, task_id: str) -> None:
        """Make a task that was chosen by a plugin the one in hand, if a place in it is free."""
        self.progress = Progress.raw(self.task_type.type_name, self.user_id)
        task = self._claim({'_id': task_id}) or self._held(task_id)
        if task is not None and not self._remember(task):
            self._release(task_id)

    def ahead(self, number: int) -> list[dict[str, Any]]:
        """Tasks fetched ahead, topped up to ``number`` while there are plenty for everybody."""
        self.progress = Progress.raw(self.task_type.type_name, self.user_id)
        kept = [task for task_id in self.progress.get('ahead') or [] if (task := self._held(task_id))]
        while len(kept) < number:
            task = self._plenty_left() and self._next_fresh()
            if not task:
                break
            kept.append(task)
        self._remember(
            self.progress.get('lease') and {'_id': self.progress['lease']}, ahead=[task['_id'] for task in kept]
        )
        return kept[:number]

    def return_ahead(self) -> int:
        """Give back what was fetched ahead; returns the number of places that are free again."""
        self.progress = Progress.raw(self.task_type.type_name, self.user_id)
        fetched = self.progress.get('ahead') or []
        for task_id in fetched:
            self._release(task_id)
        Progress._get_collection().update_one({'_id': self.key}, {'$pullAll': {'ahead': fetched}})
        return len(fetched)

    def may_come_back(self) -> bool:
        """Whether somebody holds a place in a task this user could do, which may become free."""
        loads = [load.id for load in open_loads.get(self.task_type.type_name)]
        return (
            self.tasks.find_one(
                {
                    'taskType': self.task_type.type_name,
                    'expiry': {'$gt': self.now},
                    'load': {'$in': loads},
                    **self._not_mine(),
                },
                {'_id': 1},
            )
            is not None
        )

    def claim_next(self) -> dict[str, Any] | None:
        """Take a place in a returned task, else in a fresh one, else in one this user has skipped."""
        choose = self.task_type.strategy.choose
        if choose is not None:
            return self._next_chosen(choose) or self._next_skipped()
        name = self.task_type.type_name
        task = self._next_returned(self.progress.get('returnedUntil')) if has_returned.get(name) else None
        task = task or self._next_fresh()
        if task is None:  # before saying so: is what we remember of loads and returned tasks still true?
            open_loads.get(name, fresh=True)
            reap(self.now, name)
            task = self._next_fresh() or self._next_returned(None) or self._next_skipped()
        return task

    def _next_chosen(self, choose: Callable[..., dict[str, Any] | None]) -> dict[str, Any] | None:
        for _ in range(PAGE):  # somebody else may take the place between choice and claim
            chosen = choose(self.task_type, self.user_id)
            if chosen is None:
                return None
            task = self._claim({'_id': chosen['_id'], 'lane': leases.HAS_PLACE})
            if task is not None:
                return task
        return None

    def _next_returned(self, since: datetime | None) -> dict[str, Any] | None:
        """Walk through the returned tasks, oldest first, past those that are mine."""
        mine = self._not_mine()
        usable = {load.id for load in open_loads.get(self.task_type.type_name)}
        while True:
            where: dict[str, Any] = {'taskType': self.task_type.type_name, 'lane': leases.RETURNED}
            if since is not None:
                where['returned'] = {'$gt': since}
            page = list(self.tasks.find(where, _FOR_CHOICE, sort=[('returned', 1)], limit=PAGE))
            for found in page:
                if found.get('load') in usable and not self._is_mine(found):
                    task = self._claim({'_id': found['_id'], 'lane': leases.HAS_PLACE, **mine})
                    if task is not None:
                        return task
            if not page:
                return None
            since = aware(page[-1]['returned'])
            self._changes['returnedUntil'] = min(since, self.now - OVERLAP)
            if len(page) < PAGE:
                return None

    def _next_fresh(self) -> dict[str, Any] | None:
        """The first fresh task behind my position in each open load; a load without one is done with for ever."""
        positions = {**(self.progress.get('positions') or {}), **self._changes.get('positions', {})}
        for load in open_loads.get(self.task_type.type_name):
            place = str(load.id)
            if positions.get(place, 0) is None:
                continue
            where = {'load': load.id, 'lane': leases.FRESH, 'ord': {'$gt': positions.get(place, -1)}}
            task = self._claim({**where, **self._not_mine()})
            self._changes.setdefault('positions', {})[place] = task['ord'] if task else None
            if task is not None:
                return task
        return None

    def _next_skipped(self) -> dict[str, Any] | None:
        """What this user has skipped, in turn."""
        where = {
            'usersSkipped': self.user_id,
            'taskType': self.task_type.type_name,
            'lane': leases.HAS_PLACE,
            'load': {'$in': [load.id for load in open_loads.get(self.task_type.type_name)]},
            'leases.user': {'$ne': self.user_id},
        }
        last = self.progress.get('skippedUntil')
        for start in ({'_id': {'$gt': last}},) * (last is not None) + ({},):
            task = self._claim({**where, **start}, sort=[('_id', 1)])
            if task is not None:
                self._changes['skippedUntil'] = task['_id']
                return task
        return None

    def _forgotten(self) -> dict[str, Any] | None:
        """A place of this user that is not noted: another tab is about to, or a process died before it could."""
        alive = {'$elemMatch': {'user': self.user_id, 'until': {'$gt': self.now}}}
        where = {'leases.user': self.user_id, 'taskType': self.task_type.type_name, 'expiry': {'$gt': EPOCH}}
        return self.tasks.find_one({**where, 'leases': alive})

    def _plenty_left(self) -> bool:
        """Whether enough fresh tasks are left in the load at hand that fetching ahead takes none from others."""
        positions = {**(self.progress.get('positions') or {}), **self._changes.get('positions', {})}
        for load in open_loads.get(self.task_type.type_name):
            position = positions.get(str(load.id), -1)
            if position is not None:
                where = {'load': load.id, 'lane': leases.FRESH, 'ord': {'$gt': position}}
                return self.tasks.count_documents(where, limit=FEW_PLACES) == FEW_PLACES
        return False

    def _claim(self, where: dict[str, Any], sort: Iterable[tuple[str, int]] = (('ord', 1),)) -> dict[str, Any] | None:
        where.setdefault('lane', leases.HAS_PLACE)
        return self.tasks.find_one_and_update(
            {**where, 'leases.user': {'$ne': self.user_id}},
            leases.claim(self.user_id, self.until, self.task_type.redundancy, self.now),
            sort=list(sort),
            return_document=ReturnDocument.AFTER,
        )

    def _release(self, task_id: str) -> None:
        self.tasks.update_one({'_id': task_id}, leases.release(self.user_id, self.now))

    def _held(self, task_id: str) -> dict[str, Any] | None:
        """The task, if this user's lease in it is alive."""
        return self.tasks.find_one(
            {
                '_id': task_id,
                'closed': {'$ne': True},
                'leases': {'$elemMatch': {'user': self.user_id, 'until': {'$gt': self.now}}},
            }
        )

    def _remember(self, task: dict[str, Any] | None, *, ahead: list[str] | None = None) -> bool:
        """Write the task in hand and how far we have looked; False if another request of this user was faster."""
        positions = self._changes.pop('positions', {})
        changes = {**self._changes, **{f'positions.{load}': order for load, order in positions.items()}}
        changes['lease'] = task['_id'] if task else None
        if ahead is not None:
            changes['ahead'] = ahead
        created = {'taskType': self.task_type.type_name, 'user': self.user_id, 'total': 0}
        where = {'_id': self.key, 'lease': self.progress.get('lease')}
        try:
            self.progress = Progress._get_collection().find_one_and_update(
                where,
                {'$set': changes, '$setOnInsert': created},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError:  # the document is there, with another lease
            return False
        self._changes = {}
        return True

    def _not_mine(self) -> dict[str, Any]:
        return {'usersProcessed': {'$ne': self.user_id}, 'usersSkipped': {'$ne': self.user_id}}

    def _is_mine(self, task: dict[str, Any]) -> bool:
        holders = [lease['user'] for lease in task.get('leases') or []]
        lists = (task.get('usersProcessed') or [], task.get('usersSkipped') or [], holders)
        return any(self.user_id in users for users in lists)


_FOR_CHOICE = {'load': 1, 'returned': 1, 'usersProcessed': 1, 'usersSkipped': 1, 'leases': 1}


def reap(now: datetime, task_type: str | None = None, limit: int = 1000) -> int:
    """Free the places whose leases have ended; returns the number of tasks touched."""
    tasks = AbstractTask._get_collection()
    where: dict[str, Any] = {'expiry': {'$gt': EPOCH, '$lte': now}}
    if task_type is not None:
        where['taskType'] = task_type
    found = [task['_id'] for task in tasks.find(where, {'_id': 1}, limit=limit)]
    for task_id in found:
        tasks.update_one({'_id': task_id, 'expiry': {'$lte': now}}, leases.settle(now))
    return len(found)
