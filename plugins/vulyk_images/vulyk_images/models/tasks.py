"""Documents of the task type."""

from vulyk.models.tasks import AbstractAnswer, AbstractTask


class ImageTask(AbstractTask):
    """``task_data``: ``image`` (path of the photo, relative to the data file) and ``choices`` (a list of values or
    ``{'value', 'label'}`` objects).

    Shown when they are there: ``question``, ``labels`` (``{value: label}``), and for the line of thanks below the photo
    ``author``, ``author_url``, ``licence``, ``source_url``.
    """

    @property
    def choices(self) -> list[str | int | float | bool]:
        """The values an answer may have, in the order they are shown; empty when the task names none."""
        choices = self.task_data.get('choices')
        if not isinstance(choices, list):
            return []
        values = [choice.get('value') if isinstance(choice, dict) else choice for choice in choices]
        return [value for value in values if isinstance(value, str | int | float)]


class ImageAnswer(AbstractAnswer):
    """``result``: ``{'choice': one of the values in the task's choices}``."""
