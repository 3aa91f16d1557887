"""Chromium, and the real site for it to visit: served by a thread, on the database of this worker.

A page that complains fails its test: any message of the browser's console at level error (which a violated content policy
is too), any exception nobody caught, any request to another origin. A test that provokes a complaint says so: ``watch.expect``.
"""

import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, WebError, expect
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Response

from tests import factories
from tests.conftest import find_chromium
from vulyk.blueprints.gamification import listeners
from vulyk.cli.db import export_reports, load_files
from vulyk.models.facts import check_facts
from vulyk.models.user import User

PLUGINS = {
    'vulyk_images': 'ImageChoiceTaskType',
    'vulyk_transcription': 'TranscriptionTaskType',
    'vulyk_tagging': 'TaggingTaskType',
    'vulyk_records': 'RecordsTaskType',
    'vulyk_plain': 'PlainTaskType',
    'vulyk_legacy': 'CardTaskType',
    'vulyk_legacy.bare': 'BareTaskType',
}
TRUE_ANSWERS = ('text', 'label', 'spans', 'fields')  # in the truth.jsonl of samples
DESKTOP = {'viewport': {'width': 1280, 'height': 900}}
PHONE = {'viewport': {'width': 390, 'height': 844}, 'has_touch': True, 'is_mobile': True, 'device_scale_factor': 2}
# Everybody has been on a task page before; a test of first visits sets window.isNewcomer.
INTRODUCED = """
    const read = Storage.prototype.getItem;
    Storage.prototype.getItem = function (key) {
        return key.startsWith('vulyk:introduced:') && !window.isNewcomer ? '1' : read.call(this, key);
    };
"""
# Scripts are interpreted only: pages are left before it pays to compile them, which axe spends a third of its time on.
_NO_COMPILING = '--js-flags=--no-opt,--no-maglev'
INNER_ADDRESSES = ('data:', 'blob:', 'about:')

TIMEOUT_MS = 10_000
expect.set_options(timeout=TIMEOUT_MS)


# --- the site ---------------------------------------------------------------------------------------------------------


def _closed(environ: dict[str, Any], start_response: Callable[..., Any]) -> Response:
    """The application between two tests: a page that is left may still send something."""
    return Response(status=503)(environ, start_response)


