"""What tests of the game share: a site with two gamified task types and a plain one, and a clock that can be set."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from vulyk_plain.models.tasks import PlainAnswer, PlainTask

from tests import factories
from tests.gamification.play import Clock, Play
from vulyk.blueprints.gamification import listeners
from vulyk.blueprints.gamification.models.rules import forget_rules
from vulyk.blueprints.gamification.models.task_types import AbstractGamifiedTaskType
from vulyk.ext.worksession import WorkSessionManager
from vulyk.models.stats import WorkSession

BLUEPRINT = {'path': 'vulyk.blueprints.gamification.gamification', 'config': {}, 'url_prefix': 'gamification'}


class GameTaskType(AbstractGamifiedTaskType):
    """Answers are worth a point and a coin; two of them close a task."""

    task_model, answer_model = PlainTask, PlainAnswer
    type_name, name, template, redundancy = 'game_task', 'Game', 'index.html', 2


class OtherTaskType(AbstractGamifiedTaskType):
    """Another project."""

    task_model, answer_model = PlainTask, PlainAnswer
    type_name, name, template, redundancy = 'other_task', 'Other', 'index.html', 2


@pytest.fixture
def app(keep) -> Iterator[Flask]:
    """A site with the game, its context entered, its database empty but for the default group."""
    app = keep('game', ENABLED_BLUEPRINTS=[BLUEPRINT], ENABLE_ADMIN=True, CURRENCY='EUR')
    listeners.disconnect(app)  # they are connected when it is built
    listeners.connect(app)
    # The context of the tests is entered all the time: without this, a request would find the user of the one before.
    app.teardown_request_funcs[None] = [
        lambda _: [g.pop(name, None) for name in ('_login_user', 'csp_nonce', 'frontend')]
    ]
    for kind in (GameTaskType, OtherTaskType):
        app.task_types[kind.type_name] = kind({})
    with app.app_context():
        forget_rules()
        factories.make_group('default', list(app.task_types))
        yield app
    listeners.disconnect(app)


@pytest.fixture
def clock() -> Clock:
    """The time it is: a Friday, 20 November 2026, noon UTC."""
    return Clock(datetime(2026, 11, 20, 12, 0, tzinfo=UTC))


@pytest.fixture
def play(app: Flask, clock: Clock) -> Play:
    """Lets users answer at chosen times."""
    for kind in app.task_types.values():
        kind._work_session_manager = WorkSessionManager(WorkSession, clock=clock)
        kind.clock = clock
    return Play(app, clock)


@pytest.fixture
def member(app: Flask):
    """A user."""
    return factories.make_user(username='ada')


@pytest.fixture
def mine(login, member) -> FlaskClient:
    """His browser."""
    return login(member)
