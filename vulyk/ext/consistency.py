"""Does every counter equal its documents? Read from the raw collections, without the code that writes them."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from bson import ObjectId
from flask_babel import gettext

from vulyk.ext import counting, leases
from vulyk.ext.assignment import STRATEGIES, open_loads, reap, task_order
from vulyk.models.progress import Progress
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import AbstractAnswer, AbstractTask, Batch, Closing, Load, loose_load
from vulyk.models.transaction import in_transaction
from vulyk.models.user import User
from vulyk.utils import chunked

CHUNK = 1000


class Problem(NamedTuple):
    """Something that is not as it should be: what kind of document, which one, and what is wrong with it."""

    kind: str
    id: Any
    text: str


def check(*, progress: Callable[[int], None] = lambda number: None) -> Iterator[Problem]:
    """Everything that is wrong; nothing if all is well. Volunteers may go on working: each step reads one snapshot.

    :param progress: called with the number of documents that have been looked at since.
    """
    looks: tuple[tuple[Any, Callable[[list[dict]], list[Problem]]], ...] = (
        (AbstractTask, _check_tasks),
        (AbstractAnswer, _check_answers),
        (Batch, _check_batches),
        (User, _check_users),
    )
    for model, look in looks:
        yield from _in_chunks(model, look, progress)
    yield from _check_sessions()


def repair(
    redundancies: dict[str, int], now: datetime, *, progress: Callable[[int], None] = lambda number: None
) -> Iterator[str]:
    """Complete what was left unfinished and mend what :func:`check` finds; tells each thing it does.

    :param redundancies: answers needed by the tasks of each type, for tasks that do not say it themselves.
    :param progress: called with the number of documents that have been looked at since.
    """
    yield from _adopt_tasks(redundancies, now, progress)
    freed = reap(now)
    if freed:
        yield gettext('%(number)s tasks had places whose time was over; they are free again.', number=freed)
    for batch_id in Closing._get_collection().distinct('batch'):
        counting.fold_closings(batch_id, now)
        yield gettext('batch %(batch)s: closed tasks that were not counted yet are counted.', batch=batch_id)
    for problem in list(check(progress=progress)):
        yield f'{problem.kind} {problem.id}: {problem.text}; {_mend(problem, redundancies, now)}.'


def _mend(problem: Problem, redundancies: dict[str, int], now: datetime) -> str:
    if problem.kind == 'task':
        task = AbstractTask._get_collection().find_one({'_id': problem.id}, {'taskType': 1, 'batch': 1})
        counting.recount_task(problem.id, redundancies.get(task['taskType'], 1), now)
        if task.get('batch'):
            counting.fold_closings(task['batch'], now)
    elif problem.kind == 'batch':
        counting.recount_batch(problem.id)
    elif problem.kind == 'user':
        counting.recount_user(problem.id)
    else:
        return gettext('left alone, because only you can tell what is right')
    return gettext('derived from the documents again')


def _in_chunks(
    model: Any, look: Callable[[list[dict]], list[Problem]], progress: Callable[[int], None]
) -> Iterator[Problem]:
    ids = (document['_id'] for document in model._get_collection().find({}, {'_id': 1}))
    for chunk in chunked(ids, CHUNK):

        def step(chunk: tuple[Any, ...] = chunk) -> list[Problem]:
            return look(list(model._get_collection().find({'_id': {'$in': list(chunk)}})))

        yield from in_transaction(step)
        progress(len(chunk))


def _check_tasks(tasks: list[dict]) -> list[Problem]:
    given = defaultdict(list)
    where = {'task': {'$in': [task['_id'] for task in tasks]}}
    for answer in AbstractAnswer._get_collection().find(where, {'task': 1, 'createdBy': 1, 'extra': 1}):
        given[answer['task']].append(answer)
    return [Problem('task', task['_id'], text) for task in tasks for text in _task_problems(task, given[task['_id']])]


def _task_problems(task: dict[str, Any], given: list[dict]) -> Iterator[str]:
    people = [answer['createdBy'] for answer in given]
    counted = sum(not answer.get('extra') for answer in given)
    count, need = task.get('usersCount', 0), task.get('need')
    held = task.get('leases') or []
    if len(set(people)) != len(people):
        yield gettext('somebody has answered it twice')
    if count != counted:
        yield gettext('usersCount is %(count)s, but %(counted)s answers count', count=count, counted=counted)
    if sorted(task.get('usersProcessed') or []) != sorted(people):
        yield gettext('usersProcessed are not the people who answered')
    if need is None:
        return
    if count > need:
        yield gettext('%(count)s answers count, but it needs %(need)s', count=count, need=need)
    if bool(task.get('closed')) != (count >= need or bool(task.get('closedEarly'))):
        yield gettext(
            'closed is %(value)s with %(count)s of %(need)s answers', value=task.get('closed'), count=count, need=need
        )
    if not task.get('closed') and count + len(held) > need:
        yield gettext(
            '%(count)s answers and %(leases)s leases are more than the %(need)s it needs',
            count=count,
            leases=len(held),
            need=need,
        )
    if bool(task.get('lane')) != (not task.get('closed') and count + len(held) < need):
        yield gettext(
            'lane is %(value)s with %(count)s answers and %(leases)s leases of %(need)s',
            value=task.get('lane'),
            count=count,
            leases=len(held),
            need=need,
        )


def _check_answers(answers: list[dict]) -> list[Problem]:
    tasks = {task_id for answer in answers if (task_id := answer.get('task'))}
    known = set(AbstractTask._get_collection().distinct('_id', {'_id': {'$in': list(tasks)}}))
    found = [
        Problem('answer', answer['_id'], gettext('its task %(task)s is gone', task=answer.get('task')))
        for answer in answers
        if answer.get('task') not in known
    ]
    ended = WorkSession._get_collection().distinct('answer', {'task': {'$in': list(tasks)}})
    without = {answer['_id'] for answer in answers} - set(ended)
    return found + [Problem('answer', answer_id, gettext('it has no work session')) for answer_id in sorted(without)]


def _check_batches(batches: list[dict]) -> list[Problem]:
    return [Problem('batch', batch['_id'], text) for batch in batches for text in _batch_problems(batch)]


def _batch_problems(batch: dict[str, Any]) -> Iterator[str]:
    tasks = AbstractTask._get_collection()
    unseen = Load._get_collection().distinct('_id', {'batch': batch['_id'], 'loading': True})
    total = tasks.count_documents({'batch': batch['_id'], 'load': {'$nin': unseen}})
    closed = tasks.count_documents({'batch': batch['_id'], 'closed': True})
    pending = Closing._get_collection().count_documents({'batch': batch['_id']})
    count, processed = batch.get('tasksCount', 0), batch.get('tasksProcessed', 0)
    if count != total:
        yield gettext('tasksCount is %(count)s, but it has %(total)s tasks', count=count, total=total)
    if processed + pending != closed:
        yield gettext(
            'tasksProcessed is %(processed)s (and %(pending)s to come), but %(closed)s tasks are closed',
            processed=processed,
            pending=pending,
            closed=closed,
        )
    if bool(batch.get('closed')) != (processed >= count > 0):
        yield gettext(
            'closed is %(value)s with %(processed)s of %(count)s tasks',
            value=batch.get('closed'),
            processed=processed,
            count=count,
        )


def _check_users(users: list[dict]) -> list[Problem]:
    ids = [user['_id'] for user in users]
    by_type: dict[tuple[Any, str], int] = {
        (row['_id']['user'], row['_id']['type']): row['number']
        for row in AbstractAnswer._get_collection().aggregate(
            [
                {'$match': {'createdBy': {'$in': ids}}},
                {'$group': {'_id': {'user': '$createdBy', 'type': '$taskType'}, 'number': {'$sum': 1}}},
            ]
        )
    }
    totals: Counter[Any] = Counter()
    for (user_id, _), number in by_type.items():
        totals[user_id] += number
    progress = {
        (row['user'], row['taskType']): row.get('total', 0)
        for row in Progress._get_collection().find({'user': {'$in': ids}}, {'user': 1, 'taskType': 1, 'total': 1})
    }
    found = [
        Problem(
            'user',
            user['_id'],
            gettext(
                'processed is %(count)s, but there are %(number)s answers',
                count=user.get('processed', 0),
                number=totals[user['_id']],
            ),
        )
        for user in users
        if user.get('processed', 0) != totals[user['_id']]
    ]
    for user_id, task_type in sorted(by_type.keys() | progress.keys(), key=str):
        counted, answers = progress.get((user_id, task_type), 0), by_type.get((user_id, task_type), 0)
        if counted != answers:
            found.append(
                Problem(
                    'user',
                    user_id,
                    gettext(
                        'progress in %(type)s is %(count)s, but there are %(number)s answers',
                        type=task_type,
                        count=counted,
                        number=answers,
                    ),
                )
            )
    return found


def _check_sessions() -> Iterator[Problem]:
    same = {'$group': {'_id': {'user': '$user', 'task': '$task'}, 'number': {'$sum': 1}}}
    for row in WorkSession._get_collection().aggregate([same, {'$match': {'number': {'$gt': 1}}}], allowDiskUse=True):
        yield Problem(
            'session',
            row['_id'],
            gettext('there are %(number)s work sessions of this user and task', number=row['number']),
        )


def _adopt_tasks(redundancies: dict[str, int], now: datetime, progress: Callable[[int], None]) -> Iterator[str]:
    """Give tasks of an older version, or of a plugin's own import, a place in the order in which tasks are handed out.

    Their loads appear when all of their tasks are in them, so that nobody walks past tasks that are not there yet.
    """
    tasks = AbstractTask._get_collection()
    loads: dict[tuple[str, Any], ObjectId] = defaultdict(ObjectId)
    adopted = 0
    for task in tasks.find({'load': None}, {'taskType': 1, 'batch': 1, 'need': 1}):
        need = task.get('need') or redundancies.get(task['taskType'], 1)
        place = {
            'load': loads[task['taskType'], task.get('batch')],
            'ord': task_order(STRATEGIES['random'], 0),
            'need': need,
            'lane': leases.FRESH,
            'leases': [],
        }
        tasks.update_one({'_id': task['_id'], 'load': None}, [{'$set': place}, *leases.settle(now)])
        adopted += 1
        progress(1)
    _publish_adopted(now)
    if adopted:
        yield gettext('%(number)s tasks had no place in the order of tasks; they have one now.', number=adopted)


def _publish_adopted(now: datetime) -> None:
    """Write the loads of adopted tasks, also of those that an earlier repair was killed in the middle of."""
    known = set(Load._get_collection().distinct('_id'))
    for load in AbstractTask._get_collection().distinct('load', {'load': {'$nin': [None, *known]}}):
        task = AbstractTask._get_collection().find_one({'load': load}, {'taskType': 1, 'batch': 1})
        if task and load != loose_load(task['taskType'], task.get('batch')):
            facts = {'taskType': task['taskType'], 'batch': task.get('batch'), 'createdAt': now}
            Load._get_collection().update_one({'_id': load}, {'$setOnInsert': facts}, upsert=True)
    open_loads.forget()
