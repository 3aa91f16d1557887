"""Measures one site from inside its process: through the WSGI test client, and with the profiler of the database server.

Each site is measured by a process of its own, because the application created last owns mongoengine's connection.
"""

import gc
import itertools
import json
import os
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import pymongo
from bson import ObjectId
from flask import Flask
from werkzeug.test import TestResponse

from tests.factories import signed_in
from tests.load import bench_admin
from tests.load.bench_app import APP_NAME, MAIN, MANY, OTHERS, Variant, make_floor, make_site
from tests.load.bench_data import AT_ONCE, RESULT, World
from vulyk.bootstrap import _db
from vulyk.ext import consistency
from vulyk.models.recent import Recent
from vulyk.models.user import Group, User

EIGHT = 8  # clients of the web server
SETTLED_S = 0.004  # by then the server has done a write that nobody waits for
FLOOR_TASKS = 5_000  # how many different tasks the floor works on
CHECKED_UP_TO = 10_000  # tasks; the checker reads everything


class BenchError(RuntimeError):
    """A measurement failed; the message says at what."""


class Case(NamedTuple):
    """A kind of request for the next task.

    :param name: who asks, and what is special about it.
    :param promise: ``bound``: the issue promises a bound; ``amortised``: for all requests together; ``none``: it is silent.
    """

    name: str
    promise: str


class Volunteer:
    """Somebody with a browser, signed in."""

    def __init__(self, app: Flask, type_name: str, user_id: ObjectId) -> None:
        self.user_id = user_id
        self._path = f'/type/{type_name}'
        self._client = app.test_client()
        with self._client.session_transaction() as session:
            session.update(signed_in(User.objects.get(pk=user_id)))
        self._headers = {'X-CSRFToken': self._client.get('/session').json['result']['csrf']}

    def cookie(self) -> str:
        """The session, as the browser sends it."""
        cookie = self._client.get_cookie('vulyk_session')
        assert cookie is not None
        return f'vulyk_session={cookie.value}'

    @property
    def token(self) -> str:
        """What a POST has to carry."""
        return self._headers['X-CSRFToken']

    def next(self, status: int = 200, query: str = '') -> str:
        """Ask for a task; its id, or nothing."""
        response = self._checked(self._client.get(f'{self._path}/next{query}'), status)
        return response.json['result'].get('task', {}).get('id', '')

    def done(self, task: str) -> None:
        """Answer."""
        form = {'result': json.dumps(RESULT)}
        self._checked(self._client.post(f'{self._path}/done/{task}', data=form, headers=self._headers), 200)

    def skip(self, task: str) -> None:
        """Put aside."""
        self._checked(self._client.post(f'{self._path}/skip/{task}', headers=self._headers), 200)

    def leaders(self) -> None:
        """Look at the leaderboard."""
        self._checked(self._client.get(f'{self._path}/leaders'), 200)

    def home(self) -> None:
        """Look at the home page."""
        self._checked(self._client.get('/'), 200)

    def _checked(self, response: TestResponse, status: int) -> TestResponse:
        if response.status_code != status:
            text = response.get_data(as_text=True)[:300]
            raise BenchError(f'{response.request.path} answered {response.status_code}, not {status}: {text}')
        return response


class Profiler:
    """Commands of the site, and index keys and documents they examined, as the database server reports them."""

    def __init__(self, uri: str, database: str) -> None:
        self._client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(uri)
        self._database = self._client[database]
        self._database.create_collection('system.profile', capped=True, size=64 * 1024 * 1024)

    def start(self) -> None:
        """Begin to note every command."""
        self._database.command('profile', 2)

    def stop(self) -> None:
        """Note nothing any more."""
        self._database.command('profile', 0)

    def cost(self, action: Callable[[], Any]) -> dict[str, Any]:
        """``{'commands', 'keys', 'documents', 'result'}`` of an action."""
        entries = self._database['system.profile']
        time.sleep(SETTLED_S)  # the last write of what came before was not waited for
        mine = {'appName': APP_NAME}
        seen, committed = entries.count_documents(mine), self._committed()
        result = action()
        time.sleep(SETTLED_S)  # nor is that of the action
        noted = list(entries.find(mine, {'keysExamined': 1, 'docsExamined': 1}).skip(seen))
        return {
            'commands': len(noted) + self._committed() - committed,  # commits belong to another database
            'keys': sum(entry.get('keysExamined', 0) for entry in noted),
            'documents': sum(entry.get('docsExamined', 0) for entry in noted),
            'result': result,
        }

    def contention(self) -> dict[str, int]:
        """How often transactions were aborted, and writes repeated by the server, since it was started."""
        status = self._client.admin.command('serverStatus')
        conflicts = status['metrics']['operation']['writeConflicts']
        return {'aborted': status['transactions']['totalAborted'], 'conflicts': conflicts}

    def _committed(self) -> int:
        number: int = self._client.admin.command('serverStatus')['transactions']['totalCommitted']
        return number


