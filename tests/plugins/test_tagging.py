"""The task type "tagging": what counts as an answer, its settings, its samples. No database."""

import hashlib
import json
import re
from importlib.resources import files

import pytest
import vulyk_tagging
from vulyk_tagging import settings
from vulyk_tagging.models.task_types import TaggingTaskType
from vulyk_tagging.models.tasks import TaggingTask

from vulyk.models.exc import TaskValidationError
from vulyk.models.facts import check_facts

PACKAGE = files('vulyk_tagging')
SAMPLES = PACKAGE / 'samples'
ADDED = {'question'}  # to the tasks, by the plugin


def task(text='Zoë 🐝 Anna met Tom Sawyer.', labels=('PER', 'LOC')):
    return TaggingTask(id='one', task_type='tagging', task_data={'text': text, 'labels': list(labels)})


def span(start, end, label='PER', text=None, of='Zoë 🐝 Anna met Tom Sawyer.'):
    return {'start': start, 'end': end, 'label': label, 'text': of[start:end] if text is None else text}


@pytest.fixture
def task_type():
    return TaggingTaskType(settings={'ALLOW_OVERLAPS': False})


@pytest.fixture
def overlapping():
    return TaggingTaskType(settings={'ALLOW_OVERLAPS': True})


def records(name):
    return [json.loads(line) for line in (SAMPLES / name).read_text(encoding='utf-8').splitlines()]


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'spans',
    [
        [],
        [span(0, 3, text='Zoë')],
        [span(6, 10, text='Anna')],  # an emoji before it is one character, not two
        [span(4, 5, 'LOC', text='🐝')],
        [span(0, 3), span(6, 10), span(15, 25, text='Tom Sawyer')],
        [span(15, 18), span(18, 19, 'LOC'), span(19, 25)],  # touching is not overlapping
        [span(0, 26)],
        [span(1, 2, text='o')],
    ],
    ids=lambda spans: '+'.join(one['text'] for one in spans) or 'nothing',
)
def test_spans_of_the_text_in_order_are_accepted(task_type, spans):
    task_type.validate_result(task(), {'spans': spans})


@pytest.mark.parametrize(
    ('result', 'field'),
    [
        ({}, 'spans: must be a list'),
        ({'spans': None}, 'spans: must be a list'),
        ({'spans': {}}, 'spans: must be a list'),
        ({'spans': [], 'nothing': True}, "'nothing'"),
        ({'Spans': []}, "'Spans'"),
        ({'spans': ['Zoë']}, r'spans\[0\]: must be an object'),
        ({'spans': [None]}, r'spans\[0\]: must be an object'),
        ({'spans': [{'start': 0, 'end': 3, 'label': 'PER'}]}, 'must be an object with the fields'),
        ({'spans': [{**span(0, 3), 'note': ''}]}, 'must be an object with the fields'),
        ({'spans': [span(0, 3), {**span(6, 10), 'end': 10.0}]}, r'spans\[1\].end: must be a whole number'),
        ({'spans': [{**span(1, 2), 'start': True}]}, r'spans\[0\].start: must be a whole number'),
        ({'spans': [{**span(1, 2), 'start': '1'}]}, r'spans\[0\].start: must be a whole number'),
        ({'spans': [{**span(1, 2), 'start': None}]}, r'spans\[0\].start: must be a whole number'),
        ({'spans': [span(-3, 3, text='Zoë')]}, r'spans\[0\].start: must be 0 or more'),
        ({'spans': [span(3, 3)]}, r'spans\[0\].start: must be 0 or more, and less than the end'),
        ({'spans': [span(3, 0, text='Zoë')]}, r'spans\[0\].start: must be 0 or more, and less than the end'),
        ({'spans': [span(15, 27, text='Tom Sawyer.')]}, r'spans\[0\].end: 27 is beyond the text, which has 26'),
        ({'spans': [span(0, 3, 'FAC')]}, r'spans\[0\].label'),
        ({'spans': [span(0, 3, 'per')]}, r'spans\[0\].label'),
        ({'spans': [span(0, 3, None)]}, r'spans\[0\].label'),
        ({'spans': [span(0, 3, ['PER'])]}, r'spans\[0\].label'),
        ({'spans': [span(0, 3, text='Zoe')]}, r'spans\[0\].text'),
        ({'spans': [span(7, 11, text='Anna')]}, r'spans\[0\].text'),  # counted in UTF-16
        ({'spans': [span(0, 3, text=None) | {'text': None}]}, r'spans\[0\].text'),
        ({'spans': [span(6, 10), span(0, 3)]}, r'spans\[1\].start: spans must be in order'),
        ({'spans': [span(0, 3), span(2, 10)]}, r'spans\[1\]: it overlaps'),
        ({'spans': [span(15, 25), span(15, 18)]}, r'spans\[1\]: it overlaps'),
        ({'spans': [span(0, 3), span(0, 3)]}, r'spans\[1\]: the same span'),
        ({'spans': [span(0, 3), span(0, 3, 'LOC')]}, r'spans\[1\]: it overlaps'),
        ({'spans': [span(0, 26), span(4, 5), span(6, 10)]}, r'spans\[1\]: it overlaps'),
    ],
)
def test_anything_else_is_refused_with_the_name_of_the_field(task_type, result, field):
    with pytest.raises(TaskValidationError, match=field):
        task_type.validate_result(task(), result)


