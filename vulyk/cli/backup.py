"""``db backup`` and ``db restore``: the whole database in one file, and back."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from mongoengine.connection import get_db

from vulyk import backup
from vulyk.backup import BackupError
from vulyk.cli.context import operator, with_database, with_server
from vulyk.models import audit, database
from vulyk.terminal import Bar
from vulyk.texts import gettext

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command('backup')
@click.argument('path', type=_FILE)
@click.option('--without-snapshot', is_flag=True, help='Read without a snapshot; nobody may work meanwhile.')
@with_database
def backup_command(path: Path, without_snapshot: bool) -> None:
    """Write the database, with the files of tasks, to the new file PATH. Volunteers may go on working."""
    audit.record(operator(), 'db.backup', str(path)[:500])
    try:
        with Bar(None, gettext('Saving')) as bar:
            manifest = backup.backup(
                path,
                datetime.now(UTC),
                with_snapshot=not without_snapshot,
                warn=lambda text: click.echo(text, err=True),
                progress=bar.advance,
            )
    except BackupError as error:
        raise click.ClickException(gettext('%(reason)s There is no backup.', reason=error)) from error
    click.echo(gettext('%(number)s documents (%(megabytes)s MB) saved, as of %(time)s', **_size(manifest)))


@click.command('restore')
@click.argument('path', type=_FILE)
@click.option('--replace', is_flag=True, help='Delete what the database holds; asks first.')
@click.option('--yes', is_flag=True, help='Do not ask.')
@with_server
def restore_command(path: Path, replace: bool, yes: bool) -> None:
    """Put the backup in the file PATH into the database, which has to be empty. A bad file is refused before that."""
    try:
        with Bar(None, gettext('Checking')) as bar:
            manifest = backup.check(path, bar.advance)
        if replace and not backup.is_empty() and not yes:
            click.confirm(
                gettext('Delete everything in the database %(name)s?', name=repr(get_db().name)), abort=True, err=True
            )
        with Bar(None, gettext('Restoring')) as bar:
            backup.restore(path, datetime.now(UTC), replace=replace, manifest=manifest, progress=bar.advance)
    except BackupError as error:
        raise click.ClickException(gettext('%(reason)s Nothing was touched.', reason=error)) from error
    database.prepare()
    audit.record(operator(), 'db.restore', str(path)[:500])
    click.echo(gettext('%(number)s documents (%(megabytes)s MB) restored, as of %(time)s', **_size(manifest)))
    click.echo(
        gettext('Everybody has to sign in again. "vulyk db check" compares every counter with its documents.'), err=True
    )


def _size(manifest: dict[str, Any]) -> dict[str, Any]:
    parts = manifest['collections'].values()
    number, size = (sum(part[what] for part in parts) for what in ('documents', 'bytes'))
    return {'number': number, 'megabytes': f'{size / 1e6:,.1f}', 'time': manifest['taken_at']}
