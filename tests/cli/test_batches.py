"""``batches`` and ``stats``."""

import json

import pytest
from bson import Decimal128
from mongoengine.connection import get_db

from tests.factories import answer, make_tasks, make_user
from vulyk.cli.stats import COLUMNS, batch_stats
from vulyk.ext import consistency
from vulyk.models.audit import AuditRecord
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
    assert [str(column) in head for column in COLUMNS] == [True] * len(COLUMNS)
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


def test_figures_are_json_for_scripts(runner, plain):
    for task in make_tasks(plain, 2, batch='b1')[:1]:
        answer(plain, task, make_user())
    (row,) = json.loads(runner('stats', 'batch', '--json').stdout)
    assert row == {
        'batch': 'b1',
        'tasks': 2,
        'closed_tasks': 0,
        'closed_percent': 0.0,
        'answers': 1,
        'answers_percent': 25.0,
        'tasks_by_answers': {'0': 1, '1': 1},
    }


def test_people_are_ranked_by_their_answers(runner, plain):
    ada, ben = make_user(username='ada'), make_user(username='ben')
    first, second = make_tasks(plain, 2)
    for user, task in ((ben, first), (ada, first), (ada, second)):
        answer(plain, task, user)
    rows = json.loads(runner('stats', 'users', '--json').stdout)
    assert [(row['username'], row['answers'], row['extra'], row['hours']) for row in rows] == [
        ('ada', 2, 0, 0),
        ('ben', 1, 0, 0),
    ]
    assert [line.split()[:2] for line in runner('stats', 'users', '--limit', '1').stdout.splitlines()] == [
        ['Username', 'Answers'],
        ['ada', '2'],
    ]


@pytest.mark.parametrize('options', [('--since', '2999-01-01'), ('-t', 'other_task')])
def test_ranking_can_be_narrowed(runner, plain, other, options):
    answer(plain, make_tasks(plain, 1)[0], make_user())
    assert json.loads(runner('stats', 'users', '--json', *options).stdout) == []


def test_site_is_told_in_numbers(runner, plain):
    first, _ = make_tasks(plain, 2)
    for user in (make_user(), make_user(admin=True)):
        answer(plain, first, user)
    numbers = json.loads(runner('stats', 'site', '--json').stdout)
    assert numbers.items() >= {'users': 2, 'admins': 1, 'tasks': 2, 'open_tasks': 1, 'closed_tasks': 1}.items()
    assert (numbers['answers_of_a_week'], numbers['volunteers_of_a_day']) == (2, 2)
    assert 'Volunteers of a day    2\n' in runner('stats', 'site').stdout


# --- show, pause, resume, priority, redundancy ------------------------------------------------------------------------


def audited() -> list[tuple[str, str, dict | None]]:
    """Action, subject and outcome of each record of the audit log."""
    return list(AuditRecord.objects.order_by('id').scalar('action', 'subject', 'after'))


def test_batch_is_shown_with_what_people_are_told(runner, plain):
    make_tasks(plain, 2, batch='b1')
    Batch.objects(pk='b1').update_one(set__title='Zoo', set__batch_meta={'coins': Decimal128('0.1')})
    facts = json.loads(runner('batches', 'show', 'b1', '--json').stdout)
    expected = {'id': 'b1', 'tasks': 2, 'in_hand': 0, 'paused': False, 'title': 'Zoo', 'meta': {'coins': 0.1}}
    assert facts.items() >= expected.items()
    assert 'Title         Zoo\n' in runner('batches', 'show', 'b1').stdout
    (row,) = json.loads(runner('batches', 'list', '--json').stdout)
    assert row.items() <= facts.items()


def test_paused_batch_hands_out_nothing_until_it_is_resumed(runner, plain):
    make_tasks(plain, 1, batch='b1')
    runner('batches', 'pause', 'b1')
    assert plain.get_next(make_user()) == {}
    runner('batches', 'resume', 'b1')
    assert plain.get_next(make_user())
    assert audited() == [('batch.update', 'batch b1', {'paused': state}) for state in (True, False)]


def test_batch_of_a_higher_priority_is_handed_out_first(runner, plain):
    make_tasks(plain, 1, batch='b1')
    (task,) = make_tasks(plain, 1, batch='b2')
    assert runner('batches', 'priority', 'b1', '-5').exit_code == 0
    assert plain.get_next(make_user())['id'] == task.id
    assert audited() == [('batch.update', 'batch b1', {'priority': -5})]


def test_tasks_close_when_they_need_fewer_answers(runner, plain):
    task, other_task = make_tasks(plain, 2, batch='b1')
    answer(plain, task, make_user())
    result = runner('batches', 'redundancy', 'b1', '1')
    assert (result.exit_code, '2 were changed' in result.stdout) == (0, True)
    assert (task.reload().closed, other_task.reload().closed) == (True, False)
    assert audited() == [('batch.update', 'batch b1', {'redundancy': 1})]
    assert list(consistency.check()) == []


@pytest.mark.parametrize(
    ('command', 'reason'),
    [
        (('show', 'b2'), "There is no batch 'b2'. There are: b1"),
        (('pause',), 'Missing argument'),
        (('pause', 'b1', 'b2'), "There is no batch 'b2'"),
        (('priority', 'b1', 'much'), 'is not a valid integer'),
        (('priority', 'b1', '1000001'), 'is not in the range'),
        (('redundancy', 'b1', '0'), 'is not in the range'),
    ],
)
def test_wrong_change_of_a_batch_is_refused_and_changes_nothing(runner, plain, command, reason):
    make_tasks(plain, 1, batch='b1')
    before = Batch.objects.get().to_mongo()
    result = runner('batches', *command)
    assert (result.exit_code, reason in result.output) == (2, True), result.output
    assert (Batch.objects.get().to_mongo(), AuditRecord.objects.count()) == (before, 0)


def test_deleted_batch_is_in_the_audit_log(runner, plain):
    make_tasks(plain, 1, batch='b1')
    runner('batches', 'del', '--bid', 'b1', '--yes')
    record = AuditRecord.objects.get()
    assert (record.action, record.before['tasksCount'], record.after) == ('batch.delete', 1, None)
