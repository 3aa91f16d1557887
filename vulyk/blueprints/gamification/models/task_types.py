"""The base class of task types whose answers earn points and coins."""

from typing import Any

from vulyk.ext.assignment import open_batches
from vulyk.models.task_types import AbstractTaskType
from vulyk.models.tasks import Batch

POINTS_PER_TASK_KEY = 'points_per_task'
COINS_PER_TASK_KEY = 'coins_per_task'
IMPORTANT_KEY = 'is_important'

DEFAULT_META: dict[str, Any] = {POINTS_PER_TASK_KEY: 1, COINS_PER_TASK_KEY: 1, IMPORTANT_KEY: False}


class AbstractGamifiedTaskType(AbstractTaskType):
    """A task type whose batches say what an answer is worth and whether they are important.

    A plugin sets other values in ``_task_type_meta``, an operator with ``db load --meta``. Fractions are exact as they are
    written: 0.1 is one tenth.
    """

    _task_type_meta = dict(DEFAULT_META)

    def to_dict(self) -> dict[str, Any]:
        """As for any task type, with ``batch_info``: the facts of the next open batch, or None."""
        next_open = next(iter(open_batches(self.type_name)), None)
        info = Batch.objects(pk=next_open).scalar('batch_meta').first() if next_open else None
        return {**super().to_dict(), 'batch_info': info}
