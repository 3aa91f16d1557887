"""The pages people see."""

import re

import pytest

from tests.factories import answer, make_group, make_tasks, make_user
from vulyk.models.user import Group

PAGES = ['/type/plain_task/', '/type/plain_task/leaders']


# --- the home page ----------------------------------------------------------------------------------------------------


def test_visitor_sees_the_public_page(client, app, monkeypatch):
    monkeypatch.setitem(app.config, 'SITE_NAME', 'Hive <b>one</b>')
    text = client.get('/').text
    assert 'id="public-homepage"' in text
    assert 'Hive &lt;b&gt;one&lt;/b&gt;' in text
    assert 'href="/sign-in"' in text


@pytest.mark.parametrize(
    ('setting', 'kept', 'removed'),
    [
        ('WARM_WELCOME', '<em>hello</em>', '<script>alert(1)</script>'),
        ('WARM_WELCOME', '<em>hello</em>', '<img src=x onerror=alert(1)>'),
    ],
)
def test_texts_of_the_operator_are_sanitised(client, app, monkeypatch, setting, kept, removed):
    monkeypatch.setitem(app.config, setting, kept + removed)
    text = client.get('/').text
    assert kept in text
    assert 'alert(1)' not in text


def test_words_of_thanks_are_on_the_task_page(member, app, monkeypatch):
    monkeypatch.setitem(app.config, 'THANKS_TASK_MESSAGE', '<b>Merci</b><script>alert(1)</script>')
    text = member.get('/type/plain_task/').text
    assert '<b>Merci</b>' in text
    assert 'alert(1)' not in text


def test_only_project_of_a_volunteer_is_opened_at_once(member):
    response = member.get('/')
    assert (response.status_code, response.location) == (302, '/type/plain_task/')


def test_home_page_stays_when_the_setting_says_so(member, app, monkeypatch, plain):
    monkeypatch.setitem(app.config, 'REDIRECT_USER_AFTER_LOGIN', False)
    make_tasks(plain, 2)
    text = member.get('/').text
    assert 'id="task-list"' in text
    assert 'Plain tasks' in text
    assert 'Tasks made of a number' in text


def test_several_projects_are_listed_and_others_are_not(app, member, user, monkeypatch):
    for name in ('second', 'third'):
        kind = type(app.task_types['plain_task'])({})
        kind.type_name, kind.name = name, f'The {name}'
        monkeypatch.setitem(app.task_types, name, kind)
    user.update(push__groups=make_group('more', ['second']))
    text = member.get('/').text
    assert 'The second' in text
    assert 'The third' not in text


def test_volunteer_without_projects_is_told_so(member, user):
    user.update(set__groups=[])
    assert 'There is no project for you yet' in member.get('/').text


def test_site_that_is_not_set_up_says_how(member):
    Group.objects.delete()
    assert 'python manage.py init' in member.get('/').text


# --- the pages of a project -------------------------------------------------------------------------------------------


def test_task_page_holds_what_plugins_rely_on(member):
    text = member.get('/type/plain_task/').text
    assert '<p id="plain">Plain</p>' in text
    assert re.search(r'id="current_task"[^>]*data-type="plain_task"', text)
    for part in ('class="site-wrapper', 'id="user-stats"', 'id="save-button"', 'id="skip-button"', 'id="tag_hints"'):
        assert part in text
    assert text.index('class="site-wrapper') < text.index('id="current_task"') < text.index('id="plain"')


def test_task_page_without_its_slash_is_redirected(member):
    response = member.get('/type/plain_task')
    assert (response.status_code, response.location) == (308, 'http://localhost/type/plain_task/')


@pytest.mark.parametrize('help_template', ['', 'no_such_help.html'])
def test_task_page_without_help_of_its_own_explains_the_site(member, plain, monkeypatch, help_template):
    monkeypatch.setattr(plain, 'helptext_template', help_template, raising=False)
    assert 'How it works' in member.get('/type/plain_task/').text


def test_leaders_are_shown_with_their_public_names(member, plain):
    ada = make_user(username='ada@old.example', email='ada@old.example')
    answer(plain, make_tasks(plain, 1)[0], ada)
    text = member.get('/type/plain_task/leaders').text
    assert '>ada<' in re.sub(r'\s+', '', text)
    assert 'old.example' not in text


