"""What plugins and sites build their admin pages from."""

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import gridfs
import mongoengine
import nh3
from bson import DBRef, ObjectId
from bson.errors import InvalidId
from flask import Response, abort, flash, request, send_file
from flask_admin import expose
from flask_admin.actions import action
from flask_admin.contrib.mongoengine import ModelView
from flask_admin.contrib.mongoengine.ajax import QueryAjaxModelLoader, create_ajax_loader
from flask_admin.contrib.mongoengine.fields import MongoFileField, MongoImageField
from flask_admin.contrib.mongoengine.form import CustomModelConverter
from flask_admin.contrib.mongoengine.helpers import gridfs_content_type, make_gridfs_args, make_thumb_args
from flask_admin.contrib.mongoengine.typefmt import DEFAULT_FORMATTERS, grid_formatter
from flask_babel import LazyString, gettext
from flask_login import current_user
from markupsafe import Markup
from mongoengine.connection import get_db
from mongoengine.fields import GridFSProxy, ImageGridFsProxy
from pymongo.errors import ExecutionTimeout
from wtforms import EmailField, TextAreaField
from wtforms.validators import ValidationError
from wtforms.widgets import FileInput, TextArea

from vulyk.admin.access import AdminsOnly
from vulyk.admin.fields import ReferencesField
from vulyk.exporting.formats import neutral
from vulyk.models import audit
from vulyk.utils import HTTPStatus

MAX_SEARCH_LENGTH = 200
MAX_LOOKUP_ROWS = 50
MAX_COUNTED = 10_000  # documents; a list does not lead further
MAX_LIST_MS = 4000
_MIME_TYPE = re.compile(r'[\w.+-]+/[\w.+-]+')


class Many(int):
    """A number of which is only known that it is larger."""

    def __str__(self) -> str:
        return f'{int(self):,}+'

    __format__ = int.__format__


class CKTextAreaWidget(TextArea):
    """A textarea that ``extra_js`` of :class:`AuthModelView` turns into a rich-text editor; without scripts it stays one."""

    def __call__(self, field: 'CKTextAreaField', **kwargs: Any) -> str:
        kwargs['class'] = f'{kwargs.get("class", "")} ckeditor'.strip()
        kwargs.setdefault('rows', 8)
        texts = {
            'bold': gettext('Bold (Ctrl+B)'),
            'italic': gettext('Italic (Ctrl+I)'),
            'link': gettext('Link'),
            'address': gettext('Address of the link'),
            'unlink': gettext('No link'),
            'list': gettext('List'),
            'numbers': gettext('Numbered list'),
        }
        kwargs |= {f'data-text-{name}': text for name, text in texts.items()}
        return super().__call__(field, **kwargs)


class CKTextAreaField(TextAreaField):
    """Rich text. What is stored is safe to show: scripts, handlers and foreign schemes are taken out on save.

    Use it as ``form_overrides = {'description': CKTextAreaField}``.
    """

    widget = CKTextAreaWidget()

    def _value(self) -> str:
        return nh3.clean(
            self.data or ''
        )  # an older version may have stored it unclean, and the editor shows it as HTML

    def process_formdata(self, valuelist: list[str]) -> None:
        """Take what was typed, cleaned."""
        if valuelist:
            self.data = nh3.clean(valuelist[0])


class ReferenceLoader(QueryAjaxModelLoader):
    """Finds documents for a reference field while somebody types (the search of Flask-Admin's own loader is broken)."""

    def get_one(self, pk: Any) -> Any:
        """The document with that id, or None."""
        try:
            return super().get_one(pk)
        except mongoengine.ValidationError:
            return None

    def get_list(self, query: str | None, offset: int | None = 0, limit: int = 10) -> Any:
        """Documents that hold the text in one of ``fields``, ignoring case; at most ``MAX_LOOKUP_ROWS`` at a time."""
        found = self.model.objects
        text = _searchable(query or '')
        if text:
            criteria = mongoengine.Q()
            for field in self._cached_fields:
                criteria |= mongoengine.Q(**{f'{field.name}__icontains': text})
            found = found.filter(criteria)
        return found.order_by('id').skip(_within(offset or 0)).limit(min(max(limit, 1), MAX_LOOKUP_ROWS))


class StoredFileInput(FileInput):
    """What is stored, with a box to have it deleted, above the input for another file."""

    def __init__(self, view: Any) -> None:
        super().__init__()
        self._view = view

    def __call__(self, field: Any, **kwargs: Any) -> Markup:
        stored = _format_file(self._view, field.data, field.name) if isinstance(field.data, GridFSProxy) else ''
        above = Markup('<div>{} <label><input type="checkbox" name="_{}-delete"> {}</label></div>').format(
            stored, field.name, gettext('Delete')
        )
        return (above if stored else Markup()) + super().__call__(field, **kwargs)


