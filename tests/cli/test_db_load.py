"""``db load``: all of it, or nothing and a sentence."""

import bz2
import gzip
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from bson import Decimal128
from mongoengine.connection import get_db
from pymongo.errors import ConnectionFailure
from vulyk_plain.models.task_types import PlainTaskType
from vulyk_plain.models.tasks import PlainTask

from tests.factories import make_user
from vulyk import loading
from vulyk.models.audit import AuditRecord
from vulyk.models.tasks import Batch
from vulyk.models.transaction import in_transaction

LINES = b'{"n": 1}\n{"n": 2}\n'
PNG = b'\x89PNG\r\n\x1a\n' + bytes(8)


def numbers() -> list[int]:
    return sorted(task.task_data['n'] for task in PlainTask.objects)


def assert_nothing_loaded() -> None:
    for collection in ('tasks', 'batches', 'loads'):
        assert get_db()[collection].count_documents({}) == 0


def test_load_is_in_the_audit_log_and_a_dry_run_is_not(runner, tmp_path):
    (tmp_path / 'a.jsonl').write_bytes(LINES)
    for more in (['--dry-run'], []):
        runner('db', 'load', 'plain_task', str(tmp_path / 'a.jsonl'), '--batch', 'zoo', *more)
    record = AuditRecord.objects.get()
    assert (record.action, record.subject) == ('tasks.load', 'batch zoo')
    assert record.after == {'type': 'plain_task', 'tasks': 2, 'files': ['a.jsonl']}


# --- files ------------------------------------------------------------------------------------------------------------


FILES = {
    'a.jsonl': LINES,
    'a': LINES,
    'a.js': LINES,
    'a.jsonl.gz': gzip.compress(LINES),
    'a.bz2': bz2.compress(LINES),
    'two-streams.gz': gzip.compress(b'{"n": 1}\n') + gzip.compress(b'{"n": 2}\n'),
    'windows.jsonl': LINES.replace(b'\n', b'\r\n'),
    'no newline at the end': LINES.rstrip(),
    'blank lines': b'\n \n{"n": 1}\n\t\r\n\n{"n": 2}\n\n',
    'bom.jsonl': b'\xef\xbb\xbf' + LINES,
    'bom.gz': gzip.compress(b'\xef\xbb\xbf' + LINES),
    '[1].jsonl': LINES,
    'ſß 🐝.jsonl': LINES,
}


