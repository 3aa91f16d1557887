"""Plain Python: events, rules, parsing, levels, amounts, zones."""

import json
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from bson import Decimal128
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.gamification.play import new_rule
from vulyk.blueprints.gamification.core import amounts, events
from vulyk.blueprints.gamification.core.amounts import NumbersError
from vulyk.blueprints.gamification.core.events import Event, InvalidEventException
from vulyk.blueprints.gamification.core.foundations import Fund
from vulyk.blueprints.gamification.core.levels import Levels
from vulyk.blueprints.gamification.core.parsing import JsonRuleParser, RuleParser, RuleParsingException
from vulyk.blueprints.gamification.core.queries import MongoRuleQueryBuilder, RuleQueryBuilder
from vulyk.blueprints.gamification.core.rules import ProjectRule, Rule, RuleValidationException, stable_id
from vulyk.blueprints.gamification.core.state import UserState
from vulyk.blueprints.gamification.core.zones import Zones

NOW = datetime(2026, 11, 20, 21, 6, 52, 12380, tzinfo=UTC)
USER = SimpleNamespace(username='ada@example.org')
FUND = Fund('lamp', 'Lamp', 'gives lamps', '', '', None, True)


def test_core_needs_neither_flask_nor_mongoengine():
    modules = ['amounts', 'events', 'foundations', 'levels', 'parsing', 'queries', 'rules', 'state', 'tally', 'zones']
    program = f'import sys, {", ".join(f"vulyk.blueprints.gamification.core.{name}" for name in modules)}\n'
    program += 'print([name for name in ("flask", "mongoengine", "pymongo", "bson") if name in sys.modules])'
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'


# --- events -----------------------------------------------------------------------------------------------------------


def event(**facts) -> Event:
    usual = {
        'timestamp': NOW,
        'user': USER,
        'answer': SimpleNamespace(as_dict=lambda: {'answer': 1}),
        'points_given': Decimal(1),
        'coins': Decimal(1),
        'achievements': [],
        'acceptor_fund': None,
        'level_given': None,
        'viewed': False,
    }
    return Event.build(**{**usual, **facts})


DONATION = {'answer': None, 'points_given': Decimal(0), 'coins': Decimal(-1), 'acceptor_fund': FUND, 'viewed': True}


@pytest.mark.parametrize(
    ('facts', 'kind'),
    [
        ({}, events.NoAchievementsEvent),
        ({'achievements': [new_rule(tasks_number=1)]}, events.AchievementsEvent),
        ({'level_given': 2}, events.LevelEvent),
        ({'level_given': 2, 'achievements': [new_rule(tasks_number=1)]}, events.AchievementsLevelEvent),
        (DONATION, events.DonateEvent),
        ({'answer': None}, events.NoAchievementsEvent),
        ({'coins': Decimal(0)}, events.NoAchievementsEvent),
        ({'answer': None, 'coins': Decimal(0), 'achievements': [new_rule(tasks_number=1)]}, events.AchievementsEvent),
    ],
)
def test_content_decides_about_the_class(facts, kind):
    assert type(event(**facts)) is kind


@pytest.mark.parametrize(
    'facts',
    [
        {'user': None},
        {'points_given': Decimal(-1)},
        {'coins': Decimal(-1)},
        {'points_given': Decimal(0), 'coins': Decimal(0)},
        {'level_given': 0},
        {'level_given': -1},
        {'answer': None, 'coins': Decimal(0)},
        {**DONATION, 'coins': Decimal(1)},
        {**DONATION, 'coins': Decimal(0)},
        {**DONATION, 'points_given': Decimal(1)},
        {**DONATION, 'level_given': 1},
        {**DONATION, 'achievements': [new_rule(tasks_number=1)]},
        {**DONATION, 'viewed': False},
        {**DONATION, 'user': None},
    ],
)
def test_impossible_events_are_refused_by_an_ordinary_exception(facts):
    with pytest.raises(InvalidEventException):
        event(**facts)
    assert issubclass(InvalidEventException, Exception)


