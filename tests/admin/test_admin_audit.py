"""What admins do is noted, with what it was before, and can be looked at."""

import pytest

from tests.factories import answer, make_tasks, make_user
from vulyk.models.audit import AuditRecord
from vulyk.models.tasks import AbstractAnswer


def noted() -> list[tuple]:
    return [(one.actor, one.action, one.subject, one.before, one.after) for one in AuditRecord.objects.order_by('id')]


def test_every_kind_of_change_is_noted(admin_client):
    admin_client.post('/admin/group/new/', data={'id': 'readers', 'description': 'Old'})
    admin_client.post('/admin/group/edit/?id=readers', data={'description': 'New'})
    admin_client.post('/admin/group/delete/', data={'id': 'readers'})
    document = {'_id': 'readers', 'description': 'Old'}
    assert noted() == [
        ('keeper', 'group.create', 'group readers', None, document),
        ('keeper', 'group.update', 'group readers', {'description': 'Old'}, {'description': 'New'}),
        ('keeper', 'group.delete', 'group readers', {**document, 'description': 'New'}, None),
    ]


def test_corrected_answer_is_noted_with_its_author_s_words(admin_client, plain):
    answer(plain, make_tasks(plain, 1)[0], make_user(), {'x': 'mine'})
    given = AbstractAnswer.objects.get()
    admin_client.post(f'/admin/answer/edit/?id={given.id}', data={'result': '{"x": "yours"}'})
    assert [row[1:] for row in noted()] == [
        ('answer.update', f'answer {given.id}', {'result': {'x': 'mine'}}, {'result': {'x': 'yours'}})
    ]


def test_deletion_of_several_notes_each(admin_client, make_charity):
    make_charity(id='c1')
    make_charity(id='c2')
    admin_client.post('/admin/charity/action/', data={'action': 'delete', 'rowid': ['c1', 'c2']})
    assert sorted(row[1:3] for row in noted()) == [('charity.delete', 'charity c1'), ('charity.delete', 'charity c2')]


def test_passwords_are_not_in_the_log(admin_client):
    user = make_user(password='correct horse')
    form = {'active': 'y', 'new_password': 'battery staple 7'}
    admin_client.post(f'/admin/user/edit/?id={user.id}', data=form)
    (change,) = noted()
    assert change[3]['password'] == change[4]['password'] == '(not shown)'
    assert 'argon2' not in str(change)


def test_what_was_refused_or_changes_nothing_is_not_noted(admin_client, admin):
    admin_client.post(f'/admin/user/edit/?id={admin.id}', data={'active': 'y'})  # the last admin
    admin_client.post('/admin/group/edit/?id=default', data={'description': 'default', 'allowed_types': ['plain_task']})
    assert noted() == []


def test_admins_read_the_log_and_cannot_change_it(admin_client):
    admin_client.post('/admin/group/new/', data={'id': 'readers', 'description': '<script>alert(1)</script>'})
    record = AuditRecord.objects.get()
    assert 'group readers' in admin_client.get('/admin/audit/?search=group').text
    page = admin_client.get(f'/admin/audit/details/?id={record.id}').text
    assert '&lt;script&gt;alert(1)' in page
    assert '<script>alert(1)' not in page
    for path in ('new/', f'edit/?id={record.id}', 'delete/', 'action/'):
        admin_client.post(
            f'/admin/audit/{path}', data={'id': str(record.id), 'action': 'delete', 'rowid': str(record.id)}
        )
    assert AuditRecord.objects.count() == 1


@pytest.mark.parametrize('query', ['search=%00', 'flt0_0=x', 'flt1_1=%00', 'page=-1'])
def test_odd_questions_are_answered(admin_client, query):
    assert admin_client.get(f'/admin/audit/?{query}').status_code == 200
