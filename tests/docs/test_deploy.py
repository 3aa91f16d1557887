"""The files and commands of docs/deploy fit the code: units, containers, settings, commands."""

import configparser
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner
from mongoengine.connection import get_connection

from tests.factories import empty_database
from vulyk import control, gunicorn_conf, settings
from vulyk.models import database

ROOT = Path(__file__).parents[2]
FILES = ROOT / 'docs' / 'deploy' / 'files'
UNITS = sorted(FILES.glob('*.service'))
COMPOSE = yaml.safe_load((FILES / 'compose.yaml').read_text())
PAGES = {path.name: path.read_text(encoding='utf-8') for path in (ROOT / 'docs' / 'deploy').glob('*.rst')}
LOCAL_SETTINGS = re.compile(r':caption: local_settings\.py\n\n((?: +.*\n|\n)+)')
OF_OTHERS = {'WEB_CONCURRENCY', 'LOG_FORMAT'}  # variables that gunicorn and its configuration read


# --- units ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('unit', UNITS, ids=lambda path: path.name)
def test_unit_starts_what_the_package_installs(unit):
    service = configparser.ConfigParser(strict=False, interpolation=None, delimiters=('=',))
    service.optionxform = str
    service.read(unit)
    facts = service['Service']
    program, *arguments = shlex.split(facts['ExecStart'])
    assert Path(program).parent == Path(facts['WorkingDirectory'], 'venv', 'bin')
    if Path(program).name == 'vulyk':
        assert_is_command(arguments)
    else:
        assert arguments == ['--config', f'python:{gunicorn_conf.__name__}']
    assert facts['ReadWritePaths'] in PAGES['index.rst']


