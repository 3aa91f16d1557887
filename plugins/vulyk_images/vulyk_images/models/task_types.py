"""The task type: what the platform is told about it, and what counts as an answer."""

from collections.abc import Mapping
from typing import Any

from flask_babel import gettext, lazy_gettext

from vulyk.models.exc import TaskValidationError
from vulyk.models.task_types import AbstractTaskType
from vulyk_images.models.tasks import ImageAnswer, ImageTask


class ImageChoiceTaskType(AbstractTaskType):
    """Look at a photo, choose one of the answers."""

    answer_model = ImageAnswer
    task_model = ImageTask

    name = lazy_gettext('Cats in photos')
    description = lazy_gettext('Look at a photo and say which kind of cat it shows: domestic, small wild or big.')

    type_name = 'images'
    template = 'index.html'
    helptext_template = 'help.html'
    tour = 'tour.html'
    examples = 'examples.html'
    practice = 'static/practice/practice.jsonl'
    redundancy = 3

    needs = ('sight',)
    seconds_per_task = 10
    picture = 'static/images/card.svg'
    frontend = 'bootstrap5'
    media_fields = ('image',)
    samples = 'samples'

    JS_ASSETS = ['static/scripts/images.js']
    CSS_ASSETS = ['static/styles/images.css']

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        self.submit_on_choice = bool(settings.get('SUBMIT_ON_CHOICE', False))

    def validate_result(self, task: ImageTask, result: Mapping[str, Any]) -> None:
        """Accept ``{'choice': value}`` with a value the task offers, of the same JSON type, and nothing else.

        :raises TaskValidationError: anything else; the text names the field.
        """
        unknown = sorted(set(result) - {'choice'})
        if unknown:
            raise TaskValidationError(
                gettext('result: unknown field %(unknown)s; the only field is "choice".', unknown=repr(unknown[0]))
            )
        if 'choice' not in result:
            raise TaskValidationError(gettext('choice: it is missing; choose one of the answers.'))
        chosen = result['choice']
        # 1 == True == 1.0 in Python, but they are different answers in JSON.
        if not any(type(choice) is type(chosen) and choice == chosen for choice in task.choices):
            raise TaskValidationError(gettext('choice: it is not one of the answers this task offers.'))

    def sample_result(self, answer: str) -> dict[str, Any]:
        """The result that stands for a label in ``samples/answers.csv``."""
        return {'choice': answer}
