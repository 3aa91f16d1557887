"""The task type: what the platform is told about it, and what counts as an answer."""

from collections.abc import Mapping
from typing import Any

from vulyk.models.exc import TaskValidationError
from vulyk.models.task_types import AbstractTaskType
from vulyk_example.models.tasks import ExampleAnswer, ExampleTask


class ExampleTaskType(AbstractTaskType):
    """Read a text, choose one of the answers."""

    task_model = ExampleTask
    answer_model = ExampleAnswer

    type_name = 'example'
    name = 'Example'
    description = 'Read a text and choose one of the answers.'
    redundancy = 3

    frontend = 'bootstrap5'
    template = 'index.html'
    helptext_template = 'help.html'
    practice = 'static/practice/practice.jsonl'
    samples = 'samples'
    JS_ASSETS = ['static/scripts/example.js']
    CSS_ASSETS = ['static/styles/example.css']

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        self.submit_on_choice = bool(settings.get('SUBMIT_ON_CHOICE', False))

    def validate_result(self, task: ExampleTask, result: Mapping[str, Any]) -> None:
        """Accept one of the choices of the task, and nothing else.

        :raises TaskValidationError: anything else; the text names the field.
        """
        if set(result) != {'choice'}:
            raise TaskValidationError('choice: it is the one field of an answer.')
        if result['choice'] not in task.choices:
            raise TaskValidationError('choice: it is not one of the answers this task offers.')
