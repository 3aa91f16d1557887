"""The game switched off and on, databases without counters, backfill and audit."""

from datetime import UTC, datetime, timedelta

import pytest
from bson import Decimal128

from tests.factories import answer as give_answer
from tests.factories import make_user
from tests.gamification.play import (
    amounts_of,
    assert_state_is_sum_of_facts,
    facts_of,
    make_rule,
    make_sessions,
    state_of,
    work_all,
)
from vulyk.blueprints.gamification import audit, history, listeners
from vulyk.blueprints.gamification.core.queries import MongoRuleExecutor
from vulyk.blueprints.gamification.core.state import UserState
from vulyk.blueprints.gamification.models.events import EventModel
from vulyk.blueprints.gamification.models.rules import AwardModel, RuleModel
from vulyk.blueprints.gamification.models.state import UserStateModel
from vulyk.models.stats import WorkSession
from vulyk.models.user import User

SATURDAY = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def asked(monkeypatch) -> list:
    """The rules the database is asked about."""
    seen, real = [], MongoRuleExecutor.achieved

    def achieved(user_id, rule, *more):
        seen.append(rule.name)
        return real(user_id, rule, *more)

    monkeypatch.setattr(MongoRuleExecutor, 'achieved', staticmethod(achieved))
    return seen


# --- which rules are looked at ----------------------------------------------------------------------------------------


def test_database_is_only_asked_about_rules_that_may_have_been_reached(play, member, asked):
    for number in range(2, 40):
        make_rule(f'{number} tasks', tasks_number=number)
        make_rule(f'{number} days', days_number=number, is_adjacent=True, semantics='calendar')
    play.answers(member, 3)
    assert asked == ['2 tasks', '3 tasks']


def test_owned_rule_is_never_evaluated_again(play, member, asked):
    make_rule('one', tasks_number=1)
    play.answers(member, 3)
    assert asked == ['one']


def test_rule_of_another_project_is_not_looked_at(play, member, asked):
    make_rule('own', 'game_task', tasks_number=1)
    play.answer(member, kind='other_task')
    assert asked == []
    play.answer(member)
    assert asked == ['own']


def test_project_rule_does_not_count_other_projects(play, member):
    rule = make_rule('own', 'game_task', tasks_number=2)
    play.answer(member)
    play.answer(member, kind='other_task')
    assert state_of(member)['achievements'] == []
    play.answer(member)
    assert state_of(member)['achievements'] == [rule.id]


def test_answers_of_plain_types_count_for_rules_of_all_types(play, member):
    rule = make_rule(tasks_number=3)
    play.answer(member, kind='plain_task')
    play.answer(member)
    play.answer(member, kind='plain_task')
    assert state_of(member)['achievements'] == []
    play.answer(member, kind='other_task')
    assert state_of(member)['achievements'] == [rule.id]


def test_weekend_rules_wait_for_a_weekend(play, member):
    rule = make_rule(tasks_number=1, is_weekend=True)
    make_sessions({member.id: [(SATURDAY - timedelta(days=7), 'game_task')]})
    User.objects(pk=member.id).update_one(inc__processed=1)
    play.answer(member, at=SATURDAY - timedelta(days=1))
    assert state_of(member)['achievements'] == []
    play.answer(member, at=SATURDAY)
    assert state_of(member)['achievements'] == [rule.id]


def test_documented_choice_of_rules(play, member):
    free, own = make_rule('free', tasks_number=9), make_rule('own', 'game_task', tasks_number=9)
    weekend = make_rule('weekend', tasks_number=9, is_weekend=True)
    make_rule('foreign', 'other_task', tasks_number=9)
    state = UserState(member, 0, 0, 0, 0, [free], SATURDAY)
    found = listeners.get_actual_rules(state, 'game_task', SATURDAY)
    assert {rule.name for rule in found} == {'own', 'weekend'}
    found = listeners.get_actual_rules(state, 'game_task', SATURDAY - timedelta(days=1))
    assert list(found) == [own]
    assert weekend.is_weekend


