"""JSON of strangers comes back as it went in, or is refused with a sentence."""

import json
from typing import Any

import pytest
from mongoengine.connection import get_db
from mongoengine.errors import ValidationError
from vulyk_plain.models.tasks import PlainAnswer, PlainTask

from tests.factories import answer, make_tasks, make_user
from vulyk.models.exc import MalformedResultError, ResultTooLargeError
from vulyk.models.fields import MAX_BSON_BYTES, MAX_DEPTH, check_storable, decode, encode, parse_json_object


def nested(depth: int) -> dict[str, Any]:
    """``{'a': {'a': … {}}}``, ``depth`` objects in all."""
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {'a': value}
    return value


HOSTILE = {
    '_id': {'_id': 7, 'list': [{'_id': None}]},
    '_cls': {'_cls': 'AbstractAnswer.PlainAnswer'},
    '_cls of nothing': {'_cls': 'NoSuchClass', 'deep': [{'_cls': 'User'}]},
    '_ref': {'_ref': {'$ref': 'user', '$id': 1}},
    '_ref and _cls': {'_ref': 1, '_cls': 'User'},
    'DBRef': {'$ref': 'user', '$id': '1'},
    'DBRef inside': {'a': [{'b': {'$ref': 'user', '$id': 1, '$db': 'other', 'x': 2}}]},
    '$ref alone': {'$ref': None},
    '$x': {'$x': 1, 'a': {'$set': {'b': 1}}},
    'an operator': {'$where': 'sleep(1000)'},
    'extended JSON': {'$oid': '5f43a1b2c3d4e5f6a7b8c9d0', 'd': {'$date': 0}, 'n': {'$numberDecimal': '1.5'}},
    'a.b': {'a.b': 1, 'c': {'d.e.f': [2], '.': 3}},
    'empty keys': {'': {'': {'': ''}}},
    'our own wrapper': {'$json': '{"x": 1}'},
    'our own wrapper inside': {'a': {'$json': 'not json'}},
    'our own wrapper with more': {'$json': 1, 'b': 2},
    'empty': {},
    'depth 100': nested(100),
    'lists of lists': {'a': [[[[]]], [{}], [None]]},
    'a big text': {'text': 'ſßä⸗ 🐝' * 100_000},
    'many keys': {str(number): number for number in range(20_000)},
    'numbers': {'min': -(2**63), 'max': 2**63 - 1, '53': 2**53 + 1, 'tiny': 5e-324, 'huge': 1.7e308, 'zero': -0.0},
    'kinds': {'true': True, 'false': False, 'null': None, 'one': 1, 'one.0': 1.0},
    'NUL in a text': {'text': 'a\0b'},
    'names of methods': {'items': 1, 'keys': 2, '__class__': 3, 'pk': 4, 'id': 5},
    'order of keys': {'z': 1, 'a': 2, '_id': 3, 'm': 4},
}


@pytest.mark.parametrize('value', HOSTILE.values(), ids=HOSTILE)
def test_object_comes_back_from_the_database_as_it_was(plain, value):
    user, (task,) = make_user(), make_tasks(plain, 1)
    plain.on_task_done(user, task.id, value)
    assert json.dumps(PlainAnswer.objects.get(task=task).result) == json.dumps(value)


@pytest.mark.parametrize('value', [value for value in HOSTILE.values() if value])
def test_task_data_comes_back_from_the_database_as_it_was(plain, value):
    plain.import_tasks([value], 'b')
    assert json.dumps(PlainTask.objects.get().task_data) == json.dumps(value)


@pytest.mark.parametrize('value', HOSTILE.values(), ids=HOSTILE)
def test_parsing_the_text_of_an_object_gives_the_object(value):
    assert json.dumps(parse_json_object(json.dumps(value))) == json.dumps(value)
    assert json.dumps(parse_json_object(json.dumps(value, ensure_ascii=False).encode())) == json.dumps(value)


@pytest.mark.parametrize('value', HOSTILE.values(), ids=HOSTILE)
def test_decode_undoes_encode(value):
    assert json.dumps(decode(encode(value))) == json.dumps(value)


def test_hostile_answers_are_exported_as_they_were(plain):
    (task,) = make_tasks(plain, 1)
    for value in list(HOSTILE.values())[:2]:
        answer(plain, task, make_user(), value)
    (line,) = plain.export_reports('default')
    assert [entry['answer'] for entry in line] == list(HOSTILE.values())[:2]


def test_ordinary_objects_are_stored_as_documents_that_scripts_can_query(plain):
    (task,) = make_tasks(plain, 1)
    answer(plain, task, make_user(), {'a.b': 1, 'word': {'text': 'x'}})
    assert get_db().reports.find_one({'result.word.text': 'x'})['result'] == {'a.b': 1, 'word': {'text': 'x'}}


def test_stored_object_can_be_found_by_its_value(plain):
    answer(plain, make_tasks(plain, 1)[0], make_user(), {'$ref': 1})
    assert PlainAnswer.objects(result={'$ref': 1}).count() == 1


@pytest.mark.parametrize(
    'query',
    [{'task_data__n': 7}, {'task_data__n__gt': 6}, {'task_data__n__in': [7, 8]}, {'task_data__place__city': 'Львів'}],
    ids=str,
)
def test_queries_can_look_inside(plain, query):
    plain.import_tasks([{'n': 7, 'place': {'city': 'Львів'}}, {'n': 1}], 'b')
    assert [task.task_data['n'] for task in PlainTask.objects(**query)] == [7]


