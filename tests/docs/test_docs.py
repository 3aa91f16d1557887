"""The documentation says what the code does: settings, commands, hooks, routes, indexes, examples and links."""

import ast
import doctest
import importlib
import io
import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pymongo
import pytest
from click.testing import CliRunner
from docutils import nodes
from docutils.core import publish_doctree
from docutils.parsers.rst import Directive, directives, roles
from flask import Flask
from flask.testing import FlaskClient

from tests import factories
from vulyk import app as application
from vulyk import backup, control, settings, utils
from vulyk.blueprints.gamification import listeners
from vulyk.blueprints.gamification.routes import gamification
from vulyk.bootstrap import _errors
from vulyk.cli.batches import add_batch
from vulyk.models import database, exc
from vulyk.models.task_types import AbstractTaskType
from vulyk.models.tasks import WithdrawnAnswer

ROOT = Path(__file__).parents[2]
DOCS = ROOT / 'docs'
PAGES = sorted(path for path in DOCS.rglob('*.rst') if '_build' not in path.parts)
OTHERS = [*sorted(ROOT.glob('*.rst')), *sorted(ROOT.glob('plugins/*/README.rst'))]


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding='utf-8')


def blocks(text: str, directive: str) -> list[tuple[str, str]]:
    """``(argument, text up to the next one)`` of each ``.. directive:: argument``."""
    parts = re.split(rf'^\.\. {directive}:: *(.*)\n', text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def code(name: str) -> dict[str, str]:
    """``{caption: text}`` of the code blocks of a page that have a caption."""
    found = re.findall(
        r'^\.\. code-block:: \S+\n   :caption: (\S+)\n\n((?:   .*\n|\n)+)', f'{read(name)}\n', flags=re.MULTILINE
    )
    return {caption: textwrap.dedent(text).strip('\n') + '\n' for caption, text in found}


# --- settings ---------------------------------------------------------------------------------------------------------

SETTINGS = {name: value for name, value in vars(settings).items() if name.isupper() and not name.startswith('_')}
DOCUMENTED = dict(blocks(read('settings.rst'), 'confval'))


def test_every_setting_is_documented_and_every_documented_setting_exists():
    assert sorted(DOCUMENTED) == sorted(SETTINGS)


@pytest.mark.parametrize('name', sorted(SETTINGS))
def test_documented_default_is_the_default(name):
    told = re.search(r':default: (.*)', DOCUMENTED[name])[1]
    if told.startswith('``'):
        assert ast.literal_eval(told.strip('`')) == SETTINGS[name]
    else:
        assert len(str(SETTINGS[name])) > 60, 'only a long text may be paraphrased'


def test_documented_environment_variables_are_those_that_are_read():
    told = {name for name, text in DOCUMENTED.items() if f':Environment variable: ``{name}``' in text}
    assert told == set(settings._FROM_ENVIRONMENT)
    assert all(f'``{name}``' in read('operators/settings.rst') for name in settings._MONGODB_VARIABLES)


# --- commands ---------------------------------------------------------------------------------------------------------


def commands(group: click.Group, path: tuple[str, ...] = ('vulyk',)) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield ' '.join((*path, name)), command


COMMANDS = dict(commands(control.cli)) | dict(commands(gamification.cli, ('vulyk', 'gamification')))
PROGRAMS = dict(blocks(read('operators/cli.rst'), 'program'))


def test_every_command_is_documented_and_every_documented_command_exists():
    assert sorted(PROGRAMS) == sorted(COMMANDS)


@pytest.mark.parametrize('name', sorted(COMMANDS))
def test_options_of_a_command_are_documented(name):
    options = [param for param in COMMANDS[name].params if isinstance(param, click.Option)]
    told = {
        word for line, _ in blocks(PROGRAMS[name], 'option') for word in re.findall(r'(?:^|, )(--?[a-z][\w-]*)', line)
    }
    assert told == {word for option in options for word in (*option.opts, *option.secondary_opts)}
    for option in options:
        if option.show_default:
            assert f'Default: ``{option.default}``' in PROGRAMS[name]


@pytest.mark.parametrize('name', sorted(COMMANDS))
def test_every_command_has_an_example(name):
    assert re.search(rf'^    {name}( |$)', PROGRAMS[name], flags=re.MULTILINE)


# --- the reference for plugins ----------------------------------------------------------------------------------------

REFERENCE = read('plugins/reference.rst')
OBJECTS = r'^\.\. auto(?:class|method|property|function):: (.*)\n'


def documented_objects() -> dict[str, str]:
    """``{full name: text up to the next one}`` of what the reference takes from the code."""
    parts = re.split(OBJECTS, REFERENCE, flags=re.MULTILINE)
    here = 'vulyk.models.task_types.'
    names = (name if name.startswith('vulyk.') else here + name for name in parts[1::2])
    return dict(zip(names, parts[2::2], strict=True))


def find(name: str) -> Any:
    """The object of that full name."""
    module, rest = name, []
    while True:
        try:
            found: Any = importlib.import_module(module)
        except ModuleNotFoundError:
            module, _, last = module.rpartition('.')
            rest.insert(0, last)
        else:
            break
    for part in rest:
        found = getattr(found, part)
    return found


def test_everything_in_the_reference_exists():
    assert all(map(find, documented_objects()))


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_everything_pages_refer_to_exists(page):
    for name in re.findall(r':(?:class|meth|func|mod|exc):`~?(vulyk[\w.]+)`', page.read_text(encoding='utf-8')):
        find(name)


HOOKS = ('_get_next_task', '_is_ready_for_autoclose', '_update_task_on_answer')


def test_every_method_and_hook_of_a_task_type_is_documented():
    members = vars(AbstractTaskType)
    public = {name for name, value in members.items() if not name.startswith('_') and not is_plain(value)}
    prefix = 'vulyk.models.task_types.AbstractTaskType.'
    told = {name.removeprefix(prefix) for name in documented_objects() if name.startswith(prefix)}
    assert told == public | set(HOOKS)


def is_plain(value: Any) -> bool:
    return not (callable(value) or hasattr(value, '__get__'))


def test_every_attribute_of_a_task_type_is_documented():
    table = re.split(r'^Hooks\n-+$', REFERENCE, flags=re.MULTILINE)[0]
    names = [name for name, value in vars(AbstractTaskType).items() if is_plain(value) and not name.startswith('__')]
    missing = [name for name in names if f'``{name}``' not in table]
    assert missing == []


def test_every_hook_has_an_example():
    hooks = re.split(r'^(?:Hooks|Methods to call)\n-+$', REFERENCE, flags=re.MULTILINE)[1]
    told = re.split(OBJECTS, hooks, flags=re.MULTILINE)
    for name, text in zip(told[1::2], told[2::2], strict=True):
        method = name.rpartition('.')[2]
        assert f'       def {method}(self' in text, f'{name} has no example'
        ast.parse(textwrap.dedent(text.split('::\n')[-1]))


def test_every_exception_is_listed_with_its_status():
    names = {name for name, value in vars(exc).items() if isinstance(value, type)}
    rows = dict(re.findall(r'^:class:`~vulyk\.models\.exc\.(\w+)` +(\S+)', REFERENCE, flags=re.MULTILINE))
    assert set(rows) == names
    statuses = {kind.__name__: str(int(status)) for kind, status in _errors.STATUSES.items()}
    assert {name: status for name, status in rows.items() if name in statuses} == statuses


def test_every_route_is_documented(make_app):
    page = re.sub(r'<[^>]+>', '<>', read('plugins/frontend.rst'))
    app = make_app(ENABLED_BLUEPRINTS=settings.ENABLED_BLUEPRINTS)
    listeners.disconnect(app)  # signals of later tests are none of its business
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith(('/static/', '/demo/')):
            assert re.sub(r'<[^>]+>', '<>', rule.rule) in page


def test_every_index_is_documented():
    page = read('operators/scaling.rst')
    for model in database.MODELS:
        for index in model._meta['index_specs']:
            fields = ', '.join(name for name, _ in index['fields'])
            assert f'``{{{fields}}}``' in page, f'{model.__name__}: {fields}'


def test_every_collection_is_described(make_app):
    listeners.disconnect(make_app(ENABLED_BLUEPRINTS=settings.ENABLED_BLUEPRINTS))
    found = {model._get_collection_name() for model in database.MODELS} | backup.LEFT_OUT
    described = set(re.findall(r'``([\w.]+)``', read('operators/mongodb.rst').partition('\nCollections\n')[2]))
    assert found - described == set()


# --- examples ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def plugin_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the files of the tutorial, the strategies of the reference and the tests of the page about testing."""
    folder = tmp_path_factory.mktemp('names')
    for page in ('plugins/tutorial.rst', 'plugins/reference.rst', 'plugins/testing.rst'):
        for name, text in code(page).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding='utf-8')
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture
def make_site(make_app, monkeypatch: pytest.MonkeyPatch):
    """Makes an application on an empty database, and has the commands work on it."""

    def make(**more: Any) -> Flask:
        app = make_app(**more)
        assert app.plugin_errors == {}
        with app.app_context():
            factories.empty_database()
        monkeypatch.setattr(control, 'build', lambda config=None: app)
        return app

    return make


