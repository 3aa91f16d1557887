"""What the game costs: the time of ``done`` with and without it, and the commands it sends. A part of ``make bench``; alone:
``python -m tests.load.bench_game``.

200 rules of all kinds and both meanings, half of them bound to projects; 20 are within reach of every volunteer. Each has
10,000 work sessions behind him. Volunteers with and without the game take turns, so that a noise hits both alike. Without it
means that its listeners are not connected, which are all of it that ``done`` meets.
"""

import contextlib
import itertools
import random
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pymongo
from bson import ObjectId
from flask import Flask

from tests.gamification.play import new_rule
from tests.load import bench_report, bench_site
from tests.load.bench_app import APP_NAME, FIXTURES
from vulyk import mongod
from vulyk.blueprints.gamification import listeners
from vulyk.blueprints.gamification.models.rules import RuleModel
from vulyk.blueprints.gamification.models.task_types import AbstractGamifiedTaskType
from vulyk.bootstrap import _db, create_app
from vulyk.cli.batches import add_batch
from vulyk.ext.worksession import WorkSessionManager
from vulyk.models.stats import WorkSession
from vulyk.models.user import Group, User

ANSWERS, FEW_ANSWERS = 2_000, 200
RULES, WITHIN_REACH = 200, 20
PAST, PAST_DAYS = 10_000, 730  # work sessions of each volunteer
ENOUGH_AWARDS = 51  # in 2,000 answers
STRETCH = ANSWERS * WITHIN_REACH // ENOUGH_AWARDS  # so many answers of one volunteer reach all of them
PROFILED = 40
KIND, OTHER = 'game_task', 'other_task'
DATABASE = 'bench_game'
BLUEPRINT = {'path': 'vulyk.blueprints.gamification.gamification', 'config': {}, 'url_prefix': 'gamification'}


def measure(uri: str, folder: str, answers: int = ANSWERS) -> dict[str, Any]:
    """Measure, in a process of its own: the application created last owns mongoengine's connection.

    :param answers: how many are timed with the game, and as many without; so many
        volunteers give them that badges are as rare as in all 2,000 answers.
    :returns: ``answers``, ``awards``; ``on`` and ``off``, milliseconds of each ``done``; ``commands`` of those that led to no
        badge, and ``commands_reached`` of the others.
    """
    with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
        return pool.submit(_measure, uri, folder, answers).result()


