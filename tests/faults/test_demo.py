"""``make run`` as a process: its port, its end by every kind of signal, and what is left of it."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vulyk import mongod

MANAGE = Path(__file__).parents[2] / 'manage.py'


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Path]:
    instance = tmp_path / 'my instance'
    yield instance
    assert mongod.release(instance / 'mongo', wait_s=20), 'the database of the demo was left running'


@pytest.fixture
def start(instance: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start ``demo`` as a terminal would: in a process group of its own."""
    started = []

    def start(port: int = 0) -> subprocess.Popen[str]:
        command = [sys.executable, str(MANAGE), 'demo', '--port', str(port), '--instance', str(instance)]
        environment = {**os.environ, 'PYTHONUTF8': '1'}
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, process_group=0, env=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=20)


def banner(process: subprocess.Popen[str]) -> list[str]:
    """What it says until it is ready."""
    lines = []
    for line in process.stdout:
        lines.append(line.strip())
        if line.startswith('  Ctrl-C'):
            return lines
    raise AssertionError(process.stderr.read())


def home_page(lines: list[str]) -> int:
    """Status of the page whose address the banner names."""
    address = next(word for line in lines for word in line.split() if word.startswith('http://127.0.0.1:'))
    with urllib.request.urlopen(address, timeout=10) as response:
        return response.status


def test_stopped_or_killed_it_leaves_nothing_and_its_commands_find_everything_again(start, instance, tmp_path):
    for number in (signal.SIGINT, signal.SIGTERM):
        process = start()
        assert home_page(banner(process)) == 200
        os.killpg(process.pid, number)
        _, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (0, '')
        assert mongod.release(instance / 'mongo')

    process = start()
    commands = [line for line in banner(process) if ' db ' in line]
    process.kill()
    process.wait(20)
    assert mongod.release(instance / 'mongo', wait_s=5)
    outputs = []
    for command in commands:  # the banner's, as if copied; ./manage.py stands for the file in the checkout
        line = command.replace('./manage.py', f'"{sys.executable}" "{MANAGE}"')
        done = subprocess.run(line, shell=True, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    assert 'Finished loading 3 tasks' in outputs[0]
    assert 'Finished exporting answers for 0 tasks' in outputs[1]
    assert home_page(banner(start())) == 200


def test_busy_port_is_told_in_one_sentence_before_anything_starts(start, instance):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        process = start(port)
        output, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert errors == f'Error: Port {port} is in use; choose another: make run PORT={port + 1}.\n'
    assert output == ''
    assert not instance.exists()


def test_instance_that_cannot_be_made_is_told_in_one_sentence(start, instance):
    instance.symlink_to('/dev/null/instance')
    output, errors = start().communicate(timeout=20)
    assert errors.startswith(f'Error: The folder {instance} cannot be used (')
    assert (output, errors.count('\n')) == ('', 1)


def test_damaged_settings_of_the_instance_are_told_in_one_sentence(start, instance):
    instance.mkdir()
    (instance / 'demo.json').write_text('{"SECRET')
    output, errors = start().communicate(timeout=20)
    assert errors.startswith(f'Error: The file {instance / "demo.json"} is damaged: ')
    assert (output, errors.count('\n')) == ('', 1)
