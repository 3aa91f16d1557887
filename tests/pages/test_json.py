"""The JSON routes: shapes word for word, and a status with a sentence for everything that can go wrong."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from vulyk_plain.models.tasks import PlainAnswer

from tests.factories import answer, make_tasks, make_user, stored
from vulyk.models import exc
from vulyk.models.exc import TaskValidationError
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import Batch

NOTHING_LEFT = {'result': {}, 'errors': ['There is no task having type like this']}
DONE = {'result': {'done': True}, 'errors': []}


# --- shapes -----------------------------------------------------------------------------------------------------------


def test_next_gives_the_task_and_my_standing(member, task):
    response = member.get('/type/plain_task/next')
    assert (response.status_code, response.mimetype) == (200, 'application/json')
    assert response.json == {
        'result': {
            'task': {'id': task.id, 'closed': False, 'data': task.task_data},
            'stats': {'total': 0, 'position': 0},
        },
        'errors': [],
    }


def test_standing_counts_my_answers(member, plain, user):
    one, _ = make_tasks(plain, 2)
    answer(plain, one, user)
    assert member.get('/type/plain_task/next').json['result']['stats'] == {'total': 1, 'position': 1}


def test_next_says_when_nothing_is_left(member):
    response = member.get('/type/plain_task/next')
    assert (response.status_code, response.json, response.headers.get('Retry-After')) == (404, NOTHING_LEFT, None)


def test_next_says_when_something_may_come_back(member, plain, login):
    make_tasks(plain, 1)
    for _ in range(2):
        login(make_user()).get('/type/plain_task/next')
    response = member.get('/type/plain_task/next')
    assert (response.status_code, response.json['result']) == (404, {'waiting': True})
    assert response.json['errors'] == NOTHING_LEFT['errors']
    assert int(response.headers['Retry-After']) > 0


def test_done_and_skip_answer_as_documented(member, plain):
    one, other = make_tasks(plain, 2)
    done = member.post(f'/type/plain_task/done/{one.id}', data={'result': '{"a": 1}'})
    skip = member.post(f'/type/plain_task/skip/{other.id}')
    assert (done.status_code, done.json, skip.status_code, skip.json) == (200, DONE, 200, DONE)


@pytest.mark.parametrize('path', ['next', 'session'])
def test_json_is_never_kept_by_a_cache(member, task, path):
    response = member.get('/session' if path == 'session' else f'/type/plain_task/{path}')
    assert response.headers['Cache-Control'] == 'no-cache, no-store, must-revalidate'
    assert (response.headers['Pragma'], response.headers['Expires']) == ('no-cache', '0')
    assert 'Cookie' in response.headers['Vary']


def test_json_is_utf_8_with_keys_in_their_order(member, plain):
    plain.import_tasks([{'z': 'Львів 🐝', 'a': 1}], None)
    text = member.get('/type/plain_task/next').get_data(as_text=True)
    assert text.index('"result"') < text.index('"errors"')
    assert '{"z":"Львів 🐝","a":1}' in text.replace(': ', ':').replace(', ', ',')


def test_next_opens_a_work_session(member, task, user):
    member.get('/type/plain_task/next')
    assert WorkSession.objects.get().user == user


def test_progress_counts_batch_and_project(member, plain):
    one, _ = make_tasks(plain, 2, batch='b1')
    make_tasks(plain, 1, batch='b2')
    for _ in range(2):
        answer(plain, one, make_user())
    assert member.get(f'/type/plain_task/progress/{one.id}').json == {
        'result': {'progress': {'batch': {'id': 'b1', 'tasks': 2, 'closed': 1}, 'project': {'tasks': 3, 'closed': 1}}},
        'errors': [],
    }


def test_progress_of_a_task_without_a_batch_has_no_batch(member, plain):
    (loose,) = make_tasks(plain, 1, batch=None)
    assert member.get(f'/type/plain_task/progress/{loose.id}').json['result']['progress'] == {
        'batch': None,
        'project': {'tasks': 1, 'closed': 0},
    }


def test_session_says_who_i_am_and_gives_a_token(client, member, user):
    assert client.get('/session').json['result'].keys() == {'user', 'csrf'}
    assert client.get('/session').json['result']['user'] is None
    assert member.get('/session').json['result']['user'] == str(user.id)


def test_token_of_the_session_opens_the_routes(member, task):
    token = member.get('/session').json['result']['csrf']
    response = member.open(f'/type/plain_task/skip/{task.id}', method='POST', headers={'X-CSRFToken': token})
    assert response.status_code == 200


# --- answers ----------------------------------------------------------------------------------------------------------

ACCEPTED = {
    'form': {'data': {'result': '{"a": [1, null, "ſ"]}'}},
    'JSON': {'json': {'result': {'a': [1, None, 'ſ']}}},
    'JSON with charset': {
        'data': '{"result": {"a": [1, null, "ſ"]}}'.encode(),
        'content_type': 'application/json; charset=utf-8',
    },
    'multipart': {'data': {'result': '{"a": [1, null, "ſ"]}'}, 'content_type': 'multipart/form-data'},
    'form with more fields': {'data': {'result': '{"a": [1, null, "ſ"]}', 'else': 'x'}},
}


@pytest.mark.parametrize('body', ACCEPTED.values(), ids=ACCEPTED)
def test_result_may_come_as_form_or_json(member, task, body):
    assert member.post(f'/type/plain_task/done/{task.id}', **body).json == DONE
    assert PlainAnswer.objects.get().result == {'a': [1, None, 'ſ']}


@pytest.mark.parametrize('result', ['{}', '{"$ref": {"_cls": 1}, "a.b": {"": 0}}', '{"a": ' * 99 + '{}' + '}' * 99])
def test_result_is_stored_verbatim(member, task, result):
    assert member.post(f'/type/plain_task/done/{task.id}', data={'result': result}).status_code == 200
    assert PlainAnswer.objects.get().result == json.loads(result)


def test_result_just_below_the_limit_is_stored(member, task, app):
    size = app.config['MAX_RESULT_BYTES']
    result = json.dumps({'a': 'x' * (size - 9)})
    assert len(result) == size
    assert member.post(f'/type/plain_task/done/{task.id}', data={'result': result}).status_code == 200


def test_limit_is_a_setting(app, member, task, monkeypatch):
    monkeypatch.setitem(app.config, 'MAX_RESULT_BYTES', 10)
    response = member.post(f'/type/plain_task/done/{task.id}', data={'result': '{"a": "xxx"}'})
    assert (response.status_code, response.json['errors']) == (
        413,
        ['result: 12 bytes are more than the 10 this site takes.'],
    )


@pytest.mark.parametrize('again', ['{"a": 1, "b": 2}', '{"b":2,"a":1}'])
def test_equal_answer_again_is_fine(member, task, again):
    for result in ('{"a": 1, "b": 2}', again):
        response = member.post(f'/type/plain_task/done/{task.id}', data={'result': result})
        assert (response.status_code, response.json) == (200, DONE)
    assert PlainAnswer.objects.count() == 1


def test_late_answer_is_fine(member, task, plain):
    for _ in range(2):
        answer(plain, task, make_user())
    response = member.post(f'/type/plain_task/done/{task.id}', data={'result': '{}'})
    assert (response.json, response.headers['X-Vulyk-Extra']) == (DONE, '1')
    assert PlainAnswer.objects(extra=True).count() == 1


def test_receivers_get_real_users_not_the_users_of_a_request(member, task, user):
    from vulyk import signals

    seen = []

    def receiver(sender, answer):
        seen.append(type(answer.created_by))

    with signals.on_task_done.connected_to(receiver):
        member.post(f'/type/plain_task/done/{task.id}', data={'result': '{}'})
    assert seen == [type(user)]


BAD_RESULTS = {
    'missing': ({}, 400, 'result: this field is missing'),
    'missing among others': ({'data': {'answer': '{}'}}, 400, 'result: this field is missing'),
    'empty': ({'data': {'result': ''}}, 400, 'result: this field is empty'),
    'blank': ({'data': {'result': ' \n'}}, 400, 'result: this field is empty'),
    'malformed': ({'data': {'result': '{"a": '}}, 400, 'result: not valid JSON'),
    'a list': ({'data': {'result': '[1]'}}, 400, 'result: must be a JSON object, not a list'),
    'null': ({'data': {'result': 'null'}}, 400, 'result: must be a JSON object, not null'),
    'a text': ({'data': {'result': '"x"'}}, 400, 'result: must be a JSON object, not a text'),
    'NaN': ({'data': {'result': '{"a": NaN}'}}, 400, 'result: NaN is not a JSON number'),
    '1e400': ({'data': {'result': '{"a": 1e400}'}}, 400, 'result.a: inf is not a JSON number'),
    '2**70': ({'data': {'result': '{"a": 1180591620717411303424}'}}, 400, 'result.a: the number does not fit 64 bit'),
    'NUL in a key': ({'data': {'result': r'{"a\u0000": 1}'}}, 400, 'result: the key'),
    'half a surrogate pair': ({'data': {'result': r'{"a": "\ud800"}'}}, 400, 'result.a: half of a surrogate pair'),
    'too deep': ({'data': {'result': '{"a":' * 500 + '1' + '}' * 500}}, 400, 'result: nested deeper than'),
    'a depth bomb': ({'data': {'result': '[' * 100_000}}, 400, 'result: nested deeper than'),
    '8 MB + 1': ({'data': {'result': '"' + 'x' * (8 * 2**20 - 1) + '"'}}, 413, 'result: 8,388,609 bytes are more than'),
    '100 MB': ({'data': b'result=' + b'x' * 10**8}, 413, 'result: what was sent is larger'),
    'JSON: malformed': ({'data': '{', 'content_type': 'application/json'}, 400, 'body: not valid JSON'),
    'JSON: empty': ({'data': '', 'content_type': 'application/json'}, 400, 'body: not valid JSON'),
    'JSON: a list': ({'json': []}, 400, 'body: must be a JSON object, not a list'),
    'JSON: no result': ({'json': {'answer': {}}}, 400, 'result: the body must be {"result": {…}}'),
    'JSON: result is a text': ({'json': {'result': '{}'}}, 400, 'result: the body must be {"result": {…}}'),
    'JSON: result is null': ({'json': {'result': None}}, 400, 'result: the body must be {"result": {…}}'),
    'JSON: NaN': ({'data': '{"result": {"a": NaN}}', 'content_type': 'application/json'}, 400, 'NaN is not a JSON'),
    'JSON: invalid UTF-8': ({'data': b'{"result": "\xff"}', 'content_type': 'application/json'}, 400, 'UTF-8'),
    'JSON: 8 MB + 1': ({'json': {'result': {'a': 'x' * 8 * 2**20}}}, 413, 'result: '),
    'text/plain': ({'data': '{}', 'content_type': 'text/plain'}, 400, 'result: this field is missing'),
}


@pytest.mark.parametrize(('body', 'status', 'reason'), BAD_RESULTS.values(), ids=BAD_RESULTS)
def test_bad_result_is_refused_with_the_field_and_nothing_is_stored(member, task, body, status, reason):
    body = {**body, 'headers': {'X-CSRFToken': member.get('/session').json['result']['csrf']}}
    if isinstance(body.get('data'), bytes):
        body.setdefault('content_type', 'application/x-www-form-urlencoded')
    before = stored()
    response = member.post(f'/type/plain_task/done/{task.id}', **body)
    assert (response.status_code, response.json['result']) == (status, {})
    assert reason in response.json['errors'][0]
    assert stored() == before


def test_result_the_task_type_refuses_is_422_with_its_sentence(member, task, plain, monkeypatch):
    def refuse(task, result):
        raise TaskValidationError('word: must not be empty.')

    monkeypatch.setattr(plain, 'validate_result', refuse)
    before = stored()
    response = member.post(f'/type/plain_task/done/{task.id}', data={'result': '{}'})
    assert (response.status_code, response.json) == (422, {'result': {}, 'errors': ['word: must not be empty.']})
    assert stored() == before


@pytest.mark.parametrize(
    ('kind', 'status'),
    [
        (exc.TaskNotFoundError, 404),
        (exc.TaskPermissionError, 403),
        (exc.TaskSaveError, 422),
        (exc.TaskSkipError, 409),
        (exc.TaskValidationError, 422),
        (exc.WorkSessionLookUpError, 404),
        (exc.WorkSessionUpdateError, 409),
    ],
)
def test_documented_error_of_a_plugin_becomes_a_status_with_its_sentence(
    member, task, plain, monkeypatch, kind, status
):
    def fail(*args, **kwargs):
        raise kind('word: is not there.')

    monkeypatch.setattr(plain, 'on_task_done', fail)
    response = member.post(f'/type/plain_task/done/{task.id}', data={'result': '{}'})
    assert (response.status_code, response.json) == (status, {'result': {}, 'errors': ['word: is not there.']})


def test_second_different_answer_is_409(member, task):
    member.post(f'/type/plain_task/done/{task.id}', data={'result': '{"a": 1}'})
    before = stored()
    response = member.post(f'/type/plain_task/done/{task.id}', data={'result': '{"a": 2}'})
    assert (response.status_code, response.json['errors'][0][:7]) == (409, 'result:')
    assert stored() == before


def test_skip_after_done_is_409(member, task):
    member.post(f'/type/plain_task/done/{task.id}', data={'result': '{"a": 1}'})
    before = stored()
    response = member.post(f'/type/plain_task/skip/{task.id}')
    assert (response.status_code, task.id in response.json['errors'][0]) == (409, True)
    assert stored() == before


# --- every route in every wrong situation -----------------------------------------------------------------------------


class Route(NamedTuple):
    """A JSON route; ``{task}`` in the path is replaced by the id of a task."""

    method: str
    path: str
    data: dict[str, Any] | None = None


ROUTES = {
    'next': Route('GET', '/type/plain_task/next'),
    'progress': Route('GET', '/type/plain_task/progress/{task}'),
    'media': Route('GET', f'/media/plain_task/{"0" * 64}'),
    'done': Route('POST', '/type/plain_task/done/{task}', {'result': '{"a": 1}'}),
    'skip': Route('POST', '/type/plain_task/skip/{task}'),
    'activity': Route('POST', '/type/plain_task/activity/{task}', {'seconds': '1'}),
    'withdraw': Route('POST', '/type/plain_task/withdraw/{task}'),
    'return': Route('POST', '/type/plain_task/return'),
}
POSTS = [name for name, route in ROUTES.items() if route.method == 'POST']


def send(member, route: Route, task_id: str, *, token: bool = True, **change: str) -> Any:
    """The response to a request, with the token of the browser's session unless told otherwise."""
    headers = {'X-CSRFToken': member.get('/session').json['result']['csrf']} if token else {}
    path = change.get('path', route.path).format(task=task_id)
    return member.open(path, method=change.get('method', route.method), data=route.data, headers=headers)


