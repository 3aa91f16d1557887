"""Counters that follow from documents: which answers count, which tasks and batches are closed.

Everything here can be repeated: it derives the numbers from the answers instead of adding to them.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from bson import ObjectId
from flask_babel import gettext
from pymongo import ReturnDocument

from vulyk import signals
from vulyk.ext import leases
from vulyk.models.exc import TaskNotFoundError
from vulyk.models.progress import Progress
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import EPOCH, AbstractAnswer, AbstractTask, Batch, Closing, Load, WithdrawnAnswer
from vulyk.models.transaction import UNCONFIRMED, after_commit, in_transaction
from vulyk.models.user import User

SIGNAL_GRACE = timedelta(seconds=60)  # so long the request that stored something may take to tell the receivers itself


def fold_closings(batch_id: str, now: datetime) -> bool:
    """Count closed tasks of a batch that are not counted yet; returns whether this closed the batch."""

    def fold() -> bool:
        number = Closing._get_collection().delete_many({'batch': batch_id}).deleted_count
        due = now + SIGNAL_GRACE if signals.on_batch_done.receivers else None
        return bool(number) and Batch.count_closed(batch_id, number, signal_due=due).closed

    if not in_transaction(fold, turn=f'batch {batch_id}'):
        return False
    tell_batch_done(batch_id)
    return True


def recount_task(task_id: str, need: int, now: datetime, *, keep_early: bool = True) -> dict[str, Any]:
    """Derive a task's counters from its answers: the first ``need`` count, later ones are extra.

    A task that has fewer answers than it needs is open again. Its batch is told.

    :param need: for tasks that do not say it themselves.
    :param keep_early: a task that was closed early stays closed.
    :returns: the task as it is now.
    :raises TaskNotFoundError: no such task.
    """

    def recount() -> dict[str, Any]:
        tasks, answers = AbstractTask._get_collection(), AbstractAnswer._get_collection()
        task = tasks.find_one({'_id': task_id})
        if task is None:
            raise TaskNotFoundError(gettext('There is no task %(task)s.', task=task_id))
        given = list(answers.find({'task': task_id}, {'createdBy': 1, 'extra': 1}, sort=[('createdAt', 1), ('_id', 1)]))
        places = task.get('need') or need
        hidden = bool(task.get('hidden'))
        stays_early = hidden or (keep_early and bool(task.get('closedEarly')))
        # What came after a task was closed early was never asked for.
        counted = [answer for answer in given if not (stays_early and answer.get('extra'))][:places]
        extra = [answer for answer in given if answer not in counted]
        answers.update_many({'_id': {'$in': [a['_id'] for a in counted if a.get('extra')]}}, {'$unset': {'extra': ''}})
        answers.update_many(
            {'_id': {'$in': [a['_id'] for a in extra if not a.get('extra')]}}, {'$set': {'extra': True}}
        )
        closed = len(counted) >= places or hidden or (stays_early and bool(counted))
        facts = {
            'need': places,
            'usersCount': len(counted),
            'usersProcessed': [a['createdBy'] for a in given],
            'closed': closed,
            'closedEarly': closed and len(counted) < places,
            'leases': leases.fitting(task.get('leases') or [], places - len(counted), now),
        }
        settled = tasks.find_one_and_update(
            {'_id': task_id}, leases.recounted(facts, now), return_document=ReturnDocument.AFTER
        )
        if task.get('batch') and bool(task.get('closed')) != closed:
            _count_change(task['batch'], task_id, closed=closed)
        return settled

    return in_transaction(recount)


def set_hidden(task_id: str, need: int, now: datetime, *, hidden: bool) -> None:
    """Close a task that nobody is to see any more, or open it again unless it has all its answers. Its batch is told.

    :param need: for tasks that do not say it themselves.
    :raises TaskNotFoundError: no such task.
    """

    def change() -> dict[str, Any]:
        update = {'$set': {'hidden': True}} if hidden else {'$unset': {'hidden': ''}}
        AbstractTask._get_collection().update_one({'_id': task_id}, update)
        return recount_task(task_id, need, now, keep_early=hidden)

    task = in_transaction(change)
    if task.get('batch'):
        fold_closings(task['batch'], now)


def recount_batch(batch_id: str) -> None:
    """Derive a batch's counters from its tasks."""

    def recount() -> None:
        tasks = AbstractTask._get_collection()
        Closing._get_collection().delete_many({'batch': batch_id})
        unseen = Load._get_collection().distinct('_id', {'batch': batch_id, 'loading': True})
        total = tasks.count_documents({'batch': batch_id, 'load': {'$nin': unseen}})
        done = tasks.count_documents({'batch': batch_id, 'closed': True})
        if done < total:
            Load.open_again(batch_id)
        Batch._get_collection().update_one(
            {'_id': batch_id}, {'$set': {'tasksCount': total, 'tasksProcessed': done, 'closed': done >= total > 0}}
        )

    in_transaction(recount)


