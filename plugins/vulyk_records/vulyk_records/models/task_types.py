"""The task type: what the platform is told about it, and what counts as an answer."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from flask_babel import gettext, lazy_gettext

from vulyk.blueprints.gamification.models.task_types import AbstractGamifiedTaskType
from vulyk.models.exc import TaskValidationError
from vulyk_records.models.tasks import MAX_CHARACTERS, Field, RecordsAnswer, RecordsTask

CONTROLS = {'Cc', 'Zl', 'Zp'}  # Unicode categories of control characters and line breaks


class RecordsTaskType(AbstractGamifiedTaskType):
    """Copy an index card into the fields of a form."""

    answer_model = RecordsAnswer
    task_model = RecordsTask

    name = lazy_gettext('Cards of a library catalogue')
    description = lazy_gettext(
        'Look at an index card of a hundred years ago and copy author, title, place, year and pages into a form.'
    )

    type_name = 'records'
    template = 'index.html'
    helptext_template = 'help.html'
    tour = 'tour.html'
    examples = 'examples.html'
    practice = 'static/practice/practice.jsonl'
    redundancy = 2

    needs = ('sight',)
    seconds_per_task = 75
    picture = 'static/images/card.svg'
    frontend = 'bootstrap5'
    media_fields = ('image',)
    samples = 'samples'

    JS_ASSETS = ['static/scripts/records.js']
    CSS_ASSETS = ['static/styles/records.css']

    max_characters = MAX_CHARACTERS

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        self.known_fields = settings.get('FIELDS', {})

    def described_fields(self) -> dict[str, dict[str, Any]]:
        """The descriptions of the setting, in the language of the page."""
        texts = ('label', 'hint')
        return {
            name: {key: str(value) if key in texts else value for key, value in facts.items()}
            for name, facts in self.known_fields.items()
        }

    def validate_result(self, task: RecordsTask, result: Mapping[str, Any]) -> None:
        """Accept ``{'fields': {name: text or None}, 'illegible': [name, …]}``; ``illegible`` may be left out when empty.

        Every field of the task is there, and no other. A text is composed (NFC), in one line, without white space at its
        ends, not longer than the field allows, and fits its pattern. A field that is illegible has no text; a required one
        has a text unless it is illegible.

        :raises TaskValidationError: anything else; the text names the field.
        """
        unknown = sorted(set(result) - {'fields', 'illegible'})
        if unknown:
            raise TaskValidationError(
                gettext(
                    'result: unknown field %(unknown)s; the fields are "fields" and "illegible".',
                    unknown=repr(unknown[0]),
                )
            )
        fields = task.form_fields(self.known_fields)
        texts, illegible = result.get('fields'), result.get('illegible', [])
        _check_names(texts, illegible, [field.name for field in fields])
        for field in fields:
            _check_text(field, texts[field.name], field.name in illegible)


def _check_names(texts: Any, illegible: Any, names: list[str]) -> None:
    if not isinstance(texts, dict):
        raise TaskValidationError(gettext('fields: must be an object with a text or null for each field of the task.'))
    missing = [name for name in names if name not in texts]
    if missing:
        raise TaskValidationError(
            gettext(
                'fields.%(missing)s: it is missing; give a text, or null when the card says nothing.',
                missing=missing[0],
            )
        )
    unknown = sorted(set(texts) - set(names))
    if unknown:
        raise TaskValidationError(gettext('fields.%(unknown)s: the task has no such field.', unknown=unknown[0]))
    if not isinstance(illegible, list) or not all(isinstance(name, str) for name in illegible):
        raise TaskValidationError(gettext('illegible: must be a list of names of fields.'))
    if len(set(illegible)) < len(illegible):
        raise TaskValidationError(gettext('illegible: every name may be there only once.'))
    unknown = sorted(set(illegible) - set(names))
    if unknown:
        raise TaskValidationError(gettext('illegible: the task has no field %(unknown)s.', unknown=repr(unknown[0])))


def _check_text(field: Field, text: Any, is_illegible: bool) -> None:
    where = f'fields.{field.name}'
    if is_illegible:
        if text is not None:
            raise TaskValidationError(
                gettext('%(where)s: must be null, since the field is marked as illegible.', where=where)
            )
        return
    if text is None:
        if field.required:
            raise TaskValidationError(
                gettext('%(where)s: it is required; type what the card says, or mark it as illegible.', where=where)
            )
        return
    if not isinstance(text, str) or not text:
        raise TaskValidationError(
            gettext('%(where)s: must be a text that is not empty, or null when the card says nothing.', where=where)
        )
    if text != text.strip() or any(unicodedata.category(character) in CONTROLS for character in text):
        raise TaskValidationError(gettext('%(where)s: must be one line without white space at its ends.', where=where))
    if not unicodedata.is_normalized('NFC', text):
        raise TaskValidationError(
            gettext('%(where)s: letters and their marks must be composed (Unicode NFC).', where=where)
        )
    if len(text) > field.max_length:
        raise TaskValidationError(
            gettext(
                '%(where)s: %(number)s characters are too many, the limit is %(max_length)s.',
                where=where,
                number=len(text),
                max_length=field.max_length,
            )
        )
    pattern = _compiled(field.pattern)
    if pattern and not pattern.fullmatch(text):
        raise TaskValidationError(gettext('%(where)s: it is not in the form that this field expects.', where=where))


def _compiled(pattern: str) -> re.Pattern[str] | None:
    """None for no pattern, and for one that only browsers understand: they have checked it."""
    try:
        return re.compile(pattern, re.ASCII) if pattern else None  # ASCII: as \d and \w are in JavaScript
    except re.error:
        return None
