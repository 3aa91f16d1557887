"""Problems with tasks: told on the task page, answered by admins, read under “My reports”."""

from datetime import UTC, datetime

import pytest

from tests.factories import make_user
from vulyk.models.problems import Problem

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def test_problem_is_stored_with_who_and_what(member, user, task):
    response = member.post(f'/type/plain_task/problem/{task.id}', data={'text': '  The picture is black.\n'})
    assert (response.status_code, response.json) == (200, {'result': {'done': True}, 'errors': []})
    problem = Problem.objects.get()
    assert (problem.user, problem.task, problem.task_type, problem.text) == (
        *(user, task, 'plain_task'),
        'The picture is black.',
    )


def test_problem_told_again_replaces_the_first_and_its_answer(member, task):
    for text in ('first', 'second'):
        member.post(f'/type/plain_task/problem/{task.id}', data={'text': text})
        before = Problem.objects.get()
        Problem.answer(before.id, 'An answer', NOW)
    member.post(f'/type/plain_task/problem/{task.id}', data={'text': 'third'})
    problem = Problem.objects.get()
    assert (problem.id, problem.text, problem.reply, problem.unread) == (before.id, 'third', '', None)


@pytest.mark.parametrize('text', ['', ' \n', 'x' * 1001])
def test_problem_needs_words_but_not_too_many(member, task, text):
    response = member.post(f'/type/plain_task/problem/{task.id}', data={'text': text})
    assert (response.status_code, response.json['errors']) == (
        400,
        ['text: say in 1 to 1000 characters what is wrong with the task.'],
    )
    assert Problem.objects.count() == 0


def test_problem_of_no_task_is_404(member, task):
    assert member.post('/type/plain_task/problem/nothing', data={'text': 'x'}).status_code == 404


def test_answer_is_announced_in_the_menu_until_it_has_been_read(member, user, task):
    Problem.tell(user, 'plain_task', task.id, 'Black & <b>dark</b>', NOW)
    assert 'Not answered yet.' in member.get('/problems').text
    Problem.answer(Problem.objects.get().id, 'Thank you, <i>fixed</i>', NOW)
    assert '1 new answer' in member.get('/problems').text.partition('<main')[0]
    page = member.get('/problems').text
    assert 'Black &amp; &lt;b&gt;dark' in page
    assert 'Thank you, &lt;i&gt;fixed' in page
    member.post('/problems/read')
    assert 'new answer' not in member.get('/problems').text.partition('<main')[0]


def test_reports_of_others_are_not_shown(member, task):
    Problem.tell(make_user(), 'plain_task', task.id, 'somebody else’s', NOW)
    assert 'somebody else’s' not in member.get('/problems').text