def test_event_as_a_dictionary():
    rule = new_rule(tasks_number=1)
    told = event(points_given=Decimal('2.50'), level_given=3, achievements=[rule]).to_dict()
    assert told == {
        'timestamp': '2026-11-20T21:06:52.012380+00:00',
        'user': 'ada',
        'points_given': Decimal('2.5'),
        'coins': Decimal(1),
        'achievements': [rule.to_dict()],
        'acceptor_fund': None,
        'level_given': 3,
        'viewed': False,
        'answer': {'answer': 1},
    }
    assert 'answer' not in event().to_dict(ignore_answer=True)
    assert event(**DONATION).to_dict()['acceptor_fund'] == FUND.to_dict()


def test_state_as_a_dictionary():
    rule = new_rule(tasks_number=1)
    state = UserState(USER, 2, Decimal('1.10'), Decimal(0), Decimal('100'), [rule], NOW.replace(tzinfo=None))
    assert state.to_dict() == {
        'user': 'ada',
        'level': 2,
        'points': Decimal('1.1'),
        'actual_coins': 0,
        'potential_coins': 100,
        'achievements': [rule.to_dict()],
        'last_changed': '2026-11-20T21:06:52.012380+00:00',
    }


# --- rules ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('facts', 'field'),
    [
        ({'tasks_number': 0, 'days_number': 0}, 'tasks_number'),
        ({'tasks_number': -1}, 'tasks_number'),
        ({'days_number': -1}, 'days_number'),
        ({'tasks_number': 1, 'bonus': -1}, 'bonus'),
        ({'tasks_number': 1, 'is_adjacent': True}, 'is_adjacent'),
        ({'tasks_number': 1, 'days_number': 2, 'is_adjacent': True}, 'is_adjacent'),
        ({'tasks_number': 1.5}, 'tasks_number'),
        ({'tasks_number': True}, 'tasks_number'),
        ({'tasks_number': '3'}, 'tasks_number'),
        ({'tasks_number': 2**31}, 'tasks_number'),
        ({'tasks_number': 1, 'days_number': 100_000}, 'days_number'),
        ({'days_number': 1000, 'is_weekend': True, 'is_adjacent': True}, 'days_number'),
        ({'tasks_number': 1, 'is_weekend': 'yes'}, 'is_weekend'),
        ({'tasks_number': 1, 'semantics': 'lunar'}, 'semantics'),
    ],
)
def test_rule_that_is_no_condition_is_refused(facts, field):
    with pytest.raises(RuleValidationException, match=field):
        new_rule(**facts)


@pytest.mark.parametrize(
    ('facts', 'limit'),
    [({'tasks_number': 20, 'days_number': 7}, 20), ({'days_number': 7}, 7), ({'tasks_number': 3}, 3)],
)
def test_tasks_come_before_days_as_the_limit(facts, limit):
    assert new_rule(**facts).limit == limit


def test_rule_can_be_promoted_to_a_project_rule():
    rule = new_rule(tasks_number=3, bonus=2, semantics='calendar')
    promoted = ProjectRule.from_rule(rule, 'game_task')
    assert promoted.to_dict() == {**rule.to_dict(), 'task_type_name': 'game_task'}
    assert (promoted.task_type_name, promoted.scope, rule.scope) == ('game_task', 'game_task', '')


def test_id_is_the_same_in_every_process():
    program = 'from vulyk.blueprints.gamification.core.rules import stable_id; print(stable_id("Зірка", "t"))'
    ids = {
        subprocess.run(
            [sys.executable, '-c', program], capture_output=True, text=True, check=True, env={'PYTHONHASHSEED': seed}
        ).stdout.strip()
        for seed in ('1', '2')
    }
    assert ids == {stable_id('Зірка', 't')}
    assert stable_id('a', 'b') != stable_id('ab', '')


