"""Pages about people: what I have done, and who has done the most."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from flask import current_app
from flask_babel import format_date
from flask_login import login_required

from vulyk import zones
from vulyk.ext import leaderboard
from vulyk.models import figures
from vulyk.pages import me, my_kinds, page

if TYPE_CHECKING:
    from flask import Flask

WEEKS = 53
A_DAY = timedelta(days=1)


def init(app: 'Flask') -> None:
    """Add the routes to an application."""
    app.add_url_rule('/me', 'my_page', my_page)
    app.add_url_rule('/leaders', 'site_leaders', site_leaders)


@login_required
def site_leaders() -> str:
    """Who has given the most answers on the whole site, and my own place."""
    leaders, mine = leaderboard.site_leaders(10), leaderboard.site_rank(me().id)
    return page('site_leaders.html', kinds=my_kinds(), leaders=leaders, my_rank=mine)


@login_required
def my_page() -> str:
    """My numbers, days and projects."""
    user = me()
    zone = zones.load(user.time_zone or current_app.config['DEFAULT_TIME_ZONE'])
    today = datetime.now(zone).date()
    first = today - timedelta(days=today.weekday(), weeks=WEEKS - 1)
    days = figures.days_of(user.id, datetime(first.year, first.month, first.day, tzinfo=zone).astimezone(UTC), zone)
    work = figures.work_of(user.id)
    names = {kind.type_name: kind.name or kind.type_name for kind in current_app.task_types.values()}
    return page(
        'my_page.html',
        numbers={
            'answers': sum(one.answers for one in work),
            'today': days.get(today, 0),
            'seconds': sum(one.seconds for one in work),
            'days': len(days),
            'in_a_row': days_in_a_row(days, today),
        },
        rank=leaderboard.site_rank(user.id),
        weeks=list(calendar(days, first, today)),
        months=months(days),
        best=max(days.items(), key=lambda one: (one[1], one[0]), default=None),
        projects=[(names.get(one.task_type, one.task_type), one) for one in work],
        enabled=names,
    )


class Day(NamedTuple):
    """A day of the calendar; ``level`` from 0, nothing, to 4, as much as on the best days."""

    day: date
    answers: int
    level: int


def calendar(days: dict[date, int], first: date, today: date) -> Iterator[tuple[str, list[Day]]]:
    """Weeks from ``first``, a Monday, to today: the name of a month that begins in it, or '', and its days."""
    most = max(days.values(), default=0)
    for monday in (first + timedelta(weeks=week) for week in range(WEEKS)):
        week = [monday + number * A_DAY for number in range(7)]
        begins = next((day for day in week if day.day == 1), None)
        shown = [Day(day, days.get(day, 0), level(days.get(day, 0), most)) for day in week if day <= today]
        yield (format_date(begins, 'LLL') if begins else ''), shown


def level(answers: int, most: int) -> int:
    """From 0 for nothing to 4 for more than three quarters of the most."""
    return -(-4 * answers // most) if answers else 0


def days_in_a_row(days: dict[date, int], today: date) -> int:
    """How many days without a gap, up to today, or to yesterday while today is young."""
    last = today if today in days else today - A_DAY
    found = sorted((day for day in days if day <= last), reverse=True)
    if not found or found[0] != last:
        return 0
    gap = next((number for number, (later, earlier) in enumerate(pairwise(found), 1) if later - earlier != A_DAY), None)
    return gap or len(found)


def months(days: dict[date, int]) -> list[tuple[str, int, int]]:
    """``(month, days with answers, answers)``, the latest first."""
    found: dict[date, list[int]] = {}
    for day, answers in days.items():
        found.setdefault(day.replace(day=1), []).append(answers)
    return [
        (format_date(month, 'LLLL y'), len(numbers), sum(numbers)) for month, numbers in sorted(found.items())[::-1]
    ]
