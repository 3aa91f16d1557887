"""The site's own admin pages: lists and forms of users, groups, batches, tasks and answers."""

import json
import re
from datetime import UTC, datetime

import flask_admin
import pytest
from bson import DBRef, ObjectId
from mongoengine import signals

from tests.factories import answer, make_group, make_tasks, make_user
from vulyk import jobs
from vulyk.models.exc import TaskValidationError
from vulyk.models.tasks import AbstractAnswer, AbstractTask, Batch, WithdrawnAnswer
from vulyk.models.user import Group, User

ODD = ['page=-1', 'page=99999999999999999999', 'page=7', 'sort=-5', 'sort=3', 'sort=99', 'page_size=-3', 'search=a%00b']
ODD += ['search=%5E', 'search=(%5B', f'search={"x" * 40000}', 'flt0_0=%00', 'flt0_1=%00', 'flt0_2=%00', 'flt0_99=1']


@pytest.fixture
def work(plain):
    """Three tasks; the first is closed by two answers, the second has one."""
    tasks = make_tasks(plain, 3, batch='b1')
    users = [make_user(username='ann'), make_user(username='ben')]
    for user in users:
        answer(plain, tasks[0], user, {'x': 'first'})
    answer(plain, tasks[1], users[0], {'x': 'second'})
    return tasks


# --- the first page -----------------------------------------------------------------------------------------------------


def test_first_page_counts_and_names_plugins_that_failed(admin_client, work):
    page = admin_client.get('/admin/').text
    numbers = dict(re.findall(r'<dt>([^<]+)</dt><dd>([^<]+)</dd>', page))
    expected = {'Users': '3', 'Active in the last hour': '2', 'Open tasks': '2', 'Closed tasks': '1', 'Answers': '3'}
    assert numbers == expected
    assert 'Plain tasks' in page
    assert 'The plugin vulyk_that_is_missing is not loaded.' in page
    assert 'ModuleNotFoundError' in page


# --- any list ------------------------------------------------------------------------------------------------------------


def test_files_of_the_pages_are_asked_for_once_as_long_as_the_library_stays(admin_client):
    files = set(re.findall(r'"(/admin/static/[^"]+)"', admin_client.get('/admin/user/').text))
    kept = {address: admin_client.get(address.replace('&amp;', '&')).cache_control.max_age for address in files}
    assert len(kept) > 12
    assert set(kept.values()) == {365 * 24 * 3600}
    assert all(address.endswith(f'?v={flask_admin.__version__}') for address in kept)
    assert admin_client.get('/admin/static/admin/js/form.js').cache_control.max_age is None


@pytest.mark.parametrize('name', ['user', 'group', 'batch', 'task', 'answer', 'charity'])
def test_odd_addresses_are_answered(admin_client, work, name):
    for query in ODD:
        assert admin_client.get(f'/admin/{name}/?{query}').status_code == 200, query


@pytest.mark.parametrize('name', ['user', 'group', 'batch', 'task', 'answer', 'charity'])
def test_unknown_ids_lead_back_to_the_list(admin_client, work, name):
    for document_id in ('nothing', '0' * 24, '%00', '', 'a&id=b', '../..'):
        for page in ('edit', 'details'):
            response = admin_client.get(f'/admin/{name}/{page}/?id={document_id}')
            assert (response.status_code, response.location) == (302, f'/admin/{name}/'), document_id


def test_page_after_the_last_is_the_last(admin_client):
    for _ in range(22):
        make_user()
    page = admin_client.get('/admin/user/?page=1000').text
    assert len(re.findall(r'/admin/user/edit/', page)) == 3
    assert re.search(r'page-item active">\s*<a[^>]*>2<', page)


# --- users ---------------------------------------------------------------------------------------------------------------


def test_users_are_found_by_name_and_address(admin_client):
    make_user(username='ann', email='ann@example.org')
    make_user(username='ben', email='b@hive.example')
    assert 'Name or address begins with …' in admin_client.get('/admin/user/').text
    for text in ('BE', 'B@hive'):
        found = admin_client.get(f'/admin/user/?search={text}').text
        assert 'b@hive.example' in found
        assert 'ann@' not in found