def assert_refused(response: Any, status: int, *words: str) -> None:
    """The envelope of a refusal, with one sentence that holds these words."""
    assert (response.status_code, response.mimetype, response.json['result']) == (status, 'application/json', {})
    (sentence,) = response.json['errors']
    assert all(word in sentence for word in words)
    assert sentence.strip()
    assert '<' not in sentence


@pytest.mark.parametrize('name', ROUTES)
@pytest.mark.parametrize('token', [True, False], ids=['token', 'no token'])
def test_anonymous_visitor_gets_401(client, task, name, token):
    before = stored()
    assert_refused(send(client, ROUTES[name], task.id, token=token), 401, 'sign in')
    assert stored() == before


@pytest.mark.parametrize('name', ROUTES)
def test_user_who_was_switched_off_gets_401_at_the_next_request(login, task, name):
    user = make_user()
    member = login(user)
    user.update(set__active=False)
    before = stored()
    assert_refused(send(member, ROUTES[name], task.id), 401, 'sign in')
    assert stored() == before


@pytest.mark.parametrize('name', ROUTES)
def test_session_of_a_deleted_user_gets_401(login, task, name):
    user = make_user()
    member = login(user)
    user.delete()
    assert_refused(send(member, ROUTES[name], task.id), 401, 'sign in')


