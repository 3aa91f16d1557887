"""Whether the Ukrainian texts are complete, and fit what the programs say."""

import ast
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
# Exceptions whose texts people read; those of programming mistakes are for the log.
SHOWN = re.compile(
    r'(\w+\.)?(Account|Backup|Database|Exchange|Initialization|Malformed\w+|Task\w+|Validation)Error'
    r'|click\.(BadParameter|ClickException|UsageError)'
)
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


def literals(raised: ast.Call) -> list[str]:
    """The sentences that an exception is given as they are."""
    parts = [part for text in raised.args for part in (text.values if isinstance(text, ast.JoinedStr) else [text])]
    return [part.value for part in parts if isinstance(part, ast.Constant) and ' ' in str(part.value).strip()]


@packages
def test_what_exceptions_tell_people_can_be_translated(package):
    found = {
        f'{file.relative_to(package)}:{node.lineno}': literals(node.exc)
        for file in package.rglob('*.py')
        if 'scaffold' not in file.parts  # what a new plugin begins with
        for node in ast.walk(ast.parse(file.read_text('utf-8')))
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and SHOWN.fullmatch(ast.unparse(node.exc.func))
    }
    assert len(found) > 2
    assert {place: texts for place, texts in found.items() if texts} == {}
