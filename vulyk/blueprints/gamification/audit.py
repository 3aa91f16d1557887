"""Awards for the past, and whether everything adds up. Both go through the work sessions of a volunteer."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from bson import ObjectId
from flask_babel import gettext

from vulyk.blueprints.gamification import facts, history
from vulyk.blueprints.gamification.core.amounts import exact, minus, total
from vulyk.blueprints.gamification.core.queries import MongoRuleExecutor
from vulyk.blueprints.gamification.core.rules import Rule, RuleValidationException
from vulyk.blueprints.gamification.core.tally import Today, is_due
from vulyk.blueprints.gamification.game import gamified_types, the_game
from vulyk.blueprints.gamification.models.events import ANSWER, EventModel
from vulyk.blueprints.gamification.models.rules import AwardModel, RuleModel, enabled_rules
from vulyk.blueprints.gamification.models.state import UserStateModel
from vulyk.jobs import enqueue, job
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import EPOCH, AbstractAnswer
from vulyk.models.transaction import in_transaction
from vulyk.models.user import User
from vulyk.texts import told

USERS_PER_JOB = 50


class Difference(NamedTuple):
    """Something about a user that does not add up."""

    user: ObjectId
    text: str


# --- backfill -----------------------------------------------------------------------------------------------------------


def backfill(user_id: ObjectId, rules: Iterable[Rule]) -> int:
    """Give a user the badges he would have had if the rules had always been there; returns how many.

    The windows are those of that time, and weekend rules are looked at on every day. Each is dated at the answer that reached
    it. Doing it again changes nothing.
    """
    state = UserStateModel._get_collection().find_one({'user': user_id}) or {}
    owned = set(state.get('achievements') or [])
    missing = [rule for rule in rules if rule.id not in owned]
    found = history.replay(user_id, missing, history.zones_of(state), ignore_working_days=True)
    return sum(facts.book_award(user_id, reached) for reached in found)


def users_after(user_id: ObjectId | None, limit: int) -> list[ObjectId]:
    """The ids of the next users who have answered something."""
    condition: dict[str, Any] = {'processed': {'$gt': 0}}
    if user_id is not None:
        condition['_id'] = {'$gt': user_id}
    return [user['_id'] for user in User._get_collection().find(condition, {'_id': 1}, sort=[('_id', 1)], limit=limit)]


def all_users() -> Iterator[ObjectId]:
    """The ids of all users who have answered something."""
    last = None
    while ids := users_after(last, 1000):
        yield from ids
        last = ids[-1]


@job
def backfill_rule(rule_id: str, after: str | None = None) -> None:
    """Give the badges of a rule for the past, some users at a time; the rest is the next job's."""
    rules = [rule for rule in enabled_rules() if rule.id == rule_id]
    ids = users_after(ObjectId(after) if after else None, USERS_PER_JOB)
    if not ids or not rules:
        return
    for user_id in ids:
        backfill(user_id, rules)
    enqueue_backfill(rule_id, after=str(ids[-1]))


def enqueue_backfill(rule_id: str, *, after: str | None = None) -> bool:
    """Have the badges of a rule given for the past; False if that is waiting to be done already."""
    return enqueue(backfill_rule, unique=f'gamification:backfill:{rule_id}:{after}', rule_id=rule_id, after=after)


def owners_of(rule_id: str) -> int:
    """How many users have the badge of a rule."""
    return int(AwardModel._get_collection().count_documents({'rule': rule_id}))


# --- audit --------------------------------------------------------------------------------------------------------------


def audit_rules() -> Iterator[str]:
    """Stored rules that are none; an older version did not check them."""
    for model in RuleModel.objects:
        try:
            model.to_rule()
        except RuleValidationException as error:
            yield gettext('rule %(rule)s (%(name)s): %(reason)s', rule=model.id, name=model.name, reason=told(error))


def audit(user_id: ObjectId) -> list[Difference]:
    """Compare state and counters of a user with his facts, his work sessions and what the rules grant. One snapshot.

    A fact that somebody has left unfinished is finished first.
    """
    rules = enabled_rules()
    facts.catch_up(user_id)
    return in_transaction(lambda: [Difference(user_id, text) for text in _differences(user_id, rules)])


def sample_users(number: int) -> list[ObjectId]:
    """Some users who have a state, chosen by chance."""
    rows = UserStateModel._get_collection().aggregate([{'$sample': {'size': number}}, {'$project': {'user': 1}}])
    return list(dict.fromkeys(row['user'] for row in rows))


def _differences(user_id: ObjectId, rules: list[Rule]) -> Iterator[str]:
    state = UserStateModel._get_collection().find_one({'user': user_id}) or {}
    on_its_way = {'$gt': state.get('number') or 0}
    booked = list(EventModel._get_collection().find({'user': user_id, 'number': {'$not': on_its_way}}))
    yield from _wrong_sums(state, booked)
    yield from _wrong_badges(user_id, state, booked)
    yield from _wrong_answers(user_id, booked)
    yield from _wrong_counters(user_id, state, rules)
    yield from _missing_badges(user_id, state, rules)