class FormConverter(CustomModelConverter):
    """Makes form fields of model fields; what is optional may be left empty: addresses and lists of references too."""

    def conv_URL(self, model: Any, field: Any, kwargs: dict[str, Any]) -> Any:  # noqa: N802 (overrides)
        return super().conv_URL(model, field, {**kwargs, 'filters': [*kwargs['filters'], _none_if_empty]})

    def conv_Email(self, model: Any, field: Any, kwargs: dict[str, Any]) -> Any:  # noqa: N802 (overrides)
        # What an address is, the model says: the validator of WTForms is of another opinion, and needs another library.
        arguments = {
            **kwargs,
            'filters': [*kwargs['filters'], _none_if_empty],
            'validators': [*kwargs['validators'], _valid_for(field)],
        }
        return EmailField(**arguments)

    def conv_File(self, model: Any, field: Any, kwargs: dict[str, Any]) -> Any:  # noqa: N802 (overrides)
        return MongoFileField(**kwargs, widget=StoredFileInput(self.view))

    def conv_image(self, model: Any, field: Any, kwargs: dict[str, Any]) -> Any:
        return MongoImageField(**kwargs, widget=StoredFileInput(self.view))

    def conv_List(self, model: Any, field: Any, kwargs: dict[str, Any]) -> Any:  # noqa: N802 (overrides)
        if isinstance(field.field, mongoengine.ReferenceField):
            loader = getattr(self.view, '_form_ajax_refs', {}).get(field.name)
            if loader:
                return ReferencesField(loader, **kwargs)
            kwargs.setdefault('allow_blank', True)
        return super().conv_List(model, field, kwargs)


def format_time(view: Any, value: datetime, name: str) -> Markup:
    """``2026-11-20 14:05 UTC``; naive times are UTC."""
    return Markup('<time datetime="{0}Z">{1} UTC</time>').format(
        f'{value:%Y-%m-%dT%H:%M:%S}', f'{value:%Y-%m-%d %H:%M}'
    )


def format_boolean(view: Any, value: bool, name: str) -> str:
    """A word that can be read aloud, not an icon."""
    return gettext('yes') if value else gettext('no')


def format_reference(view: Any, value: DBRef, name: str) -> str:
    """The id of a document that is not there any more, or was not asked for."""
    return str(value.id)


def format_dictionary(view: Any, value: dict[str, Any], name: str) -> str:
    """JSON; what JSON does not know (ids, decimals, times) as text."""
    return json.dumps(value, ensure_ascii=False, default=str)


def _format_picture(view: Any, value: Any) -> str:
    if not value.grid_id:
        return ''
    whole, small = make_gridfs_args(value), make_thumb_args(value)
    return Markup('<a class="image-thumbnail" href="{}" target="_blank"><img src="{}" alt="{}"></a>').format(
        view.get_url('.api_file_view', **whole), view.get_url('.api_file_view', **small), gettext('Open the picture')
    )


def _format_file(view: Any, value: Any, name: str) -> str:
    formatter = _format_picture if isinstance(value, ImageGridFsProxy) else grid_formatter
    try:
        return formatter(view, value)
    except AttributeError:  # the proxy of a file that has been deleted
        return gettext('(missing)')


_FORMATTERS = {
    **DEFAULT_FORMATTERS,
    bool: format_boolean,
    dict: format_dictionary,
    datetime: format_time,
    DBRef: format_reference,
    ImageGridFsProxy: _format_file,
    GridFSProxy: _format_file,
}


