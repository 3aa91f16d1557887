"""Numbers for home pages."""

from datetime import UTC, datetime, timedelta

from tests import factories
from vulyk.models import figures
from vulyk.models.progress import Progress
from vulyk.models.stats import WorkSession


def measured(plain, *activities: int) -> None:
    """Let volunteers have worked that many seconds on a task."""
    for seconds in activities:
        (task,) = factories.make_tasks(plain, 1)
        factories.answer(plain, task, factories.make_user())
        WorkSession.objects(task=task.id).update(set__activity=seconds)


def test_time_per_task_is_the_median_of_what_was_measured(plain):
    measured(plain, 10, 20, 3000, 0)
    assert figures.seconds_per_task() == {'plain_task': 20}


def test_nothing_is_said_of_the_time_where_nothing_was_measured(plain):
    measured(plain, 0)
    assert figures.seconds_per_task() == {}


def test_people_are_active_for_a_week_after_their_last_answer(plain):
    measured(plain, 1, 1)
    Progress.objects.first().update(set__at=datetime.now(UTC) - timedelta(days=8))
    assert figures.active_people() == {'plain_task': 1}
    assert figures.totals() == (2, 2, 1)


def test_taken_back_answer_makes_nobody_active(plain):
    user = factories.make_user()
    Progress.count_answer('plain_task', user.id, 'x', -1)
    assert figures.last_project(user.id) is None


def test_last_project_is_that_of_the_last_answer(app):
    user = factories.make_user()
    for name in ('one', 'other'):
        Progress.count_answer(name, user.id, 'x')
    Progress.objects(task_type='other').update(set__at=datetime.now(UTC) - timedelta(hours=1))
    assert figures.last_project(user.id) == 'one'


def test_site_without_answers_has_numbers_too(app):
    assert figures.totals() == (0, 0, 0)
