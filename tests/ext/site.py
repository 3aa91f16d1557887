"""A site as its volunteers see it: browsers, and what their requests cost the database."""

from collections.abc import Callable
from itertools import count
from types import SimpleNamespace
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from mongoengine.connection import get_db
from pymongo.monitoring import CommandListener

from tests import factories
from vulyk.ext import assignment
from vulyk.models import progress
from vulyk.models import user as users
from vulyk.models.tasks import Batch, far_from_done, has_facts
from vulyk.models.user import User

_numbers = count()


class Commands(CommandListener):
    """The names of the commands the driver sends while ``listening``."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.listening = False

    def started(self, event: Any) -> None:
        if self.listening:
            self.names.append(f'{event.command_name} {event.command.get(event.command_name)}')

    def succeeded(self, event: Any) -> None:
        """Not needed."""

    def failed(self, event: Any) -> None:
        """Not needed."""


class Site:
    """An application without a context around it, so that every request loads its user as a real one does."""

    def __init__(self, app: Flask, commands: Commands) -> None:
        self.app, self.commands = app, commands
        self.kind = app.task_types['plain_task']

    def browser(self, user: User) -> FlaskClient:
        """A signed-in browser that has its token already."""
        browser = self.app.test_client()
        with browser.session_transaction() as session:
            session.update(factories.signed_in(user))
        browser.environ_base['HTTP_X_CSRFTOKEN'] = browser.get('/session').json['result']['csrf']
        return browser

    def newcomer(self) -> FlaskClient:
        return self.browser(factories.make_user())

    def measure(self, request: Callable[[], Any]) -> SimpleNamespace:
        """``commands`` (names), ``keys`` and ``json`` of a request."""
        database = get_db()
        database.command('profile', 0)
        database.drop_collection('system.profile')
        database.command('profile', 2)
        self.commands.names.clear()
        self.commands.listening = True
        response = request()
        self.commands.listening = False
        database.command('profile', 0)
        seen = database['system.profile'].find({'ns': {'$not': {'$regex': 'system.profile$'}}})
        keys = sum(operation.get('keysExamined', 0) for operation in seen)
        return SimpleNamespace(
            commands=list(self.commands.names), keys=keys, status=response.status_code, json=response.json
        )

    def next(self, browser: FlaskClient, query: str = '') -> SimpleNamespace:
        cost = self.measure(lambda: browser.get(f'/type/plain_task/next{query}'))
        cost.task = (cost.json['result'].get('task') or {}).get('id')
        return cost

    def done(self, browser: FlaskClient, task_id: str) -> SimpleNamespace:
        return self.measure(lambda: browser.post(f'/type/plain_task/done/{task_id}', json={'result': {'a': 1}}))

    def skip(self, browser: FlaskClient, task_id: str) -> SimpleNamespace:
        return self.measure(lambda: browser.post(f'/type/plain_task/skip/{task_id}'))

    def load(self, tasks: int, batches: int = 1) -> list[str]:
        """Load that many tasks, spread over batches; returns the ids of the batches."""
        names = [f'batch {next(_numbers)}' for _ in range(batches)]
        for name in names:
            size = tasks // batches
            self.kind.import_tasks([{'n': next(_numbers)} for _ in range(size)], name)
            Batch(id=name, task_type='plain_task', tasks_count=size, redundancy=2).save()
        self.forget()
        return names

    def forget(self) -> None:
        """As if the process had just started, and somebody had used it."""
        for table in tables():
            table.forget()
        self.newcomer().get('/type/plain_task/next')
        assignment.has_plenty.get('plain_task')


def tables() -> list[Any]:
    """What a process remembers for a moment."""
    names = ('open_loads', 'last_return', 'has_loose', 'worn_out', 'looked_into', 'has_plenty')
    more = (users._groups_allowing, progress.distinct_totals, has_facts, far_from_done)
    return [*(getattr(assignment, name) for name in names), *more]
