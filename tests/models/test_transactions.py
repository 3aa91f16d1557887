"""All of an answer is stored or nothing, also when several people are fast at once; needs the real server."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from mongoengine.errors import OperationError
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, OperationFailure
from vulyk_plain.models.tasks import PlainAnswer, PlainTask

from tests.factories import answer, make_tasks, make_user
from vulyk import loading, signals
from vulyk.models.exc import AnswerConflictError, TaskSkipError
from vulyk.models.progress import Progress
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import AbstractTask, Batch, Closing
from vulyk.models.transaction import after_commit, in_transaction, is_alone
from vulyk.models.user import Group, User


def at_once(*actions: Callable[[], object]) -> list[object]:
    """Run all actions in threads that start together; their results, or the exceptions they raised."""
    start = threading.Barrier(len(actions))

    def run(action: Callable[[], object]) -> object:
        start.wait()
        try:
            return action()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


def all_stored(results: list[object]) -> bool:
    """Whether each is an answer, and not an exception."""
    return all(isinstance(result, PlainAnswer) for result in results)


def assert_counters_equal_documents() -> None:
    """What each document counts is what the other documents say."""
    for task in PlainTask.objects.no_dereference():
        answers = list(PlainAnswer.objects(task=task.id).no_dereference())
        assert task.users_count == sum(not item.extra for item in answers)
        assert sorted(user.id for user in task.users_processed) == sorted(item.created_by.id for item in answers)
        assert WorkSession.objects(task=task.id, end_time__ne=None).count() == len(answers)
    for user in User.objects:
        assert user.processed == PlainAnswer.objects(created_by=user).count()
    for batch in Batch.objects:
        closed = PlainTask.objects(batch=batch, closed=True).count()
        assert (batch.tasks_processed, batch.closed) == (closed, closed == batch.tasks_count)


# --- nothing half stored ----------------------------------------------------------------------------------------------


def broken(*args, **kwargs):
    raise RuntimeError('the power is gone')


@pytest.mark.parametrize(
    ('owner', 'method'),
    [
        (lambda kind: kind, '_update_task_on_answer'),
        (lambda kind: kind, '_is_ready_for_autoclose'),
        (lambda kind: kind.work_session_manager, 'end_work_session'),
        (lambda kind: Progress, 'count_answer'),
        (lambda kind: Closing, '_get_collection'),
    ],
)
def test_exception_in_the_middle_of_an_answer_leaves_nothing(variant, monkeypatch, owner, method):
    kind, user = variant(redundancy=1), make_user()
    (task,) = make_tasks(kind, 1)
    before = task.to_mongo()
    monkeypatch.setattr(owner(kind), method, broken)
    with pytest.raises(RuntimeError, match='the power is gone'):
        kind.on_task_done(user, task.id, {})
    assert (PlainAnswer.objects.count(), WorkSession.objects.count(), Progress.objects.count()) == (0, 0, 0)
    assert user.reload().processed == Batch.objects.get().tasks_processed == 0
    assert task.reload().to_mongo() == before


def test_exception_in_the_middle_of_an_answer_sends_no_signal(plain, monkeypatch):
    (task,), heard = make_tasks(plain, 1), []
    monkeypatch.setattr(Progress, 'count_answer', broken)
    with signals.on_task_done.connected_to(lambda sender, answer: heard.append(answer)), pytest.raises(RuntimeError):
        plain.on_task_done(make_user(), task.id, {})
    assert heard == []


def test_answer_can_be_given_again_after_it_failed(plain, monkeypatch):
    user, (task,) = make_user(), make_tasks(plain, 1)
    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(plain, '_update_task_on_answer', broken)
        plain.on_task_done(user, task.id, {'a': 1})
    assert answer(plain, task, user, {'a': 2}).users_count == 1


def test_batch_that_could_not_be_counted_is_counted_with_its_next_task(variant, monkeypatch):
    kind = variant(redundancy=1)
    one, other = make_tasks(kind, 2)
    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(Batch, 'count_closed', broken)
        kind.on_task_done(make_user(), one.id, {})
    assert (one.reload().closed, Batch.objects.get().tasks_processed) == (True, 0)
    answer(kind, other, make_user())
    assert (Batch.objects.get().tasks_processed, Batch.objects.get().closed) == (2, True)


def test_refused_skip_leaves_nothing(plain):
    user, (task,) = make_user(), make_tasks(plain, 1)
    answer(plain, task, user)
    with pytest.raises(TaskSkipError):
        plain.skip_task(task.id, user)
    assert task.reload().users_skipped == []


def test_import_that_fails_late_leaves_nothing(plain, monkeypatch):
    records = [{'n': number} for number in range(1200)]
    real, calls = loading.new_documents, []

    def fail_the_second_time(*args, **kwargs):
        calls.append(1)
        return broken() if len(calls) == 2 else real(*args, **kwargs)

    monkeypatch.setattr(loading, 'new_documents', fail_the_second_time)
    with pytest.raises(RuntimeError):
        plain.import_tasks(records, 'b1')
    assert AbstractTask.objects.count() == 0


# --- the helper itself ------------------------------------------------------------------------------------------------


def make_group(gid: str) -> Group:
    return Group(id=gid).save()


def test_writes_of_a_transaction_are_invisible_until_it_ends(app):
    def work():
        make_group('g')
        with ThreadPoolExecutor(1) as stranger:
            return stranger.submit(lambda: Group.objects(pk='g').count()).result()

    assert in_transaction(work) == 0
    assert Group.objects(pk='g').count() == 1


def test_inner_transaction_belongs_to_the_outer_one(app):
    def work():
        in_transaction(lambda: make_group('inner'))
        broken()

    with pytest.raises(RuntimeError):
        in_transaction(work)
    assert Group.objects(pk='inner').count() == 0


def test_actions_run_in_order_after_the_commit_and_not_after_a_failure(app):
    seen = []

    def work():
        make_group('g')
        for name in 'ab':
            after_commit(lambda name=name: seen.append((name, Group.objects(pk='g').count())))
        assert seen == []

    in_transaction(work)
    with pytest.raises(RuntimeError):
        in_transaction(lambda: (after_commit(lambda: seen.append('never')), broken()))
    assert seen == [('a', 1), ('b', 1)]


def test_action_outside_of_a_transaction_runs_at_once():
    seen = []
    after_commit(lambda: seen.append('now'))
    assert seen == ['now']


@pytest.mark.parametrize('hidden', [False, True], ids=['by the driver', 'hidden by mongoengine'])
def test_transaction_is_repeated_after_a_write_conflict(app, hidden):
    conflict = OperationFailure('WriteConflict', 112, {'errorLabels': ['TransientTransactionError']})
    attempts = []

    def work():
        attempts.append(1)
        if len(attempts) < 3:
            try:
                raise conflict
            except OperationFailure as error:
                if not hidden:
                    raise
                raise OperationError('Could not save document') from error
        return make_group('g').id

    assert in_transaction(work) == 'g'
    assert len(attempts) == 3


def test_actions_of_a_repeated_attempt_run_once(app):
    seen, attempts = [], []

    def work():
        attempts.append(1)
        after_commit(lambda: seen.append(len(attempts)))
        if len(attempts) < 3:
            raise AutoReconnect('lost', errors={'errorLabels': ['TransientTransactionError']})

    in_transaction(work)
    assert seen == [3]


# --- several at once --------------------------------------------------------------------------------------------------


def test_of_six_answers_at_once_exactly_redundancy_count(plain):
    (task,), users = make_tasks(plain, 1), [make_user() for _ in range(6)]
    results = at_once(*(lambda user=user: plain.on_task_done(user, task.id, {'by': str(user.id)}) for user in users))
    assert all_stored(results)
    assert (task.reload().users_count, task.closed, PlainAnswer.objects(extra=True).count()) == (2, True, 4)
    assert_counters_equal_documents()


def test_last_two_tasks_finished_at_once_close_the_batch_exactly_once(plain):
    tasks, announced = make_tasks(plain, 2, batch='b1'), []
    for task in tasks:
        answer(plain, task, make_user())
    users = [make_user(), make_user()]

    def batch_done(sender):
        announced.append(sender.id)

    with signals.on_batch_done.connected_to(batch_done):
        results = at_once(
            *(lambda n=n: plain.on_task_done(users[n], tasks[n].id, {}) for n in (0, 1)),
        )
    assert all_stored(results)
    assert announced == ['b1']
    assert_counters_equal_documents()


def test_answer_submitted_five_times_at_once_is_stored_once(plain):
    user, (task,) = make_user(), make_tasks(plain, 1)
    assert all_stored(at_once(*[lambda: plain.on_task_done(user, task.id, {'a': 1})] * 5))
    assert PlainAnswer.objects.count() == task.reload().users_count == user.reload().processed == 1
    assert_counters_equal_documents()


def test_of_five_different_answers_at_once_one_wins_and_the_others_are_conflicts(plain):
    user, (task,) = make_user(), make_tasks(plain, 1)
    results = at_once(*(lambda n=n: plain.on_task_done(user, task.id, {'n': n}) for n in range(5)))
    (number,) = [number for number, result in enumerate(results) if not isinstance(result, AnswerConflictError)]
    assert PlainAnswer.objects.get() == results[number]
    assert results[number].result == {'n': number}
    assert_counters_equal_documents()


def test_skip_and_done_at_once_leave_no_trace_of_the_loser(plain):
    user, (task,) = make_user(), make_tasks(plain, 1)
    plain.get_next(user)
    done, skipped = at_once(
        lambda: plain.on_task_done(user, task.id, {}),
        lambda: plain.skip_task(task.id, user),
    )
    assert all_stored([done])
    assert skipped is None or isinstance(skipped, TaskSkipError)
    assert WorkSession.objects.get().answer == PlainAnswer.objects.get()
    assert_counters_equal_documents()


def test_next_in_five_tabs_at_once_opens_one_session(plain):
    user, _ = make_user(), make_tasks(plain, 1)
    given = at_once(*[lambda: plain.get_next(user)['id']] * 5)
    assert len(set(given)) == 1
    assert WorkSession.objects.count() == 1


def test_many_users_drain_a_batch_and_all_counters_agree(plain):
    make_tasks(plain, 6, batch='b1')

    def work(user):
        while task := plain.get_next(user):
            plain.on_task_done(user, task['id'], {'by': str(user.id)})

    assert at_once(*(lambda user=make_user(): work(user) for _ in range(4))) == [None] * 4
    assert Batch.objects.get().closed
    assert_counters_equal_documents()


def test_activity_reported_by_two_tabs_never_exceeds_the_time_that_has_passed(plain):
    user, (task,) = make_user(), make_tasks(plain, 1)
    plain.get_next(user)
    session = WorkSession.objects.get()
    session.modify(start_time=session.start_time - timedelta(days=365))
    passed_s = 365 * 24 * 3600
    at_once(*[lambda: plain.record_activity(user.id, task.id, passed_s * 2 // 3)] * 4)
    assert WorkSession.objects.get().activity == passed_s * 2 // 3


# --- turns ------------------------------------------------------------------------------------------------------------


def test_threads_take_turns_with_what_is_about_the_same():
    user = make_user()
    at_work: list[int] = []

    def work() -> int:
        at_work.append(1)
        User.objects(pk=user.id).update_one(inc__processed=1)
        together = len(at_work)
        at_work.pop()
        return together

    assert at_once(*[lambda: in_transaction(work, turn='her')] * 6) == [1] * 6
    assert User.objects.get(pk=user.id).processed == 6


def test_turn_is_over_when_the_transaction_is_stored():
    told: list[str] = []

    def tell() -> None:
        in_transaction(lambda: told.append('her'), turn='mine')

    in_transaction(lambda: after_commit(tell), turn='mine')
    assert told == ['her']


@pytest.mark.parametrize(('hosts', 'alone'), [(['a.invalid'], True), (['a.invalid', 'b.invalid', 'c.invalid'], False)])
def test_only_where_no_other_server_can_take_over_nobody_waits_until_it_is_safe(hosts, alone):
    client = MongoClient(hosts, connect=False)
    assert is_alone(client) is alone
    client.close()
