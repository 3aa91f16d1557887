"""What files ``db load`` reads, what it tells about them, and what is left of a load that was killed."""

import bz2
import gzip
import json
import lzma
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import zstandard
from mongoengine.connection import get_db
from vulyk_plain.models.tasks import PlainTask

from tests.cli.test_db_load import assert_nothing_loaded, numbers
from vulyk import loading
from vulyk.models.tasks import AbstractTask, Batch, Load

LINES = b'{"n": 1}\n{"n": 2}\n'
TABLE = b'name,note\nAnn,"a, ""b""\nand c"\n\nBob,\n'
ROWS = [{'name': 'Ann', 'note': 'a, "b"\nand c'}, {'name': 'Bob', 'note': ''}]
MANY = b''.join(b'{"n": %d, "x": "%s"}\n' % (number, os.urandom(8).hex().encode()) for number in range(500))


def data() -> list[dict]:
    return [task.task_data for task in PlainTask.objects.order_by('order')]


# --- formats ----------------------------------------------------------------------------------------------------------


PACKED = {
    'a.jsonl.xz': lzma.compress(LINES),
    'a.zst': zstandard.compress(LINES),
    'two frames.zst': zstandard.compress(b'{"n": 1}\n') + zstandard.compress(b'{"n": 2}\n'),
    'A.JSONL.GZ': gzip.compress(LINES),
}


