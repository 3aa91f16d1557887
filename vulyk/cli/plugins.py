"""Task types: which are installed, a new one, and whether one works."""

import importlib
import keyword
import pkgutil
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from importlib.resources import as_file, files
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import click

from vulyk.cli import plugin_check
from vulyk.cli.context import site
from vulyk.models.task_types import AbstractTaskType
from vulyk.terminal import WRONG, Finding, json_option, print_findings, print_json, print_table
from vulyk.texts import gettext

COLUMNS = ('package', 'class_name', 'type', 'version', 'enabled', 'problem')


class Plugin(NamedTuple):
    """A package with a task type. ``problem`` says why it cannot be imported, then ``class_name`` and ``type`` are ''."""

    package: str
    class_name: str
    type: str
    version: str
    problem: str


def installed() -> list[Plugin]:
    """The packages with task types that Python finds: named ``vulyk_…``, or of distributions that need Vulyk."""
    distributions = metadata.packages_distributions()  # once: it reads the files of all that is installed
    found = []
    for package in sorted(_candidates(distributions)):
        names = distributions.get(package)
        found.append(look_at(package, metadata.version(names[0]) if names else ''))
    return [plugin for plugin in found if plugin is not None]


def look_at(package: str, version: str = '') -> Plugin | None:
    """The task type of a package; None if it has no module ``models.task_types``."""
    try:
        if find_spec(f'{package}.models.task_types') is None:
            return None
        classes = list(task_types_in(package))
    except ModuleNotFoundError as error:
        if error.name and f'{package}.models'.startswith(error.name):
            return None
        return Plugin(package, '', '', version, gettext('it needs the package %(name)s', name=error.name))
    except Exception as error:  # the code is not ours and may raise anything
        return Plugin(package, '', '', version, f'{type(error).__name__}: {error}')
    if not classes:
        return Plugin(package, '', '', version, gettext('models/task_types.py has no task type with a type_name'))
    return Plugin(package, classes[-1].__name__, str(classes[-1].type_name), version, '')


def task_types_in(package: str) -> Iterator[type[AbstractTaskType]]:
    """The classes of task types that a package defines itself, in their order."""
    module = importlib.import_module(f'{package}.models.task_types')
    for value in vars(module).values():
        is_own = isinstance(value, type) and value.__module__ == module.__name__
        if is_own and issubclass(value, AbstractTaskType) and value.type_name:
            yield value


def _candidates(distributions: Mapping[str, Sequence[str]]) -> set[str]:
    named = {module.name for module in pkgutil.iter_modules() if module.ispkg and module.name.startswith('vulyk_')}
    needy = {name for name in {*chain(*distributions.values())} if _needs_vulyk(name)}
    needing = {package for package, names in distributions.items() if not needy.isdisjoint(names)}
    return {package for package in named | needing if package.isidentifier()}


def _needs_vulyk(distribution: str) -> bool:
    return any(one.split(';')[0].strip().lower() == 'vulyk' for one in metadata.requires(distribution) or ())


@click.group('plugin')
def plugin_group() -> None:
    """Task types: which there are, a new one, and whether one works."""


@plugin_group.command('list')
@json_option
def list_command(as_json: bool) -> None:
    """List the task types that are installed here, and which of them the site uses."""
    app = site().app
    enabled = {kind.package for kind in app.task_types.values()}
    rows = []
    for plugin in installed():
        problem = plugin.problem or app.plugin_errors.get(plugin.package, '')
        rows.append({**plugin._asdict(), 'enabled': plugin.package in enabled, 'problem': problem})
    found = {plugin['package'] for plugin in rows}
    for package, problem in app.plugin_errors.items():
        if package not in found:
            rows.append({**dict.fromkeys(COLUMNS, ''), 'package': package, 'enabled': False, 'problem': problem})
    if as_json:
        return print_json(rows)
    if not rows:
        return click.echo(gettext('No task type is installed here; "plugin new NAME" begins one.'))
    return print_table(COLUMNS, [[row[name] for name in COLUMNS] for row in rows])


# --- a new one ----------------------------------------------------------------------------------------------------------


