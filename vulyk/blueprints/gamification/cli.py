"""The commands of the game: ``manage.py gamification …``."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from bson import ObjectId
from flask.cli import with_appcontext

from vulyk.blueprints.gamification import audit, exchange, migration, services
from vulyk.blueprints.gamification.core.rules import Rule, RuleValidationException
from vulyk.blueprints.gamification.exchange import ExchangeError, Imported
from vulyk.blueprints.gamification.game import the_game
from vulyk.blueprints.gamification.models.foundations import FundModel
from vulyk.blueprints.gamification.models.rules import RuleModel, enabled_rules
from vulyk.models.user import User
from vulyk.terminal import Bar, json_option, print_json

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_TARGET = click.Path(dir_okay=False, writable=True, path_type=Path)


# --- rules --------------------------------------------------------------------------------------------------------------


@click.group('rules')
def rules_group() -> None:
    """Rules: what has to be done for a badge."""


@rules_group.command('list')
@json_option
@with_appcontext
def list_rules(as_json: bool) -> None:
    """List the rules: id, project, name, condition, bonus, and how many have the badge."""
    if as_json:
        rules = RuleModel.objects.order_by('task_type_name', 'name')
        facts = ('id', 'task_type_name', 'name', 'description', 'bonus', 'enabled')
        return print_json(
            [{name: getattr(rule, name) for name in facts} | {'owners': audit.owners_of(rule.id)} for rule in rules]
        )
    for model in RuleModel.objects.order_by('task_type_name', 'name'):
        try:
            rule = model.to_rule()
        except RuleValidationException as error:  # stored by an older version, which did not look
            click.echo(f'{model.id}  {model.name}: no rule ({error})')
            continue
        state = '' if model.enabled is not False else ' (switched off)'
        owners = audit.owners_of(rule.id)
        where = rule.scope or 'all projects'
        click.echo(f'{rule.id}  {where}  {rule.name}: {condition(rule)}, bonus {rule.bonus}, {owners} have it{state}')
    return None


@rules_group.command('import')
@click.argument('file', type=_FILE)
@with_appcontext
def import_rules(file: Path) -> None:
    """Store the rules of FILE: a JSON list, or one JSON object after another. All of them, or none."""
    _tell('rules', _or_refuse(lambda: exchange.import_rules(file)))


@rules_group.command('export')
@click.argument('file', type=click.File('w', encoding='utf-8', lazy=True), default='-')
@with_appcontext
def export_rules(file: Any) -> None:
    """Write all rules as JSON to FILE, or to the screen."""
    try:
        text = exchange.export_rules()
    except ExchangeError as error:
        raise click.ClickException(f'{error} Correct or delete it in the admin pages.') from error
    file.write(text)


def condition(rule: Rule) -> str:
    """The condition of a rule in a few words."""
    days = 'weekends' if rule.is_weekend and not rule.tasks_number else 'days'
    parts = [f'{rule.tasks_number} tasks'] if rule.tasks_number else []
    if rule.days_number:
        parts.append(f'in {rule.days_number} {days}' if parts else f'{rule.days_number} {days}')
    if rule.tasks_number and rule.is_weekend:
        parts.append('on weekends')
    if rule.is_adjacent:
        parts.append('in a row')
    return ' '.join([*parts, *(['(calendar)'] if rule.semantics != 'vulyk' else [])])


# --- funds --------------------------------------------------------------------------------------------------------------


@click.group('funds')
def funds_group() -> None:
    """Funds, and the money they are owed."""


@funds_group.command('list')
@json_option
@with_appcontext
def list_funds(as_json: bool) -> None:
    """List the funds."""
    if as_json:
        facts = ('id', 'name', 'description', 'site', 'email', 'donatable')
        return print_json([{name: getattr(fund, name) for name in facts} for fund in FundModel.get_funds()])
    for fund in FundModel.get_funds():
        takes = 'takes donations' if fund.donatable else 'takes no donations'
        click.echo(f'{fund.id}  {fund.name}: {takes}, {"with" if fund.logo else "without"} logo')
    return None


@funds_group.command('import')
@click.argument('file', type=_FILE)
@with_appcontext
def import_funds(file: Path) -> None:
    """Store the funds of FILE: JSON as for rules; "logo" names a picture beside it. All of them, or none."""
    _tell('funds', _or_refuse(lambda: exchange.import_funds(file)))


@funds_group.command('export')
@click.argument('file', type=_TARGET)
@with_appcontext
def export_funds(file: Path) -> None:
    """Write all funds as JSON to FILE, and their pictures beside it."""
    try:
        number = exchange.export_funds(file)
    except OSError as error:
        raise click.ClickException(f'{file} cannot be written: {error.strerror}.') from error
    click.echo(f'{number} funds')


@funds_group.command('payouts')
@click.option('--fund', help='Only this fund.')
@click.option('--period', metavar='YYYY-MM', help='Only donations of this month (UTC).')
@click.option('--mark-paid', is_flag=True, help='Record that what is owed has been paid; needs --fund and --period.')
@click.option('--reference', default='', help='With --mark-paid: what finds the transfer again, such as its number.')
@json_option
@with_appcontext
def payouts_command(fund: str | None, period: str | None, mark_paid: bool, reference: str, as_json: bool) -> None:
    """Print what was donated to each fund in each month, what has been paid, and what is still owed."""
    if fund is not None and FundModel.find_by_id(fund) is None:
        raise click.BadParameter(f'There is no fund {fund!r}.', param_hint='--fund')
    if period is not None:
        _check_period(period)
    if reference and not mark_paid:
        raise click.UsageError('--reference belongs to --mark-paid.')
    if mark_paid:
        if fund is None or period is None:
            raise click.UsageError('--mark-paid needs --fund and --period: each payout is one transfer.')
        _mark_paid(fund, period, reference, as_json=as_json)
    currency = the_game().currency
    found = list(services.payouts(fund_id=fund, period=period))
    if as_json:
        facts = ('period', 'fund', 'donated', 'paid', 'owed')
        return print_json([{name: getattr(one, name) for name in facts} | {'currency': currency} for one in found])
    for one in found:
        donated, paid, owed = (f'{amount:f} {currency}' for amount in (one.donated, one.paid, one.owed))
        click.echo(f'{one.period}  {one.fund}: donated {donated}, paid {paid}, owed {owed}')
    if not found:
        click.echo('No donations.')
    return None


def _check_period(text: str) -> None:
    try:
        datetime.strptime(text, '%Y-%m').replace(tzinfo=UTC)
    except ValueError as error:
        raise click.BadParameter(f'{text!r} is not a month such as 2026-11.', param_hint='--period') from error
    if len(text) != len('2026-11'):
        raise click.BadParameter(f'{text!r} is not a month such as 2026-11.', param_hint='--period')


def _mark_paid(fund: str, period: str, reference: str, *, as_json: bool) -> None:
    try:
        amount = services.mark_paid(fund, period, reference, datetime.now(UTC))
    except services.NothingOwedError as error:
        raise click.ClickException(f'Nothing is owed to {fund} for {period}.') from error
    click.echo(f'Recorded: {amount:f} {the_game().currency} paid to {fund} for {period}.', err=as_json)


# --- the past -----------------------------------------------------------------------------------------------------------


@click.command('backfill')
@click.option('--rule', 'rule_ids', multiple=True, metavar='ID', help='Only this rule; repeatable.')
@click.option('--user', 'usernames', multiple=True, metavar='NAME', help='Only this user; repeatable.')
@with_appcontext
def backfill_command(rule_ids: tuple[str, ...], usernames: tuple[str, ...]) -> None:
    """Give badges for the past, as if the rules had always been there. Doing it again changes nothing."""
    rules = {rule.id: rule for rule in enabled_rules()}
    unknown = [rule_id for rule_id in rule_ids if rule_id not in rules]
    if unknown:
        raise click.BadParameter(f'There is no rule {unknown[0]!r} in force.', param_hint='--rule')
    chosen = [rules[rule_id] for rule_id in rule_ids] or list(rules.values())
    awards = 0
    with Bar(None, 'Giving badges') as bar:
        for user_id in _users(usernames) or audit.all_users():
            awards += audit.backfill(user_id, chosen)
            bar.advance()
    click.echo(f'{awards} badges given')


@click.command('audit')
@click.option('--sample', default=100, show_default=True, type=click.IntRange(1), help='How many users to look at.')
@click.option('--all', 'everybody', is_flag=True, help='Look at all of them.')
@click.option('--user', 'usernames', multiple=True, metavar='NAME', help='Only this user; repeatable.')
@with_appcontext
def audit_command(sample: int, everybody: bool, usernames: tuple[str, ...]) -> None:
    """Compare states and counters with events, work sessions and rules; exit code 1 if something differs."""
    problems = list(audit.audit_rules())
    chosen: Iterable[ObjectId] = audit.all_users() if everybody else audit.sample_users(sample)
    users = _users(usernames) or list(chosen)
    with Bar(len(users), 'Comparing') as bar:
        for user_id in users:
            problems += [f'user {difference.user}: {difference.text}' for difference in audit.audit(user_id)]
            bar.advance()
    for problem in problems:
        click.echo(problem)
    if problems:
        raise click.ClickException(f'{len(problems)} differences in {len(users)} users.')
    click.echo(f'Everything agrees ({len(users)} users).')


@click.command('migrate')
@click.option('--dry-run', is_flag=True, help='Say what would be done, and change nothing.')
@with_appcontext
def migrate_command(dry_run: bool) -> None:
    """Bring the game of an older version up to date: exact amounts, lasting ids of rules. It may be repeated."""
    changes = 0
    with Bar(None, 'Converting') as bar:
        for text in migration.migrate(dry_run=dry_run, progress=bar.advance):
            changes += 1
            click.echo(text)
    if not changes:
        click.echo('Nothing to do.')


COMMANDS = (rules_group, funds_group, backfill_command, audit_command, migrate_command)


def _users(names: tuple[str, ...]) -> list[ObjectId]:
    found = []
    for name in names:
        ids = list(User.objects(username=name).scalar('id'))
        if not ids:
            raise click.BadParameter(f'There is no user {name!r}.', param_hint='--user')
        found += ids
    return found


def _or_refuse(work: Any) -> Imported:
    try:
        done: Imported = work()
    except ExchangeError as error:
        raise click.UsageError(f'{error} Nothing was changed.') from error
    return done


def _tell(what: str, done: Imported) -> None:
    click.echo(f'{what}: {done.new} new, {done.changed} changed, {done.unchanged} unchanged')
