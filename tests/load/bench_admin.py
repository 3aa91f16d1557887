"""The lists of the admin pages, as an admin of a large site opens them: with a tenth as many people as open tasks."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from flask import Flask
from pymongo.write_concern import WriteConcern

from tests.factories import signed_in
from vulyk.models.tasks import AbstractAnswer, AbstractTask
from vulyk.models.user import Group, User
from vulyk.utils import chunked

LOOKS = 5  # at each list
GIVEN_UP = 'There is too much to look through.'


def addresses(type_name: str) -> dict[str, str]:
    """What is opened: ``{what it is: address}``."""
    task = AbstractTask._get_collection().find_one({'taskType': type_name, 'usersCount': {'$gt': 0}})
    answer = AbstractAnswer._get_collection().find_one({'task': task['_id']})
    author = User._get_collection().find_one({'_id': answer['createdBy']})['username']
    lists = {
        'overview, all answers are of today': '',
        'users': 'user/',
        'users, the last page there is': 'user/?page=1000000',
        'users, in the order of names': 'user/?sort=0',
        'users whose name begins so': 'user/?search=keeper77',
        'users whose address begins so': 'user/?search=keeper77@',
        'users of a group': 'user/?flt0_2=default',
        'tasks': 'task/',
        'tasks, the last page there is': 'task/?page=1000000',
        'tasks whose id begins so': f'task/?search={task["_id"][:3]}',
        'tasks of a project': f'task/?flt0_0={type_name}',
        'open tasks of a batch': f'task/?flt0_1={task["batch"]}&flt1_2=0',
        'tasks of a batch with two answers': f'task/?flt0_1={task["batch"]}&flt1_3=2',
        'tasks of a batch with nine answers: none': f'task/?flt0_1={task["batch"]}&flt1_3=9',
        'answers': 'answer/',
        'answers of a project': f'answer/?flt0_0={type_name}',
        'answers to a task': f'answer/?flt0_1={task["_id"]}',
        'answers of somebody': f'answer/?flt0_2={author}',
        'answers side by side': f'task/compare/?id={task["_id"]}',
        'work sessions': 'session/',
        'work sessions of somebody': f'session/?flt0_2={author}',
        'batches': 'batch/',
        'problems': 'problem/',
        'audit log': 'audit/',
        'jobs': 'job/',
    }
    return {name: f'/admin/{path}' for name, path in lists.items()}


def make_keepers(count: int) -> None:
    """People with names and addresses, written a thousand at a time."""
    people = User._get_collection().with_options(write_concern=WriteConcern(w=1))
    for chunk in chunked(range(count), 1000):
        people.insert_many([_keeper(number) for number in chunk])


def _keeper(number: int) -> dict[str, Any]:
    person = User(id=ObjectId(), username=f'keeper{number}', email=f'keeper{number}@example.org')
    person.groups = [Group(id='default')]
    User.pre_save(User, person)
    return {**person.to_mongo(), 'usernameKey': f'keeper{number}', 'emailKey': person.email}


def measure(app: Flask, type_name: str, profiler: Any, people: int) -> list[dict[str, Any]]:
    """``{'list', 'ms', 'commands', 'keys', 'documents', 'given_up'}`` of each list."""
    with app.app_context():
        make_keepers(people)
        admin = User(username='bench_admin', email='admin@example.org', admin=True, last_login=datetime.now(UTC)).save()
        found = addresses(type_name)
        browser = app.test_client()
        with browser.session_transaction() as session:
            session.update(signed_in(admin))
    return [{'list': name, **_look(browser, path, profiler)} for name, path in found.items()]


def _look(browser: Any, path: str, profiler: Any) -> dict[str, Any]:
    ms = list(_times(browser, path))
    profiler.start()
    cost = profiler.cost(lambda: browser.get(path))
    profiler.stop()
    response = cost.pop('result')
    if response.status_code != 200:
        raise RuntimeError(f'{path} answered {response.status_code}')
    return {**cost, 'ms': ms, 'given_up': GIVEN_UP in response.text}


def _times(browser: Any, path: str) -> Iterator[float]:
    browser.get(path)  # days that are over are counted once
    for _ in range(LOOKS):
        start = time.perf_counter()
        browser.get(path)
        yield 1000 * (time.perf_counter() - start)
