"""Who contributed the most."""

from typing import Any

from bson import ObjectId

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
        rows = self.answer_model.objects(task_type=self.task_type_name).aggregate(
            [{'$group': {'_id': '$createdBy', 'freq': {'$sum': 1}}}, {'$sort': {'freq': -1, '_id': 1}}]
        )
        return [(row['_id'], row['freq']) for row in rows]

    def get_leaderboard(self, limit: int) -> list[dict[str, Any]]:
        """The first ``limit`` users as ``{'rank', 'user', 'freq'}``, with dense ranks (5, 4, 4, 3 are 1, 2, 2, 3).

        Users that no longer exist, or are switched off, are left out.
        """
        rows: list[dict[str, Any]] = []
        rank, previous = 0, None
        for chunk in chunked(self.get_leaders(), max(limit, 1)):
            users = self.user_model.objects(active__ne=False).in_bulk([user_id for user_id, _ in chunk])
            for user_id, freq in chunk:
                if len(rows) >= limit:
                    return rows
                if user_id in users:
                    rank += freq != previous
                    previous = freq
                    rows.append({'rank': rank, 'user': users[user_id], 'freq': freq})
        return rows
