"""Where people live, and which day it was for them."""

from datetime import UTC, datetime

import pytest

from tests.factories import make_tasks, make_user
from vulyk.models.stats import WorkSession


@pytest.fixture
def ada(app):
    """A member."""
    return make_user()


@pytest.fixture
def mine(login, ada):
    """Her browser."""
    return login(ada)


def tell(browser, zone: str):
    return browser.post('/account/time-zone/browser', data={'zone': zone})


def choose(browser, zone: str):
    return browser.post('/account/time-zone', data={'zone-zone': zone})


def test_zone_of_the_browser_is_kept(mine, ada):
    assert tell(mine, 'Europe/Kyiv').json['result'] == {'done': True}
    assert ada.reload().time_zone == 'Europe/Kyiv'
    assert 'data-zone="Europe/Kyiv"' in mine.get('/account').text


@pytest.mark.parametrize('zone', ['', 'Atlantis', '../../etc/passwd', 'localtime', 'a\0b', 'x' * 10_000])
def test_nonsense_is_refused(mine, ada, zone):
    assert (tell(mine, zone).status_code, ada.reload().time_zone) == (400, '')
    if zone:
        assert (choose(mine, zone).status_code, ada.reload().time_zone) == (422, '')


def test_chosen_zone_stays_whatever_the_browser_says(mine, ada):
    assert choose(mine, 'Asia/Tokyo').status_code == 302
    assert tell(mine, 'Europe/Kyiv').json['result'] == {'done': False}
    assert ada.reload().time_zone == 'Asia/Tokyo'
    assert 'data-zone-url' not in mine.get('/account').text


def test_choice_can_be_left_to_the_browser_again(mine, ada):
    choose(mine, 'Asia/Tokyo')
    choose(mine, '')
    tell(mine, 'Europe/Kyiv')
    assert ada.reload().time_zone == 'Europe/Kyiv'


@pytest.mark.parametrize(('zone', 'day'), [('Pacific/Kiritimati', '2026-11-22'), ('Pacific/Niue', '2026-11-21')])
def test_work_session_tells_zone_and_day(plain, monkeypatch, zone, day):
    monkeypatch.setattr(plain.work_session_manager, 'clock', lambda: datetime(2026, 11, 21, 12, 0, tzinfo=UTC))
    plain.on_task_done(make_user(time_zone=zone), make_tasks(plain, 1)[0].id, {'x': 1})
    session = WorkSession.objects.get()
    assert (session.zone, session.local_date) == (zone, day)


def test_work_session_of_somebody_without_a_zone_tells_none(plain, ada):
    plain.on_task_done(ada, make_tasks(plain, 1)[0].id, {'x': 1})
    assert (WorkSession.objects.get().zone, WorkSession.objects.get().local_date) == (None, None)
