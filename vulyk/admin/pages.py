"""The site's own admin pages: users, groups, batches, tasks, answers."""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from bson import DBRef, ObjectId
from flask import abort, current_app, flash, make_response, redirect, request, url_for
from flask_admin import expose
from flask_admin.actions import action
from flask_admin.contrib.mongoengine.filters import BaseMongoEngineFilter
from flask_babel import get_locale, gettext, lazy_gettext, ngettext
from flask_login import current_user
from markupsafe import Markup
from mongoengine import Q
from wtforms import BooleanField, TextAreaField
from wtforms.validators import Length, NumberRange, Optional, Regexp, ValidationError

from vulyk.admin.access import StaffOnly, my_task_types
from vulyk.admin.answers import CompareMixin, WithdrawMixin
from vulyk.admin.downloads import AnswersMixin
from vulyk.admin.fields import JsonObjectField, NewPasswordField, TaskTypesField, TextsField, fact, trimmed
from vulyk.admin.models import AuthModelView
from vulyk.batches import MAX_PRIORITY, MAX_REDUNDANCY, set_paused, set_redundancy
from vulyk.ext import counting, suspension
from vulyk.jobs import enqueue, job
from vulyk.models import audit, usernames
from vulyk.models.audit import AuditRecord
from vulyk.models.exc import TaskValidationError
from vulyk.models.facts import FACTS, in_language
from vulyk.models.problems import MAX_TEXT, Problem
from vulyk.models.social import SocialAccount
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import AbstractAnswer, AbstractTask, Batch
from vulyk.models.user import DEFAULT_GROUP, GROUP_ID, Group, User, key_of_email
from vulyk.utils import HTTPStatus

PREVIEW_LENGTH = 120
MORE = lazy_gettext('Operation')  # the menu of pages that are not opened every day


def views() -> list[AuthModelView]:
    """The pages of the core, in the order of the menu. Call it in an application context."""
    return [
        UserView(User, name=lazy_gettext('Users')),
        GroupView(Group, name=lazy_gettext('Groups')),
        BatchView(Batch, name=lazy_gettext('Batches')),
        TaskView(AbstractTask, name=lazy_gettext('Tasks'), endpoint=TaskView.endpoint_name),
        AnswerView(AbstractAnswer, name=lazy_gettext('Answers'), endpoint=AnswerView.endpoint_name),
        ProblemView(Problem, name=lazy_gettext('Problems')),
        SessionView(WorkSession, name=lazy_gettext('Work sessions'), endpoint='session', category=MORE),
        AuditView(AuditRecord, name=lazy_gettext('Audit log'), endpoint='audit', category=MORE),
    ]


def begins(field: str, text: str) -> Q:
    """The documents whose field begins with this text, exactly: a range, because an index does not answer the patterns of
    mongoengine.
    """
    return Q(**{f'{field}__gte': text, f'{field}__lt': f'{text}\U0010ffff'})


# --- filters ------------------------------------------------------------------------------------------------------------


class EqualFilter(BaseMongoEngineFilter):
    """The field is exactly this."""

    def apply(self, query: Any, value: str) -> Any:
        """The documents for which it is."""
        return query.filter(**{self.column: value})

    def operation(self) -> str:
        """How it reads between the name of the field and the value."""
        return lazy_gettext('is')


class BatchFilter(EqualFilter):
    """Of the batch of that name."""

    def apply(self, query: Any, value: str) -> Any:
        """The tasks of the batch. Naming what the index has in between lets it give them in the order of the ids."""
        return query.filter(batch=value, closed__in=[True, False, None])


class NumberFilter(EqualFilter):
    """The field is exactly this number."""

    def apply(self, query: Any, value: str) -> Any:
        """The documents for which it is; none for what is no number."""
        return query.filter(**{self.column: int(value)}) if re.fullmatch(r'\d{1,9}', value.strip()) else query.none()


class ClosedFilter(EqualFilter):
    """Closed or open."""

    def __init__(self) -> None:
        options = (('1', lazy_gettext('yes')), ('0', lazy_gettext('no')))
        super().__init__('closed', lazy_gettext('Closed'), options=options)

    def apply(self, query: Any, value: str) -> Any:
        """Open tasks of old databases lack the field."""
        return query.filter(closed=True) if value == '1' else query.filter(closed__ne=True)


class UserFilter(EqualFilter):
    """Made by the user of that name."""

    def apply(self, query: Any, value: str) -> Any:
        """The documents of all users of that name; names of old databases need not be unique."""
        return query.filter(**{f'{self.column}__in': list(User.objects(username=value).scalar('id'))})