class Host:
    """A web server whose application can be changed between tests."""

    def __init__(self) -> None:
        self.app: Callable[..., Any] = _closed
        self._calls = 0
        self._idle = threading.Condition()
        self.server: BaseWSGIServer = make_server('127.0.0.1', 0, self, threaded=True, request_handler=_QuietHandler)
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={'poll_interval': 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self.server.server_port}'

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        """Answer completely before the request counts as over, so that nothing of it reaches into the next test."""
        with self._idle:
            self._calls += 1
        try:
            with closing(self.app(environ, start_response)) as answer:
                return list(answer)
        finally:
            with self._idle:
                self._calls -= 1
                self._idle.notify_all()

    def wait_until_idle(self) -> None:
        with self._idle:
            assert self._idle.wait_for(lambda: not self._calls, timeout=20), 'a request is still being answered'

    def stop(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


class _QuietHandler(WSGIRequestHandler):
    def log_request(self, code: int | str = '-', size: int | str = '-') -> None:
        """Say nothing."""


class Site:
    """The site of one test, which may change the settings of ``app`` and attributes of its task types."""

    def __init__(self, app: Flask, url: str, folder: Path) -> None:
        self.app = app
        self.url = url
        self._folder = folder

    def type(self, name: str) -> Any:
        """A task type."""
        return self.app.task_types[name]

    def path(self, name: str) -> Path:
        """A file in the folder of this test."""
        return self._folder / name

    def load_samples(self, name: str, count: int = 10) -> dict[str, Any]:
        """Load the first samples of a task type as ``db load`` does; returns the true answers, ``{key: text}``."""
        task_type = self.type(name)
        with as_file(files(task_type.package) / task_type.samples) as samples:
            records = _read(samples / 'tasks.jsonl')[:count]
            facts = check_facts(json.loads((samples / 'facts.json').read_text(encoding='utf-8')))
            for file in (record[field] for record in records for field in task_type.media_fields):
                (self._folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(samples / file, self._folder / file)
        self.load(name, records, facts)
        truth = self.truth(name)
        return {record['key']: truth[record['key']] for record in records}

    def truth(self, name: str) -> dict[str, Any]:
        """The true answers to the samples of a task type, ``{key: answer}``: texts, labels, spans or fields."""
        task_type = self.type(name)
        with as_file(files(task_type.package) / task_type.samples) as samples:
            rows = _read(samples / 'truth.jsonl')
        return {row['key']: next(row[name] for name in TRUE_ANSWERS if name in row) for row in rows}

    def load(self, name: str, records: list[dict], facts: dict[str, Any] | None = None, **meta: Any) -> None:
        """Load tasks into the default batch of a type; ``facts`` and ``meta`` are those of the batch."""
        path = self._folder / f'{name}.jsonl'
        path.write_text(''.join(f'{json.dumps(record)}\n' for record in records), encoding='utf-8')
        load_files(self.type(name), [str(path)], 'default', meta, facts=facts)

    def export(self, name: str, batch: str = '__all__', *, closed: bool = False) -> list[list[dict]]:
        """The lines that ``db export`` writes."""
        path = self._folder / f'{name}-answers.jsonl'
        export_reports(self.type(name), str(path), batch, closed)
        return _read(path)

    def pass_time(self, **time: float) -> None:
        """Let the task types believe that this much time has gone by (arguments of ``timedelta``)."""
        for task_type in self.app.task_types.values():
            task_type.clock = lambda clock=task_type.clock: clock() + timedelta(**time)

    def cookie(self, user: User) -> dict[str, str]:
        """The session cookie of a user who has signed in."""
        serializer = self.app.session_interface.get_signing_serializer(self.app)
        name = self.app.config['SESSION_COOKIE_NAME']
        return {'name': name, 'value': serializer.dumps(factories.signed_in(user)), 'url': self.url}


def _read(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding='utf-8').splitlines()]


@pytest.fixture(scope='session')
def host() -> Iterator[Host]:
    """The web server of this worker."""
    host = Host()
    yield host
    host.stop()


@pytest.fixture
def site_settings() -> dict[str, Any]:
    """Settings of a site of its own; a module that needs one has a fixture of this name."""
    return {}


@pytest.fixture
def app(keep: Callable[..., Flask], make_app: Callable[..., Flask], site_settings: dict[str, Any]) -> Iterator[Flask]:
    """A new application for a test that has settings, else one that all others share, and leave as it was."""
    usual = {'ENABLED_TASKS': PLUGINS, 'ENABLE_ADMIN': True, 'MONGODB_TIMEOUT_SECONDS': 10}
    if site_settings:
        app = make_app(**usual | site_settings)
        factories.prepare(app)
    else:
        app = keep('browser', **usual)
    assert app.plugin_errors == {}
    parts = [app.config, *map(vars, app.task_types.values())]
    before = [dict(part) for part in parts]
    yield app
    for part, was in zip(parts, before, strict=True):
        part.clear()
        part.update(was)
    listeners.disconnect(app)  # or the game would hear of later tests


@pytest.fixture
def site(host: Host, app: Flask, tmp_path: Path) -> Iterator[Site]:
    """The site, its database empty but for the default group, which may do everything."""
    host.app = app
    with app.app_context():
        factories.make_group('default', list(app.task_types))
        yield Site(app, host.url, tmp_path)
        host.app = _closed
        host.wait_until_idle()


@pytest.fixture
def user(site: Site) -> User:
    """A volunteer."""
    return factories.make_user(username='curious_bee')


# --- the browser ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope='session')
def browser_type_launch_args(browser_type_launch_args: dict) -> dict:
    """The system's Chromium, without all that it does besides showing pages."""
    quiet = ['--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
    one_process = [
        '--renderer-process-limit=1',
        '--process-per-site',
        '--disable-site-isolation-trials',
    ]  # a sixth quicker
    return {
        **browser_type_launch_args,
        'executable_path': find_chromium(),
        'args': ['--no-sandbox', '--disable-gpu', '--disable-quic', *quiet, *one_process, _NO_COMPILING],
    }


class Watch:
    """Looks at what pages do behind the scenes."""

    def __init__(self, url: str) -> None:
        self._trusted = [f'{url}/', *INNER_ADDRESSES]
        self._complaints: list[str] = []
        self._foreign: list[str] = []
        self._expected: list[str] = []
        self.requests: list[str] = []
        self._listeners: dict[Any, Callable[..., None]] = {
            'console': self._on_console,
            'weberror': self._on_error,
            'request': self._on_request,
            'requestfailed': self._on_request_failed,
        }

    def follow(self, context: BrowserContext) -> None:
        for event, listener in self._listeners.items():
            context.on(event, listener)

    def unfollow(self, context: BrowserContext) -> None:
        for event, listener in self._listeners.items():
            context.remove_listener(event, listener)

    def trust(self, url: str) -> None:
        """Requests to this site too are all right."""
        self._trusted.append(f'{url}/')

    def expect(self, *patterns: str) -> None:
        """Each of these regular expressions has to fit a complaint by the end of the test, and those are forgiven."""
        self._expected += patterns

    def expect_status(self, status: int, part: str) -> None:
        """An address with this part will be answered with this status, of which the browser complains."""
        self.expect(rf'status of {status} .*{re.escape(part)}')

    def expect_nothing_left(self) -> None:
        """There will be no further task, which is status 404 by contract."""
        self.expect_status(404, '/next')

    def posts(self, part: str) -> int:
        """How many POST requests have gone to addresses with this part."""
        return sum(request.startswith('POST ') and part in request for request in self.requests)

    def check(self) -> None:
        """Fail if there was a complaint or a foreign request, or if an expected complaint has not come."""
        assert self._foreign == []
        assert [text for text in self._complaints if not any(re.search(one, text) for one in self._expected)] == []
        assert [one for one in self._expected if not any(re.search(one, text) for text in self._complaints)] == []

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ('error', 'assert'):
            self._complaints.append(f'{message.text} ({message.location["url"]})')

    def _on_error(self, error: WebError) -> None:
        self._complaints.append(f'uncaught: {error.error}')

    def _on_request(self, request: Request) -> None:
        self.requests.append(f'{request.method} {request.url}')
        if not request.url.startswith(tuple(self._trusted)):
            self._foreign.append(request.url)

    def _on_request_failed(self, request: Request) -> None:
        if request.failure == 'csp' and request.url in self._foreign:
            self._foreign.remove(request.url)  # the policy of the page has kept it from leaving


@pytest.fixture
def watch(site: Site) -> Iterator[Watch]:
    """What the pages of this test do behind the scenes."""
    watch = Watch(site.url)
    yield watch
    watch.check()


class Screen:
    """A page that one test after another uses: a new one would take a third of a second of a processor each time."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.context = _open_context(browser, url, **options)
        self._url = url
        self._page = self.context.new_page()

    def lend(self, watch: Watch) -> Page:
        watch.follow(self.context)
        if self._page.is_closed():
            self._page = self.context.new_page()
        return self._page

    def take_back(self, watch: Watch) -> None:
        """Make it as if it were new."""
        _leave(self.context, watch)
        for page in self.context.pages:
            if page != self._page:
                page.close()
        if not self._page.is_closed():
            self._page.goto('about:blank')
            assert self._page.evaluate('/native code/.test(Date)'), (
                'who changes the clock or adds scripts has to use own_page'
            )
            session = self.context.new_cdp_session(self._page)
            session.send('Storage.clearDataForOrigin', {'origin': self._url, 'storageTypes': 'all'})
            session.detach()
        self.context.clear_cookies()
        self.context.set_offline(False)


def _open_context(browser: Browser, url: str, **options: Any) -> BrowserContext:
    context = browser.new_context(base_url=url, **{**DESKTOP, **options})
    context.set_default_timeout(TIMEOUT_MS)
    context.add_init_script(INTRODUCED)
    return context


def _leave(context: BrowserContext, watch: Watch) -> None:
    for routed in (context, *context.pages):
        routed.unroute_all(behavior='ignoreErrors')
    watch.unfollow(context)
    context.set_offline(True)  # a page that is left gives tasks back, which must not reach into the next test


@pytest.fixture
def open_browser(site: Site, watch: Watch, browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a page in a browser with cookies of its own: ``open_browser(color_scheme='dark')``."""
    contexts = []

    def open_page(**options: Any) -> Page:
        contexts.append(_open_context(browser, site.url, **options))
        watch.follow(contexts[-1])
        return contexts[-1].new_page()

    yield open_page
    for context in contexts:
        _leave(context, watch)
        context.close()


@pytest.fixture(scope='session')
def _screens() -> dict[str, Screen]:
    return {}


@pytest.fixture
def _lend(_screens: dict[str, Screen], watch: Watch, browser: Browser, host: Host) -> Iterator[Callable[..., Page]]:
    lent = []

    def lend(name: str, **options: Any) -> Page:
        screen = _screens.pop(name, None) or Screen(browser, host.url, **options)
        lent.append((name, screen))
        return screen.lend(watch)

    yield lend
    for name, screen in lent:
        screen.take_back(watch)
        _screens[name] = screen  # only now: one that could not be made like new is not lent again


@pytest.fixture
def page(_lend: Callable[..., Page]) -> Page:
    """A page on a desk."""
    return _lend('desk')


@pytest.fixture
def phone(_lend: Callable[..., Page]) -> Page:
    """A page on a phone, touched by fingers."""
    return _lend('phone', **PHONE)


@pytest.fixture
def own_page(open_browser: Callable[..., Page]) -> Page:
    """A page on a desk for a test that changes the browser itself: its clock, or what runs before a page."""
    return open_browser()


@pytest.fixture
def signed_in(site: Site) -> Callable[[Page, User], Page]:
    """Signs a user in by cookie: ``signed_in(page, user)`` returns the page."""

    def sign_in(page: Page, user: User) -> Page:
        page.context.add_cookies([site.cookie(user)])
        return page

    return sign_in
