"""What a request costs the database: commands, and keys of indexes as the server's profiler counts them."""

from datetime import timedelta

import pytest

from tests import factories
from tests.ext.site import Commands, Site, tables
from vulyk import jobs, signals
from vulyk.bootstrap import _db, create_app
from vulyk.ext import assignment, consistency, leases
from vulyk.models.progress import Progress
from vulyk.models.tasks import MANY_LEFT, AbstractTask, Batch, Closing
from vulyk.models.user import User

NEXT, DONE, CLOSING = 4, 7, 4  # commands; the promise is 6, 9 and 4
KEYS = 50


@pytest.fixture(scope='module')
def _site(settings: dict, worker_id: str) -> Site:
    commands = Commands()
    connection = {**settings['MONGODB_SETTINGS'], 'DB': f'vulyk_costs_{worker_id}', 'event_listeners': [commands]}
    app = create_app({**settings, 'MONGODB_SETTINGS': connection, 'MAX_TASKS_AHEAD': 5})
    _db.prepare(app)
    return Site(app, commands)


@pytest.fixture
def site(_site: Site, monkeypatch) -> Site:
    """A site whose database is empty but for the default group; what a process remembers for a second it remembers."""
    factories.empty_database()
    factories.make_group('default', ['plain_task'])
    for signal in (signals.on_task_done, signals.on_batch_done):  # applications of earlier tests may be listening still
        monkeypatch.setattr(signal, 'receivers', {})
    for table in tables():
        monkeypatch.setattr(table, '_seconds', 3600)
        table.forget()
    return _site


def walk(user: User, number: int, field: str) -> None:
    """Leave the database as if the user had answered or skipped that many tasks, each of them still open."""
    tasks, positions = AbstractTask._get_collection(), {}
    for load in assignment.open_loads.get('plain_task'):
        mine = list(tasks.find({'load': load.id}, {'ord': 1}, sort=[('ord', 1)], limit=number))
        tasks.update_many({'_id': {'$in': [task['_id'] for task in mine]}}, {'$push': {field: user.id}})
        if mine:
            is_all = tasks.count_documents({'load': load.id}) == len(mine) < number
            positions[str(load.id)] = None if is_all else mine[-1]['ord']
        number -= len(mine)
        if not number:
            break
    facts = {'taskType': 'plain_task', 'user': user.id, 'total': 0, 'positions': positions}
    Progress._get_collection().update_one({'_id': Progress.key('plain_task', user.id)}, {'$set': facts}, upsert=True)


# --- next -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope='module', params=[(1000, 1), (6000, 1), (6000, 100)], ids='{0[0]} tasks in {0[1]}'.format)
def size(request) -> tuple[int, int]:
    """Numbers of open tasks and of open batches."""
    return request.param


def test_next_costs_the_same_for_everybody(site, size):
    tasks, batches = size
    site.load(tasks, batches)
    number = min(2000, tasks - 20)
    people = {'somebody new': factories.make_user()}
    for field in ('usersProcessed', 'usersSkipped'):
        people[field] = factories.make_user()
        walk(people[field], number, field)
    for who, user in people.items():
        browser = site.browser(user)
        site.skip(
            browser, site.next(browser).task
        )  # may be the first of a new load, for which there are two more commands
        for step in range(4):
            cost = site.next(browser)
            assert cost.task, (who, step)
            assert len(cost.commands) <= NEXT, (who, step, cost.commands)
            assert cost.keys <= KEYS, (who, step, cost.keys)
            reload = site.next(browser)
            assert (reload.task, len(reload.commands) <= NEXT, reload.keys <= KEYS) == (cost.task, True, True)
            (site.skip if step % 2 else site.done)(browser, cost.task)


@pytest.mark.parametrize('field', ['usersProcessed', 'usersSkipped'])
def test_walking_is_what_the_platform_does(site, field):
    site.load(20, 2)
    people = [factories.make_user(), factories.make_user()]
    walk(people[0], 13, field)
    browser = site.browser(people[1])
    act = site.done if field == 'usersProcessed' else site.skip
    for _ in range(13):
        act(browser, site.next(browser).task)
    by_hand, for_real = (Progress.raw('plain_task', user.id)['positions'] for user in people)
    assert {load: order for load, order in for_real.items() if order} == {
        load: order for load, order in by_hand.items() if order
    }
    for task in AbstractTask._get_collection().find():
        assert len({user.id in task[field] for user in people}) == 1


@pytest.mark.parametrize('number', [50, 3000])
def test_next_of_somebody_who_has_skipped_everything_costs_no_more(site, number):
    site.load(number)
    user = factories.make_user()
    walk(user, number + 1, 'usersSkipped')
    browser = site.browser(user)
    site.next(browser)
    for _ in range(4):
        site.skip(browser, site.next(browser).task)
        cost = site.next(browser)
        assert (len(cost.commands) <= NEXT, cost.keys <= KEYS) == (True, True), cost


def test_hundred_batches_without_fresh_tasks_cost_the_first_next_of_a_process_a_few_commands(site):
    (last,) = site.load(10)
    names = site.load(100, 100)
    Batch.objects(pk=last).update(set__priority=-1)
    AbstractTask.objects(batch__in=names).update(set__lane=None)
    for table in tables():
        table.forget()
    first, second = (site.next(site.newcomer()) for _ in range(2))
    assert first.task
    assert second.task
    assert len(first.commands) <= NEXT + 15, first.commands
    assert len(second.commands) <= NEXT, second.commands
    assert second.keys <= KEYS


