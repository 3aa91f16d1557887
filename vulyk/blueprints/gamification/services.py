"""What pages, the API and commands ask the game for."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any, NamedTuple

from bson import Decimal128, ObjectId
from mongoengine.errors import NotUniqueError
from pymongo.errors import DuplicateKeyError

from vulyk.blueprints.gamification import facts, history
from vulyk.blueprints.gamification.core.amounts import MAX_AMOUNT, MAX_DECIMALS, ZERO, exact, minus, plain
from vulyk.blueprints.gamification.core.rules import Rule
from vulyk.blueprints.gamification.core.state import UserState
from vulyk.blueprints.gamification.core.tally import Today, estimate, needs_of
from vulyk.blueprints.gamification.game import the_game
from vulyk.blueprints.gamification.models.donations import DonationRequest
from vulyk.blueprints.gamification.models.events import ANSWER, DONATION, OPENING, VOID, EventModel
from vulyk.blueprints.gamification.models.fields import from_text
from vulyk.blueprints.gamification.models.foundations import FundModel, PayoutModel
from vulyk.blueprints.gamification.models.rules import AwardModel, enabled_rules, rules_of_awards
from vulyk.blueprints.gamification.models.state import UserStateModel
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import AbstractTask
from vulyk.models.transaction import in_transaction
from vulyk.models.user import User
from vulyk.utils import aware
from vulyk.zones import is_same_clock, is_zone, load

log = logging.getLogger(__name__)

MAX_MOVES = 200  # changes of a volunteer's time zone that are remembered


class DonationResult(Enum):
    """What became of a donation."""

    SUCCESS = 0
    STINGY = 1
    BEGGAR = 2
    LIAR = 3
    ERROR = 666


class DonationsService:
    """Gives coins of a user to a fund.

    :param amount: how many; what is no positive number is refused.
    :param key: the same key again is the same donation again: nothing happens, and the first result is returned.
    """

    def __init__(self, user: User, fund_id: str, amount: Decimal, key: str | None = None) -> None:
        self._user_id: ObjectId = user.id
        self._fund_id = fund_id
        self._amount = amount
        self._key = key

    def donate(self) -> DonationResult:
        """Check the amount, the fund and the balance, in this order; then take the coins and record the donation.

        :returns: ``SUCCESS``; ``STINGY``: no positive amount; ``LIAR``: no fund of that id takes donations; ``BEGGAR``: there
            are fewer actual coins; ``ERROR``: anything else, nothing was donated.
        """
        try:
            return self._first_result() or self._remember(self._donate())
        except Exception:  # documented: whatever goes wrong is told as a result
            log.exception('A donation of user %s failed', self._user_id)
            return DonationResult.ERROR

    def _donate(self) -> DonationResult:
        amount = _positive(self._amount)
        if amount is None:
            return DonationResult.STINGY
        fund = FundModel.find_by_id(self._fund_id) if isinstance(self._fund_id, str) else None
        if fund is None or not fund.donatable:
            return DonationResult.LIAR
        if amount > MAX_AMOUNT:
            return DonationResult.BEGGAR
        try:
            key = str(ObjectId()) if self._key is None else f'key:{self._key}'
            facts.book_donation(self._user_id, fund.id, amount, key=key, first=self._remember_success)
        except facts.NotEnoughCoinsError:
            return DonationResult.BEGGAR
        except (DuplicateKeyError, facts.AlreadyBookedError):  # the same request was faster
            return self._first_result() or DonationResult.ERROR
        return DonationResult.SUCCESS

    def _first_result(self) -> DonationResult | None:
        if self._key is None:
            return None
        name = DonationRequest.objects(pk=self._request).scalar('result').first()
        return DonationResult[name] if name else None

    def _remember_success(self) -> None:
        if self._key is not None:
            done = {'_id': self._request, 'result': DonationResult.SUCCESS.name, 'at': datetime.now(UTC)}
            DonationRequest._get_collection().insert_one(done)

    def _remember(self, result: DonationResult) -> DonationResult:
        if self._key is None or result is DonationResult.SUCCESS:
            return result
        with suppress(NotUniqueError):
            DonationRequest(id=self._request, result=result.name).save(force_insert=True)
        return self._first_result() or result

    @property
    def _request(self) -> str:
        return DonationRequest.key_of(self._user_id, str(self._key))


def _positive(amount: Any) -> Decimal | None:
    """The amount, if it is a positive number of coins as people write it."""
    text = str(amount).strip()
    if not text.isascii() or '_' in text:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    if not number.is_finite() or number <= 0 or number.adjusted() > 40:
        return None
    number = plain(number)
    return number if -int(number.as_tuple().exponent) <= MAX_DECIMALS else None


class StatsService:
    """Numbers for templates."""

    @classmethod
    def tasks_done_by_user(cls, user: User) -> int:
        """Answers of the user that have been counted."""
        return EventModel.count_of_tasks_done_by_user(user)

    @classmethod
    def projects_count(cls, user: User) -> int:
        """Batches in which the user has answered something."""
        return sum(1 for _ in EventModel.batches_user_worked_on(user))

    @classmethod
    def total_time_for_user(cls, user: User) -> int:
        """Whole hours the user has spent on tasks."""
        return WorkSession.get_total_user_time_approximate(user.id) // 3600

    @classmethod
    def total_number_of_open_tasks(cls) -> int:
        """Tasks that are not closed, of all projects."""
        return int(AbstractTask._get_collection().count_documents({'closed': {'$ne': True}}))

    @classmethod
    def total_number_of_users(cls) -> int:
        """Active users."""
        return int(User.objects(active=True).count())

    @classmethod
    def total_money_donated(cls) -> Decimal:
        """Coins donated by everybody; exact."""
        return EventModel.amount_of_money_donated(None)

    @classmethod
    def total_money_donated_by_user(cls, user: User) -> Decimal:
        """Coins donated by one user; exact."""
        return EventModel.amount_of_money_donated(user)

    @classmethod
    def total_money_earned(cls) -> Decimal:
        """Coins earned by everybody, actual or not; exact."""
        return EventModel.amount_of_money_earned(None)

    @classmethod
    def state_of_user(cls, user: User) -> UserState | None:
        """All the user has gained; None for a visitor."""
        return UserStateModel.get_or_create_by_user(user) if isinstance(getattr(user, 'id', None), ObjectId) else None


class Standing(NamedTuple):
    """Points and level at a glance.

    ``next_points`` is where the next level begins, None at the last one. ``number`` is that of his latest fact.
    """

    points: Decimal
    level: int
    level_points: Decimal
    next_level: int | None
    next_points: Decimal | None
    number: int


def standing_of(user_id: ObjectId) -> Standing:
    """How far a user is; read with one small question, as every page shows it."""
    wanted = {'points': 1, 'level': 1, 'number': 1}
    stored = UserStateModel._get_collection().find_one({'user': user_id}, wanted) or {}
    points, level, levels = exact(stored.get('points') or 0), stored.get('level') or 0, the_game().levels
    next_level, next_points = levels.after(points) or (None, None)
    return Standing(points, level, levels.begin(level), next_level, next_points, stored.get('number') or 0)


class Badge(NamedTuple):
    """A badge on the wall: earned at a time, or still to earn, with ``done`` of ``rule.limit`` reached."""

    rule: Rule
    earned_at: datetime | None
    done: int


def wall_of(user: User, now: datetime) -> list[Badge]:
    """The badges of a user, latest first, then those still to earn, nearest first. Earned ones are shown as they were."""
    awards = [
        Badge(award.to_rule(), award.at, award.to_rule().limit)
        for award in AwardModel.objects(user=user.id).order_by('-at')
    ]
    owned = {badge.rule.id for badge in awards}
    state = UserStateModel._get_collection().find_one({'user': user.id}) or {}
    rules = enabled_rules()
    counters = history.counters_of(state)
    if counters is None or not counters.covers(needs_of(rules)):
        counters = facts.recount(user.id, state, rules)
    today = Today.of(now, history.zones_of(state))
    missing = [
        Badge(rule, None, min(estimate(rule, counters.tally(rule.scope), today), rule.limit))
        for rule in rules
        if rule.id not in owned
    ]
    return awards + sorted(missing, key=lambda badge: (-badge.done / badge.rule.limit, badge.rule.limit))


class Entry(NamedTuple):
    """A line of a user's history.

    ``kind`` is that of the fact (see :class:`~.models.events.EventModel`), ``coins`` what was gained or given, ``actual`` by
    how much the actual coins changed. ``moment`` is in the time zone it was booked in.
    """

    kind: str
    moment: datetime
    points: Decimal
    coins: Decimal
    actual: Decimal
    badges: list[Rule]
    level: int | None
    fund: str
    project: str
    batch: str


def entries_of(user: User, *, limit: int, offset: int = 0) -> list[Entry]:
    """A page of a user's history, latest first: events, coins that became actual, answers taken back."""
    told = {'user': user.id, 'kind': {'$nin': [VOID, OPENING]}}
    found = EventModel._get_collection().find(told, sort=[('timestamp', -1), ('_id', -1)], skip=offset, limit=limit)
    facts_found = list(found)
    rules = rules_of_awards(user.id, (rule_id for fact in facts_found for rule_id in fact.get('achievements') or []))
    funds = {fact['acceptorFund'] for fact in facts_found if fact.get('acceptorFund')}
    names = dict(FundModel.objects(id__in=list(funds)).scalar('id', 'name')) if funds else {}
    return [_entry(fact, rules, names) for fact in facts_found]