class AuthModelView(AdminsOnly, ModelView):
    """Lists and edits the documents of a model, for admins only.

    Parameters and attributes are those of Flask-Admin's ``ModelView``. Further differences: newest first, documents that
    refer to deleted ones do not break a page, text search is safe, files come only from the buckets of this model and never
    run in the site's name, exported cells never start a formula. For rich text see :class:`CKTextAreaField`; a ``DictField``
    needs ``form_overrides = {'facts': JsonObjectField}`` (:class:`vulyk.admin.fields.JsonObjectField`), a reference to a
    large collection ``form_ajax_refs``.
    """

    extra_js = ['/static/admin/editor.js']
    list_template = 'admin/vulyk_list.html'
    edit_template = 'admin/vulyk_edit.html'
    details_template = 'admin/vulyk_details.html'
    edit_facts: Sequence[str] = ()  # columns shown above the form of a document
    can_set_page_size = True
    column_default_sort = ('id', True)
    column_type_formatters = _FORMATTERS
    column_type_formatters_detail = _FORMATTERS
    model_form_converter = FormConverter

    # --- lists --------------------------------------------------------------------------------------------------------

    def search_placeholder(self) -> str:
        """Says what is searched."""
        names = ', '.join(str(self.get_column_name(field.name)) for field in self._search_fields)
        return gettext('Search: %(columns)s', columns=names)

    def _get_list_extra_args(self) -> Any:
        arguments = super()._get_list_extra_args()
        arguments.page = _within(arguments.page or 0)
        arguments.search = _searchable(arguments.search or '') or None
        if arguments.filters:
            arguments.filters = [(index, name, value.replace('\0', '')) for index, name, value in arguments.filters]
        return arguments

    def get_list(
        self,
        page: int | None,
        sort_column: str | None,
        sort_desc: bool,
        search: str | None,
        filters: Sequence[Any] | None,
        execute: bool = True,
        page_size: int | None = None,
    ) -> tuple[int | None, Any]:
        """One page of documents and the number of all that match; after the last page comes the last page again.

        However many documents there are, it costs no more: ``MAX_COUNTED`` are counted at most, and what takes the server
        longer than ``MAX_LIST_MS`` is given up, with a sentence that says so.
        """
        query = self.get_query()
        for index, _, value in filters or ():
            query = self._filters[index].apply(query, self._filters[index].clean(value))
        if search and self._search_supported:
            query = self._search(query, search)
        query = query.max_time_ms(MAX_LIST_MS)
        size = self.page_size if page_size is None else page_size
        try:
            count = self._count(query)
            if size:
                last = max(count - 1, 0) // size
                if page and page > last:
                    self._template_args['page'] = page = last
                query = query.limit(size).skip((page or 0) * size)
            query = query.order_by(*self._order(sort_column, sort_desc))
            return count, list(query) if execute and size else query
        except ExecutionTimeout:
            flash(
                gettext('There is too much to look through. Choose a project or a batch, or search for less.'), 'error'
            )
            return 0, []

    def _count(self, query: Any) -> int:
        """The number of documents, ``MAX_COUNTED`` at most."""
        collection = self.model._get_collection()
        # The kind of document says nothing, since a list shows all kinds; and no index knows it.
        wanted = {key: value for key, value in query._query.items() if key != '_cls'}
        if not wanted:
            count = collection.estimated_document_count()
        else:
            count = collection.count_documents(wanted, limit=MAX_COUNTED + 1, maxTimeMS=MAX_LIST_MS)
        return Many(MAX_COUNTED) if count > MAX_COUNTED else count

    def _order(self, sort_column: str | None, sort_desc: bool) -> list[str]:
        if sort_column is not None and self.is_sortable(sort_column):
            return [f'{"-" if sort_desc else ""}{sort_column}']
        return [f'{"-" if desc else ""}{column}' for column, desc in self._get_default_order() or ()]

    def _get_field_value(self, model: Any, name: str) -> Any:
        try:
            return super()._get_field_value(model, name)
        except mongoengine.DoesNotExist:
            return gettext('(missing)')

    def get_export_value(self, model: Any, name: str) -> Any:
        """The cell; a text that a spreadsheet would take for a formula is marked as text."""
        value = super().get_export_value(model, name)
        return neutral(value) if isinstance(value, str) else value

    # --- documents ----------------------------------------------------------------------------------------------------

    def title_of(self, document: Any) -> str:
        """The heading over a document: its ``str()``, or its id where the model does not say how to call it."""
        text = str(document)
        return text if text != f'{type(document).__name__} object' else str(document.pk)

    def get_edit_form(self) -> Any:
        """Without the primary key: under another one mongoengine would store a second document."""
        form = super().get_edit_form()
        key = self.model._meta['id_field']
        if self.form is None and hasattr(form, key) and not (self.form_rules or self.form_edit_rules):
            delattr(form, key)
        return form

    def object_id_converter(self, text: str) -> Any:
        """The value of the primary key behind its text in a form."""
        return self.model._fields[self.model._meta['id_field']].to_python(text)

    def get_one(self, id: Any) -> Any:
        """The document with that id, or None; references to deleted documents are empty in it."""
        document = super().get_one(id)
        if document is not None:
            for name, field in document._fields.items():
                if isinstance(field, mongoengine.ReferenceField):
                    try:
                        getattr(document, name)
                    except mongoengine.DoesNotExist:
                        document._data[name] = None
        return document

    def validate_form(self, form: Any) -> bool:
        """Whether the form is right. Flask-Admin's templates leave out what is wrong when that is said in a lazy text."""
        valid = super().validate_form(form)
        for field in form:
            if isinstance(field.errors, list | tuple):
                field.errors = [str(error) if isinstance(error, LazyString) else error for error in field.errors]
        return valid

    def _on_model_change(self, form: Any, model: Any, is_created: bool) -> None:
        # Saving a new document under an id that is taken would replace the old one without a word.
        if is_created and model.pk is not None and self.model.objects(pk=model.pk).first() is not None:
            raise ValidationError(gettext('There is one called “%(id)s” already.', id=model.pk))
        super()._on_model_change(form, model, is_created)

    # --- the audit log ------------------------------------------------------------------------------------------------

    def create_model(self, form: Any) -> Any:
        """Store a new document, and note who did it."""
        model = super().create_model(form)
        if model:
            self.note('create', model, {})
        return model

    def update_model(self, form: Any, model: Any) -> bool:
        """Change a document, and note what it was before."""
        before = self.stored(model)
        changed = super().update_model(form, model)
        if changed:
            self.note('update', model, before)
        return changed

    def delete_model(self, model: Any) -> bool:
        """Delete a document, and note what it was."""
        before = self.stored(model)
        deleted = super().delete_model(model)
        if deleted:
            self.note('delete', model, before)
        return deleted

    @action(*ModelView.action_delete._action)
    def action_delete(self, ids: list[str]) -> None:
        """Delete those of these documents that are in the list of whoever asks; Flask-Admin does not look whether they are."""
        super().action_delete([pk for pk in ids if self.get_one(pk) is not None])

    def stored(self, model: Any) -> dict[str, Any]:
        """The document as the database has it."""
        return self.model._get_collection().find_one({'_id': model.pk}) or {}

    def note(self, verb: str, model: Any, before: dict[str, Any]) -> None:
        """Add to the audit log: what has changed, as it was and as it is. A change that changes nothing is not noted."""
        after = self.stored(model) if verb != 'delete' else {}
        audit.record_difference(current_user._get_current_object(), self.endpoint, model.pk, verb, before, after)

    def _create_ajax_loader(self, name: str, opts: dict[str, Any]) -> ReferenceLoader:
        loader = create_ajax_loader(self.model, name, name, opts)
        return ReferenceLoader(loader.name, loader.model, **loader.options)

    @expose('/ajax/update/', methods=('POST',))
    def ajax_update(self) -> Any:
        """Change one field of one document from the list; what is wrong with it is answered with 400."""
        if 'list_form_pk' not in request.form:
            return gettext('Record does not exist.'), HTTPStatus.BAD_REQUEST
        answer = super().ajax_update()
        if isinstance(answer, tuple):
            return answer[0], HTTPStatus.BAD_REQUEST
        return answer if answer is not None else (gettext('Nothing was changed.'), HTTPStatus.BAD_REQUEST)

    @expose('/api/file/')
    def api_file_view(self) -> Response:
        """A file of a document of this model, saved rather than shown: it may hold a script of whoever sent it."""
        bucket = (request.args.get('db', 'default'), request.args.get('coll'))
        if bucket not in _buckets(self.model):
            abort(HTTPStatus.NOT_FOUND)
        try:
            file = gridfs.GridFS(get_db(bucket[0]), bucket[1]).get(ObjectId(request.args.get('id', '')))
        except (InvalidId, gridfs.NoFile):
            abort(HTTPStatus.NOT_FOUND)
        kind = gridfs_content_type(file) or ''
        response = send_file(
            file,
            mimetype=kind if _MIME_TYPE.fullmatch(kind) else 'application/octet-stream',
            download_name=file.filename or str(file._id),
            as_attachment=True,
        )
        response.headers['X-Content-Type-Options'] = 'nosniff'
        response.headers['Content-Security-Policy'] = "default-src 'none'; sandbox"
        return response


