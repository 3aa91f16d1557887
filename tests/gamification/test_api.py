"""The JSON API: every route as a visitor, as a stranger and as the owner; shapes; amounts; bad input."""

import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from PIL import Image

from tests.factories import make_user
from tests.gamification.play import make_rule, state_of, work_all
from vulyk.accounts import privacy
from vulyk.blueprints.gamification import audit
from vulyk.blueprints.gamification.core.foundations import Fund
from vulyk.blueprints.gamification.models.foundations import FundModel
from vulyk.blueprints.gamification.models.rules import RuleModel
from vulyk.models.user import User


def picture(kind: str = 'PNG') -> io.BytesIO:
    content = io.BytesIO()
    Image.new('RGB', (30, 20), 'white').save(content, kind)
    content.seek(0)
    return content


def make_fund(fund_id: str = 'lamp', *, donatable: bool = True, logo: io.BytesIO | None = None) -> Fund:
    fund = Fund(fund_id, fund_id.title(), 'gives lamps', 'https://lamp.example', 'a@lamp.example', logo, donatable)
    FundModel.from_fund(fund).save()
    return fund


def rich(play, user, coins: str = '5') -> None:
    """Let a user have actual coins."""
    (task,) = play.tasks(1, coins_per_task=coins)
    play.answer(user, task)
    play.answer(make_user(), task)
    work_all()


OPEN = [
    '/badges',
    '/badges/game_task/strict',
    '/badges/game_task/weak',
    '/funds',
    '/funds/donatable',
    '/funds/nondonatable',
]
MEMBERS = ['/events/unseen', '/events/all', '/events/mark_viewed', '/users/me/state', '/news']
FORMS = ['/donations', '/events/mark_viewed']
MISSING = ['/badges/game_task/loose', '/funds/poor', '/funds/none/logo', '/badges/game_task']


@pytest.mark.parametrize('path', OPEN)
def test_anybody_may_look_at_rules_and_funds(client, path):
    answer = client.get(f'/gamification{path}')
    assert (answer.status_code, answer.content_type, answer.json['errors']) == (200, 'application/json', [])
    assert 'no-store' in answer.headers['Cache-Control']


@pytest.mark.parametrize('path', MEMBERS)
def test_what_belongs_to_somebody_is_403_for_a_visitor(client, mine, path):
    refused = client.get(f'/gamification{path}')
    assert (refused.status_code, refused.json['result'], len(refused.json['errors'])) == (403, {}, 1)
    assert mine.get(f'/gamification{path}').status_code == 200


@pytest.mark.parametrize('path', FORMS)
def test_forms_are_403_for_a_visitor(client, path):
    refused = client.post(f'/gamification{path}')
    assert (refused.status_code, refused.json['result']) == (403, {})


@pytest.mark.parametrize('path', MISSING)
def test_unknown_categories_are_404(client, path):
    answer = client.get(f'/gamification{path}')
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ('call', 'path'),
    [('post', '/badges'), ('get', '/donations'), ('post', '/users/me/state')],
)
def test_wrong_methods_are_405_in_json(mine, call, path):
    answer = getattr(mine, call)(f'/gamification{path}')
    assert (answer.status_code, answer.json['result']) == (405, {})


def test_badges_are_a_list_of_rules(client):
    free = make_rule('free', tasks_number=2, bonus=3)
    own = make_rule('own', 'game_task', days_number=2, is_weekend=True, is_adjacent=True, semantics='calendar')
    make_rule('foreign', 'other_task', tasks_number=1)
    assert {badge['name'] for badge in client.get('/gamification/badges').json['result']['badges']} == {
        'free',
        'own',
        'foreign',
    }
    (strict,) = client.get('/gamification/badges/game_task/strict').json['result']['badges']
    assert strict == {
        'id': own.id,
        'badge': 'b.svg',
        'name': 'own',
        'description': 'd',
        'bonus': 0,
        'tasks_number': 0,
        'days_number': 2,
        'is_weekend': True,
        'is_adjacent': True,
        'semantics': 'calendar',
        'task_type_name': 'game_task',
    }
    weak = client.get('/gamification/badges/game_task/weak').json['result']['badges']
    assert sorted(badge['name'] for badge in weak) == ['free', 'own']
    assert free.to_dict() in weak
    assert client.get('/gamification/badges/nothing/strict').json['result']['badges'] == []


