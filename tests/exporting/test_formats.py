"""The forms in which answers leave."""

import csv
import doctest
import io

import pytest

from vulyk.exporting import formats
from vulyk.exporting.formats import COMPRESSORS, Packer, Shaper, flatten, neutral, stream
from vulyk.loading import open_anything
from vulyk.models.exc import TaskExportError


def rows(*tasks: list) -> list[list[str]]:
    """The rows of a table of these tasks."""
    return list(csv.reader(io.StringIO(b''.join(stream(tasks, Shaper('csv'))).decode(), newline='')))


@pytest.mark.parametrize(
    ('value', 'flat'),
    [
        ({'a': 1}, {'a': 1}),
        ({'a': {'b': {'c': 1}, 'd': 2}}, {'a.b.c': 1, 'a.d': 2}),
        ({'a.b': 1, 'a': {'b': 2}}, {'a\\.b': 1, 'a.b': 2}),
        ({'a\\': {'b': 1}, 'a\\.b': 2}, {'a\\\\.b': 1, 'a\\\\\\.b': 2}),
        ({'': {'': 1}}, {'.': 1}),
        ({'a': {}, 'b': [], 'c': [{'d': 1}], 'e': None}, {'a': {}, 'b': [], 'c': [{'d': 1}], 'e': None}),
        ({}, {}),
    ],
    ids=str,
)
def test_nested_fields_get_paths_that_cannot_be_mistaken(value, flat):
    assert flatten(value) == flat


@pytest.mark.parametrize('text', ['=1+1', '+1', '-1', '@x', '\t=1', '\r=1', '\n=1', '＝1', '-'])
def test_text_that_would_be_a_formula_is_marked_as_text(text):
    assert neutral(text) == f"'{text}"


@pytest.mark.parametrize('text', ['', 'a=1', "'=1", ' =1', '1', 'ſ'])
def test_any_other_text_stays_as_it_is(text):
    assert neutral(text) == text


def test_table_has_a_column_for_every_field_and_a_row_for_every_answer():
    tasks = [{'task': {'id': 'a'}, 'answer': {'x': 1}}], [], [{'task': {'id': 'b'}, 'answer': {'y': {'z': 'ß'}}}] * 2
    assert rows(*tasks) == [
        ['task.id', 'answer.x', 'answer.y.z'],
        ['a', '1', ''],
        ['b', '', 'ß'],
        ['b', '', 'ß'],
    ]


def test_columns_of_a_kind_stand_together():
    header = rows([{'task': {'id': 'a'}, 'user': {'name': 'x'}}, {'task': {'n': 1}, 'user': {}}])[0]
    assert header == ['task.id', 'task.n', 'user.name', 'user']


@pytest.mark.parametrize(
    ('value', 'cell'),
    [
        (None, ''),
        (True, 'true'),
        (-5, '-5'),
        (2**63 - 1, '9223372036854775807'),
        (1.5, '1.5'),
        ([1, 'a'], '[1,"a"]'),
        ({}, '{}'),
        ('a "b", c\nd', 'a "b", c\nd'),
        ('nul\0', 'nul\0'),
        ('=cmd()', "'=cmd()"),
    ],
    ids=repr,
)
def test_cell_holds_the_value_as_text(value, cell):
    assert rows([{'a': value, 'b': 0}]) == [['a', 'b'], [cell, '0']]


def test_name_of_a_column_is_no_formula_either():
    assert rows([{'=a': 1}]) == [["'=a"], ['1']]


def test_table_without_answers_is_empty():
    assert rows([], []) == []


def test_table_with_more_columns_than_spreadsheets_open_is_refused(monkeypatch):
    monkeypatch.setattr(formats, 'MAX_COLUMNS', 2)
    with pytest.raises(TaskExportError, match='more than 2 different fields.*jsonl'):
        rows([{'a': 1, 'b': 2}], [{'c': 3}])


def test_entries_of_plugins_that_are_no_objects_are_rows_too():
    assert rows([7, 'x']) == [['value'], ['7'], ['x']]


@pytest.mark.parametrize('suffix', ['', '.txt', *COMPRESSORS])
def test_archive_can_be_gone_on_with_where_it_was_cut(tmp_path, suffix):
    path = tmp_path / f'a{suffix}'
    with path.open('w+b') as file:
        packer = Packer(file, suffix)
        packer.write(b'one ')
        end = packer.cut()
        packer.write(b'lost')
        packer.finish()
        file.truncate(end)
        file.seek(end)
        packer = Packer(file, suffix)
        packer.write(b'two')
        packer.finish()
    with open_anything(str(path)) as file:
        assert file.read() == b'one two'


@pytest.mark.parametrize('suffix', COMPRESSORS)
def test_archive_of_nothing_is_one(tmp_path, suffix):
    with (tmp_path / f'a{suffix}').open('wb') as file:
        Packer(file, suffix).finish()
    with open_anything(str(tmp_path / f'a{suffix}')) as file:
        assert file.read() == b''
    assert (tmp_path / f'a{suffix}').stat().st_size > 0


def test_example_in_the_docstring_is_right():
    assert doctest.testmod(formats) == (0, 1)
