"""Which task a volunteer gets next, and whose place it is."""

import pytest
from vulyk_plain.models.tasks import PlainTask

from tests.factories import answer, make_tasks, make_user
from vulyk.ext import assignment
from vulyk.ext.assignment import Strategy, open_batches, strategy_named, task_order
from vulyk.models.exc import InitializationError
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import Batch


def in_hand(kind, user) -> str | None:
    """The id of the task a user gets."""
    return kind.get_next(user).get('id')


def drain(kind, user) -> list[str]:
    """The ids of all tasks a user gets when he answers each."""
    done = []
    while task_id := in_hand(kind, user):
        kind.on_task_done(user, task_id, {})
        done.append(task_id)
    return done


# --- everything is offered once ---------------------------------------------------------------------------------------


def test_every_task_is_offered_to_every_user_once(variant):
    kind = variant(redundancy=2)
    tasks = {task.id for task in make_tasks(kind, 7)}
    for done in (drain(kind, make_user()), drain(kind, make_user())):
        assert set(done) == tasks
        assert len(done) == 7


def test_tasks_of_batches_come_by_priority_and_then_by_age(variant):
    kind = variant()
    for batch in ('10', '2', '1'):
        make_tasks(kind, 1, batch=batch)
    Batch.objects(pk='1').update_one(set__priority=5)
    assert open_batches('plain_task') == ['1', '10', '2']
    assert [PlainTask.objects.get(pk=task_id).batch.id for task_id in drain(kind, make_user())] == ['1', '10', '2']


def test_tasks_without_a_batch_come_last(variant):
    kind = variant()
    loose, batched = make_tasks(kind, 1, batch=None), make_tasks(kind, 1, batch='b')
    assert drain(kind, make_user()) == [batched[0].id, loose[0].id]


def test_task_that_a_script_saved_by_itself_is_offered(variant):
    PlainTask(id='by hand', task_type='plain_task', task_data={'n': 1}).save()
    assert drain(variant(), make_user()) == ['by hand']


def test_tasks_of_a_paused_batch_are_not_offered_until_it_goes_on(variant):
    kind, user = variant(), make_user()
    (task,) = make_tasks(kind, 1, batch='b')
    Batch.objects(pk='b').update_one(set__paused=True)
    assert in_hand(kind, user) is None
    Batch.objects(pk='b').update_one(set__paused=False)
    assert in_hand(kind, user) == task.id


def test_task_in_hand_may_be_finished_when_its_batch_is_paused(variant):
    kind, user = variant(), make_user()
    (task,) = make_tasks(kind, 1, batch='b')
    kind.get_next(user)
    Batch.objects(pk='b').update_one(set__paused=True)
    assert answer(kind, task, user).users_count == 1


def test_tasks_loaded_later_are_offered_to_somebody_who_was_done(variant):
    kind, user = variant(), make_user()
    make_tasks(kind, 2)
    drain(kind, user)
    (task,) = make_tasks(kind, 1)
    assert in_hand(kind, user) == task.id


def test_unskipped_tasks_of_all_batches_come_before_skipped_ones(variant):
    kind, user = variant(), make_user()
    (skipped,), (other,) = make_tasks(kind, 1, batch='a'), make_tasks(kind, 1, batch='b')
    kind.skip_task(skipped.id, user)
    assert drain(kind, user) == [other.id, skipped.id]


def test_skipped_tasks_come_back_in_turn(variant):
    kind, user = variant(), make_user()
    tasks = {task.id for task in make_tasks(kind, 3)}
    seen = []
    for _ in range(6):
        seen.append(in_hand(kind, user))
        kind.skip_task(seen[-1], user)
    assert set(seen[:3]) == set(seen[3:]) == tasks


# --- places -----------------------------------------------------------------------------------------------------------


def test_no_more_people_get_a_task_than_it_needs(variant):
    kind = variant(redundancy=2)
    make_tasks(kind, 1)
    assert [in_hand(kind, make_user()) is not None for _ in range(4)] == [True, True, False, False]


def test_place_is_free_again_when_its_holder_skips(variant):
    kind, holder, waiting = variant(redundancy=1), make_user(), make_user()
    (task,) = make_tasks(kind, 1)
    kind.get_next(holder)
    assert in_hand(kind, waiting) is None
    kind.skip_task(task.id, holder)
    assert in_hand(kind, waiting) == task.id


def test_somebody_who_gets_nothing_learns_whether_a_place_may_become_free(variant):
    kind, holder, waiting = variant(redundancy=1), make_user(), make_user()
    (task,) = make_tasks(kind, 1)
    assert kind.get_next(holder)
    assert (in_hand(kind, waiting), kind.may_come_back(waiting)) == (None, True)
    answer(kind, task, holder)
    assert (in_hand(kind, waiting), kind.may_come_back(waiting)) == (None, False)


def test_place_is_free_again_when_the_lease_has_ended(variant, clock):
    kind, holder, waiting = variant(redundancy=1), make_user(), make_user()
    (task,) = make_tasks(kind, 1)
    kind.get_next(holder)
    clock.later(minutes=31)
    assert in_hand(kind, waiting) == task.id


@pytest.mark.parametrize('redundancy', [1, 2, 3])
def test_somebody_who_walked_away_is_offered_the_same_task_again(variant, clock, redundancy):
    kind, user = variant(redundancy=redundancy), make_user()
    (task,) = make_tasks(kind, 1)
    kind.get_next(user)
    clock.later(minutes=31)
    assert in_hand(kind, user) == task.id


