"""Updates of a task that keep its places right: every one ends in the same two stages.

Invariant: ``lane`` is set if and only if the task is open and ``usersCount`` + live leases < ``need``.
"""

from datetime import datetime
from typing import Any

from bson import ObjectId

from vulyk.utils import aware

Stage = dict[str, Any]

FRESH, RETURNED = 'fresh', 'returned'
HAS_PLACE = {'$gt': ''}  # condition on lane; the same words as in the partial index

_LEASES = {'$ifNull': ['$leases', []]}
_COUNT = {'$ifNull': ['$usersCount', 0]}
_PROCESSED = {'$ifNull': ['$usersProcessed', []]}
_SKIPPED = {'$ifNull': ['$usersSkipped', []]}


def new(need: int) -> dict[str, Any]:
    """The fields of a new task nobody has seen."""
    return {'need': need, 'leases': [], 'lane': FRESH, 'returned': None, 'expiry': None}


def claim(user_id: ObjectId, until: datetime, need: int, now: datetime) -> list[Stage]:
    """Give the user a place until then; filter on :data:`HAS_PLACE`, or there may be none.

    :param need: for tasks that do not say it themselves.
    """
    return [
        {
            '$set': {
                'need': {'$ifNull': ['$need', need]},
                'leases': {'$concatArrays': [_others(user_id), [{'user': user_id, 'until': until}]]},
            }
        },
        *settle(now),
    ]


def release(user_id: ObjectId, now: datetime) -> list[Stage]:
    """Take the user's place back; he has walked past the task, so that it is returned now, whatever lane it was in."""
    return [{'$set': {'leases': _others(user_id), 'lane': None}}, *settle(now)]


def leave(user_id: ObjectId, now: datetime) -> list[Stage]:
    """Take back the place of somebody who will not need the task again."""
    return [{'$set': {'leases': _others(user_id)}}, *settle(now)]


def renew(user_id: ObjectId, until: datetime, now: datetime) -> list[Stage]:
    """Let the user keep the place longer, if it has not expired."""
    longer = {
        '$cond': [{'$eq': ['$$this.user', user_id]}, {'user': '$$this.user', 'until': until}, '$$this'],
    }
    return [
        _drop_expired(now),
        {'$set': {'leases': {'$map': {'input': '$leases', 'in': longer}}}},
        *settle(now),
    ]


def skip(user_id: ObjectId, now: datetime) -> list[Stage]:
    """Note that the user does not want this task, and take the place back."""
    return [{'$set': {'leases': _others(user_id), 'usersSkipped': _with(_SKIPPED, user_id)}}, *settle(now)]


def answer(user_id: ObjectId, need: int, now: datetime, *, closing: bool) -> list[Stage]:
    """Take an answer: it counts if the task is open; the answer that fills the task closes it.

    Somebody without a live lease may answer too. If that leaves more leases than places, the one that ends last goes:
    its holder's answer will be an extra.

    :param need: for tasks that do not say it themselves.
    :param closing: close the task now, whatever its number of answers.
    """
    is_open = {'$and': [{'$ne': ['$closed', True]}, {'$lt': [_COUNT, '$need']}]}
    full = {'$gte': ['$usersCount', '$need']}
    overbooked = {'$gt': [{'$add': ['$usersCount', {'$size': '$leases'}]}, '$need']}
    last = {'$arrayElemAt': ['$leases.user', {'$indexOfArray': ['$leases.until', {'$max': '$leases.until'}]}]}
    early = {'$or': [closing, {'$eq': ['$closedEarly', True]}]}  # an extra answer does not change why it was closed
    return [
        {'$set': {'need': {'$ifNull': ['$need', need]}}},
        _drop_expired(now),
        {
            '$set': {
                'usersCount': {'$add': [_COUNT, {'$cond': [is_open, 1, 0]}]},
                'usersProcessed': _with(_PROCESSED, user_id),
                'usersSkipped': _without(_SKIPPED, user_id),
                'leases': _others(user_id),
            }
        },
        {
            '$set': {
                'closed': {'$or': [{'$eq': ['$closed', True]}, full, closing]},
                'closedEarly': {'$and': [early, {'$not': [full]}]},
                'leases': {'$cond': [overbooked, _all_but(last), '$leases']},
            }
        },
        *settle(now),
    ]


