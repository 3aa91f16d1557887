"""Form fields of the admin pages."""

import json
from typing import Any

from bson import DBRef
from flask import current_app
from flask_admin.model.fields import AjaxSelectMultipleField
from flask_babel import gettext
from wtforms import Form, PasswordField, SelectMultipleField, TextAreaField
from wtforms.fields import Field
from wtforms.validators import InputRequired, Optional, ValidationError
from wtforms.widgets import CheckboxInput, ListWidget

from vulyk.models import passwords
from vulyk.models.exc import MalformedResultError
from vulyk.models.fields import parse_json_object
from vulyk.models.user import User


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
