"""Accounting of work sessions."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from flask_babel import gettext
from pymongo.errors import DuplicateKeyError

from vulyk import zones
from vulyk.ext.counting import tell_task_done
from vulyk.models.exc import WorkSessionLookUpError, WorkSessionUpdateError
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import AbstractAnswer, AbstractTask
from vulyk.models.transaction import AT_ONCE, UNCONFIRMED, after_commit
from vulyk.utils import aware


class WorkSessionManager:
    """Opens, measures and closes the sessions of one task type. Plugins may give their own.

    :param work_session_model: the document class sessions are stored in.
    :param clock: where "now" comes from; replaced in tests.
    """

    def __init__(
        self, work_session_model: type[WorkSession], clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        if not issubclass(work_session_model, WorkSession):
            raise TypeError('work_session_model must be a subclass of vulyk.models.stats.WorkSession')
        self.work_session = work_session_model
        self.clock = clock

    def start_work_session(self, task: AbstractTask, user_id: ObjectId) -> None:
        """Open a session now. One that is open keeps its start and activity (page reload); a finished one stays as it is."""
        self.open(task.id, task.task_type, user_id)

    def open(self, task_id: str, task_type: str, user_id: ObjectId, *, wait: bool = True) -> None:
        """The same for those who have no document of the task.

        :param wait: until the server has it. Should it get lost with the server otherwise, the session begins with the answer.
        """
        new = {
            '_cls': self.work_session._class_name,
            'user': user_id,
            'task': task_id,
            'taskType': task_type,
            'start_time': self.clock(),
            'activity': 0,
        }
        with suppress(DuplicateKeyError):  # there is one
            sessions = self.work_session._get_collection()
            sessions.with_options(write_concern=AT_ONCE if wait else UNCONFIRMED).insert_one(new)

    def record_activity(self, task: AbstractTask, user_id: ObjectId, seconds: int) -> None:
        """Add seconds of real work to the open session.

        :raises WorkSessionLookUpError: there is no open session.
        :raises WorkSessionUpdateError: ``seconds`` is negative, or more than has passed since the session began.
        """
        session = self._of(task, user_id, end_time=None).first()
        if session is None:
            raise WorkSessionLookUpError(
                gettext('There is no open work session of this user for task %(task)s.', task=task.id)
            )
        passed = (self.clock() - aware(session.start_time)).total_seconds()
        if seconds < 0 or session.activity + seconds > passed:
            raise WorkSessionUpdateError(
                gettext(
                    'seconds: %(seconds)s is not possible; %(activity)s are recorded, %(passed)s have passed.',
                    seconds=seconds,
                    activity=session.activity,
                    passed=f'{passed:.0f}',
                )
            )
        # The condition repeats the limit, because two browser tabs may report at the same time.
        limit = {'end_time': None, 'activity__lte': int(passed) - seconds}
        if not self._of(task, user_id, **limit).update_one(inc__activity=seconds):
            raise WorkSessionUpdateError(
                gettext('seconds: %(seconds)s is more than has passed since the session began.', seconds=seconds)
            )

    def end_work_session(
        self, task: AbstractTask, user_id: ObjectId, answer: AbstractAnswer, activity: int = 0, zone: str | None = None
    ) -> float | None:
        """Close the session with its answer, opening it first if there is none; then ``on_task_done`` goes out.

        Returns the seconds since the session was opened; if it had not been, those that are said to be worked.

        :param activity: seconds of work since they were last recorded; what exceeds the time passed is cut off.
        :param zone: the time zone the user is in, as an IANA name, where it is known.
        :raises WorkSessionUpdateError: the session has been finished with another answer already.
        """
        now = self.clock()
        start = {'$ifNull': ['$start_time', now]}
        passed = {'$toLong': {'$divide': [{'$subtract': [now, start]}, 1000]}}
        facts = {
            '_cls': self.work_session._class_name,
            'taskType': task.task_type,
            'start_time': start,
            'end_time': now,
            'answer': answer.id,
            'activity': {'$min': [{'$add': [{'$ifNull': ['$activity', 0]}, activity]}, passed]},
        }
        if zone:
            facts |= {'zone': zone, 'localDate': now.astimezone(zones.load(zone)).date().isoformat()}
        open_one = {'user': user_id, 'task': task.id, 'end_time': None}
        try:
            before = (
                self.work_session._get_collection().find_one_and_update(
                    open_one, [{'$set': facts}], {'start_time': 1, 'activity': 1}, upsert=True
                )
                or {}
            )
        except DuplicateKeyError as error:
            raise WorkSessionUpdateError(
                gettext('The work session of this user for task %(task)s is finished already.', task=task.id)
            ) from error
        lasted = (now - aware(before['start_time'])).total_seconds() if before else 0.0
        if answer.circumstances is not None:
            answer.circumstances.ended = now
            answer.circumstances.seconds = min((before.get('activity') or 0) + activity, int(lasted))
        after_commit(lambda: tell_task_done(self, answer))
        return lasted if before else float(activity)

    def delete_work_session(self, task: AbstractTask, user_id: ObjectId) -> None:
        """Forget the open session of a skipped task.

        :raises WorkSessionLookUpError: there is no open session; a finished one is never deleted.
        """
        if not self._of(task, user_id, end_time=None).delete():
            raise WorkSessionLookUpError(
                gettext('There is no open work session of this user for task %(task)s.', task=task.id)
            )

    def _of(self, task: AbstractTask, user_id: ObjectId, **more: Any) -> Any:
        return self.work_session.objects(user=user_id, task=task, **more)
