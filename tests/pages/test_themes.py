"""Pages replaced by a plugin: ``TEMPLATE_BASE_FOLDERS``."""

import jinja2
import pytest

from tests import factories
from tests.factories import make_user
from vulyk.bootstrap import _templates

TEMPLATES = {
    'base/index.html': '<h1>Theme {{ task_types|length }}</h1>{{ user.username|strip_email }}{{ init }}{{ csrf_token() }}',
    'base/_hello_block.html': '<p id="theme-hello">{{ config.SITE_NAME }}</p>',
    'base/task.html': '{% extends "base/task.html" %}{% block helptext %}<p id="theme-help"></p>{% endblock %}',
    'base/leaderboard.html': '<ol>{% for row in leaders %}<li>{{ row.rank }}</li>{% endfor %}</ol>{{ task_type.name }}',
    'base/_nav.html': '<nav id="theme-nav"></nav>',
    'base/_holding_page.html': '<p id="theme-closed"></p>',
    'base/_instruction.html': '<p id="theme-instruction"></p>',
}


@pytest.fixture
def theme(make_app, app):
    """Makes a site whose folder ``plain_task`` holds these page templates: ``theme('base/index.html', SETTING=…)``."""

    def make(*names: str, **settings):
        site = make_app(TEMPLATE_BASE_FOLDERS=['plain_task'], REDIRECT_USER_AFTER_LOGIN=False, **settings)
        ours = jinja2.DictLoader({name: TEMPLATES[name] for name in names})
        plugin = site.extensions[_templates._PREFIXES]['plain_task']
        _templates.add_prefix(site, 'plain_task', jinja2.ChoiceLoader([ours, plugin]))
        site.jinja_env.cache.clear()
        return site

    return make


def signed_in(site, user):
    browser = site.test_client()
    with browser.session_transaction() as session:
        session.update(factories.signed_in(user))
    return browser


def test_page_of_the_theme_takes_the_place_of_the_sites_own(theme):
    user = make_user(username='ada@example.org')
    text = signed_in(theme('base/index.html'), user).get('/').text
    assert text.startswith('<h1>Theme 1</h1>adaTrue')


def test_public_page_can_be_replaced(theme):
    assert 'id="theme-hello"' in theme('base/_hello_block.html').test_client().get('/').text


def test_holding_page_can_be_replaced(theme):
    assert 'id="theme-closed"' in theme('base/_holding_page.html', SITE_IS_CLOSED=True).test_client().get('/').text


@pytest.mark.parametrize(
    ('name', 'path', 'mark'),
    [
        ('base/task.html', '/type/plain_task/', 'id="theme-help"'),
        ('base/leaderboard.html', '/type/plain_task/leaders', '<ol></ol>Plain tasks'),
        ('base/_nav.html', '/', 'id="theme-nav"'),
        ('base/_instruction.html', '/type/plain_task/', 'id="theme-instruction"'),
    ],
)
def test_parts_for_volunteers_can_be_replaced(theme, name, path, mark):
    assert mark in signed_in(theme(name), make_user()).get(path).text


def test_what_a_theme_does_not_bring_is_the_sites_own(theme):
    assert 'id="user-stats"' in signed_in(theme('base/index.html'), make_user()).get('/type/plain_task/').text


@pytest.mark.parametrize(('setting', 'evil'), [({}, True), ({'THEME_FRONTEND': 'bootstrap5'}, False)])
def test_theme_gets_the_legacy_libraries_unless_it_says_otherwise(theme, setting, evil):
    response = signed_in(theme('base/index.html', **setting), make_user()).get('/')
    assert ("'unsafe-eval'" in response.headers['Content-Security-Policy']) is evil


def test_folder_that_does_not_exist_changes_nothing(make_app, app):
    site = make_app(TEMPLATE_BASE_FOLDERS=['no_such_folder'])
    assert 'id="public-homepage"' in site.test_client().get('/').text
