"""The web server as operators run it: restarted again and again while people work, and no request fails."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pytest

from tests.factories import make_tasks, make_user, signed_in
from vulyk.ext import consistency

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]

PEOPLE, RESTARTS = 6, 5


class Volunteer(threading.Thread):
    """Asks for tasks and answers them until told to stop; each request has a connection of its own."""

    def __init__(self, app: Any, port: int) -> None:
        super().__init__(daemon=True)
        self.port, self.is_over = port, threading.Event()
        self.wrong: list[Any] = []
        self.answered: list[str] = []
        client = app.test_client()
        self.user = make_user()
        with client.session_transaction() as session:
            session.update(signed_in(self.user))
        token = client.get('/session').json['result']['csrf']
        cookie = client.get_cookie('vulyk_session').value
        self.headers = {'Cookie': f'vulyk_session={cookie}', 'X-CSRFToken': token, 'Content-Type': 'application/json'}

    def ask(self, method: str, path: str, body: str | None = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=30)
        try:
            connection.request(method, path, body, {**self.headers, 'Connection': 'close'})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def run(self) -> None:
        while not self.is_over.is_set():
            try:
                status, found = self.ask('GET', '/type/plain_task/next')
                task = found['result']['task']['id'] if status == 200 else None
                if status == 200:
                    status, found = self.ask('POST', f'/type/plain_task/done/{task}', '{"result": {"text": "x"}}')
                if status != 200:
                    self.wrong.append((status, found))
                else:
                    self.answered.append(task)
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.wrong.append(repr(error))


class Server:
    """gunicorn with the configuration that comes with the site; two processes, unless more are asked for."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            self.port = probe.getsockname()[1]
        own = {**settings, 'ASSETS_PRECOMPRESS': True, 'TESTING': False}
        folder.joinpath('local_settings.py').write_text(''.join(f'{key} = {value!r}\n' for key, value in own.items()))
        self.log = folder / 'log'
        root = Path(__file__).parents[2]
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith('PROMETHEUS')},
            'PYTHONPATH': os.pathsep.join([str(root), str(root / 'tests/fixtures')]),
            'LOG_FORMAT': 'json',
        }
        command = [sys.executable, '-m', 'gunicorn', '--config', 'python:vulyk.gunicorn_conf']
        with self.log.open('w') as log:
            self.process = subprocess.Popen(
                [*command, '--bind', f'127.0.0.1:{self.port}'], cwd=folder, env=environment, stderr=log
            )
        self.wait_until(lambda: self.get('/readyz')[0] == 200)

    def wait_until(self, condition: Any) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)

    def get(self, path: str) -> tuple[int, str]:
        try:
            connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=30)
            connection.request('GET', path, headers={'Connection': 'close'})
            response = connection.getresponse()
            return response.status, response.read().decode()
        except OSError:
            return 0, ''

    def workers(self) -> set[str]:
        """The ids of its processes."""
        return set(Path(f'/proc/{self.process.pid}/task/{self.process.pid}/children').read_text().split())

    def shared_folders(self) -> set[Path]:
        """Where its processes keep their numbers."""
        files = [f'vulyk-metrics-*/*_{pid}.db' for pid in self.workers()]
        return {
            path.parent for place in ('/dev/shm', gettempdir()) for name in files for path in Path(place).glob(name)
        }

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def server(app, settings, tmp_path) -> Iterator[Server]:
    server = Server(tmp_path, settings)
    yield server
    server.process.kill()
    server.process.wait()


def test_no_request_fails_while_the_server_is_restarted_and_all_are_counted(app, plain, server):
    make_tasks(plain, 20_000)
    people = [Volunteer(app, server.port) for _ in range(PEOPLE)]
    for person in people:
        person.start()
    for _ in range(RESTARTS):
        before, number = server.workers(), sum(len(person.answered) for person in people)
        server.process.send_signal(signal.SIGHUP)
        server.wait_until(lambda before=before: len(server.workers()) == 2 and not server.workers() & before)
        server.wait_until(lambda number=number: sum(len(person.answered) for person in people) > number + 50)
    for person in people:
        person.is_over.set()
    for person in people:
        person.join()

    assert [wrong for person in people for wrong in person.wrong] == []
    assert list(consistency.check()) == []
    done = sum(len(person.answered) for person in people)
    counted = re.search(
        r'^vulyk_http_requests_total\{endpoint="done".* (\S+)$', server.get('/metrics')[1], re.MULTILINE
    )
    assert float(counted[1]) == done
    assert sum(line.get('endpoint') == 'done' for line in server.lines()) == done
    print(f'\n{done} answers by {PEOPLE} people while all processes were replaced {RESTARTS} times; no request failed.')


def test_request_in_flight_is_finished_before_the_server_ends(app, plain, server):
    make_tasks(plain, 5)
    person = Volunteer(app, server.port)
    task = person.ask('GET', '/type/plain_task/next')[1]['result']['task']['id']
    connection = http.client.HTTPConnection('127.0.0.1', server.port, timeout=30)
    body = b'{"result": {"text": "x"}}'
    connection.putrequest('POST', f'/type/plain_task/done/{task}')
    for name, value in {**person.headers, 'Content-Length': str(len(body))}.items():
        connection.putheader(name, value)
    connection.endheaders(body[:10])
    server.wait_until(lambda: server.get('/healthz')[0] == 200)  # that came later; so the other one is being read
    (folder,) = server.shared_folders()
    server.process.send_signal(signal.SIGTERM)
    server.wait_until(lambda: len(server.workers()) == 1)  # the other one had nothing to finish
    connection.send(body[10:])
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())['result']) == (200, {'done': True})
    connection.close()
    assert server.process.wait(30) == 0
    assert list(consistency.check()) == []
    assert not folder.exists()
