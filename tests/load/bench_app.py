"""The applications that are measured: the site, and the bare Flask application it is compared with."""

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pymongo
from flask import Flask, request

from vulyk.bootstrap import create_app

FIXTURES = Path(__file__).parents[1] / 'fixtures'
REDUNDANCY = 3
APP_NAME = 'vulyk-bench'  # how the server's profiler knows the site's commands
_ENVIRONMENT = 'VULYK_BENCH'


class Variant(NamedTuple):
    """A task type to measure: how its tasks are chosen, and over how many open batches they are spread."""

    type_name: str
    strategy: str
    batches: int

    def __str__(self) -> str:
        return f'{self.strategy}, {self.batches} open batch{"es" if self.batches > 1 else ""}'


MAIN = Variant('plain_task', 'random', 1)
MANY = Variant('plain_many', 'random', 500)
OTHERS = (MANY, Variant('plain_ordered', 'sequential', 1), Variant('plain_many_ordered', 'sequential', 500))


def make_site(uri: str, database: str, folder: str, variants: tuple[Variant, ...]) -> Flask:
    """The platform as an operator runs it, beside a worker; without the gamification."""
    if str(FIXTURES) not in sys.path:
        sys.path.insert(0, str(FIXTURES))
    app = create_app(
        {
            'SECRET_KEY': 'a key for measurements only, long enough',
            'MONGODB_SETTINGS': {'DB': database, 'HOST': uri, 'appname': APP_NAME},
            'ENABLED_TASKS': {'vulyk_plain': 'PlainTaskType'},
            'ENABLED_BLUEPRINTS': [],
            'ASSETS_FOLDER': str(Path(folder, 'assets')),
            'BACKGROUND_THREAD': False,
            'ANSWERS_PER_MINUTE': 0,
            'TERMS_VERSION': None,
            'ENABLE_ADMIN': True,
            'REDIRECT_USER_AFTER_LOGIN': False,  # else there is no home page for people with a single project
        }
    )
    plain = app.task_types.pop('plain_task')
    for variant in variants:
        attributes = {
            'type_name': variant.type_name,
            'assignment': variant.strategy,
            'redundancy': REDUNDANCY,
            'lease': timedelta(hours=12),  # longer than the measurement
        }
        task_type = type('Measured', (type(plain),), attributes)(settings={})
        task_type.package = plain.package
        app.task_types[variant.type_name] = task_type
    return app


def make_floor(uri: str) -> Flask:
    """The least the two requests could do: ``next`` a find and a findAndModify, ``done`` an insert and three updates."""
    app = Flask('floor')
    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(uri, w='majority')

    @app.get('/<database>/next/<user>/<task>')
    def next_page(database: str, user: str, task: str) -> dict[str, Any]:
        data = client[database]
        person = data.floor_users.find_one({'_id': user})
        lease = {'user': user, 'since': datetime.now(UTC)}
        found = data.floor_tasks.find_one_and_update({'_id': task}, {'$set': {'leases': [lease]}})
        stats = {'total': person['processed']}
        return {'result': {'task': {'id': found['_id'], 'data': found['task_data']}, 'stats': stats}, 'errors': []}

    @app.post('/<database>/done/<user>/<task>')
    def done(database: str, user: str, task: str) -> dict[str, Any]:
        data = client[database]
        result = json.loads(request.form['result'])
        data.floor_answers.insert_one({'task': task, 'user': user, 'at': datetime.now(UTC), 'result': result})
        data.floor_tasks.update_one({'_id': task}, {'$inc': {'usersCount': 1}, '$set': {'leases': []}})
        data.floor_users.update_one({'_id': user}, {'$inc': {'processed': 1}})
        data.floor_progress.update_one({'_id': user}, {'$inc': {'total': 1}})
        return {'result': {'done': True}, 'errors': []}

    return app


def environment(**arguments: str) -> dict[str, str]:
    """Environment of a web server that runs :func:`site` or :func:`floor` with these arguments."""
    return {**os.environ, _ENVIRONMENT: json.dumps(arguments)}


def site() -> Flask:
    """What gunicorn runs."""
    return make_site(**json.loads(os.environ[_ENVIRONMENT]), variants=(MAIN,))


def floor() -> Flask:
    """What gunicorn runs for the comparison."""
    return make_floor(**json.loads(os.environ[_ENVIRONMENT]))
