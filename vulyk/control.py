"""The command line: ``vulyk`` as an installed script, ``manage.py`` in a checkout."""

import os
from copy import copy
from inspect import cleandoc
from pathlib import Path
from typing import Any, TypeVar

import click
from flask import Flask
from flask.cli import ScriptInfo
from flask_babel.speaklater import LazyString
from pymongo.errors import ConnectionFailure
from werkzeug.utils import import_string

from vulyk import demo, settings
from vulyk.bootstrap import _db, _security, create_app
from vulyk.bootstrap._assets import package_folder
from vulyk.cli import project_init
from vulyk.cli.accounts import accounts_group
from vulyk.cli.admin import admin_group
from vulyk.cli.batches import batches_group
from vulyk.cli.context import TASK_TYPE, Site, site, with_database
from vulyk.cli.db import db_group
from vulyk.cli.demo import demo_command
from vulyk.cli.doctor import doctor_command
from vulyk.cli.groups import group_group
from vulyk.cli.jobs import jobs_group
from vulyk.cli.plugins import plugin_group
from vulyk.cli.site import site_group
from vulyk.cli.stats import stats_group
from vulyk.cli.users import user_group
from vulyk.cli.worker import worker_command
from vulyk.models.exc import InitializationError
from vulyk.models.task_types import AbstractTaskType
from vulyk.texts import command_line, gettext, lazy_gettext

T = TypeVar('T')
# What click calls the kinds of values, and does not translate.
_KINDS = {
    'boolean': lazy_gettext('boolean'),
    'directory': lazy_gettext('directory'),
    'file': lazy_gettext('file'),
    'filename': lazy_gettext('filename'),
    'float': lazy_gettext('float'),
    'float range': lazy_gettext('float range'),
    'integer': lazy_gettext('integer'),
    'integer range': lazy_gettext('integer range'),
    'path': lazy_gettext('path'),
    'text': lazy_gettext('text'),
}


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
        raise InitializationError(
            gettext(
                'INSTANCE: %(instance)s is not a demo instance; make run INSTANCE=%(named)s makes one.',
                instance=instance,
                named=named,
            )
        )
    if demo.exists(instance) and (named or not Path('local_settings.py').exists()):
        app = create_app(demo.settings(instance))
        app.settings_source = lazy_gettext('demo instance %(folder)s', folder=instance)
        return app
    return create_app()


class CommandLine(click.Group):
    """Turns what the platform raises into one sentence and exit code 1.

    Besides its own commands it has those of the features: what a blueprint has put into its ``cli``, under its name.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, with those of the features that are on unless the settings say otherwise."""
        return sorted({*super().list_commands(ctx), *_usual_features()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; the application is only built to look for one that is not known without it."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            return _translated(command)
        group = _usual_features().get(cmd_name)
        if group is None:
            ctx.obj = ctx.obj or Site(build, _db.prepare, _security.check_secret_key)
            try:
                group = ctx.obj.app.cli.get_command(ctx, cmd_name)
            except InitializationError:
                return None
        return None if group is None else _translated(_mounted(ctx, cmd_name, group))

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command, in the language of the terminal: what click says, too, down to the reason why it has ended."""
        with command_line('click'):
            return super(CommandLine, _in_words(self)).main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except InitializationError as error:
            raise click.ClickException(str(error)) from error
        except ConnectionFailure as error:
            raise click.ClickException(gettext('The database went away: %(reason)s', reason=error)) from error


def _usual_features() -> dict[str, click.Command]:
    modules = [import_string(entry['path']) for entry in settings.ENABLED_BLUEPRINTS]
    return {module.name: module.cli for module in modules if module.cli.commands}


def _translated(command: click.Command) -> click.Command:
    """The command as people read it, and those below it: what ``--help`` says of them, and what they ask."""
    said = _in_words(command)
    said.params = [_in_words(param) for param in command.params]
    for param in said.params:
        if param.type.name in _KINDS:
            param.type = copy(param.type)
            param.type.name = str(_KINDS[param.type.name])
    if isinstance(said, click.Group):
        said.commands = {name: _translated(inner) for name, inner in said.commands.items()}
    return said


def _in_words(thing: T) -> T:
    said = copy(thing)
    for name in ('help', 'short_help', 'prompt', 'confirmation_prompt'):
        text = getattr(thing, name, None)
        if isinstance(text, str | LazyString):
            setattr(said, name, gettext(cleandoc(text)) if isinstance(text, str) else str(text))
    if isinstance(said, click.Command):
        said.options_metavar = gettext('[OPTIONS]')
        said._help_option = None  # it is in the language in which somebody asked first
    if isinstance(said, click.Group):
        said.subcommand_metavar = gettext('COMMAND [ARGS]...')
    return said


def _mounted(ctx: click.Context, name: str, group: click.Command) -> click.Command:
    """The command of a feature, with the application of this command line behind Flask's ``with_appcontext``."""

    def prepared_app() -> Flask:
        here = ctx.find_object(Site)
        if name not in here.app.cli.commands:
            raise click.ClickException(
                gettext('%(name)s is switched off: the setting ENABLED_BLUEPRINTS does not name it.', name=name)
            )
        here.prepare(here.app)
        return here.app

    mounted = copy(group)
    mounted.name = name
    mounted.context_settings = {
        **group.context_settings,
        'obj': ScriptInfo(create_app=prepared_app, set_debug_flag=False),
    }
    return mounted


@click.group(cls=CommandLine)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Vulyk: a crowdsourcing platform."""
    ctx.obj = ctx.obj or Site(build, _db.prepare, _security.check_secret_key)


@cli.command('init')
@click.argument('task_types', metavar='TYPE…', nargs=-1, type=TASK_TYPE)
@with_database
def init_command(task_types: tuple[AbstractTaskType, ...]) -> None:
    """Let everybody work on these task types (and on no others, unless another group allows them)."""
    if not task_types:
        raise click.UsageError(gettext('Please specify at least one default task type'))
    project_init([task_type.type_name for task_type in task_types])


@cli.command('run')
@click.option('--host', default='127.0.0.1', show_default=True)
@click.option('--port', default=5000, show_default=True)
@click.option('--reload', 'reloads', is_flag=True, help='Start again when code, templates or scripts change.')
@with_database
def run_command(host: str, port: int, reloads: bool) -> None:
    """Serve the site for development; docs/ tells how to serve it to the world."""
    app = site().app
    site().check_key(app)
    watched = _sources(app) if reloads else []
    app.run(host=host, port=port, use_reloader=reloads, extra_files=watched)


def _sources(app: Flask) -> list[str]:
    """What bundles and pages are made of. Python watches its modules by itself."""
    folders = [package_folder(kind.package) / 'templates' for kind in app.task_types.values()]
    templates = [str(path) for folder in folders for path in folder.rglob('*.*')]
    return [*app._base_files_to_watch, *app._plugin_files_to_watch, *templates]


for command in (
    accounts_group,
    admin_group,
    batches_group,
    db_group,
    demo_command,
    doctor_command,
    group_group,
    jobs_group,
    plugin_group,
    site_group,
    stats_group,
    user_group,
    worker_command,
):
    cli.add_command(command)


def main() -> None:
    """Entry point of the installed script."""
    cli(prog_name=os.environ.get('VULYK_PROG'))
