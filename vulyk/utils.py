"""Every project must have a module called utils."""

import inspect
import sys
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from datetime import UTC, datetime
from enum import IntEnum
from functools import lru_cache
from importlib import import_module
from itertools import islice
from types import ModuleType
from typing import TYPE_CHECKING, Any

import flask
from flask import Flask, Response
from flask_babel import gettext

from vulyk.models.exc import TaskPermissionError, TaskTypeNotFoundError

if TYPE_CHECKING:
    from vulyk.models.task_types import AbstractTaskType
    from vulyk.models.user import User


A_YEAR = 365 * 24 * 3600  # in seconds


class HTTPStatus(IntEnum):
    """Status codes of the platform's answers."""

    OK = 200
    BAD_REQUEST = 400
    UNAUTHORIZED = 401
    FORBIDDEN = 403
    NOT_FOUND = 404
    METHOD_NOT_ALLOWED = 405
    CONFLICT = 409
    TOO_LARGE = 413
    UNPROCESSABLE = 422
    TOO_MANY_REQUESTS = 429
    SERVER_ERROR = 500
    UNAVAILABLE = 503


def static_max_age(filename: str | None) -> int | None:
    """How long browsers may keep a static file, in seconds: a year if its address carries a version, ``?v=…``."""
    return A_YEAR if 'v' in flask.request.args else flask.current_app.get_send_file_max_age(filename)


def is_own_path(target: str) -> bool:
    """Whether an address is a path of this site, for every browser: some read ``/\\`` as ``//``, and leave out tabs."""
    return target.startswith('/') and not target.startswith(('//', '/\\')) and all(ord(one) >= 32 for one in target)


def accepts(function: Callable[..., Any], parameter: str) -> bool:
    """Whether a function that a plugin may have overridden knows a parameter that came later."""
    return _accepts(getattr(function, '__func__', function), parameter)


@lru_cache(maxsize=256)  # reading a signature takes as long as a query
def _accepts(function: Callable[..., Any], parameter: str) -> bool:
    parameters = inspect.signature(function).parameters.values()
    return any(known.name == parameter or known.kind is known.VAR_KEYWORD for known in parameters)


def aware(moment: datetime) -> datetime:
    """The same moment with a zone: naive times mean UTC here."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


LOCAL_SETTINGS = ('vulyk.local_settings', 'local_settings')  # where a site keeps its own values; the later wins


def plugin_settings(module: ModuleType) -> dict[str, Any]:
    """What ``configure`` of a plugin returns: its settings, with what the site says otherwise in its ``local_settings``.

    :param module: the plugin's own ``settings``; its upper-case names are the settings there are.
    :returns: ``{NAME: value}``
    """
    settings = {name: value for name, value in vars(module).items() if name.isupper()}
    for site in _local_settings():
        settings.update((name, value) for name, value in vars(site).items() if name in settings)
    return settings


def _local_settings() -> Iterator[ModuleType]:
    for name in LOCAL_SETTINGS:
        try:
            yield import_module(name)
        except ModuleNotFoundError as error:
            # No such file is the ordinary case. A file that is there and cannot import something is the site's mistake.
            if error.name is None or not f'{name}.'.startswith(f'{error.name}.'):
                raise


def chunked(iterable: Iterable[Any], n: int) -> Generator[tuple[Any, ...], None, None]:
    """Tuples of ``n`` items, the last one possibly shorter.

    >>> list(chunked([1, 2, 3, 4, 5], 2))
    [(1, 2), (3, 4), (5,)]
    """
    iterator = (item for item in iterable)  # not iter(): a queryset that has reached its end starts again
    while chunk := tuple(islice(iterator, n)):
        yield chunk


def get_tb() -> dict[str, Any]:
    """The exception that is being handled, as ``{'type', 'message', 'traceback'}``; all empty outside ``except``."""
    kind, error, _ = sys.exc_info()
    return {
        'type': kind.__name__ if kind else '',
        'message': str(error) if error else '',
        'traceback': traceback.format_exc() if error else '',
    }


def get_template_path(app: Flask, name: str) -> str:
    """Where the page template ``name`` comes from.

    A folder of ``TEMPLATE_BASE_FOLDERS`` (usually the ``type_name`` of a plugin) that has ``base/<name>`` wins, in the
    order of the setting; otherwise it is the platform's own ``base/<name>``.
    """
    for folder in app.config.get('TEMPLATE_BASE_FOLDERS', []):
        path = f'{folder}/base/{name}'
        if path in _template_names(app):
            return path
    return f'base/{name}'


def _template_names(app: Flask) -> frozenset[str]:
    cache = app.extensions.setdefault('vulyk_template_names', {})
    if app.debug or 'names' not in cache:
        cache['names'] = frozenset(app.jinja_env.list_templates())
    names: frozenset[str] = cache['names']
    return names


def json_response(result: dict[str, Any], errors: Iterator[Any] | None = None, status: int = HTTPStatus.OK) -> Response:
    """``{"result": …, "errors": […]}`` with headers that keep every cache away."""
    response = flask.jsonify({'result': result, 'errors': list(errors or [])})
    response.status_code = int(status)
    response.headers['Cache-Control'] = 'no-cache, no-store, must-revalidate'
    response.headers['Pragma'] = 'no-cache'
    response.headers['Expires'] = '0'
    return response


def resolve_task_type(type_id: str, tasks: dict[str, 'AbstractTaskType'], user: 'User') -> 'AbstractTaskType':
    """The task type of that name, if this user may work on it.

    :raises TaskTypeNotFoundError: no such type on this site.
    :raises TaskPermissionError: none of the user's groups allows it.
    """
    if type_id not in tasks:
        raise TaskTypeNotFoundError(gettext('There is no project called “%(name)s” here.', name=type_id))
    if not user.is_eligible_for(type_id):
        raise TaskPermissionError(gettext('You are not in a group that works on “%(name)s”.', name=type_id))
    return tasks[type_id]