def test_rule_switched_off_gives_nothing(play, member):
    rule = make_rule(tasks_number=1)
    model = RuleModel.objects.get(pk=rule.id)
    model.enabled = False
    model.save()
    play.answer(member)
    assert state_of(member)['achievements'] == []


def test_stored_rule_that_is_none_disturbs_nobody(play, member):
    old = {'_id': 'x', '_cls': 'RuleModel', 'name': 'old', 'tasksNumber': 0, 'daysNumber': 0}
    RuleModel._get_collection().insert_one(old)
    good = make_rule(tasks_number=1)
    play.answer(member)
    assert state_of(member)['achievements'] == [good.id]
    assert 'old' in next(audit.audit_rules())
    assert [badge['id'] for badge in play.app.test_client().get('/gamification/badges').json['result']['badges']] == [
        good.id
    ]


def test_days_are_those_of_the_volunteer_where_the_rule_says_so(play, member, mine):
    local, utc = make_rule('local', days_number=2, semantics='calendar'), make_rule('utc', days_number=2)
    UserStateModel.ensure(member.id)
    since = datetime(2026, 1, 1, tzinfo=UTC)
    UserStateModel.objects(user=member.id).update_one(
        __raw__={'$set': {'zones': [{'since': since, 'zone': 'Asia/Tokyo'}]}}
    )
    play.answer(member, at=datetime(2026, 11, 20, 14, 59, tzinfo=UTC))
    play.answer(member, at=datetime(2026, 11, 20, 15, 1, tzinfo=UTC))
    assert state_of(member)['achievements'] == [local.id]
    assert [fact['localDate'] for fact in facts_of(member)] == ['2026-11-20', '2026-11-21']
    play.answer(member, at=datetime(2026, 11, 21, 1, tzinfo=UTC))
    assert state_of(member)['achievements'] == [local.id, utc.id]
    assert audit.audit(member.id) == []


# --- counters that have to be made --------------------------------------------------------------------------------------


def test_answers_stored_while_the_game_was_off_are_counted(app, play, member):
    rule = make_rule(tasks_number=5)
    play.answer(member)
    listeners.disconnect(app)
    play.answers(member, 3)
    assert len(facts_of(member)) == 1
    listeners.connect(app)
    play.answer(member)
    assert state_of(member)['achievements'] == [rule.id]


def test_site_without_the_game_leaves_no_marks(app, play, member):
    listeners.disconnect(app)
    assert play.answer(member).signal_due is None
    assert (facts_of(member), state_of(member)) == ([], {})


def test_counters_of_an_older_version_are_made_anew(play, member):
    rule = make_rule(tasks_number=3)
    play.answer(member)
    older = {'scopes': [{'scope': '', 'window': 9, 'total': 1, 'utc': {'recent': b''}, 'local': {'recent': b''}}]}
    older |= {'last': None, 'gap': 0, 'zone': 'UTC'}
    UserStateModel._get_collection().update_one({'user': member.id}, {'$set': {'counters': older}})
    play.answer(member)
    play.answer(member)
    assert state_of(member)['achievements'] == [rule.id]
    assert audit.audit(member.id) == []


def test_longer_rule_has_the_counters_made_anew(play, member):
    start = play.clock.now
    for day in range(40):
        play.answer(member, at=start + timedelta(days=day))
    assert len(state_of(member)['counters']['scopes'][0]['utc']['packed']) < 40
    rule = make_rule(tasks_number=40, days_number=45)
    play.answer(member)
    assert state_of(member)['achievements'] == [rule.id]
    assert audit.audit(member.id) == []


