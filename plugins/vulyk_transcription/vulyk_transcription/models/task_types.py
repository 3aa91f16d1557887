"""The task type: what the platform is told about it, and what counts as an answer."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from flask_babel import gettext, lazy_gettext

from vulyk.blueprints.gamification.models.task_types import AbstractGamifiedTaskType
from vulyk.models.exc import TaskValidationError
from vulyk_transcription.models.tasks import TranscriptionAnswer, TranscriptionTask

SHORTCUT_DIGITS = '1234567890'
# Names of the characters that are offered unless a site says otherwise: those of Unicode.
NAMES = {
    'ſ': lazy_gettext('latin small letter long s'),
    '⸗': lazy_gettext('double oblique hyphen'),
    'ß': lazy_gettext('latin small letter sharp s'),
    'ä': lazy_gettext('latin small letter a with diaeresis'),
    'ö': lazy_gettext('latin small letter o with diaeresis'),
    'ü': lazy_gettext('latin small letter u with diaeresis'),
    'é': lazy_gettext('latin small letter e with acute'),
    '„': lazy_gettext('double low-9 quotation mark'),
    '“': lazy_gettext('left double quotation mark'),
    '’': lazy_gettext('right single quotation mark'),
    'Ä': lazy_gettext('latin capital letter a with diaeresis'),
    'Ö': lazy_gettext('latin capital letter o with diaeresis'),
    'Ü': lazy_gettext('latin capital letter u with diaeresis'),
    'è': lazy_gettext('latin small letter e with grave'),
    'à': lazy_gettext('latin small letter a with grave'),
    'ç': lazy_gettext('latin small letter c with cedilla'),
    'æ': lazy_gettext('latin small letter ae'),
    'œ': lazy_gettext('latin small ligature oe'),
    '—': lazy_gettext('em dash'),
    'ꝛ': lazy_gettext('latin small letter r rotunda'),
    '℔': lazy_gettext('l b bar symbol'),
}


class SpecialCharacter(NamedTuple):
    """A button of the pad: what it types, what it is called, and the digit that types it together with Alt (or '')."""

    text: str
    name: str
    digit: str


class TranscriptionTaskType(AbstractGamifiedTaskType):
    """Read a printed line, type what it says."""

    answer_model = TranscriptionAnswer
    task_model = TranscriptionTask

    name = lazy_gettext('Lines of old print')
    description = lazy_gettext(
        'Read one line of a 19th-century book, mostly in Fraktur, and type it exactly as it is printed.'
    )

    type_name = 'transcription'
    template = 'index.html'
    helptext_template = 'help.html'
    tour = 'tour.html'
    examples = 'examples.html'
    practice = 'static/practice/practice.jsonl'
    redundancy = 2

    needs = ('sight',)
    seconds_per_task = 45
    picture = 'static/images/card.svg'
    frontend = 'bootstrap5'
    media_fields = ('image',)
    samples = 'samples'

    JS_ASSETS = ['static/scripts/transcription.js']
    CSS_ASSETS = ['static/styles/transcription.css']

    max_characters = 2000

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        self.special_characters = special_characters(settings.get('SPECIAL_CHARACTERS', ''))

    def validate_result(self, task: TranscriptionTask, result: Mapping[str, Any]) -> None:
        """Accept ``{'text': 1 … 2000 characters, not only white space}`` or ``{'illegible': True}``, not both.

        The text is stored as it comes: spelling, spaces and code points are the volunteer's.

        :raises TaskValidationError: anything else; the text names the field.
        """
        unknown = sorted(set(result) - {'text', 'illegible'})
        if unknown:
            raise TaskValidationError(
                gettext(
                    'result: unknown field %(unknown)s; the fields are "text" and "illegible".',
                    unknown=repr(unknown[0]),
                )
            )
        if 'text' in result and 'illegible' in result:
            raise TaskValidationError(gettext('illegible: a line has either a "text" or is "illegible", not both.'))
        if 'illegible' in result:
            if result['illegible'] is not True:
                raise TaskValidationError(
                    gettext('illegible: the only value is true; leave it out when the line can be read.')
                )
            return
        text = result.get('text')
        if not isinstance(text, str) or not text.strip():
            raise TaskValidationError(gettext('text: type what the line says, or mark it as illegible.'))
        if len(text) > self.max_characters:
            raise TaskValidationError(
                gettext(
                    'text: %(number)s characters are too many for one line, the limit is %(max_characters)s.',
                    number=len(text),
                    max_characters=self.max_characters,
                )
            )


def special_characters(setting: str | Sequence[str]) -> list[SpecialCharacter]:
    """The buttons of the pad, in the order of the setting; doubles are left out.

    :param setting: texts separated by white space, or a list of texts. A text may have several code points, such as a
        letter with a combining mark.
    """
    texts = list(dict.fromkeys(setting.split() if isinstance(setting, str) else setting))
    digits = SHORTCUT_DIGITS.ljust(len(texts))
    return [SpecialCharacter(text, _name(text), digit.strip()) for text, digit in zip(texts, digits, strict=False)]


def _name(text: str) -> str:
    """The Unicode names in small letters: 'latin small letter long s'; in the language of the page if they are well known."""
    if text in NAMES:
        return NAMES[text]
    return ', '.join(unicodedata.name(character, '').lower() or f'U+{ord(character):04X}' for character in text)