def test_task_left_behind_is_offered_before_the_site_says_there_is_nothing(variant, clock):
    kind, user = variant(redundancy=2), make_user()
    tasks = {task.id for task in make_tasks(kind, 3)}
    kind.get_next(user)
    clock.later(minutes=31)
    assert set(drain(kind, user)) == tasks


def test_task_left_behind_is_offered_again_after_somebody_else_answered_it(variant, clock):
    kind, user = variant(redundancy=2), make_user()
    tasks = {task.id for task in make_tasks(kind, 2)}
    left = in_hand(kind, user)
    clock.later(minutes=31)
    kind.on_task_done(make_user(), left, {})
    assert set(drain(kind, user)) == tasks


def test_withdrawn_task_is_offered_again(variant, clock):
    kind, user = variant(redundancy=2), make_user()
    (task,) = make_tasks(kind, 1)
    drain(kind, user)
    kind.withdraw_answer(user, task.id)
    assert in_hand(kind, user) == task.id


def test_late_answer_counts_while_the_task_is_open_and_takes_the_place_that_ends_last(variant, clock):
    kind, first, second, stranger = variant(redundancy=2), make_user(), make_user(), make_user()
    (task,) = make_tasks(kind, 1)
    kind.get_next(first)
    clock.later(minutes=1)
    kind.get_next(second)
    answer(kind, task, stranger)
    answer(kind, task, first)
    assert answer(kind, task, second).users_count == 2
    assert [bool(item.extra) for item in kind.answer_model.objects.order_by('id')] == [False, False, True]


def test_task_closed_early_is_offered_to_nobody_who_holds_a_place_in_it(variant):
    kind = variant(redundancy=3, _is_ready_for_autoclose=lambda self, task, answer: True)
    first, second = make_user(), make_user()
    (task,) = make_tasks(kind, 1)
    assert in_hand(kind, first) == in_hand(kind, second) == task.id
    answer(kind, task, first)
    assert in_hand(kind, second) is None
    assert not kind.may_come_back(make_user())


def test_activity_keeps_the_place(variant, clock):
    kind, holder, waiting = variant(redundancy=1), make_user(), make_user()
    (task,) = make_tasks(kind, 1)
    kind.get_next(holder)
    kind.work_session_manager.clock = clock
    WorkSession.objects.update(set__start_time=clock())
    clock.later(minutes=20)
    kind.record_activity(holder.id, task.id, 60)
    clock.later(minutes=20)
    assert in_hand(kind, waiting) is None


def test_two_tabs_show_the_same_task(variant):
    kind, user = variant(), make_user()
    make_tasks(kind, 5)
    assert len({in_hand(kind, user) for _ in range(3)}) == 1


# --- strategies -------------------------------------------------------------------------------------------------------


def test_sequential_hands_tasks_out_in_the_order_of_the_file(variant):
    kind = variant(assignment='sequential')
    kind.import_tasks([{'n': number} for number in range(5)], None)
    assert [PlainTask.objects.get(pk=task_id).task_data['n'] for task_id in drain(kind, make_user())] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(('assignment', 'answers'), [('breadth_first', [1, 1, 1]), ('depth_first', [0, 0, 3])])
def test_answers_are_spread_or_gathered(variant, assignment, answers):
    kind = variant(assignment=assignment, redundancy=4)
    make_tasks(kind, 3)
    for _ in range(3):
        user = make_user()
        kind.on_task_done(user, in_hand(kind, user), {})
    assert sorted(PlainTask.objects.scalar('users_count')) == answers


own_strategy = Strategy(order=lambda number: 100 - number)


def test_strategy_may_be_the_dotted_name_of_ones_own(variant):
    kind = variant(assignment=f'{__name__}.own_strategy')
    kind.import_tasks([{'n': number} for number in range(3)], None)
    assert [PlainTask.objects.get(pk=task_id).task_data['n'] for task_id in drain(kind, make_user())] == [2, 1, 0]


@pytest.mark.parametrize('name', ['no_such', 'no.such.strategy', f'{__name__}.drain', ''])
def test_unknown_strategy_is_refused_with_those_there_are(name):
    with pytest.raises(InitializationError, match='assignment: there is no strategy .*random, sequential'):
        strategy_named(name)


def test_order_puts_priority_before_everything(app):
    sequential = assignment.STRATEGIES['sequential']
    numbers = [task_order(sequential, 0, priority=priority) for priority in (2000, 1000, 1, 0, -1, -1000)]
    assert numbers == sorted(numbers)
    assert numbers[0] == numbers[1]
    assert all(0 <= number < 2**63 for number in numbers)


# --- ahead ------------------------------------------------------------------------------------------------------------


def test_tasks_fetched_ahead_come_next_and_nobody_else_gets_them(variant):
    kind, user, other = variant(redundancy=1), make_user(), make_user()
    make_tasks(kind, 60)
    first = in_hand(kind, user)
    ahead = [task['id'] for task, _ in kind.get_ahead(user, 2)]
    assert len({first, *ahead, in_hand(kind, other)}) == 4
    kind.on_task_done(user, first, {})
    assert in_hand(kind, user) == ahead[0]


def test_nothing_is_fetched_ahead_when_few_are_left(variant):
    kind, user = variant(), make_user()
    make_tasks(kind, 5)
    kind.get_next(user)
    assert kind.get_ahead(user, 2) == []


def test_tasks_given_back_are_offered_to_others_and_to_the_same_user_again(variant):
    kind, user = variant(redundancy=2), make_user()
    tasks = {task.id for task in make_tasks(kind, 60)}
    kind.get_next(user)
    kind.get_ahead(user, 2)
    assert kind.return_ahead(user) == 2
    assert set(drain(kind, user)) == tasks
