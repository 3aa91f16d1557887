"""IANA time zones by name."""

import zoneinfo
from datetime import UTC, datetime, tzinfo
from functools import cache, lru_cache


def is_zone(name: str) -> bool:
    """Whether there is an IANA time zone of that name."""
    return name == 'UTC' or name in names()  # the usual one without reading all of them, at every start


def is_same_clock(one: str, other: str) -> bool:
    """Whether the two are names of one zone: ``Europe/Kiev`` is what ``Europe/Kyiv`` was called before."""
    return one == other or all(
        moment.astimezone(load(one)).utcoffset() == moment.astimezone(load(other)).utcoffset() for moment in _months()
    )


@lru_cache(maxsize=1024)
def load(name: str) -> tzinfo:
    """The zone of that name; UTC if this machine does not know it (any more)."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


@cache
def names() -> frozenset[str]:
    """All of them."""
    # Two names of files that are no places: what "localtime" is differs from machine to machine.
    return frozenset(zoneinfo.available_timezones()) - {'localtime', 'Factory'} | {'UTC'}


@cache
def _months() -> list[datetime]:
    return [datetime(year, month, 1, tzinfo=UTC) for year in range(1970, 2038) for month in range(1, 13)]