def test_hash_of_the_password_is_on_no_page(admin_client, admin):
    for path in ('', f'edit/?id={admin.pk}', f'details/?id={admin.pk}'):
        assert 'argon2' not in admin_client.get(f'/admin/user/{path}').text


def test_rights_and_groups_of_a_user_are_edited(admin_client):
    make_group('readers', [])
    user = make_user()
    form = {'groups': 'readers', 'admin': 'y'}
    assert admin_client.post(f'/admin/user/edit/?id={user.pk}', data=form).status_code == 302
    user.reload()
    assert [group.id for group in user.groups] == ['readers']
    assert (user.admin, user.active) == (True, False)


def test_groups_may_be_left_empty(admin_client):
    user = make_user()
    assert [group.id for group in user.groups] == ['default']
    admin_client.post(f'/admin/user/edit/?id={user.pk}', data={'groups': '', 'active': 'y'})
    assert user.reload().groups == []


def test_deleted_group_of_a_user_breaks_nothing(admin_client):
    user = make_user()
    User.objects(pk=user.pk).update_one(__raw__={'$set': {'groups': ['default', 'gone']}})
    for path in ('', f'details/?id={user.pk}', f'edit/?id={user.pk}'):
        assert admin_client.get(f'/admin/user/{path}').status_code == 200
    form = {'groups': 'default', 'active': 'y'}
    assert admin_client.post(f'/admin/user/edit/?id={user.pk}', data=form).status_code == 302
    assert [group.id for group in user.reload().groups] == ['default']


def test_unknown_group_is_refused(admin_client):
    user = make_user()
    response = admin_client.post(f'/admin/user/edit/?id={user.pk}', data={'groups': 'no_such', 'active': 'y'})
    assert 'Not a valid choice' in response.text
    assert [group.id for group in user.reload().groups] == ['default']


def test_new_password_is_the_one_to_sign_in_with(admin_client, client):
    user = make_user(email='ann@example.org', password='old password')
    form = {'groups': 'default', 'active': 'y', 'new_password': 'propolis 1'}
    assert admin_client.post(f'/admin/user/edit/?id={user.pk}', data=form).status_code == 302
    assert client.post('/sign-in', data={'email': user.email, 'password': 'old password'}).status_code == 401
    assert client.post('/sign-in', data={'email': user.email, 'password': 'propolis 1'}).status_code == 302


def test_who_is_switched_off_stays_signed_out_when_switched_on_again(admin_client, login):
    user = make_user()
    browser = login(user)
    for form in ({'groups': 'default'}, {'groups': 'default', 'active': 'y'}):
        admin_client.post(f'/admin/user/edit/?id={user.pk}', data=form)
    assert (user.reload().active, browser.get('/session').json['result']['user']) == (True, None)


def test_password_stays_when_none_is_typed(admin_client):
    user = make_user(password='old password')
    admin_client.post(f'/admin/user/edit/?id={user.pk}', data={'groups': 'default', 'active': 'y', 'new_password': ''})
    assert user.reload().check_password('old password')


def test_short_password_is_refused(admin_client):
    user = make_user(password='old password')
    response = admin_client.post(
        f'/admin/user/edit/?id={user.pk}', data={'active': 'y', 'admin': 'y', 'new_password': 'short'}
    )
    assert 'use at least 8 characters' in response.text
    assert 'value="short"' not in response.text
    user.reload()
    assert user.check_password('old password')
    assert not user.admin


@pytest.mark.parametrize('form', [{'active': 'y'}, {'admin': 'y'}, {}])
def test_last_admin_keeps_the_rights(admin_client, admin, form):
    make_user(admin=True, active=False)
    response = admin_client.post(f'/admin/user/edit/?id={admin.pk}', data=form)
    assert 'This is the last active admin' in response.text
    admin.reload()
    assert (admin.admin, admin.active) == (True, True)


def test_admin_may_go_when_there_is_another(admin_client, admin):
    make_user(admin=True)
    admin_client.post(f'/admin/user/edit/?id={admin.pk}', data={'active': 'y'})
    assert not admin.reload().admin
    assert admin_client.get('/admin/').status_code == 403