@pytest.mark.parametrize(('name', 'content'), FILES.items(), ids=FILES)
def test_file_is_loaded_into_the_default_batch(runner, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    result = runner('db', 'load', 'plain_task', str(tmp_path / name))
    assert (result.exit_code, 'Finished loading 2 tasks' in result.output) == (0, True)
    assert numbers() == [1, 2]
    batch = Batch.objects.get()
    assert (batch.id, batch.task_type, batch.tasks_count, batch.closed) == ('default', 'plain_task', 2, False)


@pytest.mark.parametrize('pattern', ['*.jsonl', '?.jsonl', '[ab].jsonl', '**/*.jsonl'])
def test_quoted_wildcard_names_all_files_it_matches(runner, write, tmp_path, pattern):
    write('a.jsonl', {'n': 1})
    write('b.jsonl', {'n': 2})
    assert runner('db', 'load', 'plain_task', str(tmp_path / pattern)).exit_code == 0
    assert (numbers(), Batch.objects.get().tasks_count) == ([1, 2], 2)


def test_duplicates_are_counted_and_not_loaded_twice(runner, write):
    path = write('a.jsonl', {'n': 1}, {'n': 1}, {'n': 2})
    assert '1 records are tasks already' in runner('db', 'load', 'plain_task', path).output
    again = runner('db', 'load', 'plain_task', path)
    assert (again.exit_code, '3 records are tasks already' in again.output) == (0, True)
    assert (numbers(), Batch.objects.get().tasks_count) == ([1, 2], 2)


def test_hostile_records_are_loaded_as_they_are(runner, write):
    record = {'_id': 1, '_cls': 'x', '$ref': {'$id': 2}, 'a.b': {'': None}}
    assert runner('db', 'load', 'plain_task', write('a.jsonl', record)).exit_code == 0
    assert PlainTask.objects.get().task_data == record


BAD = {
    'bad JSON': (b'{"n": 1}\n\n{"n": \n', 'a.jsonl, line 3: task: not valid JSON'),
    'a list': (b'{"n": 1}\n[1]\n', 'a.jsonl, line 2: task: must be a JSON object, not a list'),
    'null': (b'null\n', 'a.jsonl, line 1: task: must be a JSON object, not null'),
    'an empty object': (b'{"n": 1}\n{}\n', 'a.jsonl, line 2: task: must not be empty'),
    'NaN': (b'{"n": NaN}\n', 'a.jsonl, line 1: task: NaN is not a JSON number'),
    '2**70': (b'{"n": 1180591620717411303424}\n', 'a.jsonl, line 1: task.n: the number does not fit 64 bit'),
    'invalid UTF-8': (b'{"n": 1}\n{"n": "\xff"}\n', 'a.jsonl, line 2: task: byte 7 is not valid UTF-8'),
    'UTF-16': ('{"n": 1}\n'.encode('utf-16'), 'a.jsonl, line 1: the file is UTF-16; save it as UTF-8'),
    'an array over many lines': (b'[\n{"n": 1}\n]\n', 'a.jsonl, line 1: task: not valid JSON'),
    'NUL in a key': (b'{"n\\u0000": 1}\n', 'a.jsonl, line 1: task: the key'),
}


@pytest.mark.parametrize(('content', 'reason'), BAD.values(), ids=BAD)
def test_bad_line_is_named_and_nothing_is_loaded(runner, tmp_path, write, content, reason):
    (tmp_path / 'a.jsonl').write_bytes(content)
    result = runner('db', 'load', 'plain_task', write('0.jsonl', {'n': 0}), str(tmp_path / 'a.jsonl'))
    assert result.exit_code == 2
    assert reason in result.output
    assert 'Nothing was loaded' in result.output
    assert_nothing_loaded()


def broken_in_the_middle(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(byte ^ 0xFF for byte in data[middle : middle + 20]) + data[middle + 20 :]


MANY = b''.join(json.dumps({'n': number, 'x': os.urandom(8).hex()}).encode() + b'\n' for number in range(500))
BROKEN = {
    'truncated gz': ('a.gz', gzip.compress(MANY)[:-100]),
    'gz without its end': ('a.gz', gzip.compress(LINES)[:-4]),
    'corrupt gz': ('a.gz', broken_in_the_middle(gzip.compress(MANY))),
    'no gz': ('a.gz', LINES),
    'empty gz': ('a.gz', gzip.compress(LINES)[:5]),
    'truncated bz2': ('a.bz2', bz2.compress(MANY)[:-100]),
    'corrupt bz2': ('a.bz2', broken_in_the_middle(bz2.compress(MANY))),
    'no bz2': ('a.bz2', LINES),
}


@pytest.mark.parametrize(('name', 'content'), BROKEN.values(), ids=BROKEN)
def test_broken_archive_is_named_and_nothing_is_loaded(runner, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    result = runner('db', 'load', 'plain_task', str(tmp_path / name))
    assert (result.exit_code, f'{name}, ' in result.output, 'Nothing was loaded' in result.output) == (2, True, True)
    assert_nothing_loaded()


def test_table_whose_fields_cannot_be_stored_is_refused(runner, tmp_path):
    (tmp_path / 'a.csv').write_bytes(b'a,b\0c\n1,2\n')
    result = runner('db', 'load', 'plain_task', str(tmp_path / 'a.csv'))
    assert (result.exit_code, 'a.csv, ' in result.output) == (2, True)
    assert_nothing_loaded()


@pytest.mark.parametrize(
    ('path', 'reason'),
    [
        ('missing.jsonl', 'There is no file'),
        ('*.nothing', 'There is no file'),
        ('.', 'cannot be read'),
        ('', 'no file'),
    ],
)
def test_path_that_is_no_file_is_refused(runner, write, tmp_path, path, reason):
    result = runner('db', 'load', 'plain_task', write('0.jsonl', {'n': 0}), str(tmp_path / path) if path else '')
    assert (result.exit_code, reason in result.output) == (2, True)
    assert_nothing_loaded()


def test_no_file_at_all_is_wrong_use(runner):
    result = runner('db', 'load', 'plain_task')
    assert (result.exit_code, "Missing argument 'PATH" in result.output) == (2, True)


def test_unknown_type_is_refused_with_those_there_are(runner, write, app, monkeypatch):
    monkeypatch.setitem(app.plugin_errors, 'vulyk_broken', 'ImportError: no module named x')
    result = runner('db', 'load', 'no_such_type', write('a.jsonl', {'n': 1}))
    assert result.exit_code == 2
    assert "There is no task type 'no_such_type'. Enabled: plain_task" in result.output
    assert 'Plugin vulyk_broken is left out: ImportError: no module named x' in result.output


# --- batches ----------------------------------------------------------------------------------------------------------


def test_named_batch_is_made_with_the_facts_of_its_type(runner, write):
    assert runner('db', 'load', 'plain_task', write('a.jsonl', {'n': 1}), '--batch', 'b1').exit_code == 0
    batch = Batch.objects.get()
    assert (batch.id, batch.batch_meta, batch.redundancy) == ('b1', {'weight': 1.0, 'urgent': False, 'note': ''}, 2)


def test_named_batch_cannot_be_extended(runner, write):
    runner('db', 'load', 'plain_task', write('a.jsonl', {'n': 1}), '--batch', 'b1')
    result = runner('db', 'load', 'plain_task', write('b.jsonl', {'n': 2}), '--batch', 'b1')
    assert (result.exit_code, 'Batch with id b1 already exists' in result.output) == (2, True)
    assert numbers() == [1]


def test_default_batch_is_extended_and_opened_again(runner, write):
    runner('db', 'load', 'plain_task', write('a.jsonl', {'n': 1}))
    Batch.objects.update(set__closed=True, set__tasks_processed=1)
    assert runner('db', 'load', 'plain_task', write('b.jsonl', {'n': 2}), '--batch', 'default').exit_code == 0
    batch = Batch.objects.get()
    assert (batch.tasks_count, batch.tasks_processed, batch.closed) == (2, 1, False)


def test_default_batch_of_a_second_type_has_the_types_name(runner, write, other):
    runner('db', 'load', 'plain_task', write('a.jsonl', {'n': 1}))
    for _ in range(2):
        assert runner('db', 'load', 'other_task', write('b.jsonl', {'n': 2})).exit_code == 0
        assert runner('db', 'load', 'other_task', write('c.jsonl', {'n': 3}), '--batch', 'default').exit_code == 0
    assert {batch.id: (batch.task_type, batch.tasks_count) for batch in Batch.objects} == {
        'default': ('plain_task', 1),
        'default_other_task': ('other_task', 2),
    }


def test_batch_of_another_type_is_refused_with_its_owner(runner, write, other):
    runner('db', 'load', 'plain_task', write('a.jsonl', {'n': 1}), '--batch', 'b1')
    result = runner('db', 'load', 'other_task', write('b.jsonl', {'n': 2}), '--batch', 'b1')
    assert (result.exit_code, 'plain_task' in result.output) == (2, True)
    assert numbers() == [1]


@pytest.mark.parametrize('batch', ['', ' ', 'x' * 51])
def test_impossible_batch_id_is_refused(runner, write, batch):
    result = runner('db', 'load', 'plain_task', write('a.jsonl', {'n': 1}), '--batch', batch)
    assert (result.exit_code, '1 to 50 characters' in result.output) == (2, True)
    assert_nothing_loaded()


def test_reserved_batch_id_is_refused(runner, write):
    result = runner('db', 'load', 'plain_task', write('a.jsonl', {'n': 1}), '--batch', '__all__')
    assert (result.exit_code, '__all__' in result.output) == (2, True)
    assert_nothing_loaded()


def test_same_record_in_two_types_is_two_tasks(runner, write, other):
    path = write('a.jsonl', {'n': 1})
    assert runner('db', 'load', 'plain_task', path).exit_code == runner('db', 'load', 'other_task', path).exit_code == 0
    assert PlainTask.objects.count() == 2


class OwnImport(PlainTaskType):
    """A plugin with an import of its own, which returns nothing."""

    def import_tasks(self, tasks, batch):
        super().import_tasks([{**task, 'n': task['n'] * 10} for task in tasks], batch)


def test_plugin_with_an_import_of_its_own_is_counted(runner, write, app, monkeypatch):
    monkeypatch.setitem(app.task_types, 'plain_task', OwnImport({}))
    assert 'Finished loading 2 tasks' in runner('db', 'load', 'plain_task', write('a', {'n': 1}, {'n': 2})).output
    assert (numbers(), Batch.objects.get().tasks_count) == ([10, 20], 2)


# --- facts of a batch -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('key', 'text', 'value'),
    [
        ('weight', '2', Decimal128('2')),
        ('weight', '0.10', Decimal128('0.10')),
        ('weight', '-1e3', Decimal128(Decimal('-1e3'))),
        ('urgent', 'true', True),
        ('urgent', '1', True),
        ('urgent', 'TRUE', True),
        ('urgent', 'False', False),
        ('urgent', '0', False),
        ('note', 'any text', 'any text'),
        ('note', '', ''),
        ('note', '7', '7'),
    ],
)
def test_fact_is_converted_to_the_kind_of_its_default(runner, write, key, text, value):
    result = runner('db', 'load', 'plain_task', write('a', {'n': 1}), '--batch', 'b', '--meta', key, text)
    assert result.exit_code == 0
    assert get_db().batches.find_one()['batchMeta'] == {'weight': 1.0, 'urgent': False, 'note': '', key: value}


def test_several_facts_can_be_given(runner, write):
    meta = ('--meta', 'urgent', '1', '--meta', 'note', 'x')
    assert runner('db', 'load', 'plain_task', write('a', {'n': 1}), '--batch', 'b', *meta).exit_code == 0
    assert (Batch.objects.get().batch_meta['urgent'], Batch.objects.get().batch_meta['note']) == (True, 'x')


@pytest.mark.parametrize(
    ('key', 'text', 'reason'),
    [
        ('nonsense', '1', '--meta nonsense: plain_task has no such fact. It knows: weight, urgent, note'),
        ('weight', 'much', "--meta weight: 'much' is not a number"),
        ('weight', '', "--meta weight: '' is not a number"),
        ('weight', 'NaN', "--meta weight: 'NaN' is not a number"),
        ('weight', 'Infinity', "--meta weight: 'Infinity' is not a number"),
        ('weight', '1' * 40, '--meta weight: '),
        ('weight', '1e9999', "--meta weight: '1e9999' is not a number"),
        ('urgent', 'maybe', "--meta urgent: 'maybe' is not true or false"),
        ('urgent', '2', "--meta urgent: '2' is not true or false"),
        ('urgent', '', "--meta urgent: '' is not true or false"),
    ],
)
def test_wrong_fact_is_refused_before_anything_is_read(runner, tmp_path, key, text, reason):
    (tmp_path / 'a').write_text('not even read')
    result = runner('db', 'load', 'plain_task', str(tmp_path / 'a'), '--batch', 'b', '--meta', key, text)
    assert (result.exit_code, reason in result.output) == (2, True)
    assert_nothing_loaded()


def test_facts_for_a_batch_that_exists_are_refused_instead_of_forgotten(runner, write):
    runner('db', 'load', 'plain_task', write('a', {'n': 1}))
    result = runner('db', 'load', 'plain_task', write('b', {'n': 2}), '--meta', 'urgent', 'true')
    assert (result.exit_code, '--meta' in result.output) == (2, True)
    assert numbers() == [1]


# --- files of tasks ---------------------------------------------------------------------------------------------------


def test_files_of_tasks_are_found_beside_the_data_file(runner, write, tmp_path, other):
    (tmp_path / 'images').mkdir()
    (tmp_path / 'images' / 'a.png').write_bytes(PNG)
    assert runner('db', 'load', 'other_task', write('a.jsonl', {'image': 'images/a.png'})).exit_code == 0
    task = PlainTask.objects.get()
    assert (task.task_data, list(task.media)) == ({'image': 'images/a.png'}, ['images/a.png'])


@pytest.mark.parametrize('image', ['b.png', '../a.png', 7, ['a.png'], None, ''], ids=str)
def test_missing_file_of_a_task_is_named_with_its_line(runner, write, tmp_path, other, image):
    (tmp_path / 'a.png').write_bytes(PNG)
    result = runner('db', 'load', 'other_task', write('a.jsonl', {'image': 'a.png'}, {'image': image}))
    assert (result.exit_code, 'a.jsonl, line 2: image: ' in result.output) == (2, True)
    assert_nothing_loaded()


def test_files_of_hosts_that_are_not_allowed_are_told_and_not_copied(runner, write, app, monkeypatch, other):
    monkeypatch.setitem(app.config, 'MEDIA_ORIGINS', ['https://good.example'])
    addresses = ['https://good.example/a.png', 'https://other.example/b.png', 'https://other.example/c.png']
    result = runner('db', 'load', 'other_task', write('a', *({'image': address} for address in addresses)))
    assert (result.exit_code, PlainTask.objects.count()) == (0, 3)
    assert result.output.count('Tasks show files of https://other.example, which is not in MEDIA_ORIGINS') == 1
    assert 'good.example' not in result.output
    assert get_db()['media.files'].count_documents({}) == 0


def test_picture_of_too_many_bytes_is_refused(runner, write, app, monkeypatch, tmp_path, other):
    monkeypatch.setitem(app.config, 'MEDIA_MAX_BYTES', 10)
    (tmp_path / 'a.png').write_bytes(PNG)
    result = runner('db', 'load', 'other_task', write('a.jsonl', {'image': 'a.png'}))
    assert (result.exit_code, "'a.png' has more than 10 bytes (setting MEDIA_MAX_BYTES)" in result.output) == (2, True)
    assert_nothing_loaded()


# --- interrupted ------------------------------------------------------------------------------------------------------


def test_load_whose_last_answer_from_the_database_was_lost_keeps_what_is_stored(runner, write, monkeypatch):
    def commit_and_lose_the_answer(work):
        in_transaction(work)
        raise ConnectionFailure('connection reset')

    monkeypatch.setattr(loading, 'in_transaction', commit_and_lose_the_answer)
    runner('db', 'load', 'plain_task', write('a', {'n': 1}))
    assert (numbers(), Batch.objects.get().tasks_count) == ([1], 1)


def test_load_that_fails_at_its_end_leaves_nothing(runner, write, monkeypatch):
    def fail(*args, **kwargs):
        raise ConnectionFailure('connection reset')

    monkeypatch.setattr('vulyk.batches.add_batch', fail)
    runner('db', 'load', 'plain_task', write('a', {'n': 1}))
    assert_nothing_loaded()


# --- two at once ------------------------------------------------------------------------------------------------------


def test_of_two_loads_of_one_batch_at_once_exactly_one_succeeds(app, settings, write, tmp_path):
    (tmp_path / 'local_settings.py').write_text(''.join(f'{key} = {value!r}\n' for key, value in settings.items()))
    fixtures = Path(sys.modules['vulyk_plain'].__file__).parents[1]
    environ = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(fixtures), *sys.path])}
    command = [sys.executable, '-c', 'from vulyk.control import main; main()', 'db', 'load', 'plain_task']
    paths = [write(f'{name}.jsonl', *({'n': name, 'i': number} for number in range(300))) for name in (1, 2)]
    loads = [
        subprocess.Popen(
            [*command, path, '--batch', 'b1'], cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for path in paths
    ]
    said = [load.communicate()[1].decode() for load in loads]
    assert sorted(load.returncode for load in loads) == [0, 2], said
    assert 'Traceback' not in ''.join(said)
    assert (len(set(numbers())), PlainTask.objects.count(), Batch.objects.get().tasks_count) == (1, 300, 300)


def test_loaded_tasks_can_be_solved(runner, write, plain):
    runner('db', 'load', 'plain_task', write('a', {'n': 1}))
    (task,) = PlainTask.objects
    assert plain.get_next(make_user())['id'] == task.id


@pytest.mark.parametrize('name', ['default_' + 'x' * 42, 'x' * 50])
def test_default_batch_of_a_type_with_a_long_name_is_refused_in_a_sentence(runner, write, app, monkeypatch, name):
    kind = type('Long', (PlainTaskType,), {'type_name': name})({})
    monkeypatch.setitem(app.task_types, name, kind)
    runner('db', 'load', 'plain_task', write('a', {'n': 1}))
    result = runner('db', 'load', name, write('b', {'n': 2}))
    assert (result.exit_code, '--batch' in result.output) == (2, True)


# --- what people are told about a batch -------------------------------------------------------------------------------


def test_facts_come_from_a_file(runner, write):
    facts = write('facts.json', {'title': {'en': 'Cats', 'uk': 'Коти'}, 'licence': 'CC0 1.0', 'lang': 'en'})
    assert runner('db', 'load', 'plain_task', write('a', {'n': 1}), '--batch', 'b', '--facts', facts).exit_code == 0
    batch = Batch.objects.get()
    assert batch.facts == {'title': {'en': 'Cats', 'uk': 'Коти'}, 'licence': 'CC0 1.0', 'lang': 'en'}
    assert batch.batch_meta == {'weight': 1.0, 'urgent': False, 'note': ''}


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (b'{"author": "x"}', 'author: there is no such fact'),
        (b'{"title": 7}', 'title: must be a text'),
        (b'["title"]', 'must be a JSON object, not a list'),
        (b'{"title": "\xff"}', 'is not valid UTF-8'),
        (None, 'cannot be read'),
    ],
    ids=str,
)
def test_wrong_facts_are_refused_before_anything_is_read(runner, tmp_path, content, reason):
    (tmp_path / 'a').write_text('not even read')
    if content is not None:
        (tmp_path / 'f.json').write_bytes(content)
    path = str(tmp_path / 'f.json')
    result = runner('db', 'load', 'plain_task', str(tmp_path / 'a'), '--batch', 'b', '--facts', path)
    assert (result.exit_code, f'--facts {path}: ' in result.output, reason in result.output) == (2, True, True)
    assert_nothing_loaded()


def test_facts_for_the_default_batch_that_exists_are_refused(runner, write):
    runner('db', 'load', 'plain_task', write('a', {'n': 1}))
    facts = write('facts.json', {'title': 'x'})
    result = runner('db', 'load', 'plain_task', write('b', {'n': 2}), '--facts', facts)
    assert (result.exit_code, '--facts: batch default exists' in result.output) == (2, True)
