"""Small counters of a volunteer's work, from which it can be told that a rule cannot have been reached.

The time of an answer must not grow with the history of its author, nor with the number of rules. So a rule is only evaluated
when :func:`estimate`, an upper bound, has reached its limit; the query then decides.
"""

import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from vulyk.blueprints.gamification.core.rules import VULYK, Rule
from vulyk.blueprints.gamification.core.zones import Zones

# More days are kept than any rule looks back: two, because answers may be counted a little late; eight, because the weekend a
# day belongs to may have begun a week before.
LATE_DAYS = 2
SPARE_DAYS = LATE_DAYS + 8
SATURDAY, SUNDAY = 5, 6

FORMAT = 2  # of stored counters; others are made anew
ALL = ''  # the scope of the counters over all task types


class TooLateError(Exception):
    """So old a day is not kept any more: only the work sessions can tell whether it is a new one."""


class Days:
    """Counters of one calendar, that of UTC or that of the volunteer.

    :param weekend: number of answers on Saturdays and Sundays.
    :param days: number of different days with answers.
    :param weekends: number of different weekends with answers.
    :param first: the earliest day that is still known by itself, as an ordinal.
    :param packed: the numbers of answers of that day and those after it, up to the last but one, as :func:`_pack` has them.
    :param newest: the number of answers on the last day.
    """

    def __init__(
        self, weekend: int = 0, days: int = 0, weekends: int = 0, first: int = 0, packed: bytes = b'', newest: int = 0
    ) -> None:
        self.weekend, self.days, self.weekends = weekend, days, weekends
        self._first, self._newest = first, newest
        self._packed: bytes | None = packed
        self._sums: _Sums | None = None

    @cached_property
    def _numbers(self) -> list[int]:
        return [*_unpack(self._packed or b''), self._newest] if self._newest else []

    @property
    def recent(self) -> dict[int, int]:
        """Numbers of answers of the latest days, as ordinals, oldest first; days without any are left out."""
        return {self._first + place: number for place, number in enumerate(self._numbers) if number}

    def on(self, day: int) -> int:
        """The number of answers on that day, if it is one of the latest."""
        place = day - self._first
        return self._numbers[place] if 0 <= place < len(self._numbers) else 0

    def add(self, day: int, window: int, weekend_of: Callable[[int], Any]) -> None:
        """Count one answer of a day.

        :param window: how many days are kept.
        :param weekend_of: tells which weekend a Saturday or Sunday belongs to.
        :raises TooLateError: whether it is the first of its day is not known any more.
        """
        newest = self._first + len(self._numbers) - 1 if self._numbers else day
        if day <= newest - window + SPARE_DAYS - LATE_DAYS:
            raise TooLateError
        if not self.on(day):
            self.days += 1
            if is_weekend(day) and not any(weekend_of(day) == weekend_of(other) for other in self._near(day)):
                self.weekends += 1
        self.weekend += is_weekend(day)
        self._sums = None
        if day != newest or not self._numbers:
            self._packed = None
            self._make_room(day, newest, window)
        self._numbers[day - self._first] += 1
        self._newest = self._numbers[-1]

    def _make_room(self, day: int, newest: int, window: int) -> None:
        numbers = self._numbers
        if not numbers or day >= newest + window:
            self._first, numbers[:] = day, [0]
        elif day < self._first:
            numbers[:0] = [0] * (self._first - day)
            self._first = day
        elif day > newest:
            numbers += [0] * (day - newest)
            gone = max(day - window + 1 - self._first, 0)
            del numbers[:gone]
            self._first += gone

    def _near(self, day: int) -> list[int]:
        return [other for other in range(day - 7, day + 8) if is_weekend(other) and self.on(other)]

    @property
    def sums(self) -> '_Sums':
        """Numbers of answers and days from some day on."""
        if self._sums is None:
            self._sums = _Sums(self._first, self._numbers)
        return self._sums

    def to_dict(self) -> dict[str, Any]:
        """How they are stored: an answer on the newest day changes some numbers only."""
        if self._packed is None:
            self._packed = _pack(self._numbers[:-1])
        return {
            'weekend': self.weekend,
            'days': self.days,
            'weekends': self.weekends,
            'first': self._first,
            'packed': self._packed,
            'newest': self._newest,
        }


def _pack(numbers: list[int]) -> bytes:
    """One, two or four bytes each, and before them which: a rule may look back a year, and all is read with every answer."""
    largest = max(numbers, default=0)
    code = 'B' if largest < 2**8 else 'H' if largest < 2**16 else 'I'
    return code.encode() + _in_order(array(code, numbers)).tobytes()


def _unpack(packed: bytes) -> list[int]:
    return _in_order(array(packed[:1].decode() or 'B', packed[1:])).tolist()


def _in_order(numbers: 'array[int]') -> 'array[int]':
    """With the low byte first, or from that: databases move from one machine to another."""
    if sys.byteorder == 'big':
        numbers.byteswap()
    return numbers


