"""The page that lets admins download the answers of a batch."""

import re
from typing import Any

from flask import Response, current_app, flash, redirect, request, stream_with_context
from flask_admin import expose
from flask_admin.form import BaseForm
from flask_babel import gettext, lazy_gettext
from flask_login import current_user
from wtforms import BooleanField, DateTimeLocalField, SelectField
from wtforms.validators import Optional, ValidationError

from vulyk.exporting import writing
from vulyk.exporting.reading import ALL_BATCHES, Wanted
from vulyk.exporting.writing import Export
from vulyk.models.exc import TaskExportError
from vulyk.models.tasks import Batch
from vulyk.utils import aware

_UNSAFE = re.compile(r'[^\w.-]+', re.ASCII)


class AnswersForm(BaseForm):
    """What to download; the options of ``db export``."""

    batch = SelectField(lazy_gettext('Batches'))
    form = SelectField(
        lazy_gettext('Format'),
        choices=[
            ('csv', lazy_gettext('Table (CSV), a row per answer')),
            ('jsonl', lazy_gettext('JSON lines, an answer each')),
            ('tasks', lazy_gettext('JSON lines, a task with its answers each')),
        ],
    )
    with_open = BooleanField(
        lazy_gettext('Open tasks too'), description=lazy_gettext('Otherwise only closed tasks, which have all answers.')
    )
    since = DateTimeLocalField(
        lazy_gettext('Only tasks with answers since'),
        format=['%Y-%m-%dT%H:%M', '%Y-%m-%dT%H:%M:%S'],
        validators=[Optional()],
        description=lazy_gettext('In UTC. Left empty: all of them.'),
    )
    with_sessions = BooleanField(
        lazy_gettext('Times'), description=lazy_gettext('When and how long people worked on each answer.')
    )
    counted_only = BooleanField(
        lazy_gettext('Without extra answers'),
        description=lazy_gettext('Those that came when their task had enough answers.'),
    )
    with_emails = BooleanField(
        lazy_gettext('E-mail addresses'),
        description=lazy_gettext('Of everybody who has answered. The audit log will say that you have asked for them.'),
    )

    def validate_since(self, field: DateTimeLocalField) -> None:
        """WTForms takes a text that is no time for none at all."""
        if field.raw_data and field.raw_data[0] and field.data is None:
            raise ValidationError(gettext('This is no date and time.'))

    def wanted(self) -> Wanted:
        """What was chosen."""
        return Wanted(
            self.batch.data,
            closed=not self.with_open.data,
            with_sessions=self.with_sessions.data,
            with_emails='with_emails' in self and self.with_emails.data,
            counted_only=self.counted_only.data,
            since=aware(self.since.data) if self.since.data else None,
        )


class AnswersMixin:
    """Gives the list of batches a page that asks what to download, and the download."""

    @expose('/answers/', methods=('GET', 'POST'))
    def answers_view(self) -> Any:
        """The form, or a ZIP archive with answers and manifest, written while it is being sent."""
        batch = self.get_one(request.args.get('id', ''))
        kind = current_app.task_types.get(batch.task_type) if batch else None
        if kind is None:
            flash(gettext('There is no such batch, or the plugin of its project is not enabled.'), 'error')
            return redirect(self.get_url('.index_view'))
        form = self._answers_form(batch)
        if request.method == 'POST' and form.validate():
            try:
                return self._download(Export(kind, form.wanted(), form.form.data))
            except TaskExportError as error:
                flash(str(error), 'error')
        return self.render('admin/vulyk_answers.html', form=form, batch=batch, model=batch, kind=kind)

    def _answers_form(self, batch: Batch) -> AnswersForm:
        form = AnswersForm(request.form if request.method == 'POST' else None)
        form.batch.choices = [
            (batch.id, gettext('This one: %(id)s', id=batch.id)),
            (ALL_BATCHES, gettext('All batches of %(type)s', type=batch.task_type)),
        ]
        if not current_user.is_admin():  # project admins do not see addresses anywhere
            del form.with_emails
        return form

    def _download(self, export: Export) -> Response:
        if export.wanted.with_emails:
            writing.audit_emails(export, current_user._get_current_object(), 'a download')
        batch = export.wanted.batch
        name = _UNSAFE.sub('_', export.task_type.type_name if batch == ALL_BATCHES else batch).strip('.') or 'answers'
        pieces = writing.zip_pieces(export, name, writing.facts_of(current_app.config))
        response = Response(stream_with_context(pieces), mimetype='application/zip')
        response.headers['Content-Disposition'] = f'attachment; filename="{name}.zip"'
        response.headers['Cache-Control'] = 'no-store'
        return response
