"""What plugins, themes, scripts and operators rely on: every documented name, called, with what it does or returns.

One row per documented callable in ``CALLABLES``: its parameters in order, a call, and what that call must give. Attributes,
exceptions and settings follow in tables of their own.
"""

import importlib
import inspect
import io
import json
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import click
import mongoengine
import pytest
from flask import Flask
from vulyk_plain.models.task_types import PlainTaskType
from vulyk_plain.models.tasks import PlainAnswer, PlainTask

from tests import permissions
from tests.factories import answer, make_group, make_tasks, make_user
from vulyk import signals, utils
from vulyk.blueprints.gamification import listeners
from vulyk.blueprints.gamification.models import task_types as gamified
from vulyk.cli import admin, batches, db, groups
from vulyk.ext import leaderboard, storage, worksession
from vulyk.models import exc, stats, task_types, tasks, user
from vulyk.models.tasks import Batch
from vulyk.models.user import Group, User


class Row(NamedTuple):
    """A documented callable: its parameters, and a function of the site that returns ``(what happened, what must)``."""

    parameters: list[str]
    check: Any


class GamifiedTaskType(gamified.AbstractGamifiedTaskType):
    """The smallest gamified task type."""

    task_model, answer_model = PlainTask, PlainAnswer
    type_name, template = 'gamified_task', 'index.html'


