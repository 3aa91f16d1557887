"""Background work: done at least once, never lost, by one worker at a time."""

import logging
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mongoengine.connection import get_db
from pymongo.errors import AutoReconnect, DuplicateKeyError

from tests.ext.test_leases import at_once
from tests.factories import answer, make_tasks, make_user
from vulyk import jobs
from vulyk.ext import counting
from vulyk.jobs import DEAD, LEASED, MAX_TRIES, READY, Duty, Job, Worker, enqueue, job, sweep_if_due, work
from vulyk.models.exc import TaskNotFoundError
from vulyk.models.tasks import Batch, Closing
from vulyk.models.transaction import in_transaction

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
done: list[Any] = []


@job
def note(what: Any) -> None:
    """A job that is easy to watch."""
    if isinstance(what, Exception):
        raise what
    done.append(what)


@job
def fail(kind: str) -> None:
    """A job that never works."""
    raise {'value': ValueError('never'), 'database': DuplicateKeyError('never'), 'away': AutoReconnect('gone')}[kind]


@job
def die() -> None:
    """A job that takes its worker with it."""
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(autouse=True)
def _nothing_is_done_yet(app) -> None:
    done.clear()


def states() -> list[tuple[str, int]]:
    """State and number of tries of each job."""
    return list(Job.objects.order_by('id').scalar('state', 'tries'))


# --- enqueueing -------------------------------------------------------------------------------------------------------


def test_job_is_done_once_with_its_arguments_and_forgotten():
    enqueue(note, run_at=NOW, what={'a': [1]})
    assert [work('w', NOW), work('w', NOW)] == [True, False]
    assert done == [{'a': [1]}]
    assert Job.objects.count() == 0


def test_job_of_a_transaction_that_fails_is_not_enqueued():
    def cause() -> None:
        enqueue(note, what=1)
        enqueue(note, unique='key', what=2)
        raise RuntimeError('no')

    with pytest.raises(RuntimeError):
        in_transaction(cause)
    assert Job.objects.count() == 0


def test_job_of_a_transaction_that_is_repeated_is_enqueued_once():
    attempts = []

    def cause() -> None:
        attempts.append(1)
        enqueue(note, what=1)
        enqueue(note, unique='key', what=2)
        if len(attempts) < 3:
            raise AutoReconnect('lost', errors={'errorLabels': ['TransientTransactionError']})

    in_transaction(cause)
    assert Job.objects.count() == 2


def test_job_is_not_seen_before_its_cause_is_stored():
    def cause() -> bool:
        enqueue(note, what=1)
        return at_once(lambda: work('w', datetime.now(UTC)))[0]

    assert in_transaction(cause) is False
    assert Job.objects.count() == 1


def test_job_with_a_key_is_enqueued_once_until_it_is_done():
    assert [enqueue(note, unique='key', run_at=NOW, what=number) for number in (1, 2)] == [True, False]
    work('w', NOW)
    assert enqueue(note, unique='key', run_at=NOW, what=3) is True
    assert done == [1]


def test_job_with_a_key_is_enqueued_once_by_several_at_once():
    for number in range(10):
        results = at_once(*[lambda number=number: enqueue(note, unique=f'key {number}', what=number)] * 5)
        assert sorted(results) == [False] * 4 + [True]
    assert Job.objects.count() == 10


def test_dead_job_with_a_key_stays_in_the_way():
    enqueue(note, unique='key', what=1)
    Job.objects.update(set__state=DEAD)
    assert enqueue(note, unique='key', what=2) is False


def test_function_that_is_no_job_is_refused():
    with pytest.raises(ValueError, match='is no job'):
        enqueue(answer)


# --- working ----------------------------------------------------------------------------------------------------------


def test_job_waits_for_its_time_and_the_oldest_comes_first():
    for minutes in (3, 1, 2):
        enqueue(note, run_at=NOW + timedelta(minutes=minutes), what=minutes)
    assert not work('w', NOW)
    while work('w', NOW + timedelta(minutes=2)):
        pass
    assert done == [1, 2]


