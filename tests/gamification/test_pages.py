"""The pages of the game, and what it adds to every page."""

import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.factories import make_user, signed_in
from tests.gamification.play import amounts_of, make_rule, state_of, work_all
from tests.gamification.test_api import make_fund, picture, rich
from vulyk.blueprints.gamification.models.foundations import FundModel

PAGES = ['/my/badges', '/my/events', '/my/wallet', '/totals']


@pytest.mark.parametrize('path', PAGES)
def test_pages_are_for_members(client, mine, path):
    answer = client.get(f'/gamification{path}')
    assert answer.status_code == 302
    assert 'next=' in answer.headers['Location']
    assert mine.get(f'/gamification{path}').status_code == 200


def test_every_page_shows_points_and_level(mine, play, member):
    play.answers(member, 26)
    page = mine.get('/').text
    assert '<span id="vg-level">2</span>' in page
    assert '26 points' in page
    assert 'game.js?v=' in page


def test_visitors_see_nothing_of_the_game(client):
    page = client.get('/').text
    assert 'vg-' not in page
    assert 'gamification' not in page


def test_site_without_the_game_shows_nothing_of_it(make_app, login):
    app = make_app(ENABLED_BLUEPRINTS=[])
    with app.app_context():
        user = make_user()
    browser = app.test_client()
    with browser.session_transaction() as session:
        session.update(signed_in(user))
    page = browser.get('/', follow_redirects=True)
    assert page.status_code == 200
    assert 'gamification' not in page.text
    assert browser.get('/gamification/badges').status_code == 404


def test_wall_shows_earned_badges_and_progress_of_the_others(mine, play, member):
    make_rule('Beginner', tasks_number=1, badge='first-cell.svg')
    make_rule('Worker', tasks_number=10, bonus=7, badge='https://badges.example/w.png')
    make_rule('Regular', days_number=3, is_adjacent=True)
    make_rule('Specialist', 'game_task', tasks_number=4)
    play.answers(member, 3)
    page = mine.get('/gamification/my/badges').text
    assert 'Earned: 1' in page
    assert 'Still to earn: 3' in page
    assert re.search(r'/gamification/static/badges/first-cell.svg\?v=\w+', page)
    assert 'https://badges.example/w.png' in page
    for text in (
        'Earned on <time datetime="2026-11-20">Nov 20, 2026</time>',
        '3 of 10',
        'Extra points: 7',
        '3 of 4',
        'Project: Game',
        'Regular',
    ):
        assert text in page


def test_badges_and_funds_are_told_in_the_language_of_the_reader_if_there_are_translations(mine, play, member):
    member.update(set__language='uk')
    make_rule('First cell', tasks_number=1, description='You have given your first answer.')
    make_rule('Mine <b>100 %s</b>', tasks_number=2)
    FundModel(id='lantern', name='Lantern Fund (an example)').save()
    play.answer(member)
    for path in ('/my/badges', '/my/events'):
        assert 'Перша комірка' in mine.get(f'/gamification{path}').text
    page = mine.get('/gamification/my/badges').text
    assert ('Ви дали першу відповідь.' in page, 'Mine &lt;b&gt;100 %s&lt;/b&gt;' in page) == (True, True)
    assert 'Фонд «Ліхтар»' in mine.get('/gamification/my/wallet').text
    for path, kind in (('/news', 'events'), ('/events/all', 'events'), ('/users/me/state', 'state')):
        facts = mine.get(f'/gamification{path}').json['result'][kind]
        (badge,) = (facts[0] if kind == 'events' else facts)['achievements']
        assert (badge['name'], badge['tasks_number']) == ('Перша комірка', 1)
    assert mine.get('/gamification/funds').json['result']['funds'][0]['name'] == 'Фонд «Ліхтар» (приклад)'


def test_wall_of_a_newcomer_shows_what_can_be_earned(mine):
    make_rule('Beginner', tasks_number=1)
    page = mine.get('/gamification/my/badges').text
    assert 'Earned: 0' in page
    assert '0 of 1' in page


def test_earned_badge_stays_as_it_was_when_its_rule_is_edited(mine, play, member):
    from vulyk.blueprints.gamification.models.rules import RuleModel

    rule = make_rule('Beginner', tasks_number=1, bonus=2)
    play.answer(member)
    model = RuleModel.objects.get(pk=rule.id)
    model.name, model.tasks_number, model.bonus = 'Changed', 50, 9
    model.save()
    assert RuleModel.objects.get(pk=rule.id).version == 2
    page = mine.get('/gamification/my/badges').text
    assert 'Beginner' in page
    assert 'Changed' not in page
    assert amounts_of(member)[0] == 3
    (badge,) = mine.get('/gamification/users/me/state').json['result']['state']['achievements']
    assert (badge['name'], badge['tasks_number'], badge['bonus']) == ('Beginner', 1, 2)


def test_my_events_tell_everything_that_happened(mine, play, member):
    make_rule('Beginner', tasks_number=1)
    make_fund()
    (task,) = play.tasks(1, batch='letters', coins_per_task='2.5')
    play.answer(member, task)
    play.answer(make_user(), task)
    work_all()
    mine.post('/gamification/donations', data={'fund_id': 'lamp', 'amount': '0.5'})
    answer = play.answer(member)
    play.app.task_types['game_task'].withdraw_answer(member, answer.task.id)
    page = mine.get('/gamification/my/events').text
    for text in (
        'An answer in “Game”',
        'New badge: Beginner',
        'The batch “letters” is finished',
        '+2.5 coins',
        'You gave 0.5 coins to Lamp',
        '−0.5 coins',
        'You took an answer back',
        'Nov 20, 2026, 12:00',
    ):
        assert text in page


