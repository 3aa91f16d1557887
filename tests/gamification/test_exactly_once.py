"""Each fact once: repeated, at the same time, or with the process dying between any two writes."""

import random
import threading
from contextlib import contextmanager
from datetime import UTC, datetime

import pymongo.collection
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pymongo.synchronous.client_session import ClientSession

from tests.factories import make_user
from tests.gamification.play import (
    amounts_of,
    assert_state_is_sum_of_facts,
    at_once,
    facts_of,
    make_rule,
    state_of,
    sweep,
    work_all,
)
from tests.gamification.test_api import make_fund, rich
from vulyk import jobs, signals
from vulyk.blueprints.gamification import audit, facts, listeners
from vulyk.blueprints.gamification.models.events import EventModel
from vulyk.blueprints.gamification.models.rules import AwardModel
from vulyk.blueprints.gamification.models.state import UserStateModel
from vulyk.blueprints.gamification.services import DonationResult, DonationsService, set_zone
from vulyk.ext import counting
from vulyk.models.tasks import AbstractAnswer, Batch
from vulyk.models.user import User


def tell_again(answer) -> None:
    """Tell the game of an answer once more."""
    listeners.track_events(None, AbstractAnswer.objects.get(pk=answer.id))


def assert_nothing_differs() -> None:
    """What the audit says too."""
    for user in User.objects:
        assert audit.audit(user.id) == []


def before(monkeypatch, name, action) -> None:
    """Have something done just before the game gets to that step for the first time."""
    real = getattr(facts, name)

    def step(*args, **kwargs):
        monkeypatch.setattr(facts, name, real)
        action()
        return real(*args, **kwargs)

    monkeypatch.setattr(facts, name, step)


def by_somebody_else(play, action) -> None:
    """Do it in another thread, outside of whatever transaction there is in this one."""

    def act():
        with play.app.app_context():
            action()

    stranger = threading.Thread(target=act)
    stranger.start()
    stranger.join()


# --- repeats ----------------------------------------------------------------------------------------------------------


def test_answer_told_five_times_counts_once(play, member):
    make_rule(tasks_number=1, bonus=5)
    answer = play.answer(member)
    for _ in range(4):
        tell_again(answer)
    assert amounts_of(member) == (6, 0, 1)
    assert len(facts_of(member)) == 1
    assert_nothing_differs()


def test_answer_of_a_plain_type_told_again_counts_once_for_the_rules_of_all_types(play, member):
    rule = make_rule(tasks_number=4)
    play.answer(member)
    plain = play.answer(member, kind='plain_task')
    for _ in range(3):
        tell_again(plain)
    play.answer(member)
    assert state_of(member)['achievements'] == []
    play.answer(member)
    assert state_of(member)['achievements'] == [rule.id]
    assert_nothing_differs()


def test_batch_told_again_pays_once(play, member):
    (task,) = play.tasks(1)
    play.answer(member, task)
    play.answer(make_user(), task)
    batch = Batch.objects.get(pk=task.batch.id)
    for _ in range(3):
        signals.on_batch_done.send(batch)
    work_all()
    assert amounts_of(member) == (1, 1, 0)
    assert len(facts_of(member, kind='batch')) == 1


def test_late_answer_gives_actual_coins_at_once(play, member):
    (task,) = play.tasks(1)
    play.answer(make_user(), task)
    play.answer(make_user(), task)
    work_all()
    play.answer(member, task)
    assert amounts_of(member) == (1, 1, 0)
    (fact,) = facts_of(member)
    assert (fact['kind'], fact['source']) == ('answer', f'answer:{fact["answer"]}:done')
    assert_state_is_sum_of_facts()


def test_answer_that_could_not_be_counted_before_its_batch_was_paid_gives_actual_coins(play, member, monkeypatch):
    (task,) = play.tasks(1)
    with monkeypatch.context() as patch:
        patch.setattr(facts, '_store', broken)
        play.answer(member, task)
    assert facts_of(member) == []
    play.answer(make_user(), task)
    work_all()
    sweep()
    work_all()
    assert amounts_of(member) == (1, 1, 0)
    assert_state_is_sum_of_facts()
    assert_nothing_differs()


def test_batch_paid_while_an_answer_is_being_counted_leaves_no_coin_behind(play, member, monkeypatch):
    (task,) = play.tasks(1)

    def close_and_pay():
        Batch.objects(pk=task.batch.id).update_one(closed=True)
        signals.on_batch_done.send(Batch.objects.get(pk=task.batch.id))
        assert jobs.work('test', datetime.now(UTC))

    before(monkeypatch, '_store', lambda: by_somebody_else(play, close_and_pay))
    play.answer(member, task)
    assert amounts_of(member) == (1, 0, 1)
    work_all()  # the second look
    assert amounts_of(member) == (1, 1, 0)


