"""Withdrawn answers, changed redundancy, early closing, and the signals that must not be lost."""

import logging
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from vulyk_plain.models.tasks import PlainAnswer, PlainTask

from tests.ext.test_leases import at_once
from tests.factories import answer, make_tasks, make_user
from vulyk import jobs, signals
from vulyk.ext import consistency, counting
from vulyk.models.exc import AnswerConflictError, AnswerWithdrawalError, TaskNotFoundError
from vulyk.models.fields import decode
from vulyk.models.progress import Progress
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import AbstractAnswer, Batch, Closing, WithdrawnAnswer

SIGNALS = {
    'task': signals.on_task_done,
    'batch': signals.on_batch_done,
    'withdrawn': signals.on_answer_withdrawn,
}


@pytest.fixture
def heard():
    """What the signals have said: ``(name, sender)``, while ``heard.failing`` holds no name of it."""

    class Heard(list):
        failing: set[str] = set()

    messages = Heard()
    messages.failing = set()
    receivers = []
    for name in SIGNALS:

        def receive(sender: Any, name: str = name, **keywords: Any) -> None:
            if name in messages.failing:
                raise RuntimeError(f'no {name} today')
            messages.append((name, keywords.get('answer', sender)))

        receivers.append(receive)
        SIGNALS[name].connect(receive)
    yield messages
    for signal, receiver in zip(SIGNALS.values(), receivers, strict=True):
        signal.disconnect(receiver)


@pytest.fixture
def closed_task(variant):
    """A type with redundancy 2, its only task, and the two people whose answers have closed it."""
    kind = variant(redundancy=2)
    (task,) = make_tasks(kind, 1, batch='b')
    users = [make_user(), make_user()]
    for user in users:
        answer(kind, task, user, {'by': user.username})
    return kind, task.reload(), users


def counts(task: PlainTask) -> tuple[int, bool]:
    task.reload()
    return task.users_count, task.closed


def batch_counts(batch: str = 'b') -> tuple[int, bool]:
    found = Batch.objects.get(pk=batch)
    return found.tasks_processed, found.closed


def extras() -> list[bool]:
    return [bool(item.extra) for item in PlainAnswer.objects.order_by('id')]


def no_problems() -> bool:
    return list(consistency.check()) == []


# --- withdrawing ------------------------------------------------------------------------------------------------------


def test_withdrawn_answer_is_kept_with_who_when_and_why(closed_task, clock):
    _, task, (user, admin) = closed_task
    stored = PlainAnswer.objects.get(created_by=user)
    assert counting.withdraw(stored.id, 2, by=admin, reason='a robot', now=clock())
    kept = WithdrawnAnswer._get_collection().find_one({'_id': stored.id})
    assert (kept['withdrawnBy'], kept['withdrawnAt'], kept['reason']) == (admin.id, clock(), 'a robot')
    given = kept['answer']
    assert (given['task'], given['createdBy'], decode(given['result'])) == (task.id, user.id, {'by': user.username})


def test_withdrawing_reopens_task_and_batch_and_corrects_every_number(closed_task, clock):
    kind, task, (user, other) = closed_task
    kind.withdraw_answer(user, task.id)
    assert (counts(task), batch_counts()) == ((1, False), (0, False))
    assert [person.id for person in task.users_processed] == [other.id]
    assert (user.reload().processed, kind.stats_of(user.id)['total'], other.reload().processed) == (0, 0, 1)
    assert [row['user'].id for row in kind.get_leaderboard()] == [other.id]
    assert (PlainAnswer.objects.count(), WorkSession.objects(end_time__ne=None).count()) == (1, 1)
    assert no_problems()


