"""``db export``: what volunteers have answered, one line per task."""

import gzip
import json
import os
from pathlib import Path

import pytest
from vulyk_plain.models.tasks import PlainAnswer

from tests.factories import answer, make_tasks, make_user
from vulyk.exporting import writing
from vulyk.exporting.formats import Shaper
from vulyk.models.audit import AuditRecord
from vulyk.models.tasks import Batch


@pytest.fixture
def out(tmp_path) -> Path:
    """The file answers are exported to."""
    return tmp_path / 'out.jsonl'


@pytest.fixture
def work(plain):
    """Batch ``b1``: one task closed by the answers 1 and 2, one open with the answer 3, one without answers."""
    one, other, _ = make_tasks(plain, 3, batch='b1')
    for number in (1, 2):
        answer(plain, one, make_user(), {'n': number})
    answer(plain, other, make_user(), {'n': 3})
    return one


def lines(path: Path) -> list[list[dict]]:
    return [json.loads(line) for line in path.read_text(encoding='utf-8').splitlines()]


def numbers(path: Path) -> list[list[int]]:
    return sorted([entry['answer']['n'] for entry in line] for line in lines(path))


def test_closed_tasks_are_exported(runner, work, out):
    result = runner('db', 'export', 'plain_task', str(out), '--batch', 'b1')
    assert (result.exit_code, 'Finished exporting answers for 1 tasks' in result.output) == (0, True)
    assert numbers(out) == [[1, 2]]


def test_line_has_the_documented_shape(runner, work, out):
    runner('db', 'export', 'plain_task', str(out), '--batch', 'b1')
    ((first, _),) = lines(out)
    assert list(first) == ['task', 'answer', 'user']
    assert first['task'] == {'id': work.id, 'closed': True, 'data': work.task_data}
    assert (list(first['user']), first['user']['email']) == (['username', 'email'], '')


def test_all_tasks_are_exported_on_demand(runner, work, out):
    assert '3 tasks' in runner('db', 'export', 'plain_task', str(out), '--batch', 'b1', '--export-all').output
    assert numbers(out) == [[], [1, 2], [3]]


def test_sessions_are_exported_on_demand(runner, work, out):
    runner('db', 'export', 'plain_task', str(out), '--batch', 'b1', '--with-sessions')
    ((first, _),) = lines(out)
    assert set(first['session']) == {'start_time', 'end_time', 'duration', 'activity'}


def test_all_batches_are_exported_at_once(runner, work, plain, out):
    (task,) = make_tasks(plain, 1, batch='b2')
    for _ in range(2):
        answer(plain, task, make_user(), {'n': 4})
    assert runner('db', 'export', 'plain_task', str(out), '--batch', '__all__').exit_code == 0
    assert numbers(out) == [[1, 2], [4, 4]]


@pytest.mark.parametrize('batch', [(), ('--batch', 'default')])
def test_default_batch_is_exported_when_none_is_named(runner, plain, out, batch):
    (task,) = make_tasks(plain, 1)
    for _ in range(2):
        answer(plain, task, make_user(), {'n': 4})
    assert runner('db', 'export', 'plain_task', str(out), *batch).exit_code == 0
    assert numbers(out) == [[4, 4]]


def test_default_batch_of_a_second_type_is_its_own(runner, plain, other, out):
    make_tasks(plain, 1)
    (task,) = make_tasks(other, 1, batch='default_other_task')
    for _ in range(2):
        answer(other, task, make_user(), {'n': 5})
    assert runner('db', 'export', 'other_task', str(out)).exit_code == 0
    assert numbers(out) == [[5, 5]]


def test_unicode_is_written_as_utf_8(runner, plain, out):
    (task,) = make_tasks(plain, 1)
    for _ in range(2):
        answer(plain, task, make_user(), {'n': 'Львів ſ 🐝'})
    runner('db', 'export', 'plain_task', str(out))
    assert 'Львів ſ 🐝'.encode() in out.read_bytes()


# --- nothing to export ------------------------------------------------------------------------------------------------


def test_export_without_closed_tasks_says_how_many_have_answers_and_how_to_get_them(runner, plain, out):
    for task in make_tasks(plain, 3)[:2]:
        answer(plain, task, make_user())
    result = runner('db', 'export', 'plain_task', str(out))
    assert result.exit_code == 0
    assert 'Finished exporting answers for 0 tasks' in result.output
    assert 'No task is closed yet. 2 open tasks have answers; --export-all exports them too.' in result.output


