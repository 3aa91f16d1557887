"""The task type: what the platform is told about it, and what counts as an answer."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from flask_babel import gettext, lazy_gettext

from vulyk.models.exc import TaskValidationError
from vulyk.models.task_types import AbstractTaskType
from vulyk_tagging.models.tasks import TaggingAnswer, TaggingTask

SPAN_FIELDS = ('start', 'end', 'label', 'text')


class TaggingTaskType(AbstractTaskType):
    """Mark words in a text, say what they are."""

    answer_model = TaggingAnswer
    task_model = TaggingTask

    name = lazy_gettext('Names in novels')
    description = lazy_gettext(
        'Read a sentence of an old novel and mark the names in it: people, places, buildings, organisations.'
    )

    type_name = 'tagging'
    template = 'index.html'
    helptext_template = 'help.html'
    tour = 'tour.html'
    examples = 'examples.html'
    practice = 'static/practice/practice.jsonl'
    redundancy = 3

    seconds_per_task = 30
    picture = 'static/images/card.svg'
    frontend = 'bootstrap5'
    samples = 'samples'

    JS_ASSETS = ['static/scripts/tagging.js']
    CSS_ASSETS = ['static/styles/tagging.css']

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        self.allow_overlaps = bool(settings.get('ALLOW_OVERLAPS', False))
        self._labels = settings.get('LABELS', {})

    def label_names(self) -> dict[str, list[str]]:
        """``{value: [name, description]}`` of the setting, in the language of the page."""
        return {value: [str(text) for text in texts] for value, texts in self._labels.items()}

    def validate_result(self, task: TaggingTask, result: Mapping[str, Any]) -> None:
        """Accept ``{'spans': [{'start', 'end', 'label', 'text'}, …]}`` in order of ``start``, and nothing else.

        Offsets count code points, ``0 ≤ start < end ≤`` length of the task's text, and ``text`` is what stands between them.
        Spans that overlap are refused unless ``ALLOW_OVERLAPS`` is set; the same span with the same label always is.

        :raises TaskValidationError: anything else; the text names the field.
        """
        unknown = sorted(set(result) - {'spans'})
        if unknown:
            raise TaskValidationError(
                gettext('result: unknown field %(unknown)s; the only field is "spans".', unknown=repr(unknown[0]))
            )
        spans = result.get('spans')
        if not isinstance(spans, list):
            raise TaskValidationError(
                gettext('spans: must be a list; an empty one says that there is nothing to mark.')
            )
        text, labels = task.text, task.labels
        for number, span in enumerate(spans):
            _check_span(span, f'spans[{number}]', text, labels)
        seen = set()
        for number, span in enumerate(spans):
            facts = (span['start'], span['end'], span['label'])
            if facts in seen:
                raise TaskValidationError(
                    gettext('spans[%(number)s]: the same span with the same label is there already.', number=number)
                )
            seen.add(facts)
        for number, (span, following) in enumerate(pairwise(spans), 1):
            if following['start'] < span['start']:
                raise TaskValidationError(
                    gettext('spans[%(number)s].start: spans must be in order of their start.', number=number)
                )
            if following['start'] < span['end'] and not self.allow_overlaps:
                raise TaskValidationError(gettext('spans[%(number)s]: it overlaps the span before it.', number=number))


def _check_span(span: Any, where: str, text: str, labels: list[str]) -> None:
    if not isinstance(span, dict) or set(span) != set(SPAN_FIELDS):
        raise TaskValidationError(
            gettext(
                '%(where)s: must be an object with the fields %(names)s.', where=where, names=', '.join(SPAN_FIELDS)
            )
        )
    start, end = span['start'], span['end']
    for field in ('start', 'end'):
        if type(span[field]) is not int:  # True is an int in Python, but not in JSON
            raise TaskValidationError(gettext('%(where)s.%(field)s: must be a whole number.', where=where, field=field))
    if not 0 <= start < end:
        raise TaskValidationError(gettext('%(where)s.start: must be 0 or more, and less than the end.', where=where))
    if end > len(text):
        raise TaskValidationError(
            gettext(
                '%(where)s.end: %(end)s is beyond the text, which has %(number)s characters.',
                where=where,
                end=end,
                number=len(text),
            )
        )
    if span['label'] not in labels:
        raise TaskValidationError(
            gettext('%(where)s.label: it is not one of the labels this task offers.', where=where)
        )
    if span['text'] != text[start:end]:
        raise TaskValidationError(
            gettext(
                '%(where)s.text: it is not what stands from %(start)s to %(end)s in the text of the task.',
                where=where,
                start=start,
                end=end,
            )
        )
