"""What tests of the pages share."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

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