@plugin_group.command('new')
@click.argument('name')
@click.argument('folder', metavar='[DIR]', required=False, type=click.Path(path_type=Path))
def new_command(name: str, folder: Path | None) -> None:
    """Begin a task type called NAME, in the folder DIR (vulyk_NAME): a package that works, with its tests.

    It shows a text and answers to choose from; change it into what you want.
    """
    name = check_name(name)
    folder = folder or Path(f'vulyk_{name}')
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise click.BadParameter(
            gettext('%(folder)s exists already and is not empty; name another folder.', folder=folder)
        )
    try:
        with as_file(files('vulyk') / 'cli' / 'scaffold') as scaffold:
            number = write_scaffold(scaffold, folder, name)
    except OSError as error:
        raise click.ClickException(
            gettext('%(folder)s cannot be written: %(reason)s.', folder=folder, reason=error.strerror)
        ) from error
    there = gettext('%(number)s files are in %(folder)s.', number=number, folder=folder)
    click.echo(
        f'\n  {there}\n'
        f'\n    cd {folder}\n'
        f"    pip install -e '.[test]'\n"
        f'    python -m pytest\n'
        f'    vulyk plugin check vulyk_{name}\n'
        f'\n  {gettext("README.rst tells how a site uses it.")}\n'
    )


def check_name(name: str) -> str:
    """The name of a task type, without ``vulyk_`` before it.

    :raises click.BadParameter: it cannot be one, or there is such a package.
    """
    name = name.removeprefix('vulyk_').removeprefix('vulyk-').replace('-', '_')
    if not re.fullmatch(r'[a-z][a-z0-9_]{0,39}', name) or keyword.iskeyword(name):
        raise click.BadParameter(
            gettext('%(name)s: use 1 to 40 small Latin letters, digits and "_", a letter first.', name=repr(name))
        )
    if find_spec(f'vulyk_{name}') is not None:
        raise click.BadParameter(gettext('There is a package vulyk_%(name)s already; choose another name.', name=name))
    return name


def write_scaffold(scaffold: Path, folder: Path, name: str) -> int:
    """Copy the files under their new names; returns how many there are."""
    words = {
        "'Example'": repr(name.replace('_', ' ').capitalize()),
        'vulyk-example': f'vulyk-{name.replace("_", "-")}',
        'Example': ''.join(part.capitalize() for part in name.split('_')),
        'example': name,
    }

    def renamed(text: str) -> str:
        return re.sub('|'.join(words), lambda match: words[match[0]], text)

    paths = [path for path in sorted(scaffold.rglob('*')) if path.is_file() and '__pycache__' not in path.parts]
    for path in paths:
        target = folder / renamed(str(path.relative_to(scaffold))).replace('gitignore', '.gitignore')
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(renamed(path.read_text('utf-8')), encoding='utf-8')
    return len(paths)


# --- does one work ------------------------------------------------------------------------------------------------------


@plugin_group.command('check')
@click.argument('package')
@click.option(
    '--answer', metavar='JSON', help='An answer to the first task; left out: one of the practice or the samples.'
)
@click.option('--tasks', metavar='FILE', help='Tasks to try; left out: those of the practice or the samples.')
@click.option('--mongodb', metavar='URI', help='Make the database for it there; left out: on a private server.')
@json_option
def check_command(package: str, answer: str | None, tasks: str | None, mongodb: str | None, as_json: bool) -> None:
    """Load the task type of PACKAGE into a site of its own, solve a task through its pages, and name what is missing.

    The site lives in a database that is made for it and deleted afterwards. Exit code 1: something does not work.
    """
    given = plugin_check.read_answer(answer)
    if tasks and not Path(tasks).is_file():
        raise click.BadParameter(gettext('There is no file %(file)s.', file=tasks), param_hint='--tasks')
    if str(Path.cwd()) not in sys.path:  # it need not be installed
        sys.path.insert(0, str(Path.cwd()))
    print_findings(_examine(package.replace('-', '_'), given, tasks, mongodb), as_json=as_json)


def _examine(package: str, answer: dict[str, Any] | None, tasks: str | None, mongodb: str | None) -> Iterator[Finding]:
    plugin = look_at(package) if package.isidentifier() else None
    if plugin is None or plugin.problem:
        cure = '' if plugin else gettext('Install it, or start this in the folder that it lies in.')
        text = (
            plugin.problem
            if plugin
            else gettext('Python finds no module %(package)s.models.task_types.', package=package)
        )
        yield Finding('package', WRONG, text, cure)
        return
    yield from plugin_check.examine(plugin.package, plugin.class_name, answer, tasks, mongodb)
