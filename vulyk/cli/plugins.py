"""Task types: which are installed, a new one, and whether one works."""

import importlib
import pkgutil
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from typing import NamedTuple

import click

from vulyk.cli.context import site
from vulyk.models.task_types import AbstractTaskType
from vulyk.terminal import json_option, print_json, print_table

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
    return [plugin for package in sorted(_candidates()) if (plugin := look_at(package)) is not None]


def look_at(package: str) -> Plugin | None:
    """The task type of a package; None if it has no module ``models.task_types``."""
    version = ''.join(_versions(package))
    try:
        if find_spec(f'{package}.models.task_types') is None:
            return None
        classes = list(task_types_in(package))
    except ModuleNotFoundError as error:
        if error.name and f'{package}.models'.startswith(error.name):
            return None
        return Plugin(package, '', '', version, f'it needs the package {error.name}')
    except Exception as error:  # the code is not ours and may raise anything
        return Plugin(package, '', '', version, f'{type(error).__name__}: {error}')
    if not classes:
        return Plugin(package, '', '', version, 'models/task_types.py has no task type with a type_name')
    return Plugin(package, classes[-1].__name__, str(classes[-1].type_name), version, '')


def task_types_in(package: str) -> Iterator[type[AbstractTaskType]]:
    """The classes of task types that a package defines itself, in their order."""
    module = importlib.import_module(f'{package}.models.task_types')
    for value in vars(module).values():
        is_own = isinstance(value, type) and value.__module__ == module.__name__
        if is_own and issubclass(value, AbstractTaskType) and value.type_name:
            yield value


def _candidates() -> set[str]:
    named = {module.name for module in pkgutil.iter_modules() if module.ispkg and module.name.startswith('vulyk_')}
    needing = {package for package, names in _distributions().items() if any(map(_needs_vulyk, names))}
    return {package for package in named | needing if package.isidentifier()}


def _distributions() -> dict[str, list[str]]:
    return {package: list(names) for package, names in metadata.packages_distributions().items()}


def _needs_vulyk(distribution: str) -> bool:
    return any(one.split(';')[0].strip().lower() == 'vulyk' for one in metadata.requires(distribution) or ())


def _versions(package: str) -> Iterator[str]:
    for name in _distributions().get(package, [])[:1]:
        yield metadata.version(name)


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
        return click.echo('No task type is installed here; "plugin new NAME" begins one.')
    return print_table(COLUMNS, [[row[name] for name in COLUMNS] for row in rows])
