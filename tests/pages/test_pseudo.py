"""Whether every word of every page can be translated: with the pseudo-locale what cannot be stands outside of brackets."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests import permissions
from tests.factories import answer, make_group, make_user
from tests.gamification.play import make_rule
from tests.pages.test_permissions import path_of
from tests.pseudo import outside, untranslated
from vulyk import batches
from vulyk.accounts import mails
from vulyk.blueprints.gamification.models.foundations import FundModel
from vulyk.jobs import DEAD, Job
from vulyk.models.problems import Problem

PLUGINS = {
    'vulyk_images': 'ImageChoiceTaskType',
    'vulyk_transcription': 'TranscriptionTaskType',
    'vulyk_tagging': 'TaggingTaskType',
    'vulyk_records': 'RecordsTaskType',
}
SETTINGS = {
    **permissions.SETTINGS,
    'LANGUAGE': 'pseudo',
    'ENABLED_TASKS': PLUGINS,
    'SITE_NAME': '⟦Hive⟧',
    'SITE_TITLE': '⟦Hive⟧',
    'SITE_MOTTO': '⟦Motto⟧',
    'WARM_WELCOME': '⟦Welcome⟧',
    'THANKS_TASK_MESSAGE': '⟦Thanks⟧',
    'CURRENCY': '€',
    'SITE_URL': 'http://localhost',
    'MAIL_BACKEND': 'console',
}
IMAGE = {'image': 'a', 'question': '⟦Which?⟧', 'choices': ['⟦a⟧']}
_HREF = re.compile(r'(?:href|action)="(/[^"#]*)"')


@pytest.fixture
def app(keep) -> Flask:
    """A site with everything switched on, in brackets, and empty."""
    app = keep('pseudo', **SETTINGS)
    make_group('default', list(app.task_types))
    return app


@pytest.fixture
def people(app) -> dict:
    """A volunteer and an admin, on a site with something of everything; what they have written is in brackets too."""
    with app.app_context():
        kind, now = app.task_types['images'], datetime.now(UTC)
        people = {'volunteer': make_user(username='⟦bee⟧'), 'admin': make_user(username='⟦keeper⟧', admin=True)}
        kind.import_tasks([{**IMAGE, 'n': number} for number in range(4)], 'default')
        batches.add_batch('default', 4, kind, 'default', facts={'title': '⟦Photos⟧'})
        make_rule('⟦first⟧', description='⟦You began.⟧', tasks_number=1, bonus=2)
        FundModel(id='f1', name='⟦Fund⟧', description='⟦For bees⟧', donatable=True).save()
        tasks = list(kind.task_model.objects)
        for person in people.values():
            answer(kind, tasks[0], person, {'choice': '⟦a⟧'})
            Problem.tell(person, 'images', tasks[1].id, '⟦bad⟧', now)
        Problem.objects.first().update(set__reply='⟦Thanks⟧', set__replied_at=now)
        Job(kind='a.b', state=DEAD, run_at=now, error='⟦no⟧').save()
    return people


def shape(address: str) -> str:
    """What addresses have in common that lead to the same page about something else."""
    path, _, query = address.partition('?')
    names = sorted(part.partition('=')[0] for part in query.replace('&amp;', '&').split('&'))
    return f'{re.sub(r"[0-9a-f]{20,}", "x", path)}?{names}'


def pages_of(app: Flask, browser: FlaskClient, left_out: tuple[str, ...] = ()) -> Iterator[tuple[str, TestResponse]]:
    """Every page of the routes and all they lead to, one of each kind; then all routes that take something, with nothing.

    :param left_out: beginnings of addresses at which this browser is only refused.
    """
    given = {'user_id': '0' * 24, 'task_id': 'none', 'type_id': 'images', 'project': 'images'}
    rules = [
        rule
        for rule in app.url_map.iter_rules()
        if 'static' not in rule.endpoint and not rule.rule.startswith(('/logout', *left_out))
    ]
    todo = [path_of(app, rule.rule, **given) for rule in rules if 'GET' in rule.methods]
    seen = {shape(address): address for address in todo}
    for address in todo:
        page = browser.get(address, buffered=True)
        yield f'{page.status_code} GET {address}', page
        links = _HREF.findall(page.text) if page.mimetype == 'text/html' else []
        for found in links:
            if shape(found) not in seen and not found.startswith(('/static/', '/admin/static', '/logout')):
                seen[shape(found)] = found
                todo.append(found.replace('&amp;', '&'))
    for address in [*todo, *(path_of(app, rule.rule, **given) for rule in rules if 'POST' in rule.methods)]:
        page = browser.post(address, buffered=True)
        yield f'{page.status_code} POST {address}', page


@pytest.mark.parametrize('role', ['visitor', 'volunteer', 'admin'])
def test_every_page_and_refusal_can_be_translated(app, people, login, role):
    found: dict[str, str] = {}
    browser = app.test_client() if role == 'visitor' else login(people[role])
    for address, page in pages_of(app, browser, left_out=() if role == 'admin' else ('/admin/',)):
        if page.mimetype == 'text/html' and page.status_code != 302:
            found |= dict.fromkeys(untranslated(page.text), address)
        elif page.mimetype == 'application/json' and isinstance(page.get_json(), dict):
            found |= dict.fromkeys(filter(None, map(outside, page.get_json().get('errors', []))), address)
    assert found == {}


def test_every_mail_can_be_translated_as_text_and_as_html(app):
    folder = Path(app.root_path) / app.config['TEMPLATES_FOLDER'] / 'base' / 'mail'
    names = [path.stem for path in folder.glob('*.txt')]
    assert 'reset' in names
    with app.app_context():
        for name in names:
            mail = mails.message(
                name, 'ada@example.org', site='https://hive.example/', address='https://hive.example/x'
            )
            html, _ = mail.alternatives[0]
            assert [outside(mail.subject), outside(mail.body), *untranslated(html)] == ['', ''], name
