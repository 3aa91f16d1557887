"""The check sees whatever is wrong, from the raw documents alone; the repair mends what they can tell."""

from datetime import timedelta

import pytest

from tests.ext.test_leases import at_once
from tests.factories import answer, make_tasks, make_user
from vulyk.ext import consistency
from vulyk.models.progress import Progress
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import AbstractAnswer, AbstractTask, Batch, Closing
from vulyk.models.user import User

TASKS, ANSWERS, BATCHES = AbstractTask._get_collection, AbstractAnswer._get_collection, Batch._get_collection


@pytest.fixture
def site(variant):
    """A type with redundancy 2; its first task is closed, its second has one answer and one place taken."""
    kind = variant(redundancy=2)
    closed, half = make_tasks(kind, 2, batch='b')
    users = [make_user(), make_user()]
    for user in users:
        answer(kind, closed, user)
    answer(kind, half, users[0])
    kind.get_next(users[1])
    assert list(consistency.check()) == []
    return kind, closed, half, users


def kinds() -> set[str]:
    return {problem.kind for problem in consistency.check()}


DAMAGE = {
    'counter too high': (
        'task',
        lambda closed, half: TASKS().update_one({'_id': half.id}, {'$inc': {'usersCount': 1}}),
    ),
    'counter too low': (
        'task',
        lambda closed, half: TASKS().update_one({'_id': closed.id}, {'$inc': {'usersCount': -1}}),
    ),
    'closed too early': ('task', lambda closed, half: TASKS().update_one({'_id': half.id}, {'$set': {'closed': True}})),
    'not closed': ('task', lambda closed, half: TASKS().update_one({'_id': closed.id}, {'$set': {'closed': False}})),
    'somebody missing': (
        'task',
        lambda closed, half: TASKS().update_one({'_id': half.id}, {'$set': {'usersProcessed': []}}),
    ),
    'no lane': ('task', lambda closed, half: TASKS().update_one({'_id': half.id}, {'$set': {'leases': []}})),
    'lane of a full task': (
        'task',
        lambda closed, half: TASKS().update_one({'_id': half.id}, {'$set': {'lane': 'fresh'}}),
    ),
    'lane of a closed task': (
        'task',
        lambda closed, half: TASKS().update_one({'_id': closed.id}, {'$set': {'lane': 'fresh'}}),
    ),
    'an answer gone': ('task', lambda closed, half: ANSWERS().delete_one({'task': closed.id})),
    'an answer too many': (
        'task',
        lambda closed, half: ANSWERS().insert_one(
            {'task': half.id, 'createdBy': make_user().id, 'taskType': 'plain_task'}
        ),
    ),
    'not marked as extra': ('task', lambda closed, half: ANSWERS().update_many({}, {'$set': {'extra': True}})),
    'batch too far': ('batch', lambda closed, half: BATCHES().update_one({}, {'$inc': {'tasksProcessed': 1}})),
    'batch not far enough': ('batch', lambda closed, half: BATCHES().update_one({}, {'$set': {'tasksProcessed': 0}})),
    'batch closed': ('batch', lambda closed, half: BATCHES().update_one({}, {'$set': {'closed': True}})),
    'batch too large': ('batch', lambda closed, half: BATCHES().update_one({}, {'$inc': {'tasksCount': 1}})),
    'task counted twice': ('batch', lambda closed, half: Closing(id=closed.id, batch='b').save()),
    'user': ('user', lambda closed, half: User.objects.update(inc__processed=1)),
    'progress': ('user', lambda closed, half: Progress.objects.update(inc__total=1)),
    'no progress': ('user', lambda closed, half: Progress.objects.delete()),
}


@pytest.mark.parametrize(('kind', 'damage'), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_seen_and_mended(site, clock, kind, damage):
    _, closed, half, _ = site
    damage(closed, half)
    assert kind in kinds()
    said = list(consistency.repair({'plain_task': 2}, clock()))
    assert said
    assert {problem.text for problem in consistency.check()} <= {'it has no work session'}


def test_places_beyond_what_a_task_needs_are_taken_away(site, clock):
    _, _, half, users = site
    more = [{'user': make_user().id, 'until': clock() + timedelta(hours=1)} for _ in range(2)]
    TASKS().update_one({'_id': half.id}, {'$push': {'leases': {'$each': more}}})
    assert kinds() == {'task'}
    list(consistency.repair({'plain_task': 2}, clock()))
    assert [lease['user'] for lease in TASKS().find_one({'_id': half.id})['leases']] == [users[1].id]
    assert kinds() == set()


@pytest.mark.parametrize(
    ('kind', 'damage'),
    [
        ('answer', lambda: TASKS().delete_one({'closed': True})),
        ('answer', lambda: WorkSession._get_collection().delete_many({})),
    ],
)
def test_what_only_people_can_decide_is_left_alone_and_said(site, clock, kind, damage):
    damage()
    list(consistency.repair({'plain_task': 2}, clock()))
    assert kinds() == {kind}
    assert any('left alone' in text for text in consistency.repair({'plain_task': 2}, clock()))


def test_repair_of_a_healthy_database_says_nothing(site, clock):
    assert list(consistency.repair({'plain_task': 2}, clock())) == []


def test_repair_completes_what_a_crash_has_left(site, clock):
    kind, _, half, _ = site
    TASKS().update_one({'_id': half.id}, {'$set': {'closed': True, 'closedEarly': True, 'lane': None, 'expiry': None}})
    Closing(id=half.id, batch='b').save()
    kind.get_next(make_user())
    assert 'batch b' in ' '.join(consistency.repair({'plain_task': 2}, clock() + timedelta(hours=1)))
    assert (Batch.objects.get().tasks_processed, Batch.objects.get().closed) == (2, True)
    assert kinds() == set()


def test_places_whose_time_is_over_are_said_to_be_free(site, clock):
    (text,) = consistency.repair({'plain_task': 2}, clock() + timedelta(hours=1))
    assert text.startswith('1 tasks had places whose time was over')


def test_check_takes_no_offence_at_people_who_go_on_working(site, clock):
    kind, *_ = site
    make_tasks(kind, 30, batch='c')
    problems = []
    users = [make_user() for _ in range(3)]

    def work(user):
        while task_id := kind.get_next(user).get('id'):
            kind.on_task_done(user, task_id, {'by': str(user.id)})

    def check():
        for _ in range(6):
            problems.extend(consistency.check())

    at_once(check, *(lambda user=user: work(user) for user in users))
    assert problems == []
