"""Seconds of real work: they count while somebody looks at the page and does something, and reach the work session."""

from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Page, Request

from tests import factories
from tests.browser.work import intercept, open_project, submit
from vulyk.models.user import User

ANSWER = 'Tochter, und hinterließ einen Sohn,'


@pytest.fixture
def at_work(own_page: Page, site, signed_in) -> Page:
    """A task on the screen whose text is typed, in a browser whose clock goes as fast as it is told."""
    site.load_samples('transcription', 2)
    user: User = factories.make_user()
    page = signed_in(own_page, user)
    page.clock.install()
    open_project(page, 'transcription')
    page.keyboard.insert_text(ANSWER)
    # The clock of the server goes on as ever, and would not believe that a minute has passed.
    intercept(page, '**/activity/*', lambda route: route.fulfill(json={'result': {'done': True}, 'errors': []}))
    return page


def pass_seconds(page: Page, seconds: int) -> None:
    """Somebody gives a sign of life, and then none for so long."""
    for place in (100, 200):
        page.mouse.move(place, place)
    page.clock.run_for(seconds * 1000)


def seconds_in(request: Request, field: str) -> int:
    return int(parse_qs(request.post_data)[field][0])


def test_minute_of_work_is_reported(at_work):
    with at_work.expect_request('**/activity/*') as report:
        pass_seconds(at_work, 40)
        pass_seconds(at_work, 40)
    assert seconds_in(report.value, 'seconds') == 60


def test_time_in_which_nothing_happens_does_not_count_and_the_rest_goes_with_the_answer(at_work):
    with at_work.expect_request('**/activity/*'):
        pass_seconds(at_work, 30)
        pass_seconds(at_work, 1200)
    with at_work.expect_request('**/done/*') as answer:
        submit(at_work).click()
    # 30 seconds, and those until it was clear that nobody is there; 60 of them are reported.
    assert 28 <= seconds_in(answer.value, 'activity') <= 32
