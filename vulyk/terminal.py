"""What commands print: JSON for scripts, tables for people, progress for whoever waits."""

import json
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any, NamedTuple

import click
from bson import Decimal128

from vulyk.texts import gettext, lazy_gettext, speak_english
from vulyk.utils import aware

OK, WARNING, WRONG = 'ok', 'warning', 'wrong'
_MARKS = {OK: lazy_gettext('ok'), WARNING: lazy_gettext('warning'), WRONG: lazy_gettext('WRONG')}


# What commands tell about something: its name in JSON → what people read.
LABELS = {
    'id': lazy_gettext('Id'),
    'kind': lazy_gettext('Kind'),
    'state': lazy_gettext('State'),
    'tries': lazy_gettext('Tries'),
    'run_at': lazy_gettext('Run at'),
    'error': lazy_gettext('Error'),
    'username': lazy_gettext('Username'),
    'email': lazy_gettext('Email'),
    'active': lazy_gettext('Active'),
    'admin': lazy_gettext('Admin'),
    'manages': lazy_gettext('Manages'),
    'groups': lazy_gettext('Groups'),
    'answers': lazy_gettext('Answers'),
    'created_at': lazy_gettext('Created at'),
    'last_login': lazy_gettext('Last login'),
    'deleted_at': lazy_gettext('Deleted at'),
    'email_confirmed': lazy_gettext('Email confirmed'),
    'sign_in_methods': lazy_gettext('Sign in methods'),
    'sessions': lazy_gettext('Sessions'),
    'time_zone': lazy_gettext('Time zone'),
    'may_work_on': lazy_gettext('May work on'),
    'answers_by_type': lazy_gettext('Answers by type'),
    'hours_of_work': lazy_gettext('Hours of work'),
    'type': lazy_gettext('Type'),
    'tasks': lazy_gettext('Tasks'),
    'closed_tasks': lazy_gettext('Closed tasks'),
    'closed': lazy_gettext('Closed'),
    'paused': lazy_gettext('Paused'),
    'priority': lazy_gettext('Priority'),
    'redundancy': lazy_gettext('Redundancy'),
    'title': lazy_gettext('Title'),
    'description': lazy_gettext('Description'),
    'help': lazy_gettext('Help'),
    'licence': lazy_gettext('Licence'),
    'source': lazy_gettext('Source'),
    'attribution': lazy_gettext('Attribution'),
    'lang': lazy_gettext('Lang'),
    'meta': lazy_gettext('Meta'),
    'in_hand': lazy_gettext('In hand'),
    'package': lazy_gettext('Package'),
    'class_name': lazy_gettext('Class name'),
    'version': lazy_gettext('Version'),
    'enabled': lazy_gettext('Enabled'),
    'problem': lazy_gettext('Problem'),
    'extra': lazy_gettext('Extra'),
    'too_fast': lazy_gettext('Too fast'),
    'first': lazy_gettext('First'),
    'last': lazy_gettext('Last'),
    'hours': lazy_gettext('Hours'),
    'users': lazy_gettext('Users'),
    'inactive_users': lazy_gettext('Inactive users'),
    'admins': lazy_gettext('Admins'),
    'batches': lazy_gettext('Batches'),
    'open_batches': lazy_gettext('Open batches'),
    'paused_batches': lazy_gettext('Paused batches'),
    'open_tasks': lazy_gettext('Open tasks'),
    # what checks look at
    'configuration': lazy_gettext('Configuration'),
    'plugins': lazy_gettext('Plugins'),
    'files': lazy_gettext('Files'),
    'mail': lazy_gettext('Mail'),
    'database': lazy_gettext('Database'),
    'indexes': lazy_gettext('Indexes'),
    'migrations': lazy_gettext('Migrations'),
    'people': lazy_gettext('People'),
    'worker': lazy_gettext('Worker'),
    'media': lazy_gettext('Media'),
    'facts': lazy_gettext('Facts'),
    'rules': lazy_gettext('Rules'),
    'page': lazy_gettext('Page'),
    'pages': lazy_gettext('Pages'),
    'export': lazy_gettext('Export'),
    'answers_of_a_day': lazy_gettext('Answers of a day'),
    'volunteers_of_a_day': lazy_gettext('Volunteers of a day'),
    'answers_of_a_week': lazy_gettext('Answers of a week'),
    'volunteers_of_a_week': lazy_gettext('Volunteers of a week'),
    'answers_of_a_month': lazy_gettext('Answers of a month'),
    'volunteers_of_a_month': lazy_gettext('Volunteers of a month'),
}


