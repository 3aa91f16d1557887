"""Booking: each fact once, and once in the state that it changes.

Facts may be told any number of times, at the same time, and processes may die anywhere. What makes that harmless: a fact has a
unique key, and the next number of its user, which nobody else can have. It is stored first, and tells all that it changes; then
the state is, unless somebody has written it since it was read. The state tells the number of the last fact that it holds:
whoever finds a fact after that one, because its process is slow or was killed, finishes it before he goes on.

Answers are booked like that, by two writes. What changes more than the state, or needs a snapshot of what is there to be
computed, is booked in the same way in a transaction.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, TypeGuard, TypeVar

from bson import Decimal128, ObjectId
from mongoengine.connection import get_connection
from pymongo import UpdateOne
from pymongo.errors import DuplicateKeyError

from vulyk.blueprints.gamification import history
from vulyk.blueprints.gamification.core.amounts import ZERO, exact, minus, total
from vulyk.blueprints.gamification.core.rules import Rule
from vulyk.blueprints.gamification.core.tally import FORMAT, LATE_DAYS, Counters, Today, TooLateError, needs_of
from vulyk.blueprints.gamification.game import gamified_type, the_game, worth
from vulyk.blueprints.gamification.history import Reached, Session
from vulyk.blueprints.gamification.models.events import (
    ANSWER,
    AWARD,
    BATCH,
    DONATION,
    REVERSAL,
    VOID,
    EventModel,
)
from vulyk.blueprints.gamification.models.fields import to_text
from vulyk.blueprints.gamification.models.rules import (
    AwardModel,
    RuleTable,
    enabled_rules,
    rule_table,
)
from vulyk.blueprints.gamification.models.state import AMOUNTS, UserStateModel
from vulyk.blueprints.gamification.models.task_types import COINS_PER_TASK_KEY, POINTS_PER_TASK_KEY
from vulyk.models.recent import Recent
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import MANY_LEFT, Batch, Circumstances
from vulyk.models.transaction import AT_ONCE, in_transaction, is_alone, is_in_transaction
from vulyk.models.user import User
from vulyk.utils import aware

T = TypeVar('T')
State = dict[str, Any]

PATIENCE_S = 0.1  # how long somebody who has stored a fact may take to change the state
SLOW_S = 60  # whoever takes longer may have missed both looks at those who are to be paid for a batch


class AlreadyBookedError(Exception):
    """The fact is stored already; there is nothing left to do."""


class NotEnoughCoinsError(Exception):
    """The user has not as many actual coins."""


class _NoStateError(Exception):
    """The user has no state yet."""


class _OvertakenError(Exception):
    """Another fact of the user has been stored since his state was read."""


class _SnapshotNeededError(Exception):
    """The counters cannot just be moved on: what they have to be made of must be read at one moment."""


class Answered(NamedTuple):
    """An answer as it is told; ``circumstances`` if it has just been stored."""

    id: ObjectId
    user: ObjectId
    task: str
    task_type: str
    batch: str | None
    created_at: datetime
    circumstances: Circumstances | None = None


class _View(NamedTuple):
    """All that has to be known to count an answer.

    ``ended`` is the answer's own time: when its session ended, or, where a plugin keeps no sessions (``has_session`` is
    false), when it was stored. ``answers`` is how many the account of the user tells of, None without an account.
    """

    state: State
    answers: int | None
    batch: dict[str, Any]
    table: RuleTable
    ended: datetime
    seconds: int
    has_session: bool


class _Gain(NamedTuple):
    """What a fact changes in a state."""

    points: Decimal = ZERO
    actual: Decimal = ZERO
    potential: Decimal = ZERO


# --- answers ------------------------------------------------------------------------------------------------------------


def state_along(user_id: ObjectId) -> tuple[str, str, ObjectId]:
    """What :meth:`vulyk.models.user.User.take_along` finds the state of a user by."""
    return UserStateModel._get_collection_name(), 'user', user_id


def book_answer(answered: Answered, take_state: Callable[[], State | None] = lambda: None) -> None:
    """Count an answer: points, coins, badges, level. Told again it changes nothing.

    On a single server the volunteer does not wait until it is safe: who loses it loses the note too that it was told.

    One of a task type that earns nothing only moves the counters of the rules for all types.

    :param take_state: gives the state of its author, if that was read a moment ago; should it have changed since, that is
        noticed.
    """
    began = time.monotonic()
    is_gamified = gamified_type(answered.task_type) is not None

    def book() -> None:
        if is_gamified:
            _book_answer(answered, _look(answered, take_state))
        else:
            with suppress(_NoStateError):  # the counters will be made with the first answer that earns something
                _count_only(answered, _look(answered, take_state))

    try:
        try:
            _in_turn(answered.user, book)
        except _SnapshotNeededError:
            _with_state(answered.user, book, at_once=True)
    except AlreadyBookedError:  # by somebody who may have been killed before he was done
        catch_up(answered.user)
    if time.monotonic() - began > SLOW_S and _is_closed(answered.batch):
        pay_user(answered.batch, answered.user)


def _is_closed(batch_id: str | None) -> TypeGuard[str]:
    return Batch._get_collection().find_one({'_id': batch_id, 'closed': True}, {'_id': 1}) is not None


def _look(answered: Answered, take_state: Callable[[], State | None]) -> _View:
    """What has come with the answer, or cannot change so soon, is only asked for in a transaction.

    :raises _NoStateError: the user has no state yet.
    """
    state, known = None, None
    if not is_in_transaction():
        state, known = take_state(), answered.circumstances
    state = state or _state_of(answered.user)
    if known is None or known.ended is None:
        known = _circumstances_of(answered)
    return _View(
        state=state,
        answers=known.total,
        batch=_batch_of(answered),
        table=rule_table(),
        ended=as_stored(known.ended or answered.created_at),
        seconds=known.seconds,
        has_session=known.ended is not None,
    )


def _circumstances_of(answered: Answered) -> Circumstances:
    mine = {'user': answered.user, 'task': answered.task, 'answer': answered.id}
    session = WorkSession._get_collection().find_one(mine, {'end_time': 1, 'activity': 1}) or {}
    return Circumstances(_answers_of(answered.user), session.get('end_time'), int(session.get('activity') or 0))


def _batch_of(answered: Answered) -> dict[str, Any]:
    """Of a batch with many tasks left it is as it was within the last second."""
    if answered.batch is None:
        return {}
    batch = None if is_in_transaction() else _large_batches.known(answered.batch)
    if batch is None:
        fields = dict.fromkeys(('batchMeta', 'closed', 'tasksCount', 'tasksProcessed'), 1)
        batch = Batch._get_collection().find_one({'_id': answered.batch}, fields) or {}
        if (batch.get('tasksCount') or 0) - (batch.get('tasksProcessed') or 0) > MANY_LEFT:
            _large_batches.put(answered.batch, batch)
    return batch


_large_batches: Recent[dict[str, Any]] = Recent(None, seconds=1)


def _count_only(answered: Answered, view: _View) -> None:
    if view.state.get('counters') and view.has_session:
        counters = _counters_with(answered, view)
        if not _write(view.state, {'$set': _changes(view.state, counters)}):
            raise _OvertakenError


def _book_answer(answered: Answered, view: _View) -> None:
    kind, meta = gamified_type(answered.task_type), view.batch.get('batchMeta') or {}
    is_kept = answered.task in (view.state.get('kept') or [])
    coins = ZERO if is_kept else worth(COINS_PER_TASK_KEY, meta, kind)
    counters = _counters_with(answered, view)
    reached = _reached(answered, view, counters)
    bonus = total(Decimal(one.rule.bonus) for one in reached)
    points = total((worth(POINTS_PER_TASK_KEY, meta, kind), bonus))
    actual = coins if view.batch.get('closed') else ZERO
    fact = {
        'kind': ANSWER,
        'source': EventModel.source_of_answer(answered.id),
        'answer': answered.id,
        'task': answered.task,
        'taskType': answered.task_type,
        'batch': answered.batch,
        'seconds': view.seconds,
        **_amounts(points=points, coins=coins, actual=actual, bonus=bonus),
    }
    gain = _Gain(points, actual, minus(coins, actual))
    _store(view.state, fact, view.ended, gain, reached=reached, counters=counters)


def _counters_with(answered: Answered, view: _View) -> Counters:
    """The counters of the user, this answer included.

    The account of the user knows how many answers he has. If the counters do not fit, some were stored while the game was
    switched off, or are being counted by somebody else just now; in the first case the sessions are counted anew.

    :raises _SnapshotNeededError: they are not what is stored and one more, and this is no transaction.
    """
    zones, needs = history.zones_of(view.state), view.table.needs
    counters = history.counters_of(view.state)
    if counters is not None and counters.covers(needs):
        if not view.has_session:
            counters.gap += 1
            return counters
        missing = 0 if view.answers is None else view.answers - counters.gap - counters.total - 1
        if missing and is_in_transaction():
            missing -= len(history.uncounted_answers(answered.user) - {answered.id})
        if not missing:
            try:
                counters.add(answered.task_type, view.ended, zones, needs)
            except TooLateError:
                pass
            else:
                return counters
    if not is_in_transaction():
        raise _SnapshotNeededError
    return recount(answered.user, view.state, view.table.rules, told=answered.id, answers=view.answers)


def recount(
    user_id: ObjectId,
    state: State,
    rules: Sequence[Rule],
    *,
    told: ObjectId | None = None,
    answers: int | None = None,
) -> Counters:
    """Counters made of the work sessions; those whose answers have still to be counted are left out.

    :param told: the answer that is being counted.
    :param answers: how many the account of the user tells, if that is known.
    """
    waiting = history.uncounted_answers(user_id) - {told}
    sessions = history.sessions_of(user_id, without=waiting)
    counters = history.count_sessions(sessions, history.zones_of(state), needs_of(rules))
    known = _answers_of(user_id) if answers is None else answers
    counters.gap = 0 if known is None else known - counters.total - len(waiting)
    return counters


def _reached(answered: Answered, view: _View, counters: Counters) -> list[Reached]:
    """The rules reached by this answer.

    If later ones have been counted already, one of those may have lacked only this answer: they are looked at again.
    """
    owned, zones = set(view.state.get('achievements') or []), history.zones_of(view.state)
    sessions = [Session(view.ended, answered.task_type, answered.id)]
    if view.has_session and counters.last is not None and view.ended < counters.last:
        if counters.last - view.ended > timedelta(days=LATE_DAYS):
            missing = [rule for rule in view.table.rules if rule.id not in owned]
            return list(history.replay(answered.user, missing, zones, since=view.ended))
        later = history.sessions_of(answered.user, since=view.ended, until=counters.last)
        sessions += [session for session in later if session.answer != answered.id and gamified_type(session.task_type)]
    found: list[Reached] = []
    for session in sessions:
        near = view.table.gate.near(session.task_type, counters, Today.of(session.ended, zones))
        rules = sorted((rule for rule in near if rule.id not in owned), key=lambda rule: rule.id)
        found += history.reached_at(answered.user, rules, counters, session, zones)
        owned.update(one.rule.id for one in found)
    return found


# --- badges found later -------------------------------------------------------------------------------------------------


def book_award(user_id: ObjectId, reached: Reached) -> bool:
    """Give a badge that was reached in the past, dated then. Returns False if the user has it."""

    def book() -> None:
        state = _state_of(user_id)
        if reached.rule.id in (state.get('achievements') or []):
            raise AlreadyBookedError
        bonus = Decimal(reached.rule.bonus)
        fact = {
            'kind': AWARD,
            'source': f'award:{user_id}:{reached.rule.id}',
            'taskType': reached.session.task_type,
            **_amounts(points=bonus, bonus=bonus),
        }
        _store(state, fact, reached.session.ended, _Gain(points=bonus), reached=[reached])

    try:
        _with_state(user_id, book)
    except AlreadyBookedError:
        return False
    return True


# --- coins --------------------------------------------------------------------------------------------------------------


def users_to_pay(batch_id: str) -> list[ObjectId]:
    """Who has potential coins of this batch."""
    rows = EventModel._get_collection().aggregate(
        [
            {'$match': {'batch': batch_id}},
            {'$group': {'_id': '$user', 'coins': {'$sum': '$coins'}, 'actual': {'$sum': {'$ifNull': ['$actual', 0]}}}},
            {'$match': {'$expr': {'$gt': ['$coins', '$actual']}}},
        ]
    )
    return [row['_id'] for row in rows]


def pay_user(batch_id: str, user_id: ObjectId) -> bool:
    """Make the potential coins actual that a user has of a closed batch; returns whether there were any.

    What is paid is what the facts of this batch say is not paid yet: whoever comes second finds nothing left.
    """

    def pay() -> bool:
        state = _state_of(user_id)
        facts = EventModel._get_collection()
        amount = _unpaid(user_id, batch_id)
        if amount <= 0:
            return False
        number = facts.count_documents({'user': user_id, 'batch': batch_id, 'kind': BATCH}) + 1
        fact = {
            'kind': BATCH,
            'source': f'batch:{batch_id}:closed:{number}:{user_id}',
            'batch': batch_id,
            'viewed': True,
            **_amounts(actual=amount),
        }
        _store(state, fact, _now(), _Gain(actual=amount, potential=minus(ZERO, amount)))
        return True

    try:
        return _with_state(user_id, pay)
    except AlreadyBookedError:
        return False


def _unpaid(user_id: ObjectId, batch_id: str) -> Decimal:
    rows = EventModel._get_collection().aggregate(
        [
            {'$match': {'user': user_id, 'batch': batch_id}},
            {'$group': {'_id': None, 'coins': {'$sum': '$coins'}, 'actual': {'$sum': {'$ifNull': ['$actual', 0]}}}},
        ]
    )
    return total(minus(exact(row['coins']), exact(row['actual'])) for row in rows)


def book_donation(user_id: ObjectId, fund_id: str, amount: Decimal, *, key: str, first: Callable[[], None]) -> None:
    """Give actual coins to a fund.

    :param key: what makes this donation another one than others of the user.
    :param first: called in the same transaction, before anything is stored.
    :raises NotEnoughCoinsError: the user has not as many actual coins.
    :raises AlreadyBookedError: this donation was made before.
    """

    def donate() -> None:
        state = _state_of(user_id)
        first()
        if exact(state.get('actualCoins', 0)) < amount:
            raise NotEnoughCoinsError
        taken = minus(ZERO, amount)
        fact = {
            'kind': DONATION,
            'source': f'donation:{user_id}:{key}',
            'acceptorFund': fund_id,
            'viewed': True,
            **_amounts(coins=taken, actual=taken),
        }
        _store(state, fact, _now(), _Gain(actual=taken))

    _with_state(user_id, donate)


# --- answers taken back -------------------------------------------------------------------------------------------------


def book_reversal(answered: Answered) -> None:
    """Undo what an answer gave that was taken back: points and potential coins, in the period they were counted in.

    Badges stay, with their bonuses; so do coins that are actual already. An answer that has not been counted yet never
    will be.
    """
    if gamified_type(answered.task_type) is None and _states().find_one({'user': answered.user}, {'_id': 1}) is None:
        return
    rules = enabled_rules()
    with suppress(AlreadyBookedError):
        _with_state(answered.user, lambda: _book_reversal(answered, rules))


def _book_reversal(answered: Answered, rules: Sequence[Rule]) -> None:
    state = _state_of(answered.user)
    facts = EventModel._get_collection()
    counters = recount(answered.user, state, rules) if state.get('counters') else None
    original = facts.find_one({'$or': [{'source': EventModel.source_of_answer(answered.id)}, {'answer': answered.id}]})
    if original is None:
        if gamified_type(answered.task_type) is None:
            if counters is not None:
                _write(state, {'$set': _changes(state, counters)})
            return
        fact = {'kind': VOID, 'source': EventModel.source_of_answer(answered.id), 'viewed': True, **_amounts()}
        _store(state, fact, as_stored(answered.created_at), _Gain(), counters=counters)
        return
    if original.get('kind') == VOID:
        raise AlreadyBookedError
    given = exact(original.get('coins', 0))
    is_paid = given > 0 and _is_paid(original)
    coins = ZERO if is_paid else minus(ZERO, given)
    points = minus(exact(original.get('bonus', 0)), exact(original.get('points', 0)))
    fact = {
        'kind': REVERSAL,
        'source': f'answer:{answered.id}:withdrawn',
        'reverses': original['_id'],
        'viewed': True,
        **{name: original.get(name) for name in ('task', 'taskType', 'batch', 'zone', 'localDate', 'timestamp')},
        'seconds': -(original.get('seconds') or 0),
        **_amounts(points=points, coins=coins),
    }
    kept = [answered.task] if is_paid else []
    moment = as_stored(answered.created_at)
    _store(state, fact, moment, _Gain(points=points, potential=coins), counters=counters, kept=kept)
    facts.update_one({'_id': original['_id']}, {'$set': {'reversed': True}})


def _is_paid(fact: dict[str, Any]) -> bool:
    """Whether the coins of an answer have become actual."""
    if exact(fact.get('actual') or 0) > 0:
        return True
    later = {'$gt': fact.get('number') or 0}
    paid = {'user': fact['user'], 'batch': fact.get('batch'), 'kind': BATCH, 'number': later}
    return bool(fact.get('batch')) and EventModel._get_collection().find_one(paid, {'_id': 1}) is not None


# --- one after the other --------------------------------------------------------------------------------------------------


def _with_state(user_id: ObjectId, work: Callable[[], T], *, at_once: bool = False) -> T:
    """Run ``work``, which books a fact of the user, in a transaction."""
    return _in_turn(user_id, lambda: in_transaction(work, at_once=at_once))


def _in_turn(user_id: ObjectId, work: Callable[[], T]) -> T:
    """Run ``work``, which books a fact of the user; again, once he has a state, and whenever somebody was faster."""
    while True:
        try:
            return work()
        except _NoStateError:
            UserStateModel.ensure(user_id)
        except _OvertakenError:
            catch_up(user_id)


def catch_up(user_id: ObjectId) -> None:
    """Make sure that the state holds every fact of the user; who has stored one is given the time to do it himself."""
    given_up = time.monotonic() + PATIENCE_S
    while _is_behind(user_id):
        if time.monotonic() > given_up:
            in_transaction(lambda: _finish(user_id))
        else:
            time.sleep(PATIENCE_S / 20)


def _is_behind(user_id: ObjectId) -> bool:
    state = _states().find_one({'user': user_id}, {'number': 1})
    return state is not None and _fact_after(user_id, state) is not None


def _fact_after(user_id: ObjectId, state: State) -> dict[str, Any] | None:
    following = {'user': user_id, 'number': (state.get('number') or 0) + 1}
    fact: dict[str, Any] | None = EventModel._get_collection().find_one(following)
    return fact


def _finish(user_id: ObjectId) -> None:
    """Add a stored fact to the state of its user, on behalf of whoever was to do it; in the transaction at hand."""
    state = _state_of(user_id)
    fact = _fact_after(user_id, state)
    if fact is None:
        return
    coins, actual = exact(fact.get('coins') or 0), exact(fact.get('actual') or 0)
    gain = _Gain(exact(fact.get('points') or 0), actual, minus(coins, actual))
    counters = recount(user_id, state, enabled_rules()) if state.get('counters') else None
    _store_awards(fact)
    _add_to_state(state, fact, gain, counters=counters)


def _state_of(user_id: ObjectId) -> State:
    """The stored state of a user.

    :raises _NoStateError: there is none.
    """
    state: State | None = _states().find_one({'user': user_id})
    if state is None:
        raise _NoStateError
    return state


def _store(
    state: State,
    fact: dict[str, Any],
    moment: datetime,
    gain: _Gain,
    *,
    reached: Sequence[Reached] = (),
    counters: Counters | None = None,
    kept: Sequence[str] = (),
) -> None:
    """Store a fact with the awards it brings, and add it to the state.

    :param moment: when it happened; unless the fact says otherwise, its period follows from that.
    :raises AlreadyBookedError: a fact of that source is stored already.
    :raises _OvertakenError: the state is not what it was any more.
    """
    event_id, level = ObjectId(), _level_with(state, gain)
    has_risen = gain.points > 0 and level > (state.get('level') or 0)
    zones = history.zones_of(state)
    document = {
        '_id': event_id,
        '_cls': EventModel._class_name,
        'timestamp': to_text(moment),
        'user': state['user'],
        'zone': zones.at(moment),
        'localDate': zones.day(moment).isoformat(),
        'achievements': [one.rule.id for one in reached],
        'viewed': False,
        'number': (state.get('number') or 0) + 1,
        'bookedAt': _now(),
        **{name: value for name, value in fact.items() if value is not None},
    }
    if reached:
        document['awards'] = [_award(state['user'], one, event_id) for one in reached]
    if has_risen:
        document['level'] = level
    if has_risen or reached:
        document['news'] = True
    try:
        _written_at_once(EventModel).insert_one(document)
    except DuplicateKeyError as error:
        if 'number' in (error.details or {}).get('keyPattern', {}):
            raise _OvertakenError from error
        raise AlreadyBookedError from error
    _store_awards(document)
    if not _add_to_state(state, document, gain, counters=counters, kept=kept):
        in_transaction(lambda: _finish(state['user']))


def _store_awards(fact: dict[str, Any]) -> None:
    """Store the awards of a fact, unless they are stored."""
    if awards := fact.get('awards'):
        once = [UpdateOne({'_id': award['_id']}, {'$setOnInsert': award}, upsert=True) for award in awards]
        _written_at_once(AwardModel).bulk_write(once)


def _add_to_state(
    state: State,
    fact: dict[str, Any],
    gain: _Gain,
    *,
    counters: Counters | None = None,
    kept: Sequence[str] = (),
) -> bool:
    """Add a stored fact to the state; returns whether that still was what it is told to be."""
    gains = {'points': gain.points, 'actualCoins': gain.actual, 'potentialCoins': gain.potential}
    changed: dict[str, Any] = {
        'level': _level_with(state, gain),
        'number': fact['number'],
        'lastChanged': to_text(_now()),
    }
    increased = {}
    for field in AMOUNTS.values():
        if isinstance(state.get(field), Decimal128):
            increased[field] = Decimal128(gains[field])
        else:  # a binary fraction of an older version, or nothing: it is replaced by the decimal it shows
            changed[field] = Decimal128(total((exact(state.get(field) or 0), gains[field])))
    if counters is not None:
        changed |= _changes(state, counters)
    update: dict[str, Any] = {'$set': changed}
    if increased:
        update['$inc'] = increased
    added = {'achievements': fact.get('achievements'), 'kept': list(kept)}
    if any(added.values()):
        update['$addToSet'] = {field: {'$each': values} for field, values in added.items() if values}
    return _write(state, update)


def _changes(state: State, counters: Counters) -> dict[str, Any]:
    """What of the stored counters is not so any more, as ``{path: value}``: of kilobytes usually a few numbers."""
    stored, wanted = state.get('counters') or {}, counters.to_dict()
    return dict(_differences('counters', stored, wanted)) if stored.get('format') == FORMAT else {'counters': wanted}


def _differences(path: str, stored: Any, wanted: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(stored, dict) and isinstance(wanted, dict):
        for name, value in wanted.items():
            yield from _differences(f'{path}.{name}', stored.get(name), value)
    elif isinstance(stored, list) and isinstance(wanted, list) and len(stored) == len(wanted):
        for position, value in enumerate(wanted):
            yield from _differences(f'{path}.{position}', stored[position], value)
    elif stored != wanted:
        yield path, wanted


def _write(state: State, update: dict[str, Any]) -> bool:
    """Change a state; returns False if it has been written since it was read."""
    unchanged = {'_id': state['_id'], 'turn': state.get('turn')}
    turn = {'turn': (state.get('turn') or 0) + 1}
    update = {**update, '$set': {**update['$set'], **turn}}
    return bool(_written_at_once(UserStateModel).update_one(unchanged, update).matched_count)


def _level_with(state: State, gain: _Gain) -> int:
    return the_game().levels.of(total((exact(state.get('points', 0)), gain.points)))


def _written_at_once(model: type) -> Any:
    """A collection; on a single server nobody waits until what is written to it is safe, see :func:`book_answer`."""
    collection = model._get_collection()  # type: ignore[attr-defined]
    if is_in_transaction() or not is_alone(get_connection()):
        return collection
    return collection.with_options(write_concern=AT_ONCE)


def _award(user_id: ObjectId, reached: Reached, event_id: ObjectId) -> dict[str, Any]:
    return {
        '_id': AwardModel.key(user_id, reached.rule.id),
        'user': user_id,
        'rule': reached.rule.id,
        'facts': reached.rule.to_dict(),
        'version': reached.rule.version,
        'at': reached.session.ended,
        'answer': reached.session.answer,
        'event': event_id,
    }


def _amounts(**amounts: Decimal) -> dict[str, Decimal128]:
    given = {'points': ZERO, 'coins': ZERO, 'actual': ZERO, **amounts}
    return {name: Decimal128(amount) for name, amount in given.items() if amount or name != 'bonus'}


def _answers_of(user_id: ObjectId) -> int | None:
    """How many answers the account of the user tells of; None if there is no such account."""
    user = User._get_collection().find_one({'_id': user_id}, {'processed': 1})
    return user and int(user.get('processed') or 0)


def as_stored(moment: datetime) -> datetime:
    """The database keeps milliseconds: a time that has not been there yet would be after itself."""
    moment = aware(moment)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _states() -> Any:
    return UserStateModel._get_collection()


def _now() -> datetime:
    return datetime.now(UTC)
