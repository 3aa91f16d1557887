"""Numbers for home pages: how long tasks take, how many people are about. Counted rarely, told often."""

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta, tzinfo
from statistics import median
from typing import Any, NamedTuple

from bson import ObjectId

from vulyk.models.progress import Progress
from vulyk.models.recent import Recent
from vulyk.models.stats import WorkSession
from vulyk.utils import aware

ACTIVE_FOR = timedelta(days=7)  # since the last answer
SAMPLE = 2000  # work sessions of all projects that are looked at


class Totals(NamedTuple):
    """Answers, the people who gave them, and how many of those have done so in the last seven days."""

    answers: int
    people: int
    active: int


def seconds_per_task() -> dict[str, int]:
    """``{task type: seconds}`` of active work, the median of a sample; types of which nothing was measured are missing.

    At most ten minutes old.
    """
    return _seconds.get('')


def active_people() -> dict[str, int]:
    """``{task type: number of people}`` who have answered in the last seven days; at most a minute old."""
    return _active.get('')


def totals() -> Totals:
    """Numbers of the whole site; at most a minute old."""
    return _totals.get('')


def last_project(user_id: ObjectId) -> str | None:
    """The task type a user has answered last; None if it is not known."""
    mine = Progress._get_collection().find({'user': user_id, 'at': {'$exists': True}}, {'taskType': 1, 'at': 1})
    latest = max(mine, key=lambda one: one['at'], default=None)
    return latest['taskType'] if latest else None


class Work(NamedTuple):
    """What somebody has done in a project: answers, seconds of active work, and when the last answer came, if known."""

    task_type: str
    answers: int
    seconds: int
    at: datetime | None


def work_of(user_id: ObjectId) -> list[Work]:
    """The projects somebody has answered in, those with most answers first."""
    spent = {'_id': '$taskType', 'seconds': {'$sum': '$activity'}}
    sessions = WorkSession._get_collection().aggregate([{'$match': {'user': user_id}}, {'$group': spent}])
    seconds = {row['_id']: row['seconds'] for row in sessions}
    rows = Progress._get_collection().find({'user': user_id, 'total': {'$gt': 0}}).sort([('total', -1), ('_id', 1)])
    return [Work(row['taskType'], row['total'], seconds.get(row['taskType'], 0), row.get('at')) for row in rows]


def days_of(user_id: ObjectId, since: datetime, zone: tzinfo) -> dict[date, int]:
    """``{day: answers}`` from a moment on; the days are those of the zone."""
    # No zone begins its days inside a quarter of an hour.
    quarter = {'$dateTrunc': {'date': '$end_time', 'unit': 'minute', 'binSize': 15}}
    pipeline: list[dict[str, Any]] = [
        {'$match': {'user': user_id, 'end_time': {'$gte': since}}},
        {'$group': {'_id': quarter, 'number': {'$sum': 1}}},
    ]
    days: Counter[date] = Counter()
    for row in WorkSession._get_collection().aggregate(pipeline):
        days[aware(row['_id']).astimezone(zone).date()] += row['number']
    return dict(days)


def _read_seconds(_: str) -> dict[str, int]:
    found: dict[str, list[int]] = defaultdict(list)
    # A random cursor reads as many documents as are wanted, however many there are.
    pipeline: list[dict[str, Any]] = [
        {'$sample': {'size': SAMPLE}},
        {'$match': {'end_time': {'$ne': None}, 'activity': {'$gt': 0}}},
        {'$project': {'taskType': 1, 'activity': 1}},
    ]
    for row in WorkSession._get_collection().aggregate(pipeline):
        found[row['taskType']].append(row['activity'])
    return {task_type: round(median(seconds)) or 1 for task_type, seconds in found.items()}


def _read_active(_: str) -> dict[str, int]:
    count = {'_id': '$taskType', 'number': {'$sum': 1}}
    rows = Progress._get_collection().aggregate([{'$match': {'at': {'$gte': _lately()}}}, {'$group': count}])
    return {row['_id']: row['number'] for row in rows}


def _read_totals(_: str) -> Totals:
    of_person = {'_id': '$user', 'answers': {'$sum': '$total'}, 'at': {'$max': '$at'}}
    is_active = {'$cond': [{'$gte': ['$at', _lately()]}, 1, 0]}
    of_all = {'_id': None, 'answers': {'$sum': '$answers'}, 'people': {'$sum': 1}, 'active': {'$sum': is_active}}
    pipeline: list[dict[str, Any]] = [{'$match': {'total': {'$gt': 0}}}, {'$group': of_person}, {'$group': of_all}]
    row = next(Progress._get_collection().aggregate(pipeline), None)
    return Totals(row['answers'], row['people'], row['active']) if row else Totals(0, 0, 0)


def _lately() -> datetime:
    return datetime.now(UTC) - ACTIVE_FOR


_seconds = Recent(_read_seconds, seconds=600)
_active = Recent(_read_active, seconds=60)
_totals = Recent(_read_totals, seconds=60)
TABLES = (_seconds, _active, _totals)
