"""Whether the Ukrainian texts are complete, and fit what the programs say."""

import re
from functools import cache

import pytest

from tests.translations import PACKAGES, extract, missing, placeholders, read

# Names, and what is written the same in both languages.
SAME = {
    '%(done)s / %(limit)s',
    'VK',
    '%(placeholder)s',
    'ENABLED_BLUEPRINTS, gamification: %(reason)s',
    '--facts %(path)s: %(reason)s',
    'Vulyk %(version)s, Python %(python)s',
}
CYRILLIC = re.compile('[а-яіїєґ%{]', re.IGNORECASE)
packages = pytest.mark.parametrize('package', PACKAGES, ids=lambda package: package.name)


@cache
def said(package) -> dict:
    """What a package says, anew: identity → message."""
    return {(message.id, message.context): message for message in extract(package) if message.id}


@packages
def test_everything_said_is_in_the_catalogue_and_nothing_else(package):
    kept = {(message.id, message.context) for message in read(package, 'uk') if message.id}
    assert (said(package).keys() - kept, kept - said(package).keys()) == (set(), set()), 'make translations'


@packages
def test_everything_is_translated_and_nothing_guessed(package):
    catalogue = read(package, 'uk')
    assert [message.id for message in missing(catalogue)] == []
    assert [message.id for message in catalogue if message.id and message.fuzzy] == []


@packages
def test_translations_fill_in_the_same_and_keep_their_tags(package):
    for message in read(package, 'uk'):
        if message.id:
            wanted = message.id[-1] if message.pluralizable else message.id
            for text in message.string if message.pluralizable else [message.string]:
                assert placeholders(text) == placeholders(wanted), text


@packages
def test_translations_are_others_than_the_originals_and_in_cyrillic(package):
    same = {message.id for message in read(package, 'uk') if message.id and message.string == message.id}
    latin = {
        message.id
        for message in read(package, 'uk')
        if message.id and not re.search('[а-яіїєґ%{]', str(message.string), re.I)
    }
    assert same | latin <= SAME


@packages
def test_typography_is_ukrainian(package):
    for message in read(package, 'uk'):
        if message.id:
            text = str(message.string)
            assert not re.search(r"[а-яіїєґ]'[а-яіїєґ]|[а-яіїєґ] - [а-яіїєґ]|[ыэъё]|[“\"][А-ЯІЇЄҐа-яіїєґ]", text), text