def test_rule_that_is_switched_off_is_not_offered(client):
    rule = make_rule(tasks_number=1)
    RuleModel.objects(pk=rule.id).update_one(enabled=False)
    assert client.get('/gamification/badges').json['result']['badges'] == []


def test_funds_are_lists_by_category(client):
    make_fund('lamp')
    make_fund('partner', donatable=False)
    funds = {
        category: client.get(f'/gamification/funds{category}').json['result']['funds']
        for category in ('', '/donatable', '/nondonatable')
    }
    assert funds['/donatable'] == [
        {
            'id': 'lamp',
            'name': 'Lamp',
            'description': 'gives lamps',
            'site': 'https://lamp.example',
            'email': 'a@lamp.example',
            'donatable': True,
        }
    ]
    assert [fund['id'] for fund in funds['/nondonatable']] == ['partner']
    assert [fund['id'] for fund in funds['']] == ['lamp', 'partner']


def test_several_funds_may_lack_logo_site_and_address(client):
    for name in ('one', 'two'):
        FundModel.from_fund(Fund(name, name, '', None, None, None, True)).save()
    assert [fund['site'] for fund in client.get('/gamification/funds').json['result']['funds']] == ['', '']
    assert client.get('/gamification/funds/one/logo').status_code == 404


@pytest.mark.parametrize('kind', ['PNG', 'JPEG', 'GIF', 'WEBP'])
def test_logo_comes_as_an_image_of_its_kind(client, kind):
    make_fund(logo=picture(kind))
    answer = client.get('/gamification/funds/lamp/logo')
    assert (answer.status_code, answer.content_type) == (200, f'image/{kind.lower()}')
    assert Image.open(io.BytesIO(answer.data)).size == (30, 20)
    again = client.get('/gamification/funds/lamp/logo', headers={'If-None-Match': answer.headers['ETag']})
    assert again.status_code == 304


def test_state_has_exact_numbers_and_a_time_with_its_zone(mine, play, member):
    play.answers(member, 3, points_per_task='0.1', coins_per_task='0.1')
    text = mine.get('/gamification/users/me/state').text
    assert '"points":0.3,' in text
    assert '"potential_coins":0.3,' in text
    state = json.loads(text)['result']['state']
    assert (state['user'], state['level'], state['actual_coins'], state['achievements']) == ('ada', 0, 0, [])
    changed = datetime.fromisoformat(state['last_changed'])
    assert timedelta(0) <= datetime.now(UTC) - changed < timedelta(minutes=1)


def test_amounts_keep_more_digits_than_a_binary_number_has(mine, play, member):
    play.answer(member, points_per_task='123456789012345.123456789')
    assert '"points":123456789012345.123456789,' in mine.get('/gamification/users/me/state').text


def test_new_user_has_an_empty_state(mine):
    state = mine.get('/gamification/users/me/state').json['result']['state']
    assert (state['points'], state['actual_coins'], state['potential_coins'], state['level']) == (0, 0, 0, 0)


def test_state_of_others_is_for_members_and_tells_no_address(client, mine, play):
    other = make_user(username='bob@example.org', email='bob@example.org')
    play.answer(other)
    path = f'/gamification/users/{other.id}/state'
    assert client.get(path).status_code == 403
    answer = mine.get(path)
    assert answer.json['result']['state']['user'] == 'bob'
    assert 'example.org' not in answer.text