@pytest.mark.parametrize(
    'spans',
    [
        [span(15, 18), span(15, 25)],
        [span(15, 25), span(15, 18)],
        [span(0, 10), span(6, 18)],
        [span(0, 3), span(0, 3, 'LOC')],
        [span(0, 26), span(4, 5), span(6, 10)],
    ],
)
def test_overlaps_are_accepted_where_the_site_allows_them(overlapping, spans):
    overlapping.validate_result(task(), {'spans': spans})


@pytest.mark.parametrize(
    ('spans', 'field'),
    [
        ([span(0, 3), span(0, 3)], 'the same span with the same label'),
        ([span(0, 10), span(6, 18), span(0, 10)], 'the same span with the same label'),
        ([span(6, 10), span(0, 26)], r'spans\[1\].start: spans must be in order'),
    ],
)
def test_doubles_and_disorder_are_refused_even_then(overlapping, spans, field):
    with pytest.raises(TaskValidationError, match=field):
        overlapping.validate_result(task(), {'spans': spans})


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        (['PER', 'LOC'], ['PER', 'LOC']),
        ([{'value': 'PER', 'label': 'Person', 'description': 'people'}, 'LOC'], ['PER', 'LOC']),
        ([{'label': 'no value'}, 7, None, ['PER'], {'value': 3}], []),
        ('PER', []),
        (None, []),
    ],
)
def test_labels_are_texts_or_objects_with_a_value(given, expected):
    assert TaggingTask(task_data={'text': 'x', 'labels': given}).labels == expected


@pytest.mark.parametrize('data', [{}, {'text': None}, {'text': ['x']}, {'text': ''}])
def test_a_task_without_text_takes_no_span(task_type, data):
    empty = TaggingTask(task_data={**data, 'labels': ['PER']})
    task_type.validate_result(empty, {'spans': []})
    with pytest.raises(TaskValidationError, match='beyond the text'):
        task_type.validate_result(empty, {'spans': [span(0, 1)]})


def test_the_true_spans_are_valid_results(task_type):
    tasks = {record['key']: TaggingTask(task_data=record) for record in records('tasks.jsonl')}
    for record in records('truth.jsonl'):
        task_type.validate_result(tasks[record['key']], {'spans': record['spans']})


# --- settings ---------------------------------------------------------------------------------------------------------


def test_own_settings_count_when_the_site_says_nothing(local_settings):
    local_settings()
    assert vulyk_tagging.configure(settings) == {'ALLOW_OVERLAPS': False, 'LABELS': settings.LABELS}


def test_the_site_overrides_settings_of_the_same_name_only(local_settings):
    local_settings(
        local_settings={'ALLOW_OVERLAPS': True, 'LABELS': {'X': ('Cross', '')}, 'SECRET_KEY': 'not for plugins'}
    )
    configured = vulyk_tagging.configure(settings)
    assert configured == {'ALLOW_OVERLAPS': True, 'LABELS': {'X': ('Cross', '')}}
    task_type = TaggingTaskType(settings=configured)
    assert task_type.allow_overlaps
    assert task_type.label_names() == {'X': ['Cross', '']}


def test_every_label_of_the_samples_has_a_name_and_a_description():
    used = {label for record in records('tasks.jsonl') for label in record['labels']}
    names = TaggingTaskType(settings={'LABELS': settings.LABELS}).label_names()
    assert used == set(names)
    assert all(name and description for name, description in names.values())


# --- samples ----------------------------------------------------------------------------------------------------------


def test_every_sample_has_its_truth():
    keys = [record['key'] for record in records('tasks.jsonl')]
    truth = records('truth.jsonl')
    assert len(set(keys)) == 86
    assert keys == [record['key'] for record in truth]
    assert sum(len(record['spans']) for record in truth) == 101
    assert sum(not record['spans'] for record in truth) == 11


def test_every_sample_is_attributed():
    for record in records('tasks.jsonl'):
        assert record['work']
    facts = check_facts(json.loads((SAMPLES / 'facts.json').read_text(encoding='utf-8')))
    assert (facts['licence'], 'Bamman' in facts['attribution'], 'https://' in facts['source']) == (
        'CC BY 4.0',
        True,
        True,
    )


def test_samples_are_those_the_sources_name():
    lines = ''.join(
        json.dumps({name: value for name, value in record.items() if name not in ADDED}, ensure_ascii=False) + '\n'
        for record in records('tasks.jsonl')
    )
    assert (
        hashlib.sha256(lines.encode()).hexdigest() == '549650f7f9d3f9852804df7704f7d990f8df71512b01eb7baed55f91ca131328'
    )
    for name, checksum in {
        'LICENSE.txt': '08af4e6cb6c7284b01d2fcdccaf554ea9d66135c94895bcabd62663ecf659cb6',
        'truth.jsonl': 'ffa7bd7b2788568b9cf0c49f0adf397c2e53e4322270014d6db37636f78488fb',
    }.items():
        assert hashlib.sha256((SAMPLES / name).read_bytes()).hexdigest() == checksum, name


# --- page -------------------------------------------------------------------------------------------------------------


def test_every_sentence_of_the_script_comes_from_the_template():
    script = (PACKAGE / 'static/scripts/tagging.js').read_text(encoding='utf-8')
    template = (PACKAGE / 'templates/index.html').read_text(encoding='utf-8')
    offered = {name.replace('-', '') for name in re.findall(r'data-text-([a-z-]+)=', template)}
    assert {name.lower() for name in re.findall(r"text\('(\w+)'", script)} == offered


@pytest.mark.parametrize('name', ['index.html', 'help.html'])
def test_templates_keep_to_the_strict_content_policy(name):
    template = (PACKAGE / 'templates' / name).read_text(encoding='utf-8')
    assert not re.search(r'<script|<style|\sstyle=|\son[a-z]+=|extends', template)
