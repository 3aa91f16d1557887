"""The documented models and services, called as the documentation says."""

import io
from datetime import UTC, datetime
from decimal import Decimal

import mongoengine
import pytest
from bson import Decimal128, ObjectId
from PIL import Image

from tests.factories import make_user
from tests.gamification.play import amounts_of, make_rule, new_rule, state_of
from tests.gamification.test_api import make_fund, picture, rich
from tests.pseudo import outside
from vulyk.blueprints import gamification as package
from vulyk.blueprints.gamification.core.events import Event, InvalidEventException
from vulyk.blueprints.gamification.core.foundations import Fund
from vulyk.blueprints.gamification.core.state import UserState
from vulyk.blueprints.gamification.models import foundations
from vulyk.blueprints.gamification.models.events import EventModel
from vulyk.blueprints.gamification.models.foundations import FundFilterBy, FundModel, check_logo
from vulyk.blueprints.gamification.models.rules import (
    AllRules,
    ProjectAndFreeRules,
    RuleFilter,
    RuleModel,
    StrictProjectRules,
)
from vulyk.blueprints.gamification.models.state import StateSortingKeys, UserStateModel
from vulyk.blueprints.gamification.services import DonationResult, DonationsService, StatsService
from vulyk.models.tasks import AbstractAnswer
from vulyk.texts import PSEUDO

NOW = datetime(2026, 11, 20, 21, 6, 52, 12380, tzinfo=UTC)


def test_module_that_settings_name_is_there():
    assert package.gamification.name == 'gamification'
    with pytest.raises(AttributeError):
        package.nothing  # noqa: B018


# --- events -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('kind', ['plain', 'badges', 'level', 'donation'])
def test_event_survives_its_document(play, member, kind):
    answer = play.answer(make_user())
    rule = make_rule(tasks_number=99)
    fund = make_fund()
    facts = {
        'plain': (answer, Decimal('0.1'), Decimal('0.2'), [], None, None, False),
        'badges': (answer, Decimal(1), Decimal(1), [rule], None, None, False),
        'level': (answer, Decimal(1), Decimal(1), [rule], None, 3, True),
        'donation': (None, Decimal(0), Decimal('-0.5'), [], fund, None, True),
    }
    EventModel.objects.delete()
    event = Event.build(NOW, member, *facts[kind])
    EventModel.from_event(event).save()
    again = EventModel.objects.get().to_event()
    assert type(again) is type(event)
    assert again.to_dict() == event.to_dict()
    assert again.to_dict(ignore_answer=True) in [
        told.to_dict(ignore_answer=True) for told in EventModel.get_all_events(member)
    ]


def test_stored_event_looks_as_ever(play, member):
    play.answer(member)
    stored = EventModel._get_collection().find_one()
    assert stored['timestamp'] == '2026,11,20,12,00,00,000000,UTC'
    assert {'_cls': 'EventModel', 'points': Decimal128('1'), 'viewed': False, 'level': 1}.items() <= stored.items()
    assert stored['answer'] == AbstractAnswer.objects.get().id


