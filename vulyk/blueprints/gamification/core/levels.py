"""Levels: how many points each takes."""

from bisect import bisect_right
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any

from vulyk.blueprints.gamification.core.amounts import NumbersError, exact

DEFAULT_LEVELS: dict[int, int] = {1: 1} | {level: 25 * (level - 1) for level in range(2, 51)}


class Levels:
    """A table of levels.

    :param table: ``{level: points it begins at}``; levels are positive, and a higher one takes more points.
    :raises NumbersError: the table makes no sense; the text says why.
    """

    def __init__(self, table: Mapping[Any, Any] = DEFAULT_LEVELS) -> None:
        if not isinstance(table, Mapping):
            raise NumbersError('levels: must be a dictionary {level: points}, not %(value)s.', value=repr(table))
        self._table = sorted((_number(level), _begin(level, points)) for level, points in table.items())
        self._thresholds = [points for _, points in self._table]
        if any(one >= next_one for one, next_one in zip(self._thresholds, self._thresholds[1:], strict=False)):
            raise NumbersError('levels: a higher level must begin at more points than the one before.')

    def of(self, points: Decimal) -> int:
        """The level somebody with that many points has reached; 0 below the first."""
        reached = bisect_right(self._thresholds, points)
        return self._table[reached - 1][0] if reached else 0

    def after(self, points: Decimal) -> tuple[int, Decimal] | None:
        """The next level and the points it begins at; None at the last."""
        reached = bisect_right(self._thresholds, points)
        return self._table[reached] if reached < len(self._table) else None

    def begin(self, level: int) -> Decimal:
        """The points a level begins at; 0 for none of the table."""
        return dict(self._table).get(level, Decimal(0))


def _number(level: Any) -> int:
    with suppress(TypeError, ValueError):
        if int(level) > 0:
            return int(level)
    raise NumbersError('levels: a level is a positive whole number, not %(value)s.', value=repr(level))


def _begin(level: Any, points: Any) -> Decimal:
    try:
        return exact(points)
    except NumbersError as error:
        raise NumbersError(
            'levels: level %(level)s cannot begin at %(value)s points.', level=level, value=repr(points)
        ) from error
