"""Building applications."""

import gc
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask import url_for
from werkzeug.routing import Rule

import vulyk
from tests.factories import empty_database, make_user
from vulyk import bootstrap
from vulyk.bootstrap import create_app
from vulyk.models.user import User


def test_every_call_makes_an_application_of_its_own(make_app):
    one, other = make_app(SITE_NAME='One'), make_app(SITE_NAME='Other')
    assert one is not other
    assert one.task_types['plain_task'] is not other.task_types['plain_task']
    assert (one.config['SITE_NAME'], other.config['SITE_NAME']) == ('One', 'Other')


def test_settings_of_the_caller_are_left_as_they_are(settings):
    before = {**settings, 'MONGODB_SETTINGS': dict(settings['MONGODB_SETTINGS'])}
    create_app(settings)
    assert settings == before


def test_settings_may_be_an_object_with_upper_case_attributes(settings):
    app = create_app(SimpleNamespace(**settings, SITE_NAME='Given', lower='no setting'))
    assert (app.config['SITE_NAME'], 'lower' in app.config) == ('Given', False)


def test_documented_alias_gives_one_application_per_name(monkeypatch):
    monkeypatch.setattr(bootstrap, 'create_app', lambda: object())
    bootstrap.init_app.cache_clear()
    assert bootstrap.init_app('a') is bootstrap.init_app('a')
    assert bootstrap.init_app('a') is not bootstrap.init_app('b')
    bootstrap.init_app.cache_clear()


def test_application_shows_what_themes_and_scripts_look_at(app):
    assert list(app.task_types) == ['plain_task']
    assert app.plugin_errors == {}
    assert any(path.endswith('base.js') for path in app._base_files_to_watch)
    assert app._plugin_files_to_watch == []


def test_way_to_make_an_address_is_compiled_when_one_is_asked_for(make_app, monkeypatch):
    compiled = []
    compile_now = Rule._compile_builder
    monkeypatch.setattr(
        Rule, '_compile_builder', lambda rule, *more: compiled.append(rule.rule) or compile_now(rule, *more)
    )
    app = make_app()
    assert compiled == []
    with app.test_request_context():
        addresses = [url_for('sign_in', rule=number) for number in range(2)]
    assert (addresses, compiled) == (['/sign-in?rule=0', '/sign-in?rule=1'], ['/sign-in'])


# --- two applications -------------------------------------------------------------------------------------------------


@pytest.fixture
def two(make_app, settings, app):
    """``(older, newer)`` on different databases, the newer one's empty."""
    database = settings['MONGODB_SETTINGS']
    older = make_app()
    newer = make_app(MONGODB_SETTINGS={**database, 'DB': database['DB'] + '_second'})
    with newer.app_context():
        empty_database()
    return older, newer


def test_newer_application_uses_its_own_database(two):
    _, newer = two
    with newer.app_context():
        make_user(username='ada')
        assert User._get_db().name.endswith('_second')
        assert User.objects.count() == 1


def test_older_application_refuses_to_use_the_database_of_the_newer(two):
    older, _ = two
    with pytest.raises(RuntimeError, match='Another create_app'):
        older.app_context()
    with pytest.raises(RuntimeError, match='Another create_app'):
        older.test_client().get('/')


def test_older_application_refuses_also_when_the_newer_is_gone(make_app, settings, app):
    database = settings['MONGODB_SETTINGS']
    older = make_app()
    make_app(MONGODB_SETTINGS={**database, 'DB': database['DB'] + '_second'})
    gc.collect()
    with pytest.raises(RuntimeError, match='Another create_app'):
        older.app_context()


def test_older_application_made_again_sees_its_own_data(two, make_app, app):
    _, newer = two
    with newer.app_context():
        make_user(username='ada')
    with make_app().app_context():
        assert User.objects.count() == 0


def test_two_applications_on_one_database_get_on_with_each_other(make_app, app):
    one, other = make_app(SITE_NAME='One'), make_app(SITE_NAME='Other')
    assert 'One' in one.test_client().get('/').text
    assert 'Other' in other.test_client().get('/').text


def test_settings_read_again_after_the_fact_do_not_lock_the_application_out(make_app, settings, app):
    """As the documented ``from vulyk.app import app; app.config.from_object(…)`` does."""
    site = make_app()
    site.config.from_object(SimpleNamespace(**settings))
    assert site.test_client().get('/').status_code == 200


# --- the installed package --------------------------------------------------------------------------------------------


def snapshot() -> dict[str, int]:
    """Time of change of every file of the package."""
    root = Path(vulyk.__file__).parent
    return {
        str(path): path.stat().st_mtime_ns
        for path in root.rglob('*')
        if '__pycache__' not in path.parts and path.is_file()
    }


def test_nothing_is_written_into_the_package_at_run_time(make_app, app, tmp_path):
    before = snapshot()
    site = make_app(ASSETS_FOLDER=str(tmp_path / 'assets'), COLLECT_STATIC_ROOT=str(tmp_path / 'static'))
    for path in ('/', '/sign-in', '/no/such/page'):
        site.test_client().get(path)
    assert snapshot() == before
