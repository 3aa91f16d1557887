"""Handing out tasks and taking answers."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from mongoengine import StringField
from vulyk_plain.models.task_types import PlainTaskType
from vulyk_plain.models.tasks import PlainAnswer, PlainTask

from tests.factories import answer, make_tasks, make_user
from vulyk import signals
from vulyk.ext.leaderboard import LeaderBoardManager
from vulyk.ext.worksession import WorkSessionManager
from vulyk.models.exc import (
    AnswerConflictError,
    InitializationError,
    MalformedResultError,
    TaskNotFoundError,
    TaskSaveError,
    TaskSkipError,
    TaskValidationError,
    WorkSessionLookUpError,
    WorkSessionUpdateError,
)
from vulyk.models.stats import WorkSession
from vulyk.models.task_types import AbstractTaskType
from vulyk.models.tasks import AbstractAnswer, AbstractTask, Batch
from vulyk.models.user import User

# --- what a plugin has to say -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('attributes', 'message'),
    [
        ({'task_model': None}, 'You should define task_model property'),
        ({'task_model': PlainAnswer}, 'You should define task_model property'),
        ({'task_model': 'PlainTask'}, 'You should define task_model property'),
        ({'answer_model': None}, 'You should define answer_model property'),
        ({'answer_model': PlainTask}, 'You should define answer_model property'),
        ({'type_name': ''}, 'You should define type_name (underscore)'),
        ({'template': ''}, 'You should define template'),
        ({'_work_session_manager': object()}, 'You should define _work_session_manager property'),
        ({'_leaderboard_manager': object()}, 'You should define _leaderboard_manager property'),
        ({'_task_type_meta': ['points']}, 'Batch meta must of dict type'),
        ({'_task_type_meta': None}, 'Batch meta must of dict type'),
    ],
)
def test_incomplete_task_type_says_what_is_missing(attributes, message):
    incomplete = type('Incomplete', (PlainTaskType,), attributes)
    with pytest.raises(InitializationError) as refusal:
        incomplete(settings={})
    assert str(refusal.value) == message


def test_smallest_plugin_gets_the_documented_defaults():
    class Smallest(AbstractTaskType):
        task_model, answer_model, type_name, template = PlainTask, PlainAnswer, 'smallest', 'index.html'

    smallest = Smallest({})
    assert (smallest.redundancy, smallest.helptext_template, smallest.JS_ASSETS, smallest.CSS_ASSETS) == (3, '', [], [])
    assert (smallest.name, smallest.description, smallest.task_type_meta, smallest.frontend) == ('', '', {}, 'legacy')


def test_name_and_description_may_be_given_with_an_underscore(variant):
    class Old(AbstractTaskType):
        task_model, answer_model, type_name, template = PlainTask, PlainAnswer, 'old', 'index.html'
        _name, _description = 'Old cards', 'Read them'

    assert (Old({}).name, Old({}).description) == ('Old cards', 'Read them')


def test_name_and_description_may_be_plain_class_attributes_or_set_later(variant):
    kind = variant(name='New cards', description='Read these')
    kind.description = 'Read those'
    assert (kind.name, kind.description) == ('New cards', 'Read those')


def test_plugin_may_bring_its_own_managers(variant):
    sessions, leaders = (
        WorkSessionManager(WorkSession),
        LeaderBoardManager(task_type_name='x', answer_model=PlainAnswer, user_model=User),
    )
    kind = variant(_work_session_manager=sessions, _leaderboard_manager=leaders)
    assert kind.work_session_manager is sessions
    assert kind.get_leaders() == []


# --- handing out ------------------------------------------------------------------------------------------------------


def test_next_task_is_given_as_id_state_and_data_and_opens_a_session(plain):
    user, (task,) = make_user(), make_tasks(plain, 1)
    assert plain.get_next(user) == {'id': task.id, 'closed': False, 'data': task.task_data}
    assert WorkSession.objects.get(user=user, task=task).end_time is None


def test_reload_gives_the_same_task_and_keeps_the_session(plain):
    user = make_user()
    make_tasks(plain, 5)
    first = plain.get_next(user)
    before = WorkSession.objects.get().to_mongo()
    assert plain.get_next(user) == first
    assert WorkSession.objects.get().to_mongo() == before


def test_get_task_is_another_name_of_get_next(plain):
    user, (task,) = make_user(), make_tasks(plain, 1)
    assert plain.get_task(user)['id'] == task.id


def test_nothing_is_given_when_nothing_is_left(plain):
    assert plain.get_next(make_user()) == {}
    assert WorkSession.objects.count() == 0


def test_answered_task_is_not_offered_again(plain):
    user, (one, other) = make_user(), make_tasks(plain, 2)
    answer(plain, one, user)
    assert plain.get_next(user)['id'] == other.id


def test_closed_task_is_not_offered(plain):
    (task,) = make_tasks(plain, 1)
    for _ in range(2):
        answer(plain, task, make_user())
    assert plain.get_next(make_user()) == {}


def test_overridden_choice_is_handed_out_with_a_session(variant, plain):
    tasks = make_tasks(plain, 3)
    kind = variant(_get_next_task=lambda self, user: self.task_model.objects.get(pk=tasks[2].id))
    user = make_user()
    assert kind.get_next(user)['id'] == tasks[2].id
    assert WorkSession.objects.get(user=user).task.id == tasks[2].id


def test_overridden_choice_may_find_nothing(variant):
    assert variant(_get_next_task=lambda self, user: None).get_next(make_user()) == {}


# --- skipping ---------------------------------------------------------------------------------------------------------


def test_skipped_task_comes_back_only_when_nothing_else_is_left(plain):
    user, (one, other) = make_user(), make_tasks(plain, 2)
    plain.skip_task(one.id, user)
    assert plain.get_next(user)['id'] == other.id
    answer(plain, other, user)
    assert plain.get_next(user)['id'] == one.id


def test_skipping_forgets_the_open_session(plain):
    user, (task,) = make_user(), make_tasks(plain, 1)
    plain.get_next(user)
    plain.skip_task(task.id, user)
    assert WorkSession.objects.count() == 0
    assert task.reload().users_skipped == [user]


def test_skipping_a_task_that_was_never_shown_works(plain):
    user, (task,) = make_user(), make_tasks(plain, 1)
    plain.skip_task(task.id, user)
    assert task.reload().users_skipped == [user]


def test_skipping_twice_is_recorded_once(plain):
    user, (task,) = make_user(), make_tasks(plain, 1)
    plain.skip_task(task.id, user)
    plain.skip_task(task.id, user)
    assert task.reload().users_skipped == [user]


def test_skipped_task_can_still_be_answered(plain):
    user, (task,) = make_user(), make_tasks(plain, 1)
    plain.skip_task(task.id, user)
    assert answer(plain, task, user).users_count == 1


def test_skip_after_done_is_refused_and_the_finished_session_stays(plain):
    user, (task,) = make_user(), make_tasks(plain, 1)
    answer(plain, task, user)
    with pytest.raises(TaskSkipError, match='answered'):
        plain.skip_task(task.id, user)
    assert WorkSession.objects.get().answer == AbstractAnswer.objects.get()
    assert task.reload().users_skipped == []


# --- answering --------------------------------------------------------------------------------------------------------


def test_answer_is_stored_with_all_its_links(plain):
    user, (task,) = make_user(), make_tasks(plain, 1)
    answer(plain, task, user, {'word': 'ſo'})
    stored = PlainAnswer.objects.get()
    assert (stored.task, stored.created_by, stored.task_type, stored.result) == (
        task,
        user,
        'plain_task',
        {'word': 'ſo'},
    )
    assert datetime.now(UTC) - stored.created_at < timedelta(minutes=1)


def test_answer_is_counted_in_task_user_and_session(plain):
    user, (task,) = make_user(), make_tasks(plain, 1)
    plain.get_next(user)
    answer(plain, task, user)
    assert (task.users_count, task.users_processed, task.closed) == (1, [user], False)
    assert user.reload().processed == 1
    session = WorkSession.objects.get()
    assert (session.answer, session.end_time is not None) == (PlainAnswer.objects.get(), True)


def test_task_closes_when_it_has_enough_answers(plain):
    (task,) = make_tasks(plain, 1)
    assert not answer(plain, task, make_user()).closed
    assert answer(plain, task, make_user()).closed


@pytest.mark.parametrize('redundancy', [1, 2, 4])
def test_redundancy_is_the_number_of_answers_that_close_a_task(variant, redundancy):
    kind = variant(redundancy=redundancy)
    (task,) = make_tasks(kind, 1)
    assert [answer(kind, task, make_user()).closed for _ in range(4)] == [n >= redundancy for n in (1, 2, 3, 4)]


def test_late_answer_is_stored_as_extra_and_not_counted(plain):
    (task,) = make_tasks(plain, 1)
    users = [make_user() for _ in range(4)]
    for user in users:
        answer(plain, task, user)
    assert (task.users_count, len(task.users_processed)) == (2, 4)
    assert [bool(item.extra) for item in PlainAnswer.objects.order_by('id')] == [False, False, True, True]
    assert Batch.objects.get().tasks_processed == 1
    assert users[3].reload().processed == 1


def test_equal_answer_given_again_changes_nothing(plain):
    user, (task,) = make_user(), make_tasks(plain, 1)
    answer(plain, task, user, {'a': 1, 'b': [1.5, None]})
    answer(plain, task, user, {'b': [1.5, None], 'a': 1})
    assert (PlainAnswer.objects.count(), task.users_count, user.reload().processed) == (1, 1, 1)


@pytest.mark.parametrize(
    ('first', 'second'),
    [
        ({'a': 1}, {'a': 2}),
        ({'a': 1}, {'a': '1'}),
        ({'a': 1}, {'a': True}),
        ({'a': 0}, {'a': False}),
        ({'a': []}, {'a': {}}),
        ({'a': None}, {}),
        ({'a': [1, 2]}, {'a': [2, 1]}),
    ],
)
def test_different_second_answer_is_refused_and_the_first_stays(plain, first, second):
    user, (task,) = make_user(), make_tasks(plain, 1)
    answer(plain, task, user, first)
    with pytest.raises(AnswerConflictError, match=task.id):
        answer(plain, task, user, second)
    assert PlainAnswer.objects.get().result == first
    assert task.reload().users_count == 1


def test_conflict_is_one_of_the_documented_save_errors():
    assert issubclass(AnswerConflictError, TaskSaveError)


def test_answer_without_a_session_opens_and_closes_one(plain):
    user, (task,) = make_user(), make_tasks(plain, 1)
    answer(plain, task, user)
    session = WorkSession.objects.get(user=user, task=task)
    assert session.end_time >= session.start_time


def test_task_without_a_batch_can_be_solved(plain):
    (task,) = make_tasks(plain, 1, batch=None)
    for _ in range(2):
        answer(plain, task, make_user())
    assert task.closed


def test_task_whose_batch_document_is_missing_can_be_solved(plain):
    plain.import_tasks([{'n': 1}], 'never written')
    for _ in range(2):
        plain.on_task_done(make_user(), PlainTask.objects.get().id, {})
    assert PlainTask.objects.no_dereference().get().closed


@pytest.mark.parametrize(
    'use',
    [
        lambda kind, user: kind.on_task_done(user, 'no such task', {}),
        lambda kind, user: kind.skip_task('no such task', user),
        lambda kind, user: kind.record_activity(user.id, 'no such task', 1),
    ],
)
def test_unknown_task_is_refused(plain, use):
    with pytest.raises(TaskNotFoundError, match='no such task'):
        use(plain, make_user())


def test_task_of_another_type_is_unknown(plain, variant):
    (task,) = make_tasks(plain, 1)
    with pytest.raises(TaskNotFoundError):
        variant(type_name='other_task').on_task_done(make_user(), task.id, {})


# --- hooks ------------------------------------------------------------------------------------------------------------


def test_task_type_may_close_a_task_early(variant):
    kind = variant(redundancy=5, _is_ready_for_autoclose=lambda self, task, answer: answer.result == {'sure': True})
    (task,) = make_tasks(kind, 1)
    assert not answer(kind, task, make_user(), {'sure': False}).closed
    assert answer(kind, task, make_user(), {'sure': True}).closed
    assert (task.users_count, Batch.objects.get().tasks_processed) == (2, 1)


def test_autoclose_is_asked_after_the_answer_is_stored(variant):
    seen = []
    kind = variant(
        _is_ready_for_autoclose=lambda self, task, answer: seen.append(PlainAnswer.objects(task=task).count())
    )
    answer(kind, make_tasks(kind, 1)[0], make_user())
    assert seen == [1]


def test_hooks_can_follow_the_references_of_the_task(variant):
    facts = []
    kind = variant(_is_ready_for_autoclose=lambda self, task, answer: facts.append(task.batch.batch_meta['weight']))
    answer(kind, make_tasks(kind, 1)[0], make_user())
    assert facts == [1.0]


def test_overridden_update_decides_whether_the_task_is_closed(variant):
    kind = variant(_update_task_on_answer=lambda self, task, answer, user: True)
    answer(kind, make_tasks(kind, 1)[0], make_user())
    assert Batch.objects.get().tasks_processed == 1


def test_task_type_may_refuse_a_result_and_nothing_is_stored(variant):
    def refuse(self, task, result):
        raise TaskValidationError('word: this field is missing.')

    kind = variant(validate_result=refuse)
    user, (task,) = make_user(), make_tasks(kind, 1)
    with pytest.raises(TaskValidationError, match='^word'):
        answer(kind, task, user)
    assert (PlainAnswer.objects.count(), WorkSession.objects.count(), user.reload().processed) == (0, 0, 0)


def test_answer_that_does_not_fit_the_plugins_document_is_a_validation_error(variant):
    class SignedAnswer(PlainAnswer):
        signature = StringField(required=True)

    kind = variant(answer_model=SignedAnswer)
    (task,) = make_tasks(kind, 1)
    with pytest.raises(TaskValidationError, match='signature'):
        answer(kind, task, make_user())
    assert task.reload().users_count == 0


# --- signals ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def heard():
    """What both signals have said: ``(name, sender, keywords)``."""
    messages = []

    def task_done(sender, **kwargs):
        messages.append(('task', sender, kwargs))

    def batch_done(sender, **kwargs):
        messages.append(('batch', sender, kwargs))

    with signals.on_task_done.connected_to(task_done), signals.on_batch_done.connected_to(batch_done):
        yield messages


def test_answer_is_announced_with_the_session_manager_as_sender(plain, heard):
    answer(plain, make_tasks(plain, 1)[0], make_user())
    ((name, sender, keywords),) = heard
    assert (name, sender, keywords) == ('task', plain.work_session_manager, {'answer': PlainAnswer.objects.get()})


def test_closed_batch_is_announced_after_its_last_answer(plain, heard):
    (task,) = make_tasks(plain, 1, batch='b1')
    for _ in range(2):
        answer(plain, task, make_user())
    assert [name for name, _, _ in heard] == ['task', 'task', 'batch']
    assert (heard[2][1].id, heard[2][1].closed, heard[2][1].tasks_processed) == ('b1', True, 1)


def test_late_and_repeated_answers_do_not_announce_the_batch_again(plain, heard):
    user, (task,) = make_user(), make_tasks(plain, 1)
    for person in (user, make_user(), user, make_user()):
        answer(plain, task, person)
    assert [name for name, _, _ in heard] == ['task', 'task', 'batch', 'task']


def test_receivers_can_follow_all_references_of_the_answer(plain):
    facts = []

    def receiver(sender, answer):
        facts.append((answer.created_by.username, answer.task.batch.batch_meta['weight'], answer.task.task_data))

    user, (task,) = make_user(), make_tasks(plain, 1)
    with signals.on_task_done.connected_to(receiver):
        answer(plain, task, user)
    assert facts == [(user.username, 1.0, task.task_data)]


def test_answer_can_be_read_by_others_when_it_is_announced(plain):
    seen = []

    def receiver(sender, answer):
        reader = threading.Thread(target=lambda: seen.append(PlainAnswer.objects(pk=answer.id).count()))
        reader.start()
        reader.join()

    with signals.on_task_done.connected_to(receiver):
        answer(plain, make_tasks(plain, 1)[0], make_user())
    assert seen == [1]


def test_failing_receiver_neither_fails_the_answer_nor_silences_the_others(plain, heard, caplog):
    def fail(sender, **kwargs):
        raise RuntimeError('no badge today')

    with signals.on_task_done.connected_to(fail):
        answer(plain, make_tasks(plain, 1)[0], make_user())
    assert [name for name, _, _ in heard] == ['task']
    assert 'no badge today' in caplog.text


# --- activity ---------------------------------------------------------------------------------------------------------


def test_activity_is_added_to_the_open_session(plain):
    user, (task,) = make_user(), make_tasks(plain, 1)
    plain.get_next(user)
    WorkSession.objects.update(set__start_time=datetime.now(UTC) - timedelta(minutes=1))
    plain.record_activity(user.id, task.id, 20)
    plain.record_activity(str(user.id), task.id, 5)
    assert WorkSession.objects.get().activity == 25


@pytest.mark.parametrize('seconds', [-1, 3600])
def test_impossible_activity_is_refused(plain, seconds):
    user, (task,) = make_user(), make_tasks(plain, 1)
    plain.get_next(user)
    with pytest.raises(WorkSessionUpdateError, match='seconds'):
        plain.record_activity(user.id, task.id, seconds)
    assert WorkSession.objects.get().activity == 0


def test_activity_without_a_session_is_refused(plain):
    with pytest.raises(WorkSessionLookUpError):
        plain.record_activity(make_user().id, make_tasks(plain, 1)[0].id, 1)


# --- people -----------------------------------------------------------------------------------------------------------


def test_leaders_are_counted_per_task_type(plain, variant):
    user, other = make_user(), variant(type_name='other_task')
    for task in make_tasks(plain, 2):
        answer(plain, task, user)
    answer(other, make_tasks(other, 1, batch='o')[0], make_user())
    assert plain.get_leaders() == [(user.id, 2)]
    assert plain.get_leaderboard() == [{'rank': 1, 'user': user, 'freq': 2}]


def test_card_of_a_task_type_counts_its_tasks(plain, variant):
    make_tasks(variant(type_name='other_task'), 4, batch='o')
    closed, _, _ = make_tasks(plain, 3)
    for _ in range(2):
        answer(plain, closed, make_user())
    assert plain.to_dict() == {
        'name': 'Plain tasks',
        'description': 'Tasks made of a number',
        'type': 'plain_task',
        'tasks': 3,
        'open_tasks': 2,
        'closed_tasks': 1,
        'has_tasks': True,
    }


def test_batch_closes_with_its_last_task(plain):
    for task in make_tasks(plain, 2, batch='b1'):
        for _ in range(2):
            answer(plain, task, make_user())
    assert Batch.objects.get(pk='b1').closed
    assert AbstractAnswer.objects.count() == 4


def test_malformed_result_is_refused_before_the_task_is_looked_for(plain):
    with pytest.raises(MalformedResultError):
        plain.on_task_done(make_user(), 'no such task', ['a list'])
    assert AbstractTask.objects.count() == 0
