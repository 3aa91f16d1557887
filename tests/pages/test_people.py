"""What I have done, who has done the most, and whoever does not want to be named."""

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests import factories
from vulyk import people
from vulyk.ext import leaderboard
from vulyk.models import figures
from vulyk.models.progress import Progress
from vulyk.models.stats import WorkSession
from vulyk.models.user import User

TODAY = date(2026, 11, 21)


def day(number: int) -> date:
    """So many days before today."""
    return TODAY - timedelta(days=number)


def contributor(answers: int, task_type: str = 'plain_task', **fields) -> User:
    """Somebody with that many answers."""
    user = factories.make_user(**fields)
    Progress.count_answer(task_type, user.id, 'x', answers)
    return user


# --- my page ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('ago', 'number'),
    [((), 0), ((0,), 1), ((0, 1, 2), 3), ((1, 2), 2), ((2, 3), 0), ((0, 1, 3), 2), ((0, 2), 1)],
)
def test_days_in_a_row_end_today_or_yesterday(ago, number):
    assert people.days_in_a_row({day(one): 1 for one in ago}, TODAY) == number


@pytest.mark.parametrize(('answers', 'level'), [(0, 0), (1, 1), (25, 1), (26, 2), (50, 2), (75, 3), (76, 4), (100, 4)])
def test_days_have_four_levels(answers, level):
    assert people.level(answers, 100) == level


def test_calendar_has_a_year_of_weeks_and_ends_today(app):
    first = TODAY - timedelta(days=TODAY.weekday(), weeks=52)
    with app.test_request_context():
        weeks = list(people.calendar({TODAY: 2}, first, TODAY))
    assert len(weeks) == 53
    assert weeks[-1][1] == [*((day(number), 0, 0) for number in range(5, 0, -1)), (TODAY, 2, 4)]
    assert [month for month, _ in weeks if month][-1] == 'Nov'


def test_days_are_those_of_the_time_zone(plain):
    user = factories.make_user()
    factories.answer(plain, factories.make_tasks(plain, 1)[0], user)
    WorkSession.objects.update(set__end_time=datetime(2026, 3, 1, 18, 35, tzinfo=UTC))
    since = datetime(2026, 1, 1, tzinfo=UTC)
    assert figures.days_of(user.id, since, ZoneInfo('Asia/Kolkata')) == {date(2026, 3, 2): 1}
    assert figures.days_of(user.id, since, UTC) == {date(2026, 3, 1): 1}
    assert figures.days_of(user.id, datetime(2026, 4, 1, tzinfo=UTC), UTC) == {}


def test_my_page_has_my_numbers(plain, login):
    user = factories.make_user()
    for task in factories.make_tasks(plain, 2):
        factories.answer(plain, task, user)
    WorkSession.objects.update(set__activity=65 * 60)
    text = login(user).get('/me').text
    assert '<dt>Answers</dt><dd>2</dd>' in text
    assert '<dt>Days in a row</dt><dd>1</dd>' in text
    assert '<dt>Time of work</dt><dd>2 h 10 min</dd>' in text
    assert 'Answers on 1 day of the last twelve months.' in text
    assert re.search(r'<tr><th scope="row">\w+ \d{4}</th><td>1</td><td>2</td></tr>', text)  # the calendar as a table
    assert 'Plain tasks' in text


def test_my_page_of_a_newcomer_says_how_to_begin(login):
    assert 'You have not answered anything yet.' in login(factories.make_user()).get('/me').text


def test_project_that_is_no_longer_here_stays_on_my_page(login):
    assert 'gone_type' in login(contributor(3, 'gone_type')).get('/me').text


# --- leaderboards -----------------------------------------------------------------------------------------------------


def test_leaderboard_of_the_site_adds_the_projects(login):
    both, one = contributor(2, username='both'), contributor(4, username='single')
    Progress.count_answer('other', both.id, 'x', 3)
    assert [(row['rank'], row['user'].username, row['freq']) for row in leaderboard.site_leaders(10)] == [
        (1, 'both', 5),
        (2, 'single', 4),
    ]
    assert leaderboard.site_rank(one.id) == {'rank': 2, 'freq': 4}
    assert leaderboard.site_rank(factories.make_user().id) is None
    assert 'both' in login(one).get('/leaders').text


@pytest.mark.parametrize('address', ['/leaders', '/type/plain_task/leaders'])
def test_my_own_row_is_there_wherever_i_am(login, address):
    for number in range(2, 14):
        contributor(number)
    me = contributor(1, username='far_behind')
    text = login(me).get(address).text
    assert 'far_behind <span class="vk-tag">you</span>' in text
    assert '<span class="vk-medal">13</span>' in text


@pytest.mark.parametrize('address', ['/leaders', '/type/plain_task/leaders'])
def test_hidden_people_are_seen_by_nobody_but_themselves(login, address):
    shy, open_one = contributor(9, username='shy_bee'), contributor(5, username='open_bee')
    assert login(shy).post('/account/visibility', data={'hidden': '1'}).status_code == 302
    others_view = login(open_one).get(address).text
    assert 'shy_bee' not in others_view
    assert '<span class="vk-medal">1</span>' in others_view
    assert '<span class="vk-medal">2</span>' not in others_view
    own_view = login(shy).get(address).text
    assert 'shy_bee <span class="vk-tag">you</span>' in own_view
    assert 'Others do not see you here.' in own_view
    login(shy).post('/account/visibility')
    assert 'shy_bee' in login(open_one).get(address).text


def test_hidden_people_take_no_place(plain):
    contributor(9, hidden=True)
    contributor(9)
    contributor(7, hidden=True)
    assert plain.get_leaderboard(10)[0]['rank'] == 1
    assert contributor(5).get_stats(plain) == {'total': 5, 'position': 2}


def test_people_who_are_switched_off_are_not_on_the_leaderboard_of_the_site(app):
    contributor(9, active=False)
    assert leaderboard.site_leaders(10) == []
