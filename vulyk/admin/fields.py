"""Form fields of the admin pages."""

import json
from collections.abc import Mapping
from typing import Any

from bson import DBRef
from flask import current_app
from flask_admin.model.fields import AjaxSelectMultipleField
from flask_babel import gettext
from markupsafe import Markup
from wtforms import Form, PasswordField, SelectMultipleField, TextAreaField
from wtforms.fields import Field
from wtforms.validators import InputRequired, Optional, ValidationError
from wtforms.widgets import CheckboxInput, ListWidget

from vulyk.models import passwords
from vulyk.models.exc import MalformedResultError
from vulyk.models.facts import check_facts
from vulyk.models.fields import parse_json_object
from vulyk.models.user import User

LANGUAGES = {'en': 'English', 'uk': 'Українська', 'ru': 'Русский'}  # of the site


class JsonObjectField(TextAreaField):
    """A JSON object as text; what cannot be stored exactly is refused with the reason, and what was typed stays.

    Never optional: an empty object is written ``{}``.
    """

    def __init__(self, label: str | None = None, validators: Any = None, **kwargs: Any) -> None:
        super().__init__(label, [InputRequired()], **kwargs)

    def _value(self) -> str:
        if self.raw_data:
            return self.raw_data[0]
        return json.dumps(self.data or {}, ensure_ascii=False, indent=2)

    def process_formdata(self, valuelist: list[str]) -> None:
        """Read the text.

        :raises ValueError: it is not a JSON object that can be stored.
        """
        if valuelist:
            try:
                self.data = parse_json_object(valuelist[0], what=self.short_name)
            except MalformedResultError as error:
                raise ValueError(str(error)) from error


class TextsField(Field):
    """A fact of a batch that may differ from language to language: one text for all, or one for each.

    :param rows: height of the boxes; 1 makes them lines.
    :raises ValidationError: the texts are refused by :func:`vulyk.models.facts.check_facts`.
    """

    def __init__(self, label: str | None = None, validators: Any = None, rows: int = 1, **kwargs: Any) -> None:
        super().__init__(label, **kwargs)  # Optional() would take an empty box for all languages for an empty fact
        self.rows = rows

    def widget(self, field: 'TextsField', **kwargs: Any) -> Markup:
        """A box for all languages, and folded away one for each language."""
        (_, everybody), *others = self._texts()
        named = Markup('<label class="va-language">{}{}</label>')
        boxes = Markup('').join(named.format(LANGUAGES.get(tag, tag), self._box(tag, text)) for tag, text in others)
        fold = Markup('<details class="va-languages"{}><summary>{}</summary>{}</details>')
        is_open = Markup(' open') if any(text for _, text in others) else ''
        first = self._box('', everybody, Markup(' id="{}"').format(self.id))
        return first + fold.format(is_open, gettext('By language'), boxes)

    def _texts(self) -> list[tuple[str, str]]:
        if self.raw_data:
            return list(zip(self.raw_data[::2], self.raw_data[1::2], strict=False))
        texts = self.data if isinstance(self.data, Mapping) else {'': self.data or ''}
        return [(tag, texts.get(tag, '')) for tag in dict.fromkeys(('', *LANGUAGES, *texts))]

    def _box(self, tag: str, text: str, attributes: str = '') -> Markup:
        box = '<textarea class="form-control" name="{0}" rows="{2}" lang="{1}"{3}>{4}</textarea>'
        return Markup(f'<input type="hidden" name="{{0}}" value="{{1}}">{box}').format(
            self.name, tag, self.rows, attributes, text
        )

    def process_formdata(self, valuelist: list[str]) -> None:
        """Take the boxes: pairs of language and text, the language of the first is empty.

        :raises ValueError: a text that is not possible, or one for all languages beside others.
        """
        if not valuelist:
            return
        texts = {tag: text for tag, text in zip(valuelist[::2], valuelist[1::2], strict=False) if text.strip()}
        if '' in texts and len(texts) > 1:
            raise ValueError(gettext('Write either one text for everybody or one for each language.'))
        given = texts.get('', texts)
        self.data = check_facts({self.short_name: given}).get(self.short_name)


def fact(form: Form, field: Field) -> None:
    """Validates a line among the facts of a batch.

    :raises ValidationError: it is too long, or no language where one is expected.
    """
    try:
        check_facts({field.short_name: field.data or ''})
    except ValueError as error:
        raise ValidationError(str(error)) from error


def trimmed(text: str | None) -> str | None:
    """Filters a line: None if nothing is left of it, so that nothing is stored."""
    return (text or '').strip() or None


class NewPasswordField(PasswordField):
    """Sets a new password of a :class:`~vulyk.models.user.User` if something was typed; shows nothing, keeps no plain text."""

    def __init__(self, label: str | None = None, validators: Any = None, **kwargs: Any) -> None:
        super().__init__(label, [Optional(strip_whitespace=False), _good_enough], **kwargs)

    def populate_obj(self, obj: User, name: str) -> None:
        """Hash and keep the password."""
        if self.data:
            obj.set_password(self.data)


def _good_enough(form: Form, field: Field) -> None:
    try:
        passwords.check(field.data)
    except passwords.PasswordError as error:
        raise ValidationError(str(error)) from error


class TaskTypesField(SelectMultipleField):
    """Boxes to tick: the enabled task types, and those that are set already though their plugin is not loaded now."""

    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()

    def process_data(self, value: Any) -> None:
        """Take the stored list; a type that is not enabled must not get lost because its plugin failed to load."""
        super().process_data(value)
        enabled = current_app.task_types
        self.choices = [(name, f'{kind.name or name} ({name})') for name, kind in enabled.items()]
        lost = [name for name in self.data or [] if name not in enabled]
        self.choices += [(name, gettext('%(name)s (not enabled)', name=name)) for name in lost]


class ReferencesField(AjaxSelectMultipleField):
    """Several documents, looked up while typing. May be left empty; references to deleted documents are dropped.

    Flask-Admin's own field calls an empty selection and a deleted document an invalid choice.
    """

    def process_data(self, value: Any) -> None:
        """Take what is stored."""
        super().process_data([item for item in value or [] if not isinstance(item, DBRef)])

    def process_formdata(self, valuelist: list[str]) -> None:
        """Take what was chosen: ids, separated by commas."""
        self.data = []
        super().process_formdata([value for value in valuelist if value])

    def pre_validate(self, form: Form) -> None:
        """Refuse ids there is no document for, which are noticed only when the documents are fetched.

        :raises ValidationError: there are some.
        """
        if self.data is not None:
            super().pre_validate(form)
