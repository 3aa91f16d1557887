"""What volunteers do on a task page, and what is then in the database."""

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page, Route, expect

from vulyk.models.tasks import AbstractAnswer, AbstractTask
from vulyk.models.user import User

_NEXT = re.compile(r'/type/\w+/next(\?|$)')


def open_project(page: Page, name: str) -> dict[str, Any]:
    """Open the page of a task type; returns the task it shows, as ``next`` gave it."""
    return shown_after(page, lambda: page.goto(f'/type/{name}/'))


def shown_after(page: Page, action: Callable[[], Any]) -> dict[str, Any]:
    """Do something that brings a task; returns it when it can be answered."""
    with page.expect_response(_NEXT) as response:
        action()
    task = response.value.json()['result']['task']
    expect_state(page, 'ready')
    plugin = page.locator('#current_task > [data-state]')
    if plugin.count():
        expect(plugin).to_have_attribute('data-state', 'ready')
    return task


def expect_state(page: Page, state: str) -> None:
    """Wait until the task page is loading, ready, saving, failed, refused, expired, done, waiting or blocked."""
    expect(page.locator('#vk-task')).to_have_attribute('data-state', state)


def intercept(page: Page, address: str, answer: Callable[[Route], Any], times: int | None = None) -> None:
    """Have requests to an address answered here, or stopped.

    An open page goes on for a moment to send requests past whoever wants to intercept them, so this waits until it does not.
    """
    page.route(address, answer, times=times)
    if page.url != 'about:blank':
        page.route('**/?intercepted', lambda route: route.fulfill(status=204))
        while page.evaluate('fetch("/?intercepted").then(({status}) => status)') != 204:
            page.wait_for_timeout(10)
        page.unroute('**/?intercepted')


def stop(route: Route) -> None:
    """An answer for :func:`intercept`: the site cannot be reached."""
    route.abort()


def hold(page: Page, address: str) -> Callable[[], Route]:
    """Keep the first request to an address waiting; the function returned waits until it has come: ``held().continue_()``."""
    routes: list[Route] = []
    intercept(page, address, lambda route: routes.append(route), times=1)

    def held() -> Route:
        while not routes:
            page.wait_for_timeout(10)
        return routes[0]

    return held


def submit(page: Page) -> Locator:
    return page.locator('a#save-button')


def skip(page: Page) -> Locator:
    return page.locator('a#skip-button')


def expect_usable_buttons(page: Page) -> None:
    """Neither button is disabled, for eyes, scripts and assistive technology."""
    for button in (submit(page), skip(page)):
        expect(button).not_to_have_class(re.compile(r'\bdisabled\b'))
        expect(button).to_have_attribute('aria-disabled', 'false')


def notice(page: Page) -> Locator:
    """The message above the buttons."""
    return page.locator('#vk-notice')


def toast(page: Page, text: str) -> Locator:
    """The message in the corner with this text."""
    return page.locator('.vk-toast', has_text=text)


def answers_of(user: User) -> dict[str, dict]:
    """``{key of the task's data: result}`` of all answers of a user; tasks without a key count by their id."""
    answers = {}
    for answer in AbstractAnswer.objects(created_by=user.id).no_dereference():
        task = AbstractTask.objects.get(pk=answer.task.id)
        answers[task.task_data.get('key', task.id)] = answer.result
    return answers


def width_of(page: Page) -> int:
    """How wide the page's content is; more than the window means scrolling sideways."""
    return page.evaluate('document.documentElement.scrollWidth')
