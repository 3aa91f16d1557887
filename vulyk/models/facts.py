"""Facts of a batch that people see: what it is about, where it comes from, and who may use it."""

import re
from collections.abc import Mapping
from typing import Any

from flask_babel import gettext
from mongoengine.base import BaseField

# Most characters of each fact. Texts may differ from language to language, lines may not.
TEXTS = {'title': 200, 'description': 2000, 'help': 20_000}
LINES = {'licence': 200, 'source': 2000, 'attribution': 1000, 'lang': 35}
FACTS = (*TEXTS, *LINES)

_LANGUAGE_TAG = re.compile(r'[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*')
_ADDRESS = re.compile(r'https?://[^\s<>"(),;]+')
_CREATIVE_COMMONS = re.compile(r'CC (BY(?:-[A-Z]{2})*) (\d\.\d)')


def is_language(value: object) -> bool:
    """Whether this can be a language tag, such as ``de`` or ``de-AT`` (BCP 47)."""
    return isinstance(value, str) and len(value) <= LINES['lang'] and bool(_LANGUAGE_TAG.fullmatch(value))


def check_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts as they are stored: trimmed, and without those that are empty.

    :param facts: ``title``, ``description`` and ``help`` as a text or as ``{language: text}``; ``licence``, ``source``,
        ``attribution`` and ``lang`` as a text.
    :raises ValueError: a fact that does not exist, or is not of this shape; the sentence names it.
    """
    unknown = sorted(set(facts) - set(FACTS))
    if unknown:
        raise ValueError(
            gettext('%(name)s: there is no such fact. There are: %(names)s.', name=unknown[0], names=', '.join(FACTS))
        )
    checked = {name: _checked_text(name, facts[name]) for name in TEXTS if name in facts}
    checked |= {name: _checked_line(name, facts[name], most) for name, most in LINES.items() if name in facts}
    if checked.get('lang') and not is_language(checked['lang']):
        raise ValueError(gettext('lang: “%(tag)s” is not a language tag such as de or de-AT.', tag=checked['lang']))
    return {name: value for name, value in checked.items() if value}


def _checked_text(name: str, value: object) -> str | dict[str, str]:
    most = TEXTS[name]
    if not isinstance(value, Mapping):
        return _checked_line(name, value, most, lines=True)
    for tag in value:
        if not is_language(tag):
            raise ValueError(
                gettext('%(name)s: “%(tag)s” is not a language tag such as de or de-AT.', name=name, tag=tag)
            )
    texts = {tag: _checked_line(f'{name}.{tag}', text, most, lines=True) for tag, text in value.items()}
    return {tag: text for tag, text in texts.items() if text}


def _checked_line(name: str, value: object, most: int, *, lines: bool = False) -> str:
    if not isinstance(value, str):
        if lines and '.' not in name:
            raise ValueError(gettext('%(name)s: must be a text or {language: text}.', name=name))
        raise ValueError(gettext('%(name)s: must be a text.', name=name))
    text = value.strip()
    if len(text) > most:
        raise ValueError(
            gettext(
                '%(name)s: %(number)s characters are more than the %(limit)s it may have.',
                name=name,
                number=f'{len(text):,}',
                limit=f'{most:,}',
            )
        )
    if not lines and any(ord(character) < 32 for character in text):
        raise ValueError(gettext('%(name)s: must be one line.', name=name))
    if '\0' in text or not _is_unicode(text):
        raise ValueError(gettext('%(name)s: holds a character that cannot be stored.', name=name))
    return text


def _is_unicode(text: str) -> bool:
    try:
        text.encode('utf-8')
    except UnicodeEncodeError:
        return False
    return True


class TextsField(BaseField):  # type: ignore[misc]  # mongoengine has no types
    """A text that may differ from language to language: one text for all, or ``{language: text}``."""

    def validate(self, value: Any) -> None:
        try:
            check_facts({self.name: value})
        except ValueError as error:
            self.error(str(error))


def in_language(texts: str | Mapping[str, str] | None, language: str) -> str:
    """The text for readers of a language: in it, else in English, else in the first language there is; '' for none."""
    if not isinstance(texts, Mapping):
        return texts or ''
    tags = (language, language.partition('-')[0], 'en', *texts)
    return next((texts[tag] for tag in tags if tag in texts), '')


def to_public(facts: Mapping[str, Any], language: str) -> dict[str, str]:
    """What a page shows of the facts: each text in one language; empty ones are left out.

    An address in ``source`` or ``licence`` stands in ``source_url`` or ``licence_url`` instead. A licence of Creative Commons
    has its address by its short name, as in ``CC BY-SA 4.0``.
    """
    shown = {name: in_language(facts.get(name), language) for name in TEXTS}
    shown |= {name: facts.get(name) or '' for name in LINES}
    for name in ('source', 'licence'):
        shown[name], shown[f'{name}_url'] = _without_address(shown[name])
    shown['licence_url'] = shown['licence_url'] or _deed(shown['licence'])
    return {name: text for name, text in shown.items() if text}


def _without_address(text: str) -> tuple[str, str]:
    found = _ADDRESS.search(text)
    if not found:
        return text, ''
    label = f'{text[: found.start()]} {text[found.end() :]}'
    return ' '.join(label.split()).strip(' ,;:–-'), found[0]


def _deed(licence: str) -> str:
    if licence.startswith('CC0'):
        return 'https://creativecommons.org/publicdomain/zero/1.0/'
    found = _CREATIVE_COMMONS.match(licence)
    return f'https://creativecommons.org/licenses/{found[1].lower()}/{found[2]}/' if found else ''
