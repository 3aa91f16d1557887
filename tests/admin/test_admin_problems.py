"""The admin page of problems with tasks."""

from datetime import UTC, datetime

import pytest

from tests.factories import make_tasks, make_user
from vulyk.ext import consistency
from vulyk.models.audit import AuditRecord
from vulyk.models.problems import Problem
from vulyk.models.tasks import Batch

NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def task(app):
    """One of two tasks of a batch, of which somebody has told something."""
    with app.app_context():
        task = make_tasks(app.task_types['plain_task'], 2, batch='b1')[0]
        Problem.tell(make_user(username='reporter'), 'plain_task', task.id, 'It is black', NOW)
        yield task


def edit(client, **fields):
    return client.post(f'/admin/problem/edit/?id={Problem.objects.get().id}', data=fields)


def test_list_and_form_show_what_was_told_and_the_task(admin_client, task):
    for path in ('', f'edit/?id={Problem.objects.get().id}', f'details/?id={Problem.objects.get().id}'):
        page = admin_client.get(f'/admin/problem/{path}').text
        assert 'It is black' in page
        assert 'reporter' in page
        assert f'/admin/task/details/?id={task.id}' in page


def test_answer_waits_for_the_reporter(admin_client, task):
    assert edit(admin_client, reply=' Thank you ').status_code == 302
    problem = Problem.objects.get()
    assert (problem.reply, problem.unread, task.reload().closed) == ('Thank you', True, False)


def test_hidden_task_is_closed_and_open_again_when_it_is_shown(app, admin_client, task):
    edit(admin_client, reply='', hide='y')
    assert (task.reload().hidden, task.closed, Batch.objects.get().tasks_processed) == (True, True, 1)
    assert Problem.objects.get().unread is None
    kind, user = app.task_types['plain_task'], make_user()
    assert kind.get_next(user)['id'] != task.id
    assert 'checked' in admin_client.get(f'/admin/problem/edit/?id={Problem.objects.get().id}').text
    edit(admin_client, reply='')
    assert (task.reload().hidden, task.closed, Batch.objects.get().tasks_processed) == (None, False, 0)
    assert list(consistency.check()) == []


def test_answers_and_hidden_tasks_are_in_the_audit_log(admin_client, task):
    edit(admin_client, reply='Thank you', hide='y')
    edit(admin_client, reply='Thank you')
    told = Problem.objects.get().id
    records = AuditRecord.objects.order_by('id')
    assert [(record.action, record.subject) for record in records] == [
        ('task.hide', f'task {task.id}'),
        ('problem.update', f'problem {told}'),
        ('task.show', f'task {task.id}'),
    ]
    assert records[1].after['reply'] == 'Thank you'


def test_late_answer_to_a_hidden_task_is_extra(app, admin_client, task):
    edit(admin_client, hide='y')
    answer = app.task_types['plain_task'].on_task_done(make_user(), task.id, {})
    assert answer.extra is True
    assert task.reload().closed is True
