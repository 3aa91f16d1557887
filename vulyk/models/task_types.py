"""Task types: the root of every plugin."""

import json
import logging
from collections.abc import Generator, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from bson import ObjectId
from flask_babel import gettext
from mongoengine.errors import NotUniqueError, ValidationError
from pymongo import ReturnDocument

from vulyk import loading, signals
from vulyk.exporting import reading
from vulyk.exporting.reading import Wanted
from vulyk.ext import counting, leases
from vulyk.ext.assignment import Assigner, Strategy, open_loads, strategy_named
from vulyk.ext.leaderboard import LeaderBoardManager
from vulyk.ext.worksession import WorkSessionManager
from vulyk.models import media as media_storage
from vulyk.models.exc import (
    AnswerConflictError,
    AnswerWithdrawalError,
    InitializationError,
    MalformedResultError,
    TaskImportError,
    TaskNotFoundError,
    TaskSkipError,
    TaskValidationError,
    WorkSessionLookUpError,
)
from vulyk.models.fields import check_storable
from vulyk.models.pace import NO_LIMITS, AnswerLimits, count_answer
from vulyk.models.progress import Progress, position
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import (
    AbstractAnswer,
    AbstractTask,
    Batch,
    Circumstances,
    Closing,
    Load,
    far_from_done,
    public_facts,
)
from vulyk.models.transaction import after_commit, in_transaction, is_in_transaction
from vulyk.models.user import User
from vulyk.utils import accepts, aware

log = logging.getLogger(__name__)

ALL_BATCHES = reading.ALL_BATCHES
NEEDS = ('sight', 'hearing', 'pointer')  # what a task may need of whoever solves it


class ImportResult(NamedTuple):
    """How many tasks were stored, and how many records were skipped because they are tasks already."""

    loaded: int
    duplicates: int