def test_state_of_others_does_not_name_whoever_is_hidden(mine, member):
    shy = make_user(hidden=True)
    assert mine.get(f'/gamification/users/{shy.id}/state').json['result']['state']['user'] == ''
    User.objects(pk=member.id).update(set__hidden=True)
    assert mine.get(f'/gamification/users/{member.id}/state').json['result']['state']['user'] == member.username


@pytest.mark.parametrize('user_id', ['0123456789abcdef01234567', 'nobody', '0'])
def test_state_of_nobody_is_404(mine, user_id):
    answer = mine.get(f'/gamification/users/{user_id}/state')
    assert (answer.status_code, answer.json['result']) == (404, {})


def test_events_are_lists_in_order_and_seen_once(mine, play, member):
    rule = make_rule(tasks_number=2, bonus=30)
    play.answers(member, 2)
    events = mine.get('/gamification/events/unseen').json['result']['events']
    assert events == mine.get('/gamification/events/all').json['result']['events']
    assert [event['level_given'] for event in events] == [1, 2]
    first, second = events
    assert second['achievements'] == [rule.to_dict()]
    assert {key: first[key] for key in first if key != 'timestamp'} == {
        'user': 'ada',
        'points_given': 1,
        'coins': 1,
        'achievements': [],
        'acceptor_fund': None,
        'level_given': 1,
        'viewed': False,
    }
    assert datetime.fromisoformat(first['timestamp']) == datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    assert mine.post('/gamification/events/mark_viewed').json == {'result': {}, 'errors': []}
    assert mine.get('/gamification/events/unseen').json['result']['events'] == []
    assert [event['viewed'] for event in mine.get('/gamification/events/all').json['result']['events']] == [True] * 2


def test_events_of_others_stay_unseen(mine, play, member):
    other = make_user()
    play.answer(other)
    mine.get('/gamification/events/mark_viewed')
    assert mine.get('/gamification/events/all').json['result']['events'] == []
    from vulyk.blueprints.gamification.models.events import EventModel

    assert len(list(EventModel.get_unread_events(other))) == 1


def test_news_are_badges_and_levels_that_were_not_seen(mine, play, member):
    make_rule('first', tasks_number=1)
    play.answers(member, 2)
    news = mine.get('/gamification/news').json['result']
    assert (news['points'], news['level'], news['until']) == (2, 1, 2)
    assert [[rule['name'] for rule in event['achievements']] for event in news['events']] == [['first']]


def test_what_comes_after_the_news_is_not_marked_as_seen(mine, play, member):
    make_rule('first', tasks_number=1)
    make_rule('second', tasks_number=2)
    play.answer(member)
    until = mine.get('/gamification/news').json['result']['until']
    play.answer(member)
    mine.post('/gamification/events/mark_viewed', data={'until': until})
    events = mine.get('/gamification/news').json['result']['events']
    assert [event['achievements'][0]['name'] for event in events] == ['second']


# --- donations --------------------------------------------------------------------------------------------------------


def test_donation_takes_coins_and_becomes_an_event(mine, play, member):
    make_fund()
    rich(play, member)
    answer = mine.post('/gamification/donations', data={'fund_id': 'lamp', 'amount': '1.5'})
    assert (answer.status_code, answer.json) == (200, {'result': {'done': True}, 'errors': []})
    assert mine.get('/gamification/users/me/state').json['result']['state']['actual_coins'] == 3.5
    events = mine.get('/gamification/events/all').json['result']['events']
    (event,) = [event for event in events if event['acceptor_fund']]
    assert (event['coins'], event['points_given'], event['viewed']) == (-1.5, 0, True)
    assert event['acceptor_fund']['id'] == 'lamp'
    assert mine.get('/gamification/events/unseen').json['result']['events'][-1]['acceptor_fund'] is None


WRONG_AMOUNT, WRONG_FUND, TOO_POOR = (
    'Wrong amount passed',
    'Wrong fund ID passed',
    'Not enough money on your active account',
)