@pytest.mark.parametrize('name', ROUTES)
def test_user_of_no_group_gets_403(login, task, name):
    user = make_user()
    user.update(set__groups=[])
    browser = login(user)
    before = stored()
    assert_refused(send(browser, ROUTES[name], task.id), 403, 'plain_task')
    assert stored() == before


@pytest.mark.parametrize('name', ROUTES)
def test_unknown_type_is_404(member, task, name):
    before = stored()
    path = ROUTES[name].path.replace('plain_task', 'no_such_type')
    assert_refused(send(member, ROUTES[name], task.id, path=path), 404, 'no_such_type')
    assert stored() == before


@pytest.mark.parametrize('name', ['done', 'skip', 'activity', 'withdraw'])
@pytest.mark.parametrize('task_id', ['no such task', '$lease', 'x' * 500, 'a%00b', '🐝'])
def test_unknown_task_is_404(member, task, name, task_id):
    before = stored()
    assert_refused(send(member, ROUTES[name], task_id), 404, 'task')
    assert stored() == before


@pytest.mark.parametrize('name', ['done', 'skip'])
def test_task_of_another_type_is_404(app, member, task, name, monkeypatch, login):
    monkeypatch.setitem(app.task_types, 'other_task', type(app.task_types['plain_task'])({}))
    app.task_types['other_task'].type_name = 'other_task'
    admin = login(make_user(admin=True))
    assert_refused(send(admin, ROUTES[name], task.id, path=ROUTES[name].path.replace('plain', 'other')), 404, task.id)


