"""The admin page of background jobs: what waits, what has failed for good; try again, or discard."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from flask import flash
from flask_admin.actions import action
from flask_babel import gettext, lazy_gettext, ngettext
from flask_login import current_user

from vulyk import jobs
from vulyk.admin.dashboard import worker_troubles
from vulyk.admin.pages import CoreView, EqualFilter, show_json
from vulyk.jobs import DEAD, LEASED, READY, Job
from vulyk.models import audit

STATES = {READY: lazy_gettext('waiting'), LEASED: lazy_gettext('being done'), DEAD: lazy_gettext('failed for good')}


def show_state(view: Any, context: Any, model: Job, name: str) -> str:
    """The state in words."""
    return str(STATES.get(model.state, model.state))


class JobView(CoreView):
    """Jobs come from the site itself; here they are only tried again or discarded."""

    can_create = False
    can_edit = False
    can_delete = False
    list_template = 'admin/vulyk_jobs.html'
    details_template = 'admin/vulyk_job.html'
    column_list = ('kind', 'state', 'run_at', 'tries', 'error')
    column_details_list = ('id', *column_list, 'args', 'unique_key', 'worker', 'lease_until')
    column_default_sort = 'run_at'
    column_sortable_list = ('run_at',)
    column_filters = (
        EqualFilter('state', lazy_gettext('State'), options=tuple(STATES.items())),
        EqualFilter('kind', lazy_gettext('Kind')),
    )
    column_labels = {
        'id': lazy_gettext('Id'),
        'kind': lazy_gettext('Kind'),
        'state': lazy_gettext('State'),
        'run_at': lazy_gettext('Not before'),
        'tries': lazy_gettext('Tries'),
        'error': lazy_gettext('Last error'),
        'args': lazy_gettext('Arguments'),
        'unique_key': lazy_gettext('Key'),
        'worker': lazy_gettext('Worker'),
        'lease_until': lazy_gettext('In hand until'),
    }
    column_formatters = {'state': show_state}
    column_formatters_detail = {'state': show_state, 'args': show_json}

    def render(self, template: str, **kwargs: Any) -> str:
        """Render a page; it says whether anybody does the jobs."""
        return super().render(
            template, job_counts=jobs.counts(), troubles=worker_troubles(datetime.now(UTC))[:1], **kwargs
        )

    @action('retry', lazy_gettext('Try again'))
    def retry(self, ids: list[str]) -> None:
        """Have jobs done now, with all their tries."""
        now = datetime.now(UTC)
        self._each('retry', ids, lambda job_id: jobs.retry(job_id, now))

    @action('discard', lazy_gettext('Discard'), lazy_gettext('Discard these jobs? What they were to do is not done.'))
    def discard(self, ids: list[str]) -> None:
        """Delete jobs."""
        self._each('discard', ids, jobs.discard)

    def _each(self, verb: str, ids: list[str], act: Callable[[ObjectId], bool]) -> None:
        found = Job.objects(pk__in=[ObjectId(job_id) for job_id in ids if ObjectId.is_valid(job_id)])
        done = 0
        for job in found:
            if act(job.pk):
                done += 1
                before = {'kind': job.kind, 'state': job.state, 'error': job.error}
                audit.record(current_user._get_current_object(), f'job.{verb}', f'job {job.pk}', before)
        said = {
            'retry': ngettext('%(num)s job is tried again.', '%(num)s jobs are tried again.', done),
            'discard': ngettext('%(num)s job is discarded.', '%(num)s jobs are discarded.', done),
        }
        flash(said[verb], 'success' if done else 'warning')
        if done < len(ids):
            flash(gettext('The others are being done, or over, meanwhile.'), 'warning')
