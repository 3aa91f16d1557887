"""Which task a volunteer gets next, and whose place it is.

Finding a task costs a handful of index keys, however many tasks and answers there are: everybody walks through the fresh
tasks of each load in one direction only, and what becomes free behind his back is found in the lane of returned tasks.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import pymongo
from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError, ExecutionTimeout, PyMongoError
from werkzeug.utils import import_string

from vulyk.ext import leases
from vulyk.models.exc import InitializationError
from vulyk.models.progress import Progress
from vulyk.models.recent import Recent
from vulyk.models.tasks import EPOCH, AbstractTask, Batch, Load, loose_load
from vulyk.models.transaction import AT_ONCE, in_transaction
from vulyk.texts import gettext
from vulyk.utils import aware

if TYPE_CHECKING:
    from vulyk.models.task_types import AbstractTaskType

PAGE = 20
PATIENCE_MS = 1000  # how long to wait for a task that somebody is writing
FEW_PLACES = 25  # nothing is fetched ahead when fewer fresh tasks are left
# How many of the next loads are looked into when one turns out to be used up; then four times as many. Each costs up to three
# keys: loads of other task types may lie between them.
LOADS_AT_ONCE = 12
# Clocks differ, and an update may become visible a little after the time it carries: look at the last seconds again.
OVERLAP = timedelta(seconds=10)
_ONE_MILLISECOND = timedelta(milliseconds=1)  # the precision of stored times
_NEVER = EPOCH - _ONE_MILLISECOND

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
        raise InitializationError(
            gettext(
                'assignment: there is no strategy %(name)s; use %(known)s, or the dotted name of one.',
                name=repr(name),
                known=known,
            )
        )
    return found


def task_order(strategy: Strategy, number: int, priority: int = 0) -> int:
    """The ``order`` of a task: first by its priority (−1000 … 1000, higher is earlier), then as the strategy says."""
    rank = _PRIORITY_RANGE - max(-_PRIORITY_RANGE, min(_PRIORITY_RANGE, priority))
    return (rank << _RANDOM_BITS) | strategy.order(number)


# --- loads ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OpenLoad:
    """A load whose tasks may be handed out.

    ``has_batch``: there is a batch document that counts its tasks. ``loose``: its tasks come one by one, anywhere in their
    order, so that nobody can have seen all up to some place.
    """

    id: ObjectId
    batch: str | None
    has_batch: bool
    loose: bool = False


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
    for batch_id in (batch_id for batch_id, batch in existing.items() if batch.get('closed')):
        _finish_loads(batch_id)
    without_batch = [batch for batch in elsewhere if batch not in existing]
    found: list[OpenLoad] = []
    for batch in (*first_to_do, *without_batch, None):
        has_batch = batch in first_to_do
        found += [OpenLoad(load, batch, has_batch) for load in loads.get(batch, [])]
        found.append(OpenLoad(loose_load(task_type, batch), batch, has_batch, loose=True))
    return found


def _finish_loads(batch_id: str) -> None:
    """Note that the loads of a closed batch need not be looked at, until it opens again."""

    def finish() -> None:
        batches = Batch._get_collection()
        # Two real writes, though they cancel out: a batch that opens at this moment conflicts with them.
        if batches.update_one({'_id': batch_id, 'closed': True}, {'$set': {'closed': False}}).matched_count:
            batches.update_one({'_id': batch_id}, {'$set': {'closed': True}})
            Load._get_collection().update_many({'batch': batch_id}, {'$set': {'finished': True}})

    in_transaction(finish)


def _loose_loads(task_type: str) -> list[ObjectId]:
    return [load.id for load in open_loads.get(task_type) if load.loose]


def _read_has_loose(task_type: str) -> bool:
    where = {'load': {'$in': _loose_loads(task_type)}, 'lane': leases.FRESH}
    return AbstractTask._get_collection().find_one(where, {'_id': 1}) is not None


def _look_into(task_type: str, loads: list[ObjectId]) -> None:
    """Learn which of these loads have no fresh tasks: a look at one key for each of them.

    To ask for the distinct loads of fresh tasks would be a look at every task.
    """
    one_fresh = {
        'from': AbstractTask._get_collection_name(),
        'localField': '_id',
        'foreignField': 'load',
        'pipeline': [{'$match': {'lane': leases.FRESH}}, {'$limit': 1}, {'$project': {'_id': 1}}],
        'as': 'fresh',
    }
    pipeline = [{'$match': {'_id': {'$in': loads}}}, {'$lookup': one_fresh}, {'$match': {'fresh': []}}]
    found = {load['_id'] for load in Load._get_collection().aggregate([*pipeline, {'$project': {'_id': 1}}])}
    worn_out.put(task_type, (worn_out.known(task_type) or frozenset()) | found)
    looked_into.put(task_type, (looked_into.known(task_type) or frozenset()) | set(loads))


def _read_has_plenty(task_type: str) -> bool:
    where = {'load': {'$in': [load.id for load in open_loads.get(task_type)]}, 'lane': leases.FRESH}
    return AbstractTask._get_collection().count_documents(where, limit=FEW_PLACES) == FEW_PLACES


def _read_last_return(task_type: str) -> datetime:
    where = {'taskType': task_type, 'lane': leases.RETURNED}
    newest = AbstractTask._get_collection().find_one(where, {'returned': 1}, sort=[('returned', -1)])
    return aware(newest['returned']) if newest else _NEVER


# Loads of open batches by the batches' priority and creation, then loads without a batch.
open_loads = Recent(_read_open_loads, seconds=1)
# Whether there are fresh tasks that did not come as a load.
has_loose = Recent(_read_has_loose, seconds=1)
# Loads without fresh tasks, as far as somebody has come across them. No task becomes fresh again.
worn_out: Recent[frozenset[ObjectId]] = Recent(None, seconds=600)
# Loads that need not be asked about again so soon.
looked_into: Recent[frozenset[ObjectId]] = Recent(None, seconds=10)
# Whether there are so many of them that nobody misses those that others fetch ahead.
has_plenty = Recent(_read_has_plenty, seconds=1)
# When the newest of the returned tasks came back: whoever has seen it need not ask the database.
last_return = Recent(_read_last_return, seconds=1)


# --- handing out ------------------------------------------------------------------------------------------------------


class Assigner:
    """Hands out the tasks of one type to one user.

    :param now: the time leases are compared with.
    :param lease: how long a place is kept.
    :param progress: of the user, if it has just been read; {} if there is none yet.
    """

    def __init__(
        self,
        task_type: 'AbstractTaskType',
        user_id: ObjectId,
        *,
        now: datetime,
        lease: timedelta,
        progress: dict[str, Any] | None = None,
    ) -> None:
        self.task_type = task_type
        self.user_id = user_id
        self.now = now
        self.until = now + lease
        self.tasks = AbstractTask._get_collection().with_options(write_concern=AT_ONCE)
        self.everybody = Progress._get_collection().with_options(write_concern=AT_ONCE)
        self.key = Progress.key(task_type.type_name, user_id)
        self.progress: dict[str, Any] = {}
        self._just_read = progress
        self._changes: dict[str, Any] = {}
        self._held_up = False  # then we may have walked past a task, and must not note how far we are

    def current(self) -> dict[str, Any] | None:
        """The task in hand; if that is answered or its lease has ended, the first one fetched ahead that is not."""
        self._read_progress()
        held = [self.progress.get('lease'), *(self.progress.get('ahead') or [])]
        for position, task_id in enumerate(held):
            task = self._held(task_id) if task_id else None
            if task is not None and self._is_handed_out(task):
                if position and not self._remember(task, ahead=held[position + 1 :]):
                    return self.current()
                return task
        return None

    def _read_progress(self) -> None:
        just_read, self._just_read = self._just_read, None
        self.progress = Progress.raw(self.task_type.type_name, self.user_id) if just_read is None else just_read

    def holds(self, task_id: str) -> bool:
        """Whether this user has a live lease in a task."""
        return self._held(task_id) is not None

    def next(self) -> dict[str, Any] | None:
        """The task in hand, or a new one; None if there is nothing for this user now."""
        task = self.current()
        while task is None:
            found = self.claim_next() or self._forgotten()
            if self._remember(found):
                return found
            # The user's other tab was faster: both show its task, and the place taken here is given back.
            task = self.current()
            if found is not None:
                self._give_back(found['_id'])
        return task

    def take(self, task_id: str) -> None:
        """Make a task that was chosen by a plugin the one in hand, if a place in it is free."""
        self._read_progress()
        task = self._claim({'_id': task_id}) or self._held(task_id)
        if task is not None and not self._remember(task):
            self._give_back(task_id)

    def ahead(self, number: int) -> list[dict[str, Any]]:
        """Tasks fetched ahead, topped up to ``number`` while there are plenty for everybody."""
        while True:
            self._read_progress()
            kept = [task for task_id in self.progress.get('ahead') or [] if (task := self._held(task_id))]
            while len(kept) < number:
                task = self._plenty_left() and self._next_fresh()
                if not task:
                    break
                kept.append(task)
            in_hand = self.progress.get('lease')
            if self._remember(in_hand and {'_id': in_hand}, ahead=[task['_id'] for task in kept]):
                return kept[:number]
            # Another tab has taken or fetched something meanwhile: what is not on its list goes back, and we look again.
            for task in kept:
                self._give_back(task['_id'])

    def return_ahead(self) -> int:
        """Give back what was fetched ahead; returns the number of places that are free again."""
        # First they are off the list: from then on no other tab can make one of them its task in hand.
        before = self.everybody.find_one_and_update({'_id': self.key}, {'$set': {'ahead': []}})
        fetched = (before or {}).get('ahead') or []
        for task_id in fetched:
            self._release(task_id)
        return len(fetched)

    def may_come_back(self) -> bool:
        """Whether somebody holds a place in a task this user could do, or has just given one back."""
        name = self.task_type.type_name
        loads = [load.id for load in open_loads.get(name)]
        mine = {'taskType': name, 'load': {'$in': loads}, 'usersProcessed': {'$ne': self.user_id}}
        self._read_progress()
        held = {'expiry': {'$gt': EPOCH}, **mine}
        returned = {'lane': leases.RETURNED, 'returned': {'$gte': self.progress.get('returnedUntil') or EPOCH}, **mine}
        fresh = [{**where, 'usersProcessed': {'$ne': self.user_id}} for where in self._unseen()]
        # One snapshot: a task that is given back between two looks must not be missed by both.
        return in_transaction(lambda: any(self.tasks.find_one(where, {'_id': 1}) for where in (held, returned, *fresh)))

    def claim_next(self) -> dict[str, Any] | None:
        """Take a place in a returned task, else in a fresh one, else in one this user has skipped."""
        name = self.task_type.type_name
        task = self._next_unskipped() or self._next_skipped()
        if task is None:  # before saying so: is what we remember of loads and returned tasks still true?
            open_loads.get(name, fresh=True)
            reap(self.now, name)
            last_return.get(name, fresh=True)
            has_loose.get(name, fresh=True)
            task = self._next_unskipped(again=True) or self._next_skipped()
        return task

    def _next_unskipped(self, *, again: bool = False) -> dict[str, Any] | None:
        choose = self.task_type.strategy.choose
        if choose is not None:
            return self._next_chosen(choose)
        return self._next_returned(again=again) or self._next_fresh()

    def _next_chosen(self, choose: Callable[..., dict[str, Any] | None]) -> dict[str, Any] | None:
        for _ in range(PAGE):  # somebody else may take the place between choice and claim
            chosen = choose(self.task_type, self.user_id)
            if chosen is None:
                return None
            task = self._claim({'_id': chosen['_id'], 'lane': leases.HAS_PLACE})
            if task is not None or self._held_up:  # the strategy would choose the locked one again
                return task
        return None

    def _next_returned(self, *, again: bool) -> dict[str, Any] | None:
        """Walk through the returned tasks, oldest first, past those that are mine.

        What comes back to me later comes back as returned then. Only a batch that was paused when I walked past its
        tasks does not: it is kept in mind, and when it goes on I start again.

        :param again: look even if nothing has come back since I have looked at the last.
        """
        name = self.task_type.type_name
        facts = {**self.progress, **self._changes}
        newest, usable = last_return.get(name), {load.id for load in open_loads.get(name)}
        since, passed = aware(facts.get('returnedUntil') or EPOCH), facts.get('passed') or []
        if usable.intersection(passed):
            since, passed, again = EPOCH, [], True
            self._changes.update(passed=passed, returnedUntil=since)
        if newest < since or (facts.get('returnedLast') == newest and not again):
            return None
        limit, seen = PAGE, set()
        while True:
            where = {'taskType': name, 'lane': leases.RETURNED, 'returned': {'$gte': since}}
            page = list(self.tasks.find(where, _FOR_CHOICE, sort=[('returned', 1)], limit=limit))
            for found in page:
                if found['_id'] in seen or self._is_mine(found):
                    continue
                if found.get('load') in usable:
                    task = self._claim({'_id': found['_id'], 'lane': leases.HAS_PLACE, **self._not_mine()})
                    if task is not None:
                        return task
                elif found.get('load') not in passed:
                    passed = self._changes['passed'] = [*passed, found.get('load')]
            if self._held_up:
                return None
            if len(page) < limit:
                last = aware(page[-1]['returned']) + _ONE_MILLISECOND if page else since
                self._changes.update(returnedUntil=min(last, self.now - OVERLAP), returnedLast=newest)
                return None
            if aware(page[-1]['returned']) == since:  # a page full of one moment: its end is further away
                limit *= 2
            seen = {found['_id'] for found in page}
            since = aware(page[-1]['returned'])
            self._changes['returnedUntil'] = min(since, self.now - OVERLAP)

    def _next_fresh(self) -> dict[str, Any] | None:
        """The first fresh task behind my position in each open load; a load without one is done with for ever."""
        name = self.task_type.type_name
        for where in self._unseen():
            place = str(where['load'])
            task = self._claim({**where, **self._not_mine()})
            if not self._held_up:
                self._changes.setdefault('positions', {})[place] = task['ord'] if task else None
            if task is not None:
                return task
            self._look_further(where['load'])
        if not has_loose.get(name):
            return None
        return self._claim({'load': {'$in': _loose_loads(name)}, 'lane': leases.FRESH, **self._not_mine()})

    def _look_further(self, passed: ObjectId) -> None:
        """Learn which loads are used up: the one just passed, and the next ones until there is one that is not."""
        name, number, unknown = self.task_type.type_name, LOADS_AT_ONCE, [passed]
        while following := [unseen['load'] for unseen in islice(self._unseen(), number)]:
            if following[0] in (looked_into.known(name) or ()):
                return
            _look_into(name, [*unknown, *following])
            number, unknown = number * 4, []

    def _unseen(self) -> Iterator[dict[str, Any]]:
        """Conditions on the fresh tasks behind my position, load by load, where there may be some."""
        name = self.task_type.type_name
        positions = {**(self.progress.get('positions') or {}), **self._changes.get('positions', {})}
        for load in open_loads.get(name):
            place, empty = str(load.id), load.id in (worn_out.known(name) or ())
            if not load.loose and not empty and positions.get(place, 0) is not None:
                yield {'load': load.id, 'lane': leases.FRESH, 'ord': {'$gt': positions.get(place, -1)}}

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
        loads = [load.id for load in open_loads.get(self.task_type.type_name)]
        where = {'leases.user': self.user_id, 'taskType': self.task_type.type_name, 'expiry': {'$gt': EPOCH}}
        return self.tasks.find_one({**where, 'leases': alive, 'load': {'$in': loads}})

    def _plenty_left(self) -> bool:
        """Whether enough fresh tasks are left, in whatever batch, that fetching ahead takes none from others."""
        return has_plenty.get(self.task_type.type_name)

    def _claim(self, where: dict[str, Any], sort: Iterable[tuple[str, int]] = (('ord', 1),)) -> dict[str, Any] | None:
        where = {'lane': leases.HAS_PLACE, **where, 'leases.user': {'$ne': self.user_id}}
        try:
            return self._take_place(where, sort, PATIENCE_MS)
        except ExecutionTimeout:
            # A process has died in the middle of an answer: its task is locked until the server ends the transaction.
            self._held_up = True
        for found in list(self.tasks.find(where, {'_id': 1}, sort=list(sort), limit=PAGE)):
            with suppress(ExecutionTimeout):
                task = self._take_place({**where, '_id': found['_id']}, sort, PATIENCE_MS // 10)
                if task is not None:
                    return task
        return None

    def _take_place(
        self, where: dict[str, Any], sort: Iterable[tuple[str, int]], patience_ms: int
    ) -> dict[str, Any] | None:
        return self.tasks.find_one_and_update(
            where,
            leases.claim(self.user_id, self.until, self.task_type.redundancy, self.now),
            sort=list(sort),
            return_document=ReturnDocument.AFTER,
            maxTimeMS=patience_ms,
        )

    def _release(self, task_id: str) -> None:
        self.tasks.update_one({'_id': task_id, 'leases.user': self.user_id}, leases.release(self.user_id, self.now))

    def _give_back(self, task_id: str) -> None:
        """Release a place that could not be noted, unless another tab has noted the same one."""
        progress = Progress.raw(self.task_type.type_name, self.user_id)
        if task_id not in [progress.get('lease'), *(progress.get('ahead') or [])]:
            self._release(task_id)

    def _is_handed_out(self, task: dict[str, Any]) -> bool:
        """Whether the batch of a task in hand is open and not paused; a load we do not know may be a new one."""
        name = self.task_type.type_name
        return any(load.id == task.get('load') for fresh in (False, True) for load in open_loads.get(name, fresh=fresh))

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
        where = {'_id': self.key, 'lease': self.progress.get('lease')}
        if ahead is not None and self.progress:  # the list we have changed must still be the one we have read
            where['ahead'] = self.progress.get('ahead')
        update = {'$set': changes}
        if not self.progress:
            update['$setOnInsert'] = {'taskType': self.task_type.type_name, 'user': self.user_id, 'total': 0}
        try:
            written = self.everybody.update_one(where, update, upsert=not self.progress)
        except DuplicateKeyError:  # the document is there by now
            return False
        if not written.matched_count and written.upserted_id is None:
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


def reap(now: datetime, task_type: str | None = None) -> int:
    """Free the places whose leases have ended; returns the number of tasks touched."""
    where: dict[str, Any] = {'expiry': {'$gt': EPOCH, '$lte': now}}
    if task_type is not None:
        where['taskType'] = task_type
    try:
        with pymongo.timeout(PATIENCE_MS / 1000):
            return AbstractTask._get_collection().update_many(where, leases.sweep(now)).modified_count
    except PyMongoError as error:
        if not error.timeout:
            raise
        return 0  # a task is locked, see Assigner._claim; the next sweep does the rest
