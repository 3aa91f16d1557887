"""What home pages tell: of each project, of my work, of the whole site."""

import pytest

from tests import factories
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import Batch
from vulyk.models.user import Group
from vulyk.pages import language_name


@pytest.fixture(autouse=True)
def _home_is_shown(app, monkeypatch):
    monkeypatch.setitem(app.config, 'REDIRECT_USER_AFTER_LOGIN', False)


@pytest.fixture
def worker(plain):
    """Somebody who has answered one of three tasks, in twenty seconds."""
    user = factories.make_user()
    task = factories.make_tasks(plain, 3)[0]
    factories.answer(plain, task, user)
    WorkSession.objects.update(set__activity=22)
    return user


def test_card_tells_how_long_a_task_takes_who_is_there_and_what_it_needs(app, plain, worker, login, monkeypatch):
    monkeypatch.setattr(type(plain), 'needs', ('hearing', 'pointer'))
    text = login(worker).get('/').text
    assert 'about 20 s per task' in text
    assert '1 person active this week' in text
    assert 'Needs hearing' in text
    assert 'Needs a precise pointer' in text


def test_estimate_of_the_plugin_is_told_until_answers_are_measured(plain, login, monkeypatch):
    monkeypatch.setattr(type(plain), 'seconds_per_task', 45)
    assert 'about 45 s per task' in login(factories.make_user()).get('/').text


def test_home_leads_back_to_the_work_of_before(worker, login):
    text = login(worker).get('/').text
    assert 'Go on with “Plain tasks”' in text
    assert '1 answer today.' in text
    assert 'Go on with' not in login(factories.make_user()).get('/').text


def test_home_leads_nowhere_where_nothing_is_left(plain, worker, login):
    Batch.objects.update(set__tasks_processed=3)
    assert 'Go on with' not in login(worker).get('/').text


def test_visitors_see_what_there_is_to_do_and_what_is_done(client, worker):
    text = client.get('/').text
    assert 'What there is to do' in text
    assert '0 of 3 tasks done' in text
    assert '<dt>Volunteers</dt><dd>1</dd>' in text


def test_visitors_do_not_see_projects_that_are_not_for_everybody(client, worker):
    Group(id='default').save()
    assert '0 of 3 tasks done' not in client.get('/').text


@pytest.mark.parametrize(('tag', 'name'), [('de', 'German'), ('de-AT', 'German (Austria)'), ('xx-yy', 'xx-yy')])
def test_languages_are_called_by_their_names(app, tag, name):
    with app.test_request_context():
        assert language_name(tag) == name


@pytest.mark.parametrize(
    ('name', 'value', 'reason'),
    [
        ('seconds_per_task', 'a minute', 'seconds_per_task must be a whole number, or 0'),
        ('needs', ('smell',), 'needs must be a tuple of any of sight, hearing, pointer'),
        ('picture', 'static/none.svg', 'its picture “static/none.svg” is not in its folder static/'),
        ('picture', '../secret.svg', 'its picture “../secret.svg” is not in its folder static/'),
    ],
)
def test_plugin_that_declares_nonsense_is_left_out_with_the_reason(make_app, plain, monkeypatch, name, value, reason):
    monkeypatch.setattr(type(plain), name, value)
    assert make_app().plugin_errors == {'vulyk_plain': reason}
