"""What tests of the strategies share."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from vulyk_plain.models.task_types import PlainTaskType

from vulyk.ext import assignment


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def later(self, **amount: float) -> None:
        """Let time pass: ``later(minutes=5)``."""
        self.now += timedelta(**amount)


@pytest.fixture
def clock() -> Clock:
    """The time it is for task types made by ``variant``."""
    return Clock()


@pytest.fixture
def variant(app: Flask, clock: Clock):
    """Makes task types like ``plain_task`` with other class attributes or methods: ``variant(redundancy=1)``."""

    def make(**attributes):
        return type('Variant', (PlainTaskType,), {'clock': lambda self: clock(), **attributes})(settings={})

    return make


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> None:
    """Tables that a process reads once a second would tell a test of the database of the one before."""
    for table in (assignment.open_loads, assignment.last_return, assignment.has_loose, assignment.has_plenty):
        table.forget()
