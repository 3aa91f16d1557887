"""Documents of the task type."""

from vulyk.models.tasks import AbstractAnswer, AbstractTask


class ExampleTask(AbstractTask):
    """``task_data``: ``text``, ``choices`` (a list of texts) and, if you like, ``question``."""

    @property
    def choices(self) -> list[str]:
        """The answers this task offers; none if it names none."""
        choices = self.task_data.get('choices')
        return [choice for choice in choices if isinstance(choice, str)] if isinstance(choices, list) else []


class ExampleAnswer(AbstractAnswer):
    """``result``: ``{'choice': one of the choices}``."""
