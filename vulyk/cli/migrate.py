"""``db migrate``: a database of an older version becomes one of this version."""

import click

from vulyk import migrations
from vulyk.cli.context import with_database
from vulyk.models import schema
from vulyk.terminal import Bar
from vulyk.texts import gettext


@click.command('migrate')
@click.option('--dry-run', is_flag=True, help='Say what would be done, and change nothing.')
@click.option(
    '--redundancy',
    type=(str, click.IntRange(1)),
    multiple=True,
    metavar='TYPE NUMBER',
    help='Answers that tasks need of a type whose plugin is not enabled; repeatable.',
)
@with_database
def migrate_command(dry_run: bool, redundancy: tuple[tuple[str, int], ...]) -> None:
    """Do the migrations that are left, in order. Stopped in the middle it goes on when it is called again.

    Take a backup before, and let nobody work meanwhile.
    """
    number = len(schema.pending())
    with Bar(None, gettext('Comparing')) as bar:
        for text in migrations.run(dict(redundancy), dry_run=dry_run, progress=bar.advance):
            click.echo(text)
    if dry_run and number:
        click.echo(gettext('%(number)s migrations are to be done. Nothing was changed.', number=number))
    else:
        click.echo(gettext('%(number)s migrations are done.', number=number) if number else gettext('Nothing to do.'))