def test_two_admins_who_demote_each_other_do_not_leave_the_site_without_one(admin_client, admin):
    other = make_user(admin=True)

    def demote_the_other(sender, document, **kwargs):
        User.objects(pk=other.pk).update_one(set__admin=False)

    signals.post_save.connect(demote_the_other, sender=User)
    try:
        admin_client.post(f'/admin/user/edit/?id={admin.pk}', data={'active': 'y'})
    finally:
        signals.post_save.disconnect(demote_the_other, sender=User)
    assert admin.reload().admin
    assert 'stays an admin' in admin_client.get('/admin/user/').text


@pytest.mark.parametrize('name', ['user', 'batch', 'task', 'answer'])
def test_what_counters_rest_on_is_neither_made_nor_deleted_here(admin_client, work, name):
    model = {'user': User, 'batch': Batch, 'task': AbstractTask, 'answer': AbstractAnswer}[name]
    before = model.objects.count()
    one = model.objects.first()
    admin_client.post(f'/admin/{name}/delete/', data={'id': str(one.pk)})
    admin_client.post(f'/admin/{name}/action/', data={'action': 'delete', 'rowid': str(one.pk)})
    admin_client.post(f'/admin/{name}/new/', data={'id': 'x', 'username': 'x', 'result': '{}', 'task_data': '{}'})
    assert model.objects.count() == before
    page = admin_client.get(f'/admin/{name}/').text
    assert f'/admin/{name}/delete/' not in page
    assert f'/admin/{name}/new/' not in page


def test_group_lookup_answers_odd_questions(admin_client):
    def look_up(query: str) -> list:
        response = admin_client.get(f'/admin/user/ajax/lookup/?name=groups{query}')
        assert response.status_code == 200
        return response.json

    assert look_up('') == look_up('&query=DEF') == [['default', 'default']]
    assert look_up('&query=%00default&offset=-4&limit=-9') == [['default', 'default']]
    assert look_up(f'&query={"x" * 5000}&limit=99999999999999999999') == []
    assert look_up('&query=(&offset=99999999999999999999') == []
    assert admin_client.get('/admin/user/ajax/lookup/?name=password').status_code == 404


# --- groups --------------------------------------------------------------------------------------------------------------


def test_group_is_made_with_enabled_types(admin_client):
    page = admin_client.get('/admin/group/new/').text
    assert 'Plain tasks (plain_task)' in page
    form = {'id': 'readers', 'description': 'They read', 'allowed_types': ['plain_task']}
    assert admin_client.post('/admin/group/new/', data=form).status_code == 302
    assert Group.objects.get(pk='readers').allowed_types == ['plain_task']
    assert 'readers' in admin_client.get('/admin/group/').text


def test_group_that_exists_is_not_replaced(admin_client):
    response = admin_client.post('/admin/group/new/', data={'id': 'default', 'description': 'other'})
    assert 'There is one called “default” already.' in response.text
    assert Group.objects.get(pk='default').description == 'default'


@pytest.mark.parametrize('gid', ['', '_x', 'a b', 'ü', 'x' * 101])
def test_group_ids_are_those_of_the_command_line(admin_client, gid):
    assert admin_client.post('/admin/group/new/', data={'id': gid}).status_code == 200
    assert Group.objects.count() == 1


def test_group_keeps_types_whose_plugin_is_not_loaded(admin_client):
    make_group('readers', ['plain_task', 'old_type'])
    page = admin_client.get('/admin/group/edit/?id=readers').text
    assert 'old_type (not enabled)' in page
    assert 'name="id"' not in page
    admin_client.post('/admin/group/edit/?id=readers', data={'id': 'other', 'allowed_types': ['old_type']})
    assert Group.objects.get(pk='readers').allowed_types == ['old_type']
    assert not Group.objects(pk='other')


def test_group_may_open_nothing_but_not_unknown_types(admin_client):
    response = admin_client.post('/admin/group/edit/?id=default', data={'allowed_types': ['no_such']})
    assert 'not a valid choice' in response.text
    admin_client.post('/admin/group/edit/?id=default', data={'description': ''})
    assert Group.objects.get(pk='default').allowed_types == []


