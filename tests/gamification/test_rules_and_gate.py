"""What rules mean, asked of the real server, and that the counters never hold back what it grants."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise, product
from typing import NamedTuple

import pytest
from bson import ObjectId
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mongoengine.connection import get_db

from tests.gamification.play import make_sessions, new_rule
from vulyk.blueprints.gamification.core.queries import MongoRuleExecutor, MongoRuleQueryBuilder
from vulyk.blueprints.gamification.core.rules import CALENDAR, VULYK, Rule
from vulyk.blueprints.gamification.core.tally import Counters, Gate, Today, estimate, is_due, needs_of
from vulyk.blueprints.gamification.core.zones import Zones
from vulyk.models.stats import WorkSession


def at(text: str) -> datetime:
    """``'2026-06-06 12:00'`` as a moment."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def counted(rule: Rule, user_id: ObjectId, as_of: datetime, zones: Zones) -> int:
    """What the pipeline counts."""
    pipeline = MongoRuleQueryBuilder(rule).build_for(user_id, as_of, zones)
    return next((row['count'] for row in WorkSession._get_collection().aggregate(pipeline)), 0)


# --- the table, with days that can be looked up in a calendar ---------------------------------------------------------
# June 2026: the 1st is a Monday, the 6th and 13th are Saturdays, the 7th and 14th Sundays.

TASKS, IN_DAYS, WEEKEND_TASKS = {'tasks_number': 3}, {'tasks_number': 2, 'days_number': 2}, {'tasks_number': 2}
CASES = {
    'n tasks: n are enough': ({'tasks_number': 2}, ['06-01 10:00', '06-02 10:00'], True),
    'n tasks: one less is not': ({'tasks_number': 3}, ['06-01 10:00', '06-02 10:00'], False),
    'n tasks in m days': (IN_DAYS, ['06-02 10:00', '06-04 10:00'], True),
    'n tasks in m days: older': (IN_DAYS, ['06-01 23:59', '06-04 10:00'], False),
    'n tasks in m days: the first midnight does not count': (IN_DAYS, ['06-02 00:00', '06-04 10:00'], False),
    'n tasks in m days: a minute later counts': (IN_DAYS, ['06-02 00:01', '06-04 10:00'], True),
    'n tasks on weekends': ({**WEEKEND_TASKS, 'is_weekend': True}, ['06-06 10:00', '06-07 10:00'], True),
    'n tasks on weekends: Friday': ({**WEEKEND_TASKS, 'is_weekend': True}, ['06-05 23:59', '06-07 10:00'], False),
    'm weekends: Saturday and Sunday are two': (
        {'days_number': 2, 'is_weekend': True},
        ['06-06 10:00', '06-07 10:00'],
        True,
    ),
    'm weekends: Sunday and the next Saturday are one': (
        {'days_number': 2, 'is_weekend': True},
        ['06-07 10:00', '06-13 10:00'],
        False,
    ),
    'm days in a row': ({'days_number': 3, 'is_adjacent': True}, ['06-01 10:00', '06-02 10:00', '06-03 10:00'], True),
    'm days in a row: one hole is tolerated': (
        {'days_number': 3, 'is_adjacent': True},
        ['06-01 10:00', '06-02 10:00', '06-04 10:00'],
        True,
    ),
    'm days in a row: two holes are not': (
        {'days_number': 3, 'is_adjacent': True},
        ['06-01 10:00', '06-02 10:00', '06-05 10:00'],
        False,
    ),
    'm weekends in a row': (
        {'days_number': 2, 'is_weekend': True, 'is_adjacent': True},
        ['06-07 10:00', '06-14 10:00'],
        True,
    ),
    'm weekends in a row: too long ago': (
        {'days_number': 2, 'is_weekend': True, 'is_adjacent': True},
        ['05-30 10:00', '06-14 10:00'],
        False,
    ),
    'm days, not adjacent': ({'days_number': 2}, ['01-01 10:00', '06-14 10:00'], True),
    'm days: the same day twice': ({'days_number': 2}, ['06-14 09:00', '06-14 10:00'], False),
    'calendar: a weekend is a Saturday and its Sunday': (
        {'days_number': 2, 'is_weekend': True, 'semantics': CALENDAR},
        ['06-06 10:00', '06-07 10:00'],
        False,
    ),
    'calendar: Sunday and the next Saturday are two': (
        {'days_number': 2, 'is_weekend': True, 'semantics': CALENDAR},
        ['06-07 10:00', '06-13 10:00'],
        True,
    ),
    'calendar: no hole in a row': (
        {'days_number': 3, 'is_adjacent': True, 'semantics': CALENDAR},
        ['06-01 10:00', '06-02 10:00', '06-04 10:00'],
        False,
    ),
    'calendar: in a row': (
        {'days_number': 3, 'is_adjacent': True, 'semantics': CALENDAR},
        ['06-02 00:00', '06-03 10:00', '06-04 23:59'],
        True,
    ),
    'calendar: weekends in a row': (
        {'days_number': 2, 'is_weekend': True, 'is_adjacent': True, 'semantics': CALENDAR},
        ['06-07 10:00', '06-13 10:00'],
        True,
    ),
    'calendar: n tasks in m days, today included': (
        {**IN_DAYS, 'semantics': CALENDAR},
        ['06-03 00:00', '06-04 10:00'],
        True,
    ),
    'calendar: n tasks in m days, the day before those': (
        {**IN_DAYS, 'semantics': CALENDAR},
        ['06-02 23:59', '06-04 10:00'],
        False,
    ),
}


