"""What counts as an answer. It needs no database."""

import pytest

from vulyk.models.exc import TaskValidationError
from vulyk_example.models.task_types import ExampleTaskType
from vulyk_example.models.tasks import ExampleTask

KIND = ExampleTaskType(settings={})
TASK = ExampleTask(task_data={'text': 'In Lisbon it rained.', 'choices': ['a person', 'a place']})


def test_choice_of_the_task_is_accepted():
    KIND.validate_result(TASK, {'choice': 'a place'})


@pytest.mark.parametrize(
    'result', [{}, {'choice': 'a ship'}, {'choice': None}, {'choice': []}, {'choice': 'a place', 'x': 1}]
)
def test_anything_else_is_refused_with_the_name_of_the_field(result):
    with pytest.raises(TaskValidationError, match='^choice:'):
        KIND.validate_result(TASK, result)


def test_task_without_choices_takes_no_answer():
    with pytest.raises(TaskValidationError):
        KIND.validate_result(ExampleTask(task_data={'choices': 'none'}), {'choice': 'none'})