def test_reopened_task_is_offered_to_its_author_and_to_others_and_closes_again(closed_task, heard):
    kind, task, (user, _) = closed_task
    kind.withdraw_answer(user, task.id)
    stranger = make_user()
    assert kind.get_next(stranger)['id'] == task.id
    kind.return_ahead(stranger)
    kind.skip_task(task.id, stranger)
    assert kind.get_next(user)['id'] == task.id
    answer(kind, task, user, {'better': True})
    assert (counts(task), batch_counts()) == ((2, True), (1, True))
    assert [name for name, _ in heard] == ['withdrawn', 'task', 'batch']
    assert no_problems()


def test_withdrawing_one_of_three_makes_the_extra_answer_count(closed_task, clock):
    kind, task, (user, _) = closed_task
    clock.later(seconds=1)
    answer(kind, task, make_user())
    assert extras() == [False, False, True]
    kind.withdraw_answer(user, task.id)
    assert extras() == [False, False]
    assert (counts(task), batch_counts()) == ((2, True), (1, True))
    assert no_problems()


def test_withdrawing_an_extra_answer_leaves_the_task_closed(closed_task, clock):
    kind, task, _ = closed_task
    late = make_user()
    clock.later(seconds=1)
    answer(kind, task, late)
    kind.withdraw_answer(late, task.id)
    assert (counts(task), batch_counts(), extras()) == ((2, True), (1, True), [False, False])


def test_withdrawing_an_extra_answer_leaves_a_task_closed_early(variant):
    kind = variant(redundancy=5, _is_ready_for_autoclose=lambda self, task, answer: answer.result == {'sure': True})
    (task,) = make_tasks(kind, 1, batch='b')
    late = make_user()
    answer(kind, task, make_user(), {'sure': True})
    answer(kind, task, late)
    kind.withdraw_answer(late, task.id)
    assert (counts(task), batch_counts()) == ((1, True), (1, True))
    assert no_problems()


def test_extra_answers_to_a_task_closed_early_stay_extra_when_one_of_them_is_withdrawn(variant):
    kind = variant(redundancy=5, _is_ready_for_autoclose=lambda self, task, answer: answer.result == {'sure': True})
    (task,) = make_tasks(kind, 1, batch='b')
    late = make_user()
    answer(kind, task, make_user(), {'sure': True})
    for user in (late, make_user()):
        answer(kind, task, user)
    kind.withdraw_answer(late, task.id)
    assert (counts(task), extras()) == ((1, True), [False, True])
    assert no_problems()


def test_withdrawing_the_answer_that_closed_a_task_early_reopens_it(variant):
    kind = variant(redundancy=5, _is_ready_for_autoclose=lambda self, task, answer: answer.result == {'sure': True})
    (task,) = make_tasks(kind, 1, batch='b')
    user = make_user()
    answer(kind, task, user, {'sure': True})
    kind.withdraw_answer(user, task.id)
    assert (counts(task), batch_counts()) == ((0, False), (0, False))
    assert no_problems()


def test_withdrawing_before_the_batch_has_counted_the_task_leaves_it_as_it_was(closed_task, monkeypatch):
    kind, _, (user, other) = closed_task
    (task,) = make_tasks(kind, 1, batch='c')
    answer(kind, task, user)
    with monkeypatch.context() as patch:
        patch.setattr(counting, 'fold_closings', lambda batch_id, now: False)
        answer(kind, task, other)
    kind.withdraw_answer(user, task.id)
    assert (Closing.objects.count(), batch_counts('c')) == (0, (0, False))
    assert no_problems()


def test_author_may_withdraw_within_ten_minutes_only(closed_task, clock):
    kind, task, (user, other) = closed_task
    clock.later(minutes=10)
    kind.withdraw_answer(user, task.id)
    clock.later(seconds=1)
    with pytest.raises(AnswerWithdrawalError, match='10 minutes'):
        kind.withdraw_answer(other, task.id)
    assert counts(task) == (1, False)


@pytest.mark.parametrize('task_id', ['no such task', None])
def test_answer_nobody_has_given_cannot_be_withdrawn(closed_task, task_id):
    kind, task, _ = closed_task
    with pytest.raises(TaskNotFoundError):
        kind.withdraw_answer(make_user(), task_id or task.id)


