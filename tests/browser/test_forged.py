"""A page of another origin sends what a signed-in admin could send: nothing of it is done.

The other origin is another port of the same host, which for cookies is the same site: browsers send them along, so that only
the tokens stand between that page and the site. A page of another site does not even get the cookies sent.
"""

import pytest
from flask import request
from flask_login import current_user
from werkzeug.wrappers import Response

from tests import permissions
from tests.browser.conftest import Host
from tests.factories import make_tasks, make_user, stored
from tests.pages.test_permissions import path_of

FETCH = """([site, addresses]) => Promise.allSettled(addresses.map(address => fetch(site + address, {
    method: 'POST', mode: 'no-cors', credentials: 'include',
    body: new URLSearchParams({csrf_token: 'x', username: 'evil', terms: '1', result: '{}', reason: 'evil', rowid: '1'}),
})))"""
FORM = """([site, address]) => {
    document.body.innerHTML = '<form method="post"><input name="username" value="evil"><button>Win a prize</button></form>';
    document.querySelector('form').action = site + address;
}"""


@pytest.fixture
def site_settings() -> dict:
    """A site with everything that has routes."""
    return permissions.SETTINGS


@pytest.fixture
def other():
    """The address of a page of somebody else, on this machine too: browsers let no other reach for a site here."""
    host = Host()
    host.app = Response('<title>Hello</title>', mimetype='text/html')
    yield host.url
    host.stop()


def test_nothing_that_another_origin_sends_is_done(site, page, signed_in, watch, other):
    admin, task = make_user(admin=True), make_tasks(site.type('plain_task'), 1)[0]
    site.type('plain_task').get_next(admin)
    values = {'task_id': task.id, 'user_id': str(admin.id)}
    # The way back from a service carries the secret of this browser instead (tests/pages/test_social.py).
    rules = [rule for method, rule in permissions.routes(site.app) if method == 'POST' and '/complete/' not in rule]
    addresses = [path_of(site.app, rule, **values) for rule in rules]
    answers = {}

    @site.app.after_request
    def note(response):
        if request.method == 'POST' and request.headers.get('Origin') == other:
            answers.setdefault(request.path, []).append((current_user.get_id(), response.status_code))
        return response

    with page.expect_response('**/account/time-zone/browser'):  # a page tells where its reader is
        signed_in(page, admin).goto('/terms')
    watch.trust(other)
    watch.expect_status(400, '')
    page.goto(f'{other}/')
    before = stored()
    page.evaluate(FETCH, [site.url, addresses])
    page.evaluate(FORM, [site.url, '/account/username'])
    page.get_by_role('button', name='Win a prize').click()
    page.wait_for_url('**/account/username')
    assert {path: set(given) for path, given in answers.items()} == {
        path: {(admin.get_id(), 400)} for path in addresses
    }
    assert stored() == before
