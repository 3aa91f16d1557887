"""Every route that answers JSON, asked in many wrong ways: it never breaks, and the database stays consistent."""

import random
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests import permissions
from tests.factories import empty_database, make_group, make_tasks, make_user
from vulyk.blueprints.gamification import listeners
from vulyk.bootstrap import _db
from vulyk.ext import consistency

REQUESTS = 12  # to each route
ODD = [
    '',
    '0',
    '-1',
    '1e400',
    '9' * 40,
    'NaN',
    'null',
    '[]',
    '{}',
    '{"a": 1}',
    '{"$set": {"a": 1}}',
    '{"a": NaN}',
    '{"a": 9223372036854775808}',
    '{"\\u0000": "\\ud800"}',
    '{"a": ' * 300 + '1' + '}' * 300,
    'a\0b',
    '..',
    'ſ🐝',
    'x' * 5000,
    "' || '1'=='1",
    '{{7*7}}',
    '$where',
]
FIELDS = ['result', 'seconds', 'activity', 'zone', 'amount', 'fund_id', 'key', 'until', 'next']
TYPES = [
    'application/json',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/plain',
    '',
    ';',
]
KNOWN = {'type_id': 'plain_task', 'strictness': 'weak', 'category': 'donatable', 'backend': 'github'}


@pytest.fixture
def app(make_app):
    app = make_app(**permissions.SETTINGS, WTF_CSRF_METHODS=[], ANSWERS_PER_MINUTE=0)
    listeners.disconnect(app)
    _db.prepare(app)
    with app.app_context():
        empty_database()
        make_group('default', ['plain_task'])
    return app


def json_routes(app: Flask) -> list[tuple[str, str, set[str]]]:
    """``(method, address, names of its parts)`` of all routes that answer JSON; of ``/metrics`` only the errors are."""
    return [
        (method, rule.rule, rule.arguments)
        for rule in app.url_map.iter_rules()
        if getattr(app.view_functions[rule.endpoint], 'answers_json', False) and rule.endpoint != 'metrics'
        for method in sorted(rule.methods - {'HEAD', 'OPTIONS'})
    ]


def odd_request(dice: random.Random, task_id: str, rule: str, names: set[str]) -> tuple[str, dict[str, Any]]:
    """An address of this rule, and what goes with it."""
    path = rule
    for name in names:
        usual = {**KNOWN, 'task_id': task_id}.get(name, '0' * 24)
        value = usual if dice.random() < 0.7 else dice.choice(ODD) or '-'
        path = path.replace(f'<{name}>', quote(value, safe=''))
    body: dict[str, Any] = dice.choice(
        [
            {'data': {dice.choice(FIELDS): dice.choice(ODD), dice.choice(FIELDS): dice.choice(ODD)}},
            {'data': {'result': dice.choice(ODD)}},
            {'json': {dice.choice(FIELDS): dice.choice([1, None, [], {'a': [{}]}, True, 'x'])}},
            {'data': dice.choice(ODD).encode(), 'content_type': dice.choice(TYPES)},
            {'data': bytes(dice.randrange(256) for _ in range(50)), 'content_type': dice.choice(TYPES)},
        ]
    )
    return path, {
        **body,
        'query_string': {'ahead': dice.choice(ODD)},
        'headers': {'X-Vulyk-User': dice.choice(['', 'x'])},
    }


@pytest.mark.parametrize('seed', range(2))
def test_no_request_breaks_a_json_route_and_the_database_stays_consistent(app, login, seed):
    dice, plain = random.Random(seed), app.task_types['plain_task']
    tasks = [task.id for task in make_tasks(plain, 20)]
    member, visitor = login(make_user()), app.test_client()
    for method, rule, names in json_routes(app):
        for number in range(REQUESTS):
            path, more = odd_request(dice, dice.choice(tasks), rule, names)
            browser: FlaskClient = member if number % 4 else visitor
            response = browser.open(path, method=method, buffered=True, **more)
            where = f'{method} {path[:100]} {more} → {response.status_code}'
            assert response.status_code < 500, where
            assert response.is_json or response.status_code == 404, where
            if response.is_json:
                assert response.json.keys() == {'result', 'errors'}, where
                assert all(isinstance(error, str) and error for error in response.json['errors']), where
                assert bool(response.json['errors']) == (response.status_code >= 400), where
    with app.app_context():
        assert list(consistency.check()) == []
