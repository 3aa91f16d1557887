"""A site that sends mails to a real mail server on this machine."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests import factories
from tests.mailbox import Mailbox, mail_server
from vulyk.models.user import User

PASSWORD = 'correct horse'
SITE = 'https://vulyk.example.org'


def said(response: TestResponse) -> str:
    """What a page says, without the tokens that are others every time."""
    return response.text.split('<main', 1)[1].split('</main>')[0]


@pytest.fixture(scope='session')
def _mail_server() -> Iterator[tuple[Mailbox, dict[str, Any]]]:
    with mail_server() as server:
        yield server


@pytest.fixture
def mailbox(_mail_server) -> Mailbox:
    """The mail server, empty."""
    box = _mail_server[0]
    box.mails, box.refuses, box.refuses_address = [], '', ''
    return box


@pytest.fixture
def site(keep, _mail_server) -> Iterator[Flask]:
    """A site with mails and terms, its context entered, its database empty but for the default group."""
    app = keep('mail', **_mail_server[1], SITE_URL=SITE, TERMS_VERSION='2')
    with app.app_context():
        factories.make_group('default', ['plain_task'])
        yield app


@pytest.fixture
def visitor(site: Flask) -> FlaskClient:
    """A browser nobody is signed in with."""
    return site.test_client()


@pytest.fixture
def ada(site: Flask) -> User:
    """A member who has agreed to the terms."""
    consents = [{'version': '2', 'at': datetime.now(UTC)}]
    return factories.make_user(username='ada', email='ada@example.org', password=PASSWORD, consents=consents)


@pytest.fixture
def hers(site: Flask, ada: User) -> FlaskClient:
    """Her browser."""
    browser = site.test_client()
    with browser.session_transaction() as session:
        session.update(factories.signed_in(ada))
    return browser
