"""The command line as a whole: help without a database, a database that is away, settings that cannot be used."""

import os
import subprocess
import sys
import time

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from vulyk import control
from vulyk.cli.context import site
from vulyk.models.exc import InitializationError


def commands(group: click.Group, *names: str) -> list[tuple[str, ...]]:
    """All commands, as the words that call them."""
    found = [names]
    for name, command in group.commands.items():
        found += commands(command, *names, name) if isinstance(command, click.Group) else [(*names, name)]
    return found


ALL = commands(control.cli)
DOCUMENTED = [
    ('run',),
    ('init',),
    ('admin', 'list'),
    ('admin', 'add'),
    ('admin', 'remove'),
    ('db', 'load'),
    ('db', 'export'),
    ('group', 'list'),
    ('group', 'add'),
    ('group', 'del'),
    ('group', 'assign'),
    ('group', 'resign'),
    ('group', 'addtype'),
    ('group', 'deltype'),
    ('batches', 'list'),
    ('batches', 'del'),
    ('stats', 'batch'),
]


@pytest.fixture
def no_application(monkeypatch):
    """Fails when a command builds the application."""

    def fail(*args, **kwargs):
        raise AssertionError('help needs no application')

    monkeypatch.setattr(control, 'build', fail)


@pytest.mark.parametrize(
    ('words', 'begun', 'found'),
    [(['db'], 'exp', ['export']), ([], 'gami', ['gamification']), (['user', 'list'], '--j', ['--json'])],
)
def test_shells_complete_commands_and_options(words, begun, found):
    shell = ShellComplete(control.cli, {}, 'vulyk', '_VULYK_COMPLETE')
    assert [item.value for item in shell.get_completions(words, begun)] == found


@pytest.fixture
def folder(tmp_path, closed_port):
    """A folder whose local_settings name a database that is away."""
    (tmp_path / 'local_settings.py').write_text(
        f"SECRET_KEY = 'a key'\nMONGODB_SETTINGS = {{'DB': 'vulyk', 'HOST': '127.0.0.1', 'PORT': {closed_port}}}\n"
        "MONGODB_TIMEOUT_SECONDS = 0.3\nENABLED_TASKS = {'vulyk_plain': 'PlainTaskType'}\n"
    )
    return tmp_path


def call(folder, *arguments: str) -> subprocess.CompletedProcess:
    """Run a command as an operator does, in a process of its own."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith('mongodb_')}
    environ['PYTHONPATH'] = os.pathsep.join(sys.path)
    program = 'from vulyk.control import main; main()'
    return subprocess.run(
        [sys.executable, '-c', program, *arguments],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_documented_command_is_there():
    assert set(DOCUMENTED) <= set(ALL)


@pytest.mark.parametrize('command', ALL, ids=' '.join)
def test_help_needs_neither_application_nor_database(no_application, command):
    result = CliRunner().invoke(control.cli, [*command, '--help'])
    assert result.exit_code == 0
    assert 'Usage: ' in result.output


@pytest.mark.parametrize('command', [command for command in ALL if command], ids=' '.join)
def test_every_command_says_what_it_does(command):
    found = control.cli
    for name in command:
        found = found.commands[name]
    assert found.help


def test_help_is_quick_and_quiet_with_a_database_that_is_away(folder):
    done = call(folder, 'db', 'load', '--help')
    assert (done.returncode, done.stderr) == (0, '')


def test_command_says_in_one_sentence_that_the_database_is_away(folder, closed_port):
    done = call(folder, 'stats', 'batch', '-n', 'b1')
    assert done.returncode == 1
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith('Error: ')]
    assert f'No MongoDB answers at 127.0.0.1:{closed_port}' in sentence
    assert 'Traceback' not in done.stderr


@pytest.fixture
def make_away(make_app, closed_port, _kept):
    """Builds a site whose database is away; keywords are settings."""
    _kept.clear()
    return lambda **more: make_app(MONGODB_SETTINGS={'DB': 'vulyk', 'HOST': '127.0.0.1', 'PORT': closed_port}, **more)


def test_commands_of_other_kinds_say_so_too(make_away):
    away = make_away(MONGODB_TIMEOUT_SECONDS=0.3)
    for command in (['batches', 'list'], ['init', 'plain_task']):
        result = invoke(away, command)
        assert (result.exit_code, 'No MongoDB answers' in result.output) == (1, True), command


def test_database_that_is_away_is_noticed_in_less_than_five_seconds(make_away):
    away = make_away()
    start = time.monotonic()
    result = invoke(away, ['batches', 'del', '--bid', 'b1', '--yes'])
    assert (result.exit_code, time.monotonic() - start < 5) == (1, True)
    assert 'No MongoDB answers' in result.output


def invoke(app, command):
    original, control.build = control.build, lambda config=None: app
    try:
        return CliRunner().invoke(control.cli, command)
    finally:
        control.build = original


def test_settings_that_cannot_be_used_are_told_in_one_sentence(folder):
    (folder / 'local_settings.py').write_text('import no_such_module\n')
    done = call(folder, 'batches', 'list')
    assert (done.returncode, 'local_settings cannot be read: ModuleNotFoundError' in done.stderr) == (1, True)
    assert 'Traceback' not in done.stderr


def test_instance_that_is_none_is_told_in_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv('INSTANCE', str(tmp_path / 'nothing'))
    result = CliRunner().invoke(control.cli, ['batches', 'list'])
    assert (result.exit_code, 'is not a demo instance' in result.output) == (1, True)


def test_command_says_which_settings_it_used(runner, app):
    assert f'Settings: {app.settings_source}' in runner('batches', 'list').stderr


def test_error_of_the_platform_becomes_a_sentence_and_exit_code_1(monkeypatch):
    def fail(*args, **kwargs):
        raise InitializationError('Change this.')

    monkeypatch.setattr(control, 'build', fail)
    result = CliRunner().invoke(control.cli, ['batches', 'list'])
    assert (result.exit_code, result.output) == (1, 'Error: Change this.\n')


@pytest.mark.parametrize('command', [['db'], ['db', 'nothing'], ['batches', 'list', '--nothing'], []])
def test_wrong_use_exits_2(no_application, command):
    result = CliRunner().invoke(control.cli, command)
    assert (result.exit_code, 'Usage: ' in result.output) == (2, True)


def test_unknown_command_exits_2(runner):
    result = runner('nothing')
    assert (result.exit_code, "No such command 'nothing'" in result.output) == (2, True)


def test_function_called_outside_of_the_command_line_says_so():
    with click.Context(click.Command('x')), pytest.raises(click.ClickException, match=r'vulyk\.control\.cli'):
        site()


def test_shell_completes_commands(no_application):
    words = {'_VULYK_COMPLETE': 'bash_complete', 'COMP_WORDS': 'vulyk batches p', 'COMP_CWORD': '2'}
    result = CliRunner().invoke(control.cli, [], env=words, prog_name='vulyk')
    assert result.output.split() == ['plain,pause', 'plain,priority']


@pytest.mark.parametrize('reloads', [True, False])
def test_development_server_watches_what_pages_are_made_of(runner, app, monkeypatch, reloads):
    served = {}
    monkeypatch.setattr(app, 'run', lambda **arguments: served.update(arguments))
    assert runner('run', *(['--reload'] if reloads else [])).exit_code == 0
    assert served['use_reloader'] == reloads
    watched = {os.path.basename(path) for path in served['extra_files']}
    assert ({'base.js', 'index.html'} <= watched) == reloads
