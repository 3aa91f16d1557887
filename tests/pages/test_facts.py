"""What pages tell about batches."""

import pytest

from tests.factories import make_tasks
from vulyk.models.tasks import AbstractTask, Batch, batch_facts, has_facts

FACTS = {
    'title': {'en': 'Old cards', 'uk': 'Старі картки'},
    'description': 'Of a <library>',
    'help': '<p onclick="x()">Look <b>closely</b></p><script>x()</script>',
    'attribution': 'The library',
    'source': 'Catalogue, https://example.org/c',
    'licence': 'CC BY 4.0',
    'lang': 'de',
}


def describe(batch_id: str) -> Batch:
    """Give a batch all facts."""
    Batch.objects(pk=batch_id).update_one(**{f'set__{name}': value for name, value in FACTS.items()})
    for table in (batch_facts, has_facts):
        table.forget()
    return Batch.objects.get(pk=batch_id)


@pytest.fixture
def described(task):
    """The batch of ``task`` has all facts."""
    return describe('default')


def next_task(member):
    return member.get('/type/plain_task/next').json['result']['task']


def test_next_task_comes_with_the_facts_of_its_batch(member, described):
    batch = next_task(member)['batch']
    assert batch == {
        'id': 'default',
        'title': 'Old cards',
        'description': 'Of a <library>',
        'help': '<p>Look <b>closely</b></p>',
        'attribution': 'The library',
        'source': 'Catalogue',
        'source_url': 'https://example.org/c',
        'licence': 'CC BY 4.0',
        'licence_url': 'https://creativecommons.org/licenses/by/4.0/',
        'lang': 'de',
    }


def test_task_of_a_batch_without_facts_comes_as_ever(member, task):
    assert set(next_task(member)) == {'id', 'closed', 'data'}


@pytest.mark.parametrize(
    ('data', 'language'), [({'lang': 'fr'}, 'fr'), ({}, 'de'), ({'lang': 7}, 'de'), ({'lang': 'x y'}, 'de')], ids=str
)
def test_language_of_a_task_is_its_own_or_that_of_its_batch(member, task, described, data, language):
    AbstractTask.objects(pk=task.id).update_one(set__task_data={'n': 1, **data})
    assert next_task(member)['lang'] == language


def test_tasks_fetched_ahead_have_their_facts_too(member, plain):
    make_tasks(plain, 60)
    describe('default')
    (ahead,) = member.get('/type/plain_task/next?ahead=1').json['result']['ahead']
    assert (ahead['batch']['title'], ahead['lang']) == ('Old cards', 'de')


def test_home_page_tells_what_is_in_work(member, described, app, monkeypatch):
    monkeypatch.setitem(app.config, 'REDIRECT_USER_AFTER_LOGIN', False)
    page = member.get('/').text
    assert 'Old cards' in page
    assert 'Of a &lt;library&gt;' in page
    assert 'The library · <a class="vk-link" href="https://example.org/c"' in page


@pytest.mark.parametrize('state', [{'closed': True}, {'paused': True}, {'title': None, 'description': None}], ids=str)
def test_home_page_says_nothing_of_other_batches(member, described, app, monkeypatch, state):
    monkeypatch.setitem(app.config, 'REDIRECT_USER_AFTER_LOGIN', False)
    for name, value in state.items():
        setattr(described, name, value)
    described.save()
    assert 'The library' not in member.get('/').text
