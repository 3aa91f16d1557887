"""JSON objects of strangers, kept exactly as they came."""

import json
import math
from typing import Any

import bson
from flask_babel import gettext
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
            raise MalformedResultError(
                gettext('%(what)s: byte %(start)s is not valid UTF-8.', what=what, start=error.start)
            ) from error
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except _ConstantError as error:
        raise MalformedResultError(
            gettext('%(what)s: %(value)s is not a JSON number; send null or a text instead.', what=what, value=error)
        ) from error
    except RecursionError as error:
        raise MalformedResultError(
            gettext('%(what)s: nested deeper than %(limit)s levels.', what=what, limit=MAX_DEPTH)
        ) from error
    except ValueError as error:
        raise MalformedResultError(
            gettext('%(what)s: not valid JSON (%(reason)s).', what=what, reason=error)
        ) from error
    if not isinstance(value, dict):
        raise MalformedResultError(
            gettext('%(what)s: must be a JSON object, not %(value)s.', what=what, value=_json_kind(value))
        )
    check_storable(value, what=what)
    return value


def check_storable(value: dict[str, Any], *, what: str = 'result') -> None:
    """Raise :class:`MalformedResultError` unless the object comes back from the database exactly as it is."""
    _check(value, what, 1)
    try:
        size = len(bson.encode({'value': value}))
    except (bson.errors.InvalidDocument, OverflowError) as error:
        raise MalformedResultError(
            gettext('%(what)s: cannot be stored (%(reason)s).', what=what, reason=error)
        ) from error
    if size > MAX_BSON_BYTES:
        raise ResultTooLargeError(
            gettext(
                '%(what)s: %(size)s bytes are more than the %(limit)s that can be stored.',
                what=what,
                size=f'{size:,}',
                limit=f'{MAX_BSON_BYTES:,}',
            )
        )


class VerbatimField(BaseField):  # type: ignore[misc]  # mongoengine has no types
    """A JSON object, returned exactly as it was stored, whatever its keys (``_id``, ``_cls``, ``$x``, ``a.b``, ````).

    mongoengine's ``DictField`` refuses ``$x`` and turns ``{'_cls': …}`` into documents; the driver turns ``{'$ref': …}``
    into a DBRef. An object that holds such a key is stored as its JSON text, in bytes, under the single key ``json``:
    JSON has no bytes, so that no object can be mistaken for a stored one.
    """

    def validate(self, value: Any) -> None:
        if not isinstance(value, dict):
            self.error(gettext('Only JSON objects (dictionaries) may be used here'))
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
        raise MalformedResultError(
            gettext('%(what)s: nested deeper than %(limit)s levels.', what=path.split('.')[0], limit=MAX_DEPTH)
        )
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise MalformedResultError(
                    gettext('%(path)s: the key %(key)s is not a text.', path=path, key=repr(key))
                )
            if '\0' in key:
                raise MalformedResultError(
                    gettext('%(path)s: the key %(key)s holds a NUL character.', path=path, key=repr(key))
                )
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
            raise MalformedResultError(
                gettext('%(path)s: the number does not fit 64 bit; send it as a text.', path=path)
            )
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise MalformedResultError(gettext('%(path)s: %(value)s is not a JSON number.', path=path, value=value))
    else:
        raise MalformedResultError(
            gettext('%(path)s: %(name)s is not a JSON value.', path=path, name=type(value).__name__)
        )


def _check_text(text: str, path: str) -> None:
    try:
        text.encode('utf-8')
    except UnicodeEncodeError as error:
        raise MalformedResultError(
            gettext('%(path)s: half of a surrogate pair at character %(start)s.', path=path, start=error.start)
        ) from error


class _ConstantError(Exception):
    pass


def _refuse_constant(name: str) -> None:
    raise _ConstantError(name)


def _json_kind(value: Any) -> str:
    if value is None:
        return 'null'
    number = gettext('a number')
    kinds: dict[type, str] = {
        bool: gettext('true or false'),
        list: gettext('a list'),
        str: gettext('a text'),
        int: number,
        float: number,
    }
    return kinds[type(value)]
