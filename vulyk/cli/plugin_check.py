"""Does a task type work? It is loaded into a site of its own, and its tasks are solved through the real routes."""

import contextlib
import csv
import json
import re
import secrets
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import click
from flask import Flask
from flask.testing import FlaskClient
from mongoengine.connection import ConnectionFailure, get_connection
from pymongo.errors import PyMongoError

from vulyk import batches, loading, mongod
from vulyk.cli import project_init
from vulyk.cli.context import site
from vulyk.models.exc import TaskImportError
from vulyk.models.task_types import AbstractTaskType
from vulyk.models.tasks import AbstractTask
from vulyk.models.user import User
from vulyk.pages import read_practice
from vulyk.terminal import OK, WARNING, WRONG, Finding
from vulyk.texts import gettext

BATCH = 'check'
MAX_VOLUNTEERS = 20
ODD_ANSWERS: tuple[dict[str, Any], ...] = ({}, {'no such field': 1}, {'': None})
_SOURCE = re.compile(r'(?:src|href)="(/static/[^"#]+)"')
_INLINE = re.compile(r'<[^>]+\s(on[a-z]+|style)\s*=|<(script|style)\b', re.IGNORECASE)


class Sample(NamedTuple):
    """Tasks to try, and an answer to the first of them; None if nobody knows one."""

    source: str
    folder: Path
    records: list[dict[str, Any]]
    answer: dict[str, Any] | None


def read_answer(text: str | None) -> dict[str, Any] | None:
    """The answer that was typed.

    :raises click.BadParameter: it is no JSON object.
    """
    if text is None:
        return None
    try:
        answer = json.loads(text)
    except ValueError as error:
        raise click.BadParameter(
            gettext('%(text)s is not JSON: %(reason)s.', text=repr(text), reason=error), param_hint='--answer'
        ) from error
    if not isinstance(answer, dict):
        raise click.BadParameter(
            gettext('An answer is a JSON object, such as {"choice": "cat"}.'), param_hint='--answer'
        )
    return answer


def examine(
    package: str, class_name: str, answer: dict[str, Any] | None, tasks: str | None, mongodb: str | None
) -> Iterator[Finding]:
    """Everything that can be seen without a browser.

    :param answer: to the first task; None: one of the practice or the samples.
    :param tasks: file with tasks; None: those of the practice or the samples.
    :param mongodb: where to make the database; None: on a private server.
    """
    with _scratch(mongodb) as settings:
        app = site().build({**settings, 'ENABLED_TASKS': {package: class_name}})
        if app.plugin_errors:
            yield Finding('package', WRONG, app.plugin_errors[package])
            return
        (kind,) = app.task_types.values()
        yield Finding(
            'package',
            OK,
            gettext(
                '%(name)s of %(package)s, type name “%(type)s”',
                name=class_name,
                package=package,
                type=kind.type_name,
            ),
        )
        yield from look(kind)
        site().prepare(app)
        try:
            yield from _try(app, kind, answer, tasks)
        except TaskImportError as error:
            yield Finding('tasks', WRONG, str(error))
        except Exception as error:  # the code is not ours and may raise anything
            yield Finding(
                'pages', WRONG, gettext('It raises %(name)s: %(reason)s', name=type(error).__name__, reason=error)
            )


def _try(app: Flask, kind: AbstractTaskType, answer: dict[str, Any] | None, tasks: str | None) -> Iterator[Finding]:
    with app.app_context():
        project_init([kind.type_name])
        sample = find_sample(kind, answer, tasks)
        if sample is not None:
            load(kind, sample)
    if sample is None:
        cure = gettext('Have a folder samples with tasks.jsonl, or give --tasks FILE.')
        yield Finding('tasks', WARNING, gettext('There is no task to try.'), cure)
        return
    yield Finding('tasks', OK, gettext('tasks of %(source)s are loaded', source=sample.source))
    yield from solve(app, kind, sample)


@contextlib.contextmanager
def _scratch(mongodb: str | None) -> Iterator[dict[str, Any]]:
    """Settings of a site with a database of its own, which is gone afterwards."""
    database = f'vulyk_check_{secrets.token_hex(4)}'
    with tempfile.TemporaryDirectory(prefix='vulyk-check-') as folder:
        server: dict[str, Any] = {'MONGODB_SETTINGS': {'DB': database, 'HOST': mongodb}}
        if not mongodb:
            server = {'MONGODB_SETTINGS': {'DB': database}, 'EMBEDDED_MONGOD': folder}
        try:
            yield {
                **server,
                'SECRET_KEY': secrets.token_hex(32),
                'ENABLED_BLUEPRINTS': [],
                'ASSETS_FOLDER': f'{folder}/assets',
                'BACKGROUND_THREAD': False,
                'ANSWERS_PER_MINUTE': 0,
                'TERMS_VERSION': None,
                'TESTING': True,  # what the plugin raises reaches us
            }
        finally:
            with contextlib.suppress(PyMongoError, ConnectionFailure):  # what was never made need not go
                get_connection().drop_database(database)
            if not mongodb:
                mongod.release(Path(folder) / 'mongo', wait_s=5)


