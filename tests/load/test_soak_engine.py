"""Minutes of work while processes and database servers are killed: every acknowledged answer is there."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest
from mongoengine.connection import get_db
from pymongo.errors import PyMongoError

from tests import factories
from tests.ext.test_random_walk import lost_fresh_tasks, places_problems
from tests.factories import make_tasks, make_user
from tests.faults.engine import Nursery
from vulyk import mongod
from vulyk.bootstrap import _db
from vulyk.ext import consistency
from vulyk.jobs import sweep
from vulyk.models.tasks import AbstractAnswer
from vulyk.models.user import User

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]


def acknowledged(logs: dict[User, Path]) -> set[tuple[Any, str]]:
    """Who was told that his answer to which task is stored."""
    return {(user.id, task) for user, log in logs.items() if log.exists() for task in log.read_text().split()}


def stored() -> set[tuple[Any, str]]:
    """Who has an answer to which task in the database."""
    return {(answer['createdBy'], answer['task']) for answer in AbstractAnswer._get_collection().find()}


def assert_all_is_well(kind: Any, logs: dict[User, Path], results: list[Any], at_least: int) -> None:
    """Recover, and look at everything."""
    list(consistency.repair({'plain_task': kind.redundancy}, kind.clock()))
    sweep(kind.clock())
    assert [*consistency.check(), *places_problems(kind.clock()), *lost_fresh_tasks()] == []
    promised = acknowledged(logs)
    assert promised <= stored()
    assert len(promised) >= at_least
    assert [result['wrong'] for result in results if result and result['wrong']] == []


@pytest.fixture
def busy_site(make_app) -> Iterator[Callable[..., tuple[Any, dict]]]:
    """Makes a site full of tasks, with volunteers: ``busy_site(settings, people, tasks)``."""

    def make(settings: dict[str, Any], tasks: int) -> Any:
        app = make_app(**settings)
        ends.enter_context(app.app_context())  # the sweeper reads settings
        _db.prepare(app)
        factories.empty_database()
        factories.make_group('default', ['plain_task'])
        kind = app.task_types['plain_task']
        for number in range(tasks // 500):
            make_tasks(kind, 500, batch=f'b{number}')
        return kind

    with contextlib.ExitStack() as ends:
        yield make


def test_sixteen_clients_whose_processes_are_killed_at_random_for_a_minute(busy_site, settings, tmp_path):
    connection = {'DB': 'soak', 'HOST': mongod.acquire(tmp_path / 'mongo')}
    more = {'MONGODB_SETTINGS': connection, 'LEASE_SECONDS': 3, 'MAX_TASKS_AHEAD': 5}
    kind = busy_site(more, 6000)
    # What a killed process has begun holds up others until the server ends it.
    get_db().client.admin.command('setParameter', 1, transactionLifetimeLimitSeconds=3)
    logs = {make_user(): tmp_path / f'log{number}' for number in range(16)}
    nursery = Nursery({**settings, **more}, tidy=False)
    choose, results, killed, seed = random.Random(7), [], 0, 0
    stop = time.monotonic() + 60

    def start(user: User) -> int:
        nonlocal seed
        seed += 1
        seconds = max(1.0, stop - time.monotonic())
        facts = {'ahead': seed % 3, 'log': str(logs[user]), 'seed': seed, 'pause': 3.5, 'seconds': seconds}
        return nursery.start('drain', user=str(user.id), **facts)

    running = {start(user): user for user in logs}
    while time.monotonic() < stop - 2:
        time.sleep(choose.uniform(0.3, 1.2))
        victim = choose.choice(list(running))
        os.kill(victim, signal.SIGKILL)
        code, result = nursery.wait(victim)
        killed += code == -signal.SIGKILL
        results.append(result)
        user = running.pop(victim)
        running[start(user)] = user
    for pid in running:
        code, result = nursery.wait(pid)
        assert code == 0
        results.append(result)
    nursery.close()
    print(f'{killed} processes killed, {len(acknowledged(logs))} answers acknowledged, {len(stored())} stored')
    time.sleep(7)  # leases and transactions end
    assert killed > 30
    assert_all_is_well(kind, logs, results, at_least=500)
    mongod.release(tmp_path / 'mongo', wait_s=20)


class ThreeNodes:
    """A replica set of three servers on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = [_free_port() for _ in range(3)]
        self.processes: dict[int, subprocess.Popen] = {}
        for port in self.ports:
            self.start(port)
        members = [{'_id': number, 'host': f'127.0.0.1:{port}'} for number, port in enumerate(self.ports)]
        config = {'_id': 'soak', 'members': members, 'settings': {'electionTimeoutMillis': 2000}}
        with pymongo.MongoClient('127.0.0.1', self.ports[0], directConnection=True) as client:
            client.admin.command('replSetInitiate', config)
        self.uri = 'mongodb://' + ','.join(f'127.0.0.1:{port}' for port in self.ports) + '/?replicaSet=soak'
        self.wait_for_primary()

    def start(self, port: int) -> None:
        """Start one server and wait until it answers."""
        data = self.folder / str(port)
        data.mkdir(exist_ok=True)
        command = [mongod.find_mongod(), '--port', str(port), '--dbpath', str(data), '--replSet', 'soak']
        command += ['--bind_ip', '127.0.0.1', '--oplogSize', '128', '--wiredTigerCacheSizeGB', '0.25', '--nounixsocket']
        command += ['--setParameter', 'diagnosticDataCollectionEnabled=false']
        log = (self.folder / f'{port}.log').open('ab')
        self.processes[port] = subprocess.Popen(command, stdout=log, stderr=log)
        log.close()
        with pymongo.MongoClient('127.0.0.1', port, directConnection=True, serverSelectionTimeoutMS=30_000) as client:
            client.admin.command('ping')

    def wait_for_primary(self) -> int:
        """The port of the server that takes writes."""
        stop = time.monotonic() + 60
        while time.monotonic() < stop:
            for port, process in self.processes.items():
                if process.poll() is None and self._is_primary(port):
                    return port
            time.sleep(0.1)
        raise AssertionError('no server was elected')

    def kill_primary(self) -> int:
        """``kill -9`` the server that takes writes; returns its port."""
        port = self.wait_for_primary()
        self.processes[port].kill()
        self.processes[port].wait()
        return port

    def close(self) -> None:
        """End all servers and delete their data."""
        for process in self.processes.values():
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def _is_primary(port: int) -> bool:
        try:
            with pymongo.MongoClient('127.0.0.1', port, directConnection=True, serverSelectionTimeoutMS=500) as client:
                return client.admin.command('hello').get('isWritablePrimary', False)
        except PyMongoError:
            return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def test_three_nodes_whose_primary_is_killed_three_times_under_load(busy_site, settings, tmp_path):
    nodes = ThreeNodes(tmp_path)
    try:
        connection = {'DB': 'soak', 'HOST': nodes.uri}
        more = {'MONGODB_SETTINGS': connection, 'LEASE_SECONDS': 3, 'MAX_TASKS_AHEAD': 5}
        kind = busy_site(more, 4000)
        logs = {make_user(): tmp_path / f'log{number}' for number in range(8)}
        nursery = Nursery({**settings, **more}, tidy=False)
        facts = {'ahead': 1, 'pause': 3.5, 'seconds': 60}
        pids = [
            nursery.start('drain', user=str(user.id), log=str(log), seed=number, **facts)
            for number, (user, log) in enumerate(logs.items())
        ]
        for _ in range(3):
            before = len(acknowledged(logs))
            time.sleep(8)
            port = nodes.kill_primary()
            time.sleep(6)
            nodes.start(port)
            time.sleep(3)
            assert len(acknowledged(logs)) > before
        ends = [nursery.wait(pid) for pid in pids]
        nursery.close()
        assert [code for code, _ in ends] == [0] * 8
        nodes.wait_for_primary()
        print(f'{len(acknowledged(logs))} answers acknowledged, {len(stored())} stored')
        assert_all_is_well(kind, logs, [result for _, result in ends], at_least=200)
    finally:
        nodes.close()