class BooleanFilter(EqualFilter):
    """Yes or no."""

    def __init__(self, column: str, name: Any) -> None:
        super().__init__(column, name, options=(('1', lazy_gettext('yes')), ('0', lazy_gettext('no'))))

    def apply(self, query: Any, value: str) -> Any:
        """The documents for which it is so."""
        return query.filter(**{self.column: value == '1'})


def _task_types() -> list[tuple[str, str]]:
    return [(name, f'{kind.name or name} ({name})') for name, kind in my_task_types().items()]


# --- how cells look -----------------------------------------------------------------------------------------------------


def _pk(reference: Any) -> Any:
    """The id behind a document or a bare reference; '' for none."""
    return '' if reference is None else getattr(reference, 'id', reference)


def show_id(view: Any, context: Any, model: Any, name: str) -> str:
    """The id of the document referred to, whether or not it exists."""
    return str(_pk(getattr(model, name)))


def show_ids(view: Any, context: Any, model: Any, name: str) -> str:
    """The ids of the documents referred to."""
    return ', '.join(str(_pk(item)) for item in getattr(model, name))


def show_names(view: Any, context: Any, model: Any, name: str) -> str:
    """The names of the users referred to; the id where there is no such user any more."""
    ids = [_pk(item) for item in getattr(model, name)]
    users = User.objects.in_bulk(ids)
    return ', '.join(str(users.get(user_id, user_id)) for user_id in ids)


def show_ways(view: Any, context: Any, model: User, name: str) -> str:
    """How a user signs in: by a password, by services."""
    ways = [gettext('password')] if model.password else []
    ways += [account.provider for account in SocialAccount.of(model)]
    return ', '.join(ways) or gettext('(not at all)')


def show_preview(view: Any, context: Any, model: Any, name: str) -> Markup:
    """The beginning of a JSON object, on one line."""
    text = json.dumps(getattr(model, name), ensure_ascii=False)
    if len(text) > PREVIEW_LENGTH:
        text = f'{text[:PREVIEW_LENGTH]}…'
    return Markup('<code class="va-preview">{}</code>').format(text)


def show_texts(view: Any, context: Any, model: Any, name: str) -> str:
    """A fact of a batch in the language of the page."""
    return in_language(getattr(model, name), str(get_locale()))


def show_json(view: Any, context: Any, model: Any, name: str) -> Markup:
    """A JSON object, indented; what JSON does not know as text."""
    text = json.dumps(getattr(model, name), ensure_ascii=False, indent=2, default=str)
    return Markup('<pre class="va-json" tabindex="0">{}</pre>').format(text)


def show_progress(view: Any, context: Any, model: Batch, name: str) -> Markup:
    """``closed / total`` and a bar."""
    closed, total = model.tasks_processed or 0, model.tasks_count or 0
    bar = '<span class="va-progress"><progress max="{}" value="{}" aria-hidden="true"></progress> {} / {}</span>'
    return Markup(bar).format(max(total, 1), closed, closed, total)


def _link(url: str, text: Any) -> Markup:
    return Markup('<a href="{}">{}</a>').format(url, text)


# --- pages --------------------------------------------------------------------------------------------------------------


class CoreView(AuthModelView):
    """What the pages of the core share: references stay references, so that a list costs one query and never breaks."""

    can_view_details = True

    def get_query(self) -> Any:
        """All documents, references left alone."""
        return super().get_query().no_dereference()


class ProjectView(StaffOnly, CoreView):
    """What pages of documents with a ``task_type`` share: project admins find those of their projects only."""

    def get_query(self) -> Any:
        """The documents that whoever asks may see and change."""
        query = super().get_query()
        return query if current_user.is_admin() else query.filter(task_type__in=current_user.manages)