def _wrong_sums(state: dict[str, Any], booked: list[dict[str, Any]]) -> Iterator[str]:
    points = total(exact(fact.get('points') or 0) for fact in booked)
    coins = total(exact(fact.get('coins') or 0) for fact in booked)
    actual = total(exact(fact.get('actual') or 0) for fact in booked)
    sums = {'points': points, 'actualCoins': actual, 'potentialCoins': minus(coins, actual)}
    for field, expected in sums.items():
        if exact(state.get(field) or 0) != expected:
            yield gettext(
                '%(field)s is %(value)s, but the events add up to %(expected)s',
                field=field,
                value=state.get(field),
                expected=expected,
            )
    level = the_game().levels.of(exact(state.get('points') or 0))
    if (state.get('level') or 0) != level:
        yield gettext(
            'level is %(value)s, but %(points)s points are level %(level)s',
            value=state.get('level'),
            points=state.get('points'),
            level=level,
        )


def _wrong_badges(user_id: ObjectId, state: dict[str, Any], booked: list[dict[str, Any]]) -> Iterator[str]:
    owned = sorted(state.get('achievements') or [])
    given = sorted(rule_id for fact in booked for rule_id in fact.get('achievements') or [])
    if owned != given:
        yield gettext(
            'the state has %(number)s badges, the events give %(given)s, and they are not the same',
            number=len(owned),
            given=len(given),
        )
    awards = sorted(AwardModel._get_collection().distinct('rule', {'user': user_id}))
    if owned != awards:
        yield gettext(
            'the state has %(number)s badges, but there are %(given)s awards, and they are not the same',
            number=len(owned),
            given=len(awards),
        )


def _wrong_answers(user_id: ObjectId, booked: list[dict[str, Any]]) -> Iterator[str]:
    counted = [fact['answer'] for fact in booked if fact.get('kind', ANSWER) == ANSWER and fact.get('answer')]
    undone = {fact['answer'] for fact in booked if fact.get('reversed')}
    stored = AbstractAnswer._get_collection().find(
        {'createdBy': user_id, 'taskType': {'$in': sorted(gamified_types())}}, {'signalDue': 1}
    )
    for answer in stored:
        if answer['_id'] in undone:
            yield gettext('answer %(answer)s is there, but its event has been undone', answer=answer['_id'])
        elif answer['_id'] not in counted and (answer.get('signalDue') or EPOCH) <= EPOCH:
            yield gettext('answer %(answer)s has no event', answer=answer['_id'])


def _wrong_counters(user_id: ObjectId, state: dict[str, Any], rules: list[Rule]) -> Iterator[str]:
    counters = history.counters_of(state)
    if counters is None:
        return
    expected = facts.recount(user_id, state, rules)
    for scope in sorted(counters.scopes.keys() | expected.scopes.keys()):
        one, other = counters.tally(scope), expected.tally(scope)
        for calendar in ('utc', 'local'):
            kept, made = getattr(one, calendar), getattr(other, calendar)
            for name in ('weekend', 'days', 'weekends'):
                if getattr(kept, name) != getattr(made, name):
                    yield _counter(scope, f'{calendar} {name}', getattr(kept, name), getattr(made, name))
            both = set(
                range(max(made.recent, default=0) - min(one.window, other.window) + 1, max(made.recent, default=0) + 1)
            )
            if any(kept.recent.get(day) != made.recent.get(day) for day in both):
                yield gettext(
                    'counters of %(scope)s: answers per day (%(calendar)s) are not those of the sessions',
                    scope=scope or gettext('all types'),
                    calendar=calendar,
                )
        if one.total != other.total:
            yield _counter(scope, 'total', one.total, other.total)


def _counter(scope: str, name: str, kept: int, made: int) -> str:
    return gettext(
        'counters of %(scope)s: %(name)s is %(kept)s, but the sessions make %(made)s',
        scope=scope or gettext('all types'),
        name=name,
        kept=kept,
        made=made,
    )


def _missing_badges(user_id: ObjectId, state: dict[str, Any], rules: list[Rule]) -> Iterator[str]:
    if history.uncounted_answers(user_id):
        return
    owned, playing = set(state.get('achievements') or []), gamified_types()
    sessions = [session for session in history.sessions_of(user_id) if session.task_type in playing]
    zones = history.zones_of(state)
    for rule in rules:
        mine = [session for session in sessions if rule.scope in ('', session.task_type)]
        if rule.id in owned or not mine:
            continue
        if not is_due(rule, Today.of(mine[-1].ended, zones)):
            continue
        if MongoRuleExecutor.achieved(user_id, rule, WorkSession.objects, mine[-1].ended, zones):
            yield gettext(
                'badge “%(name)s” is reached, but not given; "gamification backfill" gives it', name=rule.name
            )
