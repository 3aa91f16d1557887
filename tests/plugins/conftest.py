"""What the tests of all plugins need."""

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from vulyk import utils


@pytest.fixture
def local_settings(monkeypatch) -> Callable[..., None]:
    """Puts modules in the places of ``local_settings``; a place without one behaves as if there were no such file."""

    def put(**modules: dict[str, Any]) -> None:
        for name in utils.LOCAL_SETTINGS:
            values = modules.get(name.replace('.', '_'))
            monkeypatch.setitem(sys.modules, name, values and SimpleNamespace(**values))

    return put