RULE = {
    'name': 'Ten',
    'badge': 'ten.svg',
    'description': 'Ten tasks',
    'bonus': 5,
    'tasks_number': 10,
    'days_number': 0,
    'is_weekend': False,
    'is_adjacent': False,
}


def test_parsed_rule_is_what_was_written():
    rule = JsonRuleParser.parse(json.dumps(RULE))
    assert rule.to_dict() == {**RULE, 'id': stable_id('Ten')}
    assert issubclass(JsonRuleParser, RuleParser)
    own = JsonRuleParser.parse(json.dumps({**RULE, 'task_type_name': 'game_task', 'semantics': 'calendar'}))
    assert isinstance(own, ProjectRule)
    assert own.id == stable_id('Ten', 'game_task')
    assert JsonRuleParser.parse(json.dumps(own.to_dict())) == own


@pytest.mark.parametrize(
    'text',
    [
        '',
        'x',
        '[]',
        '3',
        'null',
        '{}',
        json.dumps({key: value for key, value in RULE.items() if key != 'bonus'}),
        json.dumps({**RULE, 'colour': 'red'}),
        json.dumps({**RULE, 'name': ' '}),
        json.dumps({**RULE, 'name': 7}),
        json.dumps({**RULE, 'name': 'x' * 201}),
        json.dumps({**RULE, 'name': 'a\0b'}),
        json.dumps({**RULE, 'bonus': '5'}),
        json.dumps({**RULE, 'bonus': 1.5}),
        json.dumps({**RULE, 'tasks_number': 0}),
        json.dumps({**RULE, 'is_adjacent': True}),
        json.dumps({**RULE, 'semantics': 'moon'}),
        json.dumps({**RULE, 'id': '7345716447637073846'}),
    ],
)
def test_what_is_no_rule_is_refused_by_the_parser(text):
    with pytest.raises(RuleParsingException):
        JsonRuleParser.parse(text)


def test_query_builder_of_no_source_builds_nothing():
    with pytest.raises(NotImplementedError):
        RuleQueryBuilder().build_for(None)
    pipeline = MongoRuleQueryBuilder(new_rule(tasks_number=1)).build_for('me')
    assert pipeline[0]['$match']['user'] == 'me'
    assert isinstance(new_rule(tasks_number=1), Rule)


# --- levels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('points', 'level'),
    [('0', 0), ('0.99', 0), ('1', 1), ('24.99', 1), ('25', 2), ('50', 3), ('1224.99', 49), ('1225', 50), ('99999', 50)],
)
def test_default_table_of_levels(points, level):
    assert Levels().of(Decimal(points)) == level


def test_next_level_and_own_table():
    assert Levels().after(Decimal(0)) == (1, 1)
    assert Levels().after(Decimal(30)) == (3, 50)
    assert Levels().after(Decimal(1225)) is None
    assert Levels({1: '0.5', 5: 2}).of(Decimal('1.9')) == 1
    assert Levels({1: '0.5', 5: 2}).of(Decimal(2)) == 5


@pytest.mark.parametrize('table', [{0: 1}, {1: 5, 2: 5}, {1: 5, 2: 4}, {'a': 1}, {1: 'x'}, {1: None}, [1]])
def test_table_that_makes_no_sense_is_refused(table):
    with pytest.raises(NumbersError, match='levels'):
        Levels(table)


# --- amounts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('value', [0.1, '0.1', Decimal('0.10'), Decimal128('0.1')])
def test_a_tenth_is_a_tenth_whatever_it_comes_as(value):
    assert amounts.exact(value) == Decimal('0.1')
    assert amounts.total([amounts.exact(value)] * 10) == 1


@pytest.mark.parametrize('value', ['abc', None, True, 'NaN', 'Infinity', 10**30, '0.0000000000001', ''])
def test_what_is_no_amount_is_refused(value):
    with pytest.raises(ValueError, match=r'number|larger|decimals'):
        amounts.exact(value)