def test_answer_is_withdrawn_once(closed_task, clock, heard):
    _, task, (user, _) = closed_task
    stored = PlainAnswer.objects.get(created_by=user)
    results = at_once(*[lambda: counting.withdraw(stored.id, 2, by=None, reason='', now=clock())] * 4)
    assert sorted(results) == [False, False, False, True]
    assert (counts(task), user.reload().processed, len(heard)) == ((1, False), 0, 1)
    assert no_problems()


def test_withdrawing_and_answering_at_once_keeps_every_number_right(variant, clock):
    kind = variant(redundancy=2)
    for task in make_tasks(kind, 8, batch='b'):
        first, second, third = make_user(), make_user(), make_user()
        answer(kind, task, first)
        at_once(
            lambda task=task, user=first: kind.withdraw_answer(user, task.id),
            lambda task=task, user=second: kind.on_task_done(user, task.id, {}),
            lambda task=task, user=third: kind.on_task_done(user, task.id, {}),
        )
        assert counts(task) == (2, True)
        assert no_problems()


def test_editing_is_withdrawing_and_answering_again(closed_task, clock):
    kind, task, (user, _) = closed_task
    with pytest.raises(AnswerConflictError):
        answer(kind, task, user, {'by': 'somebody else'})
    kind.withdraw_answer(user, task.id)
    clock.later(minutes=1)
    answer(kind, task, user, {'by': 'me'})
    assert PlainAnswer.objects.get(created_by=user).result == {'by': 'me'}
    assert WithdrawnAnswer.objects.count() == 1
    assert (counts(task), user.reload().processed) == ((2, True), 1)
    assert no_problems()


def test_activity_of_the_session_is_kept_when_its_answer_is_withdrawn(closed_task, clock):
    kind, task, (user, _) = closed_task
    WorkSession.objects(user=user).update(set__activity=40, set__start_time=clock() - timedelta(hours=1))
    kind.work_session_manager.clock = clock
    kind.withdraw_answer(user, task.id)
    answer(kind, task, user)
    assert WorkSession.objects.get(user=user).activity == 40


def test_everything_somebody_has_answered_since_then_is_withdrawn(variant, clock, heard):
    kind, user, other, admin = variant(redundancy=2), make_user(), make_user(), make_user(admin=True)
    early, *late = make_tasks(kind, 4, batch='b')
    answer(kind, early, user)
    clock.later(hours=1)
    since = clock()
    for task in late:
        answer(kind, task, user)
        answer(kind, task, other)
    nonsense = {'by': admin, 'reason': 'nonsense', 'now': clock()}
    assert [counting.withdraw_all(user.id, since, {'plain_task': 2}, **nonsense) for _ in range(2)] == [3, 0]
    assert [item.task.id for item in PlainAnswer.objects(created_by=user)] == [early.id]
    kept = WithdrawnAnswer.objects
    assert {(item.withdrawn_by, item.withdrawn_at, item.reason) for item in kept} == {(admin, clock(), 'nonsense')}
    assert [name for name, _ in heard].count('withdrawn') == 3
    assert (batch_counts(), user.reload().processed, other.reload().processed) == ((0, False), 1, 3)
    assert no_problems()


# --- redundancy -------------------------------------------------------------------------------------------------------


def test_raising_redundancy_reopens_tasks_and_their_batch(closed_task, clock, heard):
    kind, task, users = closed_task
    assert counting.set_redundancy('b', 3, clock()) == 1
    assert (counts(task), batch_counts(), Batch.objects.get().redundancy) == ((2, False), (0, False), 3)
    assert [bool(kind.get_next(user)) for user in (*users, make_user(), make_user())] == [False, False, True, False]
    answer(kind, task, make_user())
    assert (counts(task), batch_counts(), [name for name, _ in heard]) == ((3, True), (1, True), ['task', 'batch'])
    assert no_problems()


