"""Documents of the task type."""

from vulyk.models.tasks import AbstractAnswer, AbstractTask


class TaggingTask(AbstractTask):
    """``task_data``: ``text`` and ``labels`` (a list of texts or ``{'value', 'label', 'description'}`` objects).

    ``language`` (or ``lang``) is the language of the text. Shown when they are there: ``question``, and below the text
    ``work``, ``author``, ``year``, ``credit``, ``licence``, ``source_url``.
    """

    @property
    def text(self) -> str:
        """The text to mark; empty when the task has none."""
        text = self.task_data.get('text')
        return text if isinstance(text, str) else ''

    @property
    def labels(self) -> list[str]:
        """The values a label may have, in the order they are shown; empty when the task names none."""
        labels = self.task_data.get('labels')
        if not isinstance(labels, list):
            return []
        values = [label.get('value') if isinstance(label, dict) else label for label in labels]
        return [value for value in values if isinstance(value, str)]


class TaggingAnswer(AbstractAnswer):
    """``result``: ``{'spans': [{'start', 'end', 'label', 'text'}, …]}`` in order of ``start``.

    ``start`` and ``end`` count code points of the task's text from 0, ``end`` is not part of the span, and ``text`` is what
    stands there. An empty list says that there is nothing to mark.
    """
