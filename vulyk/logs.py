"""What a line of the log says besides its message, and lines as JSON."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

from flask import g, has_app_context

_work: ContextVar[str] = ContextVar('vulyk_log_work', default='')


@contextmanager
def working_on(what: str) -> Iterator[None]:
    """Lines written meanwhile carry ``what`` where those of a web request carry its id, such as ``job 65f0…``."""
    token = _work.set(what)
    try:
        yield
    finally:
        _work.reset(token)


def request_id() -> str:
    """The id of the request at hand, or what a worker works on; '' if neither."""
    return (g.get('request_id', '') if has_app_context() else '') or _work.get()


class WithRequestId(logging.Filter):
    """Lets ``LOGGING_FORMAT`` say ``%(request_id)s``."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Every record passes."""
        record.request_id = request_id() or '-'
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``message``; if there are any ``request_id``,
    ``exception`` (the traceback) and whatever is given as ``extra={'facts': {…}}``.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            'time': datetime.fromtimestamp(record.created, UTC).isoformat(timespec='milliseconds'),
            'level': record.levelname,
            'logger': record.name,
            'message': record.getMessage(),
            'request_id': request_id(),
            **getattr(record, 'facts', {}),
            'exception': self.formatException(record.exc_info) if record.exc_info else '',
        }
        return json.dumps({key: value for key, value in line.items() if value != ''}, ensure_ascii=False, default=str)
