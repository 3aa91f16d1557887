"""Measures how fast the platform is: ``make bench``, or ``make bench SIZES=1000,10000`` for about a minute.

On a private MongoDB, for every size: what each route and each kind of volunteer costs the database, how long a request
takes one client, and how many people can work at once, beside the least that the requests could cost (the *floor*). Prints
tables and the targets; all numbers are in ``build/bench.json``. Sizes take turns, so that a noise hits all of them alike.
"""

import contextlib
import json
import multiprocessing
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pymongo

from tests.load import bench_game, bench_http, bench_report, bench_site
from tests.load.bench_data import AT_ONCE
from tests.load.bench_site import BenchError
from vulyk import mongod

SIZES = '1000,10000,100000,1000000'
SMALLEST, LARGEST = 1_000, 10_000_000
RUNS = 5
CACHE_GB = 2
OUTPUT = Path('build/bench.json')
PACKAGES = (
    'flask',
    'werkzeug',
    'gunicorn',
    'pymongo',
    'mongoengine',
    'flask-mongoengine-3',
    'flask-login',
    'flask-wtf',
)


class Remote:
    """The process of a site."""

    def __init__(self, *arguments: Any) -> None:
        context = multiprocessing.get_context('forkserver')
        context.set_forkserver_preload([bench_site.__name__])
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=bench_site.serve, args=(theirs, *arguments), daemon=True)
        self._process.start()
        theirs.close()

    def start(self, name: str, *arguments: Any) -> None:
        """Order something; :meth:`result` waits for it."""
        self._connection.send((name, *arguments))

    def result(self) -> Any:
        """What came of the oldest order.

        :raises BenchError: it failed.
        """
        try:
            worked, result = self._connection.recv()
        except EOFError:
            raise BenchError('The process of a site has ended unexpectedly.') from None
        if not worked:
            raise BenchError(result)
        return result

    def ask(self, name: str, *arguments: Any) -> Any:
        """Order something and wait for it."""
        self.start(name, *arguments)
        return self.result()

    def stop(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):
            self._connection.send(None)
        self._process.join(5)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()


