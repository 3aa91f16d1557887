"""``demo``: the site with its sample projects under one command; what ``make run`` runs."""

import errno
import shlex
import shutil
import signal
import socket
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson
from werkzeug.serving import WSGIRequestHandler, make_server

from vulyk import demo, mongod
from vulyk.cli.context import site
from vulyk.cli.samples import sample_records, seed
from vulyk.texts import gettext

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from vulyk.models.task_types import AbstractTaskType

HOST = '127.0.0.1'  # demo accounts have no password: nobody else may reach them


@click.command('demo')
@click.option('--port', default=5000, show_default=True, type=click.IntRange(0, 65535), help='0: any free one.')
@click.option(
    '--instance',
    default='instance',
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help='Folder of its database and settings; made if it is missing.',
)
def demo_command(port: int, instance: Path) -> None:
    """Serve a site with sample projects and a database of its own, until Ctrl-C. Only this machine can reach it."""
    listener = listen(port)  # first of all, as all that follows would be in vain
    folder = instance.absolute()
    app = site().build(demo.settings(folder))
    if not app.task_types:
        raise click.ClickException(
            gettext('None of the sample projects is installed: pip install %(names)s', names=' '.join(demo.PLUGINS))
        )
    site().prepare(app)
    with app.app_context():
        seed()
    click.echo(_banner(listener.getsockname()[1], instance, next(iter(app.task_types.values()))))
    serve(app, listener)
    click.echo(gettext('Stopping …'))
    mongod.release(folder / 'mongo', wait_s=5)  # so that nothing of ours runs any more when the prompt comes back


def listen(port: int) -> socket.socket:
    """A socket that listens on this port (0: any free one) of this machine; visitors wait there until :func:`serve`.

    :raises click.ClickException: the port cannot be had.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        problem = (
            gettext('is in use')
            if error.errno == errno.EADDRINUSE
            else gettext('cannot be used (%(reason)s)', reason=error.strerror)
        )
        other = port + 1 if 1024 <= port < 65535 else 5000
        raise click.ClickException(
            gettext(
                'Port %(port)s %(problem)s; choose another: make run PORT=%(other)s.',
                port=port,
                problem=problem,
                other=other,
            )
        ) from error


def serve(app: 'WSGIApplication', listener: socket.socket) -> None:
    """Answer requests, each in its own thread, until Ctrl-C or SIGTERM; then return. For the main thread."""
    server = make_server(
        HOST, listener.getsockname()[1], app, threaded=True, request_handler=_QuietHandler, fd=listener.fileno()
    )
    listener.close()  # the server has its own copy
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # that is, as Ctrl-C, which ends serve_forever
    server.serve_forever()
    for number in (signal.SIGINT, signal.SIGTERM):  # an impatient second one would only spoil the clean end
        signal.signal(number, signal.SIG_IGN)


class _QuietHandler(WSGIRequestHandler):
    """Writes about errors, not about every request."""

    def log_request(self, code: int | str = '-', size: int | str = '-') -> None:
        """Say nothing."""


def _banner(port: int, instance: Path, task_type: 'AbstractTaskType') -> str:
    program = click.get_current_context().find_root().info_name
    program = f'./{program}' if program == 'manage.py' else program
    own = f'{program} site new DIR'
    if instance != Path('instance') or Path('local_settings.py').exists():  # what a command would not find by itself
        program = f'INSTANCE={shlex.quote(str(instance))} {program}'
    example = shlex.quote(str(_write_example(task_type, instance / 'example')))
    where = gettext(
        'Vulyk runs at %(address)s – its home page lets you in as a volunteer or as an admin.',
        address=f'http://{HOST}:{port}',
    )
    end = gettext(
        'Ctrl-C stops it; everything stays in %(folder)s. A site of your own: %(own)s', folder=instance, own=own
    )
    return (
        f'\n  {where}\n'
        f'\n  {gettext("Commands for a second terminal:")}\n'
        f'    {program} db load {task_type.type_name} {example} --batch example\n'
        f'    {program} db export {task_type.type_name} answers.jsonl --batch __all__\n'
        f'\n  {end}\n'
    )


def _write_example(task_type: 'AbstractTaskType', folder: Path) -> Path:
    """A file of three tasks to try ``db load`` with: samples under another key, with their pictures."""
    path = folder / 'tasks.jsonl'
    with as_file(files(task_type.package) / task_type.samples) as samples:
        records = sample_records(samples)[:3]
        for file in (record[field] for record in records for field in task_type.media_fields):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(samples / file, folder / file)
    path.write_bytes(
        b''.join(orjson.dumps({**record, 'key': f'example-{record["key"]}'}) + b'\n' for record in records)
    )
    return path
