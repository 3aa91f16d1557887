"""A database of the older version: amounts as binary fractions, ids of rules that nobody can make again."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from bson import Decimal128, ObjectId
from click.testing import Result

from tests.factories import make_user
from tests.gamification.play import (
    amounts_of,
    assert_state_is_sum_of_facts,
    facts_of,
    state_of,
    work_all,
)
from vulyk.blueprints.gamification import audit, listeners, migration
from vulyk.blueprints.gamification.core.rules import stable_id
from vulyk.blueprints.gamification.models.events import EventModel
from vulyk.blueprints.gamification.models.foundations import FundModel
from vulyk.blueprints.gamification.models.rules import AwardModel, RuleModel
from vulyk.blueprints.gamification.models.state import UserStateModel
from vulyk.models.database import make_indexes
from vulyk.models.tasks import AbstractAnswer

OLD_ID, LATER = '7345716447637073846', '2019,05,06,07,08,10,000001'


@pytest.fixture
def old(app, play, member) -> Iterator[dict]:
    """Three answers in an open batch, one in a closed one, a donation, a badge: as the older version stored them."""
    listeners.disconnect(app)
    answers = [play.answer(member, task) for task in play.tasks(3, batch='open', coins_per_task=0.1)]
    (task,) = play.tasks(1, batch='closed', coins_per_task=0.7)
    answers.append(play.answer(member, task))
    play.answer(make_user(), task)
    listeners.connect(app)
    RuleModel._get_collection().insert_one(
        {
            '_id': OLD_ID,
            '_cls': 'RuleModel',
            'task_type_name': '',
            'badge': 'b',
            'name': 'Two',
            'description': 'd',
            'bonus': 5,
            'tasksNumber': 2,
            'daysNumber': 0,
            'isWeekend': False,
            'isAdjacent': False,
        }
    )
    FundModel._get_collection().insert_one({'_id': 'lamp', '_cls': 'FundModel', 'name': 'Lamp', 'donatable': True})
    FundModel._get_collection().create_index([('logo', 1)], unique=True, name='logo_1')
    event = {'_cls': 'EventModel', 'user': member.id, 'achievements': [], 'viewed': True}
    EventModel._get_collection().insert_many(
        [
            {**event, 'timestamp': '2019,05,06,07,08,09,000001', 'answer': answers[0].id, 'points': 0.1, 'coins': 0.1},
            {**event, 'timestamp': '2019,05,06,07,08,09,000002', 'answer': answers[1].id, 'points': 5.1, 'coins': 0.1}
            | {'achievements': [OLD_ID], 'level': 1},
            {
                **event,
                'timestamp': '2019,05,06,07,08,09,000003,UTC',
                'answer': answers[2].id,
                'points': 0.1,
                'coins': 0.1,
            },
            {**event, 'timestamp': LATER, 'answer': answers[3].id, 'points': 0.1, 'coins': 0.7},
            {**event, 'timestamp': LATER, 'points': 0.0, 'coins': -0.2, 'acceptorFund': 'lamp'},
        ]
    )
    UserStateModel._get_collection().insert_one(
        {
            '_cls': 'UserStateModel',
            'user': member.id,
            'level': 1,
            'points': 0.1 + 5.1 + 0.1 + 0.1,
            'actualCoins': 0.7 - 0.2,
            'potentialCoins': 0.1 + 0.1 + 0.1,
            'achievements': [OLD_ID],
            'lastChanged': LATER,
        }
    )
    yield {'answers': answers}
    FundModel.objects.delete()
    FundModel._get_collection().drop_indexes()
    make_indexes()


def migrate(*, dry_run: bool = False) -> list[str]:
    return list(migration.migrate(dry_run=dry_run))


def everything() -> list:
    return [
        list(model._get_collection().find(sort=[('_id', 1)]))
        for model in (EventModel, UserStateModel, RuleModel, AwardModel)
    ] + [sorted(FundModel._get_collection().index_information())]


def test_dry_run_tells_and_changes_nothing(old):
    before = everything()
    told = '\n'.join(migrate(dry_run=True))
    for text in ('logo_1', OLD_ID, stable_id('Two'), '5 events'):
        assert text in told
    assert everything() == before


def test_amounts_become_the_numbers_people_saw(old, member):
    migrate()
    assert [str(amount) for amount in amounts_of(member)] == ['5.4', '0.5', '0.3']
    assert {type(fact[name]) for fact in facts_of(member) for name in ('points', 'coins', 'actual')} == {Decimal128}
    assert len(facts_of(member)) == 5
    assert_state_is_sum_of_facts(member)
    assert audit.audit(member.id) == []


def test_rule_has_a_lasting_id_everywhere(old, member):
    migrate()
    assert [rule.id for rule in RuleModel.objects] == [stable_id('Two')]
    assert state_of(member)['achievements'] == [stable_id('Two')]
    award = AwardModel.objects.get()
    assert (award.rule, award.facts['name'], award.at) == (
        stable_id('Two'),
        'Two',
        datetime(2019, 5, 6, 7, 8, 9, tzinfo=UTC),
    )
    (event,) = (event for event in EventModel.get_all_events(member) if event.achievements)
    assert event.achievements[0].name == 'Two'


def test_twice_is_once(old, member):
    migrate()
    before = everything()
    assert migrate() == []
    assert everything() == before


@pytest.mark.parametrize('step', range(1, 9))
def test_killed_anywhere_it_goes_on_where_it_was(old, member, step):
    from tests.gamification.test_exactly_once import KilledError, killed_at

    try:
        with killed_at(step, after=True):
            migrate()
    except KilledError:
        migrate()
    assert [str(amount) for amount in amounts_of(member)] == ['5.4', '0.5', '0.3']
    assert [rule.id for rule in RuleModel.objects] == [stable_id('Two')]
    assert audit.audit(member.id) == []
    assert migrate() == []


def test_old_answers_told_again_are_not_counted_again(old, member):
    migrate()
    for answer in old['answers']:
        listeners.track_events(None, AbstractAnswer.objects.get(pk=answer.id))
    assert [str(amount) for amount in amounts_of(member)] == ['5.4', '0.5', '0.3']


def test_open_batch_pays_what_was_earned_before(play, old, member):
    migrate()
    other = make_user()
    for answer in old['answers'][:3]:
        play.answer(other, answer.task)
    work_all()
    assert [str(amount) for amount in amounts_of(member)] == ['5.4', '0.8', '0']
    assert_state_is_sum_of_facts(member)


def test_what_the_events_do_not_tell_is_kept_by_an_opening_fact(old, member):
    UserStateModel.objects(user=member.id).update_one(
        __raw__={'$set': {'actualCoins': 3.5, 'points': 100.0, 'achievements': [OLD_ID, 'gone']}}
    )
    migrate()
    assert [str(amount) for amount in amounts_of(member)] == ['100', '3.5', '0.3']
    assert_state_is_sum_of_facts(member)
    assert [fact['kind'] for fact in facts_of(member)].count('opening') == 1
    assert len(list(EventModel.get_all_events(member))) == 5


def test_two_funds_may_lack_a_logo_afterwards(old):
    migrate()
    FundModel(id='second', name='Second').save()
    assert FundModel.objects.count() == 2


def test_events_of_deleted_answers_stay(old, member):
    AbstractAnswer._get_collection().delete_many({})
    EventModel._get_collection().update_one({'coins': 0.7}, {'$set': {'answer': ObjectId()}})
    migrate()
    assert [str(amount) for amount in amounts_of(member)] == ['5.4', '0.5', '0.3']


def test_command_says_what_it_does(runner, old, member):
    dry: Result = runner('gamification', 'migrate', '--dry-run')
    assert 'get exact amounts' in dry.stdout
    done = runner('gamification', 'migrate')
    assert done.stdout == dry.stdout
    assert runner('gamification', 'migrate').stdout == 'Nothing to do.\n'