class UserView(CoreView):
    """Users. They are switched off, not deleted: their answers and the counters of tasks would go with them."""

    can_create = False
    can_delete = False
    column_list = ('username', 'email', 'groups', 'active', 'admin', 'manages', 'processed', 'last_login')
    column_details_list = ('id', 'name', *column_list, 'ways', 'email_confirmed', 'mail_problem', 'time_zone')
    column_sortable_list = ('username', 'email')
    column_searchable_list = ('username', 'email')
    column_filters = (
        BooleanFilter('active', lazy_gettext('Active')),
        BooleanFilter('admin', lazy_gettext('Admin')),
        EqualFilter('groups', lazy_gettext('Group')),
    )
    column_labels = {
        'id': lazy_gettext('Id'),
        'username': lazy_gettext('Username'),
        'name': lazy_gettext('Name'),
        'email': lazy_gettext('E-mail'),
        'groups': lazy_gettext('Groups'),
        'active': lazy_gettext('Active'),
        'admin': lazy_gettext('Admin'),
        'manages': lazy_gettext('Project admin of'),
        'processed': lazy_gettext('Answers'),
        'last_login': lazy_gettext('Last sign-in'),
        'ways': lazy_gettext('Signs in by'),
        'mail_problem': lazy_gettext('Mails come back'),
        'email_confirmed': lazy_gettext('Address confirmed'),
        'time_zone': lazy_gettext('Time zone'),
    }
    column_formatters = {
        'groups': show_ids,
        'manages': lambda view, context, user, name: ', '.join(user.manages),
        'ways': show_ways,
        'processed': lambda view, context, user, name: _link(AnswerView.url_of(user=user.username), user.processed),
    }
    edit_facts = ('email', 'mail_problem', 'processed', 'last_login', 'ways')
    form_columns = ('groups', 'active', 'admin', 'manages', 'new_password')
    form_overrides = {'manages': TaskTypesField}
    form_ajax_refs = {
        'groups': {'fields': ('id', 'description'), 'minimum_input_length': 0, 'placeholder': lazy_gettext('No group')}
    }
    form_args = {
        'groups': {
            'label': lazy_gettext('Groups'),
            'description': lazy_gettext('They decide which projects are open.'),
        },
        'active': {
            'label': lazy_gettext('Active'),
            'description': lazy_gettext('An inactive user is signed out at once and cannot sign in.'),
        },
        'admin': {
            'label': lazy_gettext('Admin'),
            'description': lazy_gettext('May do everything, these pages included.'),
        },
        'manages': {
            'label': lazy_gettext('Project admin of'),
            'description': lazy_gettext(
                'May see and correct the tasks and answers of these projects, and work on them.'
            ),
        },
    }
    form_extra_fields = {
        'new_password': NewPasswordField(
            lazy_gettext('New password'),
            description=lazy_gettext('Left empty, the password stays as it is.'),
            render_kw={'autocomplete': 'new-password'},
        )
    }

    edit_template = 'admin/vulyk_user.html'

    @action('send_mails', lazy_gettext('Send mails again'))
    def send_mails(self, ids: list[str]) -> None:
        """Forget that the mail server has refused these people's addresses."""
        stopped = User.objects(pk__in=[user_id for user_id in ids if ObjectId.is_valid(user_id)], mail_problem__gt='')
        by = current_user._get_current_object()
        for user_id in stopped.scalar('id'):
            one = User.objects(pk=user_id)
            audit.change(by, User, user_id, 'update', lambda one=one: one.update_one(unset__mail_problem=True))
        flash(gettext('Their addresses get mails again.'), 'success')

    def search_placeholder(self) -> str:
        """Says how people are searched."""
        return gettext('Name or address begins with …')

    def _search(self, query: Any, search_term: str) -> Any:
        """By the keys of names and addresses, which indexes answer; spelling and capitals do not matter."""
        name, email = usernames.likeness(search_term), key_of_email(search_term)
        found = begins('email_key', email) | begins('username', search_term)  # accounts of old have no keys
        return query.filter(found | begins('username_key', name) if name else found)

    @expose('/suspend/', methods=('GET', 'POST'))
    def suspend_view(self) -> Any:
        """Switch an account off and take back everything it has answered, after a question."""
        user = self.get_one(request.args.get('id', ''))
        if user is None:
            abort(HTTPStatus.NOT_FOUND)
        reason, refusal = request.form.get('reason', '').strip()[:200], ''
        if user.is_staff():
            refusal = gettext('%(name)s is an admin; take that away first.', name=user.username)
        elif request.method == 'POST' and not reason:
            refusal = gettext('Say why.')
        elif request.method == 'POST':
            suspension.switch_off(user, by=current_user._get_current_object(), reason=reason)
            enqueue(withdraw_everything, user_id=str(user.id), by=str(current_user.id), reason=reason)
            flash(gettext('%(name)s is switched off; the answers are being taken back.', name=user.username), 'success')
            return redirect(url_for('user.index_view'))
        answers = AbstractAnswer._get_collection().count_documents({'createdBy': user.id})
        page = self.render('admin/vulyk_suspend.html', model=user, answers=answers, reason=reason, refusal=refusal)
        return make_response(page, HTTPStatus.UNPROCESSABLE if refusal and request.method == 'POST' else HTTPStatus.OK)

    def get_one(self, id: Any) -> User | None:
        """The user with his groups at hand, as the form needs them."""
        user = super().get_one(id)
        return None if user is None else User.objects(pk=user.pk).first()

    def on_model_change(self, form: Any, model: User, is_created: bool) -> None:
        """Refuse to take away the rights of the last admin who can sign in."""
        if not (model.active and model.admin) and not _active_admins().filter(pk__ne=model.pk):
            raise ValidationError(gettext('This is the last active admin; make somebody else an admin first.'))

    def after_model_change(self, form: Any, model: User, is_created: bool) -> None:
        """Whoever has a new password, or is switched off, is signed out everywhere.

        Two admins may have demoted each other at the same moment: then neither sees another one left.
        """
        if form.new_password.data or not model.active:
            model.end_sessions()
        if not _active_admins():
            User.objects(pk=model.pk).update_one(set__active=True, set__admin=True)
            flash(gettext('%(name)s stays an admin, because no other one is left.', name=model.username), 'warning')


