"""The documented public API of the game: each name under its path, with its parameters in their order."""

import inspect
from enum import Enum

import mongoengine
import pytest
from flask_mongoengine.documents import Document

from tests.test_contract import resolve
from vulyk.blueprints.gamification.core import events, parsing, queries, rules
from vulyk.blueprints.gamification.models import events as event_models
from vulyk.blueprints.gamification.models import foundations, state, task_types
from vulyk.blueprints.gamification.models import rules as rule_models
from vulyk.blueprints.gamification.services import DonationResult
from vulyk.models.task_types import AbstractTaskType

PACKAGE = 'vulyk.blueprints.gamification'
GAIN = ['timestamp', 'user', 'answer', 'points_given', 'coins']
EVENT = [*GAIN, 'achievements', 'acceptor_fund', 'level_given', 'viewed']
CONDITION = ['badge', 'name', 'description', 'bonus', 'tasks_number', 'days_number', 'is_weekend', 'is_adjacent']

CALLABLES = {
    'core.events.Event': EVENT,
    'core.events.Event.build': EVENT,
    'core.events.Event.to_dict': ['ignore_answer'],
    'core.events.NoAchievementsEvent': [*GAIN, 'viewed'],
    'core.events.AchievementsEvent': [*GAIN, 'achievements', 'viewed'],
    'core.events.AchievementsLevelEvent': [*GAIN, 'achievements', 'level_given', 'viewed'],
    'core.events.LevelEvent': [*GAIN, 'level_given', 'viewed'],
    'core.events.DonateEvent': ['timestamp', 'user', 'coins', 'acceptor_fund'],
    'core.foundations.Fund': ['fund_id', 'name', 'description', 'site', 'email', 'logo', 'donatable'],
    'core.foundations.Fund.to_dict': [],
    'core.parsing.JsonRuleParser': [],
    'core.parsing.JsonRuleParser.parse': ['json_string'],
    'core.parsing.RuleParser': [],
    'core.queries.MongoRuleExecutor': [],
    'core.queries.MongoRuleExecutor.achieved': ['user_id', 'rule', 'collection'],
    'core.queries.MongoRuleQueryBuilder': ['rule'],
    'core.queries.MongoRuleQueryBuilder.build_for': ['user_id'],
    'core.queries.RuleQueryBuilder': [],
    'core.queries.RuleQueryBuilder.build_for': ['user_id'],
    'core.rules.ProjectRule': ['rule_id', 'task_type_name', *CONDITION],
    'core.rules.ProjectRule.from_rule': ['rule', 'task_type_name'],
    'core.rules.ProjectRule.to_dict': [],
    'core.rules.Rule': ['rule_id', *CONDITION],
    'core.rules.Rule.to_dict': [],
    'core.state.UserState': [
        *('user', 'level', 'points', 'actual_coins', 'potential_coins', 'achievements', 'last_changed')
    ],
    'core.state.UserState.to_dict': [],
    'models.events.EventModel.amount_of_money_donated': ['user'],
    'models.events.EventModel.amount_of_money_earned': ['user'],
    'models.events.EventModel.batches_user_worked_on': ['user'],
    'models.events.EventModel.count_of_tasks_done_by_user': ['user'],
    'models.events.EventModel.from_event': ['event'],
    'models.events.EventModel.get_all_events': ['user'],
    'models.events.EventModel.get_unread_events': ['user'],
    'models.events.EventModel.mark_events_as_read': ['user'],
    'models.events.EventModel.to_event': [],
    'models.foundations.FundModel.find_by_id': ['fund_id'],
    'models.foundations.FundModel.from_fund': ['fund'],
    'models.foundations.FundModel.get_funds': ['filter_by'],
    'models.foundations.FundModel.to_fund': [],
    'models.rules.AllRules': [],
    'models.rules.AllRules.to_query': [],
    'models.rules.ProjectAndFreeRules': ['task_type_name'],
    'models.rules.ProjectAndFreeRules.to_query': [],
    'models.rules.RuleFilter.to_query': [],
    'models.rules.RuleModel.from_rule': ['rule'],
    'models.rules.RuleModel.get_actual_rules': ['skip_ids', 'rule_filter', 'is_weekend'],
    'models.rules.RuleModel.to_rule': [],
    'models.rules.StrictProjectRules': ['task_type_name'],
    'models.rules.StrictProjectRules.to_query': [],
    'models.state.UserStateModel.from_state': ['state'],
    'models.state.UserStateModel.get_or_create_by_user': ['user'],
    'models.state.UserStateModel.get_top_users': ['limit', 'sort_by'],
    'models.state.UserStateModel.to_state': [],
    'models.state.UserStateModel.transfer_coins_to_actual': ['uid', 'amount'],
    'models.state.UserStateModel.update_state': ['diff'],
    'models.state.UserStateModel.withdraw': ['user', 'amount'],
    'models.task_types.AbstractGamifiedTaskType': ['settings'],
    'models.task_types.AbstractGamifiedTaskType.to_dict': [],
    'listeners.get_actual_rules': ['state', 'task_type_name', 'now'],
    'listeners.track_events': ['sender', 'answer'],
    'services.DonationsService': ['user', 'fund_id', 'amount'],
    'services.DonationsService.donate': [],
    'services.StatsService.projects_count': ['user'],
    'services.StatsService.state_of_user': ['user'],
    'services.StatsService.tasks_done_by_user': ['user'],
    'services.StatsService.total_money_donated': [],
    'services.StatsService.total_money_donated_by_user': ['user'],
    'services.StatsService.total_money_earned': [],
    'services.StatsService.total_number_of_open_tasks': [],
    'services.StatsService.total_number_of_users': [],
    'services.StatsService.total_time_for_user': ['user'],
}


