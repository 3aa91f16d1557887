"""Whether every line of every command can be translated: with the pseudo-locale what cannot be stands outside of brackets."""

import json
import re
from contextvars import Context
from datetime import UTC, datetime

import click
import pytest
from click.testing import CliRunner

from tests.factories import answer, make_tasks, make_user
from tests.pseudo import outside
from vulyk import control, texts
from vulyk.jobs import DEAD, Job

# Each is run on the same site, one after the other; what is wrong about it is part of the test.
COMMANDS = """
accounts invite nobody
accounts invite ada@example.org
accounts migrate
accounts migrate --dry-run
accounts reset-link nobody
accounts reset-link ⟦bee⟧
admin add nobody@example.org
admin add bee@example.org
admin add bee@example.org --project nothing
admin create --email nobody --username x --password short
admin create --email ada@example.org --username ada --password a-long-and-good-one
admin create --email ada@example.org --username ada --password a-long-and-good-one
admin list
admin remove bee@example.org
admin suspend ⟦keeper⟧ --reason ⟦bad⟧
batches list
batches pause default
batches pause nothing
batches priority default 5
batches redundancy default 2
batches resume default
batches show default
batches del --bid default --yes
db backup {folder}/nowhere/backup
db backup {folder}/backup
db backup {folder}/backup
db restore {folder}/backup
db restore {folder}/bad.jsonl
db check
db export plain_task {folder}/answers.jsonl
db export plain_task {folder}/answers.csv --batch nothing
db export plain_task {folder}/nowhere/answers.jsonl --batch default --export-all
db export plain_task {folder}/answers.csv --batch default
db index
db index --create
db load nothing {folder}/good.jsonl
db load plain_task {folder}/good.jsonl --dry-run
db load plain_task {folder}/good.jsonl --batch ⟦b1⟧
db load plain_task {folder}/good.jsonl --batch ⟦b1⟧
db load plain_task {folder}/good.jsonl --batch ⟦b2⟧ --meta nothing 1
db load plain_task {folder}/bad.jsonl --batch ⟦b3⟧
db load plain_task {folder}/bad.jsonl --batch ⟦b4⟧ --skip-invalid
db load plain_task {folder}/missing.jsonl
db load plain_task {folder}/good.jsonl --facts {folder}/bad.jsonl
db migrate
db migrate --dry-run
db repair
doctor
gamification audit
gamification audit --user nobody
gamification backfill
gamification backfill --rule nothing
gamification funds list
gamification funds payouts
gamification funds payouts --period nothing
gamification funds payouts --mark-paid
gamification migrate
gamification rules import {folder}/rules.json
gamification rules import {folder}/rules.json
gamification rules import {folder}/bad.jsonl
gamification rules list
group add --gid g1 --description ⟦d⟧
group add --gid g1 --description ⟦d⟧
group add --gid ! --description ⟦d⟧
group addtype --gid nothing --task_type plain_task
group assign --username nobody --gid g1
group del --gid nothing --yes
group list
init
jobs list
jobs list --limit 1
jobs retry
jobs retry nothing
jobs retry --dead
jobs discard --dead --yes
jobs discard 000000000000000000000000 --yes
plugin new 1
plugin new hive {folder}/hive
plugin new hive {folder}/hive
site new {folder}/nowhere/x/y --email nobody --username x --password y --name n --mongodb nowhere
stats batch
stats site
stats users
user activate ⟦bee⟧
user deactivate ⟦bee⟧
user deactivate ⟦keeper⟧
user deactivate ada
user list
user list --group nothing
user show ⟦bee⟧
user show nobody
"""
# Calls that click answers itself; none of them needs an application.
MISTAKES = """
--help=1
db
db loda
db load
db load --batch
batches list a b
jobs list --limit x
jobs list --limit 0
jobs list --state x
db restore
user list --activ
"""
# Rows of tables and lines to copy.
NO_TEXTS = re.compile(
    r'^ *(?:\w+ \d:|vulyk|cd |pip |python |ada |[0-9a-f]{24} ).*$|→ vulyk .*$|weight: .*$|--meta ', re.MULTILINE
)
# Names of commands and options, and the placeholders that texts speak of: TYPE is TYPE in every language.
NAMES = re.compile(
    r'(?<=⟦Usage: ~~⟧) cli( [a-z-]+)*|--[a-z-]+|\[(?:[a-z]+\|)+[a-z]+\]|'
    r'\b(?:ADDRESS|BATCH|DIR|EMAIL|FIELD|FILE|GID|ID|JSON|KEY|MM|NAME|NUMBER|PACKAGE|PATH|TIME|TYPE|URI|USER|VALUE|YYYY)\b'
)
# A row of the list of commands, of whose text only the beginning is told.
SUMMARY = re.compile(r'^  [a-z-]+ +⟦.*$', re.MULTILINE)
RULE = {'name': '⟦First⟧', 'description': '⟦d⟧', 'badge': 'b.svg', 'bonus': 1, 'tasks_number': 1, 'days_number': 0}
RULE |= {'is_weekend': False, 'is_adjacent': False}


