"""Default settings, and those of the environment."""

import pytest

from vulyk import settings
from vulyk.settings import from_environment


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('SECRET_KEY', None),
        ('DEBUG', False),
        ('SESSION_COOKIE_NAME', 'vulyk_session'),
        ('SESSION_PROTECTION', 'basic'),
        ('ENABLED_TASKS', {}),
        ('DEFAULT_BATCH', 'default'),
        ('SITE_IS_CLOSED', False),
        ('SITE_NAME', 'Vulyk workspace'),
        ('SITE_MOTTO', 'Vulyk: crowdsourcing platform'),
        ('TEMPLATE_BASE_FOLDERS', []),
        ('ENABLE_ADMIN', False),
        ('REDIRECT_USER_AFTER_LOGIN', True),
        ('JS_ASSETS_OUTPUT', 'scripts/packed.js'),
        ('CSS_ASSETS_OUTPUT', 'styles/packed.css'),
        ('JS_ASSETS_FILTERS', 'rjsmin'),
        ('CSS_ASSETS_FILTERS', 'rcssmin'),
        ('COLLECT_PLUGIN_DIR_PREFIX', 'plugin_'),
        ('MAX_RESULT_BYTES', 8 * 1024 * 1024),
        ('LOGGING_FORMAT', '%(asctime)s - %(name)s - %(levelname)s - %(message)s'),
        ('LOGGING_MAX_FILE_BYTES', 10 * 1024 * 1024),
    ],
)
def test_setting_has_its_documented_default(name, value):
    assert getattr(settings, name) == value


def test_empty_environment_sets_nothing():
    assert from_environment({}) == {}


@pytest.mark.parametrize('text', ['1', 'true', 'True', 'TRUE', 't', 'yes', 'on', ' true '])
def test_words_for_yes(text):
    assert from_environment({'DEBUG': text}) == {'DEBUG': True}


@pytest.mark.parametrize('text', ['0', 'false', 'False', 'f', 'no', 'off', '', ' '])
def test_words_for_no(text):
    assert from_environment({'SITE_IS_CLOSED': text}) == {'SITE_IS_CLOSED': False}


@pytest.mark.parametrize(
    ('name', 'text', 'reason'),
    [
        ('DEBUG', 'maybe', "Environment variable DEBUG: 'maybe' is not a truth value; write true or false"),
        ('ENABLED_TASKS', 'a', 'Environment variable ENABLED_TASKS: '),
        ('ENABLED_TASKS', 'a:', 'Environment variable ENABLED_TASKS: '),
        ('LOGGING_MAX_FILE_BYTES', 'x', 'Environment variable LOGGING_MAX_FILE_BYTES: '),
    ],
)
def test_value_that_cannot_be_read_is_named(name, text, reason):
    with pytest.raises(ValueError, match=f'^{reason[:40]}') as refusal:
        from_environment({name: text})
    assert reason in str(refusal.value)


def test_tasks_are_listed_as_package_and_class():
    assert from_environment({'ENABLED_TASKS': 'a:B,, c : D '}) == {'ENABLED_TASKS': {'a': 'B', 'c': 'D'}}


def test_database_variables_change_only_what_they_name():
    found = from_environment({'mongodb_db': 'other', 'mongodb_password': 'x'})
    assert found == {'MONGODB_SETTINGS': {**settings.MONGODB_SETTINGS, 'DB': 'other', 'PASSWORD': 'x'}}
