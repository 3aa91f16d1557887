"""What the site does about people who answer too fast, or should not answer at all."""

from datetime import UTC, datetime, timedelta

import pytest
from bson import ObjectId

from tests.factories import answer, make_tasks, make_user
from vulyk.ext import consistency
from vulyk.models.audit import AuditRecord
from vulyk.models.pace import AnswerLimits
from vulyk.models.tasks import AbstractAnswer, WithdrawnAnswer
from vulyk.models.user import Group, User
from vulyk.terminal import Bar


@pytest.fixture
def limited(plain, monkeypatch):
    """``limited(per_minute=2)`` sets limits, on a clock that stands still."""

    def limit(**limits) -> None:
        now = datetime.now(UTC)
        monkeypatch.setattr(plain, 'limits', AnswerLimits(**limits))
        monkeypatch.setattr(plain, 'clock', lambda: now)

    return limit


def answer_all(browser, tasks) -> list[int]:
    return [browser.post(f'/type/plain_task/done/{task.id}', json={'result': {'x': 1}}).status_code for task in tasks]


def test_answers_in_a_minute_are_limited(member, user, plain, limited):
    tasks = make_tasks(plain, 4)
    limited(per_minute=2)
    assert answer_all(member, tasks) == [200, 200, 429, 429]
    refused = member.post(f'/type/plain_task/done/{tasks[3].id}', json={'result': {'x': 1}})
    assert 0 < int(refused.headers['Retry-After']) <= 60
    assert 'This was tried too often. Please wait' in refused.json['errors'][0]
    assert (AbstractAnswer.objects.count(), user.reload().processed, tasks[2].reload().users_count) == (2, 2, 0)
    limited()
    assert answer_all(member, tasks) == [200] * 4


def test_next_minute_begins_anew_and_others_have_their_own(member, login, plain, limited, monkeypatch):
    tasks = make_tasks(plain, 3)
    limited(per_minute=1)
    assert answer_all(member, tasks[:2]) == [200, 429]
    assert answer_all(login(make_user()), tasks[:1]) == [200]
    later = plain.clock() + timedelta(minutes=1)
    monkeypatch.setattr(plain, 'clock', lambda: later)
    assert answer_all(member, tasks[1:]) == [200, 429]


def test_new_accounts_may_give_a_few_answers_only(app, login, plain, limited):
    tasks = make_tasks(plain, 3)
    limited(of_new_accounts=2, new_for=timedelta(hours=24))
    new = login(make_user())
    assert answer_all(new, tasks) == [200, 200, 429]
    refused = new.post(f'/type/plain_task/done/{tasks[2].id}', json={'result': {'x': 1}})
    assert 'A new account may give a few answers only.' in refused.json['errors'][0]
    born = ObjectId.from_datetime(datetime.now(UTC) - timedelta(hours=25))
    old = make_user(id=born, groups=[Group(id='default')])
    assert answer_all(login(old), tasks) == [200, 200, 200]


def test_too_quick_answer_is_marked_and_counts(member, plain, monkeypatch):
    monkeypatch.setattr(plain, 'min_seconds', 5)
    quick, slow = make_tasks(plain, 2)
    for task, seconds in ((quick, 4), (slow, 6)):
        monkeypatch.setattr(plain.work_session_manager, 'clock', lambda: datetime.now(UTC))
        plain.work_session_manager.start_work_session(task, id_of(member))
        moment = datetime.now(UTC) + timedelta(seconds=seconds)
        monkeypatch.setattr(plain.work_session_manager, 'clock', lambda moment=moment: moment)
        assert answer_all(member, [task]) == [200]
    assert [AbstractAnswer.objects.get(task=task).too_fast for task in (quick, slow)] == [True, None]
    assert [task.reload().users_count for task in (quick, slow)] == [1, 1]


def id_of(browser) -> ObjectId:
    return ObjectId(browser.get('/session').json['result']['user'])


def test_answer_without_a_work_session_is_as_quick_as_it_says(member, plain, monkeypatch):
    monkeypatch.setattr(plain, 'min_seconds', 5)
    one, other = make_tasks(plain, 2)
    member.post(f'/type/plain_task/done/{one.id}', data={'result': '{}'})
    member.post(f'/type/plain_task/done/{other.id}', data={'result': '{}', 'activity': '9'})
    assert [AbstractAnswer.objects.get(task=task).too_fast for task in (one, other)] == [True, None]


def test_whoever_was_switched_off_a_moment_ago_stores_nothing(app, plain, user):
    task = make_tasks(plain, 1)[0]
    user.update(set__active=False)
    with pytest.raises(Exception, match='switched off'):
        plain.on_task_done(user, task.id, {'x': 1})
    assert (AbstractAnswer.objects.count(), task.reload().users_count) == (0, 0)
    assert list(consistency.check()) == []


# --- suspension -------------------------------------------------------------------------------------------------------


@pytest.fixture
def spammer(plain):
    """Somebody who has answered three tasks, one of them the second of two who did."""
    user = make_user(username='spammer', email='spam@example.org')
    tasks = make_tasks(plain, 3)
    answer(plain, tasks[0], make_user())
    for task in tasks:
        answer(plain, task, user)
    assert tasks[0].reload().closed
    return user


def gone(user) -> None:
    """Nothing of this user counts any more, and everything else does."""
    assert (user.reload().active, user.processed) == (False, 0)
    assert (AbstractAnswer.objects.count(), WithdrawnAnswer.objects.count()) == (1, 3)
    assert list(consistency.check()) == []


def test_command_suspends_and_withdraws_everything(runner, login, spammer):
    browser = login(spammer)
    result = runner('admin', 'suspend', 'spam@example.org', '--reason', 'Typed at random')
    assert (result.exit_code, result.stdout) == (0, 'spammer is switched off; 3 answers are taken back.\n')
    gone(spammer)
    assert {one.reason for one in WithdrawnAnswer.objects} == {'Typed at random'}
    assert browser.get('/type/plain_task/next').status_code == 401
    assert (AuditRecord.objects.get().action, AuditRecord.objects.get().after['reason']) == (
        'user.suspend',
        'Typed at random',
    )


def test_command_says_how_far_it_is(runner, spammer, monkeypatch):
    told = []
    monkeypatch.setattr(Bar, 'advance', lambda bar, count=1: told.append(count))
    runner('admin', 'suspend', 'spammer', '--reason', 'x')
    assert told == [1, 1, 1]


def test_command_takes_a_username_and_can_be_repeated(runner, spammer):
    assert runner('admin', 'suspend', 'spammer', '--reason', 'x').exit_code == 0
    again = runner('admin', 'suspend', 'spammer', '--reason', 'x')
    assert (again.exit_code, '0 answers are taken back' in again.stdout) == (0, True)
    gone(spammer)


@pytest.mark.parametrize(('name', 'reason'), [('nobody', 'There is nobody called'), ('keeper', 'is an admin')])
def test_command_refuses_strangers_and_admins(runner, spammer, name, reason):
    make_user(username='keeper', admin=True)
    result = runner('admin', 'suspend', name, '--reason', 'x')
    assert (result.exit_code, reason in result.output) == (2, True)
    assert User.objects(active=False).count() == 0