def test_job_that_fails_is_tried_again_later_and_later_and_then_kept_as_dead(caplog):
    caplog.set_level(logging.ERROR)
    enqueue(fail, run_at=NOW, kind='value')
    now, waits = NOW, []
    for _ in range(MAX_TRIES):
        assert work('w', now)
        found = Job.objects.get()
        waits.append((found.run_at - now).total_seconds())
        assert not work('w', found.run_at - timedelta(milliseconds=1))
        now = found.run_at
    assert waits == [2, 4, 8, 16, 32]
    assert (found.state, found.tries, found.error) == (DEAD, MAX_TRIES, 'ValueError: never')
    assert not work('w', now + timedelta(days=1))
    assert 'try 5 of 5' in caplog.text


def test_failing_job_does_not_hold_up_the_others():
    enqueue(fail, run_at=NOW, kind='value')
    enqueue(note, run_at=NOW, what=1)
    assert [work('w', NOW) for _ in range(3)] == [True, True, False]
    assert done == [1]


def test_job_that_no_program_knows_any_more_ends_as_dead():
    enqueue(note, run_at=NOW, what=1)
    Job.objects.update(set__kind='gone.for.ever')
    for _ in range(MAX_TRIES):
        work('w', Job.objects.get().run_at)
    assert Job.objects.get().state == DEAD


def test_job_that_meets_a_database_that_is_away_is_left_to_its_next_worker():
    enqueue(fail, run_at=NOW, kind='away')
    with pytest.raises(AutoReconnect):
        work('w', NOW)
    assert states() == [(LEASED, 1)]


def test_job_that_the_database_refuses_for_ever_ends_as_dead():
    enqueue(fail, run_at=NOW, kind='database')
    now = NOW
    for _ in range(MAX_TRIES + 1):
        work('w', now)
        now += timedelta(minutes=2)
    assert [state for state, _ in states()] == [DEAD]


def test_job_of_a_worker_that_died_is_done_by_the_next_after_a_minute():
    enqueue(note, run_at=NOW, what=1)
    assert jobs.claim('killed', NOW)
    assert not work('next', NOW + timedelta(seconds=59))
    assert work('next', NOW + timedelta(seconds=60))
    assert done == [1]


def test_worker_that_comes_back_too_late_does_not_touch_the_job_of_the_next_one(monkeypatch):
    enqueue(note, run_at=NOW, what=1)

    def slow(what: Any) -> None:
        assert jobs.claim('next', NOW + timedelta(minutes=2))

    monkeypatch.setitem(jobs._JOBS, f'{__name__}.note', slow)
    work('slow', NOW)
    assert Job.objects.get().worker == 'next'


def test_long_job_is_not_begun_by_another_worker(monkeypatch):
    renewed = threading.Event()
    monkeypatch.setattr(jobs, 'RENEW_SECONDS', 0.001)

    def slow(what: Any) -> None:
        deadline = datetime.now(UTC) + timedelta(seconds=10)
        while datetime.now(UTC) < deadline and not renewed.is_set():
            if Job.objects.get().lease_until > NOW:
                renewed.set()

    monkeypatch.setitem(jobs._JOBS, jobs._name(note), slow)
    enqueue(note, what=1, run_at=NOW - timedelta(days=2))
    work('mine', NOW - timedelta(days=1))
    assert renewed.is_set()
    assert Job.objects.count() == 0


def test_dead_job_can_be_tried_again_or_discarded():
    enqueue(note, what=1, run_at=NOW)
    enqueue(note, what=2, run_at=NOW)
    first, second = Job.objects.order_by('id').scalar('id')
    Job.objects.update(state=DEAD, tries=5)
    assert (jobs.retry(first, NOW), jobs.discard(second)) == (True, True)
    assert jobs.counts() == {'ready': 1, 'leased': 0, 'dead': 0}
    assert work('w', NOW)
    assert done == [1]


def test_job_in_somebodys_hands_is_neither_started_again_nor_discarded():
    enqueue(note, what=1, run_at=NOW)
    claimed = jobs.claim('w', NOW)
    assert (jobs.retry(claimed['_id'], NOW), jobs.discard(claimed['_id'])) == (False, False)
    assert jobs.counts()['leased'] == 1


def test_missing_worker_is_noticed_until_somebody_sweeps_or_has_a_job_in_hand():
    assert (jobs.last_sweep(), jobs.worker_is_missing(NOW)) == (None, True)
    sweep_if_due('w', NOW)
    assert jobs.last_sweep() == NOW
    assert not jobs.worker_is_missing(NOW + timedelta(seconds=119))
    assert jobs.worker_is_missing(NOW + timedelta(seconds=121))
    enqueue(note, what=1, run_at=NOW)
    jobs.claim('w', NOW + timedelta(seconds=100))
    assert not jobs.worker_is_missing(NOW + timedelta(seconds=121))