@pytest.mark.parametrize('name', POSTS)
@pytest.mark.parametrize('method', ['GET', 'PUT', 'DELETE'])
def test_wrong_method_is_405_and_names_the_right_one(member, task, name, method):
    before = stored()
    response = send(member, ROUTES[name], task.id, method=method)
    assert_refused(response, 405)
    assert 'POST' in response.headers['Allow']
    assert stored() == before


@pytest.mark.parametrize('name', ['next', 'progress', 'media'])
def test_post_to_a_reading_route_is_405(member, task, name):
    before = stored()
    assert_refused(send(member, ROUTES[name], task.id, method='POST'), 405)
    assert stored() == before


@pytest.mark.parametrize('name', POSTS)
def test_request_without_a_token_is_400(member, task, name):
    before = stored()
    assert_refused(send(member, ROUTES[name], task.id, token=False), 400, 'csrf_token')
    assert stored() == before


@pytest.mark.parametrize('name', POSTS)
def test_token_of_somebody_else_is_400(member, login, task, name):
    token = login(make_user()).get('/session').json['result']['csrf']
    route, before = ROUTES[name], stored()
    response = member.open(
        route.path.format(task=task.id), method='POST', data=route.data, headers={'X-CSRFToken': token}
    )
    assert_refused(response, 400, 'csrf_token')
    assert stored() == before