@pytest.mark.skipif(shutil.which('systemd-analyze') is None, reason='systemd is not installed')
def test_systemd_finds_no_fault_with_the_units(tmp_path):
    for unit in UNITS:
        text = unit.read_text().replace('/srv/vulyk/venv/bin/', f'{Path(sys.executable).parent}/')
        tmp_path.joinpath(unit.name).write_text(text)
    command = ['systemd-analyze', 'verify', '--man=no', *map(str, sorted(tmp_path.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    ours = [line for line in done.stderr.splitlines() if 'vulyk' in line]
    assert ours == []


# --- containers -------------------------------------------------------------------------------------------------------


def variables(service: str) -> dict[str, str]:
    """The variables of a service; what stands in .env is there."""
    secrets = {'SECRET_KEY': 'a-key', 'mongodb_password': 'a-password', 'SITE_ADDRESS': 'vulyk.example.org'}
    found = COMPOSE['services'][service]['environment']
    return {
        name: re.sub(r'\$\{(\w+):\?[^}]*\}', lambda match: secrets[match[1]], value) for name, value in found.items()
    }


@pytest.mark.parametrize('service', ['web', 'worker'])
def test_variables_of_the_containers_are_those_the_site_reads(service):
    known = {*settings._FROM_ENVIRONMENT, *settings._MONGODB_VARIABLES, *OF_OTHERS}
    assert set(variables(service)) <= known


def test_site_is_built_from_the_settings_of_the_containers(make_app, app, monkeypatch, _kept):
    for name, value in variables('web').items():
        monkeypatch.setenv(name, value)
    given = {key: value for key, value in runpy.run_path(str(FILES / 'container_settings.py')).items() if key.isupper()}
    own = {key: value for key, value in given.items() if key not in ('ASSETS_FOLDER', 'ENABLED_TASKS')}
    found = {**settings.from_environment(variables('web')), **own}
    site = make_app(**found)
    options = get_connection().options.pool_options._credentials
    assert (options.username, options.password, options.source) == ('vulyk', 'a-password', 'admin')
    assert get_connection()._topology_settings.replica_set_name == 'vulyk'
    assert (site.config['SITE_URL'], site.config['BACKGROUND_THREAD']) == ('https://vulyk.example.org', False)
    _kept.clear()
    make_app()


def test_every_project_of_the_containers_is_a_plugin_of_the_repository():
    given = runpy.run_path(str(FILES / 'container_settings.py'))['ENABLED_TASKS']
    assert all((ROOT / 'plugins' / package / 'setup.py').is_file() for package in given)


def test_containers_wait_for_each_other_and_have_what_they_name():
    services = COMPOSE['services']
    assert set(services) == {'web', 'worker', 'mongo', 'caddy'}
    assert (
        services['web']['depends_on'] == services['worker']['depends_on'] == {'mongo': {'condition': 'service_healthy'}}
    )
    assert_is_command(services['worker']['command'][1:])
    named = {volume.split(':')[0] for service in services.values() for volume in service.get('volumes', [])}
    assert named == set(COMPOSE['volumes'])
    build = COMPOSE['x-vulyk']['build']
    assert (FILES / build['context'] / build['dockerfile']).samefile(FILES / 'Containerfile')
    major, minor = map(int, services['mongo']['image'].rpartition(':')[2].split('.'))
    assert database.outdated(f'{major}.{minor}.0', date(2026, 11, 21)) == ''


def test_container_is_made_of_what_is_in_the_repository():
    text = (FILES / 'Containerfile').read_text()
    copied = [name for line in re.findall(r'^COPY (.*)', text, re.MULTILINE) for name in line.split()[:-1]]
    assert [name for name in copied if not (ROOT / name).exists()] == []
    command = re.search(r'^CMD (.*)', text, re.MULTILINE)[1]
    assert f'python:{gunicorn_conf.__name__}' in command
    extras = re.search(r'/build\[(\w+)\]', text)[1]
    assert f"'{extras}': " in (ROOT / 'setup.py').read_text()


# --- pages ------------------------------------------------------------------------------------------------------------


def assert_is_command(words: list[str]) -> None:
    """These words begin with a command of ours."""
    found: Any = control.cli
    for word in words:
        if not isinstance(found, click.Group):
            return
        assert word in found.commands, words
        found = found.commands[word]
    assert not isinstance(found, click.Group), words


@pytest.mark.parametrize('page', sorted(PAGES))
def test_commands_of_a_page_exist(page):
    lines = re.findall(
        r'^ +(?:.*?(?:sudo -u vulyk |exec web |worker ))?(?:venv/bin/)?vulyk (\w.*)$', PAGES[page], re.MULTILINE
    )
    for line in lines:
        assert_is_command(shlex.split(line, comments=True))
    assert lines or page == 'operations.rst'


@pytest.fixture
def new_site(make_app, app, tmp_path, settings, _kept):
    """The site of the page about Debian: the example of settings, and what the page puts into it."""
    given = runpy.run_path(str(ROOT / 'local_settings.example.py'))
    block = LOCAL_SETTINGS.search(PAGES['index.rst'])[1]
    exec('\n'.join(re.findall(r'^ +([A-Z_]+ = .*)', block, re.MULTILINE)), given)
    own = {key: value for key, value in given.items() if key.isupper()}
    for name in ('COLLECT_STATIC_ROOT', 'ASSETS_FOLDER'):
        assert own[name].startswith('/srv/vulyk/instance/')
        own[name] = str(tmp_path / name)
    own |= {name: settings[name] for name in ('SECRET_KEY', 'MONGODB_SETTINGS')}
    empty_database()
    yield make_app(**own)
    _kept.clear()
    make_app()


def test_settings_and_commands_of_a_page_make_a_site(new_site, monkeypatch):
    monkeypatch.setattr(control, 'build', lambda config=None: new_site)
    lines = re.findall(r'sudo -u vulyk venv/bin/vulyk (.*)', PAGES['index.rst'])
    assert [line.split()[0] for line in lines] == ['admin', 'init', 'doctor']
    typed = 'ann@example.org\nann\nquiet heron at dusk\nquiet heron at dusk\n'
    created, opened, examined = (CliRunner().invoke(control.cli, shlex.split(line), input=typed) for line in lines)
    assert (created.exit_code, opened.exit_code) == (0, 0), created.output + opened.output
    wrong = [line.split()[1] for line in examined.stdout.splitlines() if line.startswith('WRONG')]
    assert wrong == ['worker:']  # which is the next step
    assert new_site.test_client().get('/readyz').status_code == 200


@pytest.mark.parametrize('page', sorted(PAGES))
def test_settings_and_files_of_a_page_exist(page):
    for block in LOCAL_SETTINGS.findall(PAGES[page]):
        assert [
            name for name in re.findall(r'^ +([A-Z_]+) = ', block, re.MULTILINE) if not hasattr(settings, name)
        ] == []
    for name in re.findall(r'docs/deploy/files/([\w.*-]+)', PAGES[page]):
        assert list(FILES.glob(name)), name


# --- the server -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('version', 'is_old'),
    [
        ('4.2.1', True),
        ('4.4.9', True),
        ('6.0.5', True),
        ('6.3.0', True),
        ('7.0.1', False),
        ('8.0.4', False),
        ('9.1.0', False),
    ],
)
def test_server_that_nobody_mends_any_more_is_told(version, is_old):
    said = database.outdated(version, date(2026, 11, 21))
    assert said.startswith(f'MongoDB {version} gets no more corrections') is is_old


def test_old_server_is_a_warning_in_production_only(make_app, app, caplog, monkeypatch):
    monkeypatch.setitem(database.END_OF_LIFE, (6, 0), date(2025, 7, 31))
    make_app(TESTING=False).test_client().get('/readyz')
    assert 'gets no more corrections' in caplog.text
    caplog.clear()
    make_app(TESTING=False, DEBUG=True).test_client().get('/readyz')
    make_app().test_client().get('/readyz')
    assert 'gets no more corrections' not in caplog.text
