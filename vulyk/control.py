"""The command line: ``vulyk`` as an installed script, ``manage.py`` in a checkout."""

import os
from pathlib import Path
from typing import Any

import click
from flask import Flask

from vulyk import demo
from vulyk.bootstrap import _db, _security, create_app
from vulyk.cli import project_init
from vulyk.cli.admin import admin_group
from vulyk.cli.batches import batches_group
from vulyk.cli.context import TASK_TYPE, Site, site, with_database
from vulyk.cli.db import db_group
from vulyk.cli.demo import demo_command
from vulyk.cli.groups import group_group
from vulyk.cli.stats import stats_group
from vulyk.cli.worker import worker_command
from vulyk.models.exc import InitializationError
from vulyk.models.task_types import AbstractTaskType


def build(config: dict[str, Any] | None = None) -> Flask:
    """The application of this command line.

    Settings are those given, else the demo instance named by the variable ``INSTANCE``, else ``local_settings`` of the
    current folder, else the demo instance in ``instance/`` if ``make run`` has made one there, else the defaults.
    """
    if config is not None:
        return create_app(config)
    named = os.environ.get('INSTANCE')
    instance = Path(named or 'instance').absolute()
    if named and not demo.exists(instance):
        raise InitializationError(f'INSTANCE: {instance} is not a demo instance; make run INSTANCE={named} makes one.')
    if demo.exists(instance) and (named or not Path('local_settings.py').exists()):
        app = create_app(demo.settings(instance))
        app.settings_source = f'demo instance {instance}'
        return app
    return create_app()


class CommandLine(click.Group):
    """Turns what the platform raises into one sentence and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except InitializationError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=CommandLine)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Vulyk: a crowdsourcing platform."""
    ctx.obj = Site(build, _db.prepare)


@cli.command('init')
@click.argument('task_types', metavar='TYPE…', nargs=-1, type=TASK_TYPE)
@with_database
def init_command(task_types: tuple[AbstractTaskType, ...]) -> None:
    """Let everybody work on these task types (and on no others, unless another group allows them)."""
    if not task_types:
        raise click.UsageError('Please specify at least one default task type')
    project_init([task_type.type_name for task_type in task_types])


@cli.command('run')
@click.option('--host', default='127.0.0.1', show_default=True)
@click.option('--port', default=5000, show_default=True)
@with_database
def run_command(host: str, port: int) -> None:
    """Serve the site for development; docs/ tells how to serve it to the world."""
    app = site().app
    _security.check_secret_key(app)
    app.run(host=host, port=port)


for command in (admin_group, batches_group, db_group, demo_command, group_group, stats_group, worker_command):
    cli.add_command(command)


def main() -> None:
    """Entry point of the installed script."""
    cli(prog_name=os.environ.get('VULYK_PROG'))
