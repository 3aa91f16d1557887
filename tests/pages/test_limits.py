"""How often things may be tried."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.factories import make_user
from vulyk.models.exc import RateLimitError
from vulyk.models.limits import Attempts, count_attempt, network_of

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def attempts(number: int, who: str = 'ada', kind: str = 'x', now: datetime = NOON, rate=(3, 60)) -> None:
    for _ in range(number):
        count_attempt(kind, who, rate, now)


def test_as_many_as_allowed_and_no_more(app):
    attempts(3)
    with pytest.raises(RateLimitError) as refusal:
        attempts(1, now=NOON + timedelta(seconds=20))
    assert refusal.value.seconds == 40


def test_attempts_of_others_of_other_kinds_and_later_ones_count_for_themselves(app):
    attempts(3)
    attempts(3, who='ben')
    attempts(3, kind='y')
    attempts(3, now=NOON + timedelta(seconds=60))
    attempts(9, rate=None)


def test_what_is_kept_says_nothing_of_anybody_and_goes_away(app):
    attempts(1, who='ada@example.org')
    kept = Attempts._get_collection().find_one()
    assert 'ada' not in str(kept)
    assert kept['expires'] == NOON + timedelta(seconds=60)
    indexes = Attempts._get_collection().index_information().values()
    assert any(index.get('expireAfterSeconds') == 0 for index in indexes)


@pytest.mark.parametrize(
    ('address', 'network'),
    [
        ('192.0.2.7', '192.0.2.7'),
        ('2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'),
        ('::ffff:192.0.2.7', '192.0.2.7'),
        (None, ''),
        ('nonsense', 'nonsense'),
    ],
)
def test_network_of_an_address(address, network):
    assert network_of(address) == network


@pytest.fixture
def few(app, monkeypatch):
    monkeypatch.setitem(app.config, 'RATE_LIMITS', {'sign-in': (4, 3600), 'sign-in:account': (2, 3600)})


def test_password_cannot_be_guessed_for_long(client, few):
    make_user(email='ada@example.org', password='correct horse')
    guess = {'email': 'Ada@example.org ', 'password': 'wrong'}
    assert [client.post('/sign-in', data=guess).status_code for _ in range(3)] == [401, 401, 429]
    refused = client.post('/sign-in', data={'email': 'ada@example.org', 'password': 'correct horse'})
    assert (refused.status_code, refused.mimetype) == (429, 'text/html')
    assert 'This was tried too often. Please wait' in refused.text
    assert 0 < int(refused.headers['Retry-After']) <= 3600


def test_accounts_cannot_be_tried_one_after_the_other(client, few):
    codes = [
        client.post('/sign-in', data={'email': f'a{n}@example.org', 'password': 'x'}).status_code for n in range(5)
    ]
    assert codes == [401, 401, 401, 401, 429]


def test_who_guesses_elsewhere_locks_nobody_out(client, few):
    make_user(email='ada@example.org', password='correct horse')
    for _ in range(4):
        client.post(
            '/sign-in',
            data={'email': 'ada@example.org', 'password': 'x'},
            environ_overrides={'REMOTE_ADDR': '192.0.2.1'},
        )
    assert client.post('/sign-in', data={'email': 'ada@example.org', 'password': 'correct horse'}).status_code == 302
