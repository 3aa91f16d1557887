"""What tests of the command line share."""

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from vulyk_plain.models.task_types import PlainTaskType


class OtherTaskType(PlainTaskType):
    """A second task type."""

    type_name = 'other_task'
    media_fields = ('image',)


@pytest.fixture
def other(app: Flask, monkeypatch: pytest.MonkeyPatch) -> OtherTaskType:
    """The task type ``other_task``, enabled beside ``plain_task``."""
    kind = OtherTaskType(settings={})
    monkeypatch.setitem(app.task_types, 'other_task', kind)
    return kind


@pytest.fixture
def write(tmp_path: Path):
    """Writes a file of JSON lines and returns its path: ``write('a.jsonl', {'n': 1}, …)``."""

    def write_lines(name: str, *records: Any) -> str:
        path = tmp_path / name
        path.write_text(''.join(json.dumps(record) + '\n' for record in records))
        return str(path)

    return write_lines