def _entry(fact: dict[str, Any], rules: dict[str, Rule], funds: dict[str, str]) -> Entry:
    fund = fact.get('acceptorFund')
    return Entry(
        kind=fact.get('kind') or (DONATION if fund else ANSWER),
        moment=from_text(fact['timestamp']).astimezone(load(fact.get('zone') or the_game().default_zone)),
        points=exact(fact.get('points') or 0),
        coins=exact(fact.get('coins') or 0),
        actual=exact(fact.get('actual') or 0),
        badges=[rules[rule_id] for rule_id in fact.get('achievements') or [] if rule_id in rules],
        level=fact.get('level'),
        fund=funds.get(fund, fund or ''),
        project=fact.get('taskType') or '',
        batch=fact.get('batch') or '',
    )


def set_zone(user: User, zone: str, now: datetime) -> None:
    """Note in which time zone a volunteer lives from now on; days that have passed stay what they were.

    Another name of the same zone is no move: browsers call them differently.

    :raises ValueError: there is no such zone.
    """
    if not is_zone(zone):
        raise ValueError(zone)
    UserStateModel.ensure(user.id)

    def move() -> None:
        states = UserStateModel._get_collection()
        state = states.find_one({'user': user.id}, {'zones': 1, 'counters.last': 1})
        known = state.get('zones') or []
        current = known[-1]['zone'] if known else the_game().default_zone
        if is_same_clock(zone, current) or len(known) >= MAX_MOVES:
            return
        # Not before the last answer that has been counted: the day it was counted for would be another one.
        last = (state.get('counters') or {}).get('last')
        since = now if last is None else max(now, aware(last) + timedelta(milliseconds=1))
        moved = {'$push': {'zones': {'since': since, 'zone': zone}}, '$inc': {'turn': 1}}
        states.update_one({'_id': state['_id']}, moved)

    in_transaction(move)


