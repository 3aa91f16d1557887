"""``plugin``: which task types there are, a new one, and whether one works."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pymongo
import pytest
from click.testing import CliRunner

from vulyk import control
from vulyk.cli.plugins import installed

LEAST = """
from vulyk.models.task_types import AbstractTaskType
from vulyk.models.tasks import AbstractAnswer, AbstractTask


class {name}Task(AbstractTask):
    pass


class {name}Answer(AbstractAnswer):
    pass


class {name}TaskType(AbstractTaskType):
    task_model, answer_model, type_name, template = {name}Task, {name}Answer, '{type}', 'index.html'
    redundancy = 1
    {more}
"""


RAISING = 'def validate_result(self, task, result): result["x"]["y"]'


@pytest.fixture
def packages(tmp_path, monkeypatch) -> Path:
    """An empty folder in which Python looks for packages, and in which commands are started."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write_plugin(packages):
    """Writes a package: ``write_plugin('vulyk_a', 'class body')``; ``template`` is its page."""

    def write(package: str, more: str = '', template: str = '<p></p>') -> None:
        name = package.removeprefix('vulyk_')
        task_types = LEAST.format(name=name.capitalize(), type=name, more=more)
        for path, text in {
            '__init__.py': 'from vulyk.utils import plugin_settings as configure',
            'settings.py': '',
            'models/__init__.py': '',
            'models/task_types.py': task_types,
            'templates/index.html': template,
        }.items():
            target = packages / package / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)

    return write


@pytest.fixture
def check(make_app, monkeypatch, mongo_uri):
    """Checks a plugin on the server of the tests: ``check(package, …)`` returns exit code and what was found."""
    made = []

    def build(config):
        made.append(config['MONGODB_SETTINGS']['DB'])
        return make_app(**config)

    def run(*arguments: str) -> tuple[int, list[str]]:
        command = ['plugin', 'check', *arguments, '--mongodb', mongo_uri, '--json']
        result = CliRunner().invoke(control.cli, command)
        found = json.loads(result.stdout)
        return result.exit_code, [f'{one["state"]} {one["area"]}: {one["text"]}' for one in found]

    monkeypatch.setattr(control, 'build', build)
    yield run
    with pymongo.MongoClient(mongo_uri) as client:
        assert {*made} & {*client.list_database_names()} == set()


# --- list -------------------------------------------------------------------------------------------------------------


def test_installed_task_types_are_listed_with_those_that_are_used(runner):
    rows = {row['package']: row for row in json.loads(runner('plugin', 'list', '--json').stdout)}
    assert rows['vulyk_plain'].items() >= {'class_name': 'PlainTaskType', 'type': 'plain_task', 'enabled': True}.items()
    assert (rows['vulyk_images']['version'], rows['vulyk_images']['enabled']) == ('1.0.0', False)
    assert 'ImageChoiceTaskType' in runner('plugin', 'list').stdout


def test_package_that_cannot_be_imported_is_listed_with_the_reason(write_plugin):
    write_plugin('vulyk_broken', more='import no_such_package')
    write_plugin('vulyk_empty', more="type_name = ''")
    problems = {plugin.package: plugin.problem for plugin in installed()}
    assert problems['vulyk_broken'] == 'it needs the package no_such_package'
    assert problems['vulyk_empty'] == 'models/task_types.py has no task type with a type_name'


# --- new --------------------------------------------------------------------------------------------------------------


def test_new_task_type_works_at_once_and_passes_its_own_tests(packages, check, test_folder, mongo_uri):
    result = CliRunner().invoke(control.cli, ['plugin', 'new', 'flower-names'])
    assert result.exit_code == 0, result.output
    folder = packages / 'vulyk_flower_names'
    texts = [path.read_text('utf-8') for path in folder.rglob('*') if path.is_file()]
    assert not [text for text in texts if 'xample' in text]
    sys.path.insert(0, str(folder))
    try:
        code, found = check('vulyk_flower_names')
    finally:
        sys.path.remove(str(folder))
    assert (code, [text for text in found if not text.startswith('ok')]) == (0, [])
    assert found[-1].startswith('ok answers: 3 volunteers answered')

    (folder / 'build').mkdir()
    (folder / 'build' / 'mongo').symlink_to(test_folder / 'mongo')  # the server that runs already
    own = {name: value for name, value in os.environ.items() if not name.startswith(('PYTEST', 'VULYK_TEST', 'COV'))}
    own |= {'PYTHONPATH': str(folder), 'PYTEST_DISABLE_PLUGIN_AUTOLOAD': '1'}
    command = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider']
    try:
        done = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False)
    finally:
        with pymongo.MongoClient(mongo_uri) as client:
            client.drop_database('vulyk_flower_names_tests')
    assert (done.returncode, '10 passed' in done.stdout) == (0, True), done.stdout + done.stderr