def test_answer_that_was_counted_after_both_looks_at_its_batch_is_paid(play, member, monkeypatch):
    (task,) = play.tasks(1)
    monkeypatch.setattr(facts, 'SLOW_S', -1)

    def close_and_pay():
        Batch.objects(pk=task.batch.id).update_one(closed=True)
        listeners.pay_batch(task.batch.id)

    before(monkeypatch, '_store', lambda: by_somebody_else(play, close_and_pay))
    play.answer(member, task)
    assert amounts_of(member) == (1, 1, 0)


def test_key_of_a_paid_batch_names_batch_completion_and_user(play, member):
    rich(play, member)
    (fact,) = facts_of(member, kind='batch')
    assert fact['source'] == f'batch:{fact["batch"]}:closed:1:{member.id}'


def test_failure_of_the_game_is_not_a_failure_of_the_answer(play, member, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(facts, 'book_answer', broken)
        assert play.answer(member).result
    sweep()
    assert amounts_of(member) == (1, 0, 1)


def test_fact_tells_all_that_is_needed_later(play, member):
    answer = play.answer(member, batch='letters')
    (fact,) = facts_of(member)
    assert {name: fact[name] for name in ('kind', 'zone', 'localDate', 'taskType', 'batch', 'seconds', 'task')} == {
        'kind': 'answer',
        'zone': 'UTC',
        'localDate': '2026-11-20',
        'taskType': 'game_task',
        'batch': 'letters',
        'seconds': 0,
        'task': answer.task.id,
    }


def broken(*args, **kwargs):
    raise RuntimeError('the power is gone')


# --- at the same time -------------------------------------------------------------------------------------------------


def test_answers_of_one_user_at_once_cross_a_threshold_once(play, member):
    rule = make_rule(tasks_number=4, bonus=100)
    tasks = play.tasks(6)
    assert at_once(*(lambda task=task: play.answer(member, task) and None for task in tasks)) == [None] * 6
    sweep()
    assert state_of(member)['achievements'] == [rule.id]
    assert amounts_of(member) == (106, 0, 6)
    assert AwardModel.objects.count() == 1
    assert_state_is_sum_of_facts()
    assert_nothing_differs()


def test_same_answer_told_by_many_at_once_counts_once(play, member):
    make_rule(tasks_number=1, bonus=5)
    answer = play.answer(member)
    EventModel.objects.delete()
    AwardModel.objects.delete()
    UserStateModel.objects.delete()
    at_once(*[lambda: tell_again(answer)] * 5)
    assert amounts_of(member) == (6, 0, 1)
    assert len(facts_of(member)) == AwardModel.objects.count() == 1


def test_batches_closed_twice_at_once_pay_once(play):
    users, tasks = [make_user() for _ in range(2)], play.tasks(3, coins_per_task='0.7')
    for user in users:
        for task in tasks:
            play.answer(user, task)
    batch_id = tasks[0].batch.id
    at_once(*[lambda: listeners.pay_batch(batch_id)] * 4)
    for user in users:
        assert amounts_of(user) == (3, facts.total([facts.exact('2.1')]), 0)
        assert len(facts_of(user, kind='batch')) == 1
    assert_state_is_sum_of_facts()


def test_donations_racing_for_the_same_coins_never_overdraw(play, member):
    make_fund()
    rich(play, member, '5')
    results = at_once(*[lambda: DonationsService(member, 'lamp', 2).donate()] * 6)
    assert results.count(DonationResult.SUCCESS) == 2
    assert results.count(DonationResult.BEGGAR) == 4
    assert amounts_of(member)[1] == 1
    assert_state_is_sum_of_facts(member)


def test_donation_with_a_key_sent_at_once_is_made_once(play, member):
    make_fund()
    rich(play, member, '5')
    results = at_once(*[lambda: DonationsService(member, 'lamp', 2, key='k').donate()] * 5)
    assert results == [DonationResult.SUCCESS] * 5
    assert amounts_of(member)[1] == 3


def test_key_brings_back_the_first_result_even_a_refusal(play, member):
    make_fund()
    assert DonationsService(member, 'lamp', 2, key='k').donate() is DonationResult.BEGGAR
    rich(play, member, '5')
    assert DonationsService(member, 'lamp', 2, key='k').donate() is DonationResult.BEGGAR
    assert DonationsService(member, 'lamp', 2, key='other').donate() is DonationResult.SUCCESS


def test_same_key_of_two_users_is_two_donations(play, member):
    make_fund()
    other = make_user()
    for user in (member, other):
        rich(play, user, '5')
        assert DonationsService(user, 'lamp', 2, key='k').donate() is DonationResult.SUCCESS
        assert amounts_of(user)[1] == 3


# --- out of order -----------------------------------------------------------------------------------------------------


def test_answer_counted_late_completes_what_a_later_one_lacked(play, member, monkeypatch):
    make_rule('three', tasks_number=3)
    make_rule('in a day', tasks_number=3, days_number=1)
    with monkeypatch.context() as patch:
        patch.setattr(facts, '_store', broken)
        play.answer(member)
    play.clock.later(hours=1)
    play.answer(member)
    play.clock.later(hours=1)
    last = play.answer(member)
    assert state_of(member)['achievements'] == []
    sweep()
    assert len(state_of(member)['achievements']) == 2
    assert {award.answer for award in AwardModel.objects} == {last.id}
    assert {award.at for award in AwardModel.objects} == {play.clock.now}
    assert_state_is_sum_of_facts()
    assert_nothing_differs()


def test_answer_counted_very_late_is_replayed_from_the_sessions(play, member, monkeypatch):
    rule = make_rule('in two days', tasks_number=3, days_number=2)
    with monkeypatch.context() as patch:
        patch.setattr(facts, '_store', broken)
        play.answer(member)
    play.clock.later(hours=1)
    play.answer(member)
    reached = play.answer(member)
    play.clock.later(days=60)
    play.answer(member)
    sweep()
    assert state_of(member)['achievements'] == [rule.id]
    assert AwardModel.objects.get().answer == reached.id
    assert_nothing_differs()


# --- a fact is stored, its state is not ---------------------------------------------------------------------------------


def test_fact_that_somebody_left_unfinished_is_finished_by_the_next_one(play, member, monkeypatch):
    make_rule('two', tasks_number=2, bonus=5)
    play.answer(member)
    with monkeypatch.context() as patch:
        patch.setattr(facts, '_add_to_state', broken)
        play.answer(member)
    assert (len(facts_of(member)), amounts_of(member)) == (2, (1, 0, 1))
    play.answer(member)
    assert amounts_of(member) == (8, 0, 3)
    assert AwardModel.objects.count() == 1
    assert_state_is_sum_of_facts()
    assert_nothing_differs()


def test_fact_that_was_left_unfinished_is_finished_when_it_is_told_again(play, member, monkeypatch):
    play.answer(member)
    with monkeypatch.context() as patch:
        patch.setattr(facts, '_add_to_state', broken)
        play.answer(member)
    sweep()
    assert amounts_of(member) == (2, 0, 2)
    assert_nothing_differs()


def test_coins_of_an_unfinished_fact_can_be_given_away(play, member, monkeypatch):
    make_fund()
    rich(play, member, '1')
    (task,) = play.tasks(1, coins_per_task='1')
    play.answer(make_user(), task)
    play.answer(make_user(), task)
    work_all()
    with monkeypatch.context() as patch:
        patch.setattr(facts, '_add_to_state', broken)
        play.answer(member, task)  # late: its batch is closed, and its coins are actual
    assert DonationsService(member, 'lamp', 1).donate() is DonationResult.SUCCESS
    assert DonationsService(member, 'lamp', 1).donate() is DonationResult.SUCCESS
    assert_state_is_sum_of_facts(member)


def test_answer_is_not_counted_by_what_was_there_before_its_author_moved(play, member, monkeypatch):
    play.answer(member)
    before(monkeypatch, '_add_to_state', lambda: set_zone(member, 'Asia/Tokyo', play.clock()))
    play.answer(member)
    assert [change['zone'] for change in state_of(member)['zones']] == ['Asia/Tokyo']
    assert amounts_of(member) == (2, 0, 2)
    assert_nothing_differs()


def test_state_deleted_by_hand_gets_neither_a_number_nor_a_badge_twice(play, member):
    rule = make_rule(tasks_number=1, bonus=5)
    play.answer(member)
    UserStateModel.objects.delete()
    play.answer(member)
    assert [fact['number'] for fact in facts_of(member)] == [1, 2]
    assert (state_of(member)['achievements'], amounts_of(member)) == ([rule.id], (1, 0, 1))


# --- the process dies -------------------------------------------------------------------------------------------------

WRITES = (
    'insert_one',
    'insert_many',
    'update_one',
    'update_many',
    'delete_one',
    'delete_many',
    'find_one_and_update',
    'find_one_and_delete',
    'bulk_write',
)


class KilledError(BaseException):
    """The process is gone: nobody catches this."""


@contextmanager
def killed_at(number: int, *, after: bool):
    """Die before, or right after, the write of that number; transactions are ended by writes too. Yields the count."""
    count = [0]

    def step(method):
        def call(self, *args, **kwargs):
            count[0] += 1
            mine = count[0] == number
            if mine and not after:
                raise KilledError
            result = method(self, *args, **kwargs)
            if mine:
                raise KilledError
            return result

        return call

    owners = [(pymongo.collection.Collection, name) for name in WRITES] + [(ClientSession, 'commit_transaction')]
    originals = {(owner, name): getattr(owner, name) for owner, name in owners}
    for (owner, name), method in originals.items():
        setattr(owner, name, step(method))
    try:
        yield count
    finally:
        for (owner, name), method in originals.items():
            setattr(owner, name, method)


def story(play, member, task) -> None:
    """An answer that reaches a rule and closes a batch, whose coins are paid."""
    play.answer(member, task)
    work_all()


@pytest.mark.timeout(300)
@pytest.mark.parametrize('after', [False, True], ids=['before', 'after'])
def test_process_killed_at_any_write_leaves_nothing_undone(play, after):
    other = make_user()
    make_rule(tasks_number=2, bonus=10)
    make_rule('own', 'game_task', days_number=1)
    number, died = 0, True
    while died:
        number += 1
        user = make_user()
        play.answer(user)
        (task,) = play.tasks(1, coins_per_task='0.3')
        play.answer(other, task)
        work_all()
        died = False
        try:
            with killed_at(number, after=after):
                story(play, user, task)
        except KilledError:
            died = True
        sweep()
        play.answer(user, task)  # the browser sends it again
        sweep()
        work_all()
        assert amounts_of(user) == (12, facts.exact('0.3'), 1), f'killed at write {number}'
        assert_state_is_sum_of_facts(user, other)
        assert audit.audit(user.id) == audit.audit(other.id) == []
    assert number > 15


def donate(member) -> None:
    DonationsService(member, 'lamp', 2, key='k').donate()


@pytest.mark.parametrize('after', [False, True], ids=['before', 'after'])
def test_donation_killed_at_any_write_is_made_once(play, after):
    make_fund()
    number, died = 0, True
    while died:
        number += 1
        user = make_user()
        rich(play, user)
        died = False
        try:
            with killed_at(number, after=after):
                donate(user)
        except KilledError:
            died = True
        donate(user)
        assert amounts_of(user)[1] == 3, f'killed at write {number}'
        assert_state_is_sum_of_facts(user)
    assert number > 3


# --- any order of everything ------------------------------------------------------------------------------------------

AMOUNTS = ['1', '0.1', '0.7', '2.5', '0', '0.000001']
MOVES = ['answer', 'answer', 'answer', 'plain', 'fail', 'sweep', 'work', 'withdraw', 'donate', 'again']
steps = st.lists(
    st.tuples(
        st.sampled_from(
            ['answer', 'answer', 'answer', 'plain', 'late', 'fail', 'sweep', 'work', 'withdraw', 'donate', 'again']
        ),
        st.integers(0, 2),
        st.integers(0, 5),
    ),
    min_size=5,
    max_size=30,
)


@settings(
    max_examples=30,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a smaller example would take minutes to find
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps, st.sampled_from(AMOUNTS), st.randoms(use_true_random=False))
def test_whatever_happens_states_are_the_sums_of_their_facts(play, moves, worth, chance: random.Random):
    app_users, play.clock.now = [make_user() for _ in range(3)], datetime(2026, 10, 20, 12, 0, tzinfo=UTC)
    if not EventModel.objects(kind='donation'):
        make_rule(tasks_number=2, bonus=3)
        make_rule(None, 'game_task', tasks_number=3, days_number=1, bonus=1)
        make_rule(None, days_number=2, is_adjacent=True, semantics='calendar')
        make_fund()
    kind = play.app.task_types['game_task']
    tasks = play.tasks(3, points_per_task=worth, coins_per_task=worth) + play.tasks(3, coins_per_task='0.3')
    for name, who, which in moves:
        user, task = app_users[who], tasks[which]
        mine = AbstractAnswer.objects(created_by=user.id, task=task.id).first()
        play.clock.later(minutes=chance.randint(0, 2000))
        if name == 'answer' and mine is None:
            play.answer(user, task)
        elif name == 'plain':
            play.answer(user, kind='plain_task')
        elif name == 'fail' and mine is None:
            original, facts._store = facts._store, broken
            try:
                play.answer(user, task)
            finally:
                facts._store = original
        elif name == 'sweep':
            sweep()
        elif name == 'work':
            work_all()
        elif name == 'withdraw' and mine is not None:
            counting.withdraw(mine.id, kind.redundancy, by=user, reason='', now=play.clock())
        elif name == 'donate':
            DonationsService(user, 'lamp', chance.choice(['0.1', '1', '0.05'])).donate()
        elif name == 'again' and mine is not None:
            tell_again(mine)
    sweep()
    work_all()
    assert_state_is_sum_of_facts(*app_users)
    for user in app_users:
        assert audit.audit(user.id) == []
        assert min(amounts_of(user)) >= 0
    closed = set(Batch.objects(closed=True).scalar('id'))
    for user in app_users:
        for batch_id in closed:
            assert facts._unpaid(user.id, batch_id) == 0
