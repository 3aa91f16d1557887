"""Where settings come from."""

import os
import subprocess
import sys

import pytest

from vulyk.bootstrap import _config
from vulyk.bootstrap._application import VulykFlask
from vulyk.models.exc import InitializationError


@pytest.fixture
def configured(here):
    """The application with the settings of the current folder: ``configured()``; a mapping: ``configured({…})``."""

    def build(config=None) -> VulykFlask:
        app = VulykFlask('vulyk', static_folder=None, template_folder=None)
        _config.init(app, config)
        return app

    return build


def test_absence_of_local_settings_is_silent(configured, caplog):
    app = configured()
    assert (app.config['SITE_NAME'], app.config['SECRET_KEY'], app.config['DEBUG']) == ('Vulyk workspace', None, False)
    assert app.settings_source.startswith('defaults')
    assert caplog.text == ''


def test_local_settings_win_over_defaults_and_environment(configured, here, monkeypatch):
    monkeypatch.setenv('SITE_TITLE', 'from the environment')
    path = here("SITE_TITLE = 'from the folder'\nlower = 1\n")
    app = configured()
    assert (app.config['SITE_TITLE'], app.settings_source) == ('from the folder', str(path))


def test_caller_wins_over_everything(configured, here, monkeypatch):
    monkeypatch.setenv('SITE_TITLE', 'from the environment')
    here("SITE_TITLE = 'from the folder'\n")
    assert configured({'SITE_TITLE': 'given'}).config['SITE_TITLE'] == 'given'


BROKEN = {
    'import error inside': ('import no_such_module\n', "ModuleNotFoundError: No module named 'no_such_module'"),
    'name error': ('SECRET_KEY = KEY\n', "NameError: name 'KEY' is not defined"),
    'syntax error': ("SECRET_KEY = '\n", 'SyntaxError: '),
    'any exception': ('1 / 0\n', 'ZeroDivisionError'),
}


@pytest.mark.parametrize(('text', 'reason'), BROKEN.values(), ids=BROKEN)
def test_error_in_local_settings_is_told_instead_of_running_on_defaults(configured, here, text, reason):
    here(text)
    with pytest.raises(InitializationError, match='local_settings cannot be read') as refusal:
        configured()
    assert reason in str(refusal.value)


@pytest.mark.parametrize(
    ('name', 'text', 'value'),
    [
        ('SECRET_KEY', 'a key', 'a key'),
        ('DEBUG', 'True', True),
        ('DEBUG', 't', True),
        ('DEBUG', '0', False),
        ('SITE_IS_CLOSED', 'False', False),
        ('SITE_IS_CLOSED', '', False),
        ('ENABLE_ADMIN', 'yes', True),
        ('ENABLED_TASKS', 'a:B, c:D', {'a': 'B', 'c': 'D'}),
        ('ENABLED_TASKS', '', {}),
        ('LOGGING_MAX_FILE_BYTES', '100', 100),
    ],
)
def test_environment_variable_is_converted_to_its_kind(configured, monkeypatch, name, text, value):
    monkeypatch.setenv(name, text)
    assert configured().config[name] == value


@pytest.mark.parametrize(
    ('name', 'text'),
    [('DEBUG', 'perhaps'), ('SITE_IS_CLOSED', 'closed'), ('LOGGING_MAX_FILE_BYTES', 'many'), ('ENABLED_TASKS', 'a,b')],
)
def test_environment_variable_that_cannot_be_converted_is_named(configured, monkeypatch, name, text):
    monkeypatch.setenv(name, text)
    with pytest.raises(InitializationError, match=f'Environment variable {name}: '):
        configured()


def test_database_may_be_named_in_the_environment(configured, monkeypatch):
    for name, text in {'mongodb_db': 'd', 'mongodb_host': 'h', 'mongodb_port': '1', 'mongodb_username': ''}.items():
        monkeypatch.setenv(name, text)
    assert configured().config['MONGODB_SETTINGS'] == {
        'DB': 'd', 'HOST': 'h', 'PORT': '1', 'USERNAME': None, 'PASSWORD': None
    }  # fmt: skip


@pytest.mark.parametrize('value', ['1', 'yes', ''])
def test_unknown_environment_variable_is_no_setting(configured, monkeypatch, value):
    monkeypatch.setenv('NO_SUCH_SETTING', value)
    assert 'NO_SUCH_SETTING' not in configured().config


# --- the database's settings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'wrong',
    [
        {'DB': 'x', 'PORT': 'many'},
        {'DB': 'x', 'HOST': 'mongodb://a b:c/'},
        {'DB': 'x', 'HOST': 'mongodb://'},
        {'DB': 'x', 'NO_SUCH_OPTION': 1},
        {'DB': 'a b'},
        'mongodb://localhost/x',
    ],
    ids=str,
)
def test_impossible_database_settings_are_told_in_a_sentence(make_app, wrong, _kept):
    _kept.clear()
    with pytest.raises(InitializationError, match='MONGODB_SETTINGS'):
        make_app(MONGODB_SETTINGS=wrong)


@pytest.mark.parametrize('prefix', ['', 'MONGODB_', 'mongodb_'])
def test_database_settings_may_carry_the_prefix_of_old_versions(make_app, settings, app, prefix):
    given = {f'{prefix}{key}' if prefix != 'mongodb_' else f'{prefix}{key.lower()}': value
             for key, value in settings['MONGODB_SETTINGS'].items()}  # fmt: skip
    assert make_app(MONGODB_SETTINGS=given).test_client().get('/').status_code == 200


# --- the secret key ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('key', [None, '', 'random-secret-key', 'dev', 'secret'])
def test_site_without_a_secret_of_its_own_answers_503_with_what_to_do(make_app, app, key):
    client = make_app(SECRET_KEY=key).test_client()
    page, json = client.get('/'), client.get('/type/plain_task/next')
    assert (page.status_code, page.mimetype, json.status_code) == (503, 'text/html', 503)
    assert 'SECRET_KEY is not set' in page.text
    assert 'python -c' in page.text
    assert (json.json['result'], 'SECRET_KEY' in json.json['errors'][0]) == ({}, True)


def test_page_about_the_missing_secret_has_its_styles(make_app, app):
    client = make_app(SECRET_KEY=None).test_client()
    (style,) = [part for part in client.get('/').text.split('"') if part.startswith('/static/styles/packed.css')]
    assert client.get(style, buffered=True).status_code == 200


def test_secret_may_be_given_after_the_application_was_built(make_app, app):
    site = make_app(SECRET_KEY=None)
    site.config['SECRET_KEY'] = 'late but long enough'
    assert site.test_client().get('/').status_code == 200


@pytest.mark.parametrize('key', ['', "SECRET_KEY = 'random-secret-key'\n"])
def test_run_without_a_secret_of_its_own_exits_1(here, settings, key):
    kept = {name: settings[name] for name in ('MONGODB_SETTINGS', 'ASSETS_FOLDER')}
    path = here(key + ''.join(f'{name} = {value!r}\n' for name, value in kept.items()))
    command = [sys.executable, '-c', 'from vulyk.control import main; main()', 'run', '--port', '0']
    environ = {**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}
    done = subprocess.run(
        command, cwd=path.parent, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, 'SECRET_KEY is not set' in done.stderr) == (1, True)
    assert 'Traceback' not in done.stderr