class Bench:
    """One measurement of all sizes.

    :param folder: for the database and everything else; the caller removes it.
    """

    def __init__(self, sizes: list[int], folder: Path) -> None:
        self.sizes = sizes
        self.folder = folder
        small = sizes[-1] <= AT_ONCE
        self.rounds, self.round_trips = (6, 80) if small else (30, 240)
        self._looks = (1, 2) if small else (3, 6)
        self._game_answers = bench_game.FEW_ANSWERS if small else bench_game.ANSWERS
        self._started = time.monotonic()
        self._sites: dict[str, dict[str, Any]] = {str(size): {} for size in sizes}

    def measure(self) -> dict[str, Any]:
        """Everything."""
        load = os.getloadavg()[0]
        uri = mongod.acquire(self.folder / 'mongo', cache_gb=CACHE_GB)
        with contextlib.ExitStack() as ends:
            mains = {size: self._site(ends, uri, size, 'main') for size in self.sizes}
            others = {size: self._site(ends, uri, size, 'other') for size in self.sizes}
            floor = ends.enter_context(bench_http.gunicorn('floor', self.folder, uri=uri))
            ports = {size: ends.enter_context(self._web_server(uri, size)) for size in self.sizes}
            self._seed(mains, others)
            for size in self.sizes:
                self._say(f'{size:,}: all kinds of volunteers')
                self._measure_volunteers(size, mains[size], others[size])
            self._measure_work(mains, floor, ports)
            for size in self.sizes:
                self._say(f'{size:,}: returned tasks, the checker, lists of the admin pages')
                self._finish(size, mains[size])
        self._say('the game')
        game = bench_game.measure(uri, str(self.folder), self._game_answers)
        return {
            'when': datetime.now(UTC).isoformat(timespec='seconds'),
            'seconds': round(time.monotonic() - self._started, 1),
            'machine': {'cores': os.cpu_count(), 'system': platform.platform(), 'load_at_start': load},
            'versions': self._versions(uri),
            'settings': {'runs': RUNS, 'rounds': self.rounds, 'round_trips': self.round_trips, 'cache_gb': CACHE_GB},
            'sizes': self.sizes,
            'sites': self._sites,
            'game': game,
        }

    def _site(self, ends: contextlib.ExitStack, uri: str, size: int, kind: str) -> Remote:
        """The process of a site."""
        remote = Remote(uri, str(self.folder), size, kind, self.rounds, self._looks)
        ends.callback(remote.stop)
        return remote

    def _seed(self, mains: dict[int, Remote], others: dict[int, Remote]) -> None:
        """Have the data written: of small sites at once, of large ones in turn, or the server's cache would overflow."""
        small = [size for size in self.sizes if size <= AT_ONCE]
        for group in filter(None, (small, *([size] for size in self.sizes if size > AT_ONCE))):
            self._say(f'importing tasks, writing answers: {", ".join(f"{size:,}" for size in group)}')
            for size in group:
                mains[size].start('seed')
                others[size].start('seed')
            for size in group:
                self._sites[str(size)]['data'] = mains[size].result() + others[size].result()

    def _web_server(self, uri: str, size: int) -> contextlib.AbstractContextManager[int]:
        arguments = {'uri': uri, 'database': f'bench_main_{size}', 'folder': str(self.folder)}
        return bench_http.gunicorn('site', self.folder, **arguments)

    def _measure_volunteers(self, size: int, main: Remote, other: Remote) -> None:
        """What the next task costs everybody; the site with the other ways to hand out tasks is done then."""
        cases = main.ask('cases', 'fresh') + other.ask('cases', 'fresh') + other.ask('cases', 'returned')
        other.ask('drop')
        other.stop()
        self._sites[str(size)]['cases'] = cases

    def _measure_work(self, mains: dict[int, Remote], floor: int, ports: dict[int, int]) -> None:
        """What requests cost and how long they take, for one client and for eight."""
        for size, main in mains.items():
            self._sites[str(size)] |= {'routes': main.ask('routes'), 'runs': [], 'http': []}
            self._work(size, main, floor, ports[size], 2 * bench_site.EIGHT)  # warms up
        for number in range(1, RUNS + 1):
            self._say(f'run {number} of {RUNS}')
            for size, main in mains.items():
                mine = self._sites[str(size)]
                mine['runs'].append(main.ask('run'))
                mine['http'].append(self._work(size, main, floor, ports[size], self.round_trips))

    def _finish(self, size: int, main: Remote) -> None:
        """What would disturb the work: tasks that come back. And: is everything right after all that?"""
        mine = self._sites[str(size)]
        mine['cases'] += main.ask('cases', 'returned')
        variants = [data['variant'] for data in mine['data']]
        mine['cases'].sort(key=lambda case: variants.index(case['variant']))
        mine['problems'] = main.ask('check')
        if mine['problems']:
            raise BenchError(f'{size:,}: the checker finds {mine["problems"][:5]}')
        mine['lists'] = main.ask('lists') if size > AT_ONCE else []

    def _work(self, size: int, main: Remote, floor: int, site: int, number: int) -> dict[str, Any]:
        """Eight people ask and answer; on the floor first."""
        tasks = main.ask('floor_tasks', number)
        floor_rate = bench_http.round_trips(bench_http.floor_clients(floor, f'bench_main_{size}', tasks), number)
        sessions = main.ask('clients')
        people = bench_http.site_clients(site, sessions)
        before = main.ask('contention')
        site_rate = bench_http.round_trips(people, number)
        after = main.ask('contention')
        site_rate |= {what: after[what] - before[what] for what in before}
        stored = main.ask('answers_of', [session['user'] for session in sessions])
        if stored != number:
            raise BenchError(f'{size:,}: {number} answers were acknowledged, {stored} are stored.')
        return {'floor': floor_rate, 'site': site_rate}

    def _versions(self, uri: str) -> dict[str, str]:
        with pymongo.MongoClient(uri) as client:
            server = client.server_info()['version']
        packages = {package: version(package) for package in PACKAGES}
        return {'vulyk': version('vulyk'), 'python': platform.python_version(), 'mongod': server, **packages}

    def _say(self, text: str) -> None:
        print(f'{time.monotonic() - self._started:7.1f} s  {text}', file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    """Measure, print and write; 0 unless something fails, 2 if the sizes make no sense."""
    try:
        sizes = parse_sizes(arguments, os.environ.get('SIZES', ''))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if find_spec('gunicorn') is None:
        print('gunicorn is missing: pip install -c constraints.txt -e ".[dev,mongod]"', file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with temporary_folder() as folder:
            results = Bench(sizes, folder).measure()
    except (BenchError, mongod.MongodError) as error:
        print(f'The measurement failed: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    results['targets'] = bench_report.targets(results)
    report(results)
    return 0


def parse_sizes(arguments: list[str], environ: str) -> list[int]:
    """The sizes in the arguments (``1000,10000`` or ``SIZES=1000,10000``), else in the environment, else all.

    :raises ValueError: with a sentence to show.
    """
    text = ' '.join(arguments).removeprefix('SIZES=') or environ.strip() or SIZES
    parts = [part.strip() for part in text.split(',')]
    sizes = {int(part) for part in parts if part.isascii() and part.isdigit() and len(part) <= len(str(LARGEST))}
    if len(sizes) != len(parts) or not all(SMALLEST <= size <= LARGEST for size in sizes):
        raise ValueError(
            f'SIZES={text} is not understood: write different whole numbers from {SMALLEST} to {LARGEST} with commas '
            f'between them, such as SIZES=1000,10000.'
        )
    return sorted(sizes)


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that is removed at the end, after its MongoDB has stopped."""
    folder = Path(tempfile.mkdtemp(prefix='vulyk-bench-'))
    try:
        yield folder
    finally:
        mongod.release(folder / 'mongo', wait_s=60)
        shutil.rmtree(folder, ignore_errors=True)


def report(results: dict[str, Any]) -> None:
    """Print the tables, and write all numbers to ``OUTPUT``."""
    versions, machine = results['versions'], results['machine']
    print(', '.join(f'{name} {number}' for name, number in versions.items()))
    print(
        f'{machine["cores"]} cores, load {machine["load_at_start"]:.1f} at the start; MongoDB with {CACHE_GB} GB of cache'
    )
    print(f"medians of {RUNS} interleaved runs; commands, keys and documents as the server's profiler reports them,")
    print(
        'and commits; “tables expired”: commands / keys of a request that has to read what a process remembers for a second'
    )
    print(bench_report.tables(results))
    checked = [f'{size:,}' for size in results['sizes'] if results['sites'][str(size)]['problems'] == []]
    if checked:
        print(f'\nAll answers acknowledged are stored; the checker finds nothing wrong at {", ".join(checked)} tasks.')
    print('\nTargets')
    print(bench_report.target_lines(results['targets']))
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(results, indent=1, default=str) + '\n')
    print(f'\nAll numbers: {OUTPUT}')


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
