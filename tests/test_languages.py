"""Which language people get to read."""

import pytest

from tests.factories import make_user

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
    assert '<html class="vk-html" lang="en"' in mine.get('/account').text


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