def recount_user(user_id: ObjectId) -> None:
    """Derive a user's totals, over all and per task type, from his answers."""

    def recount() -> None:
        answers = AbstractAnswer._get_collection()
        by_type = {
            row['_id']: row['number']
            for row in answers.aggregate(
                [{'$match': {'createdBy': user_id}}, {'$group': {'_id': '$taskType', 'number': {'$sum': 1}}}]
            )
        }
        User._get_collection().update_one({'_id': user_id}, {'$set': {'processed': sum(by_type.values())}})
        Progress._get_collection().update_many(
            {'user': user_id, 'taskType': {'$nin': list(by_type)}}, {'$set': {'total': 0}}
        )
        for task_type, number in by_type.items():
            Progress._get_collection().update_one(
                {'_id': Progress.key(task_type, user_id)},
                {'$set': {'taskType': task_type, 'user': user_id, 'total': number}},
                upsert=True,
            )

    in_transaction(recount)


def withdraw(answer_id: ObjectId, need: int, *, by: User | None, reason: str, now: datetime) -> bool:
    """Take an answer back: it is kept aside with who, when and why, and every counter is as if it had not been given.

    :returns: False if there is no such answer (any more).
    """

    def take_back() -> bool:
        answers = AbstractAnswer._get_collection()
        answer = answers.find_one_and_delete({'_id': answer_id})
        if answer is None:
            return False
        answer.pop('signalDue', None)
        kept = {
            '_id': answer_id,
            'answer': answer,
            'withdrawnBy': by.id if by else None,
            'withdrawnAt': now,
            'reason': reason,
            'signalDue': now + SIGNAL_GRACE if signals.on_answer_withdrawn.receivers else None,
        }
        WithdrawnAnswer._get_collection().insert_one(kept)
        user_id, task_id = answer['createdBy'], answer['task']
        # An extra answer is not what has closed its task.
        recount_task(task_id, need, now, keep_early=bool(answer.get('extra')))
        User._get_collection().update_one({'_id': user_id}, {'$inc': {'processed': -1}})
        Progress.count_answer(answer['taskType'], user_id, task_id, -1)
        session = {'user': user_id, 'task': task_id, 'answer': answer_id}
        WorkSession._get_collection().update_one(session, {'$unset': {'answer': '', 'end_time': ''}})
        after_commit(lambda: tell_withdrawn(answer_id))
        return True

    return in_transaction(take_back)


def withdraw_all(
    user_id: ObjectId,
    since: datetime,
    redundancies: dict[str, int],
    *,
    by: User | None,
    reason: str,
    now: datetime,
    progress: Callable[[], None] = lambda: None,
) -> int:
    """Take back everything a user has answered since then, one answer after the other; can be repeated after a crash.

    :param redundancies: answers needed by the tasks of each type, for tasks that do not say it themselves.
    :param progress: called for each answer.
    :returns: the number of answers taken back.
    """
    taken = 0
    given = AbstractAnswer._get_collection().find({'createdBy': user_id, 'createdAt': {'$gte': since}}, {'taskType': 1})
    for answer in given:
        taken += withdraw(answer['_id'], redundancies.get(answer['taskType'], 1), by=by, reason=reason, now=now)
        progress()
    return taken


