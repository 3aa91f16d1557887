"""Plugins made for one test."""

import itertools
from pathlib import Path

TASK_TYPES = """
from vulyk_plain.models.task_types import PlainTaskType

class MadeTaskType(PlainTaskType):
    type_name = {type_name!r}
    {attributes}
"""

_numbers = itertools.count(1)


def make_plugin(
    folder: Path, files: dict[str, str | None] | None = None, *, type_name: str | None = None, attributes: str = 'pass'
) -> str:
    """Write an importable package with the class ``MadeTaskType`` and return its name.

    :param files: more files by their path in the package, or other contents of those there are; None: no such file.
    :param type_name: the name of its task type; the package's name if left out.
    :param attributes: the rest of the class body.
    """
    name = f'vulyk_made_{next(_numbers)}'
    contents = {
        '__init__.py': 'def configure(settings):\n    return {}\n',
        'settings.py': '',
        'models/__init__.py': '',
        'models/task_types.py': TASK_TYPES.format(type_name=type_name or name, attributes=attributes),
        'templates/index.html': '<p>Made</p>',
        **(files or {}),
    }
    for path, content in contents.items():
        if content is not None:
            (folder / name / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / name / path).write_text(content)
    return name