@pytest.mark.parametrize(('name', 'content'), PACKED.items(), ids=PACKED)
def test_packed_lines_are_unpacked(runner, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert runner('db', 'load', 'plain_task', str(tmp_path / name)).exit_code == 0
    assert numbers() == [1, 2]


TABLES = {
    'a.csv': TABLE,
    'A.CSV': b'\xef\xbb\xbf' + TABLE,
    'windows.csv': TABLE.replace(b'\nAnn', b'\r\nAnn').replace(b'\n\nBob,\n', b'\r\n\r\nBob,\r\n'),
    'a.csv.gz': gzip.compress(TABLE),
    'a.csv.bz2': bz2.compress(TABLE),
    'a.csv.xz': lzma.compress(TABLE),
    'a.csv.zst': zstandard.compress(TABLE),
}


@pytest.mark.parametrize(('name', 'content'), TABLES.items(), ids=TABLES)
def test_rows_of_a_table_are_tasks_with_the_fields_of_its_first_line(runner, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert runner('db', 'load', 'plain_task', str(tmp_path / name)).exit_code == 0
    assert sorted(data(), key=lambda task: task['name']) == ROWS


REFUSED = {
    'truncated xz': ('a.xz', lzma.compress(MANY)[:-100], 'a.xz, after line '),
    'truncated zst': ('a.zst', zstandard.compress(MANY)[:-100], 'the archive is cut off'),
    'no zst': ('a.zst', LINES, 'the archive is damaged or cut off'),
    'no xz': ('a.xz', LINES, 'the archive is damaged or cut off'),
    'short row': ('a.csv', b'a,b\n1,2\n3\n', 'a.csv, line 3: task: 1 values for 2 fields.'),
    'long row': ('a.csv', b'a,b\n1,2,3\n', 'a.csv, line 2: task: 3 values for 2 fields.'),
    'field twice': ('a.csv', b'a,a\n1,2\n', 'a.csv, line 1: the first line must name every field once'),
    'field without a name': ('a.csv', b'a,\n1,2\n', 'a.csv, line 1: the first line must name every field once'),
    'open quotes': ('a.csv', b'a,b\n1,"2\n', 'a.csv, after line '),
    'CSV in UTF-16': ('a.csv', 'a,b\n1,2\n'.encode('utf-16'), 'a.csv, line 1: the file is UTF-16'),
    'CSV in Latin-1': ('a.csv', 'a,b\n1,ä\n'.encode('latin-1'), 'a.csv, after line '),
    'UTF-32': ('a.jsonl', LINES.decode().encode('utf-32'), 'a.jsonl, line 1: the file is UTF-32'),
}


@pytest.mark.parametrize(('name', 'content', 'reason'), REFUSED.values(), ids=REFUSED)
def test_file_that_is_not_right_is_named_and_nothing_is_loaded(runner, tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    result = runner('db', 'load', 'plain_task', str(tmp_path / name))
    assert (result.exit_code, 'Nothing was loaded' in result.output) == (2, True)
    assert reason in result.output
    assert_nothing_loaded()


def test_line_over_the_limit_is_named_and_nothing_is_loaded(runner, tmp_path, monkeypatch):
    monkeypatch.setattr(loading, 'MAX_LINE_BYTES', 100)
    (tmp_path / 'a.jsonl').write_bytes(LINES + b'{"n": "' + b'x' * 100 + b'"}\n')
    result = runner('db', 'load', 'plain_task', str(tmp_path / 'a.jsonl'))
    assert (result.exit_code, 'a.jsonl, line 3: the line has more than 100 bytes' in result.output) == (2, True)
    assert_nothing_loaded()


# --- options ----------------------------------------------------------------------------------------------------------


def test_dry_run_tells_counts_problems_and_the_first_three_and_writes_nothing(runner, tmp_path, write):
    runner('db', 'load', 'plain_task', write('old', {'n': 0}), '--batch', 'old')
    (tmp_path / 'a').write_bytes(b'{"n": 0}\n' + LINES + b'[3]\n{"n": 4}\n')
    result = runner('db', 'load', 'plain_task', str(tmp_path / 'a'), '--dry-run', '--batch', 'b')
    assert result.exit_code == 2
    assert '4 of 5 records in 1 files are valid, 1 of them are tasks already. The first of them:' in result.output
    assert all(json.dumps({'n': number}, indent=2) in result.output for number in (0, 1, 2))
    assert json.dumps({'n': 4}, indent=2) not in result.output
    assert 'line 4: task: must be a JSON object, not a list' in result.output
    assert '1 of 5 records are not valid. Nothing was loaded.' in result.output
    assert (numbers(), [batch.id for batch in Batch.objects]) == ([0], ['old'])


def test_dry_run_without_problems_ends_well(runner, write):
    result = runner('db', 'load', 'plain_task', write('a', {'n': 1}), '--dry-run')
    assert (result.exit_code, '1 of 1 records in 1 files are valid' in result.output) == (0, True)
    assert_nothing_loaded()


def test_invalid_records_are_left_out_and_counted_on_demand(runner, tmp_path):
    (tmp_path / 'a').write_bytes(LINES + b'[3]\n{"n": NaN}\n')
    result = runner('db', 'load', 'plain_task', str(tmp_path / 'a'), '--skip-invalid')
    assert (result.exit_code, '2 records are not valid and were left out' in result.output) == (0, True)
    assert (numbers(), Batch.objects.get().tasks_count) == ([1, 2], 2)


def test_key_becomes_the_id_of_the_task(runner, write):
    path = write('a', {'n': 1, 'key': 'x-1'}, {'n': 2, 'key': 7})
    assert runner('db', 'load', 'plain_task', path, '--key', 'key').exit_code == 0
    assert {task.id for task in PlainTask.objects} == {'plain_task.x-1', 'plain_task.7'}
    again = runner('db', 'load', 'plain_task', write('b', {'n': 3, 'key': 'x-1'}), '--key', 'key')
    assert '1 records are tasks already' in again.output


@pytest.mark.parametrize('key', [None, '', 1.5, True, ['x'], 'a/b', 'x' * 200], ids=str)
def test_key_that_cannot_be_an_id_is_named_with_its_line(runner, write, key):
    path = write('a.jsonl', {'key': 'fine'}, {'key': key})
    result = runner('db', 'load', 'plain_task', path, '--key', 'key')
    assert (result.exit_code, 'a.jsonl, line 2: key: ' in result.output) == (2, True)
    assert_nothing_loaded()


# --- killed -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def command(settings, tmp_path):
    """Starts ``db load`` in a process of its own."""
    (tmp_path / 'local_settings.py').write_text(''.join(f'{key} = {value!r}\n' for key, value in settings.items()))
    fixtures = Path(sys.modules['vulyk_plain'].__file__).parents[1]
    environ = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(fixtures), *sys.path])}

    def start(*arguments: str) -> subprocess.Popen:
        program = [sys.executable, '-c', 'from vulyk.control import main; main()', 'db', 'load', 'plain_task']
        pipes = {'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT}
        return subprocess.Popen([*program, *arguments], cwd=tmp_path, env=environ, **pipes)

    return start


def test_killed_half_way_nothing_is_seen_and_the_same_command_succeeds(app, plain, command, write):
    path = write('a.jsonl', *({'n': number} for number in range(20_000)))
    process, deadline = command(path, '--batch', 'b'), time.monotonic() + 60
    while not AbstractTask._get_collection().find_one() and time.monotonic() < deadline:
        pass  # the first tasks are about to be stored
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert AbstractTask._get_collection().count_documents({}) > 0
    assert (plain.task_counts(), Batch.objects.count(), list(plain.export_reports('__all__', closed=False))) == (
        (0, 0),
        0,
        [],
    )
    again = command(path, '--batch', 'b')
    said = again.communicate()[0].decode()
    assert (again.returncode, 'Finished loading 20000 tasks' in said) == (0, True), said
    assert (PlainTask.objects.count(), Batch.objects.get().tasks_count, Load.objects.count()) == (20_000, 20_000, 1)


@pytest.mark.parametrize(
    ('holder', 'age_s', 'code'), [('elsewhere 7', 30, 2), ('elsewhere 7', 90, 0), (None, 30, 2)], ids=str
)
def test_load_of_another_process_is_respected_while_it_lives(runner, write, holder, age_s, code):
    holder = holder or loading._holder()
    seen = datetime.now(UTC) - timedelta(seconds=age_s)
    get_db().loads.insert_one({'taskType': 'plain_task', 'loading': True, 'heartbeat': seen, 'holder': holder})
    result = runner('db', 'load', 'plain_task', write('a', {'n': 1}))
    assert (result.exit_code, 'Another load of plain_task is running' in result.output) == (code, code == 2)