def test_state_of_an_older_version_goes_on_with_exact_amounts(play, member):
    make_rule(tasks_number=3)
    make_sessions({member.id: [(play.clock.now - timedelta(days=day), 'game_task') for day in (3, 2)]})
    User.objects(pk=member.id).update_one(set__processed=2)
    UserStateModel._get_collection().insert_one(
        {
            'user': member.id,
            'level': 1,
            'points': 0.1 + 0.2,
            'actualCoins': 0.1,
            'potentialCoins': 0.7,
            'achievements': [],
        }
    )
    UserStateModel._get_collection().update_one({'user': member.id}, {'$set': {'points': 0.3}})
    play.answer(member, points_per_task='0.1', coins_per_task='0.1')
    assert [str(amount) for amount in amounts_of(member)] == ['0.4', '0.1', '0.8']
    assert isinstance(state_of(member)['points'], Decimal128)
    assert len(state_of(member)['achievements']) == 1


def test_account_that_tells_a_wrong_number_does_not_make_every_answer_slow(play, member, monkeypatch):
    User.objects(pk=member.id).update_one(set__processed=70)
    play.answers(member, 2)
    made = []
    real = history.count_sessions
    monkeypatch.setattr(history, 'count_sessions', lambda *args: made.append(1) or real(*args))
    play.answers(member, 3)
    assert made == []
    assert state_of(member)['counters']['gap'] == 70


# --- backfill -----------------------------------------------------------------------------------------------------------


def test_backfill_dates_the_award_at_the_qualifying_answer(play, member):
    start = play.clock.now
    stored = [play.answer(member, at=start + timedelta(hours=hour)) for hour in range(4)]
    rule = make_rule(tasks_number=3, bonus=30)
    before = amounts_of(member)
    assert audit.backfill(member.id, [rule]) == 1
    award = AwardModel.objects.get()
    assert (award.at, award.answer) == (start + timedelta(hours=2), stored[2].id)
    assert amounts_of(member)[0] - before[0] == 30
    event = facts_of(member, kind='award')[0]
    assert (event['timestamp'][:13], event['level'], event['viewed']) == ('2026,11,20,14', 2, False)
    assert_state_is_sum_of_facts(member)
    assert [event.points_given for event in EventModel.get_all_events(member)] == [1, 1, 1, 30, 1]


def test_backfill_twice_changes_nothing(play, member):
    play.answers(member, 3)
    rule = make_rule(tasks_number=2, bonus=5)
    assert [audit.backfill(member.id, [rule]) for _ in range(3)] == [1, 0, 0]
    before = (amounts_of(member), facts_of(member))
    work_all()
    assert (amounts_of(member), facts_of(member)) == before
    assert audit.audit(member.id) == []


def test_backfill_uses_the_windows_of_that_time_and_ignores_working_days(play, member):
    friday = SATURDAY - timedelta(days=1)
    for moment in (SATURDAY - timedelta(days=70), SATURDAY - timedelta(days=69), friday):
        play.answer(member, at=moment)
    in_two_days = make_rule('in two days', tasks_number=2, days_number=2)
    weekends = make_rule('weekends', days_number=2, is_weekend=True)
    impossible = make_rule('in a row', days_number=3, is_adjacent=True)
    assert audit.backfill(member.id, [in_two_days, weekends, impossible]) == 2
    assert {award.rule: award.at for award in AwardModel.objects} == {
        in_two_days.id: SATURDAY - timedelta(days=69),
        weekends.id: SATURDAY - timedelta(days=69),
    }


def test_backfill_ignores_answers_of_plain_types_as_moments_but_counts_them(play, member):
    play.answer(member, kind='plain_task')
    play.clock.later(hours=1)
    play.answer(member, kind='plain_task')
    rule = make_rule(tasks_number=2)
    assert audit.backfill(member.id, [rule]) == 0
    play.clock.later(hours=1)
    play.answer(member)
    assert state_of(member)['achievements'] == [rule.id]