def test_worth_is_rounded_and_never_negative():
    assert amounts.earned(1 / 3) == Decimal('0.333333333333')
    assert amounts.earned(-1) == 0


@settings(deadline=None)
@given(st.lists(st.decimals(-(10**15), 10**15, places=12), max_size=20))
def test_sums_are_exact(numbers):
    whole = sum(int(number * 10**12) for number in numbers)
    assert int(amounts.total(numbers).scaleb(12)) == whole
    assert 'E' not in str(amounts.plain(amounts.total(numbers)).__format__('f'))


# --- zones ------------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    st.datetimes(datetime(2001, 1, 1), datetime(2026, 12, 31)),
    st.sampled_from(
        ['Europe/Kyiv', 'America/Sao_Paulo', 'Australia/Lord_Howe', 'Africa/Casablanca', 'Asia/Gaza', 'Nowhere']
    ),
    st.sampled_from(['UTC', 'Pacific/Apia']),
    st.datetimes(datetime(2001, 1, 1), datetime(2026, 12, 31)),
)
def test_offsets_for_the_database_are_those_of_the_zones(moment, zone, other, moved):
    moment, moved = moment.replace(tzinfo=UTC, microsecond=0), moved.replace(tzinfo=UTC, microsecond=0)
    zones = Zones(other, [(moved, zone)])
    offset = [offset for since, offset in zones.offsets(moment) if since <= moment][-1]
    assert (moment + offset).date() == zones.day(moment)


# Moments by full hours from the midnight of a day, because days begin at full hours.
HOURS = st.integers(-40, 1000).map(lambda number: timedelta(hours=number))
MOVES = st.lists(
    st.tuples(
        st.integers(-1000, 1000).map(lambda number: timedelta(hours=number)),
        st.sampled_from(
            ['Europe/Kyiv', 'Pacific/Apia', 'Pacific/Pago_Pago', 'Pacific/Kiritimati', 'America/Sao_Paulo']
        ),
    ),
    max_size=3,
)


@settings(deadline=None)
@given(
    st.dates(date(2020, 1, 1), date(2026, 12, 31)), HOURS, MOVES, st.timedeltas(-timedelta(days=3), timedelta(days=3))
)
@example(date(2026, 9, 7), timedelta(hours=-9), [(-timedelta(days=40), 'Pacific/Kiritimati')], timedelta(0))
def test_moments_since_a_day_are_those_at_which_it_was_that_day_or_a_later_one(day, until, moves, difference):
    midnight = datetime.combine(day, time(), UTC)
    until, moves = midnight + until, [(midnight + moved, zone) for moved, zone in moves]
    zones = Zones('Asia/Tokyo', moves)
    spans = zones.since(day, until)
    moments = sum(spans, ())
    assert list(moments) == sorted(set(moments))
    around = [midnight, until, *(moved for moved, _ in moves), *moments]
    for moment in [at + shift for at in around for shift in (timedelta(0), timedelta(seconds=-1), difference)]:
        if moment <= until:
            assert any(begin <= moment < end for begin, end in spans) == (zones.day(moment) >= day)


def test_every_change_of_the_clock_is_found_to_the_second():
    changes = [since for since, _ in Zones('Europe/Kyiv').offsets(datetime(2026, 12, 31, tzinfo=UTC))][-2:]
    assert changes == [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)]


def test_later_moves_do_not_change_earlier_days():
    moment = datetime(2026, 6, 1, 23, 30, tzinfo=UTC)
    zones = Zones('UTC', [(moment + timedelta(days=1), 'Asia/Tokyo')])
    assert zones.day(moment).day == 1
    assert zones.at(moment) == 'UTC'
    assert zones.at(moment + timedelta(days=1)) == 'Asia/Tokyo'