def test_deleted_group_is_taken_from_its_members(admin_client):
    user = make_user(groups=[make_group('readers', [])])
    admin_client.post('/admin/group/delete/', data={'id': 'readers'})
    assert not Group.objects(pk='readers')
    assert [group.id for group in user.reload().groups] == ['default']


def test_default_group_is_not_deleted(admin_client):
    admin_client.post('/admin/group/delete/', data={'id': 'default'})
    assert Group.objects(pk='default')
    assert 'cannot be deleted' in admin_client.get('/admin/group/').text


# --- batches -------------------------------------------------------------------------------------------------------------


def test_batches_show_how_far_they_are(admin_client, work):
    page = admin_client.get('/admin/batch/').text
    assert '1 / 3' in page
    assert '/admin/task/?flt0_1=b1' in page
    assert admin_client.get('/admin/batch/details/?id=b1').status_code == 200


def test_counters_of_a_batch_are_not_edited(admin_client, work):
    assert '1 / 3' in admin_client.get('/admin/batch/edit/?id=b1').text
    form = {'priority': '7', 'closed': 'y', 'tasks_count': '99', 'tasks_processed': '98'}
    assert admin_client.post('/admin/batch/edit/?id=b1', data=form).status_code == 302
    batch = Batch.objects.get(pk='b1')
    assert (batch.priority, batch.closed, batch.tasks_count, batch.tasks_processed) == (7, False, 3, 1)


def fact_form(**texts):
    """What the browser sends: pairs of language and text, lines as they are."""
    return {'priority': '0', **{name: ['', text] if isinstance(text, str) else text for name, text in texts.items()}}


def test_facts_of_a_batch_are_edited(admin_client, work):
    form = fact_form(title=['', '', 'en', 'Cats', 'uk', 'Коти'], description='All of them', licence=['CC0 1.0'])
    assert admin_client.post('/admin/batch/edit/?id=b1', data=form).status_code == 302
    facts = {'title': {'en': 'Cats', 'uk': 'Коти'}, 'description': 'All of them', 'licence': 'CC0 1.0'}
    assert Batch.objects.get(pk='b1').facts == facts
    assert 'Коти' in admin_client.get('/admin/batch/edit/?id=b1').text
    assert 'Cats' in admin_client.get('/admin/batch/').text
    admin_client.post('/admin/batch/edit/?id=b1', data=fact_form(title='', description=' ', licence=['']))
    assert Batch.objects.get(pk='b1').facts == {}
    assert not Batch.objects(title__exists=True)


@pytest.mark.parametrize(
    ('form', 'reason'),
    [
        ({'title': ['', 'Cats', 'uk', 'Коти']}, 'either one text for everybody or one for each language'),
        ({'title': ['', 'x' * 201]}, 'more than the 200'),
        ({'title': ['no tag', 'x']}, 'is not a language tag'),
        ({'lang': ['Latein, alt']}, 'is not a language tag'),
    ],
    ids=str,
)
def test_odd_facts_of_a_batch_are_refused_and_stay_in_the_form(admin_client, work, form, reason):
    page = admin_client.post('/admin/batch/edit/?id=b1', data={'priority': '7', **form}).text
    assert reason in page
    assert next(iter(form.values()))[-1] in page
    assert (Batch.objects.get(pk='b1').facts, Batch.objects.get(pk='b1').priority) == ({}, 0)


@pytest.mark.parametrize('priority', ['many', '10000000000000000000000', '1.5'])
def test_odd_priority_is_refused(admin_client, work, priority):
    assert 'invalid-feedback' in admin_client.post('/admin/batch/edit/?id=b1', data={'priority': priority}).text
    assert Batch.objects.get(pk='b1').priority == 0


# --- tasks ---------------------------------------------------------------------------------------------------------------


def ids(page: str, name: str) -> set[str]:
    return set(re.findall(rf'/admin/{name}/edit/\?id=([^&"]+)', page))


