"""From the game of older versions to this one.

What was there: amounts as binary fractions, in which ten times a tenth is not one; ids of rules that were another number in
every process; events that do not tell which batch they belong to; a badge without a memory of its rule; no record of coins
that became actual. After it every amount is the decimal number that people saw, and every state is the sum of its facts.

It goes user by user, each in one transaction. Killed and started again, it goes on where it was; started a third time, it finds
nothing to do.
"""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from bson import Decimal128, ObjectId
from flask_babel import gettext
from pymongo import UpdateOne
from pymongo.errors import OperationFailure

from vulyk.blueprints.gamification.core.amounts import ZERO, minus, plain, total
from vulyk.blueprints.gamification.core.rules import RuleValidationException, stable_id
from vulyk.blueprints.gamification.history import zones_of
from vulyk.blueprints.gamification.models.events import ANSWER, DONATION, OPENING, EventModel
from vulyk.blueprints.gamification.models.fields import from_text, to_text
from vulyk.blueprints.gamification.models.foundations import FundModel
from vulyk.blueprints.gamification.models.rules import AwardModel, RuleModel, forget_rules
from vulyk.blueprints.gamification.models.state import AMOUNTS, UserStateModel
from vulyk.models.tasks import AbstractAnswer, AbstractTask, Batch
from vulyk.models.transaction import in_transaction

_PROCESS_ID = re.compile(r'-?\d{5,20}')  # what str(hash(…)) looks like
_DUST = Decimal('0.000001')  # nobody has ever been given less; what is smaller comes from adding binary fractions
_MOVES = 'gamification.migration'  # old ids of rules → new ones, kept until nothing refers to the old ones


def migrate(*, dry_run: bool, progress: Callable[[int], None] = lambda number: None) -> Iterator[str]:
    """Do everything that is left to do, and tell each step.

    :param dry_run: only tell.
    :param progress: called with the number of users that have been converted since.
    """
    yield from _drop_index_of_logos(dry_run)
    yield from _rename_rules(dry_run)
    yield from _convert_users(dry_run, progress)


# --- funds --------------------------------------------------------------------------------------------------------------


def _drop_index_of_logos(dry_run: bool) -> Iterator[str]:
    """Only one fund could be without a logo."""
    funds = FundModel._get_collection()
    try:
        indexes = funds.index_information()
    except OperationFailure:  # there is no such collection
        return
    for name, facts in indexes.items():
        if facts.get('unique') and 'logo' in {field for field, _ in facts['key']}:
            yield gettext('funds: the index %(name)s, which allows only one fund without a logo, is dropped', name=name)
            if not dry_run:
                funds.drop_index(name)


# --- rules --------------------------------------------------------------------------------------------------------------


def _rename_rules(dry_run: bool) -> Iterator[str]:
    rules, moves = RuleModel._get_collection(), RuleModel._get_db()[_MOVES]
    for rule in list(rules.find({'_id': {'$type': 'string'}})):
        new_id = stable_id(rule['name'], rule.get('task_type_name') or '')
        if rule['_id'] != new_id and _PROCESS_ID.fullmatch(rule['_id']):
            yield gettext(
                'rule %(rule)s (%(name)s): its id becomes %(id)s',
                rule=rule['_id'],
                name=rule['name'],
                id=new_id,
            )
            if not dry_run:
                in_transaction(lambda rule=rule, new_id=new_id: _replace_rule(rule, new_id))
    for move in list(moves.find()):
        if not dry_run:
            _follow(move['_id'], move['new'])
            moves.delete_one({'_id': move['_id']})
    forget_rules()


def _replace_rule(rule: dict[str, Any], new_id: str) -> None:
    """From here on the old id lives in references only; where it leads is noted first."""
    rules, moves = RuleModel._get_collection(), RuleModel._get_db()[_MOVES]
    moves.replace_one({'_id': rule['_id']}, {'_id': rule['_id'], 'new': new_id}, upsert=True)
    rules.delete_one({'_id': rule['_id']})
    rules.insert_one({**rule, '_id': new_id})


def _follow(old_id: str, new_id: str) -> None:
    for model in (EventModel, UserStateModel):
        collection = model._get_collection()
        while collection.update_many({'achievements': old_id}, {'$set': {'achievements.$': new_id}}).modified_count:
            pass


# --- users --------------------------------------------------------------------------------------------------------------


def _convert_users(dry_run: bool, progress: Callable[[int], None]) -> Iterator[str]:
    events, states = EventModel._get_collection(), UserStateModel._get_collection()
    numbers = {'$or': [{field: {'$type': ['double', 'int', 'long']}} for field in AMOUNTS.values()]}
    users = set(events.distinct('user', {'kind': {'$exists': False}})) | set(states.distinct('user', numbers))
    for user_id in sorted(users):
        old = events.count_documents({'user': user_id, 'kind': {'$exists': False}})
        yield gettext('user %(user)s: %(number)s events and the state get exact amounts', user=user_id, number=old)
        if not dry_run:
            UserStateModel.ensure(user_id)
            in_transaction(lambda user_id=user_id: _convert_user(user_id))
        progress(1)


