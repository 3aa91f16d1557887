"""Where messages go."""

import logging
from logging.handlers import TimedRotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING

from flask.logging import default_handler

from vulyk.logs import JsonFormatter, WithRequestId
from vulyk.models.exc import InitializationError
from vulyk.texts import gettext

if TYPE_CHECKING:
    from flask import Flask


def init(app: 'Flask') -> None:
    """Send the messages of the application and of the package to stderr or to the file of ``LOGGING_LOCATION``.

    :raises InitializationError: ``LOG_FORMAT`` is none.
    """
    if app.config['LOG_FORMAT'] not in ('text', 'json'):
        raise InitializationError(
            gettext("LOG_FORMAT must be 'text' or 'json', not %(value)s.", value=repr(app.config['LOG_FORMAT']))
        )
    handler: logging.Handler = default_handler
    if not app.config['LOG_TO_STDERR']:
        path = Path(app.config['LOGGING_LOCATION'])
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            limit = app.config['LOGGING_MAX_FILE_BYTES']
            handler = LogFile(path, max_bytes=limit, max_files=app.config['PERSONAL_DATA_DAYS'])
        except OSError as error:
            app.logger.warning(
                'LOGGING_LOCATION %s cannot be written (%s); messages go to stderr.', path, error.strerror
            )
    is_json = app.config['LOG_FORMAT'] == 'json'
    handler.setFormatter(JsonFormatter() if is_json else logging.Formatter(app.config['LOGGING_FORMAT']))
    handler.filters = [WithRequestId()]
    logger = logging.getLogger('vulyk')  # app.logger is this one too: the application is called vulyk
    for previous in logger.handlers:
        if isinstance(previous, LogFile):  # of an older application in this process
            previous.close()
    logger.handlers = [handler]
    logger.setLevel(app.config['LOGGING_LEVEL'] or (logging.DEBUG if app.config['DEBUG'] else logging.INFO))


class LogFile(TimedRotatingFileHandler):
    """A file for a day, and less if there is much to say, so that old ones can be deleted.

    :param max_bytes: a file that would grow larger is followed by another one.
    :param max_files: so many are kept beside the one in use; 5 at least.
    """

    def __init__(self, path: Path, *, max_bytes: int, max_files: int) -> None:
        super().__init__(path, when='midnight', encoding='utf-8', utc=True)
        self.max_bytes = max_bytes
        self.max_files = max(max_files, 5)

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802 (overrides)
        """Whether a new file begins with this record."""
        if super().shouldRollover(record):
            return True
        size = self.stream.tell() if self.stream else 0
        return bool(size) and size + len(self.format(record).encode()) + 1 > self.max_bytes

    def rotation_filename(self, default_name: str) -> str:
        """The name of the day; a second file of the same day gets a number."""
        number = 1
        name = f'{default_name}.{number:03}'
        while Path(name).exists():
            number += 1
            name = f'{default_name}.{number:03}'
        return name

    def doRollover(self) -> None:  # noqa: N802 (overrides)
        """Begin a new file, and delete the oldest ones."""
        super().doRollover()
        path = Path(self.baseFilename)
        older = sorted(path.parent.glob(f'{path.name}.*'), key=lambda file: (file.stat().st_mtime, file.name))
        for file in older[: -self.max_files]:
            file.unlink(missing_ok=True)
