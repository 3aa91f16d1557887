"""Reads tasks with their answers, in the order of the ids of tasks.

A few hundred tasks at a time are read together with their answers from one snapshot of the database. So a task and its
answers are as they were at one moment, however long the export takes, and the export can go on after any task.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from time import sleep
from typing import TYPE_CHECKING, Any, NamedTuple

import bson
from bson import ObjectId
from mongoengine.connection import get_connection
from pymongo.client_session import ClientSession
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

from vulyk.models.fields import decode
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import EPOCH, AbstractAnswer, AbstractTask, Load
from vulyk.models.user import User
from vulyk.utils import aware, chunked

if TYPE_CHECKING:
    from vulyk.models.task_types import AbstractTaskType

ALL_BATCHES = '__all__'
TASKS_AT_ONCE = 500
ANSWERS_AT_ONCE = 5000
TRIES = 5
_PASSING = {43, 239, 246}  # the cursor is gone, the snapshot is too old, or not there yet: it works with a new one

Entries = list[dict[str, Any]]
Raw = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """What to export.

    :param batch: id of a batch, or ``__all__`` for all tasks of the type.
    :param closed: only closed tasks.
    :param with_sessions: add when and how long people worked.
    :param with_emails: fill in the addresses of the people; whoever asks for it is to be recorded in the audit log.
    :param counted_only: without extra answers, which came when the task had enough.
    :param since: only tasks that got an answer at that time or later, with all their answers.
    """

    batch: str
    closed: bool = True
    with_sessions: bool = False
    with_emails: bool = False
    counted_only: bool = False
    since: datetime | None = None


def read(
    task_type: 'AbstractTaskType', wanted: Wanted, *, after: str = '', among: Iterable[str] | None = None
) -> Iterator[tuple[str, Entries]]:
    """Pairs of a task's id and its answers, oldest first, each as ``{'task', 'answer', 'user'}`` and maybe ``session``.

    Ordered by id. When the database is away for a moment, or whoever asks takes minutes for the next task, reading
    begins anew behind the last one.

    :param after: only tasks behind that id.
    :param among: only these tasks, in this order; ``batch``, ``closed`` and ``after`` do not matter then.
    """
    reader = _Reader(task_type, wanted)
    if among is None:
        yield from _persistently(reader.read_behind, after)
        return
    for ids in chunked(among, TASKS_AT_ONCE):
        found = dict(_persistently(lambda after, ids=ids: reader.read_these(ids, after), ''))
        yield from ((task_id, found[task_id]) for task_id in ids if task_id in found)


def _persistently(
    read_some: Callable[[str], Iterator[tuple[str, Entries | None]]], after: str
) -> Iterator[tuple[str, Entries]]:
    """Call ``read_some`` with the last id until it finds nothing; tasks it gives without entries are passed over."""
    failures = 0
    while True:
        before = after
        try:
            for task_id, entries in read_some(after):
                after, failures = task_id, 0
                if entries is not None:
                    yield task_id, entries
        except PyMongoError as error:
            failures += 1
            if failures >= TRIES or not _may_pass(error):
                raise
            sleep(failures)
        else:
            if after == before:
                return


def _may_pass(error: PyMongoError) -> bool:
    return isinstance(error, ConnectionFailure) or (isinstance(error, OperationFailure) and error.code in _PASSING)


@contextmanager
def _snapshot() -> Generator[ClientSession, None, None]:
    """All that is read with it is as it was at one moment; the server remembers that for five minutes."""
    with get_connection().start_session(snapshot=True) as session:
        yield session


class _Person(NamedTuple):
    """Who has answered. A document takes some ten kilobytes, so that it is kept only for plugins that want it."""

    public: dict[str, str]
    email: str
    document: User | None


class _Reader:
    """One export; remembers the people it has met."""

    def __init__(self, task_type: 'AbstractTaskType', wanted: Wanted) -> None:
        self._wanted = wanted
        self._task_model, self._answer_model = task_type.task_model, task_type.answer_model
        self._of_type = {'taskType': task_type.type_name}
        self._shaped_by_plugin = task_type.shapes_lines()
        self._people: dict[ObjectId | None, _Person] = {}
        self._index = self._index_in_order()

    def read_behind(self, after: str) -> Iterator[tuple[str, Entries | None]]:
        """The next tasks behind an id, with their entries, or None for those that are not wanted; nothing at the end."""
        with _snapshot() as session:
            yield from self._read(self._where(session) | {'_id': {'$gt': after}}, session, self._index)

    def read_these(self, ids: tuple[str, ...], after: str) -> Iterator[tuple[str, Entries | None]]:
        """Those of these tasks that come after an id."""
        with _snapshot() as session:
            yield from self._read({'_id': {'$in': [task_id for task_id in ids if task_id > after]}}, session, None)

    def _index_in_order(self) -> list[tuple[str, int]] | None:
        """The index to read from, if it is there. The server might choose that of all ids of all types and batches."""
        first = 'taskType' if self._wanted.batch == ALL_BATCHES else 'batch'
        index = [(first, 1), ('closed', 1), ('_id', 1)]
        there = AbstractTask._get_collection().index_information().values()
        return index if index in [found['key'] for found in there] else None

    def _where(self, session: ClientSession) -> Raw:
        where: Raw = dict(self._of_type)
        if self._wanted.batch != ALL_BATCHES:
            where['batch'] = self._wanted.batch
        # Named one by one, the values let the index {…, closed, _id} give tasks in the order of their ids.
        where['closed'] = True if self._wanted.closed else {'$in': [True, False, None]}
        if not self._wanted.closed:
            unseen = Load._get_collection().distinct('_id', {**self._of_type, 'loading': True}, session=session)
            if unseen:
                where['load'] = {'$nin': unseen}
        return where

    def _read(self, where: Raw, session: ClientSession, index: Any) -> Iterator[tuple[str, Entries | None]]:
        tasks = self._some_tasks(where, session, index)
        answers = self._answers({task['_id']: task for task in tasks}, session)
        groups = groupby(answers, key=lambda pair: pair[0]['task'])
        group = next(groups, None)
        for task in tasks:
            mine: list[tuple[Raw, dict[str, Any]]] = []
            if group is not None and group[0] == task['_id']:
                mine = sorted(group[1], key=lambda pair: pair[0]['_id'])
                group = next(groups, None)
            yield task['_id'], [entry for _, entry in mine] if self._is_wanted(mine) else None

    def _is_wanted(self, answers: list[tuple[Raw, dict[str, Any]]]) -> bool:
        since = self._wanted.since
        return since is None or any(aware(answer.get('createdAt', EPOCH)) >= since for answer, _ in answers)

    def _some_tasks(self, where: Raw, session: ClientSession, index: Any) -> list[Raw]:
        """As many as fit into one message of the server: that bounds memory, whatever the size of a task."""
        fields = None if self._shaped_by_plugin else {'closed': 1, 'task_data': 1}
        tasks = AbstractTask._get_collection()
        cursor = tasks.find_raw_batches(where, fields, batch_size=TASKS_AT_ONCE, hint=index, session=session).sort(
            '_id'
        )
        with cursor.limit(TASKS_AT_ONCE):
            message = next(cursor, b'')
        return bson.decode_all(message, tasks.codec_options)

    def _answers(self, tasks: dict[str, Raw], session: ClientSession) -> Iterator[tuple[Raw, dict[str, Any]]]:
        """Pairs of a stored answer and its entry, ordered by the id of the task."""
        reports = AbstractAnswer._get_collection()
        where: Raw = {'task': {'$in': list(tasks)}}
        if self._wanted.counted_only:
            where['extra'] = {'$ne': True}
        fields = None if self._shaped_by_plugin else {'task': 1, 'createdBy': 1, 'createdAt': 1, 'result': 1}
        cursor = reports.find_raw_batches(where, fields, batch_size=ANSWERS_AT_ONCE, session=session).sort('task')
        with cursor:
            for message in cursor:
                answers = bson.decode_all(message, reports.codec_options)
                self._meet(answers)
                sessions = self._sessions(answers, session) if self._wanted.with_sessions else {}
                for answer in answers:
                    entry = self._entry(tasks[answer['task']], answer)
                    if answer['_id'] in sessions:
                        entry['session'] = sessions[answer['_id']]
                    yield answer, entry

    def _meet(self, answers: list[Raw]) -> None:
        strangers = {answer.get('createdBy') for answer in answers}.difference(self._people)
        if strangers:
            found = {user.id: user for user in User.objects(id__in=list(strangers)).no_dereference()}
            nobody = User(username='')
            for user_id in strangers:
                user = found.get(user_id, nobody)
                self._people[user_id] = _Person(
                    user.as_dict(), user.email or '', user if self._shaped_by_plugin else None
                )

    def _entry(self, task: Raw, answer: Raw) -> dict[str, Any]:
        person = self._people[answer.get('createdBy')]
        if self._shaped_by_plugin:
            document = self._answer_model._from_son(answer)
            document.task = self._task_model._from_son(task)
            document.created_by = person.document
            entry = document.as_dict()
        else:
            data = {'id': task['_id'], 'closed': bool(task.get('closed')), 'data': _json(task.get('task_data'))}
            entry = {'task': data, 'answer': _json(answer.get('result')), 'user': person.public}
        if self._wanted.with_emails and isinstance(entry.get('user'), dict):
            entry['user'] = {**entry['user'], 'email': person.email}
        return entry

    @staticmethod
    def _sessions(answers: list[Raw], session: ClientSession) -> dict[ObjectId, dict[str, Any]]:
        """``{id of the answer: facts of its work session}``: times in UTC without zone, whole seconds."""
        of_answers = {'task': {'$in': list(dict.fromkeys(map(itemgetter('task'), answers)))}, 'end_time': {'$ne': None}}
        found = WorkSession._get_collection().find(of_answers, session=session)
        return {
            one['answer']: {
                'start_time': one['start_time'].replace(tzinfo=None).isoformat(),
                'end_time': one['end_time'].replace(tzinfo=None).isoformat(),
                'duration': int((one['end_time'] - one['start_time']).total_seconds()),
                'activity': one.get('activity', 0),
            }
            for one in found
            if one.get('answer') is not None
        }


def _json(stored: Any) -> Any:
    return decode(stored) if isinstance(stored, dict) else stored
