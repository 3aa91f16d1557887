"""The task type "images": what counts as an answer, its settings, its samples. No database."""

import csv
import hashlib
import json
import re
from importlib.resources import files

import pytest
import vulyk_images
from vulyk_images import settings
from vulyk_images.models.task_types import ImageChoiceTaskType
from vulyk_images.models.tasks import ImageTask

from vulyk.models.exc import TaskValidationError

PACKAGE = files('vulyk_images')
SAMPLES = PACKAGE / 'samples'
CATS = ['domestic', 'small_wild', 'big']


@pytest.fixture
def task_type():
    return ImageChoiceTaskType(settings={'SUBMIT_ON_CHOICE': False})


def task(choices):
    return ImageTask(id='one', task_type='images', task_data={'image': 'images/one.jpg', 'choices': choices})


def records(name):
    return [json.loads(line) for line in (SAMPLES / name).read_text(encoding='utf-8').splitlines()]


def rows(name):
    return list(csv.DictReader((SAMPLES / name).read_text(encoding='utf-8').splitlines()))


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('choices', 'chosen'),
    [
        (CATS, 'domestic'),
        (CATS, 'big'),
        ([{'value': 'yes', 'label': 'Yes, it is'}, 'no'], 'yes'),
        ([{'value': 'yes', 'label': 'Yes, it is'}, 'no'], 'no'),
        ([1, 2], 2),
        ([1, True], True),
        (['', 'a'], ''),
        (['ſ', 'ß'], 'ſ'),
    ],
)
def test_one_of_the_choices_is_accepted(task_type, choices, chosen):
    task_type.validate_result(task(choices), {'choice': chosen})


@pytest.mark.parametrize(
    ('result', 'field'),
    [
        ({}, 'choice'),
        ({'choice': None}, 'choice'),
        ({'choice': 'Domestic cat'}, 'choice'),
        ({'choice': 'domestic '}, 'choice'),
        ({'choice': ['domestic']}, 'choice'),
        ({'choice': {'value': 'domestic'}}, 'choice'),
        ({'choice': 0}, 'choice'),
        ({'choice': 'domestic', 'note': 'sure'}, 'note'),
        ({'Choice': 'domestic'}, 'Choice'),
    ],
)
def test_anything_else_is_refused_with_the_name_of_the_field(task_type, result, field):
    with pytest.raises(TaskValidationError, match=field):
        task_type.validate_result(task(CATS), result)


@pytest.mark.parametrize(('choices', 'chosen'), [([1], True), ([1], 1.0), ([1], '1'), ([True], 1), (['1'], 1)])
def test_values_of_another_type_are_other_values(task_type, choices, chosen):
    with pytest.raises(TaskValidationError, match='choice'):
        task_type.validate_result(task(choices), {'choice': chosen})


@pytest.mark.parametrize('choices', [None, [], 'domestic', {'domestic': 1}, [{'label': 'no value'}]])
def test_task_without_usable_choices_takes_no_answer(task_type, choices):
    for chosen in ('domestic', None, ''):
        with pytest.raises(TaskValidationError, match='choice'):
            task_type.validate_result(task(choices), {'choice': chosen})


def test_answers_of_the_samples_are_valid_results(task_type):
    choices = {record['key']: task(record['choices']) for record in records('tasks.jsonl')}
    for row in rows('answers.csv'):
        task_type.validate_result(choices[row['task']], task_type.sample_result(row['answer']))


# --- settings ---------------------------------------------------------------------------------------------------------


def test_own_settings_count_when_the_site_says_nothing(local_settings):
    local_settings()
    assert vulyk_images.configure(settings) == {'SUBMIT_ON_CHOICE': False}


@pytest.mark.parametrize('place', ['local_settings', 'vulyk_local_settings'])
def test_the_site_overrides_settings_of_the_same_name_only(local_settings, place):
    local_settings(**{place: {'SUBMIT_ON_CHOICE': True, 'SECRET_KEY': 'not for plugins', 'submit_on_choice': 3}})
    configured = vulyk_images.configure(settings)
    assert configured == {'SUBMIT_ON_CHOICE': True}
    assert ImageChoiceTaskType(settings=configured).submit_on_choice is True


# --- samples ----------------------------------------------------------------------------------------------------------


def test_every_sample_has_its_photo_truth_answers_and_attribution():
    tasks = records('tasks.jsonl')
    keys = [record['key'] for record in tasks]
    assert len(set(keys)) == 47
    assert (
        keys == [record['key'] for record in records('truth.jsonl')] == [row['key'] for row in rows('attribution.csv')]
    )
    assert set(keys) == {row['task'] for row in rows('answers.csv')}
    assert {record['image'] for record in tasks} == {f'images/{file.name}' for file in (SAMPLES / 'images').iterdir()}


def test_every_sample_offers_labelled_choices_and_the_true_one_among_them():
    truth = {record['key']: record['label'] for record in records('truth.jsonl')}
    for record in records('tasks.jsonl'):
        assert record['choices'] == CATS == list(record['labels'])
        assert truth[record['key']] in record['choices']


def test_every_sample_is_attributed_without_giving_the_answer_away():
    licences = {row['key']: row['original_licence'] for row in rows('attribution.csv')}
    animals = re.compile(
        r'panthera|uncia|felis|leopard|jaguar|cheetah|lynx|puma|bengal|savannah|ocelot|_cat|cat_', re.I
    )
    for record in records('tasks.jsonl'):
        assert record['author']
        assert record['licence'] == licences[record['key']]
        assert not animals.search(record['source_url'] + record.get('author_url', ''))


def test_pictures_and_lists_are_those_the_sources_name():
    lines = ''.join(
        f'{hashlib.sha256(file.read_bytes()).hexdigest()}  images/{file.name}\n'
        for file in sorted((SAMPLES / 'images').iterdir(), key=lambda file: file.name)
    )
    assert (
        hashlib.sha256(lines.encode()).hexdigest() == '34e9619f2fc623b487f6cfa2056b914d37666bc5dc50ac70e0ccbab1e0c00508'
    )
    for name, checksum in {
        'LICENSE.txt': '23ee78c8bae49cf08ea2f0c84945c66b987ebe4520881fb51b3dad4fb43d07c2',
        'answers.csv': 'a6f5c62a9928fd9268531f4decc100ae7641cc0cc342111c9e26f3f701876913',
        'attribution.csv': '4d40afacd7070022a6d490f8cc7cc6bffe4b71b4816d306821ff13c485be6c9f',
        'truth.jsonl': '8ea8557f22085adf90d14fc87e9d38ac1e0e94426572fc7890f2ccf886698653',
    }.items():
        assert hashlib.sha256((SAMPLES / name).read_bytes()).hexdigest() == checksum, name


# --- page -------------------------------------------------------------------------------------------------------------


def test_every_sentence_of_the_script_comes_from_the_template():
    script = (PACKAGE / 'static/scripts/images.js').read_text(encoding='utf-8')
    template = (PACKAGE / 'templates/index.html').read_text(encoding='utf-8')
    offered = {name.replace('-', '') for name in re.findall(r'data-text-([a-z-]+)=', template)}
    used = {
        name.lower()
        for name in re.findall(r"text\('(\w+)'|'(NoChoices|Choose|Loading|Broken)'", script)
        for name in name
        if name
    }
    assert used | {'author'} == offered


@pytest.mark.parametrize('name', ['index.html', 'help.html'])
def test_templates_keep_to_the_strict_content_policy(name):
    template = (PACKAGE / 'templates' / name).read_text(encoding='utf-8')
    assert not re.search(r'<script|<style|\sstyle=|\son[a-z]+=|extends', template)