def test_tasks_are_filtered(admin_client, plain, work):
    first, second, third = (task.id for task in work)
    other = make_tasks(plain, 1, batch='b2')[0].id
    for query, expected in {
        '': {first, second, third, other},
        'flt0_0=plain_task': {first, second, third, other},
        'flt0_0=none': set(),
        'flt0_1=b1': {first, second, third},
        'flt0_1=b1&flt1_2=1': {first},
        'flt0_2=0': {second, third, other},
        f'search={first[:8]}': {first},
        f'search={first[1:]}': set(),
    }.items():
        assert ids(admin_client.get(f'/admin/task/?{query}').text, 'task') == expected, query


def test_data_of_a_task_is_edited_verbatim(admin_client, work):
    data = {'_id': 1, '$ref': 'x', 'a.b': [True, 1, 1.0, None, 2**53 + 1], 'ſ': '<b>&"\''}
    response = admin_client.post(f'/admin/task/edit/?id={work[0].id}', data={'task_data': json.dumps(data)})
    assert response.status_code == 302
    task = AbstractTask.objects.get(pk=work[0].id)
    assert json.dumps(task.task_data) == json.dumps(data)
    assert (task.closed, task.users_count) == (True, 2)
    for path in ('', f'edit/?id={task.id}', f'details/?id={task.id}'):
        page = admin_client.get(f'/admin/task/{path}')
        assert page.status_code == 200
        assert '<b>&' not in page.text


def test_value_that_only_looks_the_same_is_stored(admin_client, work):
    for text in ('{"x": 1}', '{"x": true}', '{"x": 1.0}'):
        admin_client.post(f'/admin/task/edit/?id={work[0].id}', data={'task_data': text})
        assert json.dumps(AbstractTask.objects.get(pk=work[0].id).task_data) == text


@pytest.mark.parametrize(
    'text', ['{}', '', '[]', '{"a": NaN}', 'nonsense', '{"a": 1e999}', '{"a": 18446744073709551616}']
)
def test_data_that_is_no_task_is_refused(admin_client, work, text):
    response = admin_client.post(f'/admin/task/edit/?id={work[0].id}', data={'task_data': text})
    assert response.status_code == 200
    assert 'invalid-feedback' in response.text
    assert AbstractTask.objects.get(pk=work[0].id).task_data == work[0].task_data


# --- answers -------------------------------------------------------------------------------------------------------------


def test_answers_are_listed_and_filtered(admin_client, work):
    page = admin_client.get('/admin/answer/').text
    assert len(ids(page, 'answer')) == 3
    assert 'ann' in page
    assert 'first' in page
    assert len(ids(admin_client.get('/admin/answer/?flt0_2=ann').text, 'answer')) == 2
    assert len(ids(admin_client.get(f'/admin/answer/?flt0_1={work[1].id}').text, 'answer')) == 1
    assert len(ids(admin_client.get('/admin/answer/?flt0_2=nobody').text, 'answer')) == 0
    assert 'first' not in admin_client.get(f'/admin/answer/?flt0_2=ann&flt1_1={work[1].id}').text


def test_links_between_pages_lead_where_they_say(admin_client, work):
    page = admin_client.get('/admin/task/').text
    assert f'/admin/task/compare/?id={work[0].id}' in page
    assert '/admin/answer/?flt0_2=ann' in admin_client.get('/admin/user/').text
    assert f'/admin/task/details/?id={work[0].id}' in admin_client.get('/admin/answer/').text


def test_result_is_edited_and_nothing_else(admin_client, work):
    before = AbstractAnswer.objects.first()
    path = f'/admin/answer/edit/?id={before.pk}'
    assert 'first' in admin_client.get(path).text
    assert admin_client.post(path, data={'result': '{"x": "mended", "$y": {}}', 'extra': 'y'}).status_code == 302
    after = AbstractAnswer.objects.get(pk=before.pk)
    assert after.result == {'x': 'mended', '$y': {}}
    assert (after.created_at, after.created_by, after.extra) == (before.created_at, before.created_by, before.extra)
    admin_client.post(path, data={'result': '{}'})
    assert AbstractAnswer.objects.get(pk=before.pk).result == {}


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        ('{"x": oops', 'result: not valid JSON'),
        ('[1]', 'result: must be a JSON object, not a list.'),
        ('{"x": Infinity}', 'result: Infinity is not a JSON number'),
        ('{"x": 99999999999999999999}', 'does not fit 64 bit'),
        ('   ', 'result: not valid JSON'),
        ('', 'This field is required.'),
    ],
)
def test_result_that_is_no_object_is_refused_with_a_sentence(admin_client, work, text, sentence):
    before = AbstractAnswer.objects.first()
    response = admin_client.post(f'/admin/answer/edit/?id={before.pk}', data={'result': text})
    assert response.status_code == 200
    assert sentence in response.text
    assert text.replace('"', '&#34;') in response.text  # what was typed is not lost
    assert AbstractAnswer.objects.get(pk=before.pk).result == before.result