def set_redundancy(
    batch_id: str, redundancy: int, now: datetime, *, progress: Callable[[], None] = lambda: None
) -> int:
    """Change how many answers the tasks of a batch need; tasks close, or open again, accordingly.

    Can be repeated after a crash. Tasks that were closed early stay closed.

    :param progress: called for each task that was changed.
    :returns: the number of tasks that were changed.
    """
    Batch._get_collection().update_one({'_id': batch_id}, {'$set': {'redundancy': redundancy}})
    changed, started = 0, monotonic()
    tasks = AbstractTask._get_collection()
    for task in tasks.find({'batch': batch_id, 'need': {'$ne': redundancy}}, {'_id': 1}):

        def change(task_id: str = task['_id']) -> None:
            tasks.update_one({'_id': task_id}, {'$set': {'need': redundancy}})
            # A task returns at the time it does: people have looked at what returned before.
            recount_task(task_id, redundancy, now + timedelta(seconds=monotonic() - started))

        in_transaction(change)
        progress()
        changed += 1
    fold_closings(batch_id, now)
    return changed


# --- telling the receivers of signals, at least once ------------------------------------------------------------------


def tell_task_done(sender: Any, answer: AbstractAnswer) -> bool:
    """Send ``on_task_done``; the mark goes once every receiver has taken it."""
    done = signals.send(signals.on_task_done, sender, answer=answer)
    if done and answer.signal_due is not None:
        _told(AbstractAnswer, answer.id)
    return done


def tell_batch_done(batch_id: str) -> bool:
    """Send ``on_batch_done`` with the batch as it is now; one that has opened again is announced when it closes."""
    batch = Batch.objects(pk=batch_id).first()
    done = batch is None or not batch.closed or signals.send(signals.on_batch_done, batch)
    if done and batch is not None and batch.signal_due is not None:
        _told(Batch, batch_id)
    return done


def tell_withdrawn(answer_id: ObjectId) -> bool:
    """Send ``on_answer_withdrawn`` with what was kept of the answer."""
    withdrawn = WithdrawnAnswer.objects(pk=answer_id).no_dereference().first()
    done = withdrawn is None or signals.send(signals.on_answer_withdrawn, withdrawn)
    if done and withdrawn is not None and withdrawn.signal_due is not None:
        _told(WithdrawnAnswer, answer_id)
    return done


def claim_due(model: type, now: datetime) -> Any | None:
    """One document whose receivers have not been told in time, kept from others while it is tried again; else None."""
    tries = {'$ifNull': ['$signalTries', 0]}
    wait = {'$min': [{'$multiply': [60_000, {'$pow': [2, tries]}]}, 3_600_000]}
    found = model._get_collection().find_one_and_update(
        {'signalDue': {'$gt': EPOCH, '$lte': now}},  # as the partial index says
        [{'$set': {'signalDue': {'$add': [now, wait]}, 'signalTries': {'$add': [tries, 1]}}}],
        sort=[('signalDue', 1)],
    )
    return found and model.objects(pk=found['_id']).first()


def _told(model: type, document_id: Any) -> None:
    """Take the mark away; nobody waits for that. Should it get lost, receivers are told once more."""
    documents = model._get_collection().with_options(write_concern=UNCONFIRMED)
    documents.update_one({'_id': document_id}, {'$unset': {'signalDue': '', 'signalTries': ''}})


def _count_change(batch_id: str, task_id: str, *, closed: bool) -> None:
    """Tell the batch that a task has closed or opened again, in the transaction at hand."""
    if closed:
        Closing._get_collection().update_one({'_id': task_id}, {'$set': {'batch': batch_id}}, upsert=True)
        return
    if Closing._get_collection().delete_one({'_id': task_id}).deleted_count == 0:
        Batch.count_closed(batch_id, -1)