@pytest.mark.parametrize(('facts', 'moments', 'expected'), CASES.values(), ids=list(CASES))
def test_rule_means_what_the_table_says(app, facts, moments, expected):
    user_id, ended = ObjectId(), [at(f'2026-{moment}') for moment in moments]
    make_sessions({user_id: [(moment, 'game_task') for moment in ended]})
    assert MongoRuleExecutor.achieved(user_id, new_rule(**facts), WorkSession.objects, ended[-1]) is expected


def test_new_year_splits_a_week_for_vulyk_but_not_a_weekend_for_the_calendar(app):
    # Saturday 31 December 2022 and Sunday 1 January 2023
    user_id, ended = ObjectId(), [at('2022-12-31 10:00'), at('2023-01-01 10:00')]
    make_sessions({user_id: [(moment, 'game_task') for moment in ended]})
    weekends = {'days_number': 2, 'is_weekend': True}
    assert counted(new_rule(**weekends), user_id, ended[-1], Zones()) == 2
    assert counted(new_rule(**weekends, semantics=CALENDAR), user_id, ended[-1], Zones()) == 1


def test_project_rule_counts_its_own_sessions_only(app):
    user_id, moment = ObjectId(), at('2026-06-01 10:00')
    make_sessions({user_id: [(moment, 'game_task'), (moment, 'other_task'), (moment, 'plain_task')]})
    assert counted(new_rule(tasks_number=1), user_id, moment, Zones()) == 3
    assert counted(new_rule(project='game_task', tasks_number=1), user_id, moment, Zones()) == 1


def test_later_sessions_do_not_count(app):
    user_id, moments = ObjectId(), [at('2026-06-01 10:00'), at('2026-06-01 10:01')]
    make_sessions({user_id: [(moment, 'game_task') for moment in moments]})
    assert counted(new_rule(tasks_number=1), user_id, moments[0], Zones()) == 1


def test_open_sessions_do_not_count(app):
    user_id = ObjectId()
    WorkSession._get_collection().insert_one({'user': user_id, 'task': 't', 'start_time': at('2026-06-01 10:00')})
    assert not MongoRuleExecutor.achieved(user_id, new_rule(tasks_number=1), WorkSession.objects)


@pytest.mark.parametrize('semantics', [VULYK, CALENDAR])
@pytest.mark.parametrize(
    'facts',
    [
        {'tasks_number': 2},
        {'tasks_number': 2, 'days_number': 3},
        {'tasks_number': 2, 'is_weekend': True},
        {'days_number': 2},
        {'days_number': 2, 'is_weekend': True},
        {'days_number': 2, 'is_adjacent': True},
        {'days_number': 2, 'is_adjacent': True, 'is_weekend': True},
    ],
    ids=str,
)
def test_rule_is_counted_by_an_index_without_a_look_at_any_session(app, facts, semantics):
    user_id, saturday = ObjectId(), at('2026-06-06 10:00')
    make_sessions({user_id: [(saturday, 'game_task')] * 3})
    pipeline = MongoRuleQueryBuilder(new_rule('r', 'game_task', semantics=semantics, **facts)).build_for(
        user_id, saturday, Zones('Europe/Kyiv')
    )
    command = {'aggregate': WorkSession._get_collection_name(), 'pipeline': pipeline, 'cursor': {}}
    told = get_db().command('explain', command, verbosity='executionStats')
    stats = told.get('executionStats') or told['stages'][0]['$cursor']['executionStats']
    assert (stats['totalKeysExamined'] >= 3, stats['totalDocsExamined']) == (True, 0)


