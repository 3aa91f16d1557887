"""Where messages go."""

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING

from flask.logging import default_handler

if TYPE_CHECKING:
    from flask import Flask


def init(app: 'Flask') -> None:
    """Send the messages of the application and of the package to stderr or to the file of ``LOGGING_LOCATION``."""
    handler: logging.Handler = default_handler
    if not app.config['LOG_TO_STDERR']:
        path = Path(app.config['LOGGING_LOCATION'])
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            limit = app.config['LOGGING_MAX_FILE_BYTES']
            handler = RotatingFileHandler(path, maxBytes=limit, backupCount=5, encoding='utf-8')
        except OSError as error:
            app.logger.warning(
                'LOGGING_LOCATION %s cannot be written (%s); messages go to stderr.', path, error.strerror
            )
    handler.setFormatter(logging.Formatter(app.config['LOGGING_FORMAT']))
    logger = logging.getLogger('vulyk')  # app.logger is this one too: the application is called vulyk
    for previous in logger.handlers:
        if isinstance(previous, RotatingFileHandler):  # of an older application in this process
            previous.close()
    logger.handlers = [handler]
    logger.setLevel(app.config['LOGGING_LEVEL'] or (logging.DEBUG if app.config['DEBUG'] else logging.INFO))
