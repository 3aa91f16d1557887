"""``jobs`` and ``db index``: what an operator looks at when something does not work."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from mongoengine.connection import get_db

from vulyk.jobs import DEAD, LEASED, READY, Job, sweep_if_due
from vulyk.models import database
from vulyk.models.audit import AuditRecord
from vulyk.models.tasks import AbstractAnswer, Batch, Closing

NOW = datetime.now(UTC)


@pytest.fixture
def dead(app) -> Job:
    """A job that has failed too often."""
    return Job(kind='a.dead', args={'n': 1}, state=DEAD, run_at=NOW, tries=5, error='ValueError: no').save()


@pytest.fixture
def leased(app) -> Job:
    """A job somebody is at."""
    return Job(kind='a.leased', state=LEASED, run_at=NOW - timedelta(1), tries=1, lease_until=NOW).save()


def test_jobs_are_listed_with_what_went_wrong(runner, dead, leased):
    result = runner('jobs', 'list')
    assert [line.split()[1] for line in result.stdout.splitlines()] == ['Kind', 'a.leased', 'a.dead']
    assert 'ValueError: no' in result.stdout
    (row,) = json.loads(runner('jobs', 'list', '--state', 'dead', '--json').stdout)
    assert row.items() >= {'id': str(dead.id), 'state': 'dead', 'tries': 5, 'args': {'n': 1}}.items()


def test_missing_worker_is_said(runner):
    assert 'Nobody does background work now' in runner('jobs', 'list').stderr
    sweep_if_due('w', datetime.now(UTC))
    assert 'Nobody' not in runner('jobs', 'list').stderr


@pytest.mark.parametrize('which', ['id', '--dead'])
def test_dead_job_is_tried_again(runner, dead, which):
    result = runner('jobs', 'retry', str(dead.id) if which == 'id' else which)
    assert (result.exit_code, '1 jobs wait' in result.stdout) == (0, True)
    assert (dead.reload().state, dead.tries) == (READY, 0)
    assert AuditRecord.objects.get().subject == f'job {dead.id} a.dead'


def test_dead_jobs_are_discarded_after_a_question(runner, dead):
    assert runner('jobs', 'discard', '--dead', text='n\n').exit_code == 1
    assert Job.objects.count() == 1
    assert runner('jobs', 'discard', '--dead', '--yes').exit_code == 0
    assert (Job.objects.count(), AuditRecord.objects.get().action) == (0, 'job.discard')


def test_job_somebody_is_at_is_left_alone(runner, leased):
    for command in (('retry',), ('discard', '--yes')):
        assert 'is in work, or done' in runner('jobs', *command, str(leased.id)).stderr
    assert leased.reload().state == LEASED


@pytest.mark.parametrize(
    ('command', 'reason'),
    [
        (('retry',), 'Give the ids of jobs'),
        (('retry', '0' * 24), 'There is no job 0000'),
        (('retry', 'x'), "'x' is not the id of a job"),
        (('discard', '--yes', '--dead', '0' * 24), 'or --dead'),
        (('list', '--state', 'sleeping'), "'sleeping' is not one of"),
    ],
)
def test_wrong_use_is_refused_and_changes_nothing(runner, dead, command, reason):
    result = runner('jobs', *command)
    assert (result.exit_code, reason in result.output) == (2, True), result.output
    assert dead.reload().state == DEAD


# --- db index ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def closings(app, monkeypatch):
    """A collection with one index, the only one looked at, which is as declared before and afterwards."""
    monkeypatch.setattr(database, 'MODELS', [Closing])
    collection = get_db().closings
    yield collection
    collection.drop_indexes()
    collection.create_index('batch')


def kinds(result) -> list[str]:
    return [row['kind'] for row in json.loads(result.stdout)]


def test_indexes_are_as_declared(runner, closings):
    result = runner('db', 'index')
    assert (result.exit_code, result.stdout) == (0, 'All indexes are there, and no others.\n')


def test_missing_index_is_told_and_made(runner, closings):
    closings.drop_index('batch_1')
    result = runner('db', 'index')
    assert (result.exit_code, 'missing: closings {batch}' in result.stdout) == (1, True)
    assert '"db index --create" makes them' in result.stderr
    assert runner('db', 'index', '--create').exit_code == 0
    assert 'batch_1' in closings.index_information()


def test_index_with_other_options_is_made_anew(runner, closings):
    closings.drop_index('batch_1')
    closings.create_index('batch', unique=True)
    assert kinds(runner('db', 'index', '--json')) == ['different']
    assert runner('db', 'index', '--create').exit_code == 0
    assert 'unique' not in closings.index_information()['batch_1']


def test_superfluous_index_is_told_and_dropped_after_a_question(runner, closings):
    closings.create_index([('_cls', 1), ('batch', -1)])
    result = runner('db', 'index')
    assert (result.exit_code, result.stdout) == (0, 'superfluous: closings {_cls, batch: -1}\n')
    assert runner('db', 'index', '--drop', text='n\n').exit_code == 1
    assert len(closings.index_information()) == 3
    assert runner('db', 'index', '--drop', '--yes').exit_code == 0
    assert len(closings.index_information()) == 2


def test_unique_index_that_cannot_be_made_is_told_and_the_old_one_stays(runner, app, monkeypatch):
    monkeypatch.setattr(database, 'MODELS', [AbstractAnswer])
    reports = get_db().reports
    reports.insert_many([{'createdBy': 1, 'task': 't'}, {'createdBy': 2, 'task': 't'}])
    reports.drop_index('createdBy_1_task_1')
    reports.create_index([('createdBy', 1), ('task', 1)])
    reports.insert_one({'createdBy': 1, 'task': 't'})
    try:
        result = runner('db', 'index', '--create')
        assert (result.exit_code, 'Two documents have the same value' in result.stderr) == (1, True)
        assert 'createdBy_1_task_1' in reports.index_information()
    finally:
        reports.delete_many({})
        assert runner('db', 'index', '--create').exit_code == 0


# --- json of other commands -------------------------------------------------------------------------------------------


def test_what_was_loaded_checked_and_exported_is_json_for_scripts(runner, plain, write, tmp_path):
    path = write('a.jsonl', {'n': 1}, {'n': 2})
    dry = json.loads(runner('db', 'load', 'plain_task', path, '--dry-run', '--json').stdout)
    assert dry == {'valid': 2, 'invalid': 0, 'duplicates': 0, 'problems': [], 'first': [{'n': 1}, {'n': 2}]}
    loaded = json.loads(runner('db', 'load', 'plain_task', path, '--batch', 'b1', '--json').stdout)
    assert loaded == {'batch': 'b1', 'loaded': 2, 'duplicates': 0, 'invalid': 0}
    assert json.loads(runner('db', 'check', '--json').stdout) == []
    out = str(tmp_path / 'out.jsonl')
    done = json.loads(runner('db', 'export', 'plain_task', out, '--batch', 'b1', '--export-all', '--json').stdout)
    assert done == {'path': out, 'batch': 'b1', 'tasks': 2, 'answers': 0}
    Batch.objects(pk='b1').update_one(set__tasks_count=3)
    checked = runner('db', 'check', '--json')
    assert (checked.exit_code, [row['id'] for row in json.loads(checked.stdout)]) == (1, ['b1'])