class AbstractTaskType:
    """Everything about one kind of tasks: handing out, taking answers, counting, import and export.

    The simplest plugin only sets the class attributes below; any method may be overridden.

    :param settings: what the plugin's ``configure`` returned.
    :raises InitializationError: a class attribute is missing or wrong; the text names it.
    """

    # What the task is made of
    task_model: type[AbstractTask] | None = None
    answer_model: type[AbstractAnswer] | None = None
    type_name: str = ''
    redundancy: int = 3
    media_fields: tuple[str, ...] = ()
    samples: str = ''

    # How tasks are handed out: a name in vulyk.ext.assignment.STRATEGIES, or the dotted name of a Strategy
    assignment: str = 'random'
    lease: timedelta = timedelta(minutes=30)
    withdraw_within: timedelta = timedelta(minutes=10)
    limits: AnswerLimits = NO_LIMITS
    min_seconds: float = 0

    # Where it comes from; set when the plugin is loaded
    package: str = ''

    # What volunteers are told before they start
    needs: tuple[str, ...] = ()
    seconds_per_task: int = 0
    picture: str = ''

    # How it looks
    template: str = ''
    helptext_template: str = ''
    tour: str = ''
    examples: str = ''
    practice: str = ''
    frontend: str = 'legacy'
    JS_ASSETS: list[str] = []
    CSS_ASSETS: list[str] = []
    _name: str = ''
    _description: str = ''

    _task_type_meta: dict[str, Any] = {}
    _work_session_manager: WorkSessionManager | None = None
    _leaderboard_manager: LeaderBoardManager | None = None

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        _require(_is_subclass(self.task_model, AbstractTask), 'You should define task_model property')
        _require(_is_subclass(self.answer_model, AbstractAnswer), 'You should define answer_model property')
        _require(bool(self.type_name), 'You should define type_name (underscore)')
        _require(bool(self.template), 'You should define template')
        if self._work_session_manager is None:
            self._work_session_manager = WorkSessionManager(WorkSession)
        if self._leaderboard_manager is None:
            self._leaderboard_manager = LeaderBoardManager(self.type_name, self.answer_model, User)
        _require(
            isinstance(self._work_session_manager, WorkSessionManager),
            'You should define _work_session_manager property',
        )
        _require(
            isinstance(self._leaderboard_manager, LeaderBoardManager),
            'You should define _leaderboard_manager property',
        )
        _require(isinstance(self._task_type_meta, dict), 'Batch meta must of dict type')
        _require(
            isinstance(self.redundancy, int) and self.redundancy >= 1, 'redundancy must be a whole number of at least 1'
        )
        _require(
            isinstance(self.needs, tuple | list) and set(self.needs) <= set(NEEDS),
            f'needs must be a tuple of any of {", ".join(NEEDS)}',
        )
        _require(
            isinstance(self.seconds_per_task, int) and self.seconds_per_task >= 0,
            'seconds_per_task must be a whole number, or 0',
        )

    # --- facts --------------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Human-readable name; a plugin may put a plain class attribute ``name`` in its place."""
        return self._name

    @name.setter
    def name(self, value: str) -> None:
        self._name = value

    @property
    def description(self) -> str:
        """What the work is about; a plugin may put a plain class attribute ``description`` in its place."""
        return self._description

    @description.setter
    def description(self, value: str) -> None:
        self._description = value

    @property
    def task_type_meta(self) -> dict[str, Any]:
        """Defaults of the facts each batch has; their keys and types limit what ``--meta`` may set."""
        return self._task_type_meta

    @cached_property
    def strategy(self) -> Strategy:
        """The :class:`~vulyk.ext.assignment.Strategy` behind the name in ``assignment``.

        :raises InitializationError: there is none of that name.
        """
        return strategy_named(self.assignment)

    def clock(self) -> datetime:
        """Now, aware UTC; tests put another in its place."""
        return datetime.now(UTC)

    @property
    def work_session_manager(self) -> WorkSessionManager:
        """The :class:`~vulyk.ext.worksession.WorkSessionManager` in use."""
        return self._work_session_manager

    def to_dict(self) -> dict[str, Any]:
        """What the home page shows: name, description, type and numbers of tasks."""
        total, closed = self.task_counts()
        return {
            'name': self.name,
            'description': self.description,
            'type': self.type_name,
            'tasks': total,
            'open_tasks': total - closed,
            'closed_tasks': closed,
            'has_tasks': total > closed,
        }

    def task_counts(self) -> tuple[int, int]:
        """Number of tasks, and how many of them are closed: the sums of the batches, and tasks that are in none."""
        sums = {'_id': None, 'total': {'$sum': '$tasksCount'}, 'closed': {'$sum': '$tasksProcessed'}}
        batches = Batch._get_collection().aggregate([{'$match': {'taskType': self.type_name}}, {'$group': sums}])
        row = next(batches, {'total': 0, 'closed': 0})
        loads = [load.id for load in open_loads.get(self.type_name, fresh=True) if not load.has_batch]
        loose = {'taskType': self.type_name, 'load': {'$in': loads}}
        tasks = AbstractTask._get_collection()
        return (
            row['total'] + tasks.count_documents(loose),
            row['closed'] + tasks.count_documents({**loose, 'closed': True}),
        )

    # --- tasks in -----------------------------------------------------------------------------------------------------

    def import_tasks(
        self, tasks: Iterable[dict[str, Any]], batch: str | None, *, media: Mapping[str, str] | None = None
    ) -> ImportResult:
        """Store tasks, all or none.

        :param tasks: JSON objects; a record that is a task already is skipped and counted.
        :param batch: id of the batch they belong to; the caller writes the batch itself.
        :param media: what :meth:`store_media` returned for these records.
        :raises TaskImportError: a record that cannot be stored, with its number and the reason.
        """
        records = [_checked(record, number) for number, record in enumerate(tasks, 1)]
        wanted = [
            (loading.make_id(self.type_name, record, None), record, self._media(record, media or {}))
            for record in records
        ]
        if len(wanted) <= loading.CHUNK or is_in_transaction():
            return in_transaction(lambda: self._insert(wanted, batch))
        # Too many for one transaction, which has to fit into the cache of the server.
        return ImportResult(*loading.store(self, wanted, batch))

    def priority_of(self, record: dict[str, Any]) -> int:
        """How early a task is handed out inside its load, from −1000 to 1000, higher is earlier; plugins override it."""
        return 0

    def imports_itself(self) -> bool:
        """Whether the plugin has an ``import_tasks`` of its own, which then gets all records of a load at once."""
        return _overrides(self, 'import_tasks')

    def store_media(self, records: Iterable[dict[str, Any]], root: Path, *, max_bytes: int) -> dict[str, str]:
        """Copy the files named by ``media_fields`` into media storage; all are checked before the first is stored.

        :param root: the folder that the paths are relative to.
        :param max_bytes: the largest file taken.
        :returns: ``{path: SHA-256}``; addresses of other sites are left where they are.
        :raises TaskImportError: a file that is missing, outside of ``root``, too large or of a wrong kind.
        """
        paths: dict[str, Path] = {}
        for number, record in enumerate(records, 1):
            for field in self.media_fields:
                if field in record and not (_is_key(record[field], paths) or media_storage.is_remote(record[field])):
                    try:
                        paths[record[field]] = media_storage.check(root, record[field], max_bytes=max_bytes)
                    except TaskImportError as error:
                        raise TaskImportError(f'{field}: {error}.', number) from error
        return {relative: media_storage.store(path, self.type_name) for relative, path in paths.items()}

    def _insert(self, tasks: list[loading.NewTask], batch: str | None) -> ImportResult:
        """Store a few tasks in the transaction at hand."""
        load = Load(task_type=self.type_name, batch=batch, created_at=self.clock()).save()
        documents = loading.new_documents(self, tasks, loading.prototype(self, batch, load.id), start=0)
        if documents:
            AbstractTask._get_collection().insert_many(documents)
        after_commit(open_loads.forget)
        return ImportResult(loaded=len(documents), duplicates=len(tasks) - len(documents))

    def _media(self, record: dict[str, Any], files: Mapping[str, str]) -> dict[str, str]:
        return {path: files[path] for path in map(record.get, self.media_fields) if _is_key(path, files)}

    # --- tasks out ----------------------------------------------------------------------------------------------------

    def export_reports(
        self,
        batch: str,
        closed: bool = True,
        qs: Any = None,
        with_sessions: bool = False,
        counted_only: bool = False,
        with_emails: bool = False,
        since: datetime | None = None,
    ) -> Generator[list[dict[str, Any]], None, None]:
        """The answers, one list per task, in the order of the ids of tasks. A task and its answers are of one moment.

        :param batch: id of a batch, or ``'__all__'``.
        :param closed: only tasks that are closed.
        :param qs: a queryset of tasks to export instead, in its order.
        :param with_sessions: add ``session`` (start, end, duration and activity in seconds) where there is one.
        :param counted_only: leave out extra answers, which came when the task had enough.
        :param with_emails: fill in the addresses of people.
        :param since: only tasks that got an answer then or later, with all their answers.
        :returns: per task a list of ``{'task', 'answer', 'user'}``; open tasks without answers give ``[]``.
        """
        wanted = Wanted(batch, closed, with_sessions, with_emails, counted_only, since)
        among = None if qs is None else qs.no_cache().scalar('id')
        for _, entries in reading.read(self, wanted, among=among):
            yield entries

    def exports_itself(self) -> bool:
        """Whether the plugin has an ``export_reports`` of its own, which may know fewer options and cannot be gone on with."""
        return _overrides(self, 'export_reports')

    def shapes_lines(self) -> bool:
        """Whether ``as_dict`` of the plugin's own documents says what an entry of an export line is."""
        return (
            self.task_model.as_dict is not AbstractTask.as_dict
            or self.answer_model.as_dict is not AbstractAnswer.as_dict
        )

    # --- work ---------------------------------------------------------------------------------------------------------

    def get_next(self, user: User) -> dict[str, Any]:
        """Find the user a task, keep a place in it for a while, and open a work session.

        :returns: ``task.as_dict()``, or an empty dictionary when there is nothing for this user now.
        """
        return self._hand_out(user)[0]

    def get_task(self, user: User) -> dict[str, Any]:
        """The same as :meth:`get_next`, under the name old documentation uses."""
        return self.get_next(user)

    def next_with_stats(self, user: User) -> tuple[dict[str, Any], dict[str, int], dict[str, str], str | None]:
        """What :meth:`get_next` returns, the user's :meth:`stats_of`, the task's files as ``{path: SHA-256}``, its batch."""
        if _overrides(self, 'get_next'):
            data = self.get_next(user)
            found = self._tasks().filter(pk=data['id']).no_dereference().first() if data else None
            return data, user.get_stats(self), dict(found.media) if found else {}, _batch_id(found)
        data, raw, progress = self._hand_out(user)
        return data, self._stats(progress.get('total', 0)), raw.get('media') or {}, _pk(raw.get('batch'))

    def get_ahead(self, user: User, number: int) -> list[tuple[dict[str, Any], dict[str, str]]]:
        """Tasks for this user after the one in hand, as pairs of ``as_dict()`` and files.

        Their places are kept for the user; work sessions open when they are shown. When few tasks are left for everybody
        there are fewer than ``number``, or none.
        """
        if number <= 0 or self._chooses_itself():
            return []
        tasks = [self._document(raw) for raw in self._assigner(user).ahead(number)]
        return [(task.as_dict(), dict(task.media)) for task in tasks]

    def return_ahead(self, user: User) -> int:
        """Give back the places of tasks fetched ahead; returns how many there were."""
        return self._assigner(user).return_ahead()

    def has_in_hand(self, user: User, task_id: str) -> bool:
        """Whether a place in this task is kept for the user."""
        return self._assigner(user).holds(task_id)

    def may_come_back(self, user: User) -> bool:
        """Whether a user who got nothing may get something later: others have tasks in hand that they may not finish."""
        return self._assigner(user).may_come_back()

    def _get_next_task(self, user: User) -> AbstractTask | None:
        """The task to hand out; plugins override it to choose in their own way."""
        raw = self._assigner(user).next()
        return self._document(raw) if raw else None

    def _hand_out(self, user: User) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """A task as people see it, as it is stored, and the user's progress; all but the last may be empty."""
        assigner = self._assigner(user)
        if self._chooses_itself():
            raw = assigner.current()
            task = self._document(raw) if raw else self._get_next_task(user)
            if task is not None and raw is None:
                assigner.take(task.id)
                raw = task.to_mongo()
        else:
            raw = assigner.next()
            # Making a document takes as long as asking the database, and most plugins have no use for it.
            task = self._document(raw) if raw and self._needs_documents() else None
        if not raw:
            return {}, {}, assigner.progress
        if task is None:
            self.work_session_manager.open(raw['_id'], self.type_name, user.id, wait=False)
            return public_facts(raw), raw, assigner.progress
        self.work_session_manager.start_work_session(task, user.id)
        return task.as_dict(), raw, assigner.progress

    def _needs_documents(self) -> bool:
        """Whether a plugin has its own way to show a task, or to begin a work session."""
        model, manager = self.task_model, type(self.work_session_manager)
        shows_itself = model.as_dict is not AbstractTask.as_dict or model.task_data is not AbstractTask.task_data
        return shows_itself or manager.start_work_session is not WorkSessionManager.start_work_session

    def _chooses_itself(self) -> bool:
        return _overrides(self, '_get_next_task')

    def _assigner(self, user: User) -> Assigner:
        known = user.take_along(*Progress.along(self.type_name, user.id))
        return Assigner(self, user.id, now=self.clock(), lease=self.lease, progress=known)

    def _document(self, raw: dict[str, Any]) -> AbstractTask:
        return self.task_model._from_son(raw)

    def media_of(self, task_id: str) -> dict[str, str]:
        """``{path in the task's data: SHA-256}`` of the files of a task."""
        return dict(self._tasks().filter(pk=task_id).scalar('media').first() or {})

    def batches_of(self, task_ids: Iterable[str]) -> dict[str, str | None]:
        """``{id of a task: id of its batch}``."""
        found = AbstractTask._get_collection().find({'_id': {'$in': list(task_ids)}}, {'batch': 1})
        return {task['_id']: task.get('batch') for task in found}

    def record_activity(self, user_id: str | ObjectId, task_id: str, seconds: int) -> None:
        """Add seconds of work to the user's open session, and keep his place in the task longer.

        :raises TaskNotFoundError: no such task of this type.
        :raises WorkSessionLookUpError: the user has no open session for it.
        :raises WorkSessionUpdateError: negative, or more than has passed.
        """
        user_id, now = ObjectId(user_id), self.clock()
        self.work_session_manager.record_activity(self._task(task_id), user_id, seconds)
        holding = {'_id': task_id, 'closed': {'$ne': True}, 'leases.user': user_id}
        AbstractTask._get_collection().update_one(holding, leases.renew(user_id, now + self.lease, now))

    def skip_task(self, task_id: str, user: User) -> None:
        """Put a task aside for this user; it comes back when nothing else is left.

        :raises TaskNotFoundError: no such task of this type.
        :raises TaskSkipError: the user has answered it.
        """

        def skip() -> None:
            before = AbstractTask._get_collection().find_one_and_update(
                {'_id': task_id, 'taskType': self.type_name}, leases.skip(user.id, self.clock())
            )
            if before is None:
                raise TaskNotFoundError(self._no_such_task(task_id))
            if user.id in (before.get('usersProcessed') or []):
                raise TaskSkipError(
                    gettext('Task %(task)s cannot be skipped: you have answered it already.', task=task_id)
                )
            Progress.let_go(self.type_name, user.id, task_id)
            with suppress(WorkSessionLookUpError):  # skipped without having been shown
                self.work_session_manager.delete_work_session(self._document(before), user.id)

        in_transaction(skip)

    def validate_result(self, task: AbstractTask, result: dict[str, Any]) -> None:
        """Refuse answers that make no sense; plugins override it.

        :raises TaskValidationError: with a sentence that names the field.
        """

    def sample_result(self, answer: str) -> dict[str, Any]:
        """The result that stands for one ``answer`` in the ``answers.csv`` of this type's samples."""
        return {'answer': answer}

    def on_task_done(
        self,
        user: User,
        task_id: str,
        result: dict[str, Any],
        activity: int = 0,
        limits: AnswerLimits = NO_LIMITS,
    ) -> AbstractAnswer | None:
        """Store an answer and everything that follows from it, in one transaction.

        An equal answer given again changes nothing and succeeds, so that a lost response can be repeated. An answer to a
        task that has enough already is stored as an extra one.

        :param activity: seconds of work that were not recorded yet.
        :param limits: how fast the user may answer; the site gives its own to what comes by HTTP.
        :returns: the answer as it is stored; ``extra`` says whether the task had enough already.
        :raises TaskNotFoundError: no such task of this type.
        :raises MalformedResultError: the result is no JSON object that can be stored exactly.
        :raises TaskValidationError: the task type refuses it.
        :raises AnswerConflictError: the user has given another answer before.
        :raises RateLimitError: too many answers.
        """
        if not isinstance(result, dict):
            raise MalformedResultError(gettext('result: must be a JSON object.'))
        check_storable(result)

        def store() -> tuple[AbstractAnswer, str | None]:
            return self._store_answer(user, task_id, result, activity, limits)

        try:
            answer, batch_id = in_transaction(store, turn=f'task {task_id}')
        except NotUniqueError:  # the same user's other request was faster
            answer, batch_id = in_transaction(store, turn=f'task {task_id}')
        # While a batch is far from done, its closed tasks are counted once a second by each process, or by the sweeper.
        if batch_id is not None and not far_from_done.known(batch_id):
            counting.fold_closings(batch_id, self.clock())
        return answer

    def _store_answer(
        self, user: User, task_id: str, result: dict[str, Any], activity: int, limits: AnswerLimits
    ) -> tuple[AbstractAnswer, str | None]:
        """Returns the answer, and the batch whose task was closed by it, if it was."""
        # The task first: who answers it at the same moment has to repeat, and then has done nothing in vain.
        new = {'_id': task_id, 'taskType': self.type_name, 'usersProcessed': {'$ne': user.id}}
        before = None if self._counts_by_hooks() else self._count(new, user, closing=False)
        task = self._document(before) if before else self._task(task_id)
        if user.id in map(_pk, task._data['users_processed']):  # bare references: nobody has to be fetched
            previous = self.answer_model.objects(task=task, created_by=user.id).no_dereference().first()
            if previous is not None and _same_json(previous.result, result):
                return previous, None
            raise AnswerConflictError(
                gettext('result: you have answered task %(task)s already, differently.', task=task_id)
            )
        self.validate_result(task, result)
        now = self.clock()
        answer = self.answer_model(task=task, created_by=user, created_at=now, task_type=self.type_name, result=result)
        if signals.on_task_done.receivers:
            answer.signal_due = now + counting.SIGNAL_GRACE
        if before and not leases.is_open(before, self.redundancy):
            answer.extra = True
        answer.circumstances = Circumstances(total=count_answer(user, now, limits))
        try:
            answer.save(force_insert=True)
        except ValidationError as error:  # of a field that the plugin has added to its document
            raise TaskValidationError(str(error)) from error
        if before:
            closed = leases.is_closed_by(before, self.redundancy, closing=False)
        else:
            closed = self._count_by_hooks(task, answer, user)
        Progress.count_answer(self.type_name, user.id, task_id)
        end = self.work_session_manager.end_work_session
        more = {'activity': activity, 'zone': user.time_zone}
        seconds = end(task, user.id, answer, **{name: value for name, value in more.items() if accepts(end, name)})
        if self.min_seconds and seconds is not None and seconds < self.min_seconds:
            answer.too_fast = True
            self.answer_model.objects(pk=answer.id).update_one(set__too_fast=True)
        batch = task._data.get('batch')  # the bare reference: task.batch fails when there is no such document
        if not closed or batch is None:
            return answer, None
        Closing._get_collection().update_one({'_id': task_id}, {'$set': {'batch': _pk(batch)}}, upsert=True)
        return answer, _pk(batch)

    def _count(self, where: dict[str, Any], user: User, *, closing: bool) -> dict[str, Any] | None:
        """Count an answer of the user in the task; returns the task as it was before, None if there is no such task."""
        stages = leases.answer(user.id, self.redundancy, self.clock(), closing=closing)
        return AbstractTask._get_collection().find_one_and_update(where, stages)

    def _counts_by_hooks(self) -> bool:
        return any(_overrides(self, hook) for hook in ('_update_task_on_answer', '_is_ready_for_autoclose'))

    def _count_by_hooks(self, task: AbstractTask, answer: AbstractAnswer, user: User) -> bool:
        """Let a plugin say what the stored answer means for its task; whether it closed the task."""
        count, was_closed = task.users_count, task.closed  # plugins may change the task at hand
        closed = self._update_task_on_answer(task, answer, user) and not was_closed
        if _overrides(self, '_update_task_on_answer'):
            self._settle(task.id, answer, user, count)
        return closed

    def _update_task_on_answer(self, task: AbstractTask, answer: AbstractAnswer, user: User) -> bool:
        """Count the answer in its task. Returns whether this answer closed the task."""
        closing = self._is_ready_for_autoclose(task, answer)
        before = self._count({'_id': task.id}, user, closing=closing) or {}
        self._mark_extra(answer, not leases.is_open(before, self.redundancy))
        return leases.is_closed_by(before, self.redundancy, closing=closing)

    def _settle(self, task_id: str, answer: AbstractAnswer, user: User, count: int) -> None:
        """What a plugin that counts answers itself does not know of: places, and answers that do not count."""
        after = AbstractTask._get_collection().find_one_and_update(
            {'_id': task_id}, leases.leave(user.id, self.clock()), return_document=ReturnDocument.AFTER
        )
        self._mark_extra(answer, after.get('usersCount', 0) == count)

    def _mark_extra(self, answer: AbstractAnswer, extra: bool) -> None:
        if extra and not answer.extra:
            answer.extra = True
            self.answer_model.objects(pk=answer.id).update_one(set__extra=True)

    def _is_ready_for_autoclose(self, task: AbstractTask, answer: AbstractAnswer) -> bool:
        """Whether this answer settles the task before it has ``redundancy`` answers; plugins override it."""
        return False

    def withdraw_answer(self, user: User, task_id: str) -> None:
        """Let a user take an answer back, as long as ``withdraw_within`` allows; to edit it, he answers again.

        :raises TaskNotFoundError: the user has no answer to this task.
        :raises AnswerWithdrawalError: it is too late.
        """
        answer = self.answer_model.objects(task=task_id, created_by=user.id, task_type=self.type_name).first()
        if answer is None:
            raise TaskNotFoundError(gettext('You have given no answer to task %(task)s.', task=task_id))
        now = self.clock()
        if now - aware(answer.created_at) > self.withdraw_within:
            minutes = int(self.withdraw_within.total_seconds() // 60)
            raise AnswerWithdrawalError(
                gettext(
                    'Task %(task)s: an answer can be taken back for %(minutes)s minutes only.',
                    task=task_id,
                    minutes=minutes,
                )
            )
        counting.withdraw(answer.id, self.redundancy, by=user, reason='', now=now)

    # --- people -------------------------------------------------------------------------------------------------------

    def get_leaders(self) -> list[tuple[ObjectId, int]]:
        """``(user id, number of answers)``, most answers first."""
        return self._leaderboard_manager.get_leaders()

    def get_leaderboard(self, limit: int = 10) -> list[dict[str, Any]]:
        """The first ``limit`` users as ``{'rank', 'user', 'freq'}``, with dense ranks."""
        return self._leaderboard_manager.get_leaderboard(limit)

    def stats_of(self, user_id: ObjectId) -> dict[str, int]:
        """``{'total', 'position'}``: number of answers of a user, and his dense rank by it."""
        return self._stats(Progress.raw(self.type_name, user_id).get('total', 0))

    def _stats(self, total: int) -> dict[str, int]:
        return {'total': total, 'position': position(self.type_name, total)}

    # --- helpers ------------------------------------------------------------------------------------------------------

    def _tasks(self) -> Any:
        return self.task_model.objects(task_type=self.type_name)

    def _task(self, task_id: str) -> AbstractTask:
        raw = AbstractTask._get_collection().find_one({'_id': task_id, 'taskType': self.type_name})
        if raw is None:
            raise TaskNotFoundError(self._no_such_task(task_id))
        return self._document(raw)

    def _no_such_task(self, task_id: str) -> str:
        return gettext('There is no task %(task)s of type %(type)s.', task=task_id, type=self.type_name)


def _checked(record: Any, number: int) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise TaskImportError(gettext('a task must be a JSON object.'), number)
    if not record:
        raise TaskImportError(gettext('a task must not be empty.'), number)
    try:
        check_storable(record, what='task')
    except MalformedResultError as error:
        raise TaskImportError(str(error), number) from error
    return record


def _batch_id(task: AbstractTask | None) -> str | None:
    # The bare reference: task.batch fails when there is no such document.
    return _pk(task._data.get('batch')) if task is not None else None


def _overrides(task_type: AbstractTaskType, method: str) -> bool:
    return getattr(getattr(task_type, method), '__func__', None) is not getattr(AbstractTaskType, method)


def _is_key(value: Any, mapping: Mapping[str, Any]) -> bool:
    return isinstance(value, str) and value in mapping


def _same_json(one: Any, other: Any) -> bool:
    # Not ==, for which 1, 1.0 and true are the same.
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _without_zone(moment: datetime) -> datetime:
    """As export lines have always had it: UTC, unsaid."""
    return moment.replace(tzinfo=None)


def _pk(reference: Any) -> Any:
    """The id behind a document, a bare reference or an id."""
    return getattr(reference, 'id', reference)


def _is_subclass(model: Any, base: type) -> bool:
    return isinstance(model, type) and issubclass(model, base)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InitializationError(message)