def run(*arguments: str) -> str:
    done = CliRunner().invoke(control.cli, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def browser_of(app: Flask, username: str) -> FlaskClient:
    """A browser somebody of that name is signed in with."""
    with app.app_context():
        user = factories.make_user(username=username)
    browser = app.test_client()
    with browser.session_transaction() as session:
        session.update(factories.signed_in(user))
    return browser


def test_tutorial_builds_a_task_type_that_can_be_solved(plugin_folder, make_site, tmp_path):
    app = make_site(ENABLED_TASKS={'vulyk_names': 'NameTaskType'})
    run('init', 'names')
    run('db', 'load', 'names', str(plugin_folder / 'sentences.jsonl'), '--batch', 'letters')

    for username in ('ann', 'ben'):
        browser = browser_of(app, username)
        page = browser.get('/type/names/').text
        assert 'class="names"' in page
        assert 'A ship is a thing' in page
        assert 'plugin_js_names.js' in page
        for _ in range(3):
            task = browser.get('/type/names/next').json['result']['task']
            refused = browser.post(f'/type/names/done/{task["id"]}', json={'result': {'kind': 'ship'}})
            assert (refused.status_code, refused.json['errors']) == (422, ['kind: choose one of person, place, thing.'])
            done = browser.post(f'/type/names/done/{task["id"]}', json={'result': {'kind': 'person'}})
            assert done.json == {'result': {'done': True}, 'errors': []}
        assert browser.get('/type/names/next').status_code == 404

    run('db', 'export', 'names', str(tmp_path / 'answers.jsonl'), '--batch', 'letters')
    lines = [json.loads(line) for line in (tmp_path / 'answers.jsonl').read_text(encoding='utf-8').splitlines()]
    assert [[answer['answer'] for answer in line] for line in lines] == [[{'kind': 'person'}] * 2] * 3


@pytest.mark.parametrize(
    ('strategy', 'years'), [('last_line_first', [1842, 1620, 1843]), ('oldest_first', [1620, 1842, 1843])]
)
def test_worked_examples_of_strategies_hand_out_in_their_order(plugin_folder, make_site, strategy, years):
    app = make_site(
        ENABLED_TASKS={'vulyk_names': 'NameTaskType'}, ASSIGNMENT={'names': f'vulyk_names.strategies.{strategy}'}
    )
    run('init', 'names')
    run('db', 'load', 'names', str(plugin_folder / 'sentences.jsonl'), '--batch', 'letters')
    browser = browser_of(app, 'ann')
    seen = []
    for _ in range(3):
        task = browser.get('/type/names/next').json['result']['task']
        seen.append(task['data']['year'])
        browser.post(f'/type/names/done/{task["id"]}', json={'result': {'kind': 'place'}})
    assert seen == years


def test_tests_of_the_page_about_testing_pass(plugin_folder, test_folder, mongo_uri):
    (plugin_folder / 'build').mkdir(exist_ok=True)
    server = plugin_folder / 'build' / 'mongo'
    if not server.exists():
        server.symlink_to(test_folder / 'mongo')  # the server that runs already
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(('PYTEST', 'VULYK_TEST', 'COV'))},
        'PYTHONPATH': str(plugin_folder),
        'PYTEST_DISABLE_PLUGIN_AUTOLOAD': '1',
    }
    command = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', 'tests']
    try:
        done = subprocess.run(command, cwd=plugin_folder, env=environment, capture_output=True, text=True, check=False)
    finally:
        with pymongo.MongoClient(mongo_uri) as client:
            client.drop_database('vulyk_names_tests')
    assert done.returncode == 0, done.stdout + done.stderr
    assert ' passed' in done.stdout


