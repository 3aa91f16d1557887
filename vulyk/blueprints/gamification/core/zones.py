"""Days of a volunteer: which calendar day a moment was where he lived then."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

from vulyk.zones import load

FIRST_YEAR = 2000  # no answer is older; offsets are computed from here on
_STEP = timedelta(days=7)  # no zone changes its offset twice within a week
_TICK = timedelta(milliseconds=1)  # of the database's clock


class Zones:
    """The time zones a volunteer has lived in.

    :param default: the zone before the first change, usually that of the site.
    :param changes: ``(since, IANA name)``; aware times, in any order.
    """

    def __init__(self, default: str = 'UTC', changes: Iterable[tuple[datetime, str]] = ()) -> None:
        self.default = default
        self.changes: Sequence[tuple[datetime, str]] = sorted(changes)

    def at(self, moment: datetime) -> str:
        """The name of the zone he was in."""
        return next((name for since, name in reversed(self.changes) if since <= moment), self.default)

    def day(self, moment: datetime) -> date:
        """The calendar day it was for him."""
        return moment.astimezone(load(self.at(moment))).date()

    def offsets(self, until: datetime) -> list[tuple[datetime, timedelta]]:
        """``(since, offset from UTC)`` up to a moment, oldest first: moves of the volunteer and changes of the clock.

        The first pair also stands for everything before it. The database gets these numbers instead of names of zones: its
        own table of zones may be years older than the one used here, and then a day would begin at two moments.
        """
        until += _TICK  # a change at that very moment counts
        spans = [*self.changes, (until, '')]
        start, name = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC), self.default
        found: list[tuple[datetime, timedelta]] = []
        for since, next_name in spans:
            if since > start:
                found += _offsets_within(name, start, min(since, until))
                start = since
            name = next_name
        merged = found[:1]
        for since, offset in found[1:]:
            if offset != merged[-1][1]:
                merged.append((since, offset))
        return merged or [(start, timedelta(0))]

    def since(self, day: date, until: datetime) -> list[tuple[datetime, datetime]]:
        """``(from, before)`` of the moments up to one at which it was that day for him, or a later one; oldest first.

        It is one span, unless he has moved so far to the west that it was the day before once more.
        """
        offsets = self.offsets(until)
        changes = [since for since, _ in offsets[1:]]
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        found: list[tuple[datetime, datetime]] = []
        for (_, offset), start, end in zip(offsets, [None, *changes], [*changes, until + _TICK], strict=True):
            begin = max(start or midnight - offset, midnight - offset)
            if found and begin == found[-1][1]:
                begin = found.pop()[0]
            if begin < end:
                found.append((begin, end))
        return found

    def local(self, field: str, until: datetime) -> Any:
        """An aggregation expression: the moment in ``field``, moved so that UTC shows the volunteer's day and time."""
        offsets = self.offsets(until)
        shifts: Any = _milliseconds(offsets[0][1])
        if len(offsets) > 1:
            branches = [
                {'case': {'$gte': [field, since]}, 'then': _milliseconds(offset)}
                for since, offset in reversed(offsets[1:])
            ]
            shifts = {'$switch': {'branches': branches, 'default': shifts}}
        return {'$add': [field, shifts]} if shifts else field


def _offsets_within(name: str, start: datetime, end: datetime) -> list[tuple[datetime, timedelta]]:
    """The offset at ``start``, and the changes before ``end``."""
    known = [change for year in range(start.year, end.year + 1) for change in _changes_in(name, year)]
    return [(start, _offset(name, start)), *((since, offset) for since, offset in known if start < since < end)]


@lru_cache(maxsize=4096)
def _changes_in(name: str, year: int) -> tuple[tuple[datetime, timedelta], ...]:
    """The changes of the clock in a year, to the second."""
    found = []
    moment, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    while moment < end:
        after = min(moment + _STEP, end)
        if _offset(name, after) != _offset(name, moment):
            before, since = moment, after
            while since - before > timedelta(seconds=1):
                middle = before + timedelta(seconds=(since - before).total_seconds() // 2)
                if _offset(name, middle) == _offset(name, moment):
                    before = middle
                else:
                    since = middle
            found.append((since, _offset(name, since)))
        moment = after
    return tuple(found)


def _offset(name: str, moment: datetime) -> timedelta:
    return moment.astimezone(load(name)).utcoffset() or timedelta(0)


def _milliseconds(offset: timedelta) -> int:
    return round(offset.total_seconds() * 1000)
