"""Keeps the files of translators up to date: ``make translations [LANGUAGE=de]``; tests ask it what is missing."""

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import click
import flask_admin
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir, extract_python
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parent.parent
PACKAGES = (ROOT / 'vulyk', *sorted(path.parent for path in ROOT.glob('plugins/*/*/settings.py')))
# Plain code raises texts that whoever shows them translates.
RAISED = dict.fromkeys(('MongodError', 'NumbersError', 'RuleParsingException', 'RuleValidationException'))
KEYWORDS = {**DEFAULT_KEYWORDS, **RAISED, 'lazy_gettext': None, 'lazy_ngettext': (1, 2), 'lazy_pgettext': ((1, 'c'), 2)}


def from_python(
    file: IO[bytes], keywords: Any, tags: Any, options: Any
) -> Iterator[tuple[int, str | None, Any, list[str]]]:
    """What a module says; of commands also what ``--help`` says of them, which is translated when it is shown."""
    yield from extract_python(file, keywords, tags, options)
    file.seek(0)
    tree = ast.parse(file.read())
    yield from _in_braces(tree, keywords)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and any(map(_makes_command, node.decorator_list)):
            yield node.lineno, None, ast.get_docstring(node), []
        elif isinstance(node, ast.Call) and 'click' in ast.unparse(node.func):
            for keyword in node.keywords:
                if (
                    keyword.arg in ('help', 'prompt')
                    and isinstance(keyword.value, ast.Constant)
                    and isinstance(keyword.value.value, str)
                ):
                    yield node.lineno, None, keyword.value.value, []


def _in_braces(tree: ast.AST, keywords: Any) -> Iterator[tuple[int, str, tuple[str, ...], list[str]]]:
    """Texts inside of f-strings, which Babel sees from Python 3.12 on only."""
    for outer in ast.walk(tree):
        for node in ast.walk(outer) if isinstance(outer, ast.JoinedStr) else ():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in keywords:
                texts = tuple(one.value for one in node.args if isinstance(one, ast.Constant))
                yield node.lineno, node.func.id, texts, []


def _makes_command(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and ast.unparse(decorator.func).rpartition('.')[2] in ('command', 'group')


SOURCES = [('**.py', from_python), ('**/templates/**', 'jinja2')]
OPTIONS = {  # a template that cannot be read is an error, not silence
    '**/templates/**': {'extensions': 'webassets.ext.jinja2.AssetsExtension', 'silent': 'false'}
}
# Of flask-admin, whose own translations are hardly any: what our pages of it say.
ADMIN = Path(flask_admin.__file__).parent
ADMIN_SOURCES = [
    (f'{folder}{pattern}', method)
    for folder, pattern, method in (
        ('', 'base.py', 'python'),
        ('', 'actions.py', 'python'),
        ('model/', '*.py', 'python'),
        ('form/', '*.py', 'python'),
        ('contrib/mongoengine/', '*.py', 'python'),
        ('templates/bootstrap4/admin/', '*.html', 'jinja2'),
        ('templates/bootstrap4/admin/model/', '*.html', 'jinja2'),
    )
]
# What click says, on the command line.
CLICK = Path(click.__file__).parent
LEFT_OUT = {'__pycache__', 'scaffold'}  # what "plugin new" begins with says its own
PLACEHOLDER = re.compile(r'%\(\w+\)[sd]|\{[\w!]*\}|<[^>]+>')


def file_of(package: Path, language: str) -> Path:
    """Where a package keeps its texts in a language."""
    return package / 'translations' / language / 'LC_MESSAGES' / 'messages.po'


def extract(package: Path) -> Catalog:
    """What a package says, in English; sources without their lines, so that files change only where texts do."""
    template = Catalog(project=package.name, charset='utf-8', fuzzy=False)
    for source, _, text, comments, context in extract_from_dir(
        package, SOURCES, OPTIONS, KEYWORDS, directory_filter=lambda path: Path(path).name not in LEFT_OUT
    ):
        template.add(text, None, [(f'{package.name}/{source}', 0)], auto_comments=comments, context=context)
    for file in sorted(package.glob('blueprints/*/demo/*.json')):
        for text in (thing[name] for thing in json.loads(file.read_text('utf-8')) for name in ('name', 'description')):
            template.add(text, None, [(f'{package.name}/{file.relative_to(package)}', 0)], context='game')
    if package.name == 'vulyk':
        keywords = {**KEYWORDS, '_gettext': None, '_ngettext': (1, 2)}
        for source, _, text, *_ in extract_from_dir(ADMIN, ADMIN_SOURCES, OPTIONS, keywords):
            template.add(text, None, [(f'flask_admin/{source}', 0)])
        for source, _, text, *_ in extract_from_dir(CLICK, [('**.py', 'python')]):
            template.add(text, None, [(f'click/{source}', 0)])
        template.add('required', None, [('click/core.py', 0)])  # there it says _(extra['required'])
    return template


def read(package: Path, language: str) -> Catalog:
    """The texts of a package in a language; none if there is no file yet."""
    file = file_of(package, language)
    if not file.is_file():
        return Catalog(locale=language, project=package.name, fuzzy=False)
    with file.open('rb') as source:
        return read_po(source, locale=language)


def update(package: Path, language: str) -> list[Message]:
    """Write the file anew: what is said no longer leaves it, what is new waits in it. Returns what is not translated."""
    catalogue = read(package, language)
    catalogue.update(extract(package), no_fuzzy_matching=True, update_creation_date=False)
    catalogue.obsolete.clear()
    catalogue.header_comment = f'# Texts of {package.name}: {catalogue.locale.english_name}.'
    catalogue.version, catalogue.last_translator, catalogue.language_team = '1', '', ''
    catalogue.msgid_bugs_address = ''
    file = file_of(package, language)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open('wb') as target:
        write_po(target, catalogue, width=120, include_lineno=False, sort_by_file=True)
    return list(missing(catalogue))


def missing(catalogue: Catalog) -> Iterator[Message]:
    """Messages without a translation, in one of their plural forms or in all."""
    for message in catalogue:
        texts = message.string if isinstance(message.string, tuple) else (message.string,)
        if message.id and (not all(texts) or (message.pluralizable and len(texts) < catalogue.num_plurals)):
            yield message


def placeholders(text: str) -> list[str]:
    """What is filled into a text, and its tags, sorted."""
    return sorted(PLACEHOLDER.findall(text))


def main(language: str | None) -> None:
    """Bring all files up to date, or begin those of a new language, and say how much is to be done."""
    languages = (
        [language] if language else sorted(path.parent.parent.name for path in ROOT.glob('vulyk/translations/*/*/*.po'))
    )
    for tag in languages:
        for package in PACKAGES:
            file = file_of(package, tag)
            if language or file.is_file():
                print(f'{file.relative_to(ROOT)}: {len(update(package, tag))} to translate')


if __name__ == '__main__':
    main(sys.argv[1] if len(sys.argv) > 1 else None)