def test_job_that_kills_its_workers_ends_as_dead():
    enqueue(note, run_at=NOW, what=1)
    now = NOW
    for _ in range(MAX_TRIES):
        assert jobs.claim('killed', now)
        now += timedelta(minutes=2)
    work('careful', now)
    assert (states()[0][0], done) == (DEAD, [])


def test_job_is_done_by_one_of_many_workers():
    for number in range(30):
        enqueue(note, run_at=NOW, what=number)

    def drain(name: str) -> None:
        while work(name, NOW):
            pass

    at_once(*(lambda name=f'w{number}': drain(name) for number in range(4)))
    assert sorted(done) == list(range(30))


def test_killed_process_leaves_its_job_to_the_next_worker(app, mongo_uri):
    enqueue(note, run_at=NOW, what='done after all')
    enqueue(die, run_at=NOW - timedelta(minutes=1))
    child = (
        'import sys, mongoengine; mongoengine.connect(sys.argv[1], host=sys.argv[2], tz_aware=True);'
        'from tests.ext.test_jobs import *; work("child", NOW)'
    )
    command = [sys.executable, '-c', child, get_db().name, mongo_uri]
    killed = subprocess.run(command, cwd=Path(__file__).parents[2], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert states() == [(READY, 0), (LEASED, 1)]
    Job.objects(kind__endswith='die').delete()
    assert work('parent', NOW)
    assert done == ['done after all']


# --- the sweeper ------------------------------------------------------------------------------------------------------


def test_sweep_is_done_by_one_of_several_and_again_half_a_minute_later(monkeypatch):
    swept = []
    monkeypatch.setattr(jobs, 'sweep', swept.append)
    assert sorted(at_once(*(lambda n=n: sweep_if_due(f'w{n}', NOW) for n in range(6)))) == [False] * 5 + [True]
    assert not sweep_if_due('other', NOW + timedelta(seconds=29))
    later = NOW + timedelta(seconds=31)
    assert sorted(at_once(*(lambda n=n: sweep_if_due(f'w{n}', later) for n in range(6)))) == [False] * 5 + [True]
    assert swept == [NOW, later]


def test_sweep_of_a_process_that_died_is_taken_over_after_a_minute(monkeypatch):
    def dies(now: datetime) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(jobs, 'sweep', dies)
        sweep_if_due('killed', NOW)
    assert not sweep_if_due('other', NOW + timedelta(seconds=59))
    assert sweep_if_due('other', NOW + timedelta(seconds=61))
    assert Duty.objects.get(pk='sweep').holder == 'other'


def test_sweep_frees_places_and_completes_batches(variant, clock):
    kind = variant(redundancy=1)
    one, other = make_tasks(kind, 2, batch='b')
    kind.get_next(make_user())
    for task in (one, other):
        answer(kind, task, make_user())
    Batch.objects.update(set__tasks_processed=1, set__closed=False)
    Closing(id=one.id, batch='b').save()
    counting.AbstractTask.objects(pk=other.id).update(set__closed=False, set__users_count=0)
    kind.get_next(make_user())
    clock.later(minutes=31)
    jobs.sweep(clock())
    assert (Batch.objects.get().tasks_processed, Batch.objects.get().closed) == (2, True)
    assert counting.AbstractTask._get_collection().count_documents({'leases.user': {'$exists': True}}) == 0


def test_worker_sweeps_works_and_survives_errors(monkeypatch, caplog):
    steps = []

    def step(self: Worker) -> bool:
        steps.append(1)
        if len(steps) == 2:
            raise TaskNotFoundError('a bad document')
        if len(steps) == 4:
            self.stop()
        return len(steps) % 2 == 1

    monkeypatch.setattr(Worker, 'step', step)
    Worker(0.001).run()
    assert len(steps) == 4
    assert 'a bad document' in caplog.text


def test_step_of_a_worker_sweeps_and_does_one_job():
    enqueue(note, what=1)
    enqueue(note, what=2)
    worker = Worker(0)
    assert worker.step()
    assert (done, Duty.objects.get(pk='sweep').holder) == ([1], worker.name)
