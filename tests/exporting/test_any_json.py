"""Any JSON object that comes in goes out as it came: loaded, handed out, answered, exported. What cannot is refused."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.factories import empty_database, make_group, make_user
from vulyk.loading import make_id
from vulyk.models.tasks import AbstractAnswer, AbstractTask, Batch

# Names that mean something to the database, to its driver or to mongoengine; and a class for mongoengine to fall for.
NAMES = ['_id', '_cls', '_ref', '$ref', '$id', '$db', '$x', '$oid', 'a.b', '', 'json', 'id', 'pk', '__class__', 'Ω🐝']
VALUES = ['User', 'AbstractTask.PlainTask', '507f1f77bcf86cd799439011', '=1+1', 'a\0b', '\u2028', '</script>']

texts = st.text(max_size=5) | st.sampled_from(VALUES)
keys = st.sampled_from(NAMES) | st.text(max_size=3).filter(lambda text: '\0' not in text)
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(keys, values, max_size=4)
records = st.lists(objects.filter(bool), min_size=1, max_size=6, unique_by=lambda record: json.dumps(record))

without_pause = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)


def exactly(value: Any) -> str:
    """A text that tells 1 from 1.0 and true, and leaves the order of keys alone."""
    return json.dumps(value, sort_keys=True)


@without_pause
@given(records=records, results=st.lists(objects, min_size=6, max_size=6))
def test_object_comes_out_as_it_came_in(single, runner, login, tmp_path, records, results):
    empty_database()
    make_group('default', ['plain_task'])
    file, out = tmp_path / 'tasks.jsonl', tmp_path / 'answers.jsonl'
    file.write_text(''.join(json.dumps(record, ensure_ascii=False) + '\n' for record in records), encoding='utf-8')
    loaded = runner('db', 'load', 'plain_task', str(file), '--batch', 'b')
    assert loaded.exit_code == 0, loaded.output

    browser = login(make_user())
    given_to = {}
    for result in results[: len(records)]:
        task = browser.get('/type/plain_task/next').json['result']['task']
        given_to[task['id']] = (task['data'], result)
        done = browser.post(f'/type/plain_task/done/{task["id"]}', json={'result': result})
        assert done.status_code == 200, done.text
    assert sorted(exactly(data) for data, _ in given_to.values()) == sorted(map(exactly, records))

    exported = runner('db', 'export', 'plain_task', str(out), '--batch', 'b')
    assert exported.exit_code == 0, exported.output
    lines = [json.loads(line) for line in out.read_bytes().splitlines()]
    assert {entry['task']['id']: exactly([entry['task']['data'], entry['answer']]) for (entry,) in lines} == {
        task_id: exactly([data, result]) for task_id, (data, result) in given_to.items()
    }
    assert runner('db', 'check').exit_code == 0


def deep(levels: int) -> dict:
    value: dict = {}
    for _ in range(levels - 1):
        value = {'a': value}
    return value


LARGE = {
    'a megabyte': {'text': 'ſ🐝' * 180_000},
    'a hundred levels': deep(100),
    'many keys': {str(n): n for n in range(8000)},
}


@pytest.mark.parametrize('value', LARGE.values(), ids=LARGE)
@pytest.mark.parametrize('form', ['tasks', 'jsonl', 'csv'])
def test_large_objects_come_out_in_every_format(single, runner, login, tmp_path, value, form):
    (tmp_path / 'tasks.jsonl').write_text(json.dumps(value))
    assert runner('db', 'load', 'plain_task', str(tmp_path / 'tasks.jsonl'), '--batch', 'b').exit_code == 0
    browser = login(make_user())
    task = browser.get('/type/plain_task/next').json['result']['task']
    assert browser.post(f'/type/plain_task/done/{task["id"]}', json={'result': value}).status_code == 200
    out = tmp_path / 'out'
    assert runner('db', 'export', 'plain_task', str(out), '--batch', 'b', '--format', form).exit_code == 0
    if form == 'csv':
        assert out.read_text().startswith('task.id,task.closed,task.data.')
    else:
        (entry,) = json.loads(out.read_text()) if form == 'tasks' else [json.loads(out.read_text())]
        assert (entry['task']['data'], entry['answer']) == (value, value)


# --- what cannot be kept -------------------------------------------------------------------------------------------------

POISONS = {
    '9223372036854775808': 'does not fit 64 bit',
    '-9223372036854775809': 'does not fit 64 bit',
    'NaN': 'NaN is not a JSON number',
    '-Infinity': '-Infinity is not a JSON number',
    '1e999': 'inf is not a JSON number',
    r'{"a\u0000b": 1}': 'holds a NUL character',
    r'"\ud800"': 'half of a surrogate pair',
    r'{"\udfff": 1}': 'half of a surrogate pair',
    '[' * 121 + ']' * 121: 'nested deeper than 120 levels',
    f'[{"0," * 1_700_000}0]': 'more than the 16,711,680 that can be stored',
}
SHORT = [text[:30] for text in POISONS]


@pytest.mark.parametrize(('text', 'reason'), POISONS.items(), ids=SHORT)
def test_file_with_what_cannot_be_kept_is_refused_with_its_line(plain, runner, tmp_path, text, reason):
    path = tmp_path / 'tasks.jsonl'
    path.write_text(f'{{"n": 1}}\n{{"good": [1, {{"x": {text}}}]}}\n')
    result = runner('db', 'load', 'plain_task', str(path), '--batch', 'b')
    assert (result.exit_code, f'{path}, line 2: task' in result.output, reason in result.output) == (2, True, True)
    assert AbstractTask.objects.count() == Batch.objects.count() == 0


@pytest.mark.parametrize(('text', 'reason'), POISONS.items(), ids=SHORT)
def test_answer_with_what_cannot_be_kept_is_refused_with_a_sentence(plain, login, text, reason):
    plain.import_tasks([{'n': 1}], None)
    path = f'/type/plain_task/done/{make_id("plain_task", {"n": 1}, None)}'
    response = login(make_user()).post(path, data={'result': f'{{"x": {text}}}'})
    (error,) = response.json['errors']
    assert response.status_code == (413 if '16,711,680' in reason else 400)
    assert (error.startswith('result'), reason in error) == (True, True)
    assert AbstractAnswer.objects.count() == 0
