"""An OpenID provider on this machine, and somebody who walks from the site to it and back."""

import html
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import requests
from flask.testing import FlaskClient
from oidc_provider_mock import User, run_server_in_thread
from werkzeug.test import TestResponse

PEOPLE = {
    'ada-at-provider': {
        'email': 'ada@example.org',
        'email_verified': True,
        'name': 'Ada L.',
        'preferred_username': 'ada',
    },
    'ben-at-provider': {'email': 'ben@example.org', 'email_verified': True, 'name': 'Ben F.'},
    'eve-at-provider': {'email': 'ada@example.org', 'email_verified': False},
}


@contextmanager
def running_provider() -> Iterator[str]:
    """The address of a provider that knows ``PEOPLE``."""
    os.environ['AUTHLIB_INSECURE_TRANSPORT'] = '1'
    people = [User(sub=sub, claims=claims) for sub, claims in PEOPLE.items()]
    with run_server_in_thread(user_claims=people) as server:
        yield f'http://127.0.0.1:{server.server_port}'
    del os.environ['AUTHLIB_INSECURE_TRANSPORT']


def settings_for(provider: str) -> dict[str, str]:
    """Settings of a site that trusts it."""
    return {
        'SOCIAL_AUTH_OIDC_OIDC_ENDPOINT': provider,
        'SOCIAL_AUTH_OIDC_KEY': 'vulyk',
        'SOCIAL_AUTH_OIDC_SECRET': 'vulyk-secret',
        'SOCIAL_AUTH_OIDC_TITLE': 'Library card',
    }


def leave(browser: FlaskClient, **form: str) -> str:
    """Press the button of the service; returns the address it leads to."""
    page = browser.post('/login/oidc/', data=form)
    assert page.status_code == 200, page.text
    return html.unescape(re.search(r'id="social-forward" href="([^"]+)"', page.text)[1])


def agree(address: str, sub: str = 'ada-at-provider') -> str:
    """Say yes at the provider; returns the way back, without host."""
    return _decide(address, {'sub': sub})


def decline(address: str) -> str:
    """Say no there."""
    return _decide(address, {'action': 'deny'})


def _decide(address: str, form: dict[str, str]) -> str:
    answer = requests.post(address, data=form, allow_redirects=False, timeout=10)
    back = urlsplit(answer.headers['Location'])
    return f'{back.path}?{back.query}'


def sign_in(browser: FlaskClient, sub: str = 'ada-at-provider', **form: str) -> TestResponse:
    """The whole way, there and back."""
    return browser.get(agree(leave(browser, **form), sub))
