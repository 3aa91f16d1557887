"""Signing in through a second kind of OpenID provider: npm's ``oidc-provider``, where Node and the package are.

``make test`` puts it into ``.venv/node`` if there is npm; without it the last line of the run says so.
"""

import re
import subprocess
from urllib.parse import urljoin, urlsplit

import pytest
import requests

from tests.conftest import FIXTURES, NODE
from tests.pages.provider import leave, settings_for
from vulyk.bootstrap import _db
from vulyk.models.user import User


@pytest.fixture
def provider():
    """The address of the provider while it runs."""
    command = ['node', FIXTURES / 'provider.mjs', NODE, 'http://localhost/complete/oidc/']
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        yield next(line.strip() for line in process.stdout if line.startswith('http'))
        process.kill()


def through(address: str) -> str:
    """Sign in at the provider as ada, and agree; returns the way back, without host."""
    with requests.Session() as ada:
        page = ada.get(address, allow_redirects=False, timeout=10)
        for _ in range(20):
            if page.is_redirect:
                address = urljoin(page.url, page.headers['Location'])
                if address.startswith('http://localhost/'):
                    back = urlsplit(address)
                    return f'{back.path}?{back.query}'
                page = ada.get(address, allow_redirects=False, timeout=10)
            else:
                action = urljoin(page.url, re.search(r'<form[^>]*action="([^"]+)"', page.text)[1])
                form = dict(re.findall(r'<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]+)"', page.text))
                page = ada.post(
                    action, data={**form, 'login': 'ada', 'password': 'x'}, allow_redirects=False, timeout=10
                )
    raise AssertionError(page.text)


def test_first_sign_in_makes_an_account_and_the_second_finds_it(app, make_app, provider):
    site = make_app(**settings_for(provider))
    _db.prepare(site)
    browser = site.test_client()
    for _ in range(2):
        back = through(leave(browser))
        assert browser.get(back).location == '/'
        ada = User.objects.get()
        assert (browser.get('/session').json['result']['user'], ada.email) == (str(ada.id), 'ada@example.org')
        browser.post('/logout')
        assert browser.get(back).status_code == 400