def test_rule_of_the_job_is_given_to_everybody(play, monkeypatch):
    monkeypatch.setattr(audit, 'USERS_PER_JOB', 2)
    users = [make_user() for _ in range(5)]
    for user in users:
        play.answers(user, 2)
    rule = make_rule(tasks_number=2)
    assert audit.enqueue_backfill(rule.id)
    assert not audit.enqueue_backfill(rule.id)
    work_all()
    assert [state_of(user)['achievements'] for user in users] == [[rule.id]] * 5


def test_backfill_equals_what_would_have_been_given_at_once(play):
    one, other = make_user(), make_user()
    moments = [SATURDAY + timedelta(days=day, minutes=day * 37) for day in (0, 1, 2, 4, 7, 8, 9, 14, 15, 21)]
    facts = [
        {'tasks_number': 4},
        {'tasks_number': 3, 'days_number': 2},
        {'days_number': 3, 'is_adjacent': True},
        {'days_number': 3, 'is_adjacent': True, 'semantics': 'calendar'},
        {'days_number': 2, 'is_weekend': True, 'is_adjacent': True, 'semantics': 'calendar'},
        {'days_number': 5},
    ]
    for moment in moments:
        play.answer(one, at=moment)
    rules = [make_rule(f'r{number}', **fact) for number, fact in enumerate(facts)]
    for moment in moments:
        play.answer(other, at=moment)
    audit.backfill(one.id, rules)
    given = [{award.rule: award.at for award in AwardModel.objects(user=user.id)} for user in (one, other)]
    assert given[0] == given[1]
    assert len(given[0]) == 6


# --- audit --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def veteran(play, member):
    make_rule('two', tasks_number=2)
    play.answers(member, 3)
    assert audit.audit(member.id) == []
    return member


@pytest.mark.parametrize(
    ('model', 'change', 'text'),
    [
        (UserStateModel, {'$set': {'points': Decimal128('7')}}, 'points is 7'),
        (UserStateModel, {'$set': {'actualCoins': Decimal128('1')}}, 'actualCoins'),
        (UserStateModel, {'$set': {'level': 9}}, 'level is 9'),
        (UserStateModel, {'$set': {'achievements': []}}, '0 badges'),
        (UserStateModel, {'$set': {'counters.scopes.0.total': 9}}, 'total is 9, but the sessions make 3'),
        (UserStateModel, {'$set': {'counters.scopes.1.utc.days': 9}}, 'utc days is 9'),
        (UserStateModel, {'$set': {'counters.scopes.1.local.newest': 0}}, 'answers per day (local)'),
        (EventModel, {'$set': {'coins': Decimal128('2')}}, 'potentialCoins'),
        (AwardModel, {'$set': {'rule': 'other'}}, 'awards'),
        (EventModel, {'$unset': {'answer': ''}}, 'has no event'),
        (EventModel, {'$set': {'reversed': True}}, 'has been undone'),
    ],
)
def test_audit_finds_what_does_not_add_up(veteran, model, change, text):
    model._get_collection().update_one({'user': veteran.id}, change)
    assert any(text in difference.text for difference in audit.audit(veteran.id))


def test_audit_finds_badges_that_were_not_given(veteran):
    make_rule('three', tasks_number=3)
    (difference,) = audit.audit(veteran.id)
    assert '“three” is reached, but not given' in difference.text


def test_audit_does_not_take_work_in_progress_for_a_mistake(play, veteran, monkeypatch):
    from tests.gamification.test_exactly_once import broken
    from vulyk.blueprints.gamification import facts

    with monkeypatch.context() as patch:
        patch.setattr(facts, '_store', broken)
        give_answer(play.app.task_types['game_task'], play.tasks(1)[0], veteran)
    assert audit.audit(veteran.id) == []


def test_sessions_are_told_in_order(member):
    moments = [(SATURDAY + timedelta(minutes=minute), 'game_task') for minute in (5, 1, 3)]
    make_sessions({member.id: moments})
    assert [session.ended.minute for session in history.sessions_of(member.id)] == [1, 3, 5]
    assert WorkSession.objects.count() == 3