class Site:
    """One site with its data.

    :param rounds: how many requests of each kind a run times.
    :param looks: how many requests of each kind of volunteer are profiled, and how many are timed.
    """

    def __init__(
        self, uri: str, folder: str, size: int, kind: str, rounds: int, looks: tuple[int, int] = (3, 6)
    ) -> None:
        self.uri, self.size, self.rounds, self.looks = uri, size, rounds, looks
        self.variants: tuple[Variant, ...] = (MAIN,) if kind == 'main' else OTHERS
        self.database = f'bench_{kind}_{size}'
        self.app = make_site(uri, self.database, folder, self.variants)
        self.profiler = Profiler(uri, self.database)
        self._data: Any = pymongo.MongoClient(uri)[self.database]
        self._worlds: dict[str, World] = {}
        self._tables = all_tables()

    def seed(self) -> list[dict[str, Any]]:
        """Write the data; what there is, for each task type."""
        _db.prepare(self.app)
        with self.app.app_context():
            Group(id='default', allowed_types=[variant.type_name for variant in self.variants]).save()
        at_once = len(self.variants) if self.size <= AT_ONCE else 1
        with ThreadPoolExecutor(at_once) as pool:
            self._worlds = {world.name: world for world in pool.map(self._make_world, self.variants)}
        if self.variants == (MAIN,):
            self._seed_floor()
        return [world.facts() for world in self._worlds.values()]

    def _make_world(self, variant: Variant) -> World:
        with self.app.app_context():
            return World(self.app.task_types[variant.type_name], variant, self.size, answered=variant == MAIN)

    # --- requests for the next task, of all kinds of people --------------------------------------------------------------

    def cases(self, stage: str) -> list[dict[str, Any]]:
        """Measure the requests of everybody, before (``fresh``) or after (``returned``) tasks have become free again."""
        found: list[dict[str, Any]] = []
        for variant in self.variants:
            world = self._worlds[variant.type_name]
            look = self._fresh if stage == 'fresh' else self._returned
            found += [{**case._asdict(), 'variant': str(variant), **measured} for case, measured in look(world)]
        return found

    def _fresh(self, world: World) -> Iterator[tuple[Case, dict[str, Any]]]:
        passed, skipped = f'{world.passed:,}', f'{world.skipped:,}'
        newcomers = (self._volunteer(world, user_id) for user_id in world.newcomers)
        yield Case('a new volunteer', 'bound'), self._look(world, newcomers)
        veteran = itertools.repeat(self._volunteer(world, world.veteran))
        yield Case(f'has answered {passed} open tasks', 'bound'), self._look(world, veteran, Volunteer.done)
        skipper = itertools.repeat(self._volunteer(world, world.skipper))
        yield Case(f'has skipped {passed} open tasks', 'bound'), self._look(world, skipper, Volunteer.skip)
        picky = itertools.repeat(self._volunteer(world, world.picky))
        yield Case(f'has skipped all, {skipped} open tasks', 'bound'), self._look(world, picky, Volunteer.skip)
        finished = itertools.repeat(self._volunteer(world, world.finished))
        case = Case(f'nothing now; {world.held:,} of his tasks are in the hands of others', 'none')
        yield case, self._look(world, finished, status=404)

    def _returned(self, world: World) -> Iterator[tuple[Case, dict[str, Any]]]:
        with self.app.app_context():
            world.return_tasks()
        newcomers = (self._volunteer(world, user_id) for user_id in world.newcomers)
        yield Case(f'a new volunteer, {world.returned:,} returned tasks', 'bound'), self._look(world, newcomers)
        finished = itertools.repeat(self._volunteer(world, world.finished))
        case = Case(f'nothing now; has answered {world.returned:,} returned tasks', 'none')
        yield case, self._look(world, finished, status=404)
        # The first request has all of his to walk past; those after it must not.
        returner = itertools.repeat(self._volunteer(world, world.returner))
        case = Case(f'only returned tasks, most of {world.returned:,} are his: first', 'amortised')
        yield case, self._look(world, returner, Volunteer.done, looks=(1, 0))
        case = Case(f'only returned tasks, most of {world.returned:,} are his: then', 'bound')
        yield case, self._look(world, returner, Volunteer.done, looks=(3, 3))
        if world.variant == MANY:
            with self.app.app_context():
                world.fill_batches()
            yield Case('a new volunteer, only the last batches have fresh tasks', 'bound'), self._look(world, newcomers)

    def _look(
        self,
        world: World,
        volunteers: Iterator[Volunteer],
        then: Callable[[Volunteer, str], None] | None = None,
        *,
        status: int = 200,
        looks: tuple[int, int] | None = None,
    ) -> dict[str, Any]:
        """What requests for the next task cost; ``then`` is what people do with the task.

        :param looks: how many are profiled, how many are timed; of tasks in file order one, because there the same is done.
        :returns: ``costs`` of requests with the small tables of the process at hand, ``expired`` of one that has to read
            all of them, ``ms`` of requests that were not profiled.
        """
        costs, expired, ms = [], {}, []
        profiled, timed = (looks or self.looks) if world.variant.strategy == 'random' else (1, 0)
        self._forget_tables()
        self._volunteer(world, next(world.newcomers)).next()  # fills the tables
        self.profiler.start()
        for number in range(profiled + 1):
            volunteer = next(volunteers)
            if number < profiled:
                self._keep_tables()
            else:
                self._forget_tables()
            cost = self.profiler.cost(lambda volunteer=volunteer: volunteer.next(status))
            task = cost.pop('result')
            if number < profiled:
                costs.append(cost)
            else:
                expired = cost
            if then:
                then(volunteer, task)
        self.profiler.stop()
        for _ in range(timed):
            volunteer = next(volunteers)
            took, task = _timed(lambda volunteer=volunteer: volunteer.next(status))
            ms.append(took)
            if then:
                then(volunteer, task)
        return {'costs': costs, 'expired': expired, 'ms': ms}

    def _keep_tables(self) -> None:
        keep_tables(self._tables)

    def _forget_tables(self) -> None:
        for table in self._tables:
            table.forget()

    # --- the site at work ---------------------------------------------------------------------------------------------

    def routes(self) -> dict[str, list[dict[str, Any]]]:
        """What every route costs the database."""
        world = self._worlds[MAIN.type_name]
        people = [self._volunteer(world, next(world.newcomers)) for _ in range(3)]
        costs: dict[str, list[dict[str, Any]]] = {}

        def note(route: str, action: Callable[[], Any]) -> Any:
            self._keep_tables()
            cost = self.profiler.cost(action)
            result = cost.pop('result')
            costs.setdefault(route, []).append(cost)
            return result

        def note_done(person: Volunteer, task: str) -> None:
            note('done', lambda: person.done(task))
            if self._is_closed(task):
                costs.setdefault('done, closes', []).append(costs['done'].pop())

        self.profiler.start()
        for _ in range(4):
            for person in people:
                note_done(person, note('next', person.next))
            task = note('next', people[0].next)
            note('skip', lambda task=task: people[0].skip(task))
            note('leaderboard', people[0].leaders)
            note('home page', people[0].home)
            ahead = note('next?ahead=1', lambda: people[1].next(query='?ahead=1'))
            people[1].done(ahead)
            untouched = self._data.tasks.find_one({'taskType': world.name, 'usersCount': 0, 'leases': []}, {'_id': 1})
            for person in people:  # so that one of them closes it
                note_done(person, untouched['_id'])
        self.profiler.stop()
        return costs

    def run(self) -> dict[str, dict[str, list[float]]]:
        """Milliseconds of requests of one client; ``floor`` and ``site`` take turns, so that both meet the same noise."""
        world = self._worlds[MAIN.type_name]
        people = [self._volunteer(world, next(world.newcomers)) for _ in range(3)]
        floor = self._floor.test_client()
        form = {'result': json.dumps(RESULT)}
        ms: dict[str, dict[str, list[float]]] = {'floor': {}, 'site': {}}

        def note(who: str, route: str, action: Callable[[], Any]) -> Any:
            took, result = _timed(action)
            ms[who].setdefault(route, []).append(took)
            return result

        for person in people:  # their first request makes documents; it is measured as the one of a new volunteer
            person.done(person.next())
        people[0].leaders(), people[0].home()
        for number in range(self.rounds):
            for person in people[:2]:
                task = next(self._floor_tasks)
                note('floor', 'next', lambda task=task: floor.get(f'/{self.database}/next/0/{task}'))
                task = note('site', 'next', person.next)
                note('floor', 'done', lambda task=task: floor.post(f'/{self.database}/done/0/{task}', data=form))
                took, _ = _timed(lambda person=person, task=task: person.done(task))
                ms['site'].setdefault('done, closes' if self._is_closed(task) else 'done', []).append(took)
            task = people[2].next()
            note('site', 'skip', lambda task=task: people[2].skip(task))
            if number % 2:
                note('site', 'leaderboard', people[0].leaders)
                note('site', 'home page', people[0].home)
        return ms

    def clients(self) -> list[dict[str, str]]:
        """Sessions of eight new volunteers, for clients of the web server."""
        world = self._worlds[MAIN.type_name]
        people = [self._volunteer(world, next(world.newcomers)) for _ in range(EIGHT)]
        return [{'user': str(one.user_id), 'cookie': one.cookie(), 'token': one.token} for one in people]

    def floor_tasks(self, count: int) -> list[str]:
        """Ids of tasks for clients of the floor's web server."""
        return [next(self._floor_tasks) for _ in range(count)]

    def answers_of(self, users: list[str]) -> int:
        """How many answers of these people are stored."""
        number: int = self._data.reports.count_documents({'createdBy': {'$in': [ObjectId(one) for one in users]}})
        return number

    def lists(self) -> list[dict[str, Any]]:
        """What the lists of the admin pages cost, with a tenth as many people as tasks."""
        return bench_admin.measure(self.app, MAIN.type_name, self.profiler, self.size // 10)

    def check(self) -> list[str] | None:
        """What the platform's checker finds wrong; None where that would take too long."""
        if self.size > CHECKED_UP_TO:
            return None
        with self.app.app_context():
            return [f'{problem.kind} {problem.id}: {problem.text}' for problem in consistency.check()]

    def drop(self) -> None:
        """Make room."""
        self._data.client.drop_database(self.database)

    # --- helpers ------------------------------------------------------------------------------------------------------

    def _seed_floor(self) -> None:
        self._floor = make_floor(self.uri)
        self._data.tasks.aggregate([{'$out': 'floor_tasks'}])
        self._data.floor_users.insert_many([{'_id': str(number), 'processed': 0} for number in range(EIGHT)])
        self._data.floor_progress.insert_many([{'_id': str(number), 'total': 0} for number in range(EIGHT)])
        sample = [{'$sample': {'size': FLOOR_TASKS}}, {'$project': {'_id': 1}}]
        self._floor_tasks = itertools.cycle([task['_id'] for task in self._data.floor_tasks.aggregate(sample)])

    def _volunteer(self, world: World, user_id: ObjectId) -> Volunteer:
        return Volunteer(self.app, world.name, user_id)

    def _is_closed(self, task: str) -> bool:
        return self._data.tasks.find_one({'_id': task}, {'closed': 1})['closed'] is True


def serve(connection: Connection, *arguments: Any) -> None:
    """Be the process of a site: do what is asked, one thing after the other, until there is nothing more."""
    try:
        site = Site(*arguments)
        orders: dict[str, Callable[..., Any]] = {
            order.__name__: order
            for order in (
                site.seed,
                site.cases,
                site.routes,
                site.run,
                site.clients,
                site.floor_tasks,
                site.answers_of,
                site.profiler.contention,
                site.lists,
                site.check,
                site.drop,
            )
        }
        while order := connection.recv():
            name, *given = order
            connection.send((True, orders[name](*given)))
        os._exit(0)  # at once, without the second that pymongo's threads take to say good-bye
    except (EOFError, KeyboardInterrupt):
        return
    except BaseException as error:
        connection.send((False, f'{type(error).__name__}: {error}\n{traceback.format_exc()}'))


def all_tables() -> list[Any]:
    """What this process remembers for some seconds."""
    return [found for found in gc.get_objects() if type(found) is Recent]  # isinstance asks weak proxies


def keep_tables(tables: list[Any]) -> None:
    """Let nothing in them be too old for the next request."""
    for table in tables:
        for place, (_, value) in list(table._values.items()):
            table._values[place] = (time.monotonic() + 60, value)


def _timed(action: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = action()
    return (time.perf_counter() - start) * 1000, result
