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

from vulyk.utils import aware

OK, WARNING, WRONG = 'ok', 'warning', 'wrong'
_MARKS = {OK: 'ok     ', WARNING: 'warning', WRONG: 'WRONG  '}

json_option = click.option('--json', 'as_json', is_flag=True, help='Print JSON, for scripts.')


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
    width = max(map(len, facts))
    for name, value in facts.items():
        click.echo(f'{_label(name).ljust(width)}  {to_cell(value)}'.rstrip())


def _label(name: str) -> str:
    """``closed_tasks`` as people read it; what is capitalised already stays as it is."""
    return name if name[:1].isupper() else name.replace('_', ' ').capitalize()


def to_cell(value: Any) -> str:
    """A value on one line: truth as a word, times to the minute in UTC, nothing as nothing."""
    if isinstance(value, bool):
        return 'yes' if value else 'no'
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
            click.echo(f'{_MARKS[finding.state]}  {finding.area}: {finding.text}')
            if finding.cure:
                click.echo(f'         → {finding.cure}')
    if as_json:
        print_json([finding._asdict() for finding in found])
    wrong = sum(finding.state == WRONG for finding in found)
    if wrong:
        raise click.ClickException(f'{wrong} things are wrong.' if wrong > 1 else 'One thing is wrong.')


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
        return f'{(number or 0) / (time.monotonic() - self._started):,.0f} a second'
