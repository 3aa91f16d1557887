"""Who contributed the most."""

from collections.abc import Iterator
from typing import Any

from bson import ObjectId

from vulyk.models.progress import Progress
from vulyk.models.tasks import AbstractAnswer
from vulyk.models.user import User
from vulyk.utils import chunked


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

        Users that no longer exist, or are switched off, are left out.
        """
        rows: list[dict[str, Any]] = []
        rank, previous = 0, None
        for chunk in chunked(self._totals(), max(limit, 1)):
            found = self.user_model.objects(pk__in=[user_id for user_id, _ in chunk], active__ne=False)
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