def is_open(task: dict[str, Any], need: int) -> bool:
    """Whether an answer to this stored task counts; the same as :func:`answer` decides.

    :param need: for tasks that do not say it themselves.
    """
    return task.get('closed') is not True and (task.get('usersCount') or 0) < (task.get('need') or need)


def is_closed_by(task: dict[str, Any], need: int, *, closing: bool) -> bool:
    """Whether one more answer closes this stored task; the parameters are those of :func:`answer`."""
    full = (task.get('usersCount') or 0) + 1 >= (task.get('need') or need)
    return task.get('closed') is not True and (full or closing)


def recounted(facts: dict[str, Any], now: datetime) -> list[Stage]:
    """Set what was derived from the answers; whoever has taken his back may want to find the task again."""
    return [{'$set': {**facts, 'lane': None}}, *settle(now)]


def fitting(held: list[dict[str, Any]], places: int, now: datetime) -> list[dict[str, Any]]:
    """The leases that may stay when only so many places are left: those that end first, as with a late answer."""
    live = sorted((lease for lease in held if aware(lease['until']) > now), key=lambda lease: lease['until'])
    return live[: max(places, 0)]


def settle(now: datetime) -> list[Stage]:
    """The end of every update: drop expired leases, then say in which lane the task is."""
    places = {'$subtract': [{'$ifNull': ['$need', 1]}, {'$add': [_COUNT, {'$size': '$leases'}]}]}
    unavailable = {'$or': [{'$eq': ['$closed', True]}, {'$lte': [places, 0]}]}
    is_fresh = {'$eq': ['$lane', FRESH]}
    since = {'$cond': [{'$eq': ['$lane', RETURNED]}, '$returned', now]}
    return [
        _drop_expired(now),
        {
            '$set': {
                'lane': {'$cond': [unavailable, None, {'$cond': [is_fresh, FRESH, RETURNED]}]},
                'returned': {'$cond': [{'$or': [unavailable, is_fresh]}, None, since]},
                'expiry': {'$cond': [{'$eq': ['$closed', True]}, None, {'$min': '$leases.until'}]},
            }
        },
    ]


def sweep(now: datetime) -> list[Stage]:
    """Settle many tasks at once; those that are returned by it are so within a second, each at a moment of its own.

    Whoever walks past returned tasks remembers the moment he has come to, and would look at all of the same moment again.
    """
    spread = {'$add': [now, {'$mod': [{'$ifNull': ['$ord', 0]}, 1000]}]}
    return [*settle(now), {'$set': {'returned': {'$cond': [{'$eq': ['$returned', now]}, spread, '$returned']}}}]


def _drop_expired(now: datetime) -> Stage:
    """Its holder has walked past the task: only as one returned now he finds it again."""
    live = {'$filter': {'input': _LEASES, 'cond': {'$gt': ['$$this.until', now]}}}
    some_expired = {'$lt': [{'$size': live}, {'$size': _LEASES}]}
    return {'$set': {'leases': live, 'lane': {'$cond': [some_expired, None, '$lane']}}}


def _others(user_id: ObjectId) -> Stage:
    return _all_but(user_id)


def _all_but(user: Any) -> Stage:
    return {'$filter': {'input': _LEASES, 'cond': {'$ne': ['$$this.user', user]}}}


def _with(array: Any, item: ObjectId) -> Stage:
    return {'$cond': [{'$in': [item, array]}, array, {'$concatArrays': [array, [item]]}]}


def _without(array: Any, item: ObjectId) -> Stage:
    return {'$filter': {'input': array, 'cond': {'$ne': ['$$this', item]}}}