REFUSED = {
    'empty': ('', 'not valid JSON'),
    'blank': (' \n', 'not valid JSON'),
    'cut off': ('{"a": ', 'not valid JSON'),
    'two values': ('{} {}', 'not valid JSON'),
    'single quotes': ("{'a': 1}", 'not valid JSON'),
    'NaN': ('{"a": NaN}', 'NaN is not a JSON number'),
    'Infinity': ('{"a": [Infinity]}', 'Infinity is not a JSON number'),
    '-Infinity': ('{"a": -Infinity}', '-Infinity is not a JSON number'),
    '1e400': ('{"a": {"b": 1e400}}', 'result.a.b: inf is not a JSON number'),
    '2**70': (f'{{"a": {2**70}}}', 'result.a: the number does not fit 64 bit'),
    '2**63': (f'{{"a": [0, {2**63}]}}', 'result.a[1]: the number does not fit 64 bit'),
    '-2**63 - 1': (f'{{"a": {-(2**63) - 1}}}', 'result.a: the number does not fit 64 bit'),
    'a number of 5000 digits': ('{"a": ' + '9' * 5000 + '}', 'not valid JSON'),
    'NUL in a key': (r'{"a": {"b\u0000c": 1}}', 'result.a: the key'),
    'half a surrogate pair': (r'{"a": "x\ud800"}', 'result.a: half of a surrogate pair at character 1'),
    'half a surrogate pair in a key': (r'{"\udc00": 1}', 'result: half of a surrogate pair'),
    'null': ('null', 'must be a JSON object, not null'),
    'a list': ('[{}]', 'must be a JSON object, not a list'),
    'a text': ('"{}"', 'must be a JSON object, not a text'),
    'a number': ('1', 'must be a JSON object, not a number'),
    'a fraction': ('1.5', 'must be a JSON object, not a number'),
    'true': ('true', 'must be a JSON object, not true or false'),
    'too deep': (json.dumps(nested(MAX_DEPTH + 1)), f'nested deeper than {MAX_DEPTH} levels'),
    'a depth bomb of objects': ('{"a":' * 100_000 + '1' + '}' * 100_000, f'nested deeper than {MAX_DEPTH} levels'),
    'a depth bomb of lists': ('{"a":' + '[' * 100_000 + ']' * 100_000 + '}', f'nested deeper than {MAX_DEPTH} levels'),
    'invalid UTF-8': (b'{"a": "\xff"}', 'byte 7 is not valid UTF-8'),
    'UTF-8 of half a surrogate pair': (b'{"a": "\xed\xa0\x80"}', 'byte 7 is not valid UTF-8'),
    'UTF-16': ('{"a": 1}'.encode('utf-16'), 'is not valid UTF-8'),
}


@pytest.mark.parametrize(('text', 'reason'), REFUSED.values(), ids=REFUSED)
def test_text_that_cannot_be_kept_is_refused_with_the_place(text, reason):
    with pytest.raises(MalformedResultError, match='^result') as refusal:
        parse_json_object(text)
    assert reason in str(refusal.value)


def test_message_calls_the_thing_by_the_name_it_was_given():
    with pytest.raises(MalformedResultError, match=r'^task\.a: '):
        parse_json_object(f'{{"a": {2**70}}}', what='task')


@pytest.mark.parametrize('depth', [100, MAX_DEPTH])
def test_deepest_object_that_is_accepted_can_be_stored(plain, depth):
    (task,) = make_tasks(plain, 1)
    answer(plain, task, make_user(), parse_json_object(json.dumps(nested(depth))))
    assert PlainAnswer.objects.get().result == nested(depth)


def test_object_larger_than_a_document_is_refused_as_too_large():
    with pytest.raises(ResultTooLargeError, match='result: .* bytes are more than'):
        check_storable({'text': 'x' * MAX_BSON_BYTES})


@pytest.mark.parametrize(
    'value',
    [{1: 'a'}, {'a': {1, 2}}, {'a': b'bytes'}, {'a': (1, 2)}, {'a': object()}, {None: 1}, {'a': float('nan')}],
    ids=['number as key', 'set', 'bytes', 'tuple', 'object', 'None as key', 'nan'],
)
def test_python_values_that_are_no_json_are_refused(value):
    with pytest.raises(MalformedResultError):
        check_storable(value)


@pytest.mark.parametrize('value', [[1], 'text', 7, {'a': 2**70}, {'a\0b': 1}], ids=repr)
def test_document_with_such_a_value_is_not_saved(plain, value):
    (task,) = make_tasks(plain, 1)
    with pytest.raises(ValidationError):
        PlainAnswer(task=task, created_by=make_user(), task_type='plain_task', result=value).save()
    assert PlainAnswer.objects.count() == 0


@pytest.mark.parametrize('value', [{'x': 2**70}, {'x': float('inf')}, {'a\0': 1}, [], None, 'text'], ids=repr)
def test_result_that_cannot_be_kept_stores_nothing(plain, value):
    (task,) = make_tasks(plain, 1)
    with pytest.raises(MalformedResultError, match='^result'):
        plain.on_task_done(make_user(), task.id, value)
    assert PlainAnswer.objects.count() == task.reload().users_count == 0
