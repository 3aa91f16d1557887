"""The task type "records": what counts as an answer, its settings, its samples. No database."""

import hashlib
import json
import re
import unicodedata
from importlib.resources import files

import pytest
import vulyk_records
from vulyk_records import settings
from vulyk_records.models.task_types import RecordsTaskType
from vulyk_records.models.tasks import Field, RecordsTask

from vulyk.models.exc import TaskValidationError
from vulyk.models.facts import check_facts

PACKAGE = files('vulyk_records')
SAMPLES = PACKAGE / 'samples'
FIELDS = [
    'name',
    {'name': 'title', 'required': True, 'max_length': 10},
    {'name': 'year', 'pattern': r'\d{4}', 'label': 'Year'},
]
TASK = RecordsTask(id='one', task_type='records', task_data={'image': 'images/one.jpg', 'fields': FIELDS})


def result(illegible=(), **texts):
    return {'fields': {'name': 'Passot', 'title': 'Études', 'year': '1868', **texts}, 'illegible': list(illegible)}


@pytest.fixture
def task_type():
    return RecordsTaskType(settings={'FIELDS': {}})


def records(name):
    return [json.loads(line) for line in (SAMPLES / name).read_text(encoding='utf-8').splitlines()]


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'answer',
    [
        result(),
        {'fields': result()['fields']},
        result(name=None, year=None),
        result(['name'], name=None),
        result(['year', 'title', 'name'], name=None, title=None, year=None),
        result(name='x' * 2000),
        result(title='𝔉' * 10),
        result(name='Le  Vigan'),
        result(name='👩‍👧 שלום'),
        result(name='null'),
    ],
)
def test_a_text_or_nothing_for_each_field_is_accepted(task_type, answer):
    task_type.validate_result(TASK, answer)


@pytest.mark.parametrize(
    ('answer', 'field'),
    [
        ({}, 'fields: must be an object'),
        ({'fields': None}, 'fields: must be an object'),
        ({'fields': []}, 'fields: must be an object'),
        ({'fields': {}}, 'fields.name: it is missing'),
        ({'fields': {'name': 'x', 'title': 'y'}}, 'fields.year: it is missing'),
        (result(note=None), 'fields.note: the task has no such field'),
        ({**result(), 'note': ''}, "'note'"),
        (result(name=''), 'fields.name: must be a text that is not empty'),
        (result(name=1868), 'fields.name: must be a text'),
        (result(name=False), 'fields.name: must be a text'),
        (result(name=['Passot']), 'fields.name: must be a text'),
        (result(name=' '), 'fields.name: must be one line'),
        (result(name='Passot '), 'fields.name: must be one line'),
        (result(name='\u00a0Passot'), 'fields.name: must be one line'),
        (result(name='Pas\nsot'), 'fields.name: must be one line'),
        (result(name='Pas\tsot'), 'fields.name: must be one line'),
        (result(name='Pas\u2028sot'), 'fields.name: must be one line'),
        (result(name='E\u0301mile'), 'fields.name: letters and their marks must be composed'),
        (result(name='x' * 2001), 'fields.name: 2001 characters are too many, the limit is 2000'),
        (result(title='x' * 11), 'fields.title: 11 characters are too many, the limit is 10'),
        (result(title=None), 'fields.title: it is required'),
        (result(year='19O5'), 'fields.year: it is not in the form'),
        (result(year='1905.'), 'fields.year: it is not in the form'),
        (result(year='١٩٠٥'), 'fields.year: it is not in the form'),  # digits, but not those of JavaScript's \d
        (result(['name']), 'fields.name: must be null'),
        (result(['note']), "illegible: the task has no field 'note'"),
        (result(['name', 'name'], name=None), 'illegible: every name may be there only once'),
        (result([None]), 'illegible: must be a list of names'),
        ({**result(), 'illegible': 'name'}, 'illegible: must be a list of names'),
        ({**result(), 'illegible': None}, 'illegible: must be a list of names'),
        ({**result(), 'illegible': {'name': True}}, 'illegible: must be a list of names'),
    ],
)
def test_anything_else_is_refused_with_the_name_of_the_field(task_type, answer, field):
    with pytest.raises(TaskValidationError, match=re.escape(field)):
        task_type.validate_result(TASK, answer)


def test_a_pattern_that_only_browsers_understand_is_left_to_them(task_type):
    task = RecordsTask(task_data={'fields': [{'name': 'x', 'pattern': r'\p{Lu}+'}]})
    task_type.validate_result(task, {'fields': {'x': 'anything'}})


