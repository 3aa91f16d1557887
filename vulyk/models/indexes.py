"""Has the database the indexes that the documents declare, and has it others?"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from bson import json_util
from mongoengine.connection import get_db
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from vulyk.models import database

MISSING, DIFFERENT, SUPERFLUOUS = 'missing', 'different', 'superfluous'
OPTIONS = ('unique', 'sparse', 'partialFilterExpression', 'expireAfterSeconds')

Key = tuple[tuple[str, Any], ...]


class Finding(NamedTuple):
    """An index that is not as declared. ``kind``: it is missing, there with other options, or nobody has declared it.

    ``name`` is that of the index in the database, '' if it is missing. ``options`` are those declared; of a superfluous one
    those it has.
    """

    kind: str
    collection: str
    key: Key
    name: str
    options: dict[str, Any]

    def __str__(self) -> str:
        fields = ', '.join(name if direction == 1 else f'{name}: {direction}' for name, direction in self.key)
        return f'{self.collection} {{{fields}}}{" (unique)" if self.options.get("unique") else ""}'


def find_differences() -> Iterator[Finding]:
    """What is not as declared, in the order of the collections; nothing if all is well. Creates nothing."""
    for collection, declared in sorted(_declared().items()):
        there = _existing(get_db()[collection])
        for identity, options in declared.items():
            if identity not in there:
                yield Finding(MISSING, collection, identity[0], '', options)
            elif there[identity][1] != options:
                yield Finding(DIFFERENT, collection, identity[0], there[identity][0], options)
        for identity, (name, options) in there.items():
            if identity not in declared:
                yield Finding(SUPERFLUOUS, collection, identity[0], name, options)


def make(finding: Finding) -> None:
    """Make a missing index, or one that is different anew; if that fails, the different one is as it was.

    :raises pymongo.errors.OperationFailure: it cannot be made, for instance because documents are not unique.
    """
    collection = get_db()[finding.collection]
    before = collection.index_information().get(finding.name)
    if before:
        collection.drop_index(finding.name)
    try:
        collection.create_index(list(finding.key), **finding.options)
    except OperationFailure:
        if before:
            collection.create_index(before['key'], name=finding.name, **_options(before))
        raise


def drop(finding: Finding) -> None:
    """Drop an index that nobody has declared."""
    get_db()[finding.collection].drop_index(finding.name)


Identity = tuple[Key, str]  # fields, and for which documents: there may be several of the same fields


def _declared() -> dict[str, dict[Identity, dict[str, Any]]]:
    found: dict[str, dict[Identity, dict[str, Any]]] = {}
    for model in database.MODELS:
        indexes = found.setdefault(model._get_collection_name(), {})  # type: ignore[attr-defined]
        for spec in model._meta['index_specs']:  # type: ignore[attr-defined]
            options = _options(spec)
            indexes[_identity(tuple(spec['fields']), options)] = options
    return found


def _existing(collection: Collection[dict[str, Any]]) -> dict[Identity, tuple[str, dict[str, Any]]]:
    found = {}
    for name, facts in collection.index_information().items():
        if name != '_id_':
            options = _options(facts)
            key = tuple((field, direction) for field, direction in facts['key'])
            found[_identity(key, options)] = (name, options)
    return found


def _options(facts: dict[str, Any]) -> dict[str, Any]:
    """Those options that matter, unless they have no effect; conditions as plain dictionaries."""
    options = {name: facts[name] for name in OPTIONS if name in facts and facts[name] not in (None, False)}
    if 'partialFilterExpression' in options:
        options['partialFilterExpression'] = json_util.loads(json_util.dumps(options['partialFilterExpression']))
    return options


def _identity(key: Key, options: dict[str, Any]) -> Identity:
    return key, json_util.dumps(options.get('partialFilterExpression'))