@job
def withdraw_everything(user_id: str, by: str, reason: str) -> None:
    """Take back all answers of a user, who has been switched off."""
    redundancies = {kind.type_name: kind.redundancy for kind in current_app.task_types.values()}
    admin = User.objects(pk=by).first()
    suspension.withdraw_everything(ObjectId(user_id), redundancies, by=admin, reason=reason, now=datetime.now(UTC))


def _active_admins() -> Any:
    return User.objects(admin=True, active=True)


class GroupView(CoreView):
    """Groups and the task types they open."""

    column_list = ('id', 'description', 'allowed_types')
    column_default_sort = 'id'
    column_sortable_list = ('id',)
    column_searchable_list = ('id', 'description')
    column_labels = {
        'id': lazy_gettext('Id'),
        'description': lazy_gettext('Description'),
        'allowed_types': lazy_gettext('Task types'),
    }
    action_disallowed_list = ('delete',)  # one by one, with a question each
    form_columns = ('id', 'description', 'allowed_types')
    form_overrides = {'allowed_types': TaskTypesField}
    form_args = {
        'id': {
            'label': lazy_gettext('Id'),
            'description': lazy_gettext('2 to 100 Latin letters, digits and underscores, no underscore first.'),
            'validators': [
                Regexp(GROUP_ID, message=lazy_gettext('Use 2 to 100 Latin letters, digits and underscores.'))
            ],
        },
        'description': {'label': lazy_gettext('Description')},
        'allowed_types': {
            'label': lazy_gettext('Task types'),
            'description': lazy_gettext('Members of the group may work on these.'),
        },
    }

    def on_model_delete(self, model: Group) -> None:
        """Refuse to delete the group that every new user is put into; without it the site counts as not set up."""
        if model.id == DEFAULT_GROUP:
            raise ValidationError(
                gettext('The group “%(id)s” cannot be deleted; take its task types away.', id=model.id)
            )


FACT_FIELDS: dict[str, dict[str, Any]] = {
    'title': {
        'label': lazy_gettext('Title'),
        'description': lazy_gettext('Shown on the home page while the batch is in work, and below its tasks.'),
    },
    'description': {'label': lazy_gettext('Description'), 'description': lazy_gettext('For the home page.'), 'rows': 3},
    'help': {
        'label': lazy_gettext('Help'),
        'description': lazy_gettext(
            'Opened by the button “Help”, above the help of the task type. May hold simple HTML.'
        ),
        'rows': 6,
    },
    'attribution': {
        'label': lazy_gettext('Attribution'),
        'description': lazy_gettext('Whom to thank for the material. Shown below each task, with source and licence.'),
        'validators': [fact],
        'filters': [trimmed],
    },
    'source': {
        'label': lazy_gettext('Source'),
        'description': lazy_gettext('Where the material comes from; an address in it becomes a link.'),
        'validators': [fact],
        'filters': [trimmed],
    },
    'licence': {
        'label': lazy_gettext('Licence'),
        'description': lazy_gettext('Of the material, as in “CC BY 4.0”.'),
        'validators': [fact],
        'filters': [trimmed],
    },
    'lang': {
        'label': lazy_gettext('Language'),
        'description': lazy_gettext('Of the material, as in “de” or “de-AT”.'),
        'validators': [fact],
        'filters': [trimmed],
    },
}