def test_days_of_the_calendar_are_those_of_the_volunteer(app):
    # 22:30 UTC is the next day in Kyiv, and the day before is still going on in New York at 02:30 UTC.
    user_id, moments = ObjectId(), [at('2026-06-01 22:30'), at('2026-06-02 02:30')]
    make_sessions({user_id: [(moment, 'game_task') for moment in moments]})
    two_days = new_rule(days_number=2, semantics=CALENDAR)
    assert counted(two_days, user_id, moments[-1], Zones('UTC')) == 2
    assert counted(two_days, user_id, moments[-1], Zones('Europe/Kyiv')) == 1
    assert counted(two_days, user_id, moments[-1], Zones('America/New_York')) == 1
    moved = Zones('America/New_York', [(at('2026-06-02 01:00'), 'Europe/Kyiv')])
    assert counted(two_days, user_id, moments[-1], moved) == 2


def test_days_around_the_change_of_the_clock_are_told_by_the_second(app):
    # On 25 October 2026 Kyiv goes back from UTC+3 to UTC+2 at 01:00 UTC; midnight before is 21:00 UTC, after it 22:00.
    user_id, moments = ObjectId(), [at('2026-10-24 20:59'), at('2026-10-24 21:00'), at('2026-10-25 21:59')]
    make_sessions({user_id: [(moment, 'game_task') for moment in moments]})
    assert counted(new_rule(days_number=2, semantics=CALENDAR), user_id, moments[-1], Zones('Europe/Kyiv')) == 2


# --- the gate ---------------------------------------------------------------------------------------------------------

ZONES = ['UTC', 'Europe/Kyiv', 'America/New_York', 'Asia/Kathmandu', 'Pacific/Kiritimati', 'Pacific/Pago_Pago']
BEGIN = at('2025-12-20 00:00')  # a new year, leap days of the clock and two months are within reach
KINDS = [
    {'tasks': True, 'days': False, 'is_weekend': False, 'is_adjacent': False},
    {'tasks': True, 'days': True, 'is_weekend': False, 'is_adjacent': False},
    {'tasks': True, 'days': False, 'is_weekend': True, 'is_adjacent': False},
    {'tasks': True, 'days': True, 'is_weekend': True, 'is_adjacent': False},
    {'tasks': False, 'days': True, 'is_weekend': False, 'is_adjacent': False},
    {'tasks': False, 'days': True, 'is_weekend': True, 'is_adjacent': False},
    {'tasks': False, 'days': True, 'is_weekend': False, 'is_adjacent': True},
    {'tasks': False, 'days': True, 'is_weekend': True, 'is_adjacent': True},
]


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    kind = draw(st.sampled_from(KINDS))
    return new_rule(
        project=draw(st.sampled_from(['', 'game_task'])),
        tasks_number=draw(st.integers(1, 6)) if kind['tasks'] else 0,
        days_number=draw(st.integers(1, 5)) if kind['days'] else 0,
        is_weekend=kind['is_weekend'],
        is_adjacent=kind['is_adjacent'],
        semantics=draw(st.sampled_from([VULYK, CALENDAR])),
    )


