"""``doctor``: what is wrong with this site, and what to type."""

import os
import platform
import shutil
import smtplib
import stat
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from flask import Flask, current_app
from flask_mailman import EmailMessage
from mongoengine.connection import get_connection, get_db
from pymongo.errors import PyMongoError

from vulyk import demo, jobs, settings
from vulyk.accounts import mails
from vulyk.cli import is_initialized
from vulyk.cli.context import site
from vulyk.models import database, indexes, media, schema
from vulyk.models.exc import DatabaseError, InitializationError
from vulyk.models.tasks import AbstractTask
from vulyk.models.user import User
from vulyk.terminal import OK, WARNING, WRONG, Finding, json_option, print_findings
from vulyk.texts import gettext, ngettext
from vulyk.utils import aware

LEAST_FREE_BYTES = 1024**3
MOST_SECONDS_APART = 5
SAMPLE = 1000  # tasks and files that are looked at
OF_LIBRARIES = ('SOCIAL_AUTH_', 'MAIL_', 'BABEL_', 'WTF_', 'FLASK_ADMIN_', 'ASSETS_', 'COLLECT_')


@click.command('doctor')
@click.option('--mail', 'address', metavar='ADDRESS', help='Send a mail to this address, to try whether mails leave.')
@json_option
def doctor_command(address: str | None, as_json: bool) -> None:
    """Say what is wrong with this site, and what to type. Changes nothing; exit code 1 if something is wrong."""
    print_findings(examine(address), as_json=as_json)


def examine(address: str | None) -> Iterator[Finding]:
    """Everything a site needs, from what all else rests on upwards.

    :param address: where to send a mail; None: to nobody.
    """
    yield Finding(
        'version',
        OK,
        gettext(
            'Vulyk %(version)s, Python %(python)s',
            version=metadata.version('vulyk'),
            python=platform.python_version(),
        ),
    )
    try:
        app = site().app
    except DatabaseError as error:  # of a private server
        yield Finding('database', WRONG, str(error))
        return
    except InitializationError as error:
        yield Finding('configuration', WRONG, str(error), gettext('Correct the settings.'))
        return
    with app.app_context():
        for check in (check_configuration, check_plugins, check_files, check_mail):
            yield from check(app)
        if address:
            yield send_mail(address)
        try:
            database.check_server()
        except DatabaseError as error:
            yield Finding('database', WRONG, str(error))
            return
        for check_data in (check_database, check_indexes, check_migrations, check_people, check_worker, check_media):
            yield from _or_failed(check_data)