# --- what can be seen by looking ----------------------------------------------------------------------------------------


def look(kind: AbstractTaskType) -> Iterator[Finding]:
    """What volunteers or operators would miss."""
    folder = Path(str(files(kind.package)))
    texts = {'name': kind.name, 'description': kind.description}
    for name in (name for name, text in texts.items() if not text):
        yield Finding(
            'facts', WARNING, gettext('It has no %(name)s; the home page shows it.', name=name), f'{name} = …'
        )
    if not kind.helptext_template or not (folder / 'templates' / kind.helptext_template).is_file():
        yield Finding(
            'help',
            WARNING,
            gettext('It has no help; volunteers get a general text.'),
            "helptext_template = 'help.html'",
        )
    if type(kind).validate_result is AbstractTaskType.validate_result:
        cure = gettext('Override validate_result; a page can be left out by whoever writes a script.')
        yield Finding('rules', WARNING, gettext('It takes any answer.'), cure)
    if kind.frontend == 'legacy':
        cure = gettext("frontend = 'bootstrap5', and native events in the script: see the guide for plugins.")
        yield Finding('page', WARNING, gettext('Its page is made for jQuery and Bootstrap 3.'), cure)
    elif found := next(_forbidden_markup(folder / 'templates', kind), None):
        cure = gettext('Put it into JS_ASSETS and CSS_ASSETS.')
        yield Finding(
            'page',
            WRONG,
            gettext('The content security policy forbids inline scripts and styles: %(found)s', found=found),
            cure,
        )
    if not kind.JS_ASSETS:
        yield Finding(
            'page',
            WARNING,
            gettext('It has no script: nothing shows a task or sends an answer.'),
            'JS_ASSETS = […]',
        )
    if not kind.practice:
        yield Finding(
            'page',
            WARNING,
            gettext('Newcomers have no task to practise with.'),
            "practice = 'static/practice/practice.jsonl'",
        )


def _forbidden_markup(templates: Path, kind: AbstractTaskType) -> Iterator[str]:
    for name in filter(None, (kind.template, kind.helptext_template, kind.tour, kind.examples)):
        path = templates / name
        if path.is_file() and (match := _INLINE.search(path.read_text('utf-8', errors='replace'))):
            yield f'{name}: {match[0]}'


# --- tasks --------------------------------------------------------------------------------------------------------------


def find_sample(kind: AbstractTaskType, answer: dict[str, Any] | None, tasks: str | None) -> Sample | None:
    """Tasks to try: those of the file, else of the practice, else of the samples; None if there are none.

    :raises TaskImportError: a file that is no file of tasks.
    """
    if tasks:
        return Sample(tasks, Path(tasks).parent, _records(Path(tasks)), answer)
    package = Path(str(files(kind.package)))
    if kind.practice and answer is None:
        path = package / kind.practice
        items = read_practice(path)
        if items:
            records = [item['data'] for item in items]
            return Sample(kind.practice, path.parent, records, (items[0].get('results') or [None])[0])
    folder = package / kind.samples
    if kind.samples and (folder / 'tasks.jsonl').is_file():
        records = _records(folder / 'tasks.jsonl')
        known, answer = (None, answer) if answer else _sample_answer(kind, folder)
        first = next((record for record in records if known and record.get('key') == known), records[0])
        others = [record for record in records if record != first][:2]
        return Sample(f'{kind.samples}/tasks.jsonl', folder, [first, *others], answer)
    return None


def _records(path: Path) -> list[dict[str, Any]]:
    records = []
    for item in loading.read_records(str(path)):
        if isinstance(item, TaskImportError):
            raise item
        records.append(item.data)
    return records


def _sample_answer(kind: AbstractTaskType, folder: Path) -> tuple[str | None, dict[str, Any] | None]:
    """``(key of a task, answer)`` of the first line of ``answers.csv``; nothing without it."""
    path = folder / 'answers.csv'
    if not path.is_file():
        return None, None
    with path.open(encoding='utf-8', newline='') as file:
        row = next(csv.DictReader(file), None)
    return (row['task'], kind.sample_result(row['answer'])) if row else (None, None)


def load(kind: AbstractTaskType, sample: Sample) -> None:
    """Load the tasks with their files, the first of them before the others.

    :raises TaskImportError: one cannot be loaded.
    """
    media = kind.store_media(sample.records, sample.folder, max_bytes=32 * 1024 * 1024)
    for number, records in enumerate((sample.records[:1], sample.records[1:])):
        if records:
            name = f'{BATCH}{number}'
            accepted = {'media': media} if media else {}  # not every plugin that imports by itself knows it
            result = kind.import_tasks(records, name, **accepted)
            batches.add_batch(name, result.loaded if result else len(records), kind, BATCH)
    if not AbstractTask.objects(batch=f'{BATCH}0'):
        raise TaskImportError(gettext('The task was not stored.'))


# --- the walk -----------------------------------------------------------------------------------------------------------


