"""Copies the static files of the platform and of all plugins into one folder, for a web server to serve."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple


class Collect(NamedTuple):
    """What to copy: pairs of a place below ``static_root`` and the folder whose files go there."""

    folders: list[tuple[Path, Path]]
    static_root: Path


class Storage:
    """Storage that copies static files.

    :param collect: what goes where.
    :param verbose: print each file copied.
    """

    def __init__(self, collect: Collect, verbose: bool = False) -> None:
        self.collect = collect
        self.verbose = verbose

    def run(self) -> None:
        """Copy every file that is missing or another one at its destination."""
        for place, folder in self.collect.folders:
            for source in sorted(path for path in folder.rglob('*') if path.is_file()):
                self._copy(source, self.collect.static_root / place / source.relative_to(folder))

    def _copy(self, source: Path, target: Path) -> None:
        if target.is_file() and _mark(target) == _mark(source):
            return
        if self.verbose:
            print(f'Copying {source} to {target}')
        target.parent.mkdir(parents=True, exist_ok=True)
        # Renamed into place: the web server, and processes that start together, never see half a file.
        descriptor, scratch = tempfile.mkstemp(prefix='.copying-', dir=target.parent)
        os.close(descriptor)
        shutil.copy2(source, scratch)
        os.replace(scratch, target)


def _mark(path: Path) -> tuple[int, int]:
    """Size and time of change, which copies keep; an older file may well be the right one after an update is undone."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns
