"""The queue of background work: what waits, what has failed for good."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import click
from bson import ObjectId

from vulyk import jobs
from vulyk.cli.context import operator, with_database
from vulyk.jobs import DEAD, LEASED, READY, Job
from vulyk.models import audit
from vulyk.terminal import json_option, print_json, print_table
from vulyk.texts import gettext

COLUMNS = ('id', 'kind', 'state', 'tries', 'run_at', 'error')


class JobParam(click.ParamType):
    """The id of a job."""

    name = 'id'

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ObjectId:
        if not ObjectId.is_valid(value):
            self.fail(
                gettext('%(value)s is not the id of a job; "jobs list" prints them.', value=repr(value)), param, ctx
            )
        return ObjectId(value)


def chosen(ids: Iterable[ObjectId], *, dead: bool) -> list[Job]:
    """The jobs meant: those of these ids, or all dead ones.

    :raises click.BadParameter: none of these ids; some are not there.
    """
    if dead == bool(ids):
        raise click.UsageError(gettext('Give the ids of jobs ("jobs list" prints them), or --dead for all dead ones.'))
    found = Job.objects(state=DEAD) if dead else Job.objects(pk__in=list(ids))
    missing = {*ids} - {job.id for job in found}
    if missing:
        raise click.BadParameter(
            gettext('There is no job %(names)s; it may be done.', names=', '.join(map(str, missing)))
        )
    return list(found)


@click.group('jobs')
def jobs_group() -> None:
    """Background work: what waits, and what has failed too often."""


@jobs_group.command('list')
@click.option('--state', type=click.Choice([READY, LEASED, DEAD]), help='Waiting, in work, or failed too often.')
@click.option('--limit', type=click.IntRange(min=1), default=100, show_default=True, help='At most so many.')
@json_option
@with_database
def list_command(state: str | None, limit: int, as_json: bool) -> None:
    """List jobs, the one that is due first on top."""
    found = Job.objects(**({'state': state} if state else {})).order_by('run_at')
    rows = [{name: getattr(job, name) for name in (*COLUMNS, 'args')} for job in found.limit(limit)]
    if as_json:
        print_json(rows)
    elif rows:
        print_table(COLUMNS, [[row[name] for name in COLUMNS] for row in rows])
    number = found.count()
    if number > limit:
        click.echo(gettext('%(number)s jobs; the first %(limit)s are shown', number=number, limit=limit), err=True)
    else:
        click.echo(gettext('%(number)s jobs', number=number), err=True)
    if jobs.worker_is_missing(datetime.now(UTC)):
        click.echo(gettext('Nobody does background work now: start a worker, or open the site.'), err=True)


_ids = click.argument('ids', metavar='[ID]…', nargs=-1, type=JobParam())


@jobs_group.command('retry')
@_ids
@click.option('--dead', is_flag=True, help='All that have failed too often.')
@with_database
def retry_command(ids: tuple[ObjectId, ...], dead: bool) -> None:
    """Have jobs done now, with all their tries, because the reason why they failed is gone."""
    number = 0
    for job in chosen(ids, dead=dead):
        if jobs.retry(job.id, datetime.now(UTC)):
            audit.record(operator(), 'job.retry', f'job {job.id} {job.kind}')
            number += 1
        else:
            click.echo(gettext('Job %(job)s is in work, or done.', job=job.id), err=True)
    click.echo(gettext('%(number)s jobs wait to be done.', number=number))


@jobs_group.command('discard')
@_ids
@click.option('--dead', is_flag=True, help='All that have failed too often.')
@click.confirmation_option(prompt='Delete these jobs? What they were to do will not be done.', help='Do not ask.')
@with_database
def discard_command(ids: tuple[ObjectId, ...], dead: bool) -> None:
    """Delete jobs; what they were to do will not be done."""
    number = 0
    for job in chosen(ids, dead=dead):
        if jobs.discard(job.id):
            audit.record(operator(), 'job.discard', f'job {job.id} {job.kind}')
            number += 1
        else:
            click.echo(gettext('Job %(job)s is in work, or done.', job=job.id), err=True)
    click.echo(gettext('%(number)s jobs are deleted.', number=number))
