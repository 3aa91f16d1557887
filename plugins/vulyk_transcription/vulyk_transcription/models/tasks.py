"""Documents of the task type."""

from vulyk.models.tasks import AbstractAnswer, AbstractTask


class TranscriptionTask(AbstractTask):
    """``task_data``: ``image`` (path of the picture of one line, relative to the data file) is needed.

    Shown below the picture when they are there: ``work``, ``year``, ``credit``, ``licence``, ``source_url``.
    """


class TranscriptionAnswer(AbstractAnswer):
    """``result``: ``{'text': what the line says}`` or ``{'illegible': True}``."""
