"""The server behind the connection."""

import pytest
from mongoengine import Document, StringField
from mongoengine.connection import get_db

from tests.factories import make_user
from vulyk.models import database
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import AbstractAnswer, AbstractTask


def test_prepared_database_has_the_indexes_of_all_models(app):
    get_db().work_sessions.drop_indexes()
    database.prepare()
    assert 'user_1_task_1' in get_db().work_sessions.index_information()


@pytest.mark.parametrize(
    ('model', 'keys'),
    [(AbstractAnswer, ['createdBy', 'task']), (WorkSession, ['user', 'task'])],
)
def test_one_user_has_one_document_per_task(app, model, keys):
    found = [index for index in model._get_collection().index_information().values() if index.get('unique')]
    assert [[key for key, _ in index['key']] for index in found] == [keys]


def test_data_that_an_index_forbids_are_told_and_do_not_stop_the_site(app, caplog):
    sessions = get_db().work_sessions
    sessions.drop_indexes()
    user = make_user()
    sessions.insert_many([{'_cls': 'WorkSession', 'user': user.id, 'task': 't'} for _ in range(2)])
    try:
        database.prepare()
        assert 'An index of work_sessions cannot be made' in caplog.text
    finally:
        sessions.delete_many({})
        database.prepare()


def test_indexes_are_those_that_mongoengine_would_make(app, caplog):
    def indexes(model: type) -> dict:
        found = model._get_collection().index_information()
        return {name: {**facts, 'background': False} for name, facts in found.items()}

    for model in database.MODELS:
        model._get_collection().drop_indexes()
        database.make_indexes()
        made = indexes(model)
        model._get_collection().drop_indexes()
        model.ensure_indexes()
        database.make_indexes()
        assert indexes(model) == made
    assert caplog.text == ''


def test_preparing_twice_changes_nothing(app):
    before = AbstractTask._get_collection().index_information()
    database.prepare()
    assert AbstractTask._get_collection().index_information() == before


def test_application_of_an_earlier_test_gets_the_indexes_of_models_that_came_later(keep, monkeypatch):
    class Late(Document):
        note = StringField()
        meta = {'indexes': ['note'], 'auto_create_index': False}

    keep('plain')
    monkeypatch.setattr(database, 'MODELS', [*database.MODELS, Late])
    keep('plain')
    assert 'note_1' in Late._get_collection().index_information()
    Late.drop_collection()


def test_application_of_an_earlier_test_is_built_anew_for_other_settings(keep):
    first = keep('a provider', SOCIAL_AUTH_OIDC_OIDC_ENDPOINT='http://127.0.0.1:1')
    again = keep('a provider', SOCIAL_AUTH_OIDC_OIDC_ENDPOINT='http://127.0.0.1:1')
    later = keep('a provider', SOCIAL_AUTH_OIDC_OIDC_ENDPOINT='http://127.0.0.1:2')
    assert first is again
    assert later.config['SOCIAL_AUTH_OIDC_OIDC_ENDPOINT'] == 'http://127.0.0.1:2'
