"""Answers that are taken back."""

from datetime import timedelta

import pytest

from tests.factories import make_user
from tests.gamification.play import (
    amounts_of,
    assert_state_is_sum_of_facts,
    facts_of,
    make_rule,
    state_of,
    sweep,
    work_all,
)
from tests.gamification.test_exactly_once import assert_nothing_differs, broken, tell_again
from vulyk.blueprints.gamification import facts, listeners
from vulyk.blueprints.gamification.models.events import EventModel
from vulyk.models.tasks import AbstractAnswer, WithdrawnAnswer


def withdraw(play, user, task) -> None:
    play.app.task_types[task.task_type].withdraw_answer(user, task.id)


@pytest.fixture
def answered(play, member):
    """A task the member has answered, worth 0.3."""
    (task,) = play.tasks(1, points_per_task='0.3', coins_per_task='0.3')
    play.answer(member, task)
    return task


def test_reversal_takes_back_exactly_what_was_given(play, member, answered):
    before = amounts_of(member)
    play.clock.later(minutes=1)
    play.answer(member)
    withdraw(play, member, answered)
    assert before != amounts_of(member) == (1, 0, 1)
    assert_state_is_sum_of_facts(member)
    assert_nothing_differs()


def test_reversal_belongs_to_the_period_of_what_it_undoes(play, member, answered):
    play.clock.later(minutes=5)
    withdraw(play, member, answered)
    original, reversal = facts_of(member)
    for name in ('timestamp', 'localDate', 'zone', 'batch', 'taskType', 'task'):
        assert reversal[name] == original[name]
    assert (reversal['kind'], reversal['reverses'], original['reversed']) == ('reversal', original['_id'], True)


def test_reversal_told_again_changes_nothing(play, member, answered):
    withdraw(play, member, answered)
    for _ in range(3):
        listeners.reverse_answer(WithdrawnAnswer.objects.get())
    assert amounts_of(member) == (0, 0, 0)
    assert len(facts_of(member)) == 2


def test_answer_given_again_counts_again(play, member, answered):
    withdraw(play, member, answered)
    play.answer(member, answered)
    assert [str(amount) for amount in amounts_of(member)] == ['0.3', '0', '0.3']
    assert_nothing_differs()


def test_answer_taken_back_before_it_was_counted_never_counts(play, member, monkeypatch):
    (task,) = play.tasks(1)
    with monkeypatch.context() as patch:
        patch.setattr(facts, '_store', broken)
        answer = play.answer(member, task)
    told = AbstractAnswer.objects.get(pk=answer.id)
    withdraw(play, member, task)
    listeners.track_events(None, told)  # somebody who was slow
    sweep()
    assert amounts_of(member) == (0, 0, 0)
    assert [fact['kind'] for fact in facts_of(member)] == ['void']
    assert list(EventModel.get_all_events(member)) == []


def test_badge_and_bonus_stay(play, member):
    rule = make_rule(tasks_number=1, bonus=5)
    (task,) = play.tasks(1)
    play.answer(member, task)
    withdraw(play, member, task)
    assert state_of(member)['achievements'] == [rule.id]
    assert amounts_of(member) == (5, 0, 0)
    play.answer(member, task)
    assert amounts_of(member) == (6, 0, 1)
    assert_nothing_differs()


def test_level_falls_with_the_points(play, member):
    tasks = play.tasks(2, points_per_task=20)
    for task in tasks:
        play.answer(member, task)
    assert state_of(member)['level'] == 2
    withdraw(play, member, tasks[1])
    assert state_of(member)['level'] == 1
    play.answer(member, tasks[1])
    assert [fact.get('level') for fact in facts_of(member)] == [1, 2, None, 2]


def test_actual_coins_are_kept_and_not_given_again(play, member):
    (task,), other = play.tasks(1), make_user()
    play.answer(member, task)
    play.answer(other, task)
    work_all()
    assert amounts_of(member) == (1, 1, 0)
    withdraw(play, member, task)
    assert amounts_of(member) == (0, 1, 0)
    play.answer(member, task)
    work_all()
    assert amounts_of(member) == (1, 1, 0)
    assert amounts_of(other) == (1, 1, 0)
    assert_state_is_sum_of_facts()
    assert_nothing_differs()


def test_batch_that_closes_a_second_time_pays_what_is_new(play, member):
    (one, two), other = play.tasks(2), make_user()
    for task in (one, two):
        play.answer(other, task)
        play.answer(member, task)
    work_all()
    third = make_user()
    withdraw(play, member, one)
    play.answer(third, one)
    work_all()
    assert amounts_of(third) == (1, 1, 0)
    assert amounts_of(member) == (1, 2, 0)
    assert_state_is_sum_of_facts()
    assert_nothing_differs()


def test_coins_of_a_reopened_batch_wait_for_it_to_close_again(play, member):
    (task, open_task), other = play.tasks(2), make_user()
    play.answer(member, task)
    play.answer(other, task)
    withdraw(play, member, task)
    work_all()
    assert amounts_of(other) == (1, 0, 1)
    assert open_task.closed is False


def test_taken_back_answers_do_not_count_for_rules(play, member):
    make_rule(tasks_number=3)
    tasks = play.tasks(3)
    play.answer(member, tasks[0])
    play.answer(member, tasks[1])
    withdraw(play, member, tasks[1])
    play.answer(member, tasks[2])
    assert state_of(member)['achievements'] == []
    assert_nothing_differs()


def test_plain_answer_taken_back_moves_the_counters_too(play, member):
    rule = make_rule(tasks_number=3)
    (plain,) = play.tasks(1, kind='plain_task')
    play.answer(member)
    play.answer(member, plain)
    withdraw(play, member, plain)
    play.answer(member)
    assert state_of(member)['achievements'] == []
    play.answer(member)
    assert state_of(member)['achievements'] == [rule.id]
    assert_nothing_differs()


def test_reversal_of_somebody_unknown_to_the_game_leaves_no_trace(play, member):
    (plain,) = play.tasks(1, kind='plain_task')
    play.answer(member, plain)
    withdraw(play, member, plain)
    assert (state_of(member), facts_of(member)) == ({}, [])


def test_late_told_original_after_its_reversal_stays_undone(play, member, answered):
    answer = AbstractAnswer.objects.get(created_by=member.id)
    play.clock.later(minutes=1)
    withdraw(play, member, answered)
    with pytest.raises(AbstractAnswer.DoesNotExist):
        tell_again(answer)
    listeners.track_events(None, answer)
    assert amounts_of(member) == (0, 0, 0)
    assert play.clock.now - timedelta(minutes=1) < play.clock.now
