"""A machine without Chromium: everything else is tested, and nobody can overlook what was not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOME_TESTS = ['tests/browser', 'tests/plugins/test_transcription.py', '-k', 'double_press or ten_characters']


@pytest.mark.parametrize(('required', 'status'), [('', 0), ('1', 1)])
def test_missing_browser_is_the_last_word_of_the_run_and_a_failure_where_all_is_required(required, status):
    environment = {**os.environ, 'CHROMIUM': '/nowhere/chromium', 'VULYK_REQUIRE_ALL_TESTS': required}
    command = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', *SOME_TESTS]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    *_, summary, last = run.stdout.splitlines()
    assert last.startswith('NOT RUN: the tests in tests/browser need Chromium')
    assert summary.startswith('1 passed')
    assert (run.returncode, run.stderr) == (status, '')
