"""A database in the shape, and with the damage, of the existing platform: ``db migrate`` mends it, also when it is killed."""

import json
import os
import re
import signal
import warnings
from datetime import UTC, datetime
from typing import Any

import bson
import mongoengine
import pytest
from bson import Decimal128, ObjectId
from click.testing import CliRunner
from mongoengine.base.common import _get_documents_by_db
from mongoengine.connection import _connection_settings, _connections, _dbs, get_db
from pymongo.monitoring import CommandListener

from tests.factories import empty_database, make_user, stored
from vulyk import control, migrations
from vulyk.blueprints.gamification import audit
from vulyk.blueprints.gamification.core.rules import stable_id
from vulyk.cli.db import export_reports
from vulyk.ext import consistency
from vulyk.models import schema
from vulyk.models.exc import DatabaseError
from vulyk.models.schema import Migration, Step
from vulyk.models.tasks import AbstractTask
from vulyk.models.user import User
from vulyk.terminal import Bar

ADA, DOUBLE, BEN = (ObjectId(f'{number:024x}') for number in (1, 2, 3))
RULE = '7345716447637073846'
WRITES = {'insert', 'update', 'delete', 'findAndModify', 'commitTransaction', 'createIndexes', 'dropIndexes'}
NOON = datetime(2019, 5, 6, 12)


def _user(_id: ObjectId, **fields: Any) -> dict[str, Any]:
    common = {'password': '', 'active': True, 'admin': False, 'groups': ['default'], 'last_login': NOON, 'processed': 0}
    return {'_id': _id, **common, **fields}


def _task(
    number: int, answered: list[ObjectId], *, count: int, closed: bool, batch: str | None = 'b1'
) -> dict[str, Any]:
    return {
        '_id': f'task{number}',
        '_cls': 'AbstractTask.PlainTask',
        'taskType': 'game_task',
        'batch': batch,
        'usersCount': count,
        'usersProcessed': answered,
        'usersSkipped': [],
        'closed': closed,
        'task_data': {'n': number},
    }


# Two answers close a task. Who has answered which, and what the task says of it.
GIVEN = {1: [ADA, BEN], 2: [ADA, BEN], 3: [ADA, DOUBLE, BEN], 4: [ADA], 5: []}
TASKS = [
    _task(1, [ADA, BEN], count=2, closed=True),
    _task(2, [ADA], count=1, closed=False),  # stuck: two have answered at the same moment
    _task(3, [ADA, DOUBLE, BEN], count=3, closed=True),  # the third came late
    _task(4, [ADA], count=7, closed=False, batch='b2'),  # drifted
    _task(5, [], count=0, closed=False, batch=None),
]


def _answer(task: int, user: ObjectId) -> dict[str, Any]:
    answer_id = ObjectId(f'{task:04x}{str(user)[4:]}')
    return {
        '_id': answer_id,
        '_cls': 'AbstractAnswer.PlainAnswer',
        'task': f'task{task}',
        'taskType': 'game_task',
        'createdBy': user,
        'createdAt': NOON.replace(minute=task, second=int(str(user), 16)),
        'result': {'n': task},
    }


def _old_database() -> dict[str, list[dict[str, Any]]]:
    answers = [_answer(task, user) for task, users in GIVEN.items() for user in users]
    session = {'_cls': 'WorkSession', 'taskType': 'game_task', 'start_time': NOON, 'activity': 5}
    sessions = [
        {**session, '_id': a['_id'], 'user': a['createdBy'], 'task': a['task'], 'answer': a['_id'], 'end_time': NOON}
        for a in answers
    ]
    doubled = {**session, '_id': ObjectId(), 'user': ADA, 'task': 'task1', 'start_time': NOON.replace(hour=23)}
    rule = {'badge': 'b', 'name': 'Two', 'description': 'd', 'bonus': 5, 'tasksNumber': 2, 'daysNumber': 0}
    event = {'_cls': 'EventModel', 'user': ADA, 'achievements': [], 'points': 0.1, 'coins': 0.1, 'viewed': True}
    mine = [answer['_id'] for answer in answers if answer['createdBy'] == ADA]
    return {
        'groups': [{'_id': 'default', 'description': 'd', 'allowed_types': ['game_task']}],
        'user': [
            _user(ADA, username='ada@example.org', email='ada@example.org', processed=9),
            _user(DOUBLE, username='ada@example.orgcc6107140b854920', email='ada@example.org'),
            _user(BEN, username='Ben', email=None),
        ],
        'user_social_auth': [{'_id': ObjectId(), 'provider': 'twitter', 'uid': '17', 'extra_data': {}, 'user': ADA}],
        'batches': [
            {
                '_id': 'b1',
                '_cls': 'Batch',
                'taskType': 'game_task',
                'tasksCount': 3,
                'tasksProcessed': 1,
                'closed': False,
            }
            | {'batchMeta': {'coins_per_task': 0.1, 'points_per_task': 0.1}},
            {
                '_id': 'b2',
                '_cls': 'Batch',
                'taskType': 'game_task',
                'tasksCount': 8,
                'tasksProcessed': 0,
                'closed': False,
            }
            | {'batchMeta': {}},
        ],
        'tasks': TASKS,
        'reports': answers,
        'work_sessions': [*sessions, doubled],
        'gamification.rules': [
            {**rule, '_id': RULE, '_cls': 'RuleModel', 'task_type_name': '', 'isWeekend': False, 'isAdjacent': False}
        ],
        'gamification.funds': [{'_id': 'lamp', '_cls': 'FundModel', 'name': 'Lamp', 'donatable': True}],
        'gamification.events': [
            {**event, '_id': ObjectId(), 'timestamp': f'2019,05,06,12,0{number},00,000000,UTC', 'answer': answer_id}
            | ({'achievements': [RULE], 'points': 5.1} if number == 1 else {})
            for number, answer_id in enumerate(mine)
        ],
        'gamification.userState': [
            {'_id': ObjectId(), '_cls': 'UserStateModel', 'user': ADA, 'level': 1, 'achievements': [RULE]}
            | {'points': 0.1 + 5.1 + 0.1 + 0.1, 'actualCoins': 0.0, 'potentialCoins': 0.1 + 0.1 + 0.1 + 0.1}
            | {'lastChanged': '2019,05,06,12,08,10,000001,UTC'}
        ],
    }


