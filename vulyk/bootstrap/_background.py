"""Background work in a thread of the web process, for sites that run no ``manage.py worker``."""

import os
import threading
from typing import TYPE_CHECKING

from vulyk.jobs import Worker

if TYPE_CHECKING:
    from flask import Flask

POLL_SECONDS = 5


def init(app: 'Flask') -> None:
    """Start the thread at the first request of each process, also after a fork, if ``BACKGROUND_THREAD`` is set."""
    if not app.config['BACKGROUND_THREAD']:
        return
    started: dict[int, threading.Thread] = {}
    lock = threading.Lock()

    @app.before_request
    def start_background_thread() -> None:
        if os.getpid() in started:
            return
        with lock:
            if os.getpid() not in started:
                thread = threading.Thread(target=_run, args=(app,), name='vulyk-background', daemon=True)
                started[os.getpid()] = thread
                thread.start()


def _run(app: 'Flask') -> None:
    with app.app_context():
        Worker(POLL_SECONDS).run()
