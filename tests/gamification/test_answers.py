"""What an answer is worth, exactly and once."""

from decimal import Decimal

import pytest
from bson import Decimal128

from tests.factories import make_user
from tests.gamification.play import (
    amounts_of,
    assert_state_is_sum_of_facts,
    facts_of,
    make_rule,
    state_of,
    work_all,
)
from vulyk.blueprints.gamification.models.events import EventModel
from vulyk.blueprints.gamification.models.state import UserStateModel


def test_answer_gives_a_point_and_a_potential_coin(play, member):
    play.answer(member)
    assert amounts_of(member) == (1, 0, 1)
    (fact,) = facts_of(member)
    assert (fact['kind'], fact['points'], fact['coins']) == ('answer', Decimal128('1'), Decimal128('1'))
    assert_state_is_sum_of_facts(member)


def test_closed_batch_makes_coins_actual_once(play, member):
    (task,), other = play.tasks(1), make_user()
    play.answer(member, task)
    play.answer(other, task)
    assert amounts_of(member) == (1, 0, 1)
    work_all()
    assert amounts_of(member) == amounts_of(other) == (1, 1, 0)
    assert_state_is_sum_of_facts()


def test_answer_of_a_plain_type_gives_nothing(play, member):
    play.answer(member, kind='plain_task')
    assert (EventModel.objects.count(), UserStateModel.objects.count()) == (0, 0)


@pytest.mark.parametrize('worth', ['0.1', 0.1, Decimal128('0.1')])
def test_a_tenth_ten_times_is_one(play, member, worth):
    play.answers(member, 10, points_per_task=worth, coins_per_task=worth)
    assert amounts_of(member) == (1, 0, 1)
    assert [type(state_of(member)[name]) for name in ('points', 'actualCoins', 'potentialCoins')] == [Decimal128] * 3
    assert_state_is_sum_of_facts(member)


def test_rule_gives_badge_bonus_and_level(play, member):
    rule = make_rule(tasks_number=3, bonus=30)
    play.answers(member, 4)
    assert state_of(member)['achievements'] == [rule.id]
    assert amounts_of(member)[0] == Decimal(34)
    levels = [fact.get('level') for fact in facts_of(member)]
    assert levels == [1, None, 2, None]
    assert_state_is_sum_of_facts(member)