def test_timestamp_without_its_zone_is_read_too(member):
    EventModel._get_collection().insert_one(
        {
            '_cls': 'EventModel',
            'timestamp': '2019,01,02,03,04,05,678901',
            'user': member.id,
            'points': 1.0,
            'coins': 1.0,
        }
    )
    assert EventModel.objects.get().timestamp == datetime(2019, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def test_fact_that_is_no_event_says_so(play, member):
    rich(play, member)
    with pytest.raises(InvalidEventException):
        EventModel.objects.get(user=member, kind='batch').to_event()
    assert len(list(EventModel.get_all_events(member))) == 1


def test_sums_of_coins_are_exact(play, member):
    make_fund()
    rich(play, member, '0.7')
    DonationsService(member, 'lamp', Decimal('0.1')).donate()
    assert EventModel.amount_of_money_earned(member) == Decimal('0.7')
    assert EventModel.amount_of_money_earned(None) == Decimal('1.4')
    assert EventModel.amount_of_money_donated(member) == EventModel.amount_of_money_donated(None) == Decimal('0.1')
    assert EventModel.amount_of_money_donated(make_user()) == 0


def test_work_of_a_user(play, member):
    play.answers(member, 2, batch='one')
    play.answer(member, batch='two')
    play.answer(make_user(), batch='three')
    assert EventModel.count_of_tasks_done_by_user(member) == StatsService.tasks_done_by_user(member) == 3
    assert sorted(batch.id for batch in EventModel.batches_user_worked_on(member)) == ['one', 'two']
    assert StatsService.projects_count(member) == 2


def test_read_events_are_read(play, member):
    play.answers(member, 2)
    assert len(list(EventModel.get_unread_events(member))) == 2
    EventModel.mark_events_as_read(member)
    assert list(EventModel.get_unread_events(member)) == []


# --- rules ------------------------------------------------------------------------------------------------------------


def test_rule_survives_its_document(app):
    for rule in (
        new_rule('a', tasks_number=2, bonus=3),
        new_rule('b', 'game_task', days_number=1, semantics='calendar'),
    ):
        RuleModel.from_rule(rule).save()
        assert RuleModel.objects.get(pk=rule.id).to_rule() == rule


def test_stored_rule_looks_as_ever(app):
    rule = make_rule('a', tasks_number=2)
    stored = RuleModel._get_collection().find_one()
    usual = {'_id': rule.id, '_cls': 'RuleModel', 'name': 'a', 'tasksNumber': 2, 'daysNumber': 0, 'isWeekend': False}
    assert usual.items() <= stored.items()


def test_rules_by_filter(app):
    free, own = make_rule('free', tasks_number=1), make_rule('own', 'game_task', tasks_number=1)
    weekend = make_rule('weekend', tasks_number=1, is_weekend=True)
    foreign = make_rule('foreign', 'other_task', tasks_number=1)

    def names(*arguments):
        return {rule.name for rule in RuleModel.get_actual_rules(*arguments)}

    assert names([], AllRules(), True) == {'free', 'own', 'weekend', 'foreign'}
    assert names([free.id], AllRules(), False) == {'own', 'foreign'}
    assert names([], StrictProjectRules('game_task'), True) == {'own'}
    assert names([], ProjectAndFreeRules('game_task'), True) == {'own', 'free', 'weekend'}
    assert {weekend.is_weekend, foreign.is_weekend, own.is_weekend} == {True, False}
    with pytest.raises(NotImplementedError):
        RuleFilter().to_query()


def test_document_that_is_no_rule_cannot_be_saved(app):
    with pytest.raises(mongoengine.ValidationError, match='tasks_number'):
        RuleModel(name='x').save()
    assert RuleModel.objects.count() == 0


def test_names_are_unique(app):
    make_rule('same', tasks_number=1)
    with pytest.raises(mongoengine.NotUniqueError):
        make_rule('same', 'game_task', tasks_number=1)


def test_every_edit_is_a_version(app):
    rule = make_rule('a', tasks_number=1)
    model = RuleModel.objects.get(pk=rule.id)
    for expected in (2, 3):
        model.bonus += 1
        model.save()
        assert RuleModel.objects.get(pk=rule.id).version == expected
    model.save()
    assert RuleModel.objects.get(pk=rule.id).version == 3


# --- states -----------------------------------------------------------------------------------------------------------


def test_state_survives_its_document(member):
    rule = make_rule(tasks_number=1)
    state = UserState(member, 3, Decimal('0.1'), Decimal('0.2'), Decimal('0.3'), [rule], NOW)
    UserStateModel.from_state(state).save()
    assert UserStateModel.objects.get().to_state().to_dict() == state.to_dict()
    stored = state_of(member)
    assert stored['lastChanged'] == '2026,11,20,21,06,52,012380,UTC'
    assert stored['achievements'] == [rule.id]
    assert isinstance(stored['potentialCoins'], Decimal128)


def test_state_is_made_once(member):
    states = [UserStateModel.get_or_create_by_user(member) for _ in range(2)]
    assert UserStateModel.objects.count() == 1
    assert states[0].to_dict() == states[1].to_dict()
    assert (states[0].user, states[0].points, states[0].achievements) == (member, 0, [])


def test_update_adds_what_the_difference_says(member):
    rule = make_rule(tasks_number=1)
    for _ in range(2):
        UserStateModel.update_state(UserState(member, 2, Decimal('0.1'), Decimal(0), Decimal(1), [rule], NOW))
    assert [str(amount) for amount in amounts_of(member)] == ['0.2', '0', '2']
    assert (state_of(member)['level'], state_of(member)['achievements']) == (2, [rule.id])


def test_coins_are_transferred_and_withdrawn_only_if_they_are_there(member):
    UserStateModel.update_state(UserState(member, 0, Decimal(0), Decimal(0), Decimal(3), [], NOW))
    assert UserStateModel.transfer_coins_to_actual(member.id, Decimal('2.5'))
    assert not UserStateModel.transfer_coins_to_actual(member.id, Decimal(1))
    assert UserStateModel.withdraw(member, Decimal(2))
    assert not UserStateModel.withdraw(member, Decimal(2))
    assert amounts_of(member) == (0, Decimal('0.5'), Decimal('0.5'))
    for wrong in (0, -1):
        with pytest.raises(RuntimeError):
            UserStateModel.withdraw(member, Decimal(wrong))


@pytest.mark.parametrize('key', StateSortingKeys)
def test_best_users_come_first(app, key):
    users = [make_user() for _ in range(4)]
    for number, user in enumerate(users):
        amount = Decimal(number) / 10
        UserStateModel.update_state(UserState(user, number, amount, amount, amount, [], NOW))
    best = list(UserStateModel.get_top_users(3, key))
    assert [state.user for state in best] == users[:0:-1]


def test_documented_keys():
    assert {key.name: key.value for key in StateSortingKeys} == {
        'POINTS': 0,
        'ACTUAL_COINS': 1,
        'POTENTIAL_COINS': 2,
        'LEVEL': 3,
    }
    assert {kind.name: kind.value for kind in FundFilterBy} == {'NO_FILTER': 0, 'DONATABLE': 1, 'NON_DONATABLE': 2}
    results = {'SUCCESS': 0, 'STINGY': 1, 'BEGGAR': 2, 'LIAR': 3, 'ERROR': 666}
    assert {kind.name: kind.value for kind in DonationResult} == results


# --- funds ------------------------------------------------------------------------------------------------------------


def test_fund_survives_its_document(app):
    fund = make_fund(logo=picture())
    again = FundModel.find_by_id('lamp')
    assert again == fund
    assert Image.open(io.BytesIO(again.logo.read())).size == (30, 20)
    assert FundModel.find_by_id('nobody') is None
    assert [found.id for found in FundModel.get_funds()] == ['lamp']
    assert list(FundModel.get_funds(FundFilterBy.NON_DONATABLE)) == []


@pytest.mark.parametrize(
    'content',
    [
        b'',
        b'no picture',
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        b'%!PS-Adobe-3.0 EPSF-3.0\n',
        b'\x89PNG\r\n\x1a\n',
    ],
)
def test_what_is_no_picture_is_no_logo(app, content):
    with pytest.raises(mongoengine.ValidationError, match='not a picture'):
        FundModel.from_fund(Fund('a', 'A', '', '', '', io.BytesIO(content), True))


def test_why_a_fund_is_refused_can_be_translated(app, monkeypatch):
    monkeypatch.setitem(app.config, 'LANGUAGE', PSEUDO)
    monkeypatch.setattr(foundations, 'MAX_LOGO_PIXELS', 100)
    for file in (picture(), io.BytesIO(b'no picture'), io.BytesIO(b'x' * (foundations.MAX_LOGO_BYTES + 1))):
        with pytest.raises(mongoengine.ValidationError) as refused:
            check_logo(file)
        assert outside(refused.value.message) == ''


def test_pictures_have_a_size(monkeypatch):
    monkeypatch.setattr(foundations, 'MAX_LOGO_PIXELS', 100)
    with pytest.raises(mongoengine.ValidationError, match='pixels'):
        check_logo(picture())
    with pytest.raises(mongoengine.ValidationError, match='larger'):
        check_logo(io.BytesIO(b'x' * (foundations.MAX_LOGO_BYTES + 1)))


def test_site_of_a_fund_is_a_web_address(app):
    with pytest.raises(mongoengine.ValidationError, match='site'):
        FundModel(id='a', name='A', site='javascript:alert(1)').save()


# --- services ---------------------------------------------------------------------------------------------------------


def test_totals(play, member):
    make_fund()
    rich(play, member, '2')
    play.tasks(3)
    assert DonationsService(member, 'lamp', 1).donate() is DonationResult.SUCCESS
    assert StatsService.total_money_earned() == 4
    assert StatsService.total_money_donated() == StatsService.total_money_donated_by_user(member) == 1
    assert StatsService.total_number_of_open_tasks() == 3
    assert StatsService.total_number_of_users() == 2
    assert StatsService.total_time_for_user(member) == 0
    assert StatsService.state_of_user(member).actual_coins == 1


def test_visitor_has_no_state(app):
    from vulyk.models.user import Anonymous

    assert StatsService.state_of_user(Anonymous()) is None


def test_donation_that_fails_inside_is_told_as_an_error_and_takes_nothing(play, member, monkeypatch):
    from tests.gamification.test_exactly_once import broken
    from vulyk.blueprints.gamification import facts

    make_fund()
    rich(play, member)
    monkeypatch.setattr(facts, '_store', broken)
    assert DonationsService(member, 'lamp', 1).donate() is DonationResult.ERROR
    assert amounts_of(member)[1] == 5


@pytest.mark.parametrize(
    ('fund', 'amount', 'result'),
    [
        ('nobody', 0, DonationResult.STINGY),
        ('nobody', 100, DonationResult.LIAR),
        (None, 1, DonationResult.LIAR),
        ('lamp', 100, DonationResult.BEGGAR),
        ('lamp', Decimal('NaN'), DonationResult.STINGY),
        ('lamp', None, DonationResult.STINGY),
        ('lamp', 0.5, DonationResult.SUCCESS),
    ],
)
def test_checks_of_a_donation_come_in_their_order(play, member, fund, amount, result):
    make_fund()
    rich(play, member)
    assert DonationsService(member, fund, amount).donate() is result
    assert ObjectId.is_valid(str(member.id))
