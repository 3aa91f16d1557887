"""The task type "transcription": what counts as an answer, its settings, its samples. No database."""

import hashlib
import json
import re
import unicodedata
from importlib.resources import files

import pytest
import vulyk_transcription
from vulyk_transcription import settings
from vulyk_transcription.models.task_types import TranscriptionTaskType, special_characters
from vulyk_transcription.models.tasks import TranscriptionTask

from vulyk.models.exc import TaskValidationError
from vulyk.models.facts import check_facts

PACKAGE = files('vulyk_transcription')
SAMPLES = PACKAGE / 'samples'
TASK = TranscriptionTask(id='one', task_type='transcription', task_data={'image': 'images/one.png'})


@pytest.fixture
def task_type():
    return TranscriptionTaskType(settings={'SPECIAL_CHARACTERS': 'ſ ⸗'})


def records(name):
    return [json.loads(line) for line in (SAMPLES / name).read_text(encoding='utf-8').splitlines()]


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'result',
    [
        {'text': 'x'},
        {'text': 'raloge von andern Arten unterſcheidet.'},
        {'text': '  unterge⸗ '},
        {'text': 'a\u0308'},  # two code points: composed by the page, but not insisted on
        {'text': '𝔉𝔯𝔞𝔨𝔱𝔲𝔯'},
        {'text': 'x' * 2000},
        {'text': '𝔉' * 2000},
        {'illegible': True},
    ],
)
def test_a_text_or_illegible_is_accepted(task_type, result):
    task_type.validate_result(TASK, result)


@pytest.mark.parametrize(
    ('result', 'field'),
    [
        ({}, 'text'),
        ({'text': ''}, 'text'),
        ({'text': ' \t\n\u00a0\u2003'}, 'text'),
        ({'text': None}, 'text'),
        ({'text': 1800}, 'text'),
        ({'text': ['a line']}, 'text'),
        ({'text': 'x' * 2001}, '2001'),
        ({'illegible': False}, 'illegible'),
        ({'illegible': 1}, 'illegible'),
        ({'illegible': 'true'}, 'illegible'),
        ({'illegible': None}, 'illegible'),
        ({'text': 'a line', 'illegible': True}, 'illegible'),
        ({'text': 'a line', 'illegible': False}, 'illegible'),
        ({'text': 'a line', 'language': 'de'}, 'language'),
        ({'Text': 'a line'}, 'Text'),
    ],
)
def test_anything_else_is_refused_with_the_name_of_the_field(task_type, result, field):
    with pytest.raises(TaskValidationError, match=field):
        task_type.validate_result(TASK, result)


def test_the_true_texts_are_valid_results(task_type):
    for record in records('truth.jsonl'):
        task_type.validate_result(TASK, {'text': record['text']})


# --- settings ---------------------------------------------------------------------------------------------------------


def test_own_settings_count_when_the_site_says_nothing(local_settings):
    local_settings()
    assert vulyk_transcription.configure(settings) == {'SPECIAL_CHARACTERS': settings.SPECIAL_CHARACTERS}


def test_the_site_overrides_settings_of_the_same_name_only(local_settings):
    local_settings(local_settings={'SPECIAL_CHARACTERS': 'þ ð', 'SECRET_KEY': 'not for plugins'})
    configured = vulyk_transcription.configure(settings)
    assert configured == {'SPECIAL_CHARACTERS': 'þ ð'}
    assert [character.text for character in TranscriptionTaskType(settings=configured).special_characters] == ['þ', 'ð']


@pytest.mark.parametrize(
    ('setting', 'expected'),
    [
        ('', []),
        ('ſ', [('ſ', 'latin small letter long s', '1')]),
        (
            ['⸗', 'a\u0364', '⸗'],
            [
                ('⸗', 'double oblique hyphen', '1'),
                ('a\u0364', 'latin small letter a, combining latin small letter e', '2'),
            ],
        ),
        ('\ue000', [('\ue000', 'U+E000', '1')]),
    ],
)
def test_the_pad_has_a_button_per_text_with_its_name_and_digit(setting, expected):
    assert [tuple(character) for character in special_characters(setting)] == expected


def test_only_the_first_ten_characters_have_digits():
    digits = [character.digit for character in special_characters('a b c d e f g h i j k l')]
    assert digits == ['1', '2', '3', '4', '5', '6', '7', '8', '9', '0', '', '']


def test_the_default_pad_has_what_the_samples_need_and_keyboards_lack():
    needed = {letter for record in records('truth.jsonl') for letter in record['text'] if not letter.isascii()}
    assert needed <= {character.text for character in special_characters(settings.SPECIAL_CHARACTERS)}


# --- samples ----------------------------------------------------------------------------------------------------------


def test_every_sample_has_its_picture_and_truth():
    tasks = records('tasks.jsonl')
    keys = [record['key'] for record in tasks]
    assert len(set(keys)) == 51
    assert keys == [record['key'] for record in records('truth.jsonl')]
    assert {record['image'] for record in tasks} == {f'images/{file.name}' for file in (SAMPLES / 'images').iterdir()}


def test_every_sample_is_attributed():
    for record in records('tasks.jsonl'):
        assert record['work']
        identifier = record['source_url'].removeprefix('https://archive.org/details/')
        assert f'/{identifier}_' in record['source']
    facts = check_facts(json.loads((SAMPLES / 'facts.json').read_text(encoding='utf-8')))
    assert (facts['licence'], 'Baiter' in facts['attribution'], 'https://' in facts['source']) == (
        'CC BY 4.0',
        True,
        True,
    )


def test_true_texts_are_what_the_page_would_post():
    for record in records('truth.jsonl'):
        assert record['text'] == unicodedata.normalize('NFC', record['text']).strip()


def test_pictures_and_truth_are_those_the_sources_name():
    lines = ''.join(
        f'{hashlib.sha256(file.read_bytes()).hexdigest()}  images/{file.name}\n'
        for file in sorted((SAMPLES / 'images').iterdir(), key=lambda file: file.name)
    )
    assert (
        hashlib.sha256(lines.encode()).hexdigest() == 'deb5defea1ceb600ebde8be6ab7d50d4c57651421afab53ad654b5907c585161'
    )
    for name, checksum in {
        'LICENSE.txt': 'bb5e0179a1e9bdb55634a4303784cf73c297a1dcee27b92cd546bf398075531c',
        'truth.jsonl': '3bce4dfb3a8ed60530a347ee4cf9797130a0373a2cbdd8d6423ab2d1fda23293',
    }.items():
        assert hashlib.sha256((SAMPLES / name).read_bytes()).hexdigest() == checksum, name


# --- page -------------------------------------------------------------------------------------------------------------


def test_every_sentence_of_the_script_comes_from_the_template():
    script = (PACKAGE / 'static/scripts/transcription.js').read_text(encoding='utf-8')
    template = (PACKAGE / 'templates/index.html').read_text(encoding='utf-8')
    offered = {name.replace('-', '') for name in re.findall(r'data-text-([a-z-]+)=', template)}
    assert {name.lower() for name in re.findall(r"text\('(\w+)'", script)} == offered


@pytest.mark.parametrize('name', ['index.html', 'help.html'])
def test_templates_keep_to_the_strict_content_policy(name):
    template = (PACKAGE / 'templates' / name).read_text(encoding='utf-8')
    assert not re.search(r'<script|<style|\sstyle=|\son[a-z]+=|extends', template)