def test_end_of_a_load_costs_two_commands_more_and_few_keys_however_many_batches_there_are(site):
    site.load(100, 100)
    browser = site.newcomer()
    for _ in range(3):
        cost = site.next(browser)
        assert cost.task
        assert (len(cost.commands) <= 6, cost.keys <= KEYS) == (True, True), cost
        site.done(browser, cost.task)


def test_returned_tasks_are_looked_at_once_by_each_volunteer(site, monkeypatch):
    site.load(1000)
    user, other = factories.make_user(), factories.make_user()
    now = site.kind.clock()
    tasks = AbstractTask._get_collection()
    for number, task in enumerate(tasks.find({}, {'_id': 1}, limit=400)):
        returned = now - timedelta(hours=1) + timedelta(milliseconds=number)
        facts = {'lane': 'returned', 'returned': returned, 'usersSkipped': [user.id] if number < 390 else []}
        tasks.update_one({'_id': task['_id']}, {'$set': facts})
    site.forget()
    browser = site.browser(user)
    first = site.next(browser)
    assert 390 < first.keys < 500
    keys = []
    for _ in range(15):
        site.done(browser, site.next(browser).task)
        keys.append(site.next(browser).keys)
    assert max(keys) <= KEYS
    quiet = site.next(site.browser(user))
    assert len(quiet.commands) <= NEXT
    walk(other, 3, 'usersSkipped')
    assert site.next(site.browser(other)).keys <= KEYS


def test_tasks_that_a_sweep_gives_back_are_looked_at_once_too(site):
    site.load(1000)
    user, an_hour_ago = factories.make_user(), site.kind.clock() - timedelta(hours=1)
    tasks = AbstractTask._get_collection()
    held = {'_id': {'$in': [task['_id'] for task in tasks.find({}, {'_id': 1}, limit=400)]}}
    tasks.update_many(held, leases.claim(factories.make_user().id, an_hour_ago, 3, an_hour_ago - timedelta(hours=1)))
    assert assignment.reap(an_hour_ago) == 400
    mine = [task['_id'] for task in tasks.find(held, {'_id': 1}, sort=[('returned', 1)], limit=390)]
    tasks.update_many({'_id': {'$in': mine}}, {'$set': {'usersSkipped': [user.id]}})
    site.forget()
    browser, keys = site.browser(user), []
    site.done(browser, site.next(browser).task)
    for _ in range(9):
        cost = site.next(browser)
        site.done(browser, cost.task)
        keys.append(cost.keys)
    assert max(keys) <= KEYS


def test_fetching_ahead_costs_three_more_commands_and_one_for_each_task(site):
    site.load(1000)
    browser = site.newcomer()
    for number in (1, 3):
        cost = site.next(browser, f'?ahead={number}')
        assert len(cost.json['result']['ahead']) == number
        assert len(cost.commands) <= NEXT + 2 + 2 * number, cost.commands
        assert cost.keys <= KEYS


def test_position_costs_few_keys_however_many_people_there_are(site):
    site.load(100)
    people = [
        {'_id': f'plain_task:{number}', 'taskType': 'plain_task', 'user': number, 'total': number % 300}
        for number in range(3000)
    ]
    Progress._get_collection().insert_many(people)
    browser = site.newcomer()
    site.next(browser)
    site.next(browser)
    assert site.next(browser).keys <= KEYS


# --- done, skip -------------------------------------------------------------------------------------------------------


def test_done_costs_nine_commands_and_four_more_when_a_task_closes(site):
    site.load(40)
    first, second, third = site.newcomer(), site.newcomer(), site.newcomer()
    task_id = site.next(first).task
    costs = [site.done(browser, task_id) for browser in (first, second, third)]
    assert [cost.status for cost in costs] == [200] * 3
    usual, closing, extra = (len(cost.commands) for cost in costs)
    assert usual <= DONE, costs[0].commands
    assert closing <= usual + CLOSING, costs[1].commands
    assert extra <= DONE, costs[2].commands
    assert max(cost.keys for cost in costs) <= KEYS


def test_batch_that_is_far_from_done_is_counted_once_a_second_and_by_the_sweeper(site):
    site.load(MANY_LEFT + 3)
    first, second = site.newcomer(), site.newcomer()
    costs = [len(site.done(browser, site.next(browser).task).commands) for _ in range(5) for browser in (first, second)]
    # Four answers close a task, and note it; the first of them counts it too.
    assert sorted(cost - min(costs) for cost in costs) == [0] * 6 + [1] * 3 + [CLOSING]
    assert (Batch.objects.get().tasks_processed, Closing.objects.count()) == (1, 3)
    jobs.sweep(site.kind.clock())
    assert (Batch.objects.get().tasks_processed, Closing.objects.count()) == (4, 0)
    assert list(consistency.check()) == []


def test_done_that_closes_a_batch_costs_one_command_more(site):
    site.load(1)
    first, second = site.newcomer(), site.newcomer()
    task_id = site.next(first).task
    usual, closing = (site.done(browser, task_id) for browser in (first, second))
    assert len(closing.commands) <= len(usual.commands) + CLOSING + 1, closing.commands
    assert Batch.objects.get().closed


def test_skip_costs_one_command_more_than_next(site):
    site.load(1000)
    browser = site.newcomer()
    cost = site.skip(browser, site.next(browser).task)
    assert (cost.status, len(cost.commands) <= NEXT + 1, cost.keys <= KEYS) == (200, True, True), cost
