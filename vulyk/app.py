"""The application for WSGI servers and themes, built at first use: ``from vulyk.app import app, TASKS_TYPES``."""

from typing import Any

from vulyk.bootstrap import init_app
from vulyk.bootstrap._security import check_secret_key


def __getattr__(name: str) -> Any:
    if name == 'app':
        app = init_app('vulyk')
        check_secret_key(app)  # a server that starts without would answer every request with an error
        return app
    if name == 'TASKS_TYPES':
        return init_app('vulyk').task_types
    raise AttributeError(name)