def test_task_type_may_refuse_a_result(admin_client, plain, work, monkeypatch):
    def refuse(task, result):
        raise TaskValidationError('x: must be a word.')

    monkeypatch.setattr(plain, 'validate_result', refuse)
    before = AbstractAnswer.objects.first()
    response = admin_client.post(f'/admin/answer/edit/?id={before.pk}', data={'result': '{"x": 5}'})
    assert 'x: must be a word.' in response.text
    assert AbstractAnswer.objects.get(pk=before.pk).result == before.result


def test_answer_that_has_gone_meanwhile_is_said(admin_client, plain, work, monkeypatch):
    before = AbstractAnswer.objects.first()
    monkeypatch.setattr(plain, 'validate_result', lambda task, result: AbstractAnswer.objects(pk=before.pk).delete())
    response = admin_client.post(f'/admin/answer/edit/?id={before.pk}', data={'result': '{"x": 5}'})
    assert 'It has been deleted meanwhile.' in response.text


def test_references_to_deleted_documents_break_no_page(admin_client, work):
    gone = ObjectId()
    AbstractTask._get_collection().update_many({}, {'$set': {'batch': 'gone', 'usersProcessed': [gone]}})
    AbstractAnswer._get_collection().update_one({}, {'$set': {'createdBy': gone, 'task': 'gone'}})
    one = AbstractAnswer.objects(created_by=gone).no_dereference().first()
    assert isinstance(one.created_by, DBRef)
    for path in (
        'task/',
        f'task/details/?id={work[0].id}',
        f'task/edit/?id={work[0].id}',
        'answer/',
        f'answer/details/?id={one.pk}',
        f'answer/edit/?id={one.pk}',
    ):
        response = admin_client.get(f'/admin/{path}')
        assert response.status_code == 200, path
    assert str(gone) in admin_client.get('/admin/answer/').text
    assert admin_client.post(f'/admin/answer/edit/?id={one.pk}', data={'result': '{"x": 5}'}).status_code == 302
    assert admin_client.post(f'/admin/task/edit/?id={work[0].id}', data={'task_data': '{"x": 5}'}).status_code == 302


# --- suspension -------------------------------------------------------------------------------------------------------


def test_admin_suspends_a_user_after_a_question(admin_client, app, plain, login):
    user = make_user(username='spammer')
    answer(plain, make_tasks(plain, 1)[0], user)
    assert f'href="/admin/user/suspend/?id={user.id}"' in admin_client.get(f'/admin/user/edit/?id={user.id}').text
    path = f'/admin/user/suspend/?id={user.id}'
    assert 'All 1 answers are taken back' in admin_client.get(path).text
    assert admin_client.post(path, data={'reason': ' '}).status_code == 422
    assert user.reload().active
    assert admin_client.post(path, data={'reason': 'Typed at random'}).status_code == 302
    assert not user.reload().active
    with app.app_context():
        assert jobs.work('tests', datetime.now(UTC))
    assert AbstractAnswer.objects.count() == 0
    assert WithdrawnAnswer.objects.get().reason == 'Typed at random'


def test_admins_are_not_suspended(admin_client):
    other = make_user(admin=True)
    path = f'/admin/user/suspend/?id={other.id}'
    assert admin_client.post(path, data={'reason': 'x'}).status_code == 422
    assert other.reload().active
    assert '/suspend/' not in admin_client.get(f'/admin/user/edit/?id={other.id}').text
    assert admin_client.get('/admin/user/suspend/?id=0').status_code == 404
