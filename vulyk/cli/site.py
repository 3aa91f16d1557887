"""``site new``: from nothing to a site of one's own: settings, a checked database, an admin, open projects."""

import os
import secrets
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from flask import Flask
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from vulyk import mongod
from vulyk.cli import project_init
from vulyk.cli.admin import check_admin, create_admin
from vulyk.cli.context import site
from vulyk.cli.plugins import installed
from vulyk.models.user import MIN_PASSWORD_LENGTH, User
from vulyk.texts import gettext, lazy_gettext

SETTINGS_FILE = 'local_settings.py'
INSTANCE = 'instance'  # folder of a private server and of bundles, in that of the site
SETTINGS = '''\
"""Settings of this site. docs/settings.rst lists every setting with its default."""

from pathlib import Path

HERE = Path(__file__).parent

# Signs the sessions of everybody who is signed in. Keep it secret: who knows it can be anybody.
SECRET_KEY = {key!r}

{database}

# The projects: {{package: class name}}. "vulyk plugin list" prints those that are installed here.
ENABLED_TASKS = {tasks}

SITE_NAME = {name!r}
SITE_TITLE = SITE_NAME  # beside the logo
SITE_MOTTO = ''

# Under which terms volunteers give their answers, such as 'CC0 1.0'. Tell it to them; the manifest of every export says so.
CONTRIBUTORS_TERMS = ''

# The admin pages at /admin/
ENABLE_ADMIN = True

# Who may make an account: 'open', 'invitation' or 'closed'
REGISTRATION = 'open'

# Mails: to confirm addresses, and for forgotten passwords. "vulyk doctor --mail ADDRESS" tries them.
# SITE_URL = 'https://vulyk.example.org'
# MAIL_SERVER = 'smtp.example.org'
# MAIL_PORT = 587
# MAIL_USE_TLS = True
# MAIL_USERNAME = 'vulyk'
# MAIL_PASSWORD = ''
# MAIL_DEFAULT_SENDER = 'no-reply@vulyk.example.org'

# The web server in front of the site, which says who asks and that it was by HTTPS: its address, or 'unix' for a socket.
# TRUSTED_PROXIES = ['127.0.0.1']

ASSETS_FOLDER = str(HERE / {instance!r} / 'assets')
'''
PRIVATE = """\
# A private MongoDB in this folder, for this machine only; it runs while something of the site does. For a site that others use,
# have a server of its own and name it: MONGODB_SETTINGS = {{'DB': 'vulyk', 'HOST': 'mongodb://localhost:27017/?replicaSet=vulyk'}}
EMBEDDED_MONGOD = str(HERE / {instance!r})
MONGODB_SETTINGS = {{'DB': {database!r}}}"""
SERVER = """\
# A replica set; one node is enough.
MONGODB_SETTINGS = {{
    'DB': {database!r},
    'HOST': {host!r},
}}"""


@click.group('site')
def site_group() -> None:
    """Sites of your own."""


@site_group.command('new')
@click.argument(
    'folder',
    metavar='DIR',
    type=click.Path(path_type=Path),
    is_eager=True,  # nobody is to answer questions in vain
    callback=lambda ctx, param, value: check_folder(value.absolute()),
)
@click.option('--name', prompt='Name of the site', default='Vulyk', help='As volunteers read it.')
@click.option(
    '--mongodb',
    metavar='URI',
    prompt='Address of MongoDB, such as mongodb://localhost:27017 (empty: a private one in DIR)',
    default='',
    show_default=False,
    help='A replica set; left empty: a private server in DIR.',
)
@click.option('--database', default='vulyk', show_default=True, help='Name of the database.')
@click.option(
    '--plugin',
    'plugins',
    metavar='PACKAGE',
    multiple=True,
    help='A task type of the site, repeatable; left out: all that are installed.',
)
@click.option('--email', prompt='E-mail address of the admin', help='Of the first admin, who signs in with it.')
@click.option('--username', prompt='Username of the admin', help='Of the first admin: the name others see.')
@click.password_option(
    prompt=lazy_gettext('Password of the admin (at least %(number)s characters)', number=MIN_PASSWORD_LENGTH),
    help='Of the first admin.',
)
def new_command(
    folder: Path,
    name: str,
    mongodb: str,
    database: str,
    plugins: tuple[str, ...],
    email: str,
    username: str,
    password: str,
) -> None:
    """Make a site in the folder DIR: settings with a key of its own, a checked database, an admin, its projects open.

    What is not given is asked for. Nothing is left behind if something is wrong.
    """
    check_database_name(database, mongodb)
    check_admin(email, username, password)
    tasks = choose(plugins)
    key = secrets.token_hex(32)
    text = settings_text(name, key, tasks, mongodb, database)
    with made_folder(folder, private=not mongodb):
        path = folder / SETTINGS_FILE
        app = site().build(settings_of(text, path))
        if app.plugin_errors:
            package, why = next(iter(app.plugin_errors.items()))
            raise click.ClickException(
                gettext('The plugin %(package)s cannot be loaded: %(why)s', package=package, why=why)
            )
        fill(app, email, username, password)
        path.touch(mode=0o600)
        path.write_text(text, encoding='utf-8')
    if not mongodb:
        mongod.release(folder / INSTANCE / 'mongo', wait_s=5)
    click.echo(_what_next(folder, username, email, sorted(app.task_types)))