@pytest.mark.parametrize(
    ('form', 'error'),
    [
        ({}, WRONG_AMOUNT),
        ({'fund_id': 'lamp'}, WRONG_AMOUNT),
        *(
            ({'fund_id': 'lamp', 'amount': amount}, WRONG_AMOUNT)
            for amount in [
                '',
                '0',
                '-1',
                'abc',
                'NaN',
                'sNaN',
                'Infinity',
                '-Infinity',
                '٣',
                '1_0',
                '1e-20',
                '1,5',
                '0x1',
            ]
        ),
        ({'amount': '1'}, WRONG_FUND),
        ({'fund_id': 'nobody', 'amount': '1'}, WRONG_FUND),
        ({'fund_id': 'nobody', 'amount': '1000'}, WRONG_FUND),
        ({'fund_id': 'partner', 'amount': '1'}, WRONG_FUND),
        ({'fund_id': 'lamp', 'amount': '5.000001'}, TOO_POOR),
        ({'fund_id': 'lamp', 'amount': '1e30'}, TOO_POOR),
    ],
)
def test_donation_that_is_refused_takes_nothing(mine, play, member, form, error):
    make_fund()
    make_fund('partner', donatable=False)
    rich(play, member)
    answer = mine.post('/gamification/donations', data=form)
    assert (answer.status_code, answer.json) == (400, {'result': {'done': False}, 'errors': [error]})
    assert state_of(member)['actualCoins'].to_decimal() == Decimal(5)


def test_user_without_a_state_is_poor(mine):
    make_fund()
    answer = mine.post('/gamification/donations', data={'fund_id': 'lamp', 'amount': '1'})
    assert (answer.status_code, answer.json['errors']) == (400, [TOO_POOR])


def test_donation_without_the_token_of_the_session_is_refused(app, play, member, mine):
    make_fund()
    rich(play, member)
    answer = mine.post(
        '/gamification/donations', data={'fund_id': 'lamp', 'amount': '1'}, headers={'X-CSRFToken': 'wrong'}
    )
    assert answer.status_code == 400
    assert state_of(member)['actualCoins'].to_decimal() == Decimal(5)


def test_game_follows_the_time_zone_of_the_account(mine, member):
    for zone in ('Europe/Kyiv', 'Europe/Kyiv', 'Asia/Tokyo'):
        assert mine.post('/account/time-zone/browser', data={'zone': zone}).status_code == 200
    assert [change['zone'] for change in state_of(member)['zones']] == ['Europe/Kyiv', 'Asia/Tokyo']


def test_game_knows_the_time_zone_that_was_told_before_it_was_there(mine, member):
    member.update(set__time_zone='Asia/Tokyo')
    mine.get('/gamification/users/me/state')
    assert [change['zone'] for change in state_of(member)['zones']] == ['Asia/Tokyo']


def test_download_of_ones_own_data_has_what_the_game_knows(mine, play, member):
    make_rule(tasks_number=1)
    play.answer(member)
    data = json.loads(mine.get('/account/data').text)
    assert (data['game_state']['points'], len(data['game_badges']), len(data['game_facts'])) == (
        str(state_of(member)['points']),
        1,
        1,
    )


def test_books_of_the_game_stay_right_when_an_account_is_deleted(mine, play, member):
    rich(play, member)
    privacy.delete(member)
    assert audit.audit(member.id) == []


def test_closed_site_closes_the_game(app, mine, member):
    app.config['SITE_IS_CLOSED'] = True
    try:
        assert mine.get('/gamification/users/me/state').status_code == 503
    finally:
        app.config['SITE_IS_CLOSED'] = False


def test_inactive_user_is_nobody(mine, member):
    User.objects(pk=member.id).update_one(active=False)
    assert mine.get('/gamification/users/me/state').status_code == 403
