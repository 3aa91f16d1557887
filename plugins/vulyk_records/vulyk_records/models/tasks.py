"""Documents of the task type."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from vulyk.models.tasks import AbstractAnswer, AbstractTask

MAX_CHARACTERS = 2000


class Field(NamedTuple):
    """What may be typed into one field of the form. The rest of its description is for the page only."""

    name: str
    required: bool
    pattern: str
    max_length: int


class RecordsTask(AbstractTask):
    """``task_data``: ``image`` (path of the picture, relative to the data file) and ``fields``.

    ``fields`` is a list of names, or of ``{'name', 'label', 'hint', 'required', 'pattern', 'max_length', 'lang'}`` objects.
    ``language`` (or ``lang``) is the language of what is written. Shown below the form when they are there: ``credit``,
    ``licence``, ``source_url``.
    """

    def form_fields(self, known: Mapping[str, Mapping[str, Any]]) -> list[Field]:
        """The fields in the order they are shown; empty when the task names none.

        :param known: descriptions of fields that are given by their name alone.
        """
        given = self.task_data.get('fields')
        found = {}
        for one in given if isinstance(given, list) else []:
            field = _field(one, known)
            if field:
                found.setdefault(field.name, field)
        return list(found.values())


class RecordsAnswer(AbstractAnswer):
    """``result``: ``{'fields': {name: text or None}, 'illegible': [name, …]}``.

    ``None`` says that the card has nothing for the field or, for the names in ``illegible``, that it cannot be read.
    """


def _field(given: Any, known: Mapping[str, Mapping[str, Any]]) -> Field | None:
    facts = {**known.get(given, {}), 'name': given} if isinstance(given, str) else given
    if not isinstance(facts, Mapping) or not isinstance(facts.get('name'), str):
        return None
    pattern, limit = facts.get('pattern'), facts.get('max_length')
    return Field(
        name=facts['name'],
        required=facts.get('required') is True,
        pattern=pattern if isinstance(pattern, str) else '',
        max_length=limit if type(limit) is int and limit > 0 else MAX_CHARACTERS,
    )
