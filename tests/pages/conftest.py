"""What tests of the pages share."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from mongoengine.connection import get_db

from tests.factories import make_tasks, make_user


@pytest.fixture
def user(app: Flask):
    """A volunteer."""
    return make_user()


@pytest.fixture
def member(login, user) -> FlaskClient:
    """The browser of ``user``, signed in."""
    return login(user)


@pytest.fixture
def task(plain):
    """An open task of ``plain_task``."""
    return make_tasks(plain, 1)[0]


@pytest.fixture
def stored(app: Flask):
    """Everything in the database, to compare: ``before = stored()``."""

    def read() -> dict[str, list[dict[str, Any]]]:
        names = sorted(name for name in get_db().list_collection_names() if not name.startswith('system.'))
        return {name: list(get_db()[name].find(sort=[('_id', 1)])) for name in names}

    return read
