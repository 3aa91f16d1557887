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
from vulyk.models.audit import operator, record
from vulyk.models.user import User
from vulyk.terminal import Bar, json_option, print_json
from vulyk.texts import gettext, ngettext, told

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
            click.echo(f'{model.id}  {model.name}: {gettext("no rule (%(reason)s)", reason=told(error))}')
            continue
        facts = [condition(rule), gettext('bonus %(bonus)s', bonus=rule.bonus)]
        facts.append(gettext('%(number)s have it', number=audit.owners_of(rule.id)))
        facts += [gettext('switched off')] if model.enabled is False else []
        click.echo(f'{rule.id}  {rule.scope or gettext("all projects")}  {rule.name}: {", ".join(facts)}')
    return None


@rules_group.command('import')
@click.argument('file', type=_FILE)
@with_appcontext
def import_rules(file: Path) -> None:
    """Store the rules of FILE: a JSON list, or one JSON object after another. All of them, or none."""
    done = _or_refuse(lambda: exchange.import_rules(file))
    record(operator(), 'rules.import', file.name, after=done._asdict())
    _tell(gettext('rules'), done)


@rules_group.command('export')
@click.argument('file', type=click.File('w', encoding='utf-8', lazy=True), default='-')
@with_appcontext
def export_rules(file: Any) -> None:
    """Write all rules as JSON to FILE, or to the screen."""
    try:
        text = exchange.export_rules()
    except ExchangeError as error:
        raise click.ClickException(
            gettext('%(reason)s Correct or delete it in the admin pages.', reason=error)
        ) from error
    file.write(text)


def condition(rule: Rule) -> str:
    """The condition of a rule in a few words."""
    by_weekends = rule.is_weekend and not rule.tasks_number
    parts = [ngettext('%(num)s task', '%(num)s tasks', rule.tasks_number)] if rule.tasks_number else []
    if rule.days_number and parts:
        parts.append(ngettext('in %(num)s day', 'in %(num)s days', rule.days_number))
    elif rule.days_number and by_weekends:
        parts.append(ngettext('%(num)s weekend', '%(num)s weekends', rule.days_number))
    elif rule.days_number:
        parts.append(ngettext('%(num)s day', '%(num)s days', rule.days_number))
    if rule.tasks_number and rule.is_weekend:
        parts.append(gettext('on weekends'))
    if rule.is_adjacent:
        parts.append(gettext('in a row'))
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
        takes = gettext('takes donations') if fund.donatable else gettext('takes no donations')
        logo = gettext('with logo') if fund.logo else gettext('without logo')
        click.echo(f'{fund.id}  {fund.name}: {takes}, {logo}')
    return None


@funds_group.command('import')
@click.argument('file', type=_FILE)
@with_appcontext
def import_funds(file: Path) -> None:
    """Store the funds of FILE: JSON as for rules; "logo" names a picture beside it. All of them, or none."""
    done = _or_refuse(lambda: exchange.import_funds(file))
    record(operator(), 'funds.import', file.name, after=done._asdict())
    _tell(gettext('funds'), done)


@funds_group.command('export')
@click.argument('file', type=_TARGET)
@with_appcontext
def export_funds(file: Path) -> None:
    """Write all funds as JSON to FILE, and their pictures beside it."""
    try:
        number = exchange.export_funds(file)
    except OSError as error:
        raise click.ClickException(
            gettext('%(file)s cannot be written: %(reason)s.', file=file, reason=error.strerror)
        ) from error
    click.echo(gettext('%(number)s funds', number=number))


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
        raise click.BadParameter(gettext('There is no fund %(fund)s.', fund=repr(fund)), param_hint='--fund')
    if period is not None:
        _check_period(period)
    if reference and not mark_paid:
        raise click.UsageError(gettext('--reference belongs to --mark-paid.'))
    if mark_paid:
        if fund is None or period is None:
            raise click.UsageError(gettext('--mark-paid needs --fund and --period: each payout is one transfer.'))
        _mark_paid(fund, period, reference, as_json=as_json)
    currency = the_game().currency
    found = list(services.payouts(fund_id=fund, period=period))
    if as_json:
        facts = ('period', 'fund', 'donated', 'paid', 'owed')
        return print_json([{name: getattr(one, name) for name in facts} | {'currency': currency} for one in found])
    for one in found:
        donated, paid, owed = (f'{amount:f} {currency}' for amount in (one.donated, one.paid, one.owed))
        click.echo(
            gettext(
                '%(period)s  %(fund)s: donated %(donated)s, paid %(paid)s, owed %(owed)s',
                period=one.period,
                fund=one.fund,
                donated=donated,
                paid=paid,
                owed=owed,
            )
        )
    if not found:
        click.echo(gettext('No donations.'))
    return None