class _Running:
    """Sums from some place on."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._before = list(accumulate(numbers, initial=0))

    def __getitem__(self, place: int) -> int:
        return self._before[-1] - self._before[place]


class _Sums:
    """Sums over the latest days, added up once for the hundred rules that look at them."""

    def __init__(self, first: int, numbers: list[int]) -> None:
        self._first = first
        self._numbers = numbers

    def _from(self, day: int) -> int:
        return min(max(day - self._first, 0), len(self._numbers))

    @cached_property
    def _answers(self) -> _Running:
        return _Running(self._numbers)

    @cached_property
    def _days(self) -> _Running:
        return _Running(map(bool, self._numbers))

    @cached_property
    def _weekend_numbers(self) -> list[int]:
        numbers = [0] * len(self._numbers)
        for day in (SATURDAY, SUNDAY):
            place = (day - weekday(self._first)) % 7
            numbers[place::7] = self._numbers[place::7]
        return numbers

    @cached_property
    def _weekend_answers(self) -> _Running:
        return _Running(self._weekend_numbers)

    @cached_property
    def _weekend(self) -> list[int]:
        return [self._first + place for place, number in enumerate(self._weekend_numbers) if number]

    @cached_property
    def _weeks(self) -> _Running:
        weeks = [week_of_utc(day) for day in self._weekend]
        return _Running(week != later for week, later in pairwise([*weeks, None]))

    def answers(self, first: int, *, on_weekends: bool) -> int:
        """Answers from that day on."""
        return (self._weekend_answers if on_weekends else self._answers)[self._from(first)]

    def days(self, first: int) -> int:
        """Days with answers from that day on."""
        return self._days[self._from(first)]

    def weeks(self, first: int) -> int:
        """Weekends with answers from that day on, as :func:`week_of_utc` tells them apart."""
        return self._weeks[bisect_left(self._weekend, first)]


@dataclass
class Tally:
    """Counters of one scope: a task type, or all of them.

    ``window`` is the number of days that ``recent`` of both calendars reaches back.
    """

    window: int
    total: int = 0
    utc: Days = field(default_factory=Days)
    local: Days = field(default_factory=Days)

    def add(self, utc_day: int, local_day: int) -> None:
        """Count one answer.

        :raises TooLateError: it is older than what is kept.
        """
        self.utc.add(utc_day, self.window, week_of_utc)
        self.local.add(local_day, self.window, saturday_of)
        self.total += 1


class Counters:
    """All counters of a volunteer.

    :param scopes: task type, or ``ALL``, → its :class:`Tally`.
    :param last: when the latest counted session ended.
    :param gap: by how much the number of his answers, as his account tells it, differs from what is counted here.
    :param default_zone: the zone of the site when the counters were made.
    """

    def __init__(
        self,
        scopes: dict[str, Tally] | None = None,
        *,
        last: datetime | None = None,
        gap: int = 0,
        default_zone: str = 'UTC',
    ) -> None:
        self.scopes = {} if scopes is None else scopes
        self.last = last
        self.gap = gap
        self.default_zone = default_zone

    @property
    def total(self) -> int:
        """The number of answers counted."""
        return self.scopes[ALL].total if ALL in self.scopes else 0

    def tally(self, scope: str) -> Tally:
        """The counters of a scope; empty ones if nothing has been counted."""
        return self.scopes.get(scope) or Tally(window=SPARE_DAYS)

    def covers(self, needs: Mapping[str, int]) -> bool:
        """Whether the days kept reach back as far as the rules look."""
        return all(tally.window >= window_for(needs, scope) for scope, tally in self.scopes.items())

    def add(self, task_type: str, ended: datetime, zones: Zones, needs: Mapping[str, int]) -> None:
        """Count one finished session.

        :raises TooLateError: it is older than what is kept; the counters are of no use then.
        """
        utc_day, local_day = ended.astimezone(UTC).toordinal(), zones.day(ended).toordinal()
        for scope in (ALL, task_type):
            tally = self.scopes.setdefault(scope, Tally(window=window_for(needs, scope)))
            tally.add(utc_day, local_day)
        self.last = ended if self.last is None else max(self.last, ended)

    def to_dict(self) -> dict[str, Any]:
        """How they are stored."""
        return {
            'format': FORMAT,
            'scopes': [{'scope': scope, **_tally_to_dict(tally)} for scope, tally in self.scopes.items()],
            'last': self.last,
            'gap': self.gap,
            'zone': self.default_zone,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> 'Counters':
        """The inverse of :meth:`to_dict`."""
        return cls(
            {item['scope']: _tally_from_dict(item) for item in stored['scopes']},
            last=stored['last'],
            gap=stored['gap'],
            default_zone=stored['zone'],
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Counters) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]


def needs_of(rules: Iterable[Rule]) -> dict[str, int]:
    """How many days back the rules look, per scope."""
    needs: dict[str, int] = {}
    for rule in rules:
        needs[rule.scope] = max(needs.get(rule.scope, 0), rule.window + 1)
    return needs


def window_for(needs: Mapping[str, int], scope: str) -> int:
    """How many days are kept for a scope."""
    return needs.get(scope, 0) + SPARE_DAYS


class Today(NamedTuple):
    """The day of a moment, as an ordinal: that of UTC, and that of the volunteer."""

    utc: int
    local: int

    @classmethod
    def of(cls, moment: datetime, zones: Zones) -> 'Today':
        """The day it is."""
        return cls(moment.astimezone(UTC).toordinal(), zones.day(moment).toordinal())


def estimate(rule: Rule, tally: Tally, today: Today) -> int:
    """At least what the query for this rule would count on that day; compare it with ``rule.limit``.

    :param tally: the counters of the rule's scope; they may hold later answers, of ``LATE_DAYS`` at most.
    """
    if rule.semantics == VULYK:
        return _estimate_vulyk(rule, tally, today.utc)
    return _estimate_calendar(rule, tally, today.local)


class Gate:
    """Rules arranged by what they count, so that those which may have been reached are found without looking at each.

    Of rules that count the same, the one that looks back furthest counts most: none of a higher limit than that is reached.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        groups: dict[tuple[Any, ...], list[Rule]] = {}
        for rule in rules:
            what = bool(rule.tasks_number), bool(rule.window), rule.is_adjacent, rule.is_weekend
            groups.setdefault((rule.scope, rule.semantics, *what), []).append(rule)
        self._groups = [_Group(group) for group in groups.values()]

    def near(self, task_type: str, counters: Counters, today: Today) -> Iterator[Rule]:
        """The rules that an answer of this type on that day may have reached; of weekends none on a working day."""
        for group in self._groups:
            if group.widest.scope in ('', task_type) and is_due(group.widest, today):
                yield from group.near(counters.tally(group.widest.scope), today)


