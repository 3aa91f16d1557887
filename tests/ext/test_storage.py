"""Collecting static files into one folder."""

import os
from pathlib import Path

import pytest

from vulyk.ext.storage import Collect, Storage


@pytest.fixture
def collect(tmp_path):
    """A folder with ``scripts/a.js``, to be collected below ``root/plugin_x``."""
    (tmp_path / 'source' / 'scripts').mkdir(parents=True)
    (tmp_path / 'source' / 'scripts' / 'a.js').write_text('first')
    return Collect(folders=[(Path('plugin_x'), tmp_path / 'source')], static_root=tmp_path / 'root')


def source(collect: Collect) -> Path:
    return collect.folders[0][1] / 'scripts' / 'a.js'


def target(collect: Collect) -> Path:
    return collect.static_root / 'plugin_x' / 'scripts' / 'a.js'


def test_files_are_copied_to_their_place(collect):
    Storage(collect).run()
    assert target(collect).read_text() == 'first'


def test_changed_file_is_copied_again(collect):
    Storage(collect).run()
    source(collect).write_text('second')
    os.utime(source(collect), (2e9, 2e9))
    Storage(collect).run()
    assert target(collect).read_text() == 'second'


def test_file_of_an_older_version_is_copied_again(collect):
    Storage(collect).run()
    source(collect).write_text('older')
    os.utime(source(collect), (1e9, 1e9))
    Storage(collect).run()
    assert target(collect).read_text() == 'older'


def test_unchanged_file_is_not_written_again(collect):
    Storage(collect).run()
    before = target(collect).stat()
    Storage(collect).run()
    assert target(collect).stat() == before


def test_nothing_is_left_beside_the_copies(collect):
    Storage(collect).run()
    assert [path.name for path in target(collect).parent.iterdir()] == ['a.js']


@pytest.mark.parametrize(('verbose', 'said'), [(False, False), (True, True)])
def test_copies_are_announced_on_demand(collect, capsys, verbose, said):
    Storage(collect, verbose).run()
    assert ('a.js' in capsys.readouterr().out) is said