# Minutes around midnight somewhere, or any; steps from none to weeks.
_EDGES = [0, 1, 4 * 60, 5 * 60, 10 * 60, 11 * 60, 18 * 60 + 15, 21 * 60, 22 * 60, 23 * 60 + 59]
_DAY = range(24 * 60)
_MINUTES = st.sampled_from([*_EDGES * (len(_DAY) // len(_EDGES)), *_DAY])  # as many of the first kind as of the second
_A_LITTLE = [timedelta(0), timedelta(milliseconds=1), timedelta(milliseconds=-1)]
# Drawn at once: each draw takes longer than what is tested with it.
_ANSWERS = st.sampled_from(list(product(_A_LITTLE, ['game_task', 'game_task', 'plain_task'])))


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[datetime, str]]:
    day, found = draw(st.integers(0, 330)), []
    for step in draw(st.lists(st.sampled_from([0, 0, 0, 1, 1, 1, 1, 2, 5, 6, 7, 8, 14, 40]), min_size=1, max_size=14)):
        day += step
        offset, kind = draw(_ANSWERS)
        found.append((BEGIN + timedelta(days=day, minutes=draw(_MINUTES)) + offset, kind))
    return sorted(found)


@st.composite
def homes(draw: st.DrawFn) -> Zones:
    changes = [
        (BEGIN + timedelta(days=draw(st.integers(0, 400)), minutes=draw(_MINUTES)), draw(st.sampled_from(ZONES)))
        for _ in range(draw(st.integers(0, 2)))
    ]
    return Zones(draw(st.sampled_from(ZONES)), changes)


def by_hand(rule: Rule, history: Iterable[tuple[datetime, str]], as_of: datetime, zones: Zones) -> int:
    """What the rule counts, from its description alone: no counters, no database."""
    moments = [moment for moment, kind in history if moment <= as_of and rule.scope in ('', kind)]
    days_of = (lambda moment: moment.date()) if rule.semantics == VULYK else zones.day
    today = days_of(as_of)
    if rule.is_weekend:
        moments = [moment for moment in moments if days_of(moment).weekday() >= 5]
    if rule.window and rule.semantics == VULYK:
        begin = datetime(today.year, today.month, today.day, tzinfo=UTC) - timedelta(days=rule.window)
        moments = [moment for moment in moments if moment > begin]
    if rule.tasks_number:
        if rule.days_number and rule.semantics == CALENDAR:
            moments = [moment for moment in moments if today - days_of(moment) < timedelta(days=rule.days_number)]
        return len(moments)
    days = {days_of(moment) for moment in moments}
    if rule.semantics == VULYK:
        return len({(day.year, day.strftime('%U')) for day in days} if rule.is_weekend else days)
    if rule.is_weekend:
        days = {day - timedelta(days=day.weekday() - 5) for day in days}
    if not rule.is_adjacent:
        return len(days)
    step = timedelta(days=7 if rule.is_weekend else 1)
    last = today - timedelta(days=(today.weekday() - 5) % 7) if rule.is_weekend else today
    wanted: list[date] = [last - step * number for number in range(rule.days_number)]
    return len(days & set(wanted))


class Question(NamedTuple):
    """A rule, asked for one volunteer at one moment, and what the counters say to it."""

    rule: Rule
    user_id: ObjectId
    as_of: datetime
    zones: Zones
    history: list[tuple[datetime, str]]
    bound: int


def questions(history: list[tuple[datetime, str]], zones: Zones, asked: list[Rule]) -> Iterator[Question]:
    """Asked at the last answer of a volunteer, and at one in the middle."""
    user_id, needs, counters, gate = ObjectId(), needs_of(asked), Counters(), Gate(asked)
    moments = {history[len(history) // 2][0], history[-1][0]}
    for (moment, kind), (next_moment, _) in pairwise([*history, (datetime.max.replace(tzinfo=UTC), '')]):
        counters.add(kind, moment, zones, needs)
        assert Counters.from_dict(counters.to_dict()) == counters
        if moment in moments and next_moment != moment:
            today = Today.of(moment, zones)
            near = [id(rule) for rule in gate.near(kind, counters, today)]
            for rule in asked:
                is_asked = rule.scope in ('', kind) and is_due(rule, today)
                is_near = estimate(rule, counters.tally(rule.scope), today) >= rule.limit
                assert (id(rule) in near) == (is_asked and is_near)
                bound = estimate(rule, counters.tally(rule.scope), Today.of(moment, zones))
                yield Question(rule, user_id, moment, zones, history, bound)


def ask(found: list[Question]) -> list[int]:
    """What the pipelines count, all in one command: the way to the server and back would take most of the time."""
    stages = [{'$match': {'_id': None}}]
    for number, one in enumerate(found):
        pipeline = MongoRuleQueryBuilder(one.rule).build_for(one.user_id, one.as_of, one.zones)
        stages.append({'$unionWith': {'coll': 'work_sessions', 'pipeline': [*pipeline, {'$set': {'number': number}}]}})
    counts = {row['number']: row['count'] for row in WorkSession._get_collection().aggregate(stages)}
    return [counts.get(number, 0) for number in range(len(found))]


def check(cases: list[tuple[list[tuple[datetime, str]], Zones, list[Rule]]]) -> None:
    found = [question for case in cases for question in questions(*case)]
    sessions = {question.user_id: question.history for question in found}
    make_sessions(sessions)
    for one, number in zip(found, ask(found), strict=True):
        assert number == by_hand(one.rule, one.history, one.as_of, one.zones)
        assert one.bound >= one.rule.limit or number < one.rule.limit
        is_at_midnight = any(when.time() == time(0) for when, _ in one.history)
        is_run = one.rule.semantics == CALENDAR and one.rule.is_adjacent
        if not is_at_midnight and not is_run:
            assert one.bound == number  # so tight that hardly any rule is evaluated in vain
    WorkSession._get_collection().delete_many({})


CASES_PER_EXAMPLE = 16
volunteers = st.lists(
    st.tuples(histories(), homes(), st.lists(rules(), min_size=3, max_size=3)),
    min_size=CASES_PER_EXAMPLE,
    max_size=CASES_PER_EXAMPLE,
)
thorough = settings(
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ],
)


@pytest.mark.timeout(600)  # takes ten seconds; what it finds it makes smaller for minutes, and then tells
@settings(thorough, max_examples=2000 // CASES_PER_EXAMPLE)
@given(volunteers)
def test_gate_never_holds_back_what_the_pipeline_grants(app, cases):
    check(cases)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@settings(thorough, max_examples=100_000 // CASES_PER_EXAMPLE)
@given(volunteers)
def test_gate_never_holds_back_anything_for_long(app, cases):
    check(cases)