def _for_scripts(context: click.Context, parameter: click.Parameter, is_asked_for: bool) -> bool:
    """What scripts read is English, whatever language the operator reads."""
    if is_asked_for:
        speak_english()
    return is_asked_for


json_option = click.option('--json', 'as_json', is_flag=True, callback=_for_scripts, help='Print JSON, for scripts.')


def print_json(value: Any, *, err: bool = False) -> None:
    """Print a value as one JSON document: times in ISO 8601 with their zone, amounts as numbers, ids as text."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=_plain), err=err)


def print_json_list(values: Iterable[Any]) -> None:
    """The same for many values, one a line, as they come: they need not fit into memory."""
    before = '['
    for value in values:
        click.echo(f'{before}\n{json.dumps(value, ensure_ascii=False, default=_plain)}', nl=False)
        before = ','
    click.echo('[]' if before == '[' else '\n]')


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return aware(value).isoformat()
    if isinstance(value, Decimal128):
        value = value.to_decimal()
    return float(value) if isinstance(value, Decimal) else str(value)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows below the names of their columns, each column as wide as it needs to be."""
    texts = [tuple(map(_label, columns)), *(tuple(map(to_cell, row)) for row in rows)]
    widths = [max(len(text[column]) for text in texts) for column in range(len(columns))]
    for text in texts:
        click.echo('  '.join(cell.ljust(width) for cell, width in zip(text, widths, strict=True)).rstrip())


def print_facts(facts: dict[str, Any]) -> None:
    """Print names with their values, one below the other."""
    width = max(len(_label(name)) for name in facts)
    for name, value in facts.items():
        click.echo(f'{_label(name).ljust(width)}  {to_cell(value)}'.rstrip())


def _label(name: str) -> str:
    return str(LABELS.get(name, name))


def to_cell(value: Any) -> str:
    """A value on one line: truth as a word, times to the minute in UTC, nothing as nothing."""
    if isinstance(value, bool):
        return gettext('yes') if value else gettext('no')
    if isinstance(value, datetime):
        return f'{aware(value):%Y-%m-%d %H:%M}'
    if isinstance(value, list | tuple):
        return ', '.join(map(to_cell, value))
    if isinstance(value, dict):
        return ', '.join(f'{name}: {to_cell(one)}' for name, one in value.items())
    return '' if value is None else ' '.join(str(value).split())


class Finding(NamedTuple):
    """What a check says about an area. ``state`` is ``OK``, ``WARNING`` or ``WRONG``, ``cure`` what to do, '' for nothing."""

    area: str
    state: str
    text: str
    cure: str = ''


def print_findings(findings: Iterable[Finding], *, as_json: bool) -> None:
    """Print findings as they come.

    :raises click.ClickException: something is wrong; warnings alone are none.
    """
    found = []
    for finding in findings:
        found.append(finding)
        if not as_json:
            mark = str(_MARKS[finding.state]).ljust(max(map(len, _MARKS.values())))
            click.echo(f'{mark}  {_label(finding.area).lower()}: {finding.text}')
            if finding.cure:
                click.echo(f'{" " * len(mark)}  → {finding.cure}')
    if as_json:
        print_json([finding._asdict() for finding in found])
    wrong = sum(finding.state == WRONG for finding in found)
    if wrong:
        raise click.ClickException(
            gettext('%(number)s things are wrong.', number=wrong) if wrong > 1 else gettext('One thing is wrong.')
        )


class Bar:
    """A progress bar on a terminal, with the rate and the time left; elsewhere nothing.

    :param length: how many there are; None if nobody knows.
    """

    def __init__(self, length: int | None, label: str) -> None:
        self._started = self._updated = time.monotonic()
        self._number = self._shown = 0
        self._bar = click.progressbar(
            count() if length is None else None,
            length=length,
            label=label,
            file=sys.stderr,
            item_show_func=self._rate,
            show_pos=True,
            hidden=not sys.stderr.isatty(),
        )

    def __enter__(self) -> 'Bar':
        self._bar.__enter__()
        return self

    def __exit__(self, *details: Any) -> None:
        if self._number > self._shown:
            self._bar.update(self._number - self._shown, self._number)
        self._bar.__exit__(*details)

    def advance(self, count: int = 1) -> None:
        """So many more are done."""
        self._number += count
        if time.monotonic() - self._updated >= 0.1:
            self._bar.update(self._number - self._shown, self._number)
            self._shown, self._updated = self._number, time.monotonic()

    def _rate(self, number: int | None) -> str:
        return gettext('%(number)s a second', number=f'{(number or 0) / (time.monotonic() - self._started):,.0f}')
