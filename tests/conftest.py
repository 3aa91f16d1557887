"""What all tests share: a real MongoDB, an application on a database of its own, a client that behaves like a browser."""

import logging
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from contextvars import Context
from pathlib import Path
from typing import ClassVar

import argon2
import pymongo
import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache
from pymongo.errors import OperationFailure

from tests import factories
from vulyk import mongod
from vulyk.bootstrap import _db, create_app
from vulyk.models import passwords

TESTS = Path(__file__).parent
FIXTURES = TESTS / 'fixtures'
NODE = TESTS.parent / '.venv' / 'node'  # where "make test" puts what npm brings
sys.path.insert(0, str(FIXTURES))

_FOLDER = 'VULYK_TEST_FOLDER'
_IN_MEMORY = Path('/dev/shm')
# A server saves itself every minute and looks after what tests do not have; that is part of its work here. What tests have
# deleted it keeps for five minutes, for those who read what was, and every reader has to walk past it.
_CARELESS = {
    'syncdelay': 20,
    'minSnapshotHistoryWindowInSeconds': 5,
    'journalCommitInterval': 500,
    'enableFlowControl': False,
    'ttlMonitorEnabled': False,
}


def pytest_configure(config: pytest.Config) -> None:
    """The controller makes one folder for database and bundles; the workers of xdist find it in the environment."""
    os.environ.pop('LANGUAGE', None)
    os.environ['LC_ALL'] = 'C.UTF-8'  # commands speak the language of the terminal
    if not hasattr(config, 'workerinput') and _FOLDER not in os.environ:
        parent = _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else None
        os.environ[_FOLDER] = tempfile.mkdtemp(prefix='vulyk-tests-', dir=parent)
        config.add_cleanup(_remove_folder)


def find_chromium() -> str | None:
    """The program named by CHROMIUM, else the Chromium or Chrome of this machine.

    The one without windows takes a third less time.
    """
    given = os.environ.get('CHROMIUM')
    names = [given] if given else ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome']
    return next(filter(None, map(shutil.which, names)), None)


def find_provider() -> Path | None:
    """The OpenID provider that ``make test`` fetches if there is npm."""
    package = NODE / 'node_modules' / 'oidc-provider'
    return package if shutil.which('node') and package.is_dir() else None


# Tests that need what no package of Python brings. Where it is missing they are left out, and the last lines say so.
_NEEDS = {
    TESTS / 'browser': ('Chromium (apt-get install chromium-headless-shell, or its path in CHROMIUM)', find_chromium),
    TESTS / 'pages' / 'test_social_node.py': ('Node and npm when .venv is made', find_provider),
}
# Those that may be missing even where all tests are required: a provider in Python is tried as well.
_MAY_BE_MISSING = {TESTS / 'pages' / 'test_social_node.py'}