@pytest.mark.parametrize('batch', ['nothing', 'default', ''])
def test_unknown_batch_is_refused_with_those_there_are(runner, work, out, batch):
    result = runner('db', 'export', 'plain_task', str(out), '--batch', batch)
    assert (result.exit_code, 'b1' in result.output, '--batch __all__' in result.output) == (2, True, True)
    assert not out.exists()


def test_batch_of_another_type_is_refused(runner, work, other, out):
    result = runner('db', 'export', 'other_task', str(out), '--batch', 'b1')
    assert (result.exit_code, 'other_task has no batch' in result.output) == (2, True)


def test_unknown_type_is_refused(runner, out):
    result = runner('db', 'export', 'no_such_type', str(out))
    assert (result.exit_code, 'There is no task type' in result.output, out.exists()) == (2, True, False)


# --- the file ---------------------------------------------------------------------------------------------------------


def test_path_in_a_folder_that_does_not_exist_is_told(runner, work, tmp_path):
    result = runner('db', 'export', 'plain_task', str(tmp_path / 'no' / 'out'), '--batch', 'b1')
    assert (result.exit_code, 'cannot be written' in result.output) == (1, True)


def test_folder_is_no_file(runner, work, tmp_path):
    assert runner('db', 'export', 'plain_task', str(tmp_path), '--batch', 'b1').exit_code == 2


def test_export_that_fails_leaves_the_old_file_alone_and_nothing_beside_it(runner, work, out, monkeypatch):
    out.write_text('of yesterday\n')

    def fail(self):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(PlainAnswer, 'as_dict', fail)
    result = runner('db', 'export', 'plain_task', str(out), '--batch', 'b1')
    assert (result.exit_code, 'No space left on device' in result.output) == (1, True)
    assert out.read_text() == 'of yesterday\n'
    assert list(out.parent.iterdir()) == [out]


def test_old_file_is_replaced(runner, work, out):
    out.write_text('of yesterday\n')
    runner('db', 'export', 'plain_task', str(out), '--batch', 'b1')
    assert numbers(out) == [[1, 2]]
    assert sorted(path.name for path in out.parent.iterdir()) == ['out.jsonl', 'out.jsonl.manifest.json']


def test_link_stays_a_link(runner, work, out, tmp_path):
    (tmp_path / 'real').mkdir()
    out.symlink_to(tmp_path / 'real' / 'answers.jsonl')
    runner('db', 'export', 'plain_task', str(out), '--batch', 'b1')
    assert out.is_symlink()
    assert numbers(tmp_path / 'real' / 'answers.jsonl') == [[1, 2]]


