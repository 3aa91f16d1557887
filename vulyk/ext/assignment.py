"""Which task a volunteer gets next."""

from typing import Any

from mongoengine import Q

from vulyk.models.tasks import AbstractTask, Batch
from vulyk.models.user import User


def next_task(task_model: type[AbstractTask], task_type: str, user: User) -> AbstractTask | None:
    """The first open task this user has neither answered nor skipped, then the first he skipped; None if there is none.

    Open batches come by priority and then by creation, tasks without a batch last. Inside a batch the order is random but
    fixed, so that a reload shows the same task again.
    """
    mine = Q(task_type=task_type, closed__ne=True, users_processed__ne=user.id)
    batches = [*open_batches(task_type), None]
    for skipped in (Q(users_skipped__ne=user.id), Q(users_skipped=user.id)):
        for batch in batches:
            task = task_model.objects(mine & skipped & Q(batch=batch)).order_by('order', 'id').first()
            if task is not None:
                return task
    return None


def open_batches(task_type: str) -> list[Any]:
    """Ids of the batches of a type that still have open tasks, first to do first."""
    return list(
        Batch.objects(task_type=task_type, closed__ne=True).order_by('-priority', 'created_at', 'id').scalar('id')
    )
