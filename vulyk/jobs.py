"""Background work: a queue in MongoDB, and the sweeper that completes what a crash left unfinished.

A job is enqueued in the same transaction as what causes it, so that there is never one without the other. It is done at
least once: a worker that dies leaves its job to the next one. ``manage.py worker`` runs jobs and sweeps; without it a thread
of one web process at a time does.
"""

import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from bson import ObjectId
from flask_mongoengine.documents import Document
from mongoengine import DateTimeField, DictField, IntField, StringField
from pymongo import ReturnDocument
from pymongo.errors import ConnectionFailure, DuplicateKeyError, PyMongoError

from vulyk import logs
from vulyk.ext import counting
from vulyk.ext.assignment import reap
from vulyk.ext.worksession import WorkSessionManager
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import AbstractAnswer, Batch, Closing, WithdrawnAnswer

log = logging.getLogger(__name__)

F = TypeVar('F', bound=Callable[..., Any])

LEASE = timedelta(seconds=60)
RENEW_SECONDS = 20
MAX_TRIES = 5
SWEEP_EVERY = timedelta(seconds=30)
MISSED = timedelta(seconds=90)  # nobody has swept for so long after it was due: nobody works

READY, LEASED, DEAD = 'ready', 'leased', 'dead'
_JOBS: dict[str, Callable[..., Any]] = {}
_DAILY: dict[str, Callable[[datetime], None]] = {}


class Job(Document):
    """Work to do: ``kind`` names the function, ``args`` are its keywords. ``dead`` jobs have failed too often."""

    kind = StringField(required=True)
    args = DictField()
    state = StringField(required=True, choices=(READY, LEASED, DEAD))
    run_at = DateTimeField(required=True, db_field='runAt')
    tries = IntField(default=0)
    unique_key = StringField(db_field='uniqueKey')
    worker = StringField()
    lease_until = DateTimeField(db_field='leaseUntil')
    error = StringField()

    meta = {
        'collection': 'jobs',
        'auto_create_index': False,
        'indexes': [
            ('state', 'run_at'),
            {
                'fields': ['unique_key'],
                'unique': True,
                'partialFilterExpression': {'uniqueKey': {'$gte': ''}},  # a condition that equality implies
            },
        ],
    }


class Duty(Document):
    """Something only one process does at a time: who, and until when he may be trusted to be alive."""

    id = StringField(primary_key=True)
    holder = StringField()
    until = DateTimeField()
    next_at = DateTimeField(db_field='nextAt')

    meta = {'collection': 'duties', 'auto_create_index': False}


def job(function: F) -> F:
    """Make a function a job: ``enqueue(function, …)`` has it called later, by its dotted name, with keywords of JSON types."""
    _JOBS[_name(function)] = function
    return function


def enqueue(
    function: Callable[..., Any], *, run_at: datetime | None = None, unique: str | None = None, **args: Any
) -> bool:
    """Have a job done later; inside a transaction only if that is stored.

    :param run_at: not before then.
    :param unique: a job with this key that is waiting, running or dead is not enqueued again.
    :returns: False if there is such a job.
    :raises ValueError: the function is no job.
    """
    if _name(function) not in _JOBS:
        raise ValueError(f'{_name(function)} is no job; decorate it with @job.')
    document = {'kind': _name(function), 'args': args, 'state': READY, 'runAt': run_at or datetime.now(UTC), 'tries': 0}
    if unique is None:
        Job._get_collection().insert_one(document)
        return True
    # An upsert, because a duplicate key would end the transaction of the caller.
    outcome = Job._get_collection().update_one({'uniqueKey': unique}, {'$setOnInsert': document}, upsert=True)
    return outcome.upserted_id is not None


def claim(worker: str, now: datetime) -> dict[str, Any] | None:
    """Take the job that has waited longest, or one whose worker has died; None if there is none."""
    for state, field in ((READY, 'runAt'), (LEASED, 'leaseUntil')):
        found = Job._get_collection().find_one_and_update(
            {'state': state, field: {'$lte': now}},
            {'$set': {'state': LEASED, 'worker': worker, 'leaseUntil': now + LEASE}, '$inc': {'tries': 1}},
            sort=[('runAt', 1)],
            return_document=ReturnDocument.AFTER,
        )
        if found is not None:
            return found
    return None


def work(worker: str, now: datetime) -> bool:
    """Do one job, if there is one. A job that fails is tried again later; after ``MAX_TRIES`` it is dead and kept."""
    claimed = claim(worker, now)
    if claimed is None:
        return False
    mine = {'_id': claimed['_id'], 'worker': worker}
    if claimed['tries'] > MAX_TRIES:
        log.error('Job %s has taken %d workers with it; it is not tried again', claimed['kind'], MAX_TRIES)
        Job._get_collection().update_one(mine, {'$set': {'state': DEAD, 'error': 'every worker that tried it died'}})
        return True
    try:
        with _renewed(mine), logs.working_on(f'job {claimed["_id"]}'):
            _JOBS[claimed['kind']](**claimed['args'])
    except ConnectionFailure:
        raise  # the database is away: the lease ends and somebody tries again
    except Exception as error:
        log.exception('Job %s failed (try %d of %d)', claimed['kind'], claimed['tries'], MAX_TRIES)
        state = DEAD if claimed['tries'] >= MAX_TRIES else READY
        later = now + timedelta(seconds=2 ** claimed['tries'])
        changes = {'state': state, 'runAt': later, 'error': f'{type(error).__name__}: {error}'}
        Job._get_collection().update_one(mine, {'$set': changes})
    else:
        Job._get_collection().delete_one(mine)
    return True