@pytest.mark.parametrize('name', CALLABLES)
def test_documented_parameters_come_first_and_in_order(name):
    found = [p for p in inspect.signature(resolve(f'{PACKAGE}.{name}')).parameters.values() if p.name != 'self']
    names = CALLABLES[name]
    assert [p.name for p in found[: len(names)]] == names
    assert all(p.default is not p.empty for p in found[len(names) :])


FIELDS = {
    event_models.EventModel: {
        'acceptor_fund': mongoengine.ReferenceField,
        'achievements': mongoengine.ListField,
        'answer': mongoengine.ReferenceField,
        'coins': mongoengine.Decimal128Field,
        'level_given': mongoengine.IntField,
        'points_given': mongoengine.Decimal128Field,
        'timestamp': mongoengine.ComplexDateTimeField,
        'user': mongoengine.ReferenceField,
        'viewed': mongoengine.BooleanField,
    },
    foundations.FundModel: {
        'id': mongoengine.StringField,
        'name': mongoengine.StringField,
        'description': mongoengine.StringField,
        'site': mongoengine.StringField,
        'email': mongoengine.EmailField,
        'logo': mongoengine.ImageField,
        'donatable': mongoengine.BooleanField,
    },
    rule_models.RuleModel: {
        'id': mongoengine.StringField,
        'task_type_name': mongoengine.StringField,
        'badge': mongoengine.StringField,
        'name': mongoengine.StringField,
        'description': mongoengine.StringField,
        'bonus': mongoengine.IntField,
        'tasks_number': mongoengine.IntField,
        'days_number': mongoengine.IntField,
        'is_weekend': mongoengine.BooleanField,
        'is_adjacent': mongoengine.BooleanField,
    },
    state.UserStateModel: {
        'user': mongoengine.ReferenceField,
        'level': mongoengine.IntField,
        'points': mongoengine.Decimal128Field,
        'actual_coins': mongoengine.Decimal128Field,
        'potential_coins': mongoengine.Decimal128Field,
        'achievements': mongoengine.ListField,
        'last_changed': mongoengine.ComplexDateTimeField,
    },
}


@pytest.mark.parametrize(
    ('model', 'field', 'kind'),
    [(model, field, kind) for model, fields in FIELDS.items() for field, kind in fields.items()],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_documented_field_is_a_field_of_its_kind(model, field, kind):
    assert isinstance(model._fields[field], kind)


@pytest.mark.parametrize(
    ('child', 'parent'),
    [
        (events.InvalidEventException, Exception),
        *((kind, events.Event) for kind in events.Event.__subclasses__()),
        (parsing.JsonRuleParser, parsing.RuleParser),
        (parsing.RuleParsingException, Exception),
        (queries.MongoRuleQueryBuilder, queries.RuleQueryBuilder),
        (rules.ProjectRule, rules.Rule),
        (rules.RuleValidationException, Exception),
        (rule_models.AllRules, rule_models.RuleFilter),
        (rule_models.ProjectAndFreeRules, rule_models.RuleFilter),
        (rule_models.StrictProjectRules, rule_models.RuleFilter),
        (task_types.AbstractGamifiedTaskType, AbstractTaskType),
        *((model, Document) for model in FIELDS),
    ],
    ids=lambda kind: kind.__name__,
)
def test_documented_base_class(child, parent):
    assert issubclass(child, parent)


@pytest.mark.parametrize(
    ('kind', 'values'),
    [
        (DonationResult, {'SUCCESS': 0, 'STINGY': 1, 'BEGGAR': 2, 'LIAR': 3, 'ERROR': 666}),
        (foundations.FundFilterBy, {'NO_FILTER': 0, 'DONATABLE': 1, 'NON_DONATABLE': 2}),
        (state.StateSortingKeys, {'POINTS': 0, 'ACTUAL_COINS': 1, 'POTENTIAL_COINS': 2, 'LEVEL': 3}),
    ],
    ids=lambda value: getattr(value, '__name__', ''),
)
def test_documented_choices(kind, values):
    assert issubclass(kind, Enum)
    assert {choice.name: choice.value for choice in kind} == values
