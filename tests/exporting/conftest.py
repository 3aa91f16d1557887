"""What tests of exports share."""

from pathlib import Path

import pytest
from vulyk_plain.models.task_types import PlainTaskType

from tests.factories import answer, make_tasks, make_user
from vulyk.exporting.reading import Wanted
from vulyk.exporting.writing import Export
from vulyk.loading import open_anything


@pytest.fixture
def single(app, monkeypatch) -> PlainTaskType:
    """A task type whose tasks close with one answer."""
    monkeypatch.setattr(PlainTaskType, 'redundancy', 1)
    return PlainTaskType(settings={})


@pytest.fixture
def work(single) -> list[str]:
    """Batch ``b1``: five closed tasks with an answer each; their ids, in order."""
    user = make_user(username='ann', email='ann@example.org')
    tasks = make_tasks(single, 5, batch='b1')
    for number, task in enumerate(tasks):
        answer(single, task, user, {'n': number})
    return sorted(task.id for task in tasks)


@pytest.fixture
def export(single):
    """Makes an export of batch ``b1``: ``export('csv', with_emails=True)``."""

    def make(form: str = 'tasks', **options) -> Export:
        return Export(single, Wanted('b1', **options), form)

    return make


@pytest.fixture
def content():
    """What is in a file, unpacked."""

    def read(path: Path) -> bytes:
        with open_anything(str(path)) as file:
            return file.read()

    return read