class _Group:
    """Rules that differ in their limits, and in how far they look back."""

    def __init__(self, rules: list[Rule]) -> None:
        self.widest = max(rules, key=lambda rule: rule.window)
        self._rules = sorted(rules, key=lambda rule: rule.limit)
        self._limits = [rule.limit for rule in self._rules]

    def near(self, tally: Tally, today: Today) -> Iterator[Rule]:
        most = estimate(self.widest, tally, today)
        for rule in self._rules[: bisect_right(self._limits, most)]:
            if estimate(rule, tally, today) >= rule.limit:
                yield rule


def is_due(rule: Rule, today: Today) -> bool:
    """Whether the rule is looked at on that day at all: weekend rules are not on working days."""
    return not rule.is_weekend or is_weekend(today.utc if rule.semantics == VULYK else today.local)


def _estimate_vulyk(rule: Rule, tally: Tally, today: int) -> int:
    counted = tally.utc
    if rule.tasks_number:
        if not rule.days_number:
            return counted.weekend if rule.is_weekend else tally.total
        # A session exactly at the first midnight does not count, and the counters cannot tell: an upper bound.
        return counted.sums.answers(today - rule.days_number, on_weekends=rule.is_weekend)
    if not rule.is_adjacent:
        return counted.weekends if rule.is_weekend else counted.days
    first = today - rule.window
    return counted.sums.weeks(first) if rule.is_weekend else counted.sums.days(first)


def _estimate_calendar(rule: Rule, tally: Tally, today: int) -> int:
    counted = tally.local
    if rule.tasks_number:
        if not rule.days_number:
            return counted.weekend if rule.is_weekend else tally.total
        return counted.sums.answers(today - rule.days_number + 1, on_weekends=rule.is_weekend)
    if not rule.is_adjacent:
        return counted.weekends if rule.is_weekend else counted.days
    if rule.is_weekend:
        return _run(saturday_of(today), 7, lambda day: bool(counted.on(day) or counted.on(day + 1)))
    return _run(today, 1, lambda day: bool(counted.on(day)))


def _run(last: int, step: int, is_active: Callable[[int], bool]) -> int:
    """How many in a row end at ``last``, or one before it while that one is still to come."""
    day = last if is_active(last) else last - step
    length = 0
    while is_active(day - step * length):
        length += 1
    return length


def is_weekend(day: int) -> bool:
    """Whether the day with that ordinal is a Saturday or a Sunday."""
    return weekday(day) >= SATURDAY


def weekday(day: int) -> int:
    """That of the day with that ordinal; 0 is Monday."""
    return (day + 6) % 7


@lru_cache(maxsize=4096)
def week_of_utc(day: int) -> tuple[int, int]:
    """``(year, week)`` as MongoDB's ``$year`` and ``$week`` have them: weeks begin on Sunday, and none spans two years."""
    moment = date.fromordinal(day)
    return moment.year, int(moment.strftime('%U'))


def saturday_of(day: int) -> int:
    """The Saturday a weekend day belongs to; for a working day the last one."""
    return day - (day + 1) % 7


def day_before(moment: datetime, days: int) -> datetime:
    """00:00 UTC of the day that many days before."""
    midnight = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=days)


def _tally_to_dict(tally: Tally) -> dict[str, Any]:
    return {
        'window': tally.window,
        'total': tally.total,
        'utc': tally.utc.to_dict(),
        'local': tally.local.to_dict(),
    }


def _tally_from_dict(stored: Mapping[str, Any]) -> Tally:
    return Tally(stored['window'], stored['total'], Days(**stored['utc']), Days(**stored['local']))
