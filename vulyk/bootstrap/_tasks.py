"""Loads the plugins of ``ENABLED_TASKS``."""

import importlib
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

import jinja2

from vulyk import languages
from vulyk.bootstrap import _templates
from vulyk.bootstrap._assets import package_folder
from vulyk.models import database
from vulyk.models.exc import InitializationError
from vulyk.models.pace import AnswerLimits
from vulyk.models.task_types import AbstractTaskType
from vulyk.models.tasks import AbstractAnswer, AbstractTask
from vulyk.texts import gettext

if TYPE_CHECKING:
    from flask import Flask


MAX_TYPE_NAME_LENGTH = 50  # as in the documents; it is part of addresses too


def init_plugins(app: 'Flask') -> dict[str, AbstractTaskType]:
    """Instantiate the task types named in ``ENABLED_TASKS``.

    :returns: type name → task type. A plugin that cannot be loaded is left out, its reason logged and kept in
        ``app.plugin_errors``; the others work.
    """
    enabled = app.config['ENABLED_TASKS']
    if not isinstance(enabled, Mapping):
        raise InitializationError(
            gettext('ENABLED_TASKS must be a dictionary {package: class name}, not %(value)s.', value=repr(enabled))
        )
    if app.config['ENABLED_PLUGINS'] is not None:
        app.logger.info('ENABLED_PLUGINS has no effect; ENABLED_TASKS names the plugins.')
    found: dict[str, AbstractTaskType] = {}
    packages: dict[str, str] = {}
    for package, class_name in enabled.items():
        try:
            task_type = _load(package, class_name)
            if task_type.type_name in found:
                other = packages[task_type.type_name]
                raise InitializationError(
                    gettext(
                        'its type name “%(type)s” is taken by %(other)s already',
                        type=task_type.type_name,
                        other=other,
                    )
                )
            _apply_settings(app, task_type)
            _check_assets(package, task_type)
            _add_templates(app, package, task_type)
        except Exception as error:  # the code is not ours and may raise anything; the other projects must go on
            reason = str(error) if isinstance(error, InitializationError) else f'{type(error).__name__}: {error}'
            app.plugin_errors[package] = reason
            app.logger.error('Plugin %s is left out: %s', package, reason, exc_info=app.debug)
        else:
            database.add_models(*_with_own_indexes(task_type))
            found[task_type.type_name] = task_type
            packages[task_type.type_name] = package
    return found


def _with_own_indexes(task_type: AbstractTaskType) -> list[type]:
    bases = ((task_type.task_model, AbstractTask), (task_type.answer_model, AbstractAnswer))
    return [model for model, base in bases if len(model._meta['index_specs']) > len(base._meta['index_specs'])]


def _load(package: str, class_name: str) -> AbstractTaskType:
    module = importlib.import_module(package)
    settings = importlib.import_module(f'{package}.settings')
    configured = module.configure(settings)
    task_types = importlib.import_module(f'{package}.models.task_types')
    task_type_class = getattr(task_types, class_name, None)
    if not isinstance(task_type_class, type) or not issubclass(task_type_class, AbstractTaskType):
        raise InitializationError(
            gettext(
                '%(package)s.models.task_types has no task type class %(name)s',
                package=package,
                name=class_name,
            )
        )
    task_type = task_type_class(settings=configured)
    if '/' in task_type.type_name or len(task_type.type_name) > MAX_TYPE_NAME_LENGTH:
        raise InitializationError(
            gettext(
                'its type name “%(type)s” must have 1 to %(limit)s characters and no “/”',
                type=task_type.type_name,
                limit=MAX_TYPE_NAME_LENGTH,
            )
        )
    task_type.package = package
    return task_type


def _apply_settings(app: 'Flask', task_type: AbstractTaskType) -> None:
    """What the site decides for its task types."""
    chosen = app.config['ASSIGNMENT']
    strategy = chosen.get(task_type.type_name) if isinstance(chosen, Mapping) else chosen
    if strategy:
        task_type.assignment = strategy
    task_type.strategy  # noqa: B018  # a name that does not exist is told now
    task_type.lease = timedelta(seconds=app.config['LEASE_SECONDS'])
    task_type.withdraw_within = timedelta(seconds=app.config['WITHDRAW_SECONDS'])
    task_type.limits = AnswerLimits(
        app.config['ANSWERS_PER_MINUTE'],
        app.config['NEW_ACCOUNT_ANSWERS'],
        timedelta(hours=app.config['NEW_ACCOUNT_HOURS']),
    )
    least = app.config['MIN_TASK_SECONDS']
    task_type.min_seconds = least.get(task_type.type_name, 0) if isinstance(least, dict) else least


def _check_assets(package: str, task_type: AbstractTaskType) -> None:
    folder = package_folder(package)
    missing = [path for path in (*task_type.JS_ASSETS, *task_type.CSS_ASSETS) if not (folder / path).is_file()]
    if missing:
        raise InitializationError(gettext('these scripts or styles are not in it: %(names)s', names=', '.join(missing)))
    if task_type.picture and not (task_type.picture.startswith('static/') and (folder / task_type.picture).is_file()):
        raise InitializationError(
            gettext('its picture “%(picture)s” is not in its folder static/', picture=task_type.picture)
        )


def _add_templates(app: 'Flask', package: str, task_type: AbstractTaskType) -> None:
    try:
        loader = jinja2.PackageLoader(package)
    except ValueError as error:
        raise InitializationError(
            gettext('it has no folder templates/ beside its __init__.py (%(reason)s)', reason=error)
        ) from error
    if task_type.template not in loader.list_templates():
        raise InitializationError(
            gettext('its template “%(template)s” is not in its folder templates/', template=task_type.template)
        )
    _templates.add_prefix(app, task_type.type_name, loader)
    languages.add_folder(app, package_folder(package))
