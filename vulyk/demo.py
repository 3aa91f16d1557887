"""The demo instance: its settings, the mark in its database, and its two accounts."""

import json
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask_mongoengine.documents import Document
from mongoengine import DateTimeField, StringField

from vulyk.models.exc import InitializationError
from vulyk.models.user import User
from vulyk.texts import gettext

if TYPE_CHECKING:
    from flask import Flask

PLUGINS = {
    'vulyk_images': 'ImageChoiceTaskType',
    'vulyk_transcription': 'TranscriptionTaskType',
    'vulyk_tagging': 'TaggingTaskType',
    'vulyk_records': 'RecordsTaskType',
}
ACCOUNTS = {
    'volunteer': {'username': 'curious_bee', 'email': 'volunteer@demo.invalid', 'admin': False},
    'admin': {'username': 'head_keeper', 'email': 'admin@demo.invalid', 'admin': True},
}
_FILE = 'demo.json'


class InstanceMark(Document):
    """Says what a database is for; ``_id`` is ``demo`` in a database that ``make run`` has filled."""

    id = StringField(primary_key=True)
    created_at = DateTimeField(default=lambda: datetime.now(UTC), db_field='createdAt')
    seeded_at = DateTimeField(db_field='seededAt')

    meta = {'collection': 'instance', 'auto_create_index': False}


def exists(instance: Path) -> bool:
    """Whether this folder holds a demo instance."""
    return (instance / _FILE).is_file()


def settings(instance: Path) -> dict[str, Any]:
    """The settings of the demo instance in this folder; the folder and its secret key are made if they are missing.

    :raises InitializationError: the folder or its file cannot be used.
    """
    try:
        key = _secret_key(instance)
    except OSError as error:
        raise InitializationError(
            gettext(
                'The folder %(folder)s cannot be used (%(reason)s): make it writable for you, or choose another one '
                '(make run INSTANCE=…).',
                folder=instance,
                reason=error.strerror,
            )
        ) from error
    except (ValueError, LookupError, TypeError) as error:
        raise InitializationError(
            gettext(
                'The file %(file)s is damaged: delete it, and start again. Whoever was signed in signs in anew.',
                file=instance / _FILE,
            )
        ) from error
    return {
        'SECRET_KEY': key,
        'DEMO': True,
        'EMBEDDED_MONGOD': str(instance),
        'MONGODB_SETTINGS': {'DB': 'vulyk'},
        'ASSETS_FOLDER': str(instance / 'assets'),
        'ENABLED_TASKS': PLUGINS,
        'ENABLE_ADMIN': True,
        'SITE_NAME': 'Vulyk',
        'SITE_MOTTO': {'en': 'Many hands, one hive', 'uk': 'Багато рук, один вулик'},
    }


def _secret_key(instance: Path) -> str:
    path = instance / _FILE
    if not path.is_file():
        instance.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps({'SECRET_KEY': secrets.token_hex(32)}), encoding='utf-8')
    return str(json.loads(path.read_text(encoding='utf-8'))['SECRET_KEY'])


def mark() -> None:
    """Put the mark into the database; only ``make run`` does."""
    InstanceMark.objects(pk='demo').modify(upsert=True, set_on_insert__created_at=datetime.now(UTC))


def is_demo(app: 'Flask') -> bool:
    """Whether demo accounts may be used: the settings say so *and* the database carries the mark."""
    return bool(app.config.get('DEMO')) and InstanceMark.objects(pk='demo').first() is not None


def account(role: str) -> User:
    """The demo account of that role (``volunteer`` or ``admin``), made if it is missing. It has no password.

    :raises KeyError: no such role.
    """
    facts = ACCOUNTS[role]
    return User.objects(email=facts['email']).first() or User(**facts).save()