@pytest.mark.parametrize('name', ROUTES)
def test_closed_site_is_503(app, member, task, name, monkeypatch):
    monkeypatch.setitem(app.config, 'SITE_IS_CLOSED', True)
    before = stored()
    assert_refused(send(member, ROUTES[name], task.id), 503, 'closed')
    assert stored() == before


@pytest.mark.parametrize('name', ['next', 'progress', 'done', 'skip'])
def test_closed_site_is_open_to_admins(app, login, task, name, monkeypatch):
    monkeypatch.setitem(app.config, 'SITE_IS_CLOSED', True)
    assert send(login(make_user(admin=True)), ROUTES[name], task.id).status_code == 200


def test_answer_to_a_task_in_hand_is_taken_while_the_site_closes(app, member, task, monkeypatch):
    member.get('/type/plain_task/next')
    monkeypatch.setitem(app.config, 'SITE_IS_CLOSED', True)
    assert send(member, ROUTES['done'], task.id).json == DONE
    assert_refused(send(member, ROUTES['next'], task.id), 503)


# --- the other routes -------------------------------------------------------------------------------------------------


def test_activity_is_counted(member, task):
    member.get('/type/plain_task/next')
    WorkSession.objects.update(set__start_time=datetime.now(UTC) - timedelta(minutes=1))
    response = member.post(f'/type/plain_task/activity/{task.id}', data={'seconds': '20'})
    assert (response.json, WorkSession.objects.get().activity) == (DONE, 20)


