"""Eight people at once: gunicorn with two workers of eight threads, and clients that ask and answer."""

import contextlib
import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson

from tests.load import bench_app
from tests.load.bench_data import RESULT
from tests.load.bench_site import EIGHT, BenchError

WORKERS, THREADS = 2, 8
PATIENCE_S = 60
# Everything is imported before the workers are forked: not once by each of them.
_GUNICORN = f'import {bench_app.__name__}; from gunicorn.app.wsgiapp import run; run()'
_FORM = urlencode({'result': orjson.dumps(RESULT)}).encode()


@contextlib.contextmanager
def gunicorn(application: str, scratch: Path, **arguments: str) -> Iterator[int]:
    """A web server that runs ``site`` or ``floor`` of :mod:`tests.load.bench_app`; gives its port."""
    log = scratch / f'gunicorn-{application}-{arguments.get("database", "")}.log'
    with socket.create_server(('127.0.0.1', 0)) as listener, log.open('wb') as output:
        command = [
            *(sys.executable, '-c', _GUNICORN, '--worker-class', 'gthread', '--keep-alive', '75'),
            *('--workers', str(WORKERS), '--threads', str(THREADS), '--worker-tmp-dir', str(scratch)),
            *('--bind', f'fd://{listener.fileno()}', f'{bench_app.__name__}:{application}()'),
        ]
        process = subprocess.Popen(
            command,
            cwd=Path(__file__).parents[2],
            env=bench_app.environment(**arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[listener.fileno()],
            start_new_session=True,  # Ctrl-C reaches us alone, and we end it
            preexec_fn=_end_with_parent if sys.platform == 'linux' else None,
        )
        port = listener.getsockname()[1]
    try:
        yield port
        if process.poll() is not None:
            raise BenchError(f'gunicorn ended with code {process.returncode}: {_last_line(log)}')
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its workers too, at once: nobody waits for an answer any more
        process.wait()


class Volunteer:
    """One client of a site."""

    def __init__(self, port: int, type_name: str, cookie: str, token: str) -> None:
        self._wire = Wire(port)
        self._path = f'/type/{type_name}'
        self._headers = f'Cookie: {cookie}\r\nX-CSRFToken: {token}\r\n'

    def next(self) -> str:
        """Ask for a task; its id."""
        task: str = orjson.loads(self._wire.get(f'{self._path}/next', self._headers))['result']['task']['id']
        return task

    def done(self, task: str) -> None:
        """Answer."""
        self._wire.post(f'{self._path}/done/{task}', self._headers, _FORM)

    def close(self) -> None:
        """Leave."""
        self._wire.close()


class FloorVolunteer:
    """One client of the floor, who does not have to be told which task is next."""

    def __init__(self, port: int, database: str, user: int, tasks: list[str]) -> None:
        self._wire = Wire(port)
        self._database, self._user, self._tasks = database, user, cycle(tasks)

    def next(self) -> str:
        """Ask for a task; its id."""
        task = next(self._tasks)
        self._wire.get(f'/{self._database}/next/{self._user}/{task}', '')
        return task

    def done(self, task: str) -> None:
        """Answer."""
        self._wire.post(f'/{self._database}/done/{self._user}/{task}', '', _FORM)

    def close(self) -> None:
        """Leave."""
        self._wire.close()


class Wire:
    """A connection that is kept open; as little work for this side as possible, which shares the machine."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(('127.0.0.1', port), PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get(self, path: str, headers: str) -> bytes:
        """The body of a response, which has to be a success."""
        return self._exchange(path, f'GET {path} HTTP/1.1\r\nHost: bench\r\n{headers}\r\n'.encode())

    def post(self, path: str, headers: str, form: bytes) -> bytes:
        """The same, for a form."""
        kind = f'Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n'
        return self._exchange(path, f'POST {path} HTTP/1.1\r\nHost: bench\r\n{headers}{kind}\r\n'.encode() + form)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _exchange(self, path: str, request: bytes) -> bytes:
        self._socket.sendall(request)
        received = self._receive(path)
        while b'\r\n\r\n' not in received:
            received += self._receive(path)
        head, _, body = received.partition(b'\r\n\r\n')
        length = re.search(rb'(?i)content-length: (\d+)', head)
        while length and len(body) < int(length[1]):
            body += self._receive(path)
        if b' 200 ' not in head[:16]:
            raise BenchError(f'{path} answered {head[:64]!r}: {body[:300]!r}')
        return body

    def _receive(self, path: str) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise BenchError(f'{path}: the web server hung up.')
        return data


def round_trips(people: list[Volunteer] | list[FloorVolunteer], number: int) -> dict[str, Any]:
    """Let everybody ask and answer until ``number`` answers are given.

    :returns: ``per_second`` round trips, ``next`` and ``done`` in milliseconds each.
    """
    tickets = iter(range(number))
    ms: dict[str, list[float]] = {'next': [], 'done': []}
    errors: list[BaseException] = []
    together = threading.Barrier(len(people) + 1)

    def work(person: Any) -> None:
        together.wait()
        try:
            for _ in tickets:
                start = time.perf_counter()
                task = person.next()
                between = time.perf_counter()
                person.done(task)
                ms['next'].append((between - start) * 1000)
                ms['done'].append((time.perf_counter() - between) * 1000)
        except Exception as error:  # told below: a thread has nobody to tell
            errors.append(error)

    threads = [threading.Thread(target=work, args=(person,), daemon=True) for person in people]
    for thread in threads:
        thread.start()
    together.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    for person in people:
        person.close()
    if errors:
        raise BenchError(f'A client failed: {errors[0]}')
    return {'per_second': len(ms['done']) / seconds, **ms}


def site_clients(port: int, clients: list[dict[str, str]]) -> list[Volunteer]:
    """Clients for sessions made by the site's process."""
    return [Volunteer(port, bench_app.MAIN.type_name, client['cookie'], client['token']) for client in clients]


def floor_clients(port: int, database: str, tasks: list[str]) -> list[FloorVolunteer]:
    """Clients that share these tasks."""
    return [FloorVolunteer(port, database, user, tasks[user::EIGHT]) for user in range(EIGHT)]


def _end_with_parent() -> None:
    """Even if that is killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _last_line(log: Path) -> str:
    return (log.read_text(errors='replace').strip().splitlines() or ['it said nothing'])[-1]