def _buckets(model: Any) -> set[tuple[str, str]]:
    """``(connection alias, GridFS collection)`` of all file fields of a model and of the documents embedded in it."""
    found: set[tuple[str, str]] = set()
    seen: set[Any] = set()
    waiting = list(model._fields.values())
    while waiting:
        field = waiting.pop()
        if isinstance(field, mongoengine.FileField):
            found.add((field.db_alias, field.collection_name))
        elif isinstance(field, mongoengine.EmbeddedDocumentField):
            if field.document_type not in seen:
                seen.add(field.document_type)
                waiting.extend(field.document_type._fields.values())
        elif getattr(field, 'field', None) is not None:
            waiting.append(field.field)
    return found


def _valid_for(field: Any) -> Any:
    """A validator: what the field of a model says of the text."""

    def validate(form: Any, form_field: Any) -> None:
        try:
            field.validate(form_field.data)
        except mongoengine.ValidationError as error:
            raise ValidationError(gettext('This is not a valid address.')) from error

    return validate


def _none_if_empty(text: str | None) -> str | None:
    """mongoengine finds fault with an empty address, but not with none."""
    return text or None


def _searchable(text: str) -> str:
    """What may become a regular expression: MongoDB takes no NUL in one, and no very long one."""
    return text.replace('\0', '').strip()[:MAX_SEARCH_LENGTH]


def _within(number: int) -> int:
    """A number to skip documents by, whatever was in the address."""
    return min(max(number, 0), 10**9)
