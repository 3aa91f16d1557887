"""A million tasks come in and a million answers go out, as an operator does it; time, rate and memory are printed.

``SOAK_TASKS`` takes another number of tasks.
"""

import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pymongo
import pytest
from bson import ObjectId
from pymongo.database import Database

from tests.conftest import FIXTURES
from vulyk import mongod
from vulyk.exporting.reading import TASKS_AT_ONCE
from vulyk.models.tasks import AbstractTask
from vulyk.models.user import User
from vulyk.utils import chunked

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

TASKS = int(os.environ.get('SOAK_TASKS', 1_000_000))
CACHE_GB = 2
MAX_MEMORY_MB = 300  # far below what a million of anything takes
ROOT = Path(__file__).parents[2]
SETTINGS = """SECRET_KEY = 'a key for tests only, long enough'
MONGODB_SETTINGS = {{'DB': 'soak_data', 'HOST': {uri!r}}}
ENABLED_TASKS = {{'vulyk_plain': 'PlainTaskType'}}
ENABLED_BLUEPRINTS = []
"""


class Run(NamedTuple):
    """How a command went: seconds, and megabytes at its peak."""

    seconds: float
    memory_mb: float


@pytest.fixture(scope='module')
def server(test_folder: Path) -> Iterator[str]:
    """The address of a MongoDB with room for the indexes, which that of the other tests does not have."""
    yield mongod.acquire(test_folder / 'soak-mongo', cache_gb=CACHE_GB)
    mongod.release(test_folder / 'soak-mongo', wait_s=60)


@pytest.fixture(scope='module')
def database(server: str) -> Iterator[Database]:
    """The database that the commands work on."""
    with pymongo.MongoClient(server) as client:
        yield client['soak_data']


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory, server: str) -> Path:
    """A site's folder, with a file of tasks."""
    path = tmp_path_factory.mktemp('soak')
    (path / 'local_settings.py').write_text(SETTINGS.format(uri=server))
    with gzip.open(path / 'tasks.jsonl.gz', 'wt', compresslevel=1) as file:
        for number in range(TASKS):
            text = 'The line of a register that somebody has to read'
            file.write(
                json.dumps({'n': number, 'text': text, 'place': {'page': number // 40, 'line': number % 40}}) + '\n'
            )
    return path


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    """A command in a process of its own."""
    environment = {**os.environ, 'PYTHONPATH': f'{FIXTURES}:{ROOT}'}
    return subprocess.Popen([sys.executable, str(ROOT / 'manage.py'), *arguments], cwd=folder, env=environment)


@pytest.fixture(scope='module')
def vulyk(folder: Path) -> Callable[..., Run]:
    """Runs a command to its end."""

    def run(*arguments: str) -> Run:
        started, memory_mb = time.monotonic(), 0.0
        with start(folder, *arguments) as process:
            while process.poll() is None:
                memory_mb = peak_mb(process.pid) or memory_mb
                time.sleep(0.05)
        assert process.returncode == 0
        return Run(time.monotonic() - started, memory_mb)

    return run


def peak_mb(pid: int) -> float:
    """The most memory a process has had, 0 if it is gone or the system does not say.

    What ``wait4`` tells begins with the memory of whoever started it.
    """
    with suppress(OSError):
        found = re.search(r'VmHWM:\s+(\d+) kB', Path(f'/proc/{pid}/status').read_text())
        return int(found[1]) / 1024 if found else 0.0
    return 0.0


@pytest.fixture
def tell(capsys: pytest.CaptureFixture) -> Callable[[str, int, Run], None]:
    """Prints how a command went, past pytest, and refuses memory that has grown with the data."""

    def say(what: str, count: int, run: Run) -> None:
        rate = count / run.seconds
        with capsys.disabled():
            print(f'\n{what}: {count:,} in {run.seconds:.0f} s, {rate:,.0f} a second, at most {run.memory_mb:.0f} MB')
        assert run.memory_mb < MAX_MEMORY_MB

    return say


def answer_half(database: Database) -> int:
    """Two answers to each of half of the tasks, as the platform stores them; returns their number."""
    people = [User(id=ObjectId(), username=f'bee{number}', email=f'bee{number}@example.org') for number in range(2000)]
    database.user.insert_many([person.to_mongo() for person in people])
    ids = [task['_id'] for task in database.tasks.find({}, {'_id': 1}).limit(TASKS // 2)]
    for number, chunk in enumerate(chunked(ids, TASKS_AT_ONCE)):
        authors = [people[(number * 2 + shift) % len(people)].id for shift in (0, 1)]
        database.reports.insert_many([stored_answer(task, author) for task in chunk for author in authors])
        database.tasks.update_many(
            {'_id': {'$in': chunk}},
            {'$set': {'closed': True, 'lane': None, 'usersCount': 2, 'usersProcessed': authors}},
        )
    database.batches.update_one({}, {'$set': {'tasksProcessed': len(ids)}})
    return 2 * len(ids)


def stored_answer(task: str, author: ObjectId) -> dict[str, Any]:
    """An answer, as the platform stores it."""
    from vulyk_plain.models.tasks import PlainAnswer

    result = {'text': 'Stefania Kovalenko, born 1873', 'legible': True}
    reference = AbstractTask(id=task)
    return dict(
        PlainAnswer(task=reference, created_by=User(id=author), task_type='plain_task', result=result).to_mongo()
    )


def test_a_million_tasks_come_in_and_a_million_answers_go_out(app, database, folder, vulyk, tell):
    tell('db load', TASKS, vulyk('db', 'load', 'plain_task', 'tasks.jsonl.gz', '--batch', 'big'))
    assert database.batches.find_one()['tasksCount'] == database.tasks.estimated_document_count() == TASKS
    answers = answer_half(database)
    for name, *options in (
        ('tasks.jsonl',),
        ('tasks.jsonl.gz', '--with-sessions'),
        ('answers.jsonl.zst', '--format', 'jsonl'),
        ('answers.csv', '--format', 'csv'),
    ):
        run = vulyk('db', 'export', 'plain_task', name, '--batch', 'big', *options)
        tell(f'db export {name} {" ".join(options)}', answers, run)
        manifest = json.loads((folder / f'{name}.manifest.json').read_text())
        assert manifest['counts'] == {'tasks': answers // 2, 'answers': answers}
        with (folder / name).open('rb') as file:
            assert manifest['file']['sha256'] == hashlib.file_digest(file, 'sha256').hexdigest()
    with (folder / 'answers.csv').open() as file:
        assert sum(1 for _ in file) == answers + 1
    resume_a_killed_export(folder)
    assert (folder / 'killed.jsonl').read_bytes() == (folder / 'tasks.jsonl').read_bytes()


def resume_a_killed_export(folder: Path) -> None:
    """Kill an export after its first checkpoint, and go on."""
    command = ('db', 'export', 'plain_task', 'killed.jsonl', '--batch', 'big')
    with start(folder, *command) as process:
        while process.poll() is None and not (folder / '.killed.jsonl.part.json').exists():
            time.sleep(0.1)
        process.kill()
    with start(folder, *command, '--resume') as process:
        assert process.wait() == 0