def test_my_own_place_is_shown_even_behind_the_first_ten(member, user, plain):
    tasks = make_tasks(plain, 2, batch=None)
    for person in [make_user() for _ in range(10)]:
        for task in tasks:
            answer(plain, task, person)
    answer(plain, tasks[0], user)
    assert user.username in member.get('/type/plain_task/leaders').text.split('<tbody')[-1]


def test_nobody_has_answered_yet(member):
    assert 'Nobody has answered yet' in member.get('/type/plain_task/leaders').text


@pytest.mark.parametrize('path', PAGES)
def test_page_of_a_project_needs_a_sign_in(client, path):
    response = client.get(path)
    assert response.status_code == 302
    assert response.location.startswith('/sign-in?next=')


@pytest.mark.parametrize('path', PAGES)
def test_page_of_a_project_is_closed_to_others(login, path):
    user = make_user()
    user.update(set__groups=[])
    response = login(user).get(path)
    assert (response.status_code, response.mimetype) == (403, 'text/html')
    assert 'plain_task' in response.text


@pytest.mark.parametrize('path', PAGES)
def test_page_of_an_unknown_project_is_404(member, path):
    response = member.get(path.replace('plain_task', 'no_such_type'))
    assert (response.status_code, response.mimetype) == (404, 'text/html')
    assert 'no_such_type' in response.text


@pytest.mark.parametrize('path', PAGES)
def test_user_who_was_switched_off_is_sent_to_the_sign_in(member, user, path):
    user.update(set__active=False)
    assert member.get(path).status_code == 302


@pytest.mark.parametrize(
    'path', ['/no/such/page', '/type/', '/type/plain_task/no_such_action', '/static/no.js', '/%00']
)
def test_unknown_address_is_a_page_with_the_way_home(client, path):
    response = client.get(path)
    assert (response.status_code, response.mimetype) == (404, 'text/html')
    assert 'href="/"' in response.text


def test_name_of_an_unknown_project_is_escaped(member):
    assert '<img' not in member.get('/type/<img src=x>/').text.split('There is no project')[1].split('</p>')[0]


def test_no_page_shows_an_address(member, user, plain):
    answer(plain, make_tasks(plain, 2)[0], user)
    for path in ('/', *PAGES):
        assert user.email not in member.get(path, follow_redirects=True).text


# --- a closed site ----------------------------------------------------------------------------------------------------


@pytest.fixture
def closed(app, monkeypatch):
    """The site is closed."""
    monkeypatch.setitem(app.config, 'SITE_IS_CLOSED', True)


@pytest.mark.parametrize('path', ['/', *PAGES, '/no/such/page'])
def test_closed_site_shows_its_holding_page(closed, client, member, path):
    for somebody in (client, member):
        response = somebody.get(path)
        assert (response.status_code, 'id="holding-page"' in response.text) == (503, True)


@pytest.mark.parametrize('path', PAGES)
def test_closed_site_is_open_to_admins(closed, login, path):
    assert login(make_user(admin=True)).get(path).status_code == 200


def test_admin_can_sign_in_to_a_closed_site(closed, client):
    make_user(email='ada@example.org', password='correct horse', admin=True)
    assert client.get('/sign-in').status_code == 200
    client.post('/sign-in', data={'email': 'ada@example.org', 'password': 'correct horse'})
    assert client.get('/type/plain_task/').status_code == 200


def test_member_can_sign_out_of_a_closed_site(closed, member):
    assert member.post('/logout').status_code == 302


def test_closed_site_still_serves_its_styles(closed, client):
    assert client.get('/static/images/favicon.svg', buffered=True).status_code == 200


# --- errors -----------------------------------------------------------------------------------------------------------


def test_crash_is_a_sentence_without_a_traceback(app, member, monkeypatch):
    def crash(*args, **kwargs):
        raise RuntimeError('secret detail')

    monkeypatch.setitem(app.config, 'PROPAGATE_EXCEPTIONS', False)
    monkeypatch.setattr(app.task_types['plain_task'], 'get_leaderboard', crash)
    monkeypatch.setattr(app.task_types['plain_task'], 'next_with_stats', crash)
    page, json = member.get('/type/plain_task/leaders'), member.get('/type/plain_task/next')
    assert (page.status_code, page.mimetype, json.status_code) == (500, 'text/html', 500)
    assert json.json['result'] == {}
    for response in (page, json):
        assert 'secret detail' not in response.text
        assert 'Traceback' not in response.text
