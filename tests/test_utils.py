"""Small helpers."""

import sys
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

from tests.factories import make_tasks, make_user
from vulyk import utils
from vulyk.models.exc import TaskPermissionError, TaskTypeNotFoundError
from vulyk.models.tasks import AbstractTask


@pytest.mark.parametrize(
    ('items', 'n', 'chunks'),
    [
        ([1, 2, 3, 4, 5], 2, [(1, 2), (3, 4), (5,)]),
        ([1, 2], 2, [(1, 2)]),
        ([1], 5, [(1,)]),
        ([], 2, []),
        ('abc', 1, [('a',), ('b',), ('c',)]),
        (iter(range(4)), 3, [(0, 1, 2), (3,)]),
    ],
)
def test_items_are_cut_into_chunks(items, n, chunks):
    assert list(utils.chunked(items, n)) == chunks


def test_chunks_are_made_as_they_are_asked_for():
    seen = []
    next(utils.chunked((seen.append(number) or number for number in range(10)), 2))
    assert seen == [0, 1]


def test_chunks_of_a_queryset_end_with_it(plain):
    make_tasks(plain, 3)
    assert [len(chunk) for chunk in utils.chunked(AbstractTask.objects.no_cache(), 2)] == [2, 1]


def test_exception_being_handled_is_described():
    try:
        raise KeyError('word')
    except KeyError:
        facts = utils.get_tb()
    assert (facts['type'], facts['message']) == ('KeyError', "'word'")
    assert 'Traceback' in facts['traceback']


def test_without_an_exception_there_is_nothing_to_describe():
    assert utils.get_tb() == {'type': '', 'message': '', 'traceback': ''}


@pytest.mark.parametrize(
    ('args', 'body', 'status'),
    [
        (({},), {'result': {}, 'errors': []}, 200),
        (({'a': 1}, None, 404), {'result': {'a': 1}, 'errors': []}, 404),
        (({}, ('x', 'y')), {'result': {}, 'errors': ['x', 'y']}, 200),
        (({}, (word for word in 'xy')), {'result': {}, 'errors': ['x', 'y']}, 200),
        (({}, {'x'}, utils.HTTPStatus.CONFLICT), {'result': {}, 'errors': ['x']}, 409),
    ],
)
def test_json_has_one_envelope(app, args, body, status):
    with app.test_request_context():
        response = utils.json_response(*args)
    assert (response.get_json(), response.status_code, response.mimetype) == (body, status, 'application/json')


def test_type_of_tasks_is_found_for_those_who_may_work_on_it(app, plain):
    assert utils.resolve_task_type('plain_task', app.task_types, make_user()) is plain


@pytest.mark.parametrize('name', ['no_such_type', '', 'PLAIN_TASK'])
def test_unknown_type_of_tasks_is_named(app, name):
    with app.test_request_context(), pytest.raises(TaskTypeNotFoundError, match=f'“{name}”'):
        utils.resolve_task_type(name, app.task_types, make_user(admin=True))


def test_type_of_tasks_one_may_not_work_on_is_named(app):
    user = make_user()
    user.update(set__groups=[])
    with app.test_request_context(), pytest.raises(TaskPermissionError, match='“plain_task”'):
        utils.resolve_task_type('plain_task', app.task_types, user.reload())


def test_template_comes_from_the_first_folder_that_has_it(app, monkeypatch):
    names = ['base/index.html', 'b/base/index.html', 'a/base/index.html', 'a/base/task.html']
    monkeypatch.setattr(app.jinja_env, 'list_templates', lambda: names)
    monkeypatch.setitem(app.config, 'TEMPLATE_BASE_FOLDERS', ['none', 'b', 'a'])
    monkeypatch.setitem(app.extensions, 'vulyk_template_names', {})
    found = [utils.get_template_path(app, name) for name in ('index.html', 'task.html', 'other.html')]
    assert found == ['b/base/index.html', 'a/base/task.html', 'base/other.html']


@pytest.mark.parametrize(
    ('moment', 'same'),
    [
        (datetime(2026, 11, 20, 12), datetime(2026, 11, 20, 12, tzinfo=UTC)),
        (datetime(2026, 11, 20, 12, tzinfo=UTC), datetime(2026, 11, 20, 12, tzinfo=UTC)),
        (datetime(2026, 11, 20, 14, tzinfo=timezone(timedelta(hours=2))), datetime(2026, 11, 20, 12, tzinfo=UTC)),
    ],
)
def test_naive_time_means_utc(moment, same):
    assert utils.aware(moment) == same


# --- settings of plugins ----------------------------------------------------------------------------------------------


def test_broken_local_settings_are_not_taken_for_absent_ones(monkeypatch, tmp_path):
    (tmp_path / 'local_settings.py').write_text('import no_such_module_anywhere\n', encoding='utf-8')
    monkeypatch.setitem(sys.modules, 'vulyk.local_settings', None)
    monkeypatch.delitem(sys.modules, 'local_settings', raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match='no_such_module_anywhere'):
        utils.plugin_settings(SimpleNamespace(SIZE=1))