@pytest.fixture
def site(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A site with two open tasks of ``plain_task``, one user, and an empty group."""
    one, other = make_tasks(app.task_types['plain_task'], 2)
    return SimpleNamespace(
        app=app,
        plain=app.task_types['plain_task'],
        tasks=(one, other),
        task=one,
        user=make_user(username='ada', email='ada@example.org'),
        group=make_group('experts', []),
        folder=tmp_path,
        patch=monkeypatch,
        sessions=worksession.WorkSessionManager(stats.WorkSession),
        leaders=leaderboard.LeaderBoardManager('plain_task', PlainAnswer, User),
    )


# --- small steps for the rows below -----------------------------------------------------------------------------------


def after(_call: Any, value: Any) -> Any:
    """``value`` as it is once the call before it has been made."""
    return value() if callable(value) else value


def printed(call: Any) -> str:
    output = io.StringIO()
    with redirect_stdout(output):
        call()
    return output.getvalue()


def error_of(kind: type[Exception], call: Any) -> str:
    with pytest.raises(kind) as raised:
        call()
    return str(raised.value)


def answered(s: SimpleNamespace) -> Any:
    answer(s.plain, s.task, s.user, {'a': 1})
    return PlainAnswer.objects.get()


def closed(s: SimpleNamespace) -> None:
    for person in (s.user, make_user()):
        answer(s.plain, s.task, person, {'a': 1})


def a_file(s: SimpleNamespace) -> str:
    path = s.folder / 'tasks.jsonl'
    path.write_text('{"n": "x"}\n')
    return str(path)


def exported(s: SimpleNamespace) -> list:
    closed(s)
    db.export_reports(s.plain, str(s.folder / 'out.jsonl'), 'default', True)
    return [
        [entry['answer'] for entry in json.loads(line)] for line in (s.folder / 'out.jsonl').read_bytes().splitlines()
    ]


def opened(s: SimpleNamespace) -> bytes:
    with db.open_anything(a_file(s)) as file:
        return file.read()


def collected(s: SimpleNamespace) -> list[str]:
    (s.folder / 'source').mkdir()
    (s.folder / 'source' / 'a.js').write_text('1')
    collect = storage.Collect([(Path('x'), s.folder / 'source')], s.folder / 'root')
    storage.Storage(collect, verbose=False).run()
    return [str(path.relative_to(s.folder / 'root')) for path in (s.folder / 'root').rglob('*.js')]


def session_of(s: SimpleNamespace) -> Any:
    return stats.WorkSession.objects(user=s.user, task=s.task).first()


def with_session(s: SimpleNamespace, seconds: int = 60) -> Any:
    s.plain.get_next(s.user)
    stats.WorkSession.objects.delete()
    began = datetime.now(UTC) - timedelta(seconds=seconds)
    return stats.WorkSession(user=s.user, task=s.task, task_type='plain_task', start_time=began).save()


def new_user(**fields: Any) -> User:
    return User(**{'username': 'bob', **fields})


def traceback_of(error: Exception) -> dict[str, Any]:
    try:
        raise error
    except type(error):
        return utils.get_tb()


def json_of(app: Flask, *args: Any, **kwargs: Any) -> tuple[Any, int, str]:
    with app.test_request_context():
        response = utils.json_response(*args, **kwargs)
    return response.get_json(), response.status_code, response.headers['Cache-Control']


def fresh(modules: str, name: str) -> Any:
    return getattr(importlib.import_module(modules), name)


NO_CACHE = 'no-cache, no-store, must-revalidate'

# --- the table --------------------------------------------------------------------------------------------------------

CALLABLES: dict[str, Row] = {
    # vulyk.bootstrap
    'vulyk.bootstrap.init_app': Row(
        ['name'],
        lambda s: (
            after(s.patch.setattr('vulyk.bootstrap.create_app', lambda: object()), None),
            None if fresh('vulyk.bootstrap', 'init_app')('a') is fresh('vulyk.bootstrap', 'init_app')('a') else 'two',
        ),
    ),
    'vulyk.bootstrap.init_plugins': Row(
        ['app'], lambda s: (list(fresh('vulyk.bootstrap', 'init_plugins')(s.app)), ['plain_task'])
    ),
    'vulyk.bootstrap._tasks.init_plugins': Row(
        ['app'], lambda s: (fresh('vulyk.bootstrap._tasks', 'init_plugins')(s.app).keys(), {'plain_task'})
    ),
    'vulyk.bootstrap._assets.init': Row(['app'], lambda s: ('js_all' in s.app.extensions['vulyk_asset_bundles'], True)),
    'vulyk.bootstrap._social_login.init_social_login': Row(
        ['app', 'db'], lambda s: (s.app.login_manager.anonymous_user, user.Anonymous)
    ),
    # vulyk.cli
    'vulyk.cli.is_initialized': Row(
        ['default_key'],
        lambda s: ([fresh('vulyk.cli', 'is_initialized')(*key) for key in ((), ('no such group',))], [True, False]),
    ),
    'vulyk.cli.project_init': Row(
        ['allowed_types'],
        lambda s: (
            after(
                (s.user.update(set__groups=[]), fresh('vulyk.cli', 'project_init')(['x', 'y'])),
                lambda: (Group.objects.get(pk='default').allowed_types, [g.id for g in s.user.reload().groups]),
            ),
            (['x', 'y'], ['default']),
        ),
    ),
    'vulyk.cli.admin.list_admin': Row(
        [], lambda s: (printed(admin.list_admin), 'No admins found\nRest of users are:\n- ada@example.org\n')
    ),
    'vulyk.cli.admin.toggle_admin': Row(
        ['email', 'state'],
        lambda s: (
            [
                after(admin.toggle_admin('ada@example.org', state), lambda: s.user.reload().admin)
                for state in (True, False)
            ],
            [True, False],
        ),
    ),
    'vulyk.cli.batches.add_batch': Row(
        ['batch_id', 'count', 'task_type', 'default_batch', 'batch_meta'],
        lambda s: (
            after(
                batches.add_batch('b', 3, s.plain, 'default', {'note': 'n'}),
                lambda: (Batch.objects.get(pk='b').tasks_count, Batch.objects.get(pk='b').batch_meta),
            ),
            (3, {'weight': 1.0, 'urgent': False, 'note': 'n'}),
        ),
    ),
    'vulyk.cli.batches.batches_list': Row([], lambda s: (batches.batches_list(), ['default'])),
    'vulyk.cli.batches.validate_batch': Row(
        ['ctx', 'param', 'value', 'default_batch'],
        lambda s: (
            (
                batches.validate_batch(None, 'batch', 'new', 'default'),
                batches.validate_batch(None, 'batch', 'default', 'default'),
                error_of(click.BadParameter, lambda: batches.validate_batch(None, 'batch', 'default', 'other'))[:36],
            ),
            ('new', 'default', 'Batch with id default already exists'),
        ),
    ),
    'vulyk.cli.db.export_reports': Row(
        ['task_id', 'path', 'batch', 'closed'], lambda s: (exported(s), [[{'a': 1}, {'a': 1}]])
    ),
    'vulyk.cli.db.load_tasks': Row(
        ['task_type', 'path', 'batch'],
        lambda s: ((db.load_tasks(s.plain, a_file(s), 'b'), PlainTask.objects(batch='b').count()), (1, 1)),
    ),
    'vulyk.cli.db.open_anything': Row(['filename'], lambda s: (opened(s), b'{"n": "x"}\n')),
    'vulyk.cli.groups.add_task_type': Row(
        ['gid', 'task_type'],
        lambda s: (after(groups.add_task_type('experts', 'x'), lambda: s.group.reload().allowed_types), ['x']),
    ),
    'vulyk.cli.groups.remove_task_type': Row(
        ['gid', 'task_type'],
        lambda s: (
            after(
                groups.remove_task_type('default', 'plain_task'), lambda: Group.objects.get(pk='default').allowed_types
            ),
            [],
        ),
    ),
    'vulyk.cli.groups.assign_to': Row(
        ['username', 'gid'],
        lambda s: (after(groups.assign_to('ada', 'experts'), lambda: s.group in s.user.reload().groups), True),
    ),
    'vulyk.cli.groups.resign': Row(
        ['username', 'gid'], lambda s: (after(groups.resign('ada', 'default'), lambda: s.user.reload().groups), [])
    ),
    'vulyk.cli.groups.get_groups_ids': Row([], lambda s: (sorted(groups.get_groups_ids()), ['default', 'experts'])),
    'vulyk.cli.groups.list_groups': Row(
        [],
        lambda s: (
            list(groups.list_groups()),
            ["Group ID: default. Allowed types: ['plain_task']", 'Group ID: experts. Allowed types: []'],
        ),
    ),
    'vulyk.cli.groups.new_group': Row(
        ['gid', 'description'],
        lambda s: (after(groups.new_group('g1', 'text'), lambda: Group.objects.get(pk='g1').description), 'text'),
    ),
    'vulyk.cli.groups.remove_group': Row(
        ['gid'], lambda s: (after(groups.remove_group('experts'), lambda: groups.get_groups_ids()), ['default'])
    ),
    'vulyk.cli.groups.validate_id': Row(
        ['ctx', 'param', 'value'],
        lambda s: (
            (
                groups.validate_id(None, 'gid', 'g_1'),
                'is not a group id' in error_of(click.BadParameter, lambda: groups.validate_id(None, 'gid', '_a^')),
            ),
            ('g_1', True),
        ),
    ),
    # vulyk.ext
    'vulyk.ext.leaderboard.LeaderBoardManager': Row(
        ['task_type_name', 'answer_model', 'user_model'], lambda s: (s.leaders.get_leaders(), [])
    ),
    'vulyk.ext.leaderboard.LeaderBoardManager.get_leaderboard': Row(
        ['limit'],
        lambda s: (after(answered(s), lambda: s.leaders.get_leaderboard(5)), [{'rank': 1, 'user': s.user, 'freq': 1}]),
    ),
    'vulyk.ext.leaderboard.LeaderBoardManager.get_leaders': Row(
        [], lambda s: (after(answered(s), s.leaders.get_leaders), [(s.user.id, 1)])
    ),
    'vulyk.ext.storage.Storage': Row(['collect', 'verbose'], lambda s: (collected(s), ['x/a.js'])),
    'vulyk.ext.worksession.WorkSessionManager': Row(
        ['work_session_model'], lambda s: (s.sessions.work_session, stats.WorkSession)
    ),
    'vulyk.ext.worksession.WorkSessionManager.start_work_session': Row(
        ['task', 'user_id'],
        lambda s: (
            after(s.sessions.start_work_session(s.task, s.user.id), lambda: session_of(s).task_type),
            'plain_task',
        ),
    ),
    'vulyk.ext.worksession.WorkSessionManager.record_activity': Row(
        ['task', 'user_id', 'seconds'],
        lambda s: (
            after((with_session(s), s.sessions.record_activity(s.task, s.user.id, 30)), lambda: session_of(s).activity),
            30,
        ),
    ),
    'vulyk.ext.worksession.WorkSessionManager.end_work_session': Row(
        ['task', 'user_id', 'answer'],
        lambda s: (
            after(
                (
                    with_session(s),
                    s.sessions.end_work_session(
                        s.task,
                        s.user.id,
                        PlainAnswer(task=s.task, created_by=s.user, task_type='plain_task', result={}).save(),
                    ),
                ),
                lambda: (session_of(s).answer, session_of(s).end_time is not None),
            ),
            (PlainAnswer.objects.first(), True),
        ),
    ),
    'vulyk.ext.worksession.WorkSessionManager.delete_work_session': Row(
        ['task', 'user_id'],
        lambda s: (
            after((with_session(s), s.sessions.delete_work_session(s.task, s.user.id)), lambda: session_of(s)),
            None,
        ),
    ),
    # vulyk.models.stats
    'vulyk.models.stats.WorkSession.get_total_user_time_approximate': Row(
        ['user_id'],
        lambda s: (
            after(
                with_session(s).update(set__end_time=datetime.now(UTC)),
                lambda: stats.WorkSession.get_total_user_time_approximate(s.user.id),
            ),
            60,
        ),
    ),
    'vulyk.models.stats.WorkSession.get_total_user_time_precise': Row(
        ['user_id'],
        lambda s: (
            after(
                with_session(s).update(set__activity=7),
                lambda: stats.WorkSession.get_total_user_time_precise(s.user.id),
            ),
            7,
        ),
    ),
    # vulyk.models.task_types
    'vulyk.models.task_types.AbstractTaskType': Row(
        ['settings'], lambda s: (PlainTaskType({'x': 1}).type_name, 'plain_task')
    ),
    'vulyk.models.task_types.AbstractTaskType.export_reports': Row(
        ['batch', 'closed', 'qs'],
        lambda s: (
            after(closed(s), lambda: [len(list(s.plain.export_reports('default', c))) for c in (True, False)]),
            [1, 2],
        ),
    ),
    'vulyk.models.task_types.AbstractTaskType.get_leaderboard': Row(
        ['limit'],
        lambda s: (after(answered(s), s.plain.get_leaderboard), [{'rank': 1, 'user': s.user, 'freq': 1}]),
    ),
    'vulyk.models.task_types.AbstractTaskType.get_leaders': Row(
        [], lambda s: (after(answered(s), s.plain.get_leaders), [(s.user.id, 1)])
    ),
    'vulyk.models.task_types.AbstractTaskType.get_next': Row(
        ['user'],
        lambda s: (s.plain.get_next(s.user)['id'] in {task.id for task in s.tasks}, session_count(s) == 1),
    ),
    'vulyk.models.task_types.AbstractTaskType.get_task': Row(
        ['user'], lambda s: (s.plain.get_task(s.user), s.plain.get_next(s.user))
    ),
    'vulyk.models.task_types.AbstractTaskType.import_tasks': Row(
        ['tasks', 'batch'],
        lambda s: (after(s.plain.import_tasks([{'n': 'x'}], 'b'), lambda: PlainTask.objects(batch='b').count()), 1),
    ),
    'vulyk.models.task_types.AbstractTaskType.on_task_done': Row(
        ['user', 'task_id', 'result'],
        lambda s: (
            after(s.plain.on_task_done(s.user, s.task.id, {'a': 1}), lambda: PlainAnswer.objects.get().result),
            {'a': 1},
        ),
    ),
    'vulyk.models.task_types.AbstractTaskType.record_activity': Row(
        ['user_id', 'task_id', 'seconds'],
        lambda s: (
            after((with_session(s), s.plain.record_activity(s.user.id, s.task.id, 9)), lambda: session_of(s).activity),
            9,
        ),
    ),
    'vulyk.models.task_types.AbstractTaskType.skip_task': Row(
        ['task_id', 'user'],
        lambda s: (after(s.plain.skip_task(s.task.id, s.user), lambda: s.task.reload().users_skipped), [s.user]),
    ),
    'vulyk.models.task_types.AbstractTaskType.to_dict': Row(
        [], lambda s: ({key: s.plain.to_dict()[key] for key in ('type', 'tasks')}, {'type': 'plain_task', 'tasks': 2})
    ),
    # vulyk.models.tasks
    'vulyk.models.tasks.AbstractAnswer.answers_numbers_by_tasks': Row(
        ['task_ids'],
        lambda s: (
            after(answered(s), lambda: tasks.AbstractAnswer.answers_numbers_by_tasks([s.task.id])),
            {s.user.id: 1},
        ),
    ),
    'vulyk.models.tasks.AbstractAnswer.as_dict': Row(
        [],
        lambda s: (
            answered(s).as_dict(),
            {'task': s.task.as_dict(), 'answer': {'a': 1}, 'user': {'username': 'ada', 'email': ''}},
        ),
    ),
    'vulyk.models.tasks.AbstractTask.as_dict': Row(
        [], lambda s: (s.task.as_dict(), {'id': s.task.id, 'closed': False, 'data': s.task.task_data})
    ),
    'vulyk.models.tasks.AbstractTask.ids_in_batch': Row(
        ['batch'],
        lambda s: (
            sorted(tasks.AbstractTask.ids_in_batch(Batch.objects.get())),
            sorted(task.id for task in s.tasks),
        ),
    ),
    'vulyk.models.tasks.Batch.task_done_in': Row(
        ['batch_id'], lambda s: ([Batch.task_done_in('default') for _ in range(2)], [(True, False), (True, True)])
    ),
    'vulyk.models.tasks.BatchUpdateResult': Row(
        ['success', 'closed'], lambda s: (tasks.BatchUpdateResult(success=True, closed=False)[0], True)
    ),
    # vulyk.models.user
    'vulyk.models.user.User.as_dict': Row([], lambda s: (s.user.as_dict(), {'username': 'ada', 'email': ''})),
    'vulyk.models.user.User.get_by_id': Row(['user_id'], lambda s: (User.get_by_id(str(s.user.id)), s.user)),
    'vulyk.models.user.User.get_stats': Row(
        ['task_type'], lambda s: (after(answered(s), lambda: s.user.get_stats(s.plain)), {'total': 1, 'position': 1})
    ),
    'vulyk.models.user.User.is_active': Row([], lambda s: (s.user.is_active(), True)),
    'vulyk.models.user.User.is_admin': Row([], lambda s: (s.user.is_admin(), False)),
    'vulyk.models.user.User.is_eligible_for': Row(
        ['task_type'], lambda s: ([s.user.is_eligible_for(name) for name in ('plain_task', 'x')], [True, False])
    ),
    'vulyk.models.user.User.pre_save': Row(
        ['sender', 'document'], lambda s: ([g.id for g in User.pre_save(User, new_user()).groups], ['default'])
    ),
    # vulyk.utils
    'vulyk.utils.chunked': Row(
        ['iterable', 'n'], lambda s: (list(utils.chunked([1, 2, 3, 4, 5], 2)), [(1, 2), (3, 4), (5,)])
    ),
    'vulyk.utils.get_tb': Row([], lambda s: (traceback_of(KeyError('no'))['type'], 'KeyError')),
    'vulyk.utils.get_template_path': Row(
        ['app', 'name'], lambda s: (utils.get_template_path(s.app, 'index.html'), 'base/index.html')
    ),
    'vulyk.utils.json_response': Row(
        ['result', 'errors', 'status'],
        lambda s: (json_of(s.app, {'a': 1}, iter(['e']), 404), ({'result': {'a': 1}, 'errors': ['e']}, 404, NO_CACHE)),
    ),
    'vulyk.utils.resolve_task_type': Row(
        ['type_id', 'tasks', 'user'],
        lambda s: (utils.resolve_task_type('plain_task', s.app.task_types, s.user), s.plain),
    ),
    # gamification
    'vulyk.blueprints.gamification.models.task_types.AbstractGamifiedTaskType': Row(
        ['settings'],
        lambda s: (
            GamifiedTaskType({}).task_type_meta,
            {'points_per_task': 1.0, 'coins_per_task': 1.0, 'is_important': False},
        ),
    ),
    'vulyk.blueprints.gamification.models.task_types.AbstractGamifiedTaskType.to_dict': Row(
        [],
        lambda s: (
            after(make_tasks(GamifiedTaskType({}), 1, batch='g'), lambda: GamifiedTaskType({}).to_dict()['batch_info']),
            {'points_per_task': 1.0, 'coins_per_task': 1.0, 'is_important': False},
        ),
    ),
}


def session_count(s: SimpleNamespace) -> int:
    return stats.WorkSession.objects(user=s.user).count()


def resolve(dotted: str) -> Any:
    """The object behind a dotted name of a module, class or function."""
    parts = dotted.split('.')
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module('.'.join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(dotted)


@pytest.mark.parametrize('name', CALLABLES)
def test_documented_callable_does_what_it_says(site, name):
    happened, expected = CALLABLES[name].check(site)
    assert happened == expected


@pytest.mark.parametrize('name', CALLABLES)
def test_documented_parameters_come_first_and_in_order(name):
    found = [p for p in inspect.signature(resolve(name)).parameters.values() if p.name != 'self']
    names = CALLABLES[name].parameters
    assert [p.name for p in found[: len(names)]] == names
    further = [p for p in found[len(names) :] if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    assert all(p.default is not p.empty for p in further)


@pytest.mark.parametrize(
    ('name', 'parameter', 'default'),
    [
        ('vulyk.cli.is_initialized', 'default_key', 'default'),
        ('vulyk.cli.batches.add_batch', 'batch_meta', None),
        ('vulyk.ext.storage.Storage', 'verbose', False),
        ('vulyk.models.task_types.AbstractTaskType.export_reports', 'closed', True),
        ('vulyk.models.task_types.AbstractTaskType.export_reports', 'qs', None),
        ('vulyk.models.task_types.AbstractTaskType.get_leaderboard', 'limit', 10),
        ('vulyk.utils.json_response', 'errors', None),
        ('vulyk.utils.json_response', 'status', 200),
    ],
)
def test_documented_defaults_are_kept(name, parameter, default):
    assert inspect.signature(resolve(name)).parameters[parameter].default == default


# --- attributes -------------------------------------------------------------------------------------------------------

FIELDS = {
    tasks.AbstractAnswer: {
        'id': mongoengine.ObjectIdField,
        'task': mongoengine.ReferenceField,
        'created_by': mongoengine.ReferenceField,
        'created_at': mongoengine.DateTimeField,
        'task_type': mongoengine.StringField,
        'result': object,
    },
    tasks.AbstractTask: {
        'id': mongoengine.StringField,
        'task_type': mongoengine.StringField,
        'batch': mongoengine.ReferenceField,
        'users_count': mongoengine.IntField,
        'users_processed': mongoengine.ListField,
        'users_skipped': mongoengine.ListField,
        'closed': mongoengine.BooleanField,
        'task_data': object,
    },
    tasks.Batch: {
        'id': mongoengine.StringField,
        'task_type': mongoengine.StringField,
        'tasks_count': mongoengine.IntField,
        'tasks_processed': mongoengine.IntField,
        'closed': mongoengine.BooleanField,
        'batch_meta': mongoengine.DictField,
    },
    stats.WorkSession: {
        'id': mongoengine.ObjectIdField,
        'user': mongoengine.ReferenceField,
        'task': mongoengine.ReferenceField,
        'answer': mongoengine.ReferenceField,
        'task_type': mongoengine.StringField,
        'start_time': mongoengine.DateTimeField,
        'end_time': mongoengine.DateTimeField,
        'activity': mongoengine.LongField,
    },
    user.Group: {
        'id': mongoengine.StringField,
        'description': mongoengine.StringField,
        'allowed_types': mongoengine.ListField,
    },
    user.User: {
        'id': mongoengine.ObjectIdField,
        'username': mongoengine.StringField,
        'password': mongoengine.StringField,
        'name': mongoengine.StringField,
        'email': mongoengine.StringField,
        'active': mongoengine.BooleanField,
        'admin': mongoengine.BooleanField,
        'groups': mongoengine.ListField,
        'last_login': mongoengine.DateTimeField,
        'processed': mongoengine.IntField,
    },
}


@pytest.mark.parametrize(
    ('model', 'field', 'kind'),
    [(model, field, kind) for model, fields in FIELDS.items() for field, kind in fields.items()],
    ids=lambda value: getattr(value, '__name__', value),
)
def test_documented_field_is_a_field_of_its_kind(model, field, kind):
    assert isinstance(model._fields[field], kind)


@pytest.mark.parametrize('model', FIELDS, ids=lambda model: model.__name__)
def test_documents_are_queried_as_documented(app, model):
    with pytest.raises(model.DoesNotExist):
        model.objects.get(pk='0' * 24)
    assert issubclass(model.DoesNotExist, mongoengine.DoesNotExist)
    assert issubclass(model.MultipleObjectsReturned, mongoengine.MultipleObjectsReturned)


@pytest.mark.parametrize(
    ('attribute', 'value'),
    [
        ('CSS_ASSETS', []),
        ('JS_ASSETS', []),
        ('answer_model', None),
        ('task_model', None),
        ('helptext_template', ''),
        ('redundancy', 3),
        ('template', ''),
        ('type_name', ''),
    ],
)
def test_task_type_has_the_documented_attribute(attribute, value):
    assert getattr(task_types.AbstractTaskType, attribute) == value


@pytest.mark.parametrize(
    ('attribute', 'value'),
    [
        ('name', 'Plain tasks'),
        ('description', 'Tasks made of a number'),
        ('task_type_meta', PlainTaskType._task_type_meta),
    ],
)
def test_task_type_has_the_documented_property(attribute, value):
    assert getattr(PlainTaskType({}), attribute) == value


def test_task_type_shows_its_session_manager():
    assert isinstance(PlainTaskType({}).work_session_manager, worksession.WorkSessionManager)


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('vulyk.models.user.Anonymous.name', 'Anonymous'),
        ('vulyk.blueprints.gamification.models.task_types.POINTS_PER_TASK_KEY', 'points_per_task'),
        ('vulyk.blueprints.gamification.models.task_types.COINS_PER_TASK_KEY', 'coins_per_task'),
        ('vulyk.blueprints.gamification.models.task_types.IMPORTANT_KEY', 'is_important'),
        ('vulyk.utils.HTTPStatus.OK', 200),
        ('vulyk.utils.HTTPStatus.NOT_FOUND', 404),
        ('vulyk.utils.HTTPStatus.FORBIDDEN', 403),
    ],
)
def test_documented_constant_has_its_value(name, value):
    assert resolve(name) == value


def test_answer_has_one_correction():
    assert PlainAnswer(result={'a': 1, 'b': 2}).corrections == 1


def test_names_of_a_batch_update_result_are_its_two_fields():
    assert tasks.BatchUpdateResult._fields == ('success', 'closed')


# --- exceptions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'name',
    [
        'TaskImportError',
        'TaskNotFoundError',
        'TaskPermissionError',
        'TaskSaveError',
        'TaskSkipError',
        'TaskValidationError',
        'WorkSessionLookUpError',
        'WorkSessionUpdateError',
        'InitializationError',
    ],
)
def test_documented_exception_can_be_raised_with_a_sentence(name):
    with pytest.raises(getattr(exc, name), match='a sentence'):
        raise getattr(exc, name)('a sentence')


RAISES = {
    'import_tasks': (exc.TaskImportError, lambda s: s.plain.import_tasks(['text'], 'b')),
    'on_task_done of an unknown task': (exc.TaskNotFoundError, lambda s: s.plain.on_task_done(s.user, 'x', {})),
    'skip_task of an unknown task': (exc.TaskNotFoundError, lambda s: s.plain.skip_task('x', s.user)),
    'record_activity of an unknown task': (
        exc.TaskNotFoundError,
        lambda s: s.plain.record_activity(s.user.id, 'x', 1),
    ),
    'a second, different answer': (
        exc.TaskSaveError,
        lambda s: after(answered(s), lambda: s.plain.on_task_done(s.user, s.task.id, {'a': 2})),
    ),
    'skip_task after an answer': (
        exc.TaskSkipError,
        lambda s: after(answered(s), lambda: s.plain.skip_task(s.task.id, s.user)),
    ),
    'resolve_task_type of a stranger': (
        exc.TaskPermissionError,
        lambda s: utils.resolve_task_type('plain_task', s.app.task_types, user.Anonymous()),
    ),
    'resolve_task_type of an unknown type': (
        exc.TaskTypeNotFoundError,
        lambda s: utils.resolve_task_type('x', s.app.task_types, s.user),
    ),
    'delete_work_session without one': (
        exc.WorkSessionLookUpError,
        lambda s: s.sessions.delete_work_session(s.task, s.user.id),
    ),
    'record_activity without a session': (
        exc.WorkSessionLookUpError,
        lambda s: s.sessions.record_activity(s.task, s.user.id, 1),
    ),
    'record_activity of too much': (
        exc.WorkSessionUpdateError,
        lambda s: after(with_session(s), lambda: s.sessions.record_activity(s.task, s.user.id, 10**6)),
    ),
    'a task type without models': (exc.InitializationError, lambda s: task_types.AbstractTaskType({})),
    'is_eligible_for nothing': (ValueError, lambda s: s.user.is_eligible_for('')),
    'toggle_admin of nobody': (click.BadParameter, lambda s: admin.toggle_admin('x@example.org', True)),
    'add_batch to a batch that exists': (
        click.BadParameter,
        lambda s: batches.add_batch('default', 1, s.plain, 'another'),
    ),
    'validate_batch of a batch that exists': (
        click.BadParameter,
        lambda s: batches.validate_batch(None, 'batch', 'default', 'another'),
    ),
    'add_task_type to no group': (click.BadParameter, lambda s: groups.add_task_type('x', 'plain_task')),
    'remove_task_type of no group': (click.BadParameter, lambda s: groups.remove_task_type('x', 'plain_task')),
    'assign_to no group': (click.BadParameter, lambda s: groups.assign_to('ada', 'x')),
    'assign nobody': (click.BadParameter, lambda s: groups.assign_to('nobody', 'experts')),
    'resign from no group': (click.BadParameter, lambda s: groups.resign('ada', 'x')),
    'resign nobody': (click.BadParameter, lambda s: groups.resign('nobody', 'experts')),
    'new_group of a group that exists': (click.BadParameter, lambda s: groups.new_group('experts', '')),
    'new_group with a wrong id': (click.BadParameter, lambda s: groups.new_group('_', '')),
    'remove_group of no group': (click.BadParameter, lambda s: groups.remove_group('x')),
}


@pytest.mark.parametrize(('kind', 'call'), RAISES.values(), ids=RAISES)
def test_documented_error_is_raised(site, kind, call):
    with pytest.raises(kind) as raised:
        call(site)
    assert str(raised.value)


# --- modules used as they are -----------------------------------------------------------------------------------------


@pytest.mark.parametrize('signal', ['on_task_done', 'on_batch_done'])
def test_signal_reaches_its_receivers(app, signal):
    heard = []

    def receiver(sender, **kwargs):
        heard.append((sender, kwargs))

    with getattr(signals, signal).connected_to(receiver):
        getattr(signals, signal).send('sender', answer=1)
    assert heard == [('sender', {'answer': 1})]


def test_application_module_gives_the_application_and_its_task_types(site, monkeypatch):
    monkeypatch.setattr('vulyk.app.init_app', lambda name: site.app)
    assert fresh('vulyk.app', 'app') is site.app
    assert fresh('vulyk.app', 'TASKS_TYPES') is site.app.task_types


def test_application_module_has_nothing_else():
    with pytest.raises(AttributeError):
        fresh('vulyk.app', 'no_such_name')


def test_command_line_can_be_imported_by_a_script_of_ones_own():
    from vulyk.control import cli

    assert {'init', 'admin', 'db', 'group', 'batches', 'stats', 'run'} <= set(cli.commands)


def test_modules_of_a_site_derive_from_the_documented_class():
    from flask import Blueprint

    from vulyk.blueprints import VulykModule

    assert issubclass(VulykModule, Blueprint)


def test_importing_a_documented_module_has_no_effect():
    for module in ('vulyk.settings', 'vulyk.signals', 'vulyk.utils', 'vulyk.control', 'vulyk.app', 'vulyk.bootstrap'):
        assert not any(isinstance(value, Flask) for value in vars(importlib.import_module(module)).values())


def test_every_route_says_who_may_use_it(make_app):
    app = make_app(**permissions.SETTINGS)
    listeners.disconnect(app)
    unknown = [route for route in permissions.routes(app) if permissions.expected(*route) is None]
    assert unknown == [], 'add these to the table in tests/permissions.py'
    assert permissions.TABLE.keys() <= set(permissions.routes(app))