@pytest.fixture
def site(app, plain, monkeypatch, tmp_path):
    """A folder, on a site in brackets with people, answered tasks and a dead job; the data is in brackets too."""
    monkeypatch.setitem(app.config, 'LANGUAGE', texts.PSEUDO)
    make_user(username='⟦keeper⟧', email='keeper@example.org', admin=True)
    bee = make_user(username='⟦bee⟧', email='bee@example.org')
    answer(plain, make_tasks(plain, 3)[0], bee)
    for _ in range(2):
        Job(kind='a.b', state=DEAD, run_at=datetime.now(UTC), error='⟦no⟧').save()
    (tmp_path / 'good.jsonl').write_text('{"n": 1}\n{"n": 2}\n')
    (tmp_path / 'bad.jsonl').write_text('{"n": 3}\nno\n')
    (tmp_path / 'rules.json').write_text(json.dumps(RULE))
    return tmp_path


def test_every_line_can_be_translated(site, runner, monkeypatch):
    monkeypatch.chdir(site)
    found = {}
    for line in COMMANDS.strip().splitlines():
        arguments = line.format(folder=site).split()
        result = runner(*arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit), (line, result.exception)
        for said in NAMES.sub('', NO_TEXTS.sub('', result.output)).splitlines():
            found |= {outside(said): line} if outside(said) else {}
    assert found == {}


def texts_of(command: click.Command):
    """What ``--help`` says of a command and of those below it, and what they ask."""
    for thing in (command, *command.params):
        yield from (text for name in ('help', 'prompt') if isinstance(text := getattr(thing, name, None), str))
    for inner in getattr(command, 'commands', {}).values():
        yield from texts_of(inner)


def helps(language: str, monkeypatch) -> set[str]:
    """All of that, in the language of the terminal; there is neither an application nor a database."""
    monkeypatch.setenv('LANGUAGE', language)
    with click.Context(control.cli) as context, texts.command_line('click'):
        names = control.cli.list_commands(context)
        return {text for name in names for text in texts_of(control.cli.get_command(context, name))}


def test_help_can_be_translated(monkeypatch):
    said = helps(texts.PSEUDO, monkeypatch)
    assert len(said) > 150
    assert [text for text in said if outside(text)] == []


def calls_for_help(command: click.Command, name: str) -> list[str]:
    """One for a command and for each of those below it."""
    inner = getattr(command, 'commands', {})
    return [f'{name} --help', *(call for key in inner for call in calls_for_help(inner[key], f'{name} {key}'))]


def test_what_click_says_can_be_translated(monkeypatch):
    monkeypatch.setenv('LANGUAGE', texts.PSEUDO)
    with click.Context(control.cli) as context:
        names = control.cli.list_commands(context)
        helps = [call for name in names for call in calls_for_help(control.cli.get_command(context, name), name)]
    assert len(helps) > 70
    for call in ['--help', *helps, *MISTAKES.strip().splitlines()]:
        said = CliRunner().invoke(control.cli, call.split(), terminal_width=1000).output
        assert (said != '', outside(NAMES.sub('', SUMMARY.sub('', said)))) == (True, ''), call


def test_click_speaks_the_language_of_the_site(app, runner, monkeypatch):
    monkeypatch.setitem(app.config, 'LANGUAGE', 'uk')
    said = Context().run(runner, 'user', 'show', 'nobody').output  # outside of the context of the application
    assert 'Використання: cli user show ' in said
    assert "Помилка: Хибне значення 'USER': Нікого" in said


def test_help_is_ukrainian(monkeypatch):
    assert helps('uk', monkeypatch) & helps('en', monkeypatch) == set()


@pytest.mark.parametrize('arguments', [('doctor',), ('batches', 'show', 'default'), ('user', 'show', '⟦bee⟧')])
def test_what_scripts_read_is_english(site, runner, arguments):
    assert '~' not in runner(*arguments, '--json').stdout


@pytest.mark.parametrize(
    ('variables', 'language'),
    [
        ({'LC_ALL': 'uk_UA.UTF-8', 'LANG': 'en_US.UTF-8'}, 'uk'),
        ({'LC_ALL': '', 'LC_MESSAGES': 'uk_UA', 'LANG': 'en_US.UTF-8'}, 'uk'),
        ({'LC_ALL': '', 'LANG': 'uk'}, 'uk'),
        ({'LANGUAGE': 'fr:uk:en', 'LC_ALL': 'C'}, 'uk'),
        ({'LC_ALL': 'C.UTF-8', 'LANG': 'uk_UA.UTF-8'}, 'en'),
        ({'LC_ALL': 'fr_FR.UTF-8'}, 'en'),
        ({'LC_ALL': '../x'}, 'en'),
        ({'LC_ALL': ''}, 'en'),
    ],
)
def test_terminal_decides_on_the_language(runner, monkeypatch, variables, language):
    for name in ('LANGUAGE', 'LC_ALL', 'LC_MESSAGES', 'LANG'):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert ('Усе збігається.' in runner('db', 'check').stdout) == (language == 'uk')


def test_setting_is_stronger_than_the_terminal(app, runner, monkeypatch):
    monkeypatch.setitem(app.config, 'LANGUAGE', 'ua')
    assert 'Усе збігається.' in runner('db', 'check').stdout


def test_language_that_the_site_does_not_offer_is_not_spoken(app, runner, monkeypatch):
    monkeypatch.setitem(app.config, 'LANGUAGES', ['en'])
    monkeypatch.setenv('LC_ALL', 'uk_UA.UTF-8')
    assert 'Everything agrees.' in runner('db', 'check').stdout