def _or_failed(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    area = check.__name__.removeprefix('check_')
    try:
        yield from check()
    except PyMongoError as error:
        yield Finding(
            area, WRONG, gettext('The database refuses what has to be asked for this: %(reason)s', reason=error)
        )


# --- what is said in the settings -------------------------------------------------------------------------------------


def check_configuration(app: Flask) -> Iterator[Finding]:
    """The settings: the key, names that mean nothing, what suits development only."""
    found = []
    try:
        site().check_key(app)
        if len(str(app.secret_key)) < 32:
            cure = gettext(
                'A longer one signs everybody out once: python -c "import secrets; print(secrets.token_hex(32))"'
            )
            found.append(Finding('configuration', WARNING, gettext('SECRET_KEY has less than 32 characters.'), cure))
    except InitializationError as error:
        found.append(Finding('configuration', WRONG, str(error)))
    for name, meant in unknown_settings(app).items():
        cure = (
            gettext('Is %(meant)s meant?', meant=meant)
            if meant
            else gettext('Take it out, unless code of yours reads it.')
        )
        found.append(Finding('configuration', WARNING, gettext('There is no setting %(name)s.', name=name), cure))
    public = urlsplit(app.config['SITE_URL'] or '').hostname not in (None, 'localhost', '127.0.0.1', '::1')
    if app.config['DEBUG'] and public:
        cure = gettext('DEBUG = False; the debugger lets anybody run programs here.')
        found.append(Finding('configuration', WRONG, gettext('DEBUG is on, and others can reach the site.'), cure))
    if public and app.config['SITE_URL'].startswith('http:'):
        found.append(
            Finding(
                'configuration',
                WARNING,
                gettext('SITE_URL is no HTTPS: others read along.'),
                gettext('See docs/deploy.'),
            )
        )
    if public and not app.config['TRUSTED_PROXIES']:
        cure = gettext("TRUSTED_PROXIES = ['127.0.0.1'], if the web server in front runs on this machine.")
        found.append(Finding('configuration', WARNING, gettext('No web server in front is trusted.'), cure))
    if app.config['SITE_IS_CLOSED']:
        found.append(
            Finding(
                'configuration', WARNING, gettext('The site is closed.'), gettext('SITE_IS_CLOSED = False opens it.')
            )
        )
    yield from found or [Finding('configuration', OK, gettext('settings of %(source)s', source=app.settings_source))]


def unknown_settings(app: Flask) -> dict[str, str]:
    """``{name: what may be meant, or ''}`` of the names in the settings of the site that nobody knows."""
    module = _local_settings(app)
    if module is None:
        return {}
    of_plugins = {name for kind in app.task_types.values() for name in getattr(kind, '_settings', None) or ()}
    known = _known_settings() | of_plugins
    found = {}
    for name, value in vars(module).items():
        if name.isupper() and name not in known and not isinstance(value, Path):  # HERE = Path(__file__).parent
            meant = ''.join(get_close_matches(name, known, 1, cutoff=0.8))
            if meant or not name.startswith(OF_LIBRARIES):
                found[name] = meant
    return found


def _known_settings() -> set[str]:
    return {name for name in vars(settings) if name.isupper()} | {*Flask.default_config, 'DEMO'}


def _local_settings(app: Flask) -> Any:
    module = sys.modules.get('local_settings')
    return module if module is not None and str(module.__file__) == app.settings_source else None


def check_plugins(app: Flask) -> Iterator[Finding]:
    """The task types."""
    for package, why in app.plugin_errors.items():
        yield Finding(
            'plugins',
            WRONG,
            gettext('%(package)s is left out: %(why)s', package=package, why=why),
            f'vulyk plugin check {package}',
        )
    if app.task_types:
        yield Finding('plugins', OK, ', '.join(sorted(app.task_types)))
    elif not app.plugin_errors:
        cure = gettext('Name one in ENABLED_TASKS; "vulyk plugin list" prints those that are installed.')
        yield Finding('plugins', WRONG, gettext('The site has no task type.'), cure)


def check_files(app: Flask) -> Iterator[Finding]:
    """What others may read or nobody can write, and the room on the disk."""
    found = list(_readable_secrets(app))
    folders = {'ASSETS_FOLDER': Path(app.config['ASSETS_FOLDER'] or 'instance/assets')}
    if app.config['COLLECT_STATIC_ROOT']:
        folders['COLLECT_STATIC_ROOT'] = Path(app.config['COLLECT_STATIC_ROOT'])
    if not app.config['LOG_TO_STDERR']:
        folders['LOGGING_LOCATION'] = Path(app.config['LOGGING_LOCATION']).parent
    for setting, folder in folders.items():
        there = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
        if not os.access(there, os.W_OK):
            cure = gettext(
                'chown %(user)s %(folder)s, or set %(setting)s to a folder the site may write to.',
                user=os.getuid(),
                folder=there,
                setting=setting,
            )
            found.append(
                Finding(
                    'files',
                    WRONG,
                    gettext('%(folder)s (%(setting)s) cannot be written.', folder=folder, setting=setting),
                    cure,
                )
            )
        free = shutil.disk_usage(there).free
        if free < LEAST_FREE_BYTES:
            text = gettext(
                'Only %(number)s MB are free on the disk of %(folder)s.', number=free // 1024**2, folder=there
            )
            found.append(Finding('files', WARNING, text, gettext('Make room.')))
    yield from found or [
        Finding('files', OK, gettext('secrets are readable for their owner only, folders can be written'))
    ]


def _readable_secrets(app: Flask) -> Iterator[Finding]:
    module = _local_settings(app)
    secrets = [Path(module.__file__)] if module is not None else []
    if app.config['EMBEDDED_MONGOD']:
        secrets += [
            path for name in ('mongo', 'demo.json') if (path := Path(app.config['EMBEDDED_MONGOD']) / name).exists()
        ]
    for path in secrets:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            cure = f'chmod go= {path}'
            yield Finding(
                'files',
                WRONG,
                gettext('Others on this machine can read %(path)s (mode %(mode)s).', path=path, mode=f'{mode:o}'),
                cure,
            )


# --- mail -------------------------------------------------------------------------------------------------------------


def check_mail(app: Flask) -> Iterator[Finding]:
    """Whether mails are sent, as far as the settings tell."""
    config = app.config
    if config['MAIL_BACKEND'] == 'smtp':
        text = gettext(
            'sent through %(server)s:%(port)s as %(sender)s',
            server=config['MAIL_SERVER'],
            port=config['MAIL_PORT'],
            sender=config['MAIL_DEFAULT_SENDER'],
        )
        yield Finding('mail', OK, text, gettext('vulyk doctor --mail ADDRESS tries it'))
        if config['MAIL_PASSWORD'] and not (config['MAIL_USE_TLS'] or config['MAIL_USE_SSL']):
            yield Finding('mail', WARNING, gettext('The password travels without encryption.'), 'MAIL_USE_TLS = True')
    elif config['MAIL_BACKEND'] == 'console':
        yield Finding(
            'mail',
            WARNING,
            gettext('Mails are printed instead of sent, as for development.'),
            gettext('Set MAIL_SERVER.'),
        )
    else:
        text = gettext('No mails are sent: addresses are not confirmed, and who forgets the password has to ask you.')
        yield Finding('mail', WARNING, text, gettext('Set MAIL_SERVER, SITE_URL and MAIL_DEFAULT_SENDER.'))


def send_mail(address: str) -> Finding:
    """Send a mail now, and tell what the server has said."""
    if not mails.can_be_sent():
        return Finding('mail', WRONG, gettext('There is no way to send the mail.'), gettext('Set MAIL_SERVER.'))
    if '@' not in address or any(map(str.isspace, address)):
        return Finding('mail', WRONG, gettext('%(address)s is no e-mail address.', address=repr(address)))
    name = current_app.config['SITE_NAME']
    text = gettext(
        'This mail was sent by "vulyk doctor" of %(name)s, to see whether mails leave. They do.\n', name=name
    )
    try:
        with current_app.extensions['mailman'].get_connection() as connection:
            EmailMessage(gettext('%(name)s: mails leave', name=name), text, to=[address], connection=connection).send()
    except smtplib.SMTPAuthenticationError as error:
        return Finding(
            'mail',
            WRONG,
            gettext('The mail server refuses us: %(reason)s', reason=_said(error)),
            'MAIL_USERNAME, MAIL_PASSWORD',
        )
    except smtplib.SMTPRecipientsRefused as error:
        code, said = error.recipients[address]
        return Finding(
            'mail',
            WRONG,
            gettext(
                'The mail server does not take %(address)s: %(code)s %(reason)s',
                address=address,
                code=code,
                reason=said.decode(errors='replace'),
            ),
        )
    except (OSError, smtplib.SMTPException) as error:
        cure = 'MAIL_SERVER, MAIL_PORT, MAIL_USE_TLS, MAIL_USE_SSL'
        return Finding('mail', WRONG, gettext('The mail cannot be sent: %(reason)s', reason=_said(error)), cure)
    return Finding(
        'mail', OK, gettext('A mail to %(address)s has left; see whether it arrives, and not as spam.', address=address)
    )


def _said(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        return f'{error.smtp_code} {said.decode(errors="replace") if isinstance(said, bytes) else said}'
    return f'{type(error).__name__}: {error}'


# --- what is in the database ------------------------------------------------------------------------------------------


def check_database() -> Iterator[Finding]:
    """The server: its version, its nodes, its clock."""
    client = get_connection()
    version = client.server_info()['version']
    nodes = len(client.topology_description.server_descriptions())
    text = database.outdated(version, datetime.now(UTC).date())
    if text:
        newest = '.'.join(map(str, max(database.END_OF_LIFE)))
        yield Finding(
            'database',
            WARNING,
            text,
            gettext('Upgrade to MongoDB %(newest)s, one major version at a time.', newest=newest),
        )
    hello = client.admin.command('hello')
    apart = abs((aware(hello['localTime']) - datetime.now(UTC)).total_seconds())
    if apart > MOST_SECONDS_APART:
        text = gettext(
            'The clocks of this machine and of the database are %(seconds)s seconds apart.', seconds=f'{apart:.0f}'
        )
        yield Finding('database', WARNING, text, gettext('Have both set by NTP.'))
    if not hello.get('isWritablePrimary') and nodes == 1 and hello.get('msg') != 'isdbgrid':
        yield Finding(
            'database',
            WRONG,
            gettext('The node that answers takes no writes.'),
            gettext('Name all nodes in MONGODB_SETTINGS.'),
        )
    size = get_db().command('dbStats')
    used = (size['storageSize'] + size['indexSize']) / 1024**2
    nodes_text = ngettext('%(num)s node', '%(num)s nodes', nodes)
    yield Finding(
        'database',
        OK,
        gettext(
            'MongoDB %(version)s, %(nodes)s; %(name)s takes %(megabytes)s MB',
            version=version,
            nodes=nodes_text,
            name=get_db().name,
            megabytes=f'{used:.0f}',
        ),
    )


def check_indexes() -> Iterator[Finding]:
    """The indexes, as ``db index`` compares them."""
    found = list(indexes.find_differences())
    wrong = [str(one) for one in found if one.kind != indexes.SUPERFLUOUS]
    if wrong:
        text = gettext(
            '%(number)s are missing or different: %(names)s%(more)s',
            number=len(wrong),
            names=', '.join(wrong[:3]),
            more=' …' if len(wrong) > 3 else '',
        )
        yield Finding('indexes', WRONG, text, 'vulyk db index --create')
    if len(found) > len(wrong):
        text = gettext('%(number)s are superfluous; they cost time at every write.', number=len(found) - len(wrong))
        yield Finding('indexes', WARNING, text, 'vulyk db index --drop')
    if not found:
        yield Finding('indexes', OK, gettext('all are there, and no others'))


def check_migrations() -> Iterator[Finding]:
    """Whether the database is of this version."""
    try:
        schema.check()
    except DatabaseError as error:
        yield Finding('migrations', WRONG, str(error))
        return
    left = schema.pending()
    if left:
        text = gettext(
            '%(number)s are left to do: %(names)s.', number=len(left), names=', '.join(str(step.title) for step in left)
        )
        yield Finding('migrations', WRONG, text, gettext('Take a backup, then: vulyk db migrate'))
    else:
        yield Finding('migrations', OK, gettext('the database is of this version'))


def check_people() -> Iterator[Finding]:
    """An admin, and projects that are open."""
    if not User.objects(admin=True, active=True).first():
        yield Finding('people', WRONG, gettext('There is no admin.'), 'vulyk admin create')
    if not is_initialized():
        types = ' '.join(sorted(current_app.task_types)) or 'TYPE'
        yield Finding(
            'people',
            WRONG,
            gettext('It is not said which projects are open.'),
            f'vulyk init {types}',
        )
    if demo.InstanceMark.objects(pk='demo').first() and not current_app.config.get('DEMO'):
        text = gettext('The database is that of a demo, whose accounts have no password.')
        yield Finding('people', WARNING, text, gettext('vulyk site new DIR makes a site of your own.'))
    yield Finding('people', OK, gettext('active accounts: %(number)s', number=User.objects(active=True).count()))


def check_worker() -> Iterator[Finding]:
    """Whether somebody does background work, and what has failed."""
    now, counts = datetime.now(UTC), jobs.counts()
    thread = current_app.config['BACKGROUND_THREAD']
    if jobs.worker_is_missing(now):
        swept = jobs.last_sweep()
        cure = gettext('Start the site; it does it by itself.') if thread else gettext('Start one: vulyk worker')
        last = (
            gettext('the last was done at %(time)s UTC', time=f'{swept:%Y-%m-%d %H:%M}')
            if swept
            else gettext('none was ever done')
        )
        yield Finding('worker', WRONG, gettext('Nobody does background work; %(last)s.', last=last), cure)
    else:
        yield Finding('worker', OK, gettext('background work is done, %(number)s jobs wait', number=counts[jobs.READY]))
    late = jobs.Job.objects(state=jobs.READY, run_at__lt=now - timedelta(minutes=15)).count()
    if late:
        yield Finding(
            'worker',
            WARNING,
            gettext('%(number)s jobs wait for more than 15 minutes.', number=late),
            gettext('Start another: vulyk worker'),
        )
    if counts[jobs.DEAD]:
        text = gettext('%(number)s jobs have failed too often.', number=counts[jobs.DEAD])
        yield Finding('worker', WARNING, text, 'vulyk jobs list --state dead')


def check_media() -> Iterator[Finding]:
    """Whether the files that the latest tasks show are there, and whole."""
    tasks = AbstractTask._get_collection().find({}, {'media': 1}, sort=[('_id', -1)], limit=SAMPLE)
    wanted = {digest for task in tasks for digest in (task.get('media') or {}).values()}
    damaged = media.damaged(sorted(wanted))
    if damaged:
        text = gettext(
            '%(number)s of %(total)s files of tasks are missing or not whole, such as %(example)s.',
            number=len(damaged),
            total=len(wanted),
            example=damaged[0],
        )
        yield Finding(
            'media', WRONG, text, gettext('Load the files again: vulyk db load, with the same data and files.')
        )
    else:
        yield Finding(
            'media',
            OK,
            gettext('%(number)s files of the last %(total)s tasks are whole', number=len(wanted), total=SAMPLE),
        )