def test_answers_can_be_written_into_a_pipe(runner, work, tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    reader = os.open(tmp_path / 'pipe', os.O_RDONLY | os.O_NONBLOCK)
    result = runner('db', 'export', 'plain_task', str(tmp_path / 'pipe'), '--batch', 'b1')
    assert (result.exit_code, (tmp_path / 'pipe').is_fifo()) == (0, True)
    assert len(json.loads(os.read(reader, 65536))) == 2
    os.close(reader)


def test_exported_batch_may_be_closed_or_open(runner, plain, out):
    (task,) = make_tasks(plain, 1, batch='b1')
    for _ in range(2):
        answer(plain, task, make_user(), {'n': 1})
    assert Batch.objects.get().closed
    assert runner('db', 'export', 'plain_task', str(out), '--batch', 'b1').exit_code == 0


# --- formats ------------------------------------------------------------------------------------------------------------


def test_one_answer_a_line_on_demand(runner, work, out):
    runner('db', 'export', 'plain_task', str(out), '--batch', 'b1', '--format', 'jsonl')
    assert [line['answer'] for line in lines(out)] == [{'n': 1}, {'n': 2}]


def test_table_on_demand(runner, work, out):
    runner('db', 'export', 'plain_task', str(out), '--batch', 'b1', '--format', 'csv')
    first, *rows = out.read_text().splitlines()
    assert first == 'task.id,task.closed,task.data.n,answer.n,user.username,user.email'
    assert [row.split(',')[3] for row in rows] == ['1', '2']


def test_file_is_packed_as_its_name_says(runner, work, tmp_path):
    runner('db', 'export', 'plain_task', str(tmp_path / 'out.jsonl.gz'), '--batch', 'b1')
    assert len(json.loads(gzip.decompress((tmp_path / 'out.jsonl.gz').read_bytes()))) == 2


def test_standard_output_holds_the_answers_and_nothing_else(runner, work):
    result = runner('db', 'export', 'plain_task', '-', '--batch', 'b1')
    assert [entry['answer']['n'] for entry in json.loads(result.stdout)] == [1, 2]
    assert 'Finished exporting answers for 1 tasks' in result.stderr


def test_unknown_format_is_refused_with_those_there_are(runner, work, out):
    result = runner('db', 'export', 'plain_task', str(out), '--batch', 'b1', '--format', 'xls')
    assert (result.exit_code, "'tasks', 'jsonl', 'csv'" in result.output, out.exists()) == (2, True, False)


def test_table_by_name_only_is_pointed_out(runner, work, tmp_path):
    result = runner('db', 'export', 'plain_task', str(tmp_path / 'out.csv'), '--batch', 'b1')
    assert (result.exit_code, '--format csv writes a table' in result.stderr) == (0, True)
    assert numbers(tmp_path / 'out.csv') == [[1, 2]]


def test_stream_cannot_be_resumed(runner, work):
    result = runner('db', 'export', 'plain_task', '-', '--batch', 'b1', '--resume')
    assert (result.exit_code, 'only an export into a file can be gone on with' in result.stderr) == (2, True)


# --- which --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(('since', 'expected'), [('2020-01-01', [[1, 2]]), ('2999-01-01T00:00+02:00', [])])
def test_tasks_without_newer_answers_are_left_out(runner, work, out, since, expected):
    assert runner('db', 'export', 'plain_task', str(out), '--batch', 'b1', '--since', since).exit_code == 0
    assert numbers(out) == expected


@pytest.mark.parametrize('since', ['yesterday', '2026-13-01', ''])
def test_time_that_is_none_is_refused_with_an_example(runner, work, out, since):
    result = runner('db', 'export', 'plain_task', str(out), '--batch', 'b1', '--since', since)
    assert (result.exit_code, 'Write 2026-11-20' in result.output) == (2, True)


def test_addresses_are_exported_on_demand_and_that_is_recorded(runner, work, out):
    runner('db', 'export', 'plain_task', str(out), '--batch', 'b1', '--with-emails')
    assert {entry['user']['email'].partition('@')[2] for entry in lines(out)[0]} == {'example.org'}
    entry = AuditRecord.objects.get()
    assert (entry.action, entry.subject) == ('answers.export_with_emails', 'batch b1 of plain_task')
    assert (entry.actor.endswith('on the command line'), entry.after['to']) == (True, str(out))


def test_export_without_addresses_is_not_recorded(runner, work, out):
    runner('db', 'export', 'plain_task', str(out), '--batch', 'b1')
    assert AuditRecord.objects.count() == 0


# --- going on -----------------------------------------------------------------------------------------------------------


def test_interrupted_export_tells_how_to_go_on_and_does(runner, work, out, monkeypatch):
    shape, written = Shaper.shape, []

    def fail(self, entries):
        written.append(entries)
        if len(written) == 2:
            raise OSError(28, 'No space left on device')
        return shape(self, entries)

    monkeypatch.setattr(writing, 'CHECKPOINT_BYTES', 1)
    monkeypatch.setattr(Shaper, 'shape', fail)
    result = runner('db', 'export', 'plain_task', str(out), '--batch', 'b1', '--export-all')
    assert (result.exit_code, 'the same command with --resume goes on' in result.output) == (1, True)
    assert not out.exists()
    result = runner('db', 'export', 'plain_task', str(out), '--batch', 'b1', '--export-all', '--resume')
    assert (result.exit_code, 'for 3 tasks' in result.output) == (0, True)
    assert numbers(out) == [[], [1, 2], [3]]


def test_resuming_with_other_options_is_refused(runner, work, out, monkeypatch):
    monkeypatch.setattr(writing, 'CHECKPOINT_BYTES', 1)
    monkeypatch.setattr(writing, 'manifest', lambda *_: 1 / 0)
    runner('db', 'export', 'plain_task', str(out), '--batch', 'b1')
    result = runner('db', 'export', 'plain_task', str(out), '--batch', 'b1', '--export-all', '--resume')
    assert (result.exit_code, 'closed was True and is False' in result.output) == (2, True)
