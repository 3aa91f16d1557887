"""What happened to a user, as he is told.

An answer gives points and coins, sometimes badges and a new level. A donation has a fund and a negative amount of coins, and
nothing else.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from vulyk.blueprints.gamification.core.amounts import ZERO, plain
from vulyk.blueprints.gamification.core.state import iso, public_name

if TYPE_CHECKING:
    from vulyk.blueprints.gamification.core.foundations import Fund
    from vulyk.blueprints.gamification.core.rules import Rule
    from vulyk.models.tasks import AbstractAnswer
    from vulyk.models.user import User


class InvalidEventException(Exception):
    """Such an event cannot happen; the text says why.

    .. versionchanged:: 1.0
        An ordinary ``Exception``: as a ``BaseException`` it passed by every error page.
    """


class Event:
    """Something that happened to a user.

    :param answer: the answer it is about, if there is one.
    :param coins: negative in donations.
    :param achievements: the rules whose badges were given.
    :param acceptor_fund: who got a donation.
    :param level_given: the new level, if it has risen.
    :param viewed: whether the user has seen it.
    :raises InvalidEventException: an impossible combination.
    """

    def __init__(
        self,
        timestamp: datetime,
        user: 'User',
        answer: 'AbstractAnswer | None',
        points_given: Decimal,
        coins: Decimal,
        achievements: 'Sequence[Rule]',
        acceptor_fund: 'Fund | None',
        level_given: int | None,
        viewed: bool,
    ) -> None:
        self.timestamp = timestamp
        self.user = user
        self.answer = answer
        self.points_given = points_given
        self.coins = coins
        self.achievements = list(achievements)
        self.acceptor_fund = acceptor_fund
        self.level_given = level_given
        self.viewed = viewed
        self._validate()

    def _validate(self) -> None:
        if not self.user:
            raise InvalidEventException('An event happens to somebody.')
        if self.acceptor_fund is not None:
            self._validate_donation()
        else:
            self._validate_gain()

    def _validate_donation(self) -> None:
        if not self.coins < 0:
            raise InvalidEventException('A donation takes coins away.')
        if self.points_given or self.achievements or self.level_given is not None or self.answer is not None:
            raise InvalidEventException('A donation gives no points, badges or level, and belongs to no answer.')
        if not self.viewed:
            raise InvalidEventException('Whoever donates knows of it already.')

    def _validate_gain(self) -> None:
        if self.coins < 0 or self.points_given < 0:
            raise InvalidEventException('Without a fund nothing is taken away.')
        if not (self.points_given or self.coins or self.achievements):
            raise InvalidEventException('An event gives something.')
        if self.level_given is not None and self.level_given <= 0:
            raise InvalidEventException('Levels are counted from 1.')
        if self.answer is None and not (self.coins or self.achievements):
            raise InvalidEventException('Points come for an answer, with coins or with a badge.')

    @classmethod
    def build(
        cls,
        timestamp: datetime,
        user: 'User',
        answer: 'AbstractAnswer | None',
        points_given: Decimal,
        coins: Decimal,
        achievements: 'Sequence[Rule]',
        acceptor_fund: 'Fund | None',
        level_given: int | None,
        viewed: bool,
    ) -> 'Event':
        """An event of the class its content asks for.

        :raises InvalidEventException: an impossible combination.
        """
        # Checked on the whole, because the classes below have no place for what does not belong into them.
        Event(timestamp, user, answer, points_given, coins, achievements, acceptor_fund, level_given, viewed)
        if acceptor_fund is not None:
            return DonateEvent(timestamp, user, coins, acceptor_fund)
        if achievements and level_given is not None:
            return AchievementsLevelEvent(
                timestamp, user, answer, points_given, coins, achievements, level_given, viewed
            )
        if achievements:
            return AchievementsEvent(timestamp, user, answer, points_given, coins, achievements, viewed)
        if level_given is not None:
            return LevelEvent(timestamp, user, answer, points_given, coins, level_given, viewed)
        return NoAchievementsEvent(timestamp, user, answer, points_given, coins, viewed)

    def to_dict(self, ignore_answer: bool = False) -> dict[str, Any]:
        """What others see of an event: a source for JSON. Amounts are exact decimals, the time is ISO 8601 with its zone.

        :param ignore_answer: leave the key ``answer`` out.
        """
        facts = {
            'timestamp': iso(self.timestamp),
            'user': public_name(self.user),
            'points_given': plain(self.points_given),
            'coins': plain(self.coins),
            'achievements': [rule.to_dict() for rule in self.achievements],
            'acceptor_fund': self.acceptor_fund.to_dict() if self.acceptor_fund else None,
            'level_given': self.level_given,
            'viewed': self.viewed,
        }
        if not ignore_answer:
            facts['answer'] = self.answer.as_dict() if self.answer is not None else None
        return facts


class NoAchievementsEvent(Event):
    """An answer, and nothing more."""

    def __init__(
        self,
        timestamp: datetime,
        user: 'User',
        answer: 'AbstractAnswer | None',
        points_given: Decimal,
        coins: Decimal,
        viewed: bool,
    ) -> None:
        super().__init__(timestamp, user, answer, points_given, coins, [], None, None, viewed)


class AchievementsEvent(Event):
    """An answer that brought badges."""

    def __init__(
        self,
        timestamp: datetime,
        user: 'User',
        answer: 'AbstractAnswer | None',
        points_given: Decimal,
        coins: Decimal,
        achievements: 'Sequence[Rule]',
        viewed: bool,
    ) -> None:
        super().__init__(timestamp, user, answer, points_given, coins, achievements, None, None, viewed)


class AchievementsLevelEvent(Event):
    """An answer that brought badges and a new level."""

    def __init__(
        self,
        timestamp: datetime,
        user: 'User',
        answer: 'AbstractAnswer | None',
        points_given: Decimal,
        coins: Decimal,
        achievements: 'Sequence[Rule]',
        level_given: int | None,
        viewed: bool,
    ) -> None:
        super().__init__(timestamp, user, answer, points_given, coins, achievements, None, level_given, viewed)


class LevelEvent(Event):
    """An answer that brought a new level."""

    def __init__(
        self,
        timestamp: datetime,
        user: 'User',
        answer: 'AbstractAnswer | None',
        points_given: Decimal,
        coins: Decimal,
        level_given: int | None,
        viewed: bool,
    ) -> None:
        super().__init__(timestamp, user, answer, points_given, coins, [], None, level_given, viewed)


class DonateEvent(Event):
    """A donation; whoever makes it has seen it."""

    def __init__(self, timestamp: datetime, user: 'User', coins: Decimal, acceptor_fund: 'Fund') -> None:
        super().__init__(timestamp, user, None, ZERO, coins, [], acceptor_fund, None, True)