def test_names_of_fields_may_be_anything(task_type):
    task = RecordsTask(task_data={'fields': ['a.b', '$x', '', '_id']})
    task_type.validate_result(task, {'fields': {'a.b': '1', '$x': None, '': '2', '_id': '3'}, 'illegible': ['$x']})


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        (['a', 'b'], [Field('a', False, '', 2000), Field('b', False, '', 2000)]),
        ([{'name': 'a', 'required': True, 'pattern': 'x', 'max_length': 3}], [Field('a', True, 'x', 3)]),
        (['year'], [Field('year', True, r'\d{4}', 2000)]),
        ([{'name': 'year'}], [Field('year', False, '', 2000)]),  # says all there is to say
        ([{'name': 'a', 'required': 'yes', 'pattern': 7, 'max_length': 0}], [Field('a', False, '', 2000)]),
        (['a', {'name': 'a', 'required': True}], [Field('a', False, '', 2000)]),
        ([7, None, {}, {'name': 7}, ['a']], []),
        ('a', []),
        (None, []),
    ],
)
def test_fields_are_names_or_objects_with_a_name(given, expected):
    known = {'year': {'label': 'Year', 'pattern': r'\d{4}', 'required': True}}
    assert RecordsTask(task_data={'fields': given}).form_fields(known) == expected


def test_the_true_fields_are_valid_results():
    task_type = RecordsTaskType(settings={'FIELDS': settings.FIELDS})
    tasks = {record['key']: RecordsTask(task_data=record) for record in records('tasks.jsonl')}
    for record in records('truth.jsonl'):
        task_type.validate_result(tasks[record['key']], {'fields': record['fields'], 'illegible': []})


# --- settings ---------------------------------------------------------------------------------------------------------


def test_own_settings_count_when_the_site_says_nothing(local_settings):
    local_settings()
    assert vulyk_records.configure(settings) == {'FIELDS': settings.FIELDS}


def test_the_site_overrides_settings_of_the_same_name_only(local_settings):
    local_settings(local_settings={'FIELDS': {'ort': {'label': 'Ort'}}, 'SECRET_KEY': 'not for plugins'})
    configured = vulyk_records.configure(settings)
    assert configured == {'FIELDS': {'ort': {'label': 'Ort'}}}
    assert RecordsTaskType(settings=configured).described_fields() == {'ort': {'label': 'Ort'}}


def test_every_field_of_the_samples_is_described_in_plain_texts():
    described = RecordsTaskType(settings={'FIELDS': settings.FIELDS}).described_fields()
    assert {name for record in records('tasks.jsonl') for name in record['fields']} == set(described)
    assert all(facts['label'] for facts in described.values())
    json.dumps(described)  # nothing in it waits for its translation


# --- samples ----------------------------------------------------------------------------------------------------------


def test_every_sample_has_its_picture_and_truth():
    tasks = records('tasks.jsonl')
    truth = records('truth.jsonl')
    keys = [record['key'] for record in tasks]
    assert len(set(keys)) == 30
    assert keys == [record['key'] for record in truth]
    assert [record['fields'] for record in tasks] == [list(record['fields']) for record in truth]
    assert {record['image'] for record in tasks} == {f'images/{file.name}' for file in (SAMPLES / 'images').iterdir()}


def test_every_sample_is_attributed():
    facts = check_facts(json.loads((SAMPLES / 'facts.json').read_text(encoding='utf-8')))
    assert (facts['licence'], 'Basel' in facts['attribution'], 'https://' in facts['source']) == ('CC0 1.0', True, True)


def test_true_texts_are_what_the_page_would_post():
    for record in records('truth.jsonl'):
        for text in record['fields'].values():
            assert text == unicodedata.normalize('NFC', text).strip()


def test_samples_are_those_the_sources_name():
    lines = ''.join(
        f'{hashlib.sha256(file.read_bytes()).hexdigest()}  images/{file.name}\n'
        for file in sorted((SAMPLES / 'images').iterdir(), key=lambda file: file.name)
    )
    assert (
        hashlib.sha256(lines.encode()).hexdigest() == 'f96ce6ad3be64c163c5f80c43bdfb3ba18f1948116c8a6a452954be706bfcbbe'
    )
    for name, checksum in {
        'LICENSE.txt': '948b4a88306709b94059b9354e47598611e05a269c41d6e2b43e8fdaec6c2e37',
        'tasks.jsonl': '8eb5e3703de43a47f3cee13cdce46ab4d7e4612f4a314a580fc41ee7f88afdc2',
        'truth.jsonl': 'd18bbccaa47aea7784321ae0827689ea73fd5885daa9e6fbc87339637fd94729',
    }.items():
        assert hashlib.sha256((SAMPLES / name).read_bytes()).hexdigest() == checksum, name


# --- page -------------------------------------------------------------------------------------------------------------


def test_every_sentence_of_the_script_comes_from_the_template():
    script = (PACKAGE / 'static/scripts/records.js').read_text(encoding='utf-8')
    template = (PACKAGE / 'templates/index.html').read_text(encoding='utf-8')
    offered = {name.replace('-', '') for name in re.findall(r'data-text-([a-z-]+)=', template)}
    assert {name.lower() for name in re.findall(r"text\('(\w+)'", script)} == offered


@pytest.mark.parametrize('name', ['index.html', 'help.html'])
def test_templates_keep_to_the_strict_content_policy(name):
    template = (PACKAGE / 'templates' / name).read_text(encoding='utf-8')
    assert not re.search(r'<script|<style|\sstyle=|\son[a-z]+=|extends', template)
