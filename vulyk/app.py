"""The application for WSGI servers and themes, built at first use: ``from vulyk.app import app, TASKS_TYPES``."""

from typing import Any

from vulyk.bootstrap import init_app


def __getattr__(name: str) -> Any:
    if name == 'app':
        return init_app('vulyk')
    if name == 'TASKS_TYPES':
        return init_app('vulyk').task_types
    raise AttributeError(name)