@pytest.mark.parametrize('seconds', ['', '-1', '1.5', 'many', '٣', '1' * 7, None])
def test_malformed_activity_is_400(member, task, seconds):
    member.get('/type/plain_task/next')
    data = {} if seconds is None else {'seconds': seconds}
    assert_refused(member.post(f'/type/plain_task/activity/{task.id}', data=data), 400, 'seconds')


def test_impossible_activity_is_409(member, task):
    member.get('/type/plain_task/next')
    assert_refused(member.post(f'/type/plain_task/activity/{task.id}', data={'seconds': '9999'}), 409, 'seconds')


def test_activity_without_a_session_is_404(member, task):
    assert_refused(member.post(f'/type/plain_task/activity/{task.id}', data={'seconds': '1'}), 404)


def test_answer_can_be_withdrawn_and_given_again(member, task):
    member.post(f'/type/plain_task/done/{task.id}', data={'result': '{"a": 1}'})
    assert member.post(f'/type/plain_task/withdraw/{task.id}').json == DONE
    assert member.post(f'/type/plain_task/done/{task.id}', data={'result': '{"a": 2}'}).json == DONE
    assert PlainAnswer.objects.get().result == {'a': 2}


def test_old_answer_cannot_be_withdrawn(member, task):
    member.post(f'/type/plain_task/done/{task.id}', data={'result': '{"a": 1}'})
    PlainAnswer.objects.update(set__created_at=datetime.now(UTC) - timedelta(hours=1))
    assert_refused(member.post(f'/type/plain_task/withdraw/{task.id}'), 409, task.id)


def test_task_may_be_asked_for_in_advance(member, plain):
    make_tasks(plain, 60)
    result = member.get('/type/plain_task/next?ahead=1').json['result']
    assert len({result['task']['id'], *(task['id'] for task in result['ahead'])}) == 2


@pytest.mark.parametrize('ahead', ['x', '-1', '1.5', '', '٣'])
def test_malformed_number_of_tasks_ahead_is_400(member, task, ahead):
    before = stored()
    assert_refused(member.get(f'/type/plain_task/next?ahead={ahead}'), 400, 'ahead')
    assert stored() == before


@pytest.mark.parametrize('ahead', ['0', '1', '999', '9' * 5000])
def test_any_number_of_tasks_ahead_is_understood(member, task, ahead):
    assert member.get(f'/type/plain_task/next?ahead={ahead}').status_code == 200


def test_batch_closes_with_the_last_answer_over_the_web(member, login, task):
    for somebody in (member, login(make_user())):
        somebody.post(f'/type/plain_task/done/{task.id}', data={'result': '{}'})
    assert Batch.objects.get().closed


@pytest.mark.parametrize('name', ROUTES)
def test_page_made_for_somebody_else_gets_401(member, task, name):
    """A second person has signed in with the same browser: the first one's answer must not become his."""
    token, route = member.get('/session').json['result']['csrf'], ROUTES[name]
    headers, before = {'X-CSRFToken': token, 'X-Vulyk-User': str(make_user().id)}, stored()
    response = member.open(route.path.format(task=task.id), method=route.method, data=route.data, headers=headers)
    assert_refused(response, 401, 'Somebody else')
    assert stored() == before


@pytest.mark.parametrize('name', ['next', 'progress', 'done', 'skip'])
def test_page_made_for_me_works(member, user, task, name):
    headers = {'X-CSRFToken': member.get('/session').json['result']['csrf'], 'X-Vulyk-User': str(user.id)}
    route = ROUTES[name]
    response = member.open(route.path.format(task=task.id), method=route.method, data=route.data, headers=headers)
    assert response.status_code == 200
