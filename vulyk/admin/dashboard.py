"""The first admin page: how much there is, what was done lately, and what is wrong."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import current_app, request
from flask_admin import AdminIndexView, expose
from flask_babel import gettext
from flask_login import current_user

from vulyk import jobs
from vulyk.admin.access import StaffOnly, my_task_types
from vulyk.ext import statistics
from vulyk.models import database
from vulyk.models.progress import Progress
from vulyk.models.user import User
from vulyk.utils import static_max_age

if TYPE_CHECKING:
    from flask import Blueprint
    from flask_admin import Admin

DAYS, HOURS = 30, 48
ACTIVE = timedelta(hours=1)


class Chart(NamedTuple):
    """A series of numbers over time.

    :param form: ``bars`` or ``line``.
    :param rows: Unix time, how it is written, and the number; None: not known, or nothing to measure.
    """

    title: str
    form: str
    what: str
    rows: list[tuple[int, str, float | None]]


class IndexView(StaffOnly, AdminIndexView):
    """For admins the whole site or one project; for project admins one of theirs."""

    extra_css = ['/static/vendor/uplot/uPlot.min.css']
    extra_js = ['/static/vendor/uplot/uPlot.iife.min.js', '/static/admin/charts.js']

    def create_blueprint(self, admin: 'Admin') -> 'Blueprint':
        """Browsers keep its files: seventeen on each page, and ``templates/admin/static.html`` gives them their version."""
        blueprint = super().create_blueprint(admin)
        blueprint.get_send_file_max_age = static_max_age
        return blueprint

    @expose('/')
    def index(self) -> str:
        """Show it."""
        now, projects, is_admin = datetime.now(UTC), project_numbers(), current_user.is_admin()
        chosen = chosen_project()
        days = [] if chosen is None else statistics.month(chosen, now, days=DAYS)
        return self.render(
            self._template,
            users=User._get_collection().estimated_document_count() if is_admin else None,
            active=None if chosen is None else statistics.active_since(chosen, now - ACTIVE),
            projects=projects,
            totals={key: sum(project[key] for project in projects) for key in ('tasks', 'open', 'closed', 'answers')},
            plugin_errors=current_app.plugin_errors if is_admin else {},
            chosen=chosen,
            charts=charts(days, now) if days else [],
            is_counting=None in days,
            troubles=worker_troubles(now) if is_admin else [],
            warning=database.warning(current_app.config) if is_admin else '',
        )


def chosen_project() -> str | None:
    """The project to be shown, ``EVERYTHING`` for all of them; None if whoever asks looks after none."""
    mine = my_task_types()
    asked = request.args.get('project', '')
    if asked in mine:
        return asked
    return statistics.EVERYTHING if current_user.is_admin() else next(iter(mine), None)


def project_numbers() -> list[dict[str, Any]]:
    """Per task type that whoever asks looks after ``{'type', 'name', 'tasks', 'open', 'closed', 'answers'}``.

    From the counters of batches and people, so that it costs the same however many tasks and answers there are.
    """
    numbers = []
    for type_name, kind in my_task_types().items():
        total, closed = kind.task_counts()
        sums = [{'$match': {'taskType': type_name}}, {'$group': {'_id': None, 'total': {'$sum': '$total'}}}]
        row = next(Progress._get_collection().aggregate(sums), {'total': 0})
        numbers.append(
            {
                'type': type_name,
                'name': kind.name or type_name,
                'tasks': total,
                'open': total - closed,
                'closed': closed,
                'answers': row['total'],
            }
        )
    return numbers


def charts(days: list[dict[str, Any] | None], now: datetime) -> list[Chart]:
    """What was done in the last hours and days."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    dates = [midnight - timedelta(days=number) for number in range(len(days) - 1, -1, -1)]

    def per_day(name: str) -> list[tuple[int, str, float | None]]:
        rows = zip(dates, days, strict=True)
        return [(int(at.timestamp()), f'{at:%Y-%m-%d}', None if day is None else day[name]) for at, day in rows]

    hours = [
        (int(hour.timestamp()), f'{hour:%Y-%m-%d %H:00}', None if day is None else day['hours'][hour.hour])
        for at, day in zip(dates[-3:], days[-3:], strict=True)
        for hour in (at + timedelta(hours=number) for number in range(24))
        if hour <= now
    ]
    return [
        Chart(gettext('Answers per hour'), 'bars', gettext('Answers'), hours[-HOURS:]),
        Chart(gettext('Answers per day'), 'bars', gettext('Answers'), per_day('answers')),
        Chart(gettext('Active volunteers per day'), 'line', gettext('Volunteers'), per_day('volunteers')),
        Chart(gettext('Time per task (median)'), 'line', gettext('Seconds'), per_day('seconds')),
    ]


def worker_troubles(now: datetime) -> list[str]:
    """What is wrong with background work, in sentences."""
    found = []
    if jobs.worker_is_missing(now):
        swept = jobs.last_sweep()
        when = (
            gettext('Last seen: %(time)s UTC.', time=f'{swept:%Y-%m-%d %H:%M}')
            if swept
            else gettext('None was ever seen.')
        )
        how = gettext('Start one (vulyk worker), or set BACKGROUND_THREAD.')
        found.append(f'{gettext("No worker is running: mails are not sent, places are not given back.")} {when} {how}')
    dead = jobs.counts()[jobs.DEAD]
    if dead:
        found.append(gettext('%(number)s jobs have failed for good.', number=dead))
    return found
