"""Finds texts that cannot be translated: with ``LANGUAGE = 'pseudo'`` they are those that stand outside of ⟦brackets⟧.

What is data is no such text: tests bracket the names and tasks they make up. Addresses, dates and ids are left out, and so is
what stands in an element with ``translate="no"`` or a language of its own, or in ``code``, ``kbd``, ``pre``, ``time``.
"""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

WORD = re.compile(r'(?<![\w.-])[^\W\d_]{2,}(?![\w@])')
DATA = re.compile(
    r'\S+@\S+|\w+:/?/\S+|(?<!\S)/\S*|'  # addresses of mail and pages, paths
    r'\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\b|\b(?:AM|PM|UTC|kB|MB|GB|GitHub)\b|'
    r'\b(?:English|Українська|Русский)\b|'
    r'\b(?:images|transcription|tagging|records|default|vulyk|calendar)\b'  # ids of task types, batches, groups, kinds of days
)
SHOWN = (
    'title',
    'aria-label',
    'aria-description',
    'aria-roledescription',
    'aria-valuetext',
    'alt',
    'placeholder',
    'label',
)
_DATA = {'code', 'kbd', 'samp', 'pre', 'time', 'script', 'style', 'svg', 'textarea'}
_VOID = {'area', 'base', 'br', 'col', 'embed', 'hr', 'img', 'input', 'link', 'meta', 'source', 'track', 'wbr'}
_WITHIN_TEXT = {
    'a',
    'abbr',
    'b',
    'em',
    'i',
    'mark',
    'q',
    'small',
    'span',
    'strong',
    'sub',
    'sup',
    'u',
    'wbr',
    'br',
} | _DATA


def outside(text: str) -> str:
    """What of a text stands outside of brackets, if there is a word in it that is no data; else ''."""
    depth, rest = 0, ''
    for part in re.split('([⟦⟧])', text):
        if part == '⟦':
            depth += 1
        elif part == '⟧':
            depth -= 1
        elif depth <= 0:
            rest += f'{part} '
    rest = ' '.join(rest.split())
    return rest if WORD.search(DATA.sub('', rest)) else ''


def _texts(text: str) -> Iterator[str]:
    """The text, or, if it is JSON for a script, the sentences in it."""
    try:
        yield from _strings(json.loads(text))
    except ValueError:
        yield text


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str) and not re.fullmatch(r'[\w-]*', value):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[tuple[str, bool]] = []
        self._block = ''

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = {name: value or '' for name, value in attrs}
        is_foreign = facts.get('translate') == 'no' or ('lang' in facts and tag != 'html')
        is_data = tag in _DATA or is_foreign or any(data for _, data in self._open)
        if tag not in _WITHIN_TEXT:
            self.end_block()
        if not is_data:
            self._look_at(tag, facts)
        if tag not in _VOID:
            self._open.append((tag, is_data))

    def _look_at(self, tag: str, facts: dict[str, str]) -> None:
        is_button = tag == 'input' and facts.get('type') in ('submit', 'button', 'reset')
        is_description = tag == 'meta' and facts.get('name') == 'description'
        for name, value in facts.items():
            if name in SHOWN or name.startswith('data-text') or (is_button and name == 'value') or is_description:
                self.found += [f'{tag} {name}={text}' for text in map(outside, _texts(value)) if text]

    def handle_endtag(self, tag: str) -> None:
        if tag not in _WITHIN_TEXT:
            self.end_block()
        while self._open and tag in {name for name, _ in self._open}:
            if self._open.pop()[0] == tag:
                break

    def handle_data(self, data: str) -> None:
        if not any(data for _, data in self._open):
            self._block += data

    def end_block(self) -> None:
        self.found += [text for text in map(outside, _texts(self._block)) if text]
        self._block = ''


def untranslated(html: str) -> list[str]:
    """What a page shows outside of brackets: texts, and attributes that are shown or read out."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    reader.end_block()
    return reader.found