def _measure(uri: str, folder: str, answers: int) -> dict[str, Any]:
    data = pymongo.MongoClient(uri)[DATABASE]
    app = _make_site(uri, folder)
    volunteers = max(1, round(answers * ENOUGH_AWARDS / WITHIN_REACH / ANSWERS))
    each = max(answers // volunteers, WITHIN_REACH)
    people = _seed(app, volunteers, each)
    playing, idle = people[:volunteers], people[volunteers : 2 * volunteers]
    for volunteer in people:  # the first answer makes the counters, and the documents of a newcomer
        volunteer.done(volunteer.next())
    found: dict[str, Any] = {'on': [], 'off': []}
    for volunteer, other in zip(playing, idle, strict=True):
        for _ in range(each):
            found['on'].append(_timed_done(volunteer))
            with _without_game(app):
                found['off'].append(_timed_done(other))
    found['answers'] = len(found['on'])
    found['awards'] = _awards(data, playing)
    booked = data['gamification.events'].count_documents({'kind': 'answer'})
    if booked != len(people) + found['answers']:
        raise bench_site.BenchError(f'{len(people) + found["answers"]} answers were given, the game counted {booked}.')
    found |= _commands(bench_site.Profiler(uri, DATABASE), data, people[-1])
    data.client.drop_database(DATABASE)
    return found


def _timed_done(volunteer: bench_site.Volunteer) -> float:
    task = volunteer.next()
    ms, _ = bench_site._timed(lambda: volunteer.done(task))
    return ms


def _commands(profiler: bench_site.Profiler, data: Any, volunteer: bench_site.Volunteer) -> dict[str, list[int]]:
    """Commands of answers that led to no badge, and of those that did; small tables of the process are at hand."""
    found: dict[str, list[int]] = {'commands': [], 'commands_reached': []}
    tables = bench_site.all_tables()
    profiler.start()
    for _ in range(PROFILED):
        task, before = volunteer.next(), _awards(data, [volunteer])
        bench_site.keep_tables(tables)
        commands = profiler.cost(lambda task=task: volunteer.done(task))['commands']
        found['commands_reached' if _awards(data, [volunteer]) > before else 'commands'].append(commands)
    profiler.stop()
    return found


def _awards(data: Any, people: list[bench_site.Volunteer]) -> int:
    number: int = data['gamification.awards'].count_documents({'user': {'$in': [one.user_id for one in people]}})
    return number


# --- the site -----------------------------------------------------------------------------------------------------------


class _Clock:
    """Noon of a Saturday, so that rules of weekends are looked at too; a second later each time."""

    def __init__(self) -> None:
        today = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
        self.noon = today - timedelta(days=(today.weekday() + 2) % 7)
        self._seconds = itertools.count()

    def __call__(self) -> datetime:
        return self.noon + timedelta(milliseconds=next(self._seconds))


CLOCK = _Clock()


def _make_site(uri: str, folder: str) -> Flask:
    """A site with the game and two gamified projects."""

    if str(FIXTURES) not in sys.path:
        sys.path.insert(0, str(FIXTURES))
    app = create_app(
        {
            'SECRET_KEY': 'a key for measurements only, long enough',
            'MONGODB_SETTINGS': {'DB': DATABASE, 'HOST': uri, 'appname': APP_NAME},
            'ENABLED_TASKS': {'vulyk_plain': 'PlainTaskType'},
            'ENABLED_BLUEPRINTS': [BLUEPRINT],
            'ASSETS_FOLDER': str(Path(folder, 'assets')),
            'BACKGROUND_THREAD': False,
        }
    )
    from vulyk_plain.models.tasks import PlainAnswer, PlainTask

    for name in (KIND, OTHER):
        attributes = {'task_model': PlainTask, 'answer_model': PlainAnswer, 'type_name': name, 'template': 'index.html'}
        kind = type(
            'Measured', (AbstractGamifiedTaskType,), {**attributes, 'lease': timedelta(hours=12), 'redundancy': 100}
        )({})
        kind.package = app.task_types['plain_task'].package
        kind.clock = CLOCK
        kind._work_session_manager = WorkSessionManager(WorkSession, clock=CLOCK)
        app.task_types[name] = kind
    return app


@contextlib.contextmanager
def _without_game(app: Flask) -> Iterator[None]:
    """Nobody listens to answers."""
    listeners.disconnect(app)
    yield
    listeners.connect(app)


# --- what is there ------------------------------------------------------------------------------------------------------


def _seed(app: Flask, volunteers: int, each: int) -> list[bench_site.Volunteer]:
    """Tasks, rules, and volunteers with a past: those who play, as many who do not, and one more."""

    _db.prepare(app)
    with app.app_context():
        Group(id='default', allowed_types=[KIND, OTHER]).save()
        kind = app.task_types[KIND]
        count = 2 * volunteers * (each + 1) + PROFILED + 1
        loaded = kind.import_tasks([{'text': f'task {number}'} for number in range(count)], 'all').loaded
        add_batch('all', loaded, kind, 'default')
        past = _past()
        users = [_seed_user(number, past) for number in range(2 * volunteers + 1)]
        _seed_rules(past)
    return [bench_site.Volunteer(app, KIND, user_id) for user_id in users]


def _past() -> list[tuple[datetime, str]]:
    """When, and on what: the same for everybody, so that the same rules are within reach."""
    chance = random.Random(5)
    days = chance.sample(range(1, PAST_DAYS), PAST_DAYS * 3 // 5)  # with holes: nobody has worked on 400 days in a row
    moments = (CLOCK.noon - timedelta(days=chance.choice(days), seconds=chance.randrange(36_000)) for _ in range(PAST))
    return [(moment, chance.choice((KIND, OTHER))) for moment in sorted(moments)]


def _seed_user(number: int, past: list[tuple[datetime, str]]) -> ObjectId:

    user = User(username=f'volunteer_{number}', email=f'volunteer_{number}@bench.invalid', processed=PAST).save()
    WorkSession._get_collection().insert_many(
        {
            '_cls': 'WorkSession',
            'user': user.id,
            'task': f'old {number} {place}',
            'taskType': name,
            'answer': ObjectId(),
            'start_time': ended - timedelta(seconds=20),
            'end_time': ended,
            'activity': 15,
        }
        for place, (ended, name) in enumerate(past)
    )
    return user.id


def _seed_rules(past: list[tuple[datetime, str]]) -> None:

    rules = [*_near(past), *_far()]
    for number, (project, facts) in enumerate(rules):
        RuleModel.from_rule(new_rule(f'rule {number}', project, bonus=5, **facts)).save(force_insert=True)
    if len(rules) != RULES:
        raise bench_site.BenchError(f'{len(rules)} rules were made, {RULES} are wanted.')


def _near(past: list[tuple[datetime, str]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rules that are reached one after the other while a volunteer gives his next ``STRETCH`` answers."""
    for number in range(WITHIN_REACH):
        project = KIND if number % 2 else ''
        mine = [ended for ended, name in past if project in ('', name)]
        more = 1 + (number + 1) * STRETCH // (WITHIN_REACH + 1)
        semantics = 'calendar' if number % 4 > 1 else 'vulyk'
        if number % 3 == 0:
            yield project, {'tasks_number': len(mine) + more, 'semantics': semantics}
        elif number % 3 == 1:
            weekend = sum(ended.weekday() > 4 for ended in mine)
            yield project, {'tasks_number': weekend + more, 'is_weekend': True, 'semantics': semantics}
        else:
            days = 30 * (number + 1)
            midnight = CLOCK.noon.replace(hour=0) - timedelta(days=days - (semantics == 'calendar'))
            recent = sum(ended > midnight for ended in mine)
            yield project, {'tasks_number': recent + more, 'days_number': days, 'semantics': semantics}


def _far() -> Iterator[tuple[str, dict[str, Any]]]:
    """Rules of all kinds that nobody reaches."""
    kinds: list[dict[str, Any]] = [
        {'tasks_number': 50_000},
        {'tasks_number': 5_000, 'days_number': 90},
        {'tasks_number': 20_000, 'is_weekend': True},
        {'days_number': 1_000, 'is_weekend': True},
        {'days_number': 30, 'is_adjacent': True},
        {'days_number': 20, 'is_weekend': True, 'is_adjacent': True},
        {'days_number': 2_000},
    ]
    for number in range(RULES - WITHIN_REACH):
        facts = dict(kinds[number % len(kinds)])
        facts['tasks_number' if 'tasks_number' in facts else 'days_number'] += number // len(kinds)
        yield (
            (KIND, OTHER)[number % 4 // 2] if number % 2 else '',
            {
                **facts,
                'semantics': 'calendar' if number // len(kinds) % 2 else 'vulyk',
            },
        )


def main() -> int:
    """Measure the game alone, and print."""
    with tempfile.TemporaryDirectory(prefix='vulyk-bench-') as folder:
        uri = mongod.acquire(Path(folder, 'mongo'), cache_gb=1)
        try:
            found = measure(uri, folder, int(sys.argv[1]) if len(sys.argv) > 1 else ANSWERS)
        finally:
            mongod.release(Path(folder, 'mongo'), wait_s=60)
    print('\n'.join(bench_report.game_table(found)))
    print(bench_report.target_lines(list(bench_report.game_targets(found))))
    return 0


if __name__ == '__main__':
    sys.exit(main())
