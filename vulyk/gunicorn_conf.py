"""Configuration of gunicorn: ``gunicorn --config python:vulyk.gunicorn_conf``, in the folder of ``local_settings.py``.

The variables ``WEB_CONCURRENCY`` (processes), ``GUNICORN_CMD_ARGS`` and options of the command line win over it.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

_FOLDER, _MADE = 'PROMETHEUS_MULTIPROC_DIR', 'VULYK_METRICS_FOLDER'

wsgi_app = 'vulyk.app:app'
bind = '127.0.0.1:8000'
worker_class = 'gthread'
workers = int(os.environ.get('WEB_CONCURRENCY', '2'))
threads = 8

# Not preloaded: a connection to MongoDB does not outlive a fork, and a restart by HUP would go on with the old code.
preload_app = False
timeout = 60  # a worker that does not say for so many seconds that it lives is replaced
graceful_timeout = 30  # how long requests in flight may take when a worker is told to stop
keepalive = 5
worker_tmp_dir = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None  # signs of life must not wait for a disk
control_socket_disable = True

# Whom to believe the site decides itself, by TRUSTED_PROXIES; gunicorn would take the word of everything on this machine,
# and a web server there may hand on what a visitor has sent.
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ''

if os.environ.get('LOG_FORMAT') == 'json':
    logconfig_dict = {
        'version': 1,
        'disable_existing_loggers': False,
        'formatters': {'json': {'()': 'vulyk.logs.JsonFormatter'}},
        'handlers': {'stderr': {'class': 'logging.StreamHandler', 'formatter': 'json'}},
        'root': {'level': 'INFO', 'handlers': []},
        'loggers': {
            'gunicorn.error': {'level': 'INFO', 'handlers': ['stderr'], 'propagate': False},
            'gunicorn.access': {'level': 'INFO', 'handlers': [], 'propagate': False},
        },
    }


def on_starting(server: Any) -> None:
    """Make a folder for the numbers of all workers, also of those that have been replaced: see /metrics."""
    if _FOLDER not in os.environ:
        os.environ[_FOLDER] = os.environ[_MADE] = tempfile.mkdtemp(prefix='vulyk-metrics-', dir=worker_tmp_dir)


def child_exit(server: Any, worker: Any) -> None:
    """Forget what is only true of a process that lives."""
    from prometheus_client import multiprocess  # not above: it looks at the variable when it is imported

    multiprocess.mark_process_dead(worker.pid)


def on_exit(server: Any) -> None:
    """Remove the folder of numbers, unless it was given, or a new master has taken it over."""
    folder = os.environ.get(_MADE)
    if folder and not server.reexec_pid and Path(folder).is_dir():
        shutil.rmtree(folder, ignore_errors=True)