# --- money that is owed -------------------------------------------------------------------------------------------------


class Payout(NamedTuple):
    """What one fund is to get for one month."""

    fund: str
    name: str
    period: str
    donated: Decimal
    paid: Decimal

    @property
    def owed(self) -> Decimal:
        return minus(self.donated, self.paid)


def donations_by_fund() -> dict[str, Decimal]:
    """Coins donated to each fund, largest first."""
    rows = EventModel._get_collection().aggregate(
        [
            {'$match': {'acceptorFund': {'$exists': True}}},
            {'$group': {'_id': '$acceptorFund', 'coins': {'$sum': '$coins'}}},
            {'$sort': {'coins': 1, '_id': 1}},
        ]
    )
    return {row['_id']: minus(ZERO, exact(row['coins'])) for row in rows}


class NothingOwedError(Exception):
    """There is nothing to pay to this fund for this month."""


def payouts(*, fund_id: str | None = None, period: str | None = None) -> Iterator[Payout]:
    """Donations and payouts per fund and month (``2026-11``, UTC), oldest month first."""
    match = {'kind': {'$in': [DONATION, None]}, 'acceptorFund': {'$exists': True} if fund_id is None else fund_id}
    group = {'fund': '$acceptorFund', 'month': {'$substrBytes': ['$timestamp', 0, len('2026,11')]}}
    rows = EventModel._get_collection().aggregate(
        [{'$match': match}, {'$group': {'_id': group, 'coins': {'$sum': '$coins'}}}]
    )
    donated = {
        (row['_id']['fund'], row['_id']['month'].replace(',', '-')): minus(ZERO, exact(row['coins'])) for row in rows
    }
    paid: dict[tuple[str, str], Decimal] = {}
    for payout in PayoutModel.objects:
        key = (payout.fund, payout.period)
        paid[key] = paid.get(key, ZERO) + payout.amount
    names = dict(FundModel.objects.scalar('id', 'name'))
    for fund, month in sorted(donated, key=lambda key: (key[1], key[0])):
        if period in (None, month):
            yield Payout(fund, names.get(fund, fund), month, donated[fund, month], plain(paid.get((fund, month), ZERO)))


def mark_paid(fund_id: str, period: str, reference: str, now: datetime) -> Decimal:
    """Record that what is owed to a fund for a month has been handed over; returns the amount.

    :param reference: what finds the transfer again, such as its number.
    :raises NothingOwedError: nothing is owed, or somebody else has just recorded it.
    """
    found = next(payouts(fund_id=fund_id, period=period), None)
    if found is None or found.owed <= 0:
        raise NothingOwedError
    number = PayoutModel.objects(fund=fund_id, period=period).count() + 1
    try:
        PayoutModel._get_collection().insert_one(
            {
                '_id': f'{fund_id}:{period}:{number}',
                'fund': fund_id,
                'period': period,
                'amount': Decimal128(found.owed),
                'paidAt': now,
                'reference': reference,
            }
        )
    except DuplicateKeyError as error:
        raise NothingOwedError from error
    return found.owed