class BatchView(AnswersMixin, ProjectView):
    """Batches. They come by loading a file, and are deleted on the command line, because tasks and answers go with them."""

    list_template = 'admin/vulyk_batches.html'
    can_create = False
    can_delete = False
    column_list = (
        'id',
        'title',
        'task_type',
        'progress',
        'paused',
        'priority',
        'redundancy',
        'created_at',
        'answers',
    )
    column_details_list = (
        *column_list,
        'closed',
        'description',
        'help',
        'attribution',
        'source',
        'licence',
        'lang',
        'batch_meta',
    )
    column_sortable_list = ('id', 'priority', 'created_at')
    column_searchable_list = ('id',)
    column_filters = (EqualFilter('task_type', lazy_gettext('Type'), options=_task_types), ClosedFilter())
    column_labels = {
        'id': lazy_gettext('Id'),
        'title': lazy_gettext('Title'),
        'description': lazy_gettext('Description'),
        'help': lazy_gettext('Help'),
        'attribution': lazy_gettext('Attribution'),
        'source': lazy_gettext('Source'),
        'licence': lazy_gettext('Licence'),
        'lang': lazy_gettext('Language'),
        'task_type': lazy_gettext('Type'),
        'progress': lazy_gettext('Closed tasks'),
        'closed': lazy_gettext('Closed'),
        'priority': lazy_gettext('Priority'),
        'paused': lazy_gettext('Paused'),
        'redundancy': lazy_gettext('Answers per task'),
        'created_at': lazy_gettext('Loaded'),
        'answers': lazy_gettext('Answers'),
        'batch_meta': lazy_gettext('Facts of its type'),
    }
    column_formatters = {
        'id': lambda view, context, batch, name: _link(TaskView.url_of(batch=batch.id), batch.id),
        'progress': show_progress,
        'answers': lambda view, context, batch, name: _link(url_for('.answers_view', id=batch.id), gettext('Download')),
        'batch_meta': show_json,
        **dict.fromkeys(('title', 'description', 'help'), show_texts),
    }
    edit_facts = ('task_type', 'progress', 'closed', 'created_at')
    form_columns = ('paused', 'priority', 'redundancy', *FACTS)
    form_overrides = dict.fromkeys(('title', 'description', 'help'), TextsField)
    form_args = {
        **FACT_FIELDS,
        'priority': {
            'label': lazy_gettext('Priority'),
            'description': lazy_gettext('Tasks of a batch with a higher number are handed out first.'),
            'validators': [NumberRange(-MAX_PRIORITY, MAX_PRIORITY)],
        },
        'paused': {
            'label': lazy_gettext('Paused'),
            'description': lazy_gettext('No tasks are handed out. Whoever has one in hand may finish it.'),
        },
        'redundancy': {
            'label': lazy_gettext('Answers per task'),
            'description': lazy_gettext('When it is changed, tasks close or open again in the background.'),
            'validators': [Optional(), NumberRange(1, MAX_REDUNDANCY)],
        },
    }

    def update_model(self, form: Any, model: Batch) -> bool:
        """Store the facts; the number of answers is changed by a job, because every open task has to follow."""
        wanted = form.redundancy.data
        del form.redundancy
        changed = super().update_model(form, model)
        if changed and wanted is not None and wanted != model.redundancy:
            enqueue(change_redundancy, batch_id=model.id, redundancy=wanted, by=str(current_user.id))
            flash(gettext('The tasks are being changed to %(number)s answers each.', number=wanted), 'success')
        return changed

    @action('pause', lazy_gettext('Pause'))
    def pause(self, ids: list[str]) -> None:
        """Hand out no more tasks of these batches."""
        self._pause(ids, True)

    @action('resume', lazy_gettext('Hand out again'))
    def resume(self, ids: list[str]) -> None:
        """Hand out tasks of these batches again."""
        self._pause(ids, False)

    def _pause(self, ids: list[str], paused: bool) -> None:
        mine = self.get_query().filter(pk__in=ids).scalar('id')
        by = current_user._get_current_object()
        done = sum(set_paused(batch_id, paused, by=by) for batch_id in mine)
        flash(ngettext('%(num)s batch is changed.', '%(num)s batches are changed.', done), 'success')


@job
def change_redundancy(batch_id: str, redundancy: int, by: str) -> None:
    """Change how many answers the tasks of a batch need."""
    admin = User.objects(pk=by).first() or 'admin pages'
    set_redundancy(batch_id, redundancy, datetime.now(UTC), by=admin)


class JsonView(ProjectView):
    """Edits one JSON object of a document, and nothing else of it.

    Tasks, answers, batches, users and work sessions count each other: a document created or deleted here would leave all
    those counters wrong. Tasks come by loading a file; they and their answers go with their batch.
    """

    can_create = False
    can_delete = False
    endpoint_name = ''
    json_field = ''
    filter_order: tuple[str, ...] = ()  # names of ``column_filters`` in their order, for links

    def update_model(self, form: Any, model: Any) -> bool:
        """Store the object if nothing speaks against it.

        A targeted update: what changed meanwhile stays, and mongoengine would take ``true`` for equal to ``1`` and ``{}``
        for a missing value.
        """
        field = form[self.json_field]
        refusal = self.refusal(model, field.data)
        if refusal:
            field.errors = [refusal]
            return False
        before = self.stored(model)
        if not self.model.objects(pk=model.pk).update_one(**{f'set__{self.json_field}': field.data}):
            flash(gettext('It has been deleted meanwhile.'), 'error')
            return False
        self.note('update', model, before)
        return True

    def refusal(self, model: Any, value: dict[str, Any]) -> str:
        """Why this object cannot be stored; '' if it can."""
        return ''

    @classmethod
    def url_of(cls, **conditions: str) -> str:
        """The address of the list, filtered: ``url_of(batch='b1')``."""
        arguments = {
            f'flt{n}_{cls.filter_order.index(name)}': value for n, (name, value) in enumerate(conditions.items())
        }
        return url_for(f'{cls.endpoint_name}.index_view', **arguments)


