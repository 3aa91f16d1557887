"""Who contributed the most."""

import pytest
from vulyk_plain.models.tasks import PlainAnswer

from tests.factories import answer, make_tasks, make_user
from vulyk.ext.leaderboard import LeaderBoardManager
from vulyk.models.user import User


@pytest.fixture
def manager(app):
    """A manager of ``plain_task``."""
    return LeaderBoardManager('plain_task', PlainAnswer, User)


def make_answers(plain, *numbers: int) -> list[User]:
    """One user per number, who has given so many answers."""
    users = [make_user() for _ in numbers]
    tasks = make_tasks(plain, max(numbers, default=0), batch=None)
    for user, number in zip(users, numbers, strict=True):
        for task in tasks[:number]:
            answer(plain, task, user)
    return users


def test_leaders_are_users_and_numbers_most_first(manager, plain):
    one, three, two = make_answers(plain, 1, 3, 2)
    assert manager.get_leaders() == [(three.id, 3), (two.id, 2), (one.id, 1)]


def test_leaders_who_tie_come_in_order_of_their_ids(manager, plain):
    users = make_answers(plain, 1, 1, 1)
    assert [user_id for user_id, _ in manager.get_leaders()] == sorted(user.id for user in users)


def test_users_without_answers_are_no_leaders(manager, plain):
    make_tasks(plain, 1)
    plain.get_next(make_user())
    assert manager.get_leaders() == manager.get_leaderboard(10) == []


@pytest.mark.parametrize(
    ('numbers', 'limit', 'board'),
    [
        ((5, 4, 4, 3), 10, [(1, 5), (2, 4), (2, 4), (3, 3)]),
        ((5, 4, 4, 3), 3, [(1, 5), (2, 4), (2, 4)]),
        ((5, 4, 4, 3), 2, [(1, 5), (2, 4)]),
        ((1, 1, 1), 2, [(1, 1), (1, 1)]),
        ((2,), 0, []),
        ((), 10, []),
    ],
)
def test_board_has_dense_ranks_and_at_most_limit_rows(manager, plain, numbers, limit, board):
    make_answers(plain, *numbers)
    assert [(row['rank'], row['freq']) for row in manager.get_leaderboard(limit)] == board


def test_row_of_the_board_has_rank_user_and_number(manager, plain):
    (user,) = make_answers(plain, 2)
    assert manager.get_leaderboard(1) == [{'rank': 1, 'user': user, 'freq': 2}]


@pytest.mark.parametrize('leave', [lambda user: user.delete(), lambda user: user.update(set__active=False)])
def test_people_who_have_left_are_not_on_the_board(manager, plain, leave):
    first, second = make_answers(plain, 2, 1)
    leave(first)
    assert manager.get_leaderboard(1) == [{'rank': 1, 'user': second, 'freq': 1}]


def test_extra_answers_count_on_the_board(manager, plain):
    (task,) = make_tasks(plain, 1)
    for _ in range(3):
        answer(plain, task, make_user())
    assert len(manager.get_leaderboard(10)) == 3
