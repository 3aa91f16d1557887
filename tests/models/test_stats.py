"""How long people have worked."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.factories import make_tasks, make_user
from vulyk.models.stats import WorkSession

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def work(plain):
    """Makes a session of a new task: ``work(user, length, activity)``; no length: it is still open."""

    def make(user, length: timedelta | None, activity: int) -> WorkSession:
        (task,) = make_tasks(plain, 1, batch=None)
        end = NOON + length if length is not None else None
        return WorkSession(
            user=user, task=task, task_type='plain_task', start_time=NOON, end_time=end, activity=activity
        ).save()

    return make


SESSIONS = {
    'none': ([], 0, 0),
    'one': ([(timedelta(seconds=90), 60)], 60, 90),
    'several': ([(timedelta(seconds=90), 60), (timedelta(minutes=5), 5)], 65, 390),
    'longer than a day': ([(timedelta(days=2, seconds=1), 0)], 0, 172_801),
    'one still open': ([(timedelta(seconds=10), 7), (None, 20)], 27, 10),
    'only an open one': ([(None, 20)], 20, 0),
    'parts of a second': ([(timedelta(milliseconds=900), 0), (timedelta(milliseconds=900), 0)], 0, 1),
}


@pytest.mark.parametrize(('sessions', 'precise', 'approximate'), SESSIONS.values(), ids=SESSIONS)
def test_time_of_a_user_is_the_sum_over_his_sessions(work, sessions, precise, approximate):
    user = make_user()
    work(make_user(), timedelta(hours=1), 1000)
    for length, activity in sessions:
        work(user, length, activity)
    assert WorkSession.get_total_user_time_precise(user.id) == precise
    assert WorkSession.get_total_user_time_approximate(user.id) == approximate


def test_session_without_activity_counts_nothing(work):
    user = make_user()
    work(user, timedelta(seconds=5), 0)
    WorkSession._get_collection().update_many({}, {'$unset': {'activity': ''}})
    assert WorkSession.get_total_user_time_precise(user.id) == 0
