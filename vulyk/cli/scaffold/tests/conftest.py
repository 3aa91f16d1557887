"""A site with this task type only, on a private MongoDB in the folder ``build``."""

from pathlib import Path

import pytest
from flask import Flask
from mongoengine.connection import get_db

from vulyk.bootstrap import create_app
from vulyk.models.user import Group, User

BUILD = Path(__file__).parents[1] / 'build'
SENTENCE = {'text': 'In Lisbon it rained.', 'choices': ['a person', 'a place']}


@pytest.fixture(scope='session')
def app() -> Flask:
    """The site."""
    app = create_app(
        {
            'SECRET_KEY': 'for tests only',
            'EMBEDDED_MONGOD': str(BUILD),
            'MONGODB_SETTINGS': {'DB': 'vulyk_example_tests'},
            'ENABLED_TASKS': {'vulyk_example': 'ExampleTaskType'},
            'ENABLED_BLUEPRINTS': [],
            'ASSETS_FOLDER': str(BUILD / 'assets'),
            'BACKGROUND_THREAD': False,
            'TERMS_VERSION': None,
        }
    )
    assert app.plugin_errors == {}
    return app


@pytest.fixture
def kind(app: Flask):
    """The task type, on an empty database with one task."""
    with app.app_context():
        database = get_db()
        for collection in database.list_collection_names():
            database[collection].delete_many({})
        Group(id='default', allowed_types=['example']).save()
        app.task_types['example'].import_tasks([SENTENCE], batch=None)
    return app.task_types['example']


@pytest.fixture
def login(app: Flask):
    """Makes a user and signs in: ``login('ada')`` returns a browser."""

    def sign_in(username: str):
        with app.app_context():
            user = User(username=username).save()
            user.start_session()
        browser = app.test_client()
        with browser.session_transaction() as session:
            session['_user_id'] = user.get_id()
        return browser

    return sign_in
