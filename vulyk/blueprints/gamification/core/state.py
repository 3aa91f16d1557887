"""What a user has got so far."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from vulyk.blueprints.gamification.core.amounts import plain

if TYPE_CHECKING:
    from vulyk.blueprints.gamification.core.rules import Rule
    from vulyk.models.user import User


class UserState:
    """All that a user has gained.

    :param actual_coins: those that can be donated.
    :param potential_coins: those that become actual when their batches close.
    :param achievements: the rules of his badges.
    """

    def __init__(
        self,
        user: 'User',
        level: int,
        points: Decimal,
        actual_coins: Decimal,
        potential_coins: Decimal,
        achievements: 'Sequence[Rule]',
        last_changed: datetime,
    ) -> None:
        self.user = user
        self.level = level
        self.points = points
        self.actual_coins = actual_coins
        self.potential_coins = potential_coins
        self.achievements = list(achievements)
        self.last_changed = last_changed

    def to_dict(self) -> dict[str, Any]:
        """What others see of a state: a source for JSON. Amounts are exact decimals, the time is ISO 8601 with its zone."""
        return {
            'user': public_name(self.user),
            'level': self.level,
            'points': plain(self.points),
            'actual_coins': plain(self.actual_coins),
            'potential_coins': plain(self.potential_coins),
            'achievements': [rule.to_dict() for rule in self.achievements],
            'last_changed': iso(self.last_changed),
        }


def public_name(user: Any) -> str:
    """The name of a user as others may see it: old accounts have an e-mail address for a name."""
    return str(getattr(user, 'username', '') or '').partition('@')[0]


def iso(moment: datetime) -> str:
    """ISO 8601 with a zone; a moment without one means UTC."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