def test_my_events_come_in_pages(mine, play, member):
    play.answers(member, 31)
    first = mine.get('/gamification/my/events').text
    assert first.count('<li class="vg-event') == 30
    second = mine.get('/gamification/my/events?page=2').text
    assert second.count('<li class="vg-event') == 1
    assert 'Later ones' in second
    for wrong in ('0', '-3', 'x', '99999999999999999999'):
        assert mine.get(f'/gamification/my/events?page={wrong}').status_code == 200


def test_wallet_shows_coins_and_the_funds_with_their_logos(mine, play, member):
    make_fund(logo=picture())
    make_fund('partner', donatable=False)
    rich(play, member, '2.50')
    play.answer(member)
    page = mine.get('/gamification/my/wallet').text
    assert '<dd id="vg-actual">2.5</dd>' in page
    assert '<dd id="vg-potential">1</dd>' in page
    assert 'one coin is one EUR' in page
    assert '/gamification/funds/lamp/logo' in page
    assert 'partner' not in page.lower()


def form_of(page: str) -> dict[str, str]:
    """The hidden fields of the donation form."""
    form = page[page.index('<form class="vk-form vg-form"') :]
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]+)">', form))


def test_donation_by_the_form_sent_twice_is_made_once(mine, play, member):
    make_fund()
    rich(play, member)
    form = {**form_of(mine.get('/gamification/my/wallet').text), 'fund_id': 'lamp', 'amount': '2'}
    answers = [mine.post('/gamification/my/wallet', data=form) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [302, 302]
    assert amounts_of(member)[1] == 3
    assert 'Thank you!' in mine.get(answers[0].headers['Location']).text


def test_amount_may_have_the_comma_of_most_languages(mine, play, member):
    make_fund()
    rich(play, member)
    form = {**form_of(mine.get('/gamification/my/wallet').text), 'fund_id': 'lamp', 'amount': '2,5'}
    assert mine.post('/gamification/my/wallet', data=form).status_code == 302
    assert amounts_of(member)[1] == Decimal('2.5')


@pytest.mark.parametrize(
    ('fund', 'amount', 'text'),
    [
        ('lamp', '0', 'greater than zero'),
        ('lamp', '1,000', 'greater than zero'),
        ('lamp', '<b>', 'greater than zero'),
        ('partner', '1', 'takes no donations now'),
        ('lamp', '99', 'You can give 5 coins at most'),
    ],
)
def test_refusals_are_told_kindly_and_keep_what_was_typed(mine, play, member, fund, amount, text):
    make_fund()
    make_fund('partner', donatable=False)
    rich(play, member)
    answer = mine.post('/gamification/my/wallet', data={'fund_id': fund, 'amount': amount, 'key': 'k'})
    assert answer.status_code == 400
    assert text in answer.text
    assert f'value="{amount.replace("<", "&lt;").replace(">", "&gt;")}"' in answer.text
    assert form_of(answer.text)['key'] != 'k'
    assert amounts_of(member)[1] == 5


def test_totals_add_up(mine, play, member):
    make_fund(logo=picture())
    rich(play, member)
    mine.post('/gamification/donations', data={'fund_id': 'lamp', 'amount': '1.5'})
    page = mine.get('/gamification/totals').text
    numbers = re.findall(r'<dd>([\d.]+)</dd>', page)
    assert numbers == ['2', '0', '10', '1.5', '1', '1', '0', '1.5']
    assert 'Donated: 1.5 EUR' in page


def test_time_of_an_event_is_that_of_the_volunteer(mine, play, member):
    mine.post('/account/time-zone/browser', data={'zone': 'Asia/Tokyo'})
    since = state_of(member)['zones'][0]['since']
    play.answer(member, at=since.replace(year=since.year + 1, month=6, day=1, hour=20, minute=30, tzinfo=UTC))
    year = since.year + 1
    assert f'Jun 2, {year}, 5:30' in mine.get('/gamification/my/events').text
    assert datetime(year, 6, 1, 20, 30, tzinfo=UTC) > datetime(2026, 1, 1, tzinfo=UTC)


def test_page_made_for_somebody_else_is_told_nothing(mine):
    response = mine.get('/gamification/news', headers={'X-Vulyk-User': str(make_user().id)})
    assert (response.status_code, response.json['result']) == (401, {})


def test_scripts_styles_and_pictures_are_served(client):
    for name in ('game.js', 'game.css', 'badges/cell.svg', 'badges/first-cell.svg'):
        with client.get(f'/gamification/static/{name}?v=1') as answer:
            assert (answer.status_code, answer.cache_control.max_age) == (200, 365 * 24 * 3600)


def test_closed_site_has_its_styles(app, login, member, monkeypatch):
    monkeypatch.setitem(app.config, 'SITE_IS_CLOSED', True)
    browser = login(member)
    styles = re.findall(r'href="(/[^"]+\.css[^"]*)"', browser.get('/').text)
    assert any('/gamification/' in style for style in styles)
    assert {browser.get(style, buffered=True).status_code for style in styles} == {200}