def test_scripts_for_operators_work(make_site, monkeypatch):
    app = make_site(ENABLED_TASKS={'vulyk_images': 'ImageChoiceTaskType'})
    scripts = code('operators/cli.rst')
    assert sorted(scripts) == ['withdraw.py']
    run('init', 'images')
    with app.app_context():
        kind = app.task_types['images']
        author = factories.make_user(username='ben')
        factories.make_user(username='ann', admin=True)
        kind.import_tasks([{'choices': ['cat', 'dog']}], 'zoo')
        add_batch('zoo', 1, kind, 'default')
        (task,) = kind.task_model.objects(task_type='images')
        kind.on_task_done(author, task.id, {'choice': 'cat'})
    monkeypatch.setattr(application, 'init_app', lambda name: app)
    for name, text in scripts.items():
        exec(compile(text, name, 'exec'), {})
    with app.app_context():
        assert WithdrawnAnswer.objects.get().reason == 'Typed at random'
        assert task.reload().users_count == 0


def test_examples_in_the_helpers_are_right():
    assert doctest.testmod(utils) == (0, 1)


# --- form -------------------------------------------------------------------------------------------------------------


class _Options(dict):
    """Whatever option a directive of Sphinx has."""

    def __getitem__(self, name: str) -> Any:
        return directives.unchanged

    def __contains__(self, name: object) -> bool:
        return True

    def __bool__(self) -> bool:
        return True


