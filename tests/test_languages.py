"""Which language people get to read."""

import pytest
from flask_babel import force_locale, gettext, ngettext

from tests.factories import make_user
from vulyk import languages
from vulyk.accounts import mails
from vulyk.models.exc import InitializationError

BOTH = ['en', 'uk']


@pytest.fixture
def speak(app, monkeypatch):
    """Sets what the site says about languages."""

    def change(language=None, languages=BOTH):
        monkeypatch.setitem(app.config, 'LANGUAGE', language)
        monkeypatch.setitem(app.config, 'LANGUAGES', languages)

    change()
    return change


def language_of(browser, asked: str = 'en') -> str:
    return browser.get('/sign-in', headers={'Accept-Language': asked}).text.partition('lang="')[2][:2]


@pytest.mark.parametrize(
    ('asked', 'language'),
    [('uk-UA,uk;q=0.9,en;q=0.8', 'uk'), ('en-GB', 'en'), ('fr, uk;q=0.2', 'uk'), ('fr', 'en'), ('', 'en')],
)
def test_browser_decides_for_visitors(client, speak, asked, language):
    assert language_of(client, asked) == language


def test_first_language_is_for_browsers_that_ask_for_none_of_them(client, speak):
    speak(languages=['uk', 'en'])
    assert language_of(client, 'fr') == 'uk'


@pytest.mark.parametrize(
    ('setting', 'language'), [('ua', 'uk'), ('uk', 'uk'), ('RU', 'ru'), ('en', 'en'), ('xx', 'en'), ('../x', 'en')]
)
def test_setting_is_stronger_than_the_browser(client, speak, setting, language):
    speak(setting)
    assert language_of(client, 'en' if language == 'uk' else 'uk') == language


def test_account_is_stronger_than_the_setting(login, speak):
    speak('ua')
    mine = login(make_user(language='en'))
    assert ' lang="en"' in mine.get('/account').text


def test_language_is_chosen_in_the_account(login, speak):
    ada = make_user()
    mine = login(ada)
    page = mine.post('/account/language', data={'language-language': 'uk'}, follow_redirects=True).text
    assert (ada.reload().language, 'lang="uk"' in page) == ('uk', True)
    assert mine.post('/account/language', data={'language-language': ''}).status_code == 302
    assert ada.reload().language == ''


@pytest.mark.parametrize('language', ['de', 'xx', '../x', 'a\0b'])
def test_language_without_texts_is_refused(login, speak, language):
    ada = make_user()
    assert login(ada).post('/account/language', data={'language-language': language}).status_code == 422
    assert ada.reload().language == ''


def test_page_is_ukrainian_from_its_title_to_its_foot(client, speak):
    page = client.get('/sign-in', headers={'Accept-Language': 'uk'}).text
    for text in ('<title>Увійти', 'Адреса ел. пошти', 'Забули пароль?', 'Умови та приватність', 'Перейти до вмісту'):
        assert text in page


@pytest.mark.parametrize(
    ('number', 'text'),
    [(1, '1 відповідь'), (3, '3 відповіді'), (21, '21 відповідь'), (112, '112 відповідей')],
)
def test_ukrainian_has_three_plural_forms(app, speak, number, text):
    with app.test_request_context(), force_locale('uk'):
        assert ngettext('%(num)s answer today.', '%(num)s answers today.', number) == f'{text} сьогодні.'


def test_texts_of_a_plugin_come_from_its_own_folder(app, tmp_path, monkeypatch):
    folder = tmp_path / 'translations' / 'uk' / 'LC_MESSAGES'
    folder.mkdir(parents=True)
    (folder / 'messages.po').write_text(
        'msgid "Buzz"\nmsgstr "Дзиж"\n\nmsgid "Skip"\nmsgstr "Геть"\n', encoding='utf-8'
    )
    monkeypatch.setitem(app.extensions, languages.TEXTS, list(app.extensions[languages.TEXTS]))
    languages.add_folder(app, tmp_path)
    with app.test_request_context(), force_locale('uk'):
        assert (gettext('Buzz'), gettext('Skip')) == ('Дзиж', 'Пропустити')


@pytest.mark.parametrize(('own', 'asked', 'tongue'), [('uk', 'en', 'uk'), ('', 'uk', 'uk'), ('de', '', 'en')])
def test_mails_are_in_the_language_of_who_gets_them(app, speak, own, asked, tongue):
    make_user(email='ada@example.org', language=own)
    with app.app_context():
        assert mails.language_of('ada@example.org', asked) == tongue


@pytest.mark.parametrize('wrong', [[], 'uk', ['xx'], [None]])
def test_site_without_a_usable_language_does_not_start(make_app, wrong):
    with pytest.raises(InitializationError, match='LANGUAGES'):
        make_app(LANGUAGES=wrong)


def test_settings_may_be_given_in_several_languages(make_app):
    app = make_app(SITE_NAME={'uk': 'Рій', 'en': 'Swarm'})
    with app.test_request_context(headers={'Accept-Language': 'uk'}):
        assert str(app.config['SITE_NAME']) == 'Рій'
    with app.test_request_context(headers={'Accept-Language': 'en'}):
        assert str(app.config['SITE_NAME']) == 'Swarm'