def _left_out(config: pytest.Config) -> dict[Path, str]:
    """The folders and files that would be part of this run, and what each lacks."""
    asked = [Path(config.invocation_params.dir, argument.partition('::')[0]).resolve() for argument in config.args]
    return {
        folder: what
        for folder, (what, find) in _NEEDS.items()
        if any(folder.is_relative_to(path) or path.is_relative_to(folder) for path in asked) and not find()
    }


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return any(collection_path.is_relative_to(folder) for folder in _left_out(config)) or None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, None, None]:
    yield
    reporter = session.config.pluginmanager.get_plugin('terminalreporter')
    if hasattr(session.config, 'workerinput') or reporter is None:
        return
    for folder, what in _left_out(session.config).items():
        reporter.write_line(
            f'NOT RUN: the tests in {folder.relative_to(TESTS.parent)} need {what}.', red=True, bold=True
        )
        if os.environ.get('VULYK_REQUIRE_ALL_TESTS') == '1' and folder not in _MAY_BE_MISSING:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, the others in the order that chance has given them: who gets a long one last lets others wait."""
    first = ('packaging', 'browser/test_accessibility', 'faults', 'browser', '')
    names = {item: item.path.relative_to(TESTS).as_posix() for item in items}
    items.sort(key=lambda item: next(place for place, start in enumerate(first) if names[item].startswith(start)))


def _remove_folder() -> None:
    folder = Path(os.environ.pop(_FOLDER))
    mongod.release(folder / 'mongo', wait_s=10)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope='session')
def test_folder() -> Path:
    """The folder of this test run."""
    return Path(os.environ[_FOLDER])


@pytest.fixture(scope='session')
def mongo_uri(test_folder: Path) -> str:
    """The address of the MongoDB that all tests share; each worker uses its own database."""
    # It spent a fifteenth of its time on making room in the cache of a small site.
    address = mongod.acquire(test_folder / 'mongo', cache_gb=0.5)
    with pymongo.MongoClient(address) as client:
        _forget_at_a_crash(client)
        for name, value in _CARELESS.items():
            client.admin.command('setParameter', 1, **{name: value})
    return address


@pytest.fixture(scope='session')
def closed_port() -> Iterator[int]:
    """A port of this machine nobody listens on; it is held, or a server that another test starts could be given it."""
    with socket.socket() as holder:
        holder.bind(('127.0.0.1', 0))
        yield holder.getsockname()[1]


@pytest.fixture(scope='session')
def provider() -> Iterator[str]:
    """The address of an OpenID provider; one for all modules, since a worker may leave one and come back to it."""
    from tests.pages.provider import running_provider  # takes half a second, which few tests need

    with running_provider() as address:
        yield address


def _forget_at_a_crash(client: pymongo.MongoClient) -> None:
    """Let no write wait for the journal: nobody will miss what this server loses if it is killed, and a tenth is saved."""
    with suppress(OperationFailure):  # of two workers at once one comes second
        config = client.admin.command('replSetGetConfig')['config']
        if config['writeConcernMajorityJournalDefault']:
            changed = {**config, 'version': config['version'] + 1, 'writeConcernMajorityJournalDefault': False}
            client.admin.command('replSetReconfig', changed)


@pytest.fixture(scope='session', autouse=True)
def _passwords_are_hashed_quickly() -> None:
    """Those of tests may be guessed."""
    passwords._hasher = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture(scope='session')
def settings(mongo_uri: str, test_folder: Path, worker_id: str) -> dict:
    """Settings of an ordinary site with one task type, ``plain_task``."""
    return {
        'SECRET_KEY': 'a key for tests only, long enough',
        'MONGODB_SETTINGS': {'DB': f'vulyk_{worker_id}', 'HOST': mongo_uri},
        'ENABLED_TASKS': {'vulyk_plain': 'PlainTaskType'},
        'ENABLED_BLUEPRINTS': [],
        'ASSETS_FOLDER': str(test_folder / 'assets'),
        'ASSETS_PRECOMPRESS': False,
        'ANSWERS_PER_MINUTE': 0,
        'BACKGROUND_THREAD': False,
        'TERMS_VERSION': None,
        'TESTING': True,
    }


class Browser(FlaskClient):
    """A test client that sends the token of its session with every POST, as ``base.js`` does."""

    _known: tuple[str, str] | None = None  # cookie of the session, and its token

    def open(self, *args, **kwargs):
        # As on a server, where no context of an application is there before the request or after it.
        return Context().run(super().open, *args, **{'buffered': True, **kwargs})

    def post(self, *args, **kwargs):
        headers = dict(kwargs.pop('headers', None) or {})
        if 'X-CSRFToken' not in headers:
            headers['X-CSRFToken'] = self._token()
        return super().post(*args, headers=headers, **kwargs)

    def _token(self) -> str:
        """Asked for once in each session."""
        cookie = self.get_cookie(self.application.config['SESSION_COOKIE_NAME'])
        if self._known is None or cookie is None or self._known[0] != cookie.value:
            token = self.get('/session').json['result']['csrf']
            cookie = self.get_cookie(self.application.config['SESSION_COOKIE_NAME'])
            self._known = (cookie.value if cookie else '', token)
        return self._known[1]


class _Compiled(BytecodeCache):
    """Templates are compiled once for all applications of a worker, which takes longer than building the application."""

    _codes: ClassVar[dict] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._codes[bucket.key, bucket.checksum] = bucket.code


@pytest.fixture
def make_app(settings: dict):
    """Builds further applications on the test database; keywords are settings."""

    def make(**more) -> Flask:
        app = create_app({**settings, **more})
        app.jinja_env.bytecode_cache = _Compiled()
        app.test_client_class = Browser
        return app

    return make


@pytest.fixture(scope='session')
def _kept() -> dict[str, tuple[Flask, dict]]:
    """Applications and their settings by name; a test that lets one be built for another database clears it."""
    return {}


@pytest.fixture
def keep(_kept: dict[str, tuple[Flask, dict]], make_app) -> Callable[..., Flask]:
    """An application that is built once, with an empty database: ``keep(name)``; keywords are settings."""

    def find(name: str, **settings) -> Flask:
        app, built_with = _kept.get(name, (None, None))
        if settings != built_with or not _db.is_connected(app):
            app = make_app(**settings)
            _kept[name] = app, settings
        factories.prepare(app)
        return app

    return find


@pytest.fixture
def app(keep) -> Iterator[Flask]:
    """An application, its context entered, its database empty but for the default group."""
    app = keep('plain')
    with app.app_context():
        factories.make_group('default', ['plain_task'])
        yield app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser nobody is signed in with."""
    return app.test_client()


@pytest.fixture
def plain(app: Flask):
    """The task type ``plain_task``."""
    return app.task_types['plain_task']


@pytest.fixture
def login(app: Flask):
    """Signs a user in and returns the browser: ``login(user)``."""

    def sign_in(user) -> FlaskClient:
        browser = app.test_client()
        with browser.session_transaction() as session:
            session.update(factories.signed_in(user))
        return browser

    return sign_in


@pytest.fixture
def runner(app: Flask):
    """Runs commands on the site of the tests: ``runner('db', 'load', …)`` returns exit code and output."""
    from click.testing import CliRunner

    from vulyk import control

    def run(*arguments: str, text: str | None = None):
        return CliRunner().invoke(control.cli, list(arguments), input=text)

    original = control.build
    control.build = lambda config=None: app
    yield run
    control.build = original


@pytest.fixture(autouse=True)
def _logs_reach_pytest() -> None:
    """The application keeps its messages from the root logger; tests want to see them."""
    logging.getLogger('vulyk').propagate = True
