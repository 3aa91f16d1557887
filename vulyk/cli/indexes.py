"""``db index``: what of the indexes is missing or superfluous."""

import click
from pymongo.errors import OperationFailure

from vulyk.cli.context import with_server
from vulyk.models import indexes
from vulyk.models.indexes import DIFFERENT, MISSING, SUPERFLUOUS, Finding
from vulyk.terminal import json_option, print_json
from vulyk.texts import gettext, lazy_gettext

LABELS = {
    MISSING: lazy_gettext('missing'),
    DIFFERENT: lazy_gettext('different'),
    SUPERFLUOUS: lazy_gettext('superfluous'),
}


@click.command('index')
@click.option('--create', is_flag=True, help='Make what is missing or different.')
@click.option('--drop', is_flag=True, help='Drop what no document declares; asks first.')
@click.option('--yes', is_flag=True, help='Do not ask.')
@json_option
@with_server
def index_command(create: bool, drop: bool, yes: bool, as_json: bool) -> None:
    """Compare the indexes of the database with those Vulyk and its plugins declare; exit code 1 if some are missing.

    Superfluous ones cost time at every write, and do no other harm. Those of plugins that are switched off count as
    superfluous.
    """
    found = list(indexes.find_differences())
    wrong = [finding for finding in found if finding.kind != SUPERFLUOUS]
    if create:
        failed = [finding for finding in wrong if not _make(finding)]
        found = [finding for finding in found if finding not in wrong or finding in failed]
        wrong = failed
    superfluous = [finding for finding in found if finding.kind == SUPERFLUOUS]
    if drop and superfluous:
        if not yes:
            click.echo('\n'.join(map(str, superfluous)), err=True)
            click.confirm(gettext('Drop these %(number)s indexes?', number=len(superfluous)), abort=True, err=True)
        for finding in superfluous:
            indexes.drop(finding)
            click.echo(gettext('dropped: %(index)s', index=finding), err=True)
        found = wrong
    if as_json:
        print_json([{'kind': one.kind, 'index': str(one), 'name': one.name} for one in found])
    else:
        for finding in found:
            click.echo(f'{LABELS[finding.kind]}: {finding}')
    if wrong and create:
        raise click.ClickException(gettext('%(number)s indexes could not be made.', number=len(wrong)))
    if wrong:
        raise click.ClickException(
            gettext('%(number)s indexes are not as they should be; "db index --create" makes them.', number=len(wrong))
        )
    if not found and not as_json:
        click.echo(gettext('All indexes are there, and no others.'))


def _make(finding: Finding) -> bool:
    """Make one; False, and a sentence why, if that cannot be done."""
    what = gettext('making: %(index)s') if finding.kind == MISSING else gettext('making anew: %(index)s')
    click.echo(what % {'index': finding}, err=True)
    try:
        indexes.make(finding)
    except OperationFailure as error:
        reason = (error.details or {}).get('errmsg') or str(error)
        click.echo(f'  {reason}.', err=True)
        if error.code == 11000:
            of_accounts = gettext('Two documents have the same value there. "accounts migrate" mends accounts.')
            of_others = gettext('Two documents have the same value there. "db check" finds more.')
            click.echo(f'  {of_accounts if finding.collection == "user" else of_others}', err=True)
        return False
    return True
