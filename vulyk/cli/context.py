"""What the commands share: the application, the database, and parameters that are looked up in them."""

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any

import click
from bson import ObjectId
from mongoengine import Q

from vulyk.languages import speak_as
from vulyk.models import database
from vulyk.models.audit import operator as operator
from vulyk.models.task_types import AbstractTaskType
from vulyk.models.tasks import Batch
from vulyk.models.user import User, key_of_email
from vulyk.texts import gettext
from vulyk.utils import aware

if TYPE_CHECKING:
    from flask import Flask


class Site:
    """The application of this command line, built when a command first needs it: ``--help`` needs no database.

    :param build: makes the application from the settings of the current folder, or from those given to it.
    :param prepare: checks its database.
    :param check_key: raises ``InitializationError`` if it has no secret key of its own.
    """

    def __init__(
        self,
        build: Callable[..., 'Flask'],
        prepare: Callable[['Flask'], None],
        check_key: Callable[['Flask'], None],
    ) -> None:
        self.build = build
        self.prepare = prepare
        self.check_key = check_key
        self._app: Flask | None = None

    @property
    def app(self) -> 'Flask':
        if self._app is None:
            self._app = self.build()
            speak_as(self._app)
            click.echo(gettext('Settings: %(source)s', source=self._app.settings_source), err=True)
        return self._app


def site() -> Site:
    """The site the running command works on."""
    found = click.get_current_context().find_object(Site)
    if found is None:
        raise click.ClickException(gettext('This command has to be called through vulyk.control.cli.'))
    return found


def with_database(command: Callable[..., Any]) -> Callable[..., Any]:
    """Run a command inside the application's context, after its database has answered."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        here = site()
        here.prepare(here.app)
        with here.app.app_context():
            return command(*args, **kwargs)

    return run


def with_server(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same, leaving the database as it is: no index is made. For commands that look what is wrong."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        with site().app.app_context():
            database.check_server()
            return command(*args, **kwargs)

    return run


class TaskTypeParam(click.ParamType):
    """The name of an enabled task type; the command gets the task type itself."""

    name = 'type'

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> AbstractTaskType:
        if isinstance(value, AbstractTaskType):
            return value
        app = site().app
        if value not in app.task_types:
            known = ', '.join(sorted(app.task_types)) or gettext('none')
            failed = ''.join(
                gettext('\nPlugin %(package)s is left out: %(why)s', package=package, why=why)
                for package, why in app.plugin_errors.items()
            )
            self.fail(
                gettext(
                    'There is no task type %(value)s. Enabled: %(known)s (setting ENABLED_TASKS).%(plugins)s',
                    value=repr(value),
                    known=known,
                    plugins=failed,
                ),
                param,
                ctx,
            )
        return app.task_types[value]


class BatchParam(click.ParamType):
    """The id of an existing batch."""

    name = 'batch'

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        here = site()
        here.prepare(here.app)
        with here.app.app_context():
            known = sorted(Batch.objects.scalar('id'))
        if value not in known:
            self.fail(
                gettext(
                    'There is no batch %(value)s. There are: %(names)s.',
                    value=repr(value),
                    names=', '.join(known) or gettext('none'),
                ),
                param,
                ctx,
            )
        return value


class UserParam(click.ParamType):
    """A user, by username, e-mail address or id; the command gets the document."""

    name = 'user'

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> User:
        if isinstance(value, User):
            return value
        here = site()
        here.prepare(here.app)
        with here.app.app_context():
            found = find_users(value)
        if not found:
            self.fail(
                gettext(
                    'There is nobody called %(value)s: give a username, an e-mail address or an id.', value=repr(value)
                ),
                param,
                ctx,
            )
        if len(found) > 1:  # names and addresses of old databases need not be unique
            ids = ', '.join(str(user.id) for user in found)
            self.fail(
                gettext(
                    '%(number)s users are called %(value)s; give the id of one: %(ids)s.',
                    number=len(found),
                    value=repr(value),
                    ids=ids,
                ),
                param,
                ctx,
            )
        return found[0]


def find_users(text: str) -> list[User]:
    """Everybody of exactly that id, username or e-mail address (which may be written large or small), active or not."""
    if not text.strip() or '\0' in text or len(text) > User.email.max_length:
        return []
    users = User.objects.no_dereference()
    if ObjectId.is_valid(text) and (found := users.filter(pk=text).first()):
        return [found]
    named = Q(username=text) | Q(email_key=key_of_email(text)) | Q(email_key=None, email__iexact=text.strip())
    return list(users.filter(named).order_by('id'))


class MomentParam(click.ParamType):
    """A date, or a date and time; UTC unless it names a zone."""

    name = 'time'

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            return aware(datetime.fromisoformat(value))
        except ValueError:
            self.fail(
                gettext(
                    '%(value)s is no time. Write 2026-11-20, 2026-11-20T14:05 or 2026-11-20T14:05+02:00.',
                    value=repr(value),
                ),
                param,
                ctx,
            )


TASK_TYPE = TaskTypeParam()
BATCH = BatchParam()
USER = UserParam()
MOMENT = MomentParam()
