"""``batches`` and ``stats``."""

import pytest
from mongoengine.connection import get_db

from tests.factories import answer, make_tasks, make_user
from vulyk.cli.stats import COLUMNS, batch_stats
from vulyk.ext import consistency
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import AbstractAnswer, AbstractTask, Batch


def counts() -> dict[str, int]:
    return {name: get_db()[name].count_documents({}) for name in ('batches', 'tasks', 'reports', 'work_sessions')}


# --- list -------------------------------------------------------------------------------------------------------------


def test_batches_are_listed_oldest_first(runner, plain):
    for batch in ('10', '2', '1'):
        make_tasks(plain, 1, batch=batch)
    assert runner('batches', 'list').stdout == '10\n2\n1\n'


def test_nothing_is_listed_when_there_is_nothing(runner):
    assert (runner('batches', 'list').exit_code, runner('batches', 'list').stdout) == (0, '')


# --- del --------------------------------------------------------------------------------------------------------------


def test_batch_without_answers_is_deleted_with_its_tasks_alone(runner, plain):
    make_tasks(plain, 2, batch='b1')
    make_tasks(plain, 1, batch='b2')
    result = runner('batches', 'del', '--bid', 'b1', '--yes')
    assert (result.exit_code, 'Batch b1 is deleted' in result.output) == (0, True)
    assert ([batch.id for batch in Batch.objects], AbstractTask.objects.count()) == (['b2'], 1)
    assert get_db().loads.count_documents({'batch': 'b1'}) == 0


def test_batch_with_answers_is_refused_with_their_number(runner, plain):
    for task in make_tasks(plain, 2, batch='b1'):
        answer(plain, task, make_user())
    before = counts()
    result = runner('batches', 'del', '--bid', 'b1', '--yes')
    assert (result.exit_code, 'holds 2 answers' in result.output, '--purge' in result.output) == (1, True, True)
    assert counts() == before


def test_batch_is_purged_with_answers_and_sessions_and_the_rest_stays(runner, plain):
    user, (one,), (other,) = make_user(), make_tasks(plain, 1, batch='b1'), make_tasks(plain, 1, batch='b2')
    for task in (one, other):
        answer(plain, task, user)
    assert runner('batches', 'del', '--bid', 'b1', '--purge', '--yes').exit_code == 0
    assert counts() == {'batches': 1, 'tasks': 1, 'reports': 1, 'work_sessions': 1}
    assert AbstractAnswer.objects.get().task == WorkSession.objects.get().task == other


def test_counters_agree_after_a_purge(runner, plain):
    user, (one,), (other,) = make_user(), make_tasks(plain, 1, batch='b1'), make_tasks(plain, 1, batch='b2')
    for task in (one, other):
        answer(plain, task, user)
    runner('batches', 'del', '--bid', 'b1', '--purge', '--yes')
    assert list(consistency.check()) == []
    assert (user.reload().processed, plain.get_leaders()) == (1, [(user.id, 1)])


def test_answers_of_a_plugin_that_is_gone_are_not_deleted_by_the_way(runner, plain):
    (task,) = make_tasks(plain, 1, batch='b1')
    answer(plain, task, make_user())
    for name, cls in (('tasks', 'AbstractTask.Gone'), ('reports', 'AbstractAnswer.Gone')):
        get_db()[name].update_many({}, {'$set': {'_cls': cls}})
    before = counts()
    result = runner('batches', 'del', '--bid', 'b1', '--yes')
    assert (result.exit_code, 'holds 1 answers' in result.output, counts()) == (1, True, before)
    assert runner('batches', 'del', '--bid', 'b1', '--purge', '--yes').exit_code == 0
    assert counts() == dict.fromkeys(before, 0)


def test_batch_is_not_deleted_without_a_yes(runner, plain):
    make_tasks(plain, 1, batch='b1')
    assert runner('batches', 'del', '--bid', 'b1', text='n\n').exit_code == 1
    assert runner('batches', 'del', text='b1\nn\n').exit_code == 1
    assert Batch.objects.count() == 1


def test_unknown_batch_is_refused_with_those_there_are(runner, plain):
    make_tasks(plain, 1, batch='b1')
    result = runner('batches', 'del', '--bid', 'nothing', '--yes')
    assert (result.exit_code, "There is no batch 'nothing'. There are: b1" in result.output) == (2, True)
    assert Batch.objects.count() == 1


# --- stats ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('answers', 'figures'),
    [
        ([], (0, 0, 0.0, 0, 0.0, '')),
        ([0, 0], (2, 0, 0.0, 0, 0.0, '0: 2')),
        ([1, 0, 0, 0], (4, 0, 0.0, 1, 12.5, '0: 3, 1: 1')),
        ([2, 1, 0], (3, 1, 33.33, 3, 50.0, '0: 1, 1: 1, 2: 1')),
        ([2, 2], (2, 2, 100.0, 4, 100.0, '2: 2')),
        ([3, 0], (2, 1, 50.0, 2, 50.0, '0: 1, 2: 1')),
    ],
)
def test_figures_of_a_batch(plain, answers, figures):
    for task, number in zip(make_tasks(plain, len(answers), batch='b1'), answers, strict=True):
        for _ in range(number):
            answer(plain, task, make_user())
    assert batch_stats(Batch.objects.get(pk='b1'), plain.redundancy) == ('b1', *figures)


def test_batches_are_shown_in_a_table(runner, plain):
    make_tasks(plain, 2, batch='b1')
    make_tasks(plain, 1, batch='b2')
    head, *rows = runner('stats', 'batch').stdout.splitlines()
    assert [column in head for column in COLUMNS] == [True] * len(COLUMNS)
    assert [row.split()[:2] for row in rows] == [['b1', '2'], ['b2', '1']]


@pytest.mark.parametrize(
    ('options', 'shown'),
    [
        ((), ['b1', 'b2', 'o1']),
        (('-n', 'b2'), ['b2']),
        (('--batch_name', 'b1'), ['b1']),
        (('-t', 'other_task'), ['o1']),
        (('--task_type', 'plain_task'), ['b1', 'b2']),
        (('-n', 'b1', '-t', 'other_task'), []),
    ],
)
def test_table_can_be_narrowed(runner, plain, other, options, shown):
    for kind, batch in ((plain, 'b1'), (plain, 'b2'), (other, 'o1')):
        make_tasks(kind, 1, batch=batch)
    rows = runner('stats', 'batch', *options).stdout.splitlines()[1:]
    assert [row.split()[0] for row in rows] == shown


@pytest.mark.parametrize(
    ('options', 'reason'),
    [(('-n', 'nothing'), "There is no batch 'nothing'"), (('-t', 'nothing'), "There is no task type 'nothing'")],
)
def test_unknown_batch_or_type_is_refused(runner, options, reason):
    result = runner('stats', 'batch', *options)
    assert (result.exit_code, reason in result.output) == (2, True)


def test_batch_of_a_plugin_that_is_not_enabled_is_shown_without_percentages(runner, plain, app, monkeypatch):
    make_tasks(plain, 1, batch='b1')
    monkeypatch.setattr(app, 'task_types', {})
    assert runner('stats', 'batch').stdout.splitlines()[1].split()[:2] == ['b1', '1']
