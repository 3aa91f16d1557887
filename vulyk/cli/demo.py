"""``demo``: the site with its sample projects under one command; what ``make run`` runs."""

import errno
import shlex
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import click
from werkzeug.serving import WSGIRequestHandler, make_server

from vulyk import demo
from vulyk.cli.context import site
from vulyk.cli.samples import seed

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

HOST = '127.0.0.1'  # demo accounts have no password: nobody else may reach them


def listen(port: int) -> socket.socket:
    """A socket that listens on this port (0: any free one) of this machine; visitors wait there until :func:`serve`.

    :raises click.ClickException: the port cannot be had.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        problem = 'is in use' if error.errno == errno.EADDRINUSE else f'cannot be used ({error.strerror})'
        other = port + 1 if 1024 <= port < 65535 else 5000
        raise click.ClickException(f'Port {port} {problem}; choose another: make run PORT={other}.') from error


def serve(app: 'WSGIApplication', listener: socket.socket) -> None:
    """Answer requests, each in its own thread, until Ctrl-C or SIGTERM; then return. Only the main thread can do that."""
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


@click.command('demo')
@click.option('--port', default=5000, show_default=True, help='Port on 127.0.0.1; 0 takes a free one.')
@click.option('--instance', default='instance', show_default=True, type=click.Path(file_okay=False, path_type=Path))
def demo_command(port: int, instance: Path) -> None:
    """Serve a site with sample projects and two demo accounts; its database and files live in one folder."""
    listener = listen(port)
    here = site()
    app = here.build(demo.settings(instance.absolute()))
    here.prepare(app)
    with app.app_context():
        seed()
    click.echo(_banner(instance, listener.getsockname()[1]))
    serve(app, listener)


def _banner(instance: Path, port: int) -> str:
    """Where the site is, and two commands to copy into a second terminal."""
    program = f'{"" if str(instance) == "instance" else f"INSTANCE={shlex.quote(str(instance))} "}{_program()}'
    return f'''
  Vulyk is at http://{HOST}:{port} (stop it with Ctrl-C; everything is kept in {instance})

  In a second terminal:
    {program} db load transcription --batch my_lines FILE.jsonl
    {program} db export images --batch images_01 answers.jsonl
'''


def _program() -> str:
    return './manage.py' if Path('manage.py').exists() else 'vulyk'
