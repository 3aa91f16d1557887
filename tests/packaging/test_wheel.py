"""What is installed from wheels serves the same site as the checkout."""

import os
import re
import shutil
import subprocess
import sys
import urllib.request
from importlib.metadata import distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from vulyk import mongod

pytestmark = pytest.mark.timeout(600)  # it copies and compiles much

CHECKOUT = Path(__file__).parents[2]
BUILD = 'import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])'
PROJECTS = ('images', 'transcription', 'tagging', 'records')


def run(*command: str | Path, **options) -> str:
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=300, check=False, **options
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def bring_what_they_need(packages: Path) -> None:
    """Copy what the packages of a new environment ask for from that of the tests, which needs no network and half the time."""
    asked = [line for found in distributions(path=[str(packages)]) for line in found.requires or ()]
    brought = set()
    while asked:
        requirement = Requirement(asked.pop())
        if requirement.name in brought or not (
            requirement.marker is None or requirement.marker.evaluate({'extra': ''})
        ):
            continue
        brought.add(requirement.name)
        found = distribution(requirement.name)
        for file in found.files or ():
            if '..' not in file.parts:  # scripts, and manuals
                target = packages / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(found.locate_file(file), target)
        asked += found.requires or ()


@pytest.fixture(scope='module')
def vulyk(tmp_path_factory) -> Path:
    """The script ``vulyk`` of a new environment that holds the wheels of the core and of every plugin, and what they need."""
    folder = tmp_path_factory.mktemp('wheels')
    sources = [CHECKOUT, *sorted(path.parent for path in CHECKOUT.glob('plugins/*/setup.py'))]
    for number, source in enumerate(sources):
        # From a copy: building in the checkout would leave its traces there.
        copy = folder / f'source{number}'
        files = run('git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard', '.', cwd=source).split('\0')
        for name in filter(None, files):
            if (source / name).is_file() and not name.startswith('plugins/'):
                target = copy / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes((source / name).read_bytes())
        run(sys.executable, '-c', BUILD, folder, cwd=copy)
    run(sys.executable, '-m', 'venv', '--without-pip', folder / 'venv')
    pip = (sys.executable, '-m', 'pip', '--python', folder / 'venv' / 'bin' / 'python')
    run(*pip, 'install', '-q', '--no-index', '--no-deps', *folder.glob('*.whl'))
    bring_what_they_need(next(folder.glob('venv/lib/python*/site-packages')))
    run(*pip, 'check')
    return folder / 'venv' / 'bin' / 'vulyk'


@pytest.fixture
def elsewhere(tmp_path: Path) -> dict:
    """Runs commands in a folder that is not the checkout, without the checkout on the path, on the mongod of the tests."""
    environment = {name: value for name, value in os.environ.items() if name not in ('PYTHONPATH', 'INSTANCE')}
    return {'cwd': tmp_path, 'env': {**environment, 'VULYK_MONGOD': mongod.find_mongod()}}


def test_wheel_serves_the_demo_with_all_projects(vulyk, elsewhere):
    site = subprocess.Popen([vulyk, 'demo', '--port', '0'], stdout=subprocess.PIPE, text=True, **elsewhere)
    try:
        address = next(match[0] for line in site.stdout if (match := re.search(r'http://127\.0\.0\.1:\d+', line)))
        with urllib.request.urlopen(address) as home:
            page = home.read().decode()
        style = re.search(r'href="(/static/styles/packed[^"]+)"', page)
        script = re.search(r'src="(/static/[^"]+)"', page)
        assert 'Look around as a volunteer' in page
        for path in (style[1], script[1], '/static/plugin_vulyk_images/static/scripts/images.js'):
            with urllib.request.urlopen(address + path) as answer:
                assert answer.status == 200
        batches = run(vulyk, 'batches', 'list', **elsewhere).split()
        assert batches == [f'{name}_{number}' for name in PROJECTS for number in ('01', '02')]
    finally:
        site.terminate()
        assert site.wait(20) == 0
        site.stdout.close()


def test_installed_script_reads_local_settings_of_the_current_folder_and_says_so(vulyk, elsewhere):
    settings = elsewhere['cwd'] / 'local_settings.py'
    settings.write_text("EMBEDDED_MONGOD = 'private'\nSECRET_KEY = 'long enough for a test'\n")
    result = subprocess.run([vulyk, 'group', 'list'], capture_output=True, text=True, check=False, **elsewhere)
    assert (result.returncode, result.stderr.strip()) == (0, f'Settings: {settings}')
    assert (elsewhere['cwd'] / 'private' / 'mongo').is_dir()