def _convert_user(user_id: ObjectId) -> None:
    events, states = EventModel._get_collection(), UserStateModel._get_collection()
    state = states.find_one({'user': user_id})
    number = state.get('number') or 0
    booked = list(events.find({'user': user_id}, sort=[('timestamp', 1), ('_id', 1)]))
    old = [event for event in booked if 'kind' not in event]
    places = _places_of([event['answer'] for event in old if event.get('answer')])
    changes = []
    for event in old:
        number += 1
        event |= _completed(event, places.get(event.get('answer'), {}), number, state)
        changes.append(UpdateOne({'_id': event['_id']}, {'$set': _without(event, '_id')}))
    if changes:
        events.bulk_write(changes)
    amounts = {field: clean(state.get(field) or 0) for field in AMOUNTS.values()}
    opening = _opening(state, booked, amounts, number + 1)
    if opening is not None:
        number += 1
        events.insert_one(opening)
        booked.append(opening)
    _remember_awards(state, booked)
    changed = {field: Decimal128(amount) for field, amount in amounts.items()}
    states.update_one({'_id': state['_id']}, {'$set': {**changed, 'number': number}, '$inc': {'turn': 1}})


def _completed(event: dict[str, Any], place: dict[str, Any], number: int, state: dict[str, Any]) -> dict[str, Any]:
    """What an old event lacks."""
    coins, points = clean(event.get('coins') or 0), clean(event.get('points') or 0)
    moment, zones = from_text(event['timestamp']), zones_of(state)
    if event.get('acceptorFund'):
        kind, source, actual = DONATION, f'donation:{state["user"]}:{event["_id"]}', coins
    else:
        kind, source = ANSWER, EventModel.source_of_answer(event.get('answer') or event['_id'])
        actual = coins if place.get('closed') else ZERO
    known = {name: place[name] for name in ('task', 'taskType', 'batch') if place.get(name)}
    return {
        'kind': kind,
        'source': source,
        'points': Decimal128(points),
        'coins': Decimal128(coins),
        'actual': Decimal128(actual),
        'number': number,
        'zone': zones.at(moment),
        'localDate': zones.day(moment).isoformat(),
        **known,
    }


def _places_of(answer_ids: list[ObjectId]) -> dict[ObjectId, dict[str, Any]]:
    """Task, type and batch of answers, and whether that batch is closed."""
    answers = list(AbstractAnswer._get_collection().find({'_id': {'$in': answer_ids}}, {'task': 1, 'taskType': 1}))
    where = {'_id': {'$in': [answer['task'] for answer in answers]}}
    tasks = {task['_id']: task.get('batch') for task in AbstractTask._get_collection().find(where, {'batch': 1})}
    closed = set(Batch._get_collection().distinct('_id', {'_id': {'$in': list(tasks.values())}, 'closed': True}))
    return {
        answer['_id']: {
            'task': answer['task'],
            'taskType': answer['taskType'],
            'batch': tasks.get(answer['task']),
            'closed': tasks.get(answer['task']) in closed,
        }
        for answer in answers
    }


def _opening(
    state: dict[str, Any], booked: list[dict[str, Any]], amounts: dict[str, Decimal], number: int
) -> dict[str, Any] | None:
    """The fact that makes up for what a user has and his events do not tell; None if there is nothing like that."""
    points = minus(amounts['points'], total(_amount(event, 'points') for event in booked))
    actual = minus(amounts['actualCoins'], total(_amount(event, 'actual') for event in booked))
    owned = total((amounts['actualCoins'], amounts['potentialCoins']))
    coins = minus(owned, total(_amount(event, 'coins') for event in booked))
    given = {rule_id for event in booked for rule_id in event.get('achievements') or []}
    badges = [rule_id for rule_id in state.get('achievements') or [] if rule_id not in given]
    if not (points or actual or coins or badges):
        return None
    moment: datetime = from_text(state['lastChanged'])
    zones = zones_of(state)
    return {
        '_id': ObjectId(),
        '_cls': EventModel._class_name,
        'kind': OPENING,
        'source': f'opening:{state["user"]}:{number}',
        'timestamp': to_text(moment),
        'user': state['user'],
        'points': Decimal128(points),
        'coins': Decimal128(coins),
        'actual': Decimal128(actual),
        'achievements': badges,
        'viewed': True,
        'number': number,
        'zone': zones.at(moment),
        'localDate': zones.day(moment).isoformat(),
    }


def _remember_awards(state: dict[str, Any], booked: list[dict[str, Any]]) -> None:
    """Let each badge remember its rule, as it is now: what it was then nobody knows."""
    awards = AwardModel._get_collection()
    for rule_id in state.get('achievements') or []:
        model = RuleModel.objects(pk=rule_id).first()
        event = next((event for event in booked if rule_id in (event.get('achievements') or [])), None)
        if model is None or event is None:
            continue
        try:
            rule = model.to_rule()
        except RuleValidationException:
            continue
        award = {
            'user': state['user'],
            'rule': rule_id,
            'facts': rule.to_dict(),
            'version': rule.version,
            'at': from_text(event['timestamp']),
            'answer': event.get('answer'),
            'event': event['_id'],
        }
        awards.update_one({'_id': AwardModel.key(state['user'], rule_id)}, {'$setOnInsert': award}, upsert=True)


def clean(value: Any) -> Decimal:
    """The decimal number somebody meant: without the dust of binary fractions."""
    if isinstance(value, Decimal128):
        return plain(value.to_decimal())
    return plain(Decimal(str(value)).quantize(_DUST, rounding=ROUND_HALF_EVEN))


def _amount(event: dict[str, Any], name: str) -> Decimal:
    return clean(event.get(name) or 0)


def _without(document: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != name}