@pytest.mark.parametrize(
    ('arguments', 'reason'),
    [
        (['Flowers'], 'small Latin letters'),
        (['class'], 'small Latin letters'),
        (['../x'], 'small Latin letters'),
        (['images'], 'There is a package vulyk_images already'),
        (['roses', 'file'], 'file exists already and is not empty'),
        ([], "Missing argument 'NAME'"),
    ],
)
def test_task_type_that_cannot_be_begun_is_refused(packages, arguments, reason):
    (packages / 'file').touch()
    result = CliRunner().invoke(control.cli, ['plugin', 'new', *arguments])
    assert (result.exit_code, reason in result.output) == (2, True), result.output
    assert [path.name for path in packages.iterdir()] == ['file']


# --- check ------------------------------------------------------------------------------------------------------------


def test_what_is_missing_is_named(check, write_plugin, write):
    write_plugin('vulyk_least')
    code, found = check('vulyk_least', '--tasks', write('tasks.jsonl', {'n': 1}), '--answer', '{"x": 1}')
    assert code == 0
    warnings = [text.removeprefix('warning ') for text in found if text.startswith('warning')]
    assert warnings[:6] == [
        'facts: It has no name; the home page shows it.',
        'facts: It has no description; the home page shows it.',
        'help: It has no help; volunteers get a general text.',
        'rules: It takes any answer.',
        'page: Its page is made for jQuery and Bootstrap 3.',
        'page: It has no script: nothing shows a task or sends an answer.',
    ]
    assert 'rules: It takes the answer {}.' in warnings
    assert found[-1] == 'ok answers: 1 volunteers answered, the task is closed and exported'


def test_without_tasks_or_an_answer_it_goes_as_far_as_it_can(check, write_plugin):
    write_plugin('vulyk_taskless')
    assert check('vulyk_taskless')[1][-1] == 'warning tasks: There is no task to try.'


@pytest.mark.parametrize(
    ('name', 'more', 'template', 'said'),
    [
        ('vulyk_raising', RAISING, '', 'The answer {} makes it raise KeyError'),
        ('vulyk_page', '', '{{ nothing.at.all }}', "It raises UndefinedError: 'nothing' is undefined"),
        (
            'vulyk_inline',
            "frontend = 'bootstrap5'",
            '<p onclick="x()">',
            'inline scripts and styles: index.html: <p onclick=',
        ),
        ('vulyk_lost', "JS_ASSETS = ['lost.js']", '', 'these scripts or styles are not in it: lost.js'),
        ('vulyk_import', 'import no_such_package', '', 'it needs the package no_such_package'),
    ],
)
def test_what_does_not_work_is_told(check, write_plugin, write, name, more, template, said):
    write_plugin(name, more, template)
    code, found = check(name, '--tasks', write('tasks.jsonl', {'n': 1}), '--answer', '{"x": {"y": 1}}')
    assert (code, [text for text in found if said in text and text.startswith('wrong')] != []) == (1, True), found


def test_answer_that_is_refused_is_told_with_the_reason(check):
    code, found = check('vulyk_tagging', '--answer', '{"spans": 1}')
    assert code == 1
    assert found[-1].startswith('wrong answers: {"spans": 1} is refused with 422: spans: must be a list')


@pytest.mark.parametrize(
    ('arguments', 'reason'),
    [
        (['vulyk_images', '--answer', 'cat'], "'cat' is not JSON"),
        (['vulyk_images', '--answer', '[]'], 'An answer is a JSON object'),
        (['vulyk_images', '--tasks', 'nothing.jsonl'], 'There is no file nothing.jsonl'),
    ],
)
def test_wrong_use_is_refused(arguments, reason):
    result = CliRunner().invoke(control.cli, ['plugin', 'check', *arguments])
    assert (result.exit_code, reason in result.output) == (2, True), result.output


def test_package_that_is_not_there_is_told(check):
    code, found = check('vulyk_nothing')
    assert (code, found) == (1, ['wrong package: Python finds no module vulyk_nothing.models.task_types.'])