class TaskView(CompareMixin, JsonView):
    """Tasks: what they ask, and how far they are."""

    endpoint_name = 'task'
    details_template = 'admin/vulyk_task.html'
    json_field = 'task_data'
    column_list = ('id', 'task_type', 'batch', 'closed', 'users_count', 'task_data')
    column_details_list = (
        'id',
        'task_type',
        'batch',
        'closed',
        'users_count',
        'need',
        'users_processed',
        'users_skipped',
        'media',
        'task_data',
    )
    column_sortable_list = ('id',)
    column_searchable_list = ('id',)
    filter_order = ('type', 'batch', 'closed', 'answers')
    column_filters = (
        EqualFilter('task_type', lazy_gettext('Type'), options=_task_types),
        BatchFilter('batch', lazy_gettext('Batch')),
        ClosedFilter(),
        NumberFilter('users_count', lazy_gettext('Number of answers')),
    )
    column_labels = {
        'id': lazy_gettext('Id'),
        'task_type': lazy_gettext('Type'),
        'batch': lazy_gettext('Batch'),
        'closed': lazy_gettext('Closed'),
        'users_count': lazy_gettext('Answers'),
        'need': lazy_gettext('Answers needed'),
        'users_processed': lazy_gettext('Answered by'),
        'users_skipped': lazy_gettext('Skipped by'),
        'media': lazy_gettext('Files'),
        'task_data': lazy_gettext('Data'),
    }
    column_formatters = {
        'batch': show_id,
        'users_count': lambda view, context, task, name: _link(
            url_for('task.compare_view', id=task.id), task.users_count
        ),
        'task_data': show_preview,
    }
    column_formatters_detail = {
        **column_formatters,
        'users_processed': show_names,
        'users_skipped': show_names,
        'media': show_json,
        'task_data': show_json,
    }
    edit_facts = ('task_type', 'batch', 'closed', 'users_count')
    form_columns = ('task_data',)
    form_overrides = {'task_data': JsonObjectField}
    form_args = {
        'task_data': {
            'label': lazy_gettext('Data'),
            'description': lazy_gettext(
                'A JSON object. Answers stay as they are; files are loaded with a task, not here.'
            ),
        }
    }
    form_widget_args = {'task_data': {'rows': 16, 'spellcheck': 'false', 'class': 'form-control va-code'}}

    def search_placeholder(self) -> str:
        """Says how ids are searched."""
        return gettext('Id begins with …')

    def _search(self, query: Any, search_term: str) -> Any:
        return query.filter(begins('id', search_term))

    def refusal(self, model: AbstractTask, value: dict[str, Any]) -> str:
        """An empty task cannot be loaded either."""
        return '' if value else gettext('task_data: a task must not be empty.')


class AnswerView(WithdrawMixin, JsonView):
    """Answers. They are not deleted here: the counters of task, batch and user would no longer fit their documents."""

    endpoint_name = 'answer'
    details_template = 'admin/vulyk_answer.html'
    json_field = 'result'
    column_list = ('created_at', 'created_by', 'task_type', 'task', 'result', 'extra', 'too_fast')
    column_details_list = ('id', *column_list)
    column_sortable_list = ('created_at',)
    filter_order = ('type', 'task', 'user')
    column_filters = (
        EqualFilter('task_type', lazy_gettext('Type'), options=_task_types),
        EqualFilter('task', lazy_gettext('Task')),
        UserFilter('created_by', lazy_gettext('User')),
    )
    column_labels = {
        'id': lazy_gettext('Id'),
        'created_at': lazy_gettext('Given'),
        'created_by': lazy_gettext('User'),
        'task_type': lazy_gettext('Type'),
        'task': lazy_gettext('Task'),
        'result': lazy_gettext('Result'),
        'extra': lazy_gettext('Extra'),
        'too_fast': lazy_gettext('Too fast'),
    }
    column_descriptions = {
        'extra': lazy_gettext('Came when the task had enough answers; exported, but not counted.'),
        'too_fast': lazy_gettext('Came sooner after its task than the site thinks possible; counts like any other.'),
    }
    column_formatters = {
        'created_by': lambda view, context, answer, name: _name_of(answer.created_by),
        'task': lambda view, context, answer, name: _link(
            url_for('task.details_view', id=_pk(answer.task)), _pk(answer.task)
        ),
        'result': show_preview,
        'extra': lambda view, context, answer, name: bool(answer.extra),
        'too_fast': lambda view, context, answer, name: bool(answer.too_fast),
    }
    column_formatters_detail = {**column_formatters, 'result': show_json}
    edit_facts = ('created_at', 'created_by', 'task_type', 'task')
    form_columns = ('result',)
    form_overrides = {'result': JsonObjectField}
    form_args = {
        'result': {
            'label': lazy_gettext('Result'),
            'description': lazy_gettext('A JSON object, checked by the task type like an answer of a volunteer.'),
        }
    }
    form_widget_args = {'result': {'rows': 16, 'spellcheck': 'false', 'class': 'form-control va-code'}}

    def task_id_of(self, answer: AbstractAnswer) -> str:
        """The id of the task of an answer."""
        return str(_pk(answer.task))

    def get_list(self, *args: Any, **kwargs: Any) -> tuple[int | None, Any]:
        """One page of answers, the users fetched together."""
        count, answers = super().get_list(*args, **kwargs)
        return count, _with_users(answers)

    def get_one(self, id: Any) -> AbstractAnswer | None:
        """The answer with its user at hand."""
        answer = super().get_one(id)
        return None if answer is None else _with_users([answer])[0]

    def refusal(self, model: AbstractAnswer, value: dict[str, Any]) -> str:
        """What the task type has to say; nothing if its plugin is not loaded or the task is gone."""
        kind = current_app.task_types.get(model.task_type)
        task = AbstractTask.objects(pk=_pk(model.task)).first()
        if kind is not None and task is not None:
            try:
                kind.validate_result(task, value)
            except TaskValidationError as error:
                return str(error)
        return ''


