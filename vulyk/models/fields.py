"""JSON objects of strangers, kept exactly as they came."""

import json
import math
from typing import Any

import bson
from mongoengine.base import BaseField

from vulyk.models.exc import MalformedResultError, ResultTooLargeError

MAX_DEPTH = 120  # the server refuses documents nested deeper than 180 levels, ours included
MAX_BSON_BYTES = 16 * 1024 * 1024 - 64 * 1024  # room for the other fields of the document
_INT64 = 2**63
_WRAPPED = 'json'


def parse_json_object(text: str | bytes, *, what: str = 'result') -> dict[str, Any]:
    """Read a JSON object that the database can give back unchanged.

    :param text: UTF-8 bytes or text.
    :param what: how to call it in the message.
    :raises MalformedResultError: not JSON, not an object, NaN or Infinity, a number that does not fit 64 bit, a NUL in a
        key, half a surrogate pair, nested deeper than ``MAX_DEPTH``.
    :raises ResultTooLargeError: more than 16 MB as BSON.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode('utf-8')
        except UnicodeDecodeError as error:
            raise MalformedResultError(f'{what}: byte {error.start} is not valid UTF-8.') from error
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except _ConstantError as error:
        raise MalformedResultError(f'{what}: {error} is not a JSON number; send null or a text instead.') from error
    except RecursionError as error:
        raise MalformedResultError(f'{what}: nested deeper than {MAX_DEPTH} levels.') from error
    except ValueError as error:
        raise MalformedResultError(f'{what}: not valid JSON ({error}).') from error
    if not isinstance(value, dict):
        raise MalformedResultError(f'{what}: must be a JSON object, not {_json_kind(value)}.')
    check_storable(value, what=what)
    return value


def check_storable(value: dict[str, Any], *, what: str = 'result') -> None:
    """Raise :class:`MalformedResultError` unless the object comes back from the database exactly as it is."""
    _check(value, what, 1)
    try:
        size = len(bson.encode({'value': value}))
    except (bson.errors.InvalidDocument, OverflowError) as error:
        raise MalformedResultError(f'{what}: cannot be stored ({error}).') from error
    if size > MAX_BSON_BYTES:
        raise ResultTooLargeError(f'{what}: {size:,} bytes are more than the {MAX_BSON_BYTES:,} that can be stored.')


class VerbatimField(BaseField):  # type: ignore[misc]  # mongoengine has no types
    """A JSON object, returned exactly as it was stored, whatever its keys (``_id``, ``_cls``, ``$x``, ``a.b``, ````).

    mongoengine's ``DictField`` refuses ``$x`` and turns ``{'_cls': …}`` into documents; the driver turns ``{'$ref': …}``
    into a DBRef. An object that holds such a key is stored as its JSON text, in bytes, under the single key ``json``:
    JSON has no bytes, so that no object can be mistaken for a stored one.
    """

    def validate(self, value: Any) -> None:
        if not isinstance(value, dict):
            self.error('Only JSON objects (dictionaries) may be used here')
        try:
            check_storable(value, what=self.name or 'value')
        except MalformedResultError as error:
            self.error(str(error))

    def to_mongo(self, value: Any) -> Any:
        return encode(value) if isinstance(value, dict) else value

    def to_python(self, value: Any) -> Any:
        return decode(value) if isinstance(value, dict) else value

    def prepare_query_value(self, op: str | None, value: Any) -> Any:
        return self.to_mongo(value)

    def lookup_member(self, member_name: str) -> 'VerbatimField':
        """Let queries look inside, as in ``objects(task_data__year=1900)``."""
        return VerbatimField(db_field=member_name)


def encode(value: dict[str, Any]) -> dict[str, Any]:
    """The form in which an object is stored; :func:`decode` is its inverse."""
    if _needs_wrapping(value):
        return {_WRAPPED: json.dumps(value, ensure_ascii=False).encode()}
    return value


def decode(value: dict[str, Any]) -> dict[str, Any]:
    """The object behind its stored form."""
    if len(value) == 1 and isinstance(value.get(_WRAPPED), bytes):
        unwrapped: dict[str, Any] = json.loads(value[_WRAPPED])
        return unwrapped
    return value


def _needs_wrapping(value: Any) -> bool:
    if isinstance(value, dict):
        return '$ref' in value or any(map(_needs_wrapping, value.values()))
    if isinstance(value, list):
        return any(map(_needs_wrapping, value))
    return False


def _check(value: Any, path: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise MalformedResultError(f'{path.split(".")[0]}: nested deeper than {MAX_DEPTH} levels.')
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise MalformedResultError(f'{path}: the key {key!r} is not a text.')
            if '\0' in key:
                raise MalformedResultError(f'{path}: the key {key!r} holds a NUL character.')
            _check_text(key, path)
            _check(item, f'{path}.{key}', depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, f'{path}[{index}]', depth + 1)
    elif isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, bool) or value is None:
        pass
    elif isinstance(value, int):
        if not -_INT64 <= value < _INT64:
            raise MalformedResultError(f'{path}: the number does not fit 64 bit; send it as a text.')
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise MalformedResultError(f'{path}: {value} is not a JSON number.')
    else:
        raise MalformedResultError(f'{path}: {type(value).__name__} is not a JSON value.')


def _check_text(text: str, path: str) -> None:
    try:
        text.encode('utf-8')
    except UnicodeEncodeError as error:
        raise MalformedResultError(f'{path}: half of a surrogate pair at character {error.start}.') from error


class _ConstantError(Exception):
    pass


def _refuse_constant(name: str) -> None:
    raise _ConstantError(name)


def _json_kind(value: Any) -> str:
    if value is None:
        return 'null'
    kinds = {bool: 'true or false', list: 'a list', str: 'a text', int: 'a number', float: 'a number'}
    return kinds[type(value)]
