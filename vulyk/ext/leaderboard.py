"""Who contributed the most."""

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, NamedTuple

from bson import ObjectId

from vulyk.models.progress import Progress, distinct_totals
from vulyk.models.recent import Recent
from vulyk.models.tasks import AbstractAnswer
from vulyk.models.user import User
from vulyk.utils import chunked

FIRST = 200  # of the whole site are remembered


class LeaderBoardManager:
    """Counts the answers of each user of one task type. Plugins may give their own.

    :param task_type_name: the ``type_name`` of the task type.
    :param answer_model: its answer class.
    :param user_model: the class of users.
    """

    def __init__(self, task_type_name: str, answer_model: type[AbstractAnswer], user_model: type[User]) -> None:
        self.task_type_name = task_type_name
        self.answer_model = answer_model
        self.user_model = user_model

    def get_leaders(self) -> list[tuple[ObjectId, int]]:
        """``(user id, number of answers)``, most answers first; ties in order of id."""
        return list(self._totals())

    def get_leaderboard(self, limit: int) -> list[dict[str, Any]]:
        """The first ``limit`` users as ``{'rank', 'user', 'freq'}``, with dense ranks (5, 4, 4, 3 are 1, 2, 2, 3).

        Users that no longer exist, are switched off or do not want to be named are left out.
        """
        rows: list[dict[str, Any]] = []
        rank, previous = 0, None
        for chunk in chunked(self._totals(), max(limit, 1)):
            found = self.user_model.objects(pk__in=[user_id for user_id, _ in chunk], active__ne=False, hidden__ne=True)
            users = {user.id: user for user in found}
            for user_id, freq in chunk:
                if len(rows) >= limit:
                    return rows
                if user_id in users:
                    rank += freq != previous
                    previous = freq
                    rows.append({'rank': rank, 'user': users[user_id], 'freq': freq})
        return rows

    def _totals(self) -> Iterator[tuple[ObjectId, int]]:
        """All of them, read from an index in order, as far as the caller goes."""
        where = {'taskType': self.task_type_name, 'total': {'$gt': 0}}
        for row in Progress._get_collection().find(where, {'user': 1, 'total': 1}, sort=[('total', -1), ('user', 1)]):
            yield row['user'], row['total']


class _Everybody(NamedTuple):
    """The first users by answers in all projects, as ``(user id, number)``, and the different numbers there are, ascending."""

    first: list[tuple[ObjectId, int]]
    totals: list[int]


def site_leaders(limit: int) -> list[dict[str, Any]]:
    """As :meth:`LeaderBoardManager.get_leaderboard`, over all projects; at most a minute old.

    :param limit: at most ``FIRST``, less those among the first who are switched off.
    """
    first = _everybody.get('').first
    users = {user.id: user for user in User.objects(pk__in=[user_id for user_id, _ in first], active__ne=False)}
    rows: list[dict[str, Any]] = []
    for user_id, freq in first:
        if user_id in users and not users[user_id].hidden and len(rows) < limit:
            rank = rows[-1]['rank'] + (freq != rows[-1]['freq']) if rows else 1
            rows.append({'rank': rank, 'user': users[user_id], 'freq': freq})
    return rows


def site_rank(user_id: ObjectId) -> dict[str, int] | None:
    """``{'rank', 'freq'}`` of a user over all projects; None without answers. Others may be a minute old."""
    own = sum(row['total'] for row in Progress._get_collection().find({'user': user_id}, {'total': 1}))
    if own <= 0:
        return None
    totals = _everybody.get('').totals
    return {'rank': len(totals) - bisect_right(totals, own) + 1, 'freq': own}


def _read_everybody(_: str) -> _Everybody:
    pipeline: list[dict[str, Any]] = [
        {'$match': {'total': {'$gt': 0}, 'user': {'$nin': User.hidden_ids()}}},
        {'$group': {'_id': '$user', 'total': {'$sum': '$total'}}},
        {
            '$facet': {
                'first': [{'$sort': {'total': -1, '_id': 1}}, {'$limit': FIRST}],
                'totals': [{'$group': {'_id': '$total'}}],
            }
        },
    ]
    row = next(Progress._get_collection().aggregate(pipeline))
    first = [(one['_id'], one['total']) for one in row['first']]
    return _Everybody(first, sorted(one['_id'] for one in row['totals']))


_everybody = Recent(_read_everybody, seconds=60)


def forget() -> None:
    """Read the places anew: somebody has shown or hidden himself."""
    _everybody.forget()
    distinct_totals.forget()