class _Sphinx(Directive):
    """Stands for a directive of Sphinx: its content is read, what it does is not done."""

    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True
    option_spec = _Options()

    def run(self) -> list[nodes.Node]:
        node = nodes.container()
        self.state.nested_parse(self.content, self.content_offset, node)
        return [node]


class _Literal(_Sphinx):
    """The same, for content that is no reStructuredText."""

    def run(self) -> list[nodes.Node]:
        return []


def _role(name: str, rawtext: str, text: str, *rest: Any) -> tuple[list[nodes.Node], list[nodes.Node]]:
    return [nodes.literal(rawtext, text)], []


@pytest.fixture
def docutils_knows_sphinx(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets docutils read pages that are meant for Sphinx."""
    autodoc = ['automodule', 'autoclass', 'automethod', 'autoproperty', 'autofunction']
    for name in ('confval', 'option', 'program', 'currentmodule', *autodoc):
        monkeypatch.setitem(directives._directives, name, _Sphinx)
    for name in ('toctree', 'code-block', 'doctest'):
        monkeypatch.setitem(directives._directives, name, _Literal)
    for name in ('doc', 'ref', 'confval', 'class', 'meth', 'func', 'mod', 'exc'):
        monkeypatch.setitem(roles._roles, name, _role)


@pytest.mark.usefixtures('docutils_knows_sphinx')
@pytest.mark.parametrize('page', [*PAGES, *OTHERS], ids=lambda page: str(page.relative_to(ROOT)))
def test_page_is_well_formed_and_its_links_lead_somewhere(page):
    warnings = io.StringIO()
    document = publish_doctree(
        page.read_text(encoding='utf-8'),
        source_path=str(page),
        settings_overrides={'report_level': 2, 'halt_level': 5, 'warning_stream': warnings},
    )
    assert warnings.getvalue() == ''
    links = [node['refuri'] for node in document.findall(nodes.reference) if 'refuri' in node]
    images = [node['uri'] for node in document.findall(nodes.image)]
    relative = [link for link in (*links, *images) if not re.match(r'[a-z]+:|#', link)]
    assert [link for link in relative if not (page.parent / link).exists()] == []


def test_pictures_are_small_are_shown_and_are_those_that_the_script_takes():
    stored = {path.name: path.stat().st_size for path in (DOCS / 'images').iterdir()}
    shown = {
        name for page in DOCS.rglob('*.rst') for name in re.findall(r'image:: \S*images/(\S+)', page.read_text('utf-8'))
    }
    taken = re.findall(
        r"^    '([\w-]+)': \('(?:volunteer|admin)'", (DOCS / 'screenshots.py').read_text('utf-8'), re.MULTILINE
    )
    assert set(stored) == shown == {f'{name}.png' for name in taken}
    assert max(stored.values()) <= 300_000


@pytest.mark.timeout(300)
def test_sphinx_builds_and_runs_the_examples_without_a_warning(tmp_path):
    for builder in ('html', 'doctest'):
        command = [sys.executable, '-m', 'sphinx', '-q', '-W', '-b', builder, '-d', str(tmp_path / 'doctrees')]
        command += [str(DOCS), str(tmp_path / builder)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ''), done.stdout
    foreign = re.compile(r'<(?:script|link|img)\b[^>]*\b(?:src|href)="(?:https?:)?//')
    assert [page.name for page in tmp_path.rglob('*.html') if foreign.search(page.read_text('utf-8'))] == []
