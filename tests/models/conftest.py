"""What tests of the models share."""

import pytest
from flask import Flask
from vulyk_plain.models.task_types import PlainTaskType


@pytest.fixture
def variant(app: Flask):
    """Makes task types like ``plain_task`` with other class attributes or methods: ``variant(redundancy=1)``."""

    def make(**attributes):
        return type('Variant', (PlainTaskType,), attributes)(settings={})

    return make
