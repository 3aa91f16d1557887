"""Numbers about the work."""

from datetime import UTC, datetime, timedelta
from typing import Any

import click
from flask import current_app

from vulyk.cli.context import BATCH, MOMENT, TASK_TYPE, with_database
from vulyk.models.stats import WorkSession
from vulyk.models.task_types import AbstractTaskType
from vulyk.models.tasks import AbstractAnswer, AbstractTask, Batch
from vulyk.models.user import User
from vulyk.terminal import json_option, print_facts, print_json, print_table
from vulyk.texts import lazy_gettext

COLUMNS = (
    lazy_gettext('Batch'),
    lazy_gettext('Total'),
    lazy_gettext('Completed (flag)'),
    lazy_gettext('Percent (flag)'),
    lazy_gettext('Answers'),
    lazy_gettext('Percent (answers)'),
    lazy_gettext('Breakdown'),
)
USER_COLUMNS = ('username', 'answers', 'extra', 'too_fast', 'first', 'last', 'hours')
KEYS = ('batch', 'tasks', 'closed_tasks', 'closed_percent', 'answers', 'answers_percent', 'tasks_by_answers')


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


def user_stats(task_type: str | None, since: datetime | None, limit: int) -> list[dict[str, Any]]:
    """Who has answered most: ``{'username', 'answers', 'extra', 'too_fast', 'first', 'last', 'hours'}``, best first.

    :param task_type: only answers of this type.
    :param since: only answers given then or later.
    :param limit: at most so many people; 0: everybody.
    """
    where: dict[str, Any] = {'taskType': task_type} if task_type else {}
    given = {**where, 'createdAt': {'$gte': since}} if since else where
    worked = {**where, 'end_time': {'$gte': since}} if since else where
    ranks = AbstractAnswer._get_collection().aggregate(
        [
            {'$match': given},
            {
                '$group': {
                    '_id': '$createdBy',
                    'answers': {'$sum': 1},
                    'extra': {'$sum': {'$cond': ['$extra', 1, 0]}},
                    'too_fast': {'$sum': {'$cond': ['$tooFast', 1, 0]}},
                    'first': {'$min': '$createdAt'},
                    'last': {'$max': '$createdAt'},
                }
            },
            {'$sort': {'answers': -1, '_id': 1}},
            *([{'$limit': limit}] if limit else []),
        ],
        allowDiskUse=True,
    )
    rows = list(ranks)
    names: dict[Any, str] = dict(User.objects(pk__in=[row['_id'] for row in rows]).scalar('id', 'username'))
    seconds = _seconds_of_work({**worked, 'user': {'$in': [row['_id'] for row in rows]}})
    for row in rows:
        user_id = row.pop('_id')
        row['username'] = names.get(user_id, str(user_id))
        row['hours'] = round(seconds.get(user_id, 0) / 3600, 2)
    return rows


def _seconds_of_work(where: dict[str, Any]) -> dict[Any, int]:
    total = {'$group': {'_id': '$user', 'seconds': {'$sum': '$activity'}}}
    found = WorkSession._get_collection().aggregate([{'$match': where}, total], allowDiskUse=True)
    return {row['_id']: row['seconds'] for row in found}


def site_stats(now: datetime) -> dict[str, int]:
    """How much there is, and how much of it is of the last days. Counted in indexes; users one by one."""
    users, batches = User._get_collection(), Batch._get_collection()
    tasks, answers = AbstractTask._get_collection(), AbstractAnswer._get_collection()
    total = tasks.estimated_document_count()
    closed = sum(tasks.count_documents({'taskType': name, 'closed': True}) for name in tasks.distinct('taskType'))
    facts = {
        'users': users.estimated_document_count(),
        'inactive_users': users.count_documents({'active': False}),
        'admins': users.count_documents({'active': True, 'admin': True}),
        'batches': batches.estimated_document_count(),
        'open_batches': batches.count_documents({'closed': {'$ne': True}}),
        'paused_batches': batches.count_documents({'paused': True}),
        'tasks': total,
        'open_tasks': total - closed,
        'closed_tasks': closed,
        'answers': answers.estimated_document_count(),
    }
    for name, days in (('day', 1), ('week', 7), ('month', 30)):
        recent = {'createdAt': {'$gte': now - timedelta(days=days)}}
        people = [{'$match': recent}, {'$group': {'_id': '$createdBy'}}, {'$count': 'number'}]
        facts[f'answers_of_a_{name}'] = answers.count_documents(recent)
        facts[f'volunteers_of_a_{name}'] = next((row['number'] for row in answers.aggregate(people)), 0)
    return facts


@click.group('stats')
def stats_group() -> None:
    """Numbers about the work."""


@stats_group.command('batch')
@click.option('-n', '--batch_name', type=BATCH, help='Only this batch.')
@click.option('-t', '--task_type', type=TASK_TYPE, help='Only batches of this task type.')
@json_option
@with_database
def batch_command(batch_name: str | None, task_type: AbstractTaskType | None, as_json: bool) -> None:
    """Print how far each batch is."""
    batches = Batch.objects.order_by('created_at', 'id')
    if batch_name:
        batches = batches.filter(pk=batch_name)
    if task_type:
        batches = batches.filter(task_type=task_type.type_name)
    types = current_app.task_types
    rows = [batch_stats(item, types[item.task_type].redundancy if item.task_type in types else 0) for item in batches]
    if as_json:
        return print_json([_to_facts(row) for row in rows])
    return print_table(COLUMNS, rows)


def _to_facts(row: tuple[Any, ...]) -> dict[str, Any]:
    """A row of the table for scripts; ``tasks_by_answers`` is ``{number of answers: number of tasks}``."""
    pairs = (part.split(': ') for part in row[-1].split(', ') if part)
    return dict(zip(KEYS, (*row[:-1], {number: int(tasks) for number, tasks in pairs}), strict=True))


@stats_group.command('users')
@click.option('-t', '--task_type', type=TASK_TYPE, help='Only answers of this task type.')
@click.option('--since', type=MOMENT, help='Only answers given at that time (UTC) or later.')
@click.option('--limit', type=click.IntRange(min=0), default=50, show_default=True, help='At most so many; 0: all.')
@json_option
@with_database
def users_command(task_type: AbstractTaskType | None, since: datetime | None, limit: int, as_json: bool) -> None:
    """Print who has answered most, how fast, and how long they have worked."""
    rows = user_stats(task_type.type_name if task_type else None, since, limit)
    if as_json:
        return print_json(rows)
    return print_table(USER_COLUMNS, [[row[name] for name in USER_COLUMNS] for row in rows])


@stats_group.command('site')
@json_option
@with_database
def site_command(as_json: bool) -> None:
    """Print how many people, tasks and answers there are, and what the last days have brought."""
    facts = site_stats(datetime.now(UTC))
    return print_json(facts) if as_json else print_facts(facts)