def check_folder(folder: Path) -> Path:
    """The folder, unless it holds a site or cannot be written.

    :raises click.BadParameter: with what to do.
    """
    for name in (SETTINGS_FILE, INSTANCE):
        if (folder / name).exists():
            raise click.BadParameter(gettext('%(path)s exists already; choose another folder.', path=folder / name))
    parent = next(one for one in (folder, *folder.parents) if one.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise click.BadParameter(gettext('%(path)s is no folder that can be written; choose another one.', path=parent))
    return folder


def check_database_name(database: str, uri: str) -> None:
    """Refuse what is no name of a database, and what is no address of a server.

    :raises click.BadParameter: with what is wrong.
    """
    if not database or len(database) > 60 or not database.replace('_', '').replace('-', '').isalnum():
        raise click.BadParameter(
            gettext('A database is called by 1 to 60 letters, digits, "_" and "-".'), param_hint='--database'
        )
    if uri:
        try:
            parse_uri(uri, warn=False)
        except (PyMongoError, ValueError) as error:
            raise click.BadParameter(
                gettext('%(address)s is no address of MongoDB: %(reason)s', address=_hidden(uri), reason=error),
                param_hint='--mongodb',
            ) from error


def choose(packages: tuple[str, ...]) -> dict[str, str]:
    """``{package: class name}`` of the task types of the new site.

    :raises click.BadParameter: a package is not installed.
    """
    known = {plugin.package: plugin.class_name for plugin in installed() if plugin.class_name}
    missing = [package for package in packages if package not in known]
    if missing:
        there = ', '.join(sorted(known)) or gettext('none')
        raise click.BadParameter(
            gettext(
                'The plugin %(package)s is not installed here. There are: %(names)s.', package=missing[0], names=there
            )
        )
    return {package: known[package] for package in packages or sorted(known)}


def settings_text(name: str, key: str, tasks: dict[str, str], uri: str, database: str) -> str:
    """The file of settings."""
    lines = ''.join(f'    {package!r}: {class_name!r},\n' for package, class_name in tasks.items())
    return SETTINGS.format(
        name=name,
        key=key,
        tasks=f'{{\n{lines}}}' if tasks else '{}',
        database=(SERVER if uri else PRIVATE).format(database=database, host=uri, instance=INSTANCE),
        instance=INSTANCE,
    )


def settings_of(text: str, path: Path) -> dict[str, Any]:
    """The settings that the file will have, read before it is there."""
    found: dict[str, Any] = {'__file__': str(path)}
    exec(compile(text, str(path), 'exec'), found)
    return {name: value for name, value in found.items() if name.isupper()}


@contextmanager
def made_folder(folder: Path, *, private: bool) -> Iterator[None]:
    """The folder, made if it is missing; if what follows fails, what has come into it goes again.

    :param private: a server runs in it.
    """
    was_there = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if private:
            mongod.release(folder / INSTANCE / 'mongo', wait_s=5)
        shutil.rmtree(folder / INSTANCE, ignore_errors=True)
        (folder / SETTINGS_FILE).unlink(missing_ok=True)
        if not was_there:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def fill(app: Flask, email: str, username: str, password: str) -> None:
    """Check the database, make its indexes, the admin, and open all projects to everybody.

    :raises click.ClickException: the database holds a site already.
    """
    site().prepare(app)
    with app.app_context():
        if User.objects.first() is not None:
            raise click.ClickException(
                gettext(
                    'The database %(name)s holds a site already; choose another with --database.',
                    name=User._get_db().name,
                )
            )
        project_init(sorted(app.task_types))
        create_admin(email, username, password)


def _hidden(uri: str) -> str:
    """An address without its password."""
    password = urlsplit(uri).password
    return uri.replace(f':{password}@', ':…@') if password else uri


def _what_next(folder: Path, username: str, email: str, types: list[str]) -> str:
    program = click.get_current_context().find_root().info_name or 'vulyk'
    if shutil.which(program) != sys.argv[0]:  # not on the PATH, or another one is
        program = shlex.quote(str(Path(sys.argv[0]).absolute()))
    example = types[0] if types else 'TYPE'
    ready = gettext(
        'The site in %(folder)s is ready; %(username)s signs in as %(email)s.',
        folder=folder,
        username=username,
        email=email,
    )
    what_they_do = gettext(
        'run serves it at http://127.0.0.1:5000, doctor says what is missing before others may come.'
    )
    change = gettext(
        'Change %(file)s as you like; it holds the key of the site, and is readable for you only.', file=SETTINGS_FILE
    )
    return (
        f'\n  {ready}\n'
        f'\n    cd {shlex.quote(str(folder))}\n'
        f'    {program} run\n'
        f'    {program} db load {example} tasks.jsonl --batch first\n'
        f'    {program} doctor\n'
        f'\n  {what_they_do}\n  {change}\n'
    )