@contextmanager
def _renewed(mine: dict[str, Any]) -> Iterator[None]:
    """Keep a job ours for as long as it takes: another worker must not begin it while we are at it."""
    is_over = threading.Event()

    def renew() -> None:
        while not is_over.wait(RENEW_SECONDS):
            try:
                Job._get_collection().update_one(mine, {'$set': {'leaseUntil': datetime.now(UTC) + LEASE}})
            except PyMongoError:
                log.warning('The lease of a job could not be renewed', exc_info=True)

    thread = threading.Thread(target=renew, name='vulyk-lease', daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def counts() -> dict[str, int]:
    """How many jobs are in each state: ``{'ready', 'leased', 'dead'}``, read from an index."""
    return {state: Job._get_collection().count_documents({'state': state}) for state in (READY, LEASED, DEAD)}


def retry(job_id: ObjectId, now: datetime) -> bool:
    """Have a dead or waiting job done now, with all its tries; False if there is none of that id."""
    again = {'$set': {'state': READY, 'runAt': now, 'tries': 0}, '$unset': {'worker': '', 'leaseUntil': ''}}
    idle = {'_id': job_id, 'state': {'$in': [READY, DEAD]}}
    return Job._get_collection().update_one(idle, again).matched_count == 1


def discard(job_id: ObjectId) -> bool:
    """Delete a dead or waiting job; False if there is none of that id, or it is being done."""
    idle = {'_id': job_id, 'state': {'$in': [READY, DEAD]}}
    return Job._get_collection().delete_one(idle).deleted_count == 1


def last_sweep() -> datetime | None:
    """When somebody has swept for the last time; None if nobody ever has."""
    duty = Duty._get_collection().find_one({'_id': 'sweep'}) or {}
    return duty['nextAt'] - SWEEP_EVERY if duty.get('nextAt') else None


def worker_is_missing(now: datetime) -> bool:
    """Whether nobody does background work: no sweep for a while, and no job in anybody's hands."""
    swept = last_sweep()
    if swept is not None and now < swept + SWEEP_EVERY + MISSED:
        return False
    return Job._get_collection().find_one({'state': LEASED, 'leaseUntil': {'$gt': now}}, {'_id': 1}) is None


def sweep(now: datetime) -> None:
    """Complete what crashes and failed receivers left: places, batches, signals."""
    reap(now)
    for batch_id in Closing._get_collection().distinct('batch'):
        counting.fold_closings(batch_id, now)
    while (answer := counting.claim_due(AbstractAnswer, now)) is not None:
        counting.tell_task_done(WorkSessionManager(WorkSession), answer)
    while (batch := counting.claim_due(Batch, now)) is not None:
        counting.tell_batch_done(batch.id)
    while (withdrawn := counting.claim_due(WithdrawnAnswer, now)) is not None:
        counting.tell_withdrawn(withdrawn.id)
    for name, function in _DAILY.items():
        _do_daily(name, function, now)


def daily(function: Callable[[datetime], None]) -> None:
    """Have a function called once a day, with the time, by whichever process sweeps."""
    _DAILY[_name(function)] = function


def _do_daily(name: str, function: Callable[[datetime], None], now: datetime) -> None:
    due = {'_id': name, 'nextAt': {'$not': {'$gt': now}}}
    try:
        Duty._get_collection().update_one(due, {'$set': {'nextAt': now + timedelta(days=1)}}, upsert=True)
    except DuplicateKeyError:  # not yet
        return
    try:
        function(now)
    except ConnectionFailure:
        Duty._get_collection().delete_one({'_id': name})
        raise
    except Exception:
        log.exception('%s failed; it is tried again tomorrow', name)


def sweep_if_due(holder: str, now: datetime) -> bool:
    """Sweep if nobody has for ``SWEEP_EVERY`` and nobody else is at it."""
    free = {'_id': 'sweep', 'nextAt': {'$not': {'$gt': now}}, 'until': {'$not': {'$gt': now}}}
    duties = Duty._get_collection()
    try:
        duties.update_one(free, {'$set': {'holder': holder, 'until': now + LEASE}}, upsert=True)
    except DuplicateKeyError:  # the document is there, and not free
        return False
    sweep(now)
    duties.update_one({'_id': 'sweep', 'holder': holder}, {'$set': {'until': None, 'nextAt': now + SWEEP_EVERY}})
    return True


class Worker:
    """Does jobs and sweeps until it is told to stop.

    :param poll_seconds: how long to wait when there is nothing to do.
    """

    def __init__(self, poll_seconds: float) -> None:
        self.name = uuid.uuid4().hex
        self.poll_seconds = poll_seconds
        self._stop = threading.Event()

    def stop(self) -> None:
        """End :meth:`run` after the job at hand."""
        self._stop.set()

    def run(self) -> None:
        """Work until :meth:`stop`; survives a database that is away for a while."""
        while not self._stop.is_set():
            try:
                busy = self.step()
            except Exception:  # a worker that dies of one bad document would leave everything undone
                log.exception('Background work failed; it goes on in %s s', self.poll_seconds)
                busy = False
            if not busy:
                self._stop.wait(self.poll_seconds)

    def step(self) -> bool:
        """One sweep if it is due, and one job; whether there was a job."""
        sweep_if_due(self.name, datetime.now(UTC))
        return work(self.name, datetime.now(UTC))


def _name(function: Callable[..., Any]) -> str:
    return f'{function.__module__}.{function.__qualname__}'