def test_raising_redundancy_makes_extra_answers_count(closed_task, clock):
    kind, task, _ = closed_task
    clock.later(seconds=1)
    answer(kind, task, make_user())
    counting.set_redundancy('b', 3, clock())
    assert (counts(task), batch_counts(), extras()) == ((3, True), (1, True), [False, False, False])


def test_lowering_redundancy_closes_tasks_and_their_batch_once(variant, clock, heard):
    kind = variant(redundancy=3)
    for task in make_tasks(kind, 3, batch='b'):
        for _ in range(2):
            clock.later(seconds=1)
            answer(kind, task, make_user())
    heard.clear()
    assert counting.set_redundancy('b', 1, clock()) == 3
    assert batch_counts() == (3, True)
    assert extras() == [False, True] * 3
    assert [(name, batch.id, batch.closed) for name, batch in heard] == [('batch', 'b', True)]
    assert no_problems()
    assert counting.set_redundancy('b', 1, clock()) == 0
    assert len(heard) == 1


def test_task_closed_early_stays_closed_when_redundancy_is_raised(variant, clock):
    kind = variant(redundancy=3, _is_ready_for_autoclose=lambda self, task, answer: True)
    (task,) = make_tasks(kind, 1, batch='b')
    answer(kind, task, make_user())
    counting.set_redundancy('b', 5, clock())
    assert (counts(task), batch_counts()) == ((1, True), (1, True))
    assert no_problems()


