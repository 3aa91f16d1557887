"""The words of the site: catalogues of texts in other languages, and :func:`gettext` for code that runs without an application.

Pages, jobs and whatever else always has an application use ``flask_babel`` itself.

Texts are kept as ``translations/<language>/LC_MESSAGES/messages.po``, in the core and in every plugin and blueprint that has
some. They are read as they are, when a language is asked for first: there is nothing to compile.
"""

import gettext as standard
import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import flask_babel
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import current_app
from flask_babel.speaklater import LazyString

PSEUDO = 'pseudo'  # as LANGUAGE: every text that goes through the translations stands in brackets, and is longer
SOURCE = 'en'
OWN = Path(__file__).parent / 'translations'
_FOR_SCRIPTS = ''
_FILE = Path('LC_MESSAGES', 'messages.po')
_VARIABLES = ('LANGUAGE', 'LC_ALL', 'LC_MESSAGES', 'LANG')  # in the order in which gettext asks for them
_spoken: ContextVar[str | None] = ContextVar('vulyk.texts', default=None)  # the language of a command that runs


def gettext(text: str, /, **values: Any) -> str:
    """A text in the language of the application at hand, on the command line also in that of its environment."""
    if current_app:
        return str(flask_babel.gettext(text, **values))
    said = _outside().gettext(text)
    return said % values if values else said


def ngettext(one: str, many: str, num: int, /, **values: Any) -> str:
    """The same for a text with a number, which is ``%(num)s`` in it."""
    if current_app:
        return str(flask_babel.ngettext(one, many, num, **values))
    return _outside().ngettext(one, many, num) % {'num': num, **values}


def lazy_gettext(text: str, /, **values: Any) -> LazyString:
    """A text that is translated when it is shown."""
    return LazyString(gettext, text, **values)


def told(error: Exception) -> str:
    """What an exception says. Plain code cannot translate; what it raises carries its ``text`` and ``facts`` instead."""
    return gettext(error.text, **error.facts) if hasattr(error, 'text') and hasattr(error, 'facts') else str(error)


@contextmanager
def command_line(library: str) -> Iterator[None]:
    """What is said inside, and by no application, is in the language of the terminal.

    :param library: the package that reads the command line. It takes its words from the ``gettext`` of Python, which wants
        compiled files; from now on it takes them from us.
    """
    ours = {standard.gettext: gettext, standard.ngettext: ngettext}
    for module in [module for name, module in sys.modules.items() if name.partition('.')[0] == library]:
        for name in ('_', 'ngettext'):
            if (theirs := vars(module).get(name)) in ours:
                setattr(module, name, ours[theirs])
    token = _spoken.set(of_environment())
    try:
        yield
    finally:
        _spoken.reset(token)


def is_command_line() -> bool:
    """Whether a command runs."""
    return _spoken.get() is not None


def speak(language: str) -> None:
    """Say the rest of this command in another language, unless scripts read it."""
    if is_command_line() and not is_for_scripts():
        _spoken.set(language)


def speak_english() -> None:
    """Say nothing in another language in this command: a script reads it."""
    speak(_FOR_SCRIPTS)


def is_for_scripts() -> bool:
    """Whether a command runs whose output only scripts read."""
    return _spoken.get() == _FOR_SCRIPTS


def _outside() -> NullTranslations:
    language = _spoken.get()
    if not language:
        return NullTranslations()
    return pseudo if language == PSEUDO else merged(language, (OWN,))


def of_environment(offered: Collection[str] = ()) -> str:
    """The language that the terminal is set to, if it is one of those offered (by default: of which there are texts).

    :returns: its tag, else ``en``.
    """
    setting = next((value for name in _VARIABLES if (value := os.environ.get(name))), '')
    for name in setting.split(':'):
        tag = name.partition('.')[0].partition('@')[0].replace('_', '-')
        for known in (tag, tag.partition('-')[0]):
            if known == SOURCE or (known in offered if offered else known == PSEUDO or has(known)):
                return known
    return SOURCE


def has(language: str) -> bool:
    """Whether there are texts of the core in a language."""
    return language.isalpha() and (OWN / language / _FILE).is_file()


@cache
def merged(language: str, folders: tuple[Path, ...]) -> NullTranslations:
    """The texts of several folders in a language; of two translations of one text, that of the last folder counts."""
    texts = Translations()
    for folder in folders:
        file = folder / language / _FILE
        if not file.is_file():
            continue
        catalogue = _read(file)
        texts.merge(catalogue)
        texts.plural = catalogue.plural  # type: ignore[attr-defined]
    return texts


@cache
def _read(file: Path) -> Translations:
    """A file of translations; what is not translated, or only guessed (fuzzy), stays as it is."""
    with file.open('rb') as source:
        catalogue = read_po(source)
    binary = BytesIO()
    write_mo(binary, catalogue)
    binary.seek(0)
    return Translations(binary)


class _Pseudo(NullTranslations):
    """Puts each text into brackets and makes it 40 % longer: one sees what is not translatable, and what is too narrow."""

    def gettext(self, message: str) -> str:
        longer = max(2, round(len(message) * 0.4) - 2)
        return f'⟦{message} {"~~~~~ " * (longer // 6)}{"~" * (longer % 6)}'.rstrip() + '⟧'

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)

    def pgettext(self, context: str, message: str) -> str:
        return self.gettext(message)

    def npgettext(self, context: str, msgid1: str, msgid2: str, num: int) -> str:
        return self.ngettext(msgid1, msgid2, num)

    ugettext, ungettext, upgettext, unpgettext = gettext, ngettext, pgettext, npgettext


pseudo = _Pseudo()
