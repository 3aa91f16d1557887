"""What was done on each day: answers by hour, volunteers, time for a task.

A day that is over is counted once and stored, so that nobody who looks at a month reads a month of answers. Days are UTC.
"""

import statistics
import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from bson import ObjectId
from flask_mongoengine.documents import Document
from mongoengine import DictField, ListField, StringField

from vulyk.models.recent import Recent
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import AbstractAnswer

EVERYTHING = ''  # the key of all task types together
SAMPLED_SESSIONS = 20_000  # work sessions of a day whose times are looked at
TODAY_SECONDS = 30


class Day(Document):
    """A day that is over. ``projects``: ``[{'type', 'answers', 'volunteers', 'hours', 'seconds'}]``, see :func:`count_day`."""

    id = StringField(primary_key=True)
    projects = ListField(DictField())

    meta = {'collection': 'days', 'auto_create_index': False, 'strict': False}


def month(task_type: str, now: datetime, *, days: int = 30, seconds: float = 2) -> list[dict[str, Any] | None]:
    """The last days of a task type, or of all (``EVERYTHING``), today the last.

    :param seconds: to count what is not stored yet; what is left then is None, and counted when somebody looks again.
    :returns: ``{'answers', 'volunteers', 'hours', 'seconds'}`` or None, for each day. ``hours`` are the answers of 24 hours,
        ``seconds`` is the median of the time for a task, None if there was none.
    """
    today = now.astimezone(UTC).date()
    wanted = [today - timedelta(days=number) for number in range(days - 1, 0, -1)]
    stored = {
        day['_id']: day['projects'] for day in Day._get_collection().find({'_id': {'$in': list(map(str, wanted))}})
    }
    stop = time.monotonic() + seconds
    for day in reversed(wanted):
        if str(day) not in stored and time.monotonic() < stop:
            stored[str(day)] = count_day(day)
            Day._get_collection().replace_one({'_id': str(day)}, {'projects': stored[str(day)]}, upsert=True)
    stored[str(today)] = _today.get(str(today))
    return [_of(stored.get(str(day)), task_type) for day in (*wanted, today)]


def count_day(day: date) -> list[dict[str, Any]]:
    """What was done on a day, for each task type and for all of them (``EVERYTHING``)."""
    hours: dict[str, list[int]] = defaultdict(lambda: [0] * 24)
    people: dict[str, set[ObjectId]] = defaultdict(set)
    for row in _answers(day):
        for key in (row['_id']['type'], EVERYTHING):
            hours[key][row['_id']['hour']] += row['number']
            people[key].add(row['_id']['user'])
    times: dict[str, list[float]] = defaultdict(list)
    for session in _sessions(day):
        for key in (session['taskType'], EVERYTHING):
            times[key].append(_length(session))
    return [
        {
            'type': key,
            'answers': sum(hours[key]),
            'volunteers': len(people[key]),
            'hours': hours[key],
            'seconds': round(statistics.median(times[key]), 1) if times[key] else None,
        }
        for key in sorted({EVERYTHING, *hours, *times})
    ]


def active_since(task_type: str, moment: datetime) -> int:
    """How many people have answered since then."""
    where: dict[str, Any] = {'createdAt': {'$gte': moment}}
    if task_type != EVERYTHING:
        where['taskType'] = task_type
    rows = AbstractAnswer._get_collection().aggregate(
        [{'$match': where}, {'$group': {'_id': '$createdBy'}}, {'$count': 'number'}]
    )
    return next((row['number'] for row in rows), 0)


def _span(day: date) -> tuple[datetime, datetime]:
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return begin, begin + timedelta(days=1)


def _answers(day: date) -> Iterable[dict[str, Any]]:
    begin, end = _span(day)
    what = {'type': '$taskType', 'user': '$createdBy', 'hour': {'$hour': '$createdAt'}}
    return AbstractAnswer._get_collection().aggregate(
        [
            {'$match': {'createdAt': {'$gte': begin, '$lt': end}}},
            {'$group': {'_id': what, 'number': {'$sum': 1}}},
        ]
    )


def _sessions(day: date) -> Iterable[dict[str, Any]]:
    """Finished work sessions of a day; their ids begin with the time they were made."""
    begin, end = map(ObjectId.from_datetime, _span(day))
    where = {'_id': {'$gte': begin, '$lt': end}, 'end_time': {'$ne': None}}
    fields = dict.fromkeys(('taskType', 'activity', 'start_time', 'end_time'), 1)
    return WorkSession._get_collection().find(where, fields, sort=[('_id', 1)], limit=SAMPLED_SESSIONS)


def _length(session: dict[str, Any]) -> float:
    """Active seconds; of pages that do not report them, the time from beginning to end."""
    return session.get('activity') or (session['end_time'] - session['start_time']).total_seconds()


def _of(projects: list[dict[str, Any]] | None, task_type: str) -> dict[str, Any] | None:
    if projects is None:
        return None
    nothing = {'answers': 0, 'volunteers': 0, 'hours': [0] * 24, 'seconds': None}
    return next((project for project in projects if project['type'] == task_type), nothing)


_today = Recent(lambda day: count_day(date.fromisoformat(day)), seconds=TODAY_SECONDS)
