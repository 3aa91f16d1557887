"""Every query of a page and of the sweeper has an index: the server refuses those that have none."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from mongoengine.connection import get_db
from vulyk_plain.models.tasks import PlainTask

from tests import factories
from tests.ext.site import Commands, Site, tables
from vulyk import jobs, mongod, signals
from vulyk.bootstrap import _db, create_app
from vulyk.ext import assignment, counting
from vulyk.models.tasks import AbstractAnswer, AbstractTask


@pytest.fixture(scope='module')
def strict_site(settings: dict, tmp_path_factory) -> Iterator[Site]:
    """A site on a server of its own that refuses to look at all documents of a collection."""
    commands, folder = Commands(), tmp_path_factory.mktemp('strict')
    connection = {'DB': 'strict', 'HOST': mongod.acquire(folder), 'event_listeners': [commands]}
    app = create_app({**settings, 'MONGODB_SETTINGS': connection, 'MAX_TASKS_AHEAD': 5})
    _db.prepare(app)
    factories.make_group('default', ['plain_task'])
    get_db().client.admin.command('setParameter', 1, notablescan=1)
    yield Site(app, commands)
    mongod.release(folder, wait_s=20)


def listen(sender: Any, **keywords: Any) -> None:
    """A receiver that never manages."""
    raise RuntimeError('no badge today')


def test_no_route_and_no_sweep_looks_at_all_documents_of_a_collection(strict_site, monkeypatch):
    monkeypatch.setattr(assignment, 'FEW_PLACES', 3)
    site = strict_site
    name, _ = site.load(16, 2)
    PlainTask(id='by hand', task_type='plain_task', task_data={'n': 1}).save()
    first, second, third = site.newcomer(), site.newcomer(), site.newcomer()
    statuses = []

    def expect(status: int, response: Any) -> Any:
        statuses.append(status)
        assert response.status_code == status, response.text
        return response

    with_receivers = [signals.on_task_done, signals.on_batch_done]
    with_receivers.append(signals.on_answer_withdrawn)
    for signal in with_receivers:
        signal.connect(listen)
    try:
        for path in ('/type/plain_task/', '/type/plain_task/leaders', '/', '/session'):
            assert first.get(path, follow_redirects=True).status_code == 200, path
        answered = []
        for step in range(20):
            response = first.get('/type/plain_task/next?ahead=2')
            if response.status_code == 404:
                break
            task_id = expect(200, response).json['result']['task']['id']
            action = 'skip' if step % 3 == 2 else 'done'
            expect(200, first.post(f'/type/plain_task/{action}/{task_id}', json={'result': {}}))
            if action == 'done':
                answered.append(task_id)
            expect(200, second.get('/type/plain_task/next'))
        for task_id in answered[:3]:
            expect(200, second.post(f'/type/plain_task/done/{task_id}', json={'result': {}}))
            expect(200, third.post(f'/type/plain_task/done/{task_id}', json={'result': {}}))
            expect(200, first.get(f'/type/plain_task/progress/{task_id}'))
            expect(200, first.post(f'/type/plain_task/withdraw/{task_id}'))
        task_id = expect(200, third.get('/type/plain_task/next?ahead=1')).json['result']['task']['id']
        expect(200, third.post(f'/type/plain_task/activity/{task_id}', data={'seconds': '0'}))
        expect(200, third.post('/type/plain_task/return'))
        nobody = site.newcomer()
        for _ in range(100):
            response = nobody.get('/type/plain_task/next')
            if response.status_code == 404:
                break
            expect(
                200, nobody.post(f'/type/plain_task/done/{response.json["result"]["task"]["id"]}', json={'result': {}})
            )
        expect(404, nobody.get('/type/plain_task/next'))
        for table in tables():
            table.forget()
        expect(404, nobody.get('/type/plain_task/next'))
        stranger = site.app.test_client()
        token = {'X-CSRFToken': stranger.get('/session').json['result']['csrf']}
        expect(401, stranger.post('/sign-in', data={'email': 'ada@example.org', 'password': 'wrong'}, headers=token))
        expect(404, first.get(f'/media/plain_task/{"0" * 64}'))
        expect(302, third.post('/logout'))
        now, somebody = site.kind.clock(), AbstractAnswer.objects(task=answered[0]).first().created_by
        since = now - timedelta(hours=1)
        assert counting.withdraw_all(somebody.id, since, {'plain_task': 2}, by=None, reason='', now=now)
        for redundancy in (3, 1):
            assert counting.set_redundancy(name, redundancy, now)
        for hours in (0, 1, 2):
            jobs.sweep(site.kind.clock() + timedelta(hours=hours))
        jobs.enqueue(jobs.job(listen), unique='key', sender=1)
        jobs.enqueue(listen, unique='key', sender=1)
        assert jobs.Worker(1).step()
    finally:
        for signal in with_receivers:
            signal.disconnect(listen)
    assert len(statuses) > 50


def test_strict_server_is_strict(strict_site):
    with pytest.raises(Exception, match='notablescan'):
        AbstractTask._get_collection().find_one({'task_data.n': 1})
