"""Numbers about the work."""

from typing import Any

import click
from flask import current_app

from vulyk.cli.context import BATCH, TASK_TYPE, with_database
from vulyk.models.task_types import AbstractTaskType
from vulyk.models.tasks import AbstractTask, Batch

COLUMNS = ('Batch', 'Total', 'Completed (flag)', 'Percent (flag)', 'Answers', 'Percent (answers)', 'Breakdown')


def batch_stats(batch: Batch, redundancy: int) -> tuple[str, int, int, float, int, float, str]:
    """One row of the table: the progress of a batch by closed tasks and by answers.

    :param redundancy: answers that close a task; 0 if its task type is not enabled.
    :returns: values in the order of ``COLUMNS``; percentages from 0 to 100; the breakdown reads ``answers: tasks``.
    """
    rows = AbstractTask.objects(batch=batch.id).aggregate(
        [{'$group': {'_id': {'answers': '$usersCount', 'closed': '$closed'}, 'tasks': {'$sum': 1}}}]
    )
    groups = [(row['_id'].get('answers') or 0, bool(row['_id'].get('closed')), row['tasks']) for row in rows]
    answers = sum(number * tasks for number, _, tasks in groups)
    answers_open = sum(number * tasks for number, closed, tasks in groups if not closed)
    by_number: dict[int, int] = {}
    for number, _, tasks in groups:
        by_number[number] = by_number.get(number, 0) + tasks
    return (
        str(batch.id),
        batch.tasks_count,
        batch.tasks_processed,
        _percent(batch.tasks_processed, batch.tasks_count),
        answers,
        _percent(answers_open + redundancy * batch.tasks_processed, batch.tasks_count * redundancy),
        ', '.join(f'{number}: {tasks}' for number, tasks in sorted(by_number.items())),
    )


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


def _table(rows: list[tuple[Any, ...]]) -> str:
    texts = [COLUMNS, *(tuple(map(str, row)) for row in rows)]
    widths = [max(len(text[column]) for text in texts) for column in range(len(COLUMNS))]
    return '\n'.join(
        '  '.join(cell.ljust(width) for cell, width in zip(text, widths, strict=True)).rstrip() for text in texts
    )


@click.group('stats')
def stats_group() -> None:
    """Numbers about the work."""


@stats_group.command('batch')
@click.option('-n', '--batch_name', type=BATCH, help='Only this batch.')
@click.option('-t', '--task_type', type=TASK_TYPE, help='Only batches of this task type.')
@with_database
def batch_command(batch_name: str | None, task_type: AbstractTaskType | None) -> None:
    """Print how far each batch is."""
    batches = Batch.objects.order_by('created_at', 'id')
    if batch_name:
        batches = batches.filter(pk=batch_name)
    if task_type:
        batches = batches.filter(task_type=task_type.type_name)
    types = current_app.task_types
    rows = [batch_stats(item, types[item.task_type].redundancy if item.task_type in types else 0) for item in batches]
    click.echo(_table(rows))
