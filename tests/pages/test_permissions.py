"""Every route of the site, tried by everybody: a visitor, strangers, volunteers, project admins and admins."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests import permissions
from tests.factories import make_group, make_tasks, make_user
from vulyk import pages
from vulyk.blueprints.gamification import listeners
from vulyk.bootstrap import _errors
from vulyk.models.user import User

ARGUMENTS = {
    'type_id': 'plain_task',
    'project': 'plain_task',
    'strictness': 'weak',
    'digest': '0' * 64,
    'filename': 'nothing',
    'role': 'admin',
    'session_id': 'none',
    'token': 'none',
    'invitation': 'none',
    'category': 'donatable',
    'fund_id': 'f1',
    'export_type': 'csv',
    'backend': 'github',
    'association_id': '0' * 24,
}


@pytest.fixture
def app(keep, monkeypatch):
    """A site with everything that can be switched on; its context is not entered, so that requests share nothing.

    Pages that refuse are empty: there are a thousand, of which only the status is looked at.
    """
    monkeypatch.setattr(_errors, 'render_template', lambda *_, **__: '')
    app = keep('permissions', **permissions.SETTINGS, WTF_CSRF_METHODS=[])  # without tokens, which are not tried here
    listeners.disconnect(app)
    make_group('default', ['plain_task'])
    return app


@pytest.fixture
def people(app):
    """One user for each role but the visitor."""
    make_user(admin=True)  # so that the other admin is not the last one
    people = {role: make_user(username=role.replace(' ', '_')) for role in permissions.ROLES[1:]}
    people['stranger'].update(set__groups=[])
    people['project admin'].update(set__groups=[], set__manages=['plain_task'])
    people['admin'].update(set__groups=[], set__admin=True)
    return people


def outcome(browser: FlaskClient, method: str, path: str) -> str:
    """``in``, ``form`` or the status with which it was refused."""
    response = browser.open(path, method=method, buffered=True)
    assert response.status_code < 500 or response.status_code == 503, f'{method} {path}: {response.text}'
    if response.status_code == 302 and response.location.startswith('/sign-in?'):
        return 'form'
    return str(response.status_code) if response.status_code in (401, 403, 503) else 'in'


def guarded(app: Flask) -> list[tuple[str, str, str]]:
    """``(method, address, what a visitor meets)`` of the routes that are not for everybody."""
    known = [(method, rule, permissions.expected(method, rule)[0]) for method, rule in permissions.routes(app)]
    return [route for route in known if route[2] != 'in' and route[1] != '/sign-in']


def path_of(app: Flask, rule: str, **more: str) -> str:
    """An address of that rule."""
    for name, value in {**ARGUMENTS, **more}.items():
        rule = re.sub(rf'<(\w+:)?{name}>', value, rule)
    assert '<' not in rule, f'{rule}: say in ARGUMENTS what to put there'
    return rule


@pytest.mark.parametrize('role', permissions.ROLES)
def test_every_route_lets_in_whom_the_table_says_and_nobody_else(app, plain, people, login, role):
    tasks = iter(make_tasks(plain, 20))
    found, wanted, browser = {}, {}, None
    for method, rule in permissions.routes(app):
        path = path_of(app, rule, task_id=next(tasks).id if '<task_id>' in rule else '', user_id='0' * 24)
        browser = browser or (app.test_client() if role == 'visitor' else login(people[role]))
        found[method, rule] = outcome(browser, method, path)
        wanted[method, rule] = permissions.expected(method, rule)[permissions.ROLES.index(role)]
        if method == 'POST':  # it may have signed the browser in or out
            browser = None
    assert found == wanted


@pytest.mark.parametrize('role', ['volunteer', 'admin'])
def test_who_was_switched_off_is_a_visitor_at_the_next_request(app, plain, people, login, role):
    browser = login(people[role])
    assert browser.get('/session').json['result']['user']
    User.objects(pk=people[role].pk).update_one(set__active=False)
    task = make_tasks(plain, 1)[0]
    for method, rule, refusal in guarded(app):
        assert outcome(browser, method, path_of(app, rule, task_id=task.id, user_id='0' * 24)) == refusal, rule


@pytest.mark.parametrize('role', ['visitor', 'volunteer', 'project admin'])
def test_closed_site_is_closed_to_all_but_admins(app, plain, people, login, role, monkeypatch):
    monkeypatch.setitem(app.config, 'SITE_IS_CLOSED', True)
    monkeypatch.setattr(pages, 'page', lambda *_, **__: '')
    browser = app.test_client() if role == 'visitor' else login(people[role])
    task = make_tasks(plain, 1)[0]
    for method, rule, _ in guarded(app):
        assert outcome(browser, method, path_of(app, rule, task_id=task.id, user_id='0' * 24)) == '503', rule


def test_closed_site_is_open_to_admins(app, plain, people, login, monkeypatch):
    monkeypatch.setitem(app.config, 'SITE_IS_CLOSED', True)
    browser = login(people['admin'])
    for path in ('/type/plain_task/', '/type/plain_task/next', '/admin/user/', '/gamification/my/badges'):
        assert outcome(browser, 'GET', path) == 'in', path


def test_project_admin_of_another_project_is_let_into_none_of_mine(app, plain, people, login):
    people['project admin'].update(set__manages=['other_task'])
    browser = login(people['project admin'])
    assert outcome(browser, 'GET', '/type/plain_task/next') == '403'
    task = make_tasks(plain, 1)[0]
    assert task.id not in browser.get('/admin/task/').text
    for action in ('edit', 'details'):
        assert browser.get(f'/admin/task/{action}/?id={task.id}').status_code == 302  # there is no such task for him