def fill(database: dict[str, list[dict[str, Any]]]) -> None:
    empty_database()
    sessions = get_db()['work_sessions']
    for name, keys in list(sessions.index_information().items()):
        if keys.get('unique'):
            sessions.drop_index(name)  # there was none
    for name, documents in database.items():
        get_db()[name].insert_many(documents)
    get_db()['gamification.funds'].create_index([('logo', 1)], unique=True, name='logo_1')


@pytest.fixture
def old(app) -> dict[str, list[dict[str, Any]]]:
    """The old database, filled in; returns what was filled in."""
    database = _old_database()
    fill(database)
    yield database
    empty_database()
    get_db()['gamification.funds'].drop_indexes()
    migrations.database.make_indexes()


def migrate(*, dry_run: bool = False) -> str:
    return '\n'.join(migrations.run({}, dry_run=dry_run))


def exported(app, tmp_path) -> list[Any]:
    """What an export of everything says, without what was wrong on purpose: names that are addresses, and stuck tasks."""
    path = tmp_path / 'export.jsonl'
    export_reports(app.task_types['game_task'], str(path), '__all__', False, with_sessions=True)
    lines = [json.loads(line) for line in path.read_text(encoding='utf-8').splitlines()]
    for answer in (answer for line in lines for answer in line):
        del answer['user']['username'], answer['task']['closed']
    return lines


def assert_mended(app, before: list[Any], tmp_path) -> None:
    """Nothing of the damage is left, and nothing that people have given is lost."""
    assert list(consistency.check()) == []
    assert audit.audit(ADA) == []
    assert exported(app, tmp_path) == before
    assert [task.closed for task in AbstractTask.objects.order_by('id')] == [True, True, True, False, False]
    batch = get_db()['batches'].find_one({'_id': 'b1'})
    assert (batch['closed'], batch['tasksCount'], batch['tasksProcessed']) == (True, 3, 3)
    users = list(get_db()['user'].find(sort=[('_id', 1)]))
    assert [bool(re.fullmatch(r'[a-z]+_[a-z]+\d{4}', user['username'])) for user in users] == [True, True, False]
    assert [(user['processed'], user.get('emailKey')) for user in users] == [
        (4, 'ada@example.org'),
        (1, None),
        (3, None),
    ]
    state = get_db()['gamification.userState'].find_one({'user': ADA})
    assert (state['points'], state['achievements']) == (Decimal128('5.4'), [stable_id('Two')])
    assert get_db()['user_social_auth'].find_one()['id_key'] == ''
    assert (schema.pending(), 'unique' in str(get_db()['work_sessions'].index_information())) == ([], True)


# --- one run ----------------------------------------------------------------------------------------------------------


def test_old_database_is_mended_and_its_export_stays(app, old, tmp_path):
    before = exported(app, tmp_path)
    told = migrate()
    for text in ('task task2', 'becomes', RULE, 'of 2 work sessions one is kept', 'belongs to user'):
        assert text in told
    assert_mended(app, before, tmp_path)


def test_dry_run_tells_it_and_changes_nothing(app, old):
    before = stored()
    told = migrate(dry_run=True)
    for text in ('task task4', 'an address is no name', RULE, 'of 2 work sessions one is kept'):
        assert text in told
    assert stored() == before