def test_redundancy_that_was_cut_off_is_completed_by_repeating_it(variant, clock, monkeypatch):
    kind = variant(redundancy=3)
    tasks = make_tasks(kind, 3, batch='b')
    for task in tasks:
        answer(kind, task, make_user())
    real, calls = counting.recount_task, []

    def dies(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(counting, 'recount_task', dies)
        counting.set_redundancy('b', 1, clock())
    assert no_problems()
    counting.set_redundancy('b', 1, clock())
    assert batch_counts() == (3, True)


def test_redundancy_changed_while_people_answer_leaves_every_number_right(variant, clock):
    kind = variant(redundancy=2)
    tasks = make_tasks(kind, 6, batch='b')
    users = [make_user() for _ in range(4)]

    def work(user: Any) -> None:
        for task in tasks:
            kind.on_task_done(user, task.id, {'by': str(user.id)})

    def change() -> None:
        for number in (3, 1, 4, 2):
            counting.set_redundancy('b', number, clock())

    at_once(change, *(lambda user=user: work(user) for user in users))
    counting.set_redundancy('b', 2, clock())
    assert PlainAnswer.objects.count() == 24
    assert PlainAnswer.objects(extra=True).count() == 12
    assert batch_counts() == (6, True)
    assert no_problems()


def test_tasks_that_reopen_late_in_a_long_change_are_returned_then(variant, clock, monkeypatch):
    kind = variant(redundancy=1)
    for task in make_tasks(kind, 2, batch='b'):
        answer(kind, task, make_user())
    hours = iter([0, 0, 3600])
    monkeypatch.setattr(counting, 'monotonic', lambda: next(hours))
    counting.set_redundancy('b', 2, clock())
    assert sorted(PlainTask.objects.scalar('returned')) == [clock(), clock() + timedelta(hours=1)]


# --- closing early and plugins that count themselves ------------------------------------------------------------------


def test_task_closed_early_is_closed_for_everybody(variant, heard):
    kind = variant(redundancy=3, _is_ready_for_autoclose=lambda self, task, answer: True)
    (task,) = make_tasks(kind, 1, batch='b')
    holder, user = make_user(), make_user()
    kind.get_next(holder)
    answer(kind, task, user)
    assert (counts(task), batch_counts(), [name for name, _ in heard]) == ((1, True), (1, True), ['task', 'batch'])
    assert kind.get_next(make_user()) == {}
    answer(kind, task, holder)
    assert (counts(task), extras(), len(heard)) == ((1, True), [False, True], 3)
    assert no_problems()


def old_update(self, task, answer, user):
    """As plugins of old versions count an answer."""
    closing = self._is_ready_for_autoclose(task, answer) or task.users_count + 1 >= self.redundancy
    type(task).objects(pk=task.id, closed=False).update(
        inc__users_count=1, add_to_set__users_processed=user, set__closed=closing
    )
    return closing


def test_plugin_that_counts_answers_itself_closes_tasks_and_batches_once(variant, heard):
    kind = variant(redundancy=2, _update_task_on_answer=old_update)
    one, other = make_tasks(kind, 2, batch='b')
    users = [make_user() for _ in range(3)]
    for user in users:
        kind.get_next(user)
        answer(kind, one, user)
    assert (counts(one), batch_counts()) == ((2, True), (1, False))
    assert {kind.get_next(user).get('id') for user in users} == {other.id, None}
    for user in users:
        answer(kind, other, user)
    assert batch_counts() == (2, True)
    assert [name for name, _ in heard] == ['task'] * 5 + ['batch', 'task']
    assert kind.get_next(make_user()) == {}
    assert [item['lane'] for item in PlainTask._get_collection().find()] == [None, None]


# --- signals ----------------------------------------------------------------------------------------------------------


@contextmanager
def dying(monkeypatch, name: str):
    """The process dies when it wants to tell receivers."""

    def die(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(counting, name, die)
        patch.setattr('vulyk.ext.worksession.tell_task_done', die)
        yield


def test_receiver_that_fails_is_told_again_by_the_sweeper_until_it_takes_it(variant, clock, heard, caplog):
    caplog.set_level(logging.ERROR)
    kind = variant(redundancy=1)
    (task,) = make_tasks(kind, 1, batch='b')
    heard.failing |= {'task', 'batch'}
    answer(kind, task, make_user())
    assert (counts(task), heard) == ((1, True), [])
    assert 'no task today' in caplog.text
    jobs.sweep(clock())
    assert heard == []
    clock.later(minutes=2)
    heard.failing = {'batch'}
    jobs.sweep(clock())
    assert [name for name, _ in heard] == ['task']
    clock.later(minutes=10)
    heard.failing = set()
    jobs.sweep(clock())
    assert [name for name, _ in heard] == ['task', 'batch']
    clock.later(days=1)
    jobs.sweep(clock())
    assert len(heard) == 2
    assert AbstractAnswer._get_collection().count_documents({'signalDue': {'$ne': None}}) == 0


def test_receiver_that_fails_is_told_at_growing_intervals(variant, clock, heard):
    kind = variant(redundancy=1)
    heard.failing.add('task')
    answer(kind, make_tasks(kind, 1)[0], make_user())
    due = []
    for _ in range(8):
        due.append(AbstractAnswer._get_collection().find_one()['signalDue'])
        clock.now = due[-1]
        jobs.sweep(clock())
    waits = [(after - before).total_seconds() for before, after in pairwise(due)]
    assert waits == [60, 120, 240, 480, 960, 1920, 3600]


def test_signal_of_a_process_that_died_after_storing_is_sent_by_the_sweeper(variant, clock, heard, monkeypatch):
    kind = variant(redundancy=1)
    (task,) = make_tasks(kind, 1, batch='b')
    with dying(monkeypatch, 'tell_task_done'):
        kind.on_task_done(make_user(), task.id, {})
    assert (counts(task), batch_counts()) == ((1, True), (0, False))
    clock.later(minutes=2)
    jobs.sweep(clock())
    assert batch_counts() == (1, True)
    assert sorted(name for name, _ in heard) == ['batch', 'task']
    assert next(batch for name, batch in heard if name == 'batch').closed


def test_batch_of_a_process_that_died_before_telling_is_announced_by_the_sweeper(variant, clock, heard, monkeypatch):
    kind = variant(redundancy=1)
    (task,) = make_tasks(kind, 1, batch='b')
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(counting, 'tell_batch_done', lambda batch_id: (_ for _ in ()).throw(KeyboardInterrupt()))
        kind.on_task_done(make_user(), task.id, {})
    clock.later(minutes=2)
    jobs.sweep(clock())
    assert [name for name, _ in heard] == ['task', 'batch']


def test_batch_that_opened_again_before_it_was_announced_is_announced_when_it_closes(
    variant, clock, heard, monkeypatch
):
    kind, user = variant(redundancy=1), make_user()
    (task,) = make_tasks(kind, 1, batch='b')
    heard.failing.add('batch')
    answer(kind, task, user)
    kind.withdraw_answer(user, task.id)
    heard.failing.clear()
    clock.later(minutes=2)
    jobs.sweep(clock())
    assert [name for name, _ in heard] == ['task', 'withdrawn']
    answer(kind, task, user)
    clock.later(minutes=2)
    jobs.sweep(clock())
    assert [name for name, _ in heard] == ['task', 'withdrawn', 'task', 'batch']


def test_withdrawal_is_announced_and_retried(closed_task, clock, heard):
    kind, task, (user, _) = closed_task
    heard.failing.add('withdrawn')
    kind.withdraw_answer(user, task.id)
    heard.failing.clear()
    clock.later(minutes=2)
    jobs.sweep(clock())
    jobs.sweep(clock())
    ((name, withdrawn),) = heard
    assert (name, withdrawn.answer['createdBy']) == ('withdrawn', user.id)


def test_nothing_is_noted_to_be_told_when_nobody_listens(closed_task):
    kind, task, (user, _) = closed_task
    kind.withdraw_answer(user, task.id)
    for model in (AbstractAnswer, Batch, WithdrawnAnswer):
        assert model._get_collection().count_documents({'signalDue': {'$ne': None}}) == 0


def test_extended_batch_completes_again_and_is_announced_again(variant, heard):
    kind = variant(redundancy=1)
    for number in (1, 2):
        (task,) = make_tasks(kind, 1)
        assert not Batch.objects.get().closed
        answer(kind, task, make_user())
        assert batch_counts('default') == (number, True)
    assert [batch.tasks_count for name, batch in heard if name == 'batch'] == [1, 2]


@pytest.mark.parametrize('redundancy', [1, 2])
def test_batches_whose_last_two_tasks_are_answered_at_once_close_and_are_announced_once(variant, heard, redundancy):
    kind = variant(redundancy=redundancy)
    for number in range(6):
        one, other = make_tasks(kind, 2, batch=f'b{number}')
        for task in (one, other):
            for _ in range(redundancy - 1):
                answer(kind, task, make_user())
        users = [make_user(), make_user()]
        heard.clear()
        at_once(
            lambda one=one, users=users: kind.on_task_done(users[0], one.id, {}),
            lambda other=other, users=users: kind.on_task_done(users[1], other.id, {}),
        )
        (done,) = [batch for name, batch in heard if name == 'batch']
        assert (done.id, done.closed, done.tasks_processed) == (f'b{number}', True, 2)
    assert no_problems()


def test_totals_can_be_derived_again(closed_task, clock):
    _, task, users = closed_task
    Progress.objects.update(set__total=7)
    users[0].update(set__processed=7)
    Batch.objects.update(set__tasks_processed=7, set__tasks_count=7, set__closed=False)
    PlainTask.objects.update(set__users_count=0, set__closed=False)
    counting.recount_task(task.id, 2, clock())
    for user in users:
        counting.recount_user(user.id)
    counting.recount_batch('b')
    assert (counts(task), batch_counts()) == ((2, True), (1, True))
    assert no_problems()
