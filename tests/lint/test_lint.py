"""Style, imports and types: the same tools as ``make lint``."""

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

TOOLS = {
    'ruff check': [BIN / 'ruff', 'check', '--no-cache', '.'],
    'ruff format': [BIN / 'ruff', 'format', '--no-cache', '--check', '.'],
    'import-linter': [BIN / 'lint-imports', '--no-cache', '--config', 'tox.ini'],
    'mypy': [BIN / 'mypy'],
}


@pytest.mark.parametrize('command', TOOLS.values(), ids=TOOLS)
def test_tool_has_nothing_to_say(command):
    result = subprocess.run(list(map(str, command)), cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