def test_each_step_is_done_once(app, old):
    migrate()
    mended = stored()
    assert (migrate(), stored()) == ('', mended)
    assert [record.id for record in Migration.objects.order_by('owner', 'number')] == [
        step.key for step in schema.STEPS
    ]


# --- killed -----------------------------------------------------------------------------------------------------------


class Killer(CommandListener):
    """Ends its process at a certain write, before or after the server has done it; tells only which session it leaves open."""

    def __init__(self, number: int, pipe: int, *, after: bool) -> None:
        self._left, self._pipe, self._after, self._session = number, pipe, after, b''

    def started(self, event) -> None:
        if event.command_name in WRITES:
            self._left -= 1
            self._session = bson.encode(event.command['lsid'])
            if self._left == 0 and not self._after:
                self._end()

    def succeeded(self, event) -> None:
        if event.command_name in WRITES and self._left == 0:
            self._end()

    failed = succeeded

    def _end(self) -> None:
        os.write(self._pipe, self._session)
        os.kill(os.getpid(), signal.SIGKILL)


def migrate_and_be_killed(app, number: int, *, after: bool) -> bool:
    """Migrate in a process of its own that is killed at a write; False if there are not so many."""
    there, here = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)  # the child uses nothing of the threads of this process
        child = os.fork()
    if child == 0:
        try:
            for registry in (_connections, _dbs, _connection_settings):
                registry.pop('default', None)
            for document in _get_documents_by_db('default', 'default'):
                if hasattr(document, '_disconnect'):
                    document._disconnect()
            killer = Killer(number, here, after=after)
            mongoengine.connect(**app.config['MONGODB_SETTINGS'][0], event_listeners=[killer])
            migrate()
        finally:
            os._exit(0)
    os.close(here)
    with os.fdopen(there, 'rb') as pipe:
        session = pipe.read()
    if session:  # the server would keep its transaction for a minute, and whoever wants to write the same waiting
        get_db().client.admin.command('killSessions', [bson.decode(session)])
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def try_at(app, old, number: int, tmp_path) -> bool:
    fill(old)
    before = exported(app, tmp_path)
    was_killed = migrate_and_be_killed(app, number, after=bool(number % 2))
    if was_killed:
        migrate()
    assert_mended(app, before, tmp_path)
    return was_killed


@pytest.mark.parametrize('number', [2, 9, 20, 33, 50])
def test_killed_half_way_it_goes_on_where_it_was(app, old, number, tmp_path):
    assert try_at(app, old, number, tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_killed_at_any_write_it_goes_on_where_it_was(app, old, tmp_path):
    number = 1
    while try_at(app, old, number, tmp_path):
        number += 1
    assert number > 40


# --- the command, and versions ----------------------------------------------------------------------------------------


@pytest.fixture
def command(app, monkeypatch):
    """Runs ``db migrate``."""
    monkeypatch.setattr(control, 'build', lambda config=None: app)
    return lambda *arguments: CliRunner().invoke(control.cli, ['db', 'migrate', *arguments])


def test_command_tells_what_it_does_and_that_it_is_done(command, old):
    assert 'migrations are to be done. Nothing was changed.' in command('--dry-run').stdout
    assert re.search(r'user .* becomes [\s\S]*\d migrations are done\.', command().stdout)
    assert command().stdout == 'Nothing to do.\n'


def test_command_says_how_far_it_is(command, old, monkeypatch):
    told = []
    monkeypatch.setattr(Bar, 'advance', lambda bar, count=1: told.append(count))
    command()
    assert sum(told) >= get_db()['tasks'].count_documents({}) + get_db()['user'].count_documents({})


def test_tasks_of_a_plugin_that_is_not_enabled_stop_it_before_anything_is_done(command, old):
    get_db()['tasks'].update_one({'_id': 'task5'}, {'$set': {'taskType': 'gone'}})
    before = stored()
    refused = command()
    assert (refused.exit_code, '--redundancy gone 2' in refused.output, stored() == before) == (1, True, True)
    assert command('--redundancy', 'gone', '3').exit_code == 0
    assert get_db()['tasks'].find_one({'_id': 'task5'})['need'] == 3


def test_database_of_a_newer_version_is_refused(app):
    schema.begin(Step('core', 99, 'from the future', list), datetime.now(UTC))
    with pytest.raises(DatabaseError, match=r"newer version of Vulyk.*'core 99'.*Install the newer version"):
        migrations.database.prepare()


def test_empty_database_needs_no_migration(app):
    empty_database()
    assert schema.pending()
    migrations.database.prepare()
    assert schema.pending() == []


def test_database_in_use_is_not_taken_for_a_new_one(app, caplog):
    make_user()
    migrations.database.prepare()
    assert schema.pending()
    assert '"vulyk db migrate"' in caplog.text
    assert User.objects.count() == 1
