"""An application with admin pages, a view like a plugin's on it, and people who try to open them."""

from collections.abc import Iterator

import mongoengine
import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests import factories
from vulyk.admin.models import AuthModelView, CKTextAreaField
from vulyk.models.user import User


class Charity(mongoengine.Document):
    """What a plugin might want to edit: a key of its own, rich text, a file, references."""

    id = mongoengine.StringField(max_length=50, primary_key=True)
    name = mongoengine.StringField(max_length=100, required=True)
    description = mongoengine.StringField()
    site = mongoengine.URLField()
    logo = mongoengine.FileField(collection_name='logos')
    keeper = mongoengine.ReferenceField(User)
    friends = mongoengine.ListField(mongoengine.ReferenceField(User))
    meta = {'collection': 'charities', 'auto_create_index': False}


class CharityView(AuthModelView):
    """The view of such a plugin."""

    can_export = True
    can_view_details = True
    column_searchable_list = ('name',)
    column_editable_list = ('name',)
    column_filters = ('name',)
    form_overrides = {'description': CKTextAreaField}
    form_ajax_refs = {'friends': {'fields': ('username',)}, 'keeper': {'fields': ('username',)}}


@pytest.fixture
def app(keep) -> Iterator[Flask]:
    """An application with admin pages and an empty database.

    Its context is not entered: Flask would share ``g``, and with it who is signed in, between all requests of a test.
    """
    tasks = {'vulyk_plain': 'PlainTaskType', 'vulyk_that_is_missing': 'TaskType'}
    app = keep('admin', ENABLE_ADMIN=True, ENABLED_TASKS=tasks, SITE_NAME='Test hive')
    if 'charity' not in app.blueprints:
        app.admin.add_view(CharityView(Charity, category='Game'))
    factories.make_group('default', ['plain_task'])
    return app


@pytest.fixture
def admin(app: Flask) -> User:
    """The one admin there is."""
    return factories.make_user(username='keeper', admin=True)


@pytest.fixture
def admin_client(admin: User, login) -> FlaskClient:
    """The admin's browser."""
    return login(admin)


@pytest.fixture
def make_charity(app: Flask):
    """Stores a charity."""

    def make(**fields) -> Charity:
        return Charity(**{'id': 'c1', 'name': 'Bee rescue', **fields}).save()

    return make
