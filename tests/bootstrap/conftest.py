"""What tests of building the application share."""

import os
import sys
from pathlib import Path

import pytest

from tests.bootstrap import making
from vulyk import settings


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes importable plugins with the class ``MadeTaskType``; see :func:`tests.bootstrap.making.make_plugin`."""
    monkeypatch.syspath_prepend(tmp_path)
    return lambda *args, **kwargs: making.make_plugin(tmp_path, *args, **kwargs)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An empty current folder, without settings in the environment; ``here('SITE_NAME = 1')`` writes its local_settings."""
    for name in [*settings._FROM_ENVIRONMENT, 'INSTANCE']:
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in os.environ if name.startswith('mongodb_')]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'path', [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, 'local_settings', raising=False)

    def write(text: str) -> Path:
        (tmp_path / 'local_settings.py').write_text(text)
        return tmp_path / 'local_settings.py'

    yield write
    sys.modules.pop('local_settings', None)
