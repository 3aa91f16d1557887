"""The background process."""

import signal

import click

from vulyk.cli.context import with_database
from vulyk.jobs import Worker
from vulyk.texts import gettext


@click.command('worker')
@click.option('--poll', default=1.0, show_default=True, help='Seconds to wait when there is nothing to do.')
@with_database
def worker_command(poll: float) -> None:
    """Do background work until Ctrl-C or SIGTERM; the job at hand is finished first. Several may run."""
    worker = Worker(poll)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: worker.stop())
    click.echo(gettext('Working. Ctrl-C stops it.'), err=True)
    worker.run()
