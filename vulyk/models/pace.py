"""How fast somebody answers, counted with the answers themselves."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask_babel import gettext
from pymongo import ReturnDocument

from vulyk.models.exc import RateLimitError, TaskPermissionError
from vulyk.models.user import User


@dataclass(frozen=True)
class AnswerLimits:
    """What one user may do: answers in a minute of the clock, and answers in the first hours of an account; 0: any number."""

    per_minute: int = 0
    of_new_accounts: int = 0
    new_for: timedelta = timedelta(days=1)


NO_LIMITS = AnswerLimits()


def count_answer(user: User, now: datetime, limits: AnswerLimits) -> int | None:
    """Count an answer in the user's total and in his pace, by one command; returns the total, None without an account.

    In the transaction of the answer: what is refused has not been counted, and two requests cannot pass each other.

    :raises RateLimitError: too many in this minute, or for an account that is so new.
    :raises TaskPermissionError: he has been switched off a moment ago.
    """
    minute = int(now.timestamp()) // 60
    same_minute = {'$eq': ['$pace.minute', minute]}
    counted = User._get_collection().find_one_and_update(
        {'_id': user.id},
        [
            {
                '$set': {
                    'processed': {'$add': [{'$ifNull': ['$processed', 0]}, 1]},
                    'pace': {'minute': minute, 'number': {'$cond': [same_minute, {'$add': ['$pace.number', 1]}, 1]}},
                }
            }
        ],
        {'active': 1, 'processed': 1, 'pace': 1},
        return_document=ReturnDocument.AFTER,
    )
    if counted is None:
        return None
    if counted.get('active') is False:
        raise TaskPermissionError(gettext('This account has been switched off.'))
    if 0 < limits.per_minute < counted['pace']['number']:
        raise RateLimitError(max(int((minute + 1) * 60 - now.timestamp()), 1))
    old_enough = user.id.generation_time + limits.new_for
    if 0 < limits.of_new_accounts < counted['processed'] and now < old_enough:
        raise RateLimitError(int((old_enough - now).total_seconds()) + 1, is_new_account=True)
    return int(counted['processed'])