class Volunteer:
    """Somebody with a browser, who is signed in."""

    def __init__(self, app: Flask, kind: AbstractTaskType, number: int) -> None:
        self.type_name = kind.type_name
        with app.app_context():
            user = User(username=f'volunteer{number}').save()
            user.start_session()
        self.browser: FlaskClient = app.test_client()
        with self.browser.session_transaction() as session:
            session.update({'_user_id': user.get_id(), '_fresh': True})

    def get(self, path: str) -> Any:
        """What a page answers."""
        path = path if path.startswith('/static/') else f'/type/{self.type_name}/{path}'
        return self.browser.get(path, buffered=True)  # read to the end, so that no file stays open

    def post(self, path: str, **data: Any) -> Any:
        """Send something, with the token that every POST has to carry."""
        token = self.browser.get('/session').get_json()['result']['csrf']
        return self.browser.post(f'/type/{self.type_name}/{path}', headers={'X-CSRFToken': token}, **data)


def solve(app: Flask, kind: AbstractTaskType, sample: Sample) -> Iterator[Finding]:
    """See the page, get the task, have odd answers refused, give a right one as often as it takes, and export it."""
    volunteer = Volunteer(app, kind, 0)
    page = volunteer.get('')
    missing = [path for path in _SOURCE.findall(page.text) if volunteer.get(path).status_code != 200]
    if page.status_code != 200 or missing:
        text = gettext('The page answers %(status)s', status=page.status_code)
        if missing:
            text = gettext('The page names files that are not there: %(file)s', file=missing[0])
        yield Finding('page', WRONG, text)
        return
    yield Finding('page', OK, gettext('it is rendered, and its scripts and styles are there'))
    answer = volunteer.get('next')
    task = (answer.get_json() or {}).get('result', {}).get('task') if answer.status_code == 200 else None
    if not task:
        yield Finding(
            'tasks',
            WRONG,
            gettext('Nobody gets a task: %(status)s %(text)s', status=answer.status_code, text=answer.text[:200]),
        )
        return
    if task.get('data') != sample.records[0]:
        yield Finding('tasks', WARNING, gettext('What volunteers get is not what was loaded: as_dict changes it.'))
    yield from _odd_answers(volunteer, task['id'])
    if sample.answer is None:
        yield Finding('answers', WARNING, gettext('No answer is known, so that none was given.'), "--answer '{…}'")
        return
    yield from _right_answers(app, kind, volunteer, task['id'], sample.answer)


def _odd_answers(volunteer: Volunteer, task_id: str) -> Iterator[Finding]:
    for odd in ODD_ANSWERS:
        shown = json.dumps(odd)
        try:
            status = volunteer.post(f'done/{task_id}', json={'result': odd}).status_code
        except Exception as error:  # the code is not ours and may raise anything
            cure = gettext('Raise TaskValidationError with a sentence that names the field.')
            yield Finding(
                'rules',
                WRONG,
                gettext(
                    'The answer %(answer)s makes it raise %(name)s: %(reason)s',
                    answer=shown,
                    name=type(error).__name__,
                    reason=error,
                ),
                cure,
            )
            return
        if status == 200:
            yield Finding(
                'rules',
                WARNING,
                gettext('It takes the answer %(answer)s.', answer=shown),
                gettext('Refuse it in validate_result.'),
            )
            return
    yield Finding('rules', OK, gettext('odd answers are refused'))


def _right_answers(
    app: Flask, kind: AbstractTaskType, first: Volunteer, task_id: str, answer: dict[str, Any]
) -> Iterator[Finding]:
    needed = min(kind.redundancy, MAX_VOLUNTEERS)
    for number in range(needed):
        volunteer = first if number == 0 else Volunteer(app, kind, number)
        volunteer.get('next')
        sent = volunteer.post(f'done/{task_id}', json={'result': answer})
        if sent.status_code not in (200, 409):  # 409: an odd answer was taken before
            said = ' '.join((sent.get_json() or {}).get('errors', [])) or sent.text[:200]
            cure = gettext('Is the answer right? --answer gives another.')
            yield Finding(
                'answers',
                WRONG,
                gettext(
                    '%(answer)s is refused with %(status)s: %(said)s',
                    answer=json.dumps(answer),
                    status=sent.status_code,
                    said=said,
                ),
                cure,
            )
            return
    with app.app_context():
        if kind.redundancy <= MAX_VOLUNTEERS and not AbstractTask.objects(batch=f'{BATCH}0', closed=True):
            yield Finding('answers', WRONG, gettext('The task is not closed after %(needed)s answers.', needed=needed))
            return
        lines = list(kind.export_reports(f'{BATCH}0', closed=False))
    try:
        json.dumps(lines, allow_nan=False)
    except (TypeError, ValueError) as error:
        yield Finding('export', WRONG, gettext('What it exports is no JSON: %(reason)s.', reason=error))
        return
    if sum(map(len, lines)) != needed:
        yield Finding(
            'export',
            WRONG,
            gettext('Of %(needed)s answers %(number)s are exported.', needed=needed, number=sum(map(len, lines))),
        )
        return
    cure = gettext('What a browser does with it, only a browser can tell: open the page once.')
    yield Finding(
        'answers', OK, gettext('%(needed)s volunteers answered, the task is closed and exported', needed=needed), cure
    )
