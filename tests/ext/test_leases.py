"""Places in tasks: who has one, for how long, and what becomes of it when two tabs or two people are fast."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.factories import answer, make_tasks, make_user
from vulyk.ext import assignment, consistency, counting, leases
from vulyk.ext.assignment import Assigner
from vulyk.models.exc import WorkSessionLookUpError
from vulyk.models.progress import Progress
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import AbstractTask
from vulyk.models.user import User


def stored(task: Any) -> dict[str, Any]:
    """The task as it is in the database."""
    return AbstractTask._get_collection().find_one({'_id': task.id})


def holders(task: Any) -> list[Any]:
    """Ids of the people who have a place in a task."""
    return [lease['user'] for lease in stored(task)['leases']]


def hold(kind: Any, task: Any, *users: User) -> None:
    """Give users a place in a certain task."""
    for user in users:
        places = leases.claim(user.id, kind.clock() + kind.lease, kind.redundancy, kind.clock())
        AbstractTask._get_collection().update_one({'_id': task.id}, places)
        Progress.count_answer(kind.type_name, user.id, '', 0)
        Progress._get_collection().update_one(
            {'_id': Progress.key(kind.type_name, user.id)}, {'$set': {'lease': task.id}}
        )


def at_once(*actions: Callable[[], Any]) -> list[Any]:
    """Run all in threads that start together; what they return."""
    start = threading.Barrier(len(actions))

    def run(action: Callable[[], Any]) -> Any:
        start.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


@pytest.fixture
def in_between(monkeypatch):
    """Does something once, just before a method of the assigner: ``in_between('_release', action)``."""

    def set_up(method: str, action: Callable[[], Any]) -> None:
        original, waiting = getattr(Assigner, method), [action]

        def intercepted(self: Assigner, *args: Any, **kwargs: Any) -> Any:
            if waiting:
                waiting.pop()()
            return original(self, *args, **kwargs)

        monkeypatch.setattr(Assigner, method, intercepted)

    return set_up


# --- how long ---------------------------------------------------------------------------------------------------------


def test_reload_shows_the_task_until_the_lease_ends_and_does_not_prolong_it(variant, clock):
    kind, user = variant(redundancy=1), make_user()
    make_tasks(kind, 3)
    first = kind.get_next(user)['id']
    for minutes in (0, 15, 14):
        clock.later(minutes=minutes)
        assert kind.get_next(user)['id'] == first
    clock.later(minutes=1)
    assert kind.get_next(user)['id'] != first


def test_place_of_somebody_who_works_is_kept_and_the_time_goes_into_the_session(variant, clock):
    kind, user = variant(redundancy=1), make_user()
    kind.work_session_manager.clock = clock
    (task,) = make_tasks(kind, 1)
    kind.get_next(user)
    for _ in range(3):
        clock.later(minutes=29)
        kind.record_activity(user.id, task.id, 60)
    clock.later(minutes=29)
    assert kind.get_next(make_user()) == {}
    assert WorkSession.objects.get().activity == 180
    clock.later(minutes=2)
    assert kind.get_next(make_user())['id'] == task.id


def test_place_that_has_expired_is_not_renewed_by_activity(variant, clock):
    kind, user, other = variant(redundancy=1), make_user(), make_user()
    kind.work_session_manager.clock = clock
    (task,) = make_tasks(kind, 1)
    kind.get_next(user)
    clock.later(minutes=31)
    assert kind.get_next(other)['id'] == task.id
    kind.record_activity(user.id, task.id, 60)
    assert holders(task) == [other.id]


def test_activity_of_somebody_without_a_session_gives_no_place(variant):
    kind, user = variant(), make_user()
    (task,) = make_tasks(kind, 1)
    with pytest.raises(WorkSessionLookUpError):
        kind.record_activity(user.id, task.id, 1)
    assert holders(task) == []


def test_expired_place_is_given_away_only_as_often_as_it_was_taken(variant, clock):
    kind = variant(redundancy=2)
    (task,) = make_tasks(kind, 1)
    assert [bool(kind.get_next(make_user())) for _ in range(3)] == [True, True, False]
    clock.later(minutes=31)
    assert [bool(kind.get_next(make_user())) for _ in range(3)] == [True, True, False]
    assert len(holders(task)) == 2


# --- late answers -----------------------------------------------------------------------------------------------------


def test_late_answer_takes_exactly_one_place_even_if_several_end_together(variant):
    kind = variant(redundancy=3)
    (task,) = make_tasks(kind, 1)
    users = [make_user() for _ in range(3)]
    for user in users:
        kind.get_next(user)
    answer(kind, task, make_user())
    assert len(holders(task)) == 2
    assert stored(task)['lane'] is None


def test_late_answer_while_there_is_room_takes_nobodys_place(variant):
    kind, user = variant(redundancy=3), make_user()
    (task,) = make_tasks(kind, 1)
    kind.get_next(user)
    answer(kind, task, make_user())
    assert holders(task) == [user.id]


def test_answer_to_a_task_that_was_closed_meanwhile_is_stored_as_extra(variant, clock):
    kind, late = variant(redundancy=1), make_user()
    (task,) = make_tasks(kind, 1)
    kind.get_next(late)
    clock.later(minutes=31)
    in_time = make_user()
    kind.get_next(in_time)
    answer(kind, task, in_time)
    answer(kind, task, late, {'late': True})
    assert [(item.created_by.id, bool(item.extra)) for item in kind.answer_model.objects.order_by('id')] == [
        (in_time.id, False),
        (late.id, True),
    ]
    assert (task.reload().users_count, late.reload().processed) == (1, 1)
    assert kind.stats_of(late.id)['total'] == 1
    assert [person.id for person in task.users_processed] == [in_time.id, late.id]


def test_extra_answer_does_not_reopen_a_task_that_was_closed_early(variant):
    settled = []
    kind = variant(
        redundancy=5, _is_ready_for_autoclose=lambda self, task, answer: not settled and not settled.append(1)
    )
    (task,) = make_tasks(kind, 1)
    for _ in range(3):
        answer(kind, task, make_user())
    assert (task.closed, task.closed_early, task.users_count) == (True, True, 1)
    assert list(consistency.check()) == []


# --- two tabs ---------------------------------------------------------------------------------------------------------


def test_six_tabs_at_once_share_one_task_and_take_one_place(variant):
    kind, user = variant(redundancy=1), make_user()
    tasks = make_tasks(kind, 20)
    for _ in range(5):
        (task_id,) = {task['id'] for task in at_once(*[lambda: kind.get_next(user)] * 6)}
        assert [task.id for task in tasks if user.id in holders(task)] == [task_id]
        kind.on_task_done(user, task_id, {})


def test_tab_that_is_slower_gives_its_place_back(variant, in_between):
    kind, user = variant(redundancy=1), make_user()
    tasks = make_tasks(kind, 5)
    in_between('_remember', lambda: kind.get_next(user))
    shown = kind.get_next(user)['id']
    assert [task.id for task in tasks if user.id in holders(task)] == [shown]


def test_two_tabs_of_a_plugin_that_chooses_itself_keep_the_place(variant, in_between):
    chosen = []
    kind = variant(redundancy=1, _get_next_task=lambda self, user: self.task_model.objects.get(pk=chosen[0]))
    (task,) = make_tasks(kind, 1)
    chosen.append(task.id)
    user = make_user()
    in_between('_remember', lambda: kind.get_next(user))
    assert kind.get_next(user)['id'] == task.id
    assert holders(task) == [user.id]


def test_task_fetched_ahead_that_another_tab_shows_is_not_given_back(variant, in_between):
    kind, user = variant(redundancy=1), make_user()
    make_tasks(kind, 60)
    first = kind.get_next(user)['id']
    assert len(kind.get_ahead(user, 2)) == 2
    kind.on_task_done(user, first, {})
    shown = []
    in_between('_release', lambda: shown.append(kind.get_next(user)['id']))
    kind.return_ahead(user)
    assert user.id in holders(kind.task_model.objects.get(pk=shown[0]))
    assert AbstractTask.objects(__raw__={'leases.user': user.id}).count() == 1


def test_tab_that_shows_a_task_fetched_ahead_while_it_is_given_back_gets_another(variant, in_between):
    kind, user = variant(redundancy=1), make_user()
    make_tasks(kind, 60)
    first = kind.get_next(user)['id']
    kind.get_ahead(user, 1)
    kind.on_task_done(user, first, {})
    in_between('_remember', lambda: kind.return_ahead(user))
    shown = kind.get_next(user)['id']
    assert [task.id for task in AbstractTask.objects(__raw__={'leases.user': user.id})] == [shown]


def test_places_fetched_ahead_while_another_tab_goes_on_are_noted_or_given_back(variant, in_between):
    kind, user = variant(redundancy=1), make_user()
    make_tasks(kind, 70)
    first = kind.get_next(user)['id']

    def go_on() -> None:
        kind.on_task_done(user, first, {})
        kind.get_next(user)

    in_between('_remember', go_on)
    ahead = [task['id'] for task, _ in kind.get_ahead(user, 2)]
    progress = Progress.raw('plain_task', user.id)
    noted = [progress['lease'], *progress['ahead']]
    assert ahead == progress['ahead']
    assert sorted(task.id for task in AbstractTask.objects(__raw__={'leases.user': user.id})) == sorted(noted)


def test_two_tabs_that_fetch_ahead_at_once_leave_no_place_behind(variant):
    kind, user = variant(redundancy=1), make_user()
    make_tasks(kind, 80)
    kind.get_next(user)
    at_once(*[lambda: kind.get_ahead(user, 3)] * 4)
    progress = Progress.raw('plain_task', user.id)
    noted = [progress['lease'], *progress['ahead']]
    assert len(noted) == 4
    assert sorted(task.id for task in AbstractTask.objects(__raw__={'leases.user': user.id})) == sorted(noted)


# --- ahead ------------------------------------------------------------------------------------------------------------


def test_session_of_a_task_fetched_ahead_opens_when_it_is_shown(variant, clock):
    kind, user = variant(redundancy=1), make_user()
    kind.work_session_manager.clock = clock
    make_tasks(kind, 60)
    first = kind.get_next(user)['id']
    ((ahead, _),) = kind.get_ahead(user, 1)
    assert WorkSession.objects.count() == 1
    clock.later(minutes=5)
    kind.on_task_done(user, first, {})
    assert kind.get_next(user)['id'] == ahead['id']
    assert WorkSession.objects.get(task=ahead['id']).start_time == clock()


def test_fetching_ahead_again_fetches_the_same(variant):
    kind, user = variant(), make_user()
    make_tasks(kind, 60)
    kind.get_next(user)
    first = [task['id'] for task, _ in kind.get_ahead(user, 2)]
    assert [task['id'] for task, _ in kind.get_ahead(user, 3)][:2] == first
    assert [task['id'] for task, _ in kind.get_ahead(user, 1)] == first[:1]


def test_task_fetched_ahead_may_be_answered_or_skipped_without_having_been_in_hand(variant):
    kind, user = variant(redundancy=1), make_user()
    make_tasks(kind, 60)
    kind.get_next(user)
    one, other = (task['id'] for task, _ in kind.get_ahead(user, 2))
    kind.on_task_done(user, one, {})
    kind.skip_task(other, user)
    assert Progress.raw('plain_task', user.id)['ahead'] == []
    assert list(consistency.check()) == []


def test_task_fetched_ahead_too_long_ago_is_not_shown(variant, clock):
    kind, user, other = variant(redundancy=1), make_user(), make_user()
    kind.work_session_manager.clock = clock
    tasks = make_tasks(kind, 60)
    first = kind.get_next(user)['id']
    ((ahead, _),) = kind.get_ahead(user, 1)
    clock.later(minutes=20)
    kind.record_activity(user.id, first, 60)
    clock.later(minutes=20)
    assignment.reap(clock())
    assignment.last_return.forget()
    assert kind.get_next(other)['id'] == ahead['id']
    kind.on_task_done(user, first, {})
    assert kind.get_next(user)['id'] not in (first, ahead['id'], None)
    assert len(tasks) == 60


def test_nothing_is_fetched_ahead_for_a_plugin_that_chooses_itself(variant):
    kind, user = variant(_get_next_task=lambda self, user: self.task_model.objects.first()), make_user()
    make_tasks(kind, 60)
    assert kind.get_ahead(user, 5) == []


@pytest.mark.parametrize('number', [0, -1])
def test_nothing_is_fetched_ahead_unless_asked_for(variant, number):
    kind = variant()
    make_tasks(kind, 60)
    assert kind.get_ahead(make_user(), number) == []


def test_giving_back_nothing_is_no_error(variant):
    assert variant().return_ahead(make_user()) == 0


# --- plugins that choose themselves -----------------------------------------------------------------------------------


def test_place_in_the_task_a_plugin_chose_is_kept_and_wins_over_its_next_choice(variant):
    choices = []
    kind = variant(redundancy=1, _get_next_task=lambda self, user: self.task_model.objects.get(pk=choices.pop()))
    one, other = make_tasks(kind, 2)
    choices += [other.id, one.id]
    user = make_user()
    assert [kind.get_next(user)['id'] for _ in range(2)] == [one.id, one.id]
    kind.on_task_done(user, one.id, {})
    assert kind.get_next(user)['id'] == other.id


def test_task_a_plugin_chose_is_handed_out_without_a_place_if_none_is_free(variant):
    kind = variant(redundancy=1, _get_next_task=lambda self, user: self.task_model.objects.first())
    (task,) = make_tasks(kind, 1)
    first, second = make_user(), make_user()
    assert kind.get_next(first)['id'] == kind.get_next(second)['id'] == task.id
    assert holders(task) == [first.id]
    assert WorkSession.objects.count() == 2


def test_plugin_may_ask_the_platform_and_change_its_mind(variant):
    def choose(self, user):
        task = super(type(self), self)._get_next_task(user)
        return task if task and task.task_data['n'] % 2 else None

    kind, user = variant(redundancy=1, _get_next_task=choose), make_user()
    for task in make_tasks(kind, 2):
        given = kind.get_next(user)
        if given:
            kind.on_task_done(user, given['id'], {})
        else:
            assert holders(task) in ([], [user.id])
    assert list(consistency.check()) == []


# --- when fewer places are needed -------------------------------------------------------------------------------------


def test_lowering_redundancy_takes_the_places_that_end_last(variant, clock):
    kind = variant(redundancy=4)
    (task,) = make_tasks(kind, 1)
    users = [make_user() for _ in range(3)]
    for user in users:
        kind.get_next(user)
        clock.later(minutes=1)
    answer(kind, task, users[0])
    counting.set_redundancy('default', 2, clock())
    assert holders(task) == [users[1].id]
    assert list(consistency.check()) == []
    answer(kind, task, users[2])
    answer(kind, task, users[1])
    assert [bool(item.extra) for item in kind.answer_model.objects.order_by('id')] == [False, False, True]