def _check_period(text: str) -> None:
    try:
        datetime.strptime(text, '%Y-%m').replace(tzinfo=UTC)
    except ValueError as error:
        raise click.BadParameter(
            gettext('%(text)s is not a month such as 2026-11.', text=repr(text)), param_hint='--period'
        ) from error
    if len(text) != len('2026-11'):
        raise click.BadParameter(
            gettext('%(text)s is not a month such as 2026-11.', text=repr(text)), param_hint='--period'
        )


def _mark_paid(fund: str, period: str, reference: str, *, as_json: bool) -> None:
    try:
        amount = services.mark_paid(fund, period, reference, datetime.now(UTC))
    except services.NothingOwedError as error:
        raise click.ClickException(
            gettext('Nothing is owed to %(fund)s for %(period)s.', fund=fund, period=period)
        ) from error
    facts = {'amount': f'{amount:f}', 'period': period, 'reference': reference}
    record(operator(), 'fund.payout', f'fund {fund}', after=facts)
    click.echo(
        gettext(
            'Recorded: %(amount)s %(currency)s paid to %(fund)s for %(period)s.',
            amount=f'{amount:f}',
            currency=the_game().currency,
            fund=fund,
            period=period,
        ),
        err=as_json,
    )


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
        raise click.BadParameter(
            gettext('There is no rule %(rule)s in force.', rule=repr(unknown[0])), param_hint='--rule'
        )
    chosen = [rules[rule_id] for rule_id in rule_ids] or list(rules.values())
    record(
        operator(), 'rules.backfill', ', '.join(usernames)[:500] or 'everybody', after={'rules': [r.id for r in chosen]}
    )
    awards = 0
    with Bar(None, gettext('Giving badges')) as bar:
        for user_id in _users(usernames) or audit.all_users():
            awards += audit.backfill(user_id, chosen)
            bar.advance()
    click.echo(gettext('%(number)s badges given', number=awards))


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
    with Bar(len(users), gettext('Comparing')) as bar:
        for user_id in users:
            problems += [
                gettext('user %(user)s: %(text)s', user=difference.user, text=difference.text)
                for difference in audit.audit(user_id)
            ]
            bar.advance()
    for problem in problems:
        click.echo(problem)
    if problems:
        raise click.ClickException(
            gettext('%(number)s differences in %(users)s users.', number=len(problems), users=len(users))
        )
    click.echo(gettext('Everything agrees (%(number)s users).', number=len(users)))


@click.command('migrate')
@click.option('--dry-run', is_flag=True, help='Say what would be done, and change nothing.')
@with_appcontext
def migrate_command(dry_run: bool) -> None:
    """Bring the game of an older version up to date: exact amounts, lasting ids of rules. It may be repeated."""
    changes = 0
    with Bar(None, gettext('Converting')) as bar:
        for text in migration.migrate(dry_run=dry_run, progress=bar.advance):
            changes += 1
            click.echo(text)
    if not changes:
        click.echo(gettext('Nothing to do.'))


COMMANDS = (rules_group, funds_group, backfill_command, audit_command, migrate_command)


def _users(names: tuple[str, ...]) -> list[ObjectId]:
    found = []
    for name in names:
        ids = list(User.objects(username=name).scalar('id'))
        if not ids:
            raise click.BadParameter(gettext('There is no user %(name)s.', name=repr(name)), param_hint='--user')
        found += ids
    return found


def _or_refuse(work: Any) -> Imported:
    try:
        done: Imported = work()
    except ExchangeError as error:
        raise click.UsageError(gettext('%(reason)s Nothing was changed.', reason=error)) from error
    return done


def _tell(what: str, done: Imported) -> None:
    click.echo(
        gettext(
            '%(what)s: %(new)s new, %(changed)s changed, %(unchanged)s unchanged',
            what=what,
            new=done.new,
            changed=done.changed,
            unchanged=done.unchanged,
        )
    )
