"""Exceptions of the platform. Code raises them; pages, API and CLI each have one place that turns them into a response."""


class TaskImportError(Exception):
    """A file or a record cannot become a task; nothing was stored.

    :param record: number of the offending record, counted from 1, where there is one.
    """

    def __init__(self, message: str, record: int | None = None) -> None:
        super().__init__(message)
        self.record = record


class TaskExportError(Exception):
    """Answers cannot be exported in the way asked for; the text says what to do."""


class TaskSkipError(Exception):
    """The task cannot be skipped, for instance because this user has answered it already."""


class TaskSaveError(Exception):
    """The answer cannot be stored."""


class AnswerConflictError(TaskSaveError):
    """This user has given another answer to this task before."""


class AnswerWithdrawalError(Exception):
    """The answer cannot be taken back (any more)."""


class TaskValidationError(Exception):
    """The result is not what the task type accepts; the text names the field and says what is expected."""


class TaskPermissionError(Exception):
    """The user may not work on this type of tasks."""


class TaskNotFoundError(Exception):
    """There is no such task (in this type)."""


class TaskTypeNotFoundError(Exception):
    """There is no such task type on this site."""


class MalformedResultError(Exception):
    """What was posted is not a JSON object that can be stored exactly."""


class ResultTooLargeError(MalformedResultError):
    """The result is larger than the site or the database takes."""


class WorkSessionLookUpError(Exception):
    """There is no work session for this user and task."""


class WorkSessionUpdateError(Exception):
    """The work session cannot be changed that way."""


class RateLimitError(Exception):
    """This was tried too often.

    :param seconds: how long to wait.
    :param is_new_account: it is too often only because the account is new.
    """

    def __init__(self, seconds: int, *, is_new_account: bool = False) -> None:
        super().__init__(f'Too often: try again in {seconds} seconds.')
        self.seconds = seconds
        self.is_new_account = is_new_account


class InitializationError(Exception):
    """The site or a plugin is not set up correctly; the text says what to change."""


class DatabaseError(InitializationError):
    """The database is away or not of the kind the platform needs."""