def show_task(view: Any, context: Any, problem: Problem, name: str) -> Markup:
    """The beginning of the task's data, and small pictures of its files; a link to all of it."""
    task = problem.task
    if not isinstance(task, AbstractTask):
        return Markup('<em>{}</em>').format(gettext('This task has been deleted.'))
    pictures = Markup('').join(
        Markup('<img class="va-thumb" alt="{}" src="{}">').format(
            path, url_for('media', type_id=task.task_type, digest=digest)
        )
        for path, digest in (task.media or {}).items()
    )
    preview = show_preview(view, context, task, 'task_data')
    link = _link(url_for('task.details_view', id=task.id), task.id)
    return Markup('<div class="va-task">{}<div>{}<br>{}</div></div>').format(pictures, link, preview)


class ProblemView(ProjectView):
    """What volunteers say is wrong with tasks: answer them, and hide the task or show it again."""

    can_create = False
    column_list = ('created_at', 'task_type', 'text', 'task', 'hidden', 'reply', 'user')
    column_default_sort = ('created_at', True)
    column_sortable_list = ('created_at',)
    column_filters = (EqualFilter('task_type', lazy_gettext('Type'), options=_task_types),)
    column_details_list = column_list
    column_labels = {
        'created_at': lazy_gettext('Told'),
        'task_type': lazy_gettext('Type'),
        'text': lazy_gettext('Problem'),
        'task': lazy_gettext('Task'),
        'hidden': lazy_gettext('Hidden'),
        'reply': lazy_gettext('Answer'),
        'user': lazy_gettext('User'),
    }
    column_formatters = {
        'task': show_task,
        'hidden': lambda view, context, problem, name: gettext('yes') if _is_hidden(problem.task) else gettext('no'),
        'user': lambda view, context, problem, name: _name_of(problem.user),
    }
    edit_facts = ('text', 'task', 'user', 'created_at')
    form_columns = ('reply', 'hide')
    form_overrides = {'reply': TextAreaField}
    form_extra_fields = {
        'hide': BooleanField(
            lazy_gettext('Hide the task'),
            description=lazy_gettext(
                'Nobody gets a hidden task; its batch counts it as closed. Shown again, it is open until it has all its '
                'answers.'
            ),
        )
    }
    form_args = {
        'reply': {
            'label': lazy_gettext('Answer'),
            'description': lazy_gettext('Whoever told the problem reads it under “My reports”.'),
            'filters': [lambda text: (text or '').strip()],
            'validators': [Length(max=MAX_TEXT)],
        }
    }
    form_widget_args = {'reply': {'rows': 4}}

    def get_list(self, *args: Any, **kwargs: Any) -> tuple[int | None, Any]:
        """One page, with tasks and users fetched together."""
        count, problems = super().get_list(*args, **kwargs)
        return count, _with_tasks(problems)

    def get_one(self, id: Any) -> Problem | None:
        """The problem with its task and user at hand."""
        problem = super().get_one(id)
        return None if problem is None else _with_tasks([problem])[0]

    def on_form_prefill(self, form: Any, id: Any) -> None:
        """Show whether the task is hidden."""
        form.hide.data = _is_hidden(self.get_one(id).task)

    def update_model(self, form: Any, model: Problem) -> bool:
        """Answer, and hide or show the task; only what was changed is written."""
        now, task, before = datetime.now(UTC), model.task, self.stored(model)
        if form.reply.data != model.reply and not Problem.answer(model.pk, form.reply.data, now):
            flash(gettext('It has been deleted meanwhile.'), 'error')
            return False
        if isinstance(task, AbstractTask) and form.hide.data != _is_hidden(task):
            kind = current_app.task_types.get(task.task_type)
            counting.set_hidden(task.id, kind.redundancy if kind else 1, now, hidden=form.hide.data)
            verb = 'task.hide' if form.hide.data else 'task.show'
            audit.record(current_user._get_current_object(), verb, f'task {task.id}')
        self.note('update', model, before)
        return True


def _is_hidden(task: AbstractTask | DBRef) -> bool:
    return isinstance(task, AbstractTask) and bool(task.hidden)


def _with_tasks(problems: Iterable[Problem]) -> list[Problem]:
    problems = list(problems)
    tasks = AbstractTask.objects.in_bulk([_pk(problem.task) for problem in problems])
    users = User.objects.in_bulk([_pk(problem.user) for problem in problems])
    for problem in problems:
        problem.task = tasks.get(_pk(problem.task), problem.task)
        problem.user = users.get(_pk(problem.user), problem.user)
    return problems


def _with_users(answers: Iterable[AbstractAnswer]) -> list[AbstractAnswer]:
    answers = list(answers)
    users = User.objects.in_bulk([_pk(answer.created_by) for answer in answers])
    for answer in answers:
        answer.created_by = users.get(_pk(answer.created_by), answer.created_by)
    return answers


def _name_of(user: User | DBRef | None) -> str:
    """The name of a user, or his id if he is not there any more."""
    return user.username if isinstance(user, User) else str(_pk(user))


class SessionView(ProjectView):
    """Who worked on which task, from when to when. Only to look at."""

    can_create = False
    can_edit = False
    can_delete = False
    column_list = ('start_time', 'user', 'task_type', 'task', 'end_time', 'activity')
    column_details_list = ('id', *column_list, 'answer', 'zone', 'local_date')
    column_sortable_list = ()
    column_filters = (
        EqualFilter('task_type', lazy_gettext('Type'), options=_task_types),
        EqualFilter('task', lazy_gettext('Task')),
        UserFilter('user', lazy_gettext('User')),
    )
    column_labels = {
        'id': lazy_gettext('Id'),
        'start_time': lazy_gettext('Began'),
        'end_time': lazy_gettext('Ended'),
        'user': lazy_gettext('User'),
        'task_type': lazy_gettext('Type'),
        'task': lazy_gettext('Task'),
        'answer': lazy_gettext('Answer'),
        'activity': lazy_gettext('Active seconds'),
        'zone': lazy_gettext('Time zone'),
        'local_date': lazy_gettext('Day there'),
    }
    column_descriptions = {
        'end_time': lazy_gettext('Empty while the task is in hand, or when the answer was taken back.')
    }
    column_formatters = {
        'user': lambda view, context, session, name: _name_of(session.user),
        'task': lambda view, context, session, name: _link(
            url_for('task.compare_view', id=_pk(session.task)), _pk(session.task)
        ),
        'answer': show_id,
    }

    def get_list(self, *args: Any, **kwargs: Any) -> tuple[int | None, Any]:
        """One page of sessions, the users fetched together."""
        count, sessions = super().get_list(*args, **kwargs)
        sessions = list(sessions)
        users = User.objects.in_bulk([_pk(session.user) for session in sessions])
        for session in sessions:
            session.user = users.get(_pk(session.user), session.user)
        return count, sessions


class AuditView(CoreView):
    """Who did what. Only to look at: records are neither changed nor deleted."""

    can_create = False
    can_edit = False
    can_delete = False
    column_list = ('at', 'actor', 'action', 'subject')
    column_details_list = (*column_list, 'before', 'after')
    column_default_sort = ('at', True)
    column_sortable_list = ('at',)
    column_searchable_list = ('subject',)
    column_filters = (EqualFilter('action', lazy_gettext('Action')), EqualFilter('actor', lazy_gettext('By')))
    column_labels = {
        'at': lazy_gettext('When'),
        'actor': lazy_gettext('By'),
        'action': lazy_gettext('Action'),
        'subject': lazy_gettext('What'),
        'before': lazy_gettext('Before'),
        'after': lazy_gettext('After'),
    }
    column_formatters_detail = {'before': show_json, 'after': show_json}

    def search_placeholder(self) -> str:
        """Says how it is searched."""
        return gettext('What begins with …')

    def _search(self, query: Any, search_term: str) -> Any:
        return query.filter(begins('subject', search_term))
