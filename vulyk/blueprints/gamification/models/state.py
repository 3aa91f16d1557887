"""What users have got so far, as it is stored."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from bson import Decimal128, ObjectId
from flask_mongoengine.documents import Document
from mongoengine import (
    Decimal128Field,
    DictField,
    IntField,
    ListField,
    LongField,
    ReferenceField,
    StringField,
)
from pymongo.errors import DuplicateKeyError

from vulyk.blueprints.gamification.core.amounts import ZERO, exact, minus, plain
from vulyk.blueprints.gamification.core.state import UserState
from vulyk.blueprints.gamification.core.zones import FIRST_YEAR
from vulyk.blueprints.gamification.models.events import EventModel
from vulyk.blueprints.gamification.models.fields import MomentField, to_text
from vulyk.blueprints.gamification.models.rules import AwardModel, RuleModel, rules_of_awards
from vulyk.models.user import User

AMOUNTS = {'points': 'points', 'actual_coins': 'actualCoins', 'potential_coins': 'potentialCoins'}


class StateSortingKeys(Enum):
    """What the best are found by."""

    POINTS = 0
    ACTUAL_COINS = 1
    POTENTIAL_COINS = 2
    LEVEL = 3


class UserStateModel(Document):
    """All that one user has gained; at most one per user.

    It is the sum of his facts up to that with its ``number``; one after it is about to be added (see :mod:`..facts`).
    ``turn`` changes with everything that is computed from what was there. ``counters`` (see :mod:`..core.tally`) tell which
    rules may have been reached, ``zones`` are the time zones he has lived in, as ``{since, zone}``. ``kept`` are the tasks
    whose coins he has although he took the answer back, so that they are not given again.
    """

    user = ReferenceField(User, required=True)
    level = IntField(min_value=0, default=0)
    points = Decimal128Field(default=ZERO)
    actual_coins = Decimal128Field(default=ZERO, db_field='actualCoins')
    potential_coins = Decimal128Field(default=ZERO, db_field='potentialCoins')
    achievements = ListField(ReferenceField(RuleModel))
    last_changed = MomentField(default=lambda: datetime.now(UTC), db_field='lastChanged')
    zones = ListField(DictField())
    counters = DictField()
    number = LongField(default=0)
    turn = LongField(default=0)
    kept = ListField(StringField())

    meta = {
        'collection': 'gamification.userState',
        'allow_inheritance': True,
        'auto_create_index': False,
        'index_cls': False,
        'strict': False,
        'indexes': [
            {'fields': ['user'], 'unique': True, 'cls': False},
            {'fields': ['last_changed'], 'cls': False},
            {'fields': ['-points'], 'cls': False},
        ],
    }

    @classmethod
    def get_or_create_by_user(cls, user: User) -> UserState:
        """The state of a user; a new one if there is none yet."""
        cls.ensure(user.id)
        return cls.objects(user=user.id).no_dereference().exclude('counters').first().to_state(user)

    @classmethod
    def ensure(cls, user_id: ObjectId) -> None:
        """Make the state of a user unless there is one. Not for use inside a transaction."""
        collection = cls._get_collection()
        if collection.find_one({'user': user_id}, {'_id': 1}) is not None:
            return
        # If an older one was deleted by hand, the numbers of its facts are taken, and nobody gets a badge twice.
        badges = AwardModel._get_collection().distinct('rule', {'user': user_id})
        empty = {'_cls': cls._class_name, 'achievements': badges, 'number': EventModel.last_number(user_id), 'level': 0}
        empty |= {field: Decimal128('0') for field in AMOUNTS.values()}
        empty |= {'lastChanged': to_text(datetime.now(UTC)), 'turn': 0}
        zone = User.objects(pk=user_id).scalar('time_zone').first()
        if zone:  # told before the game knew of this user
            empty |= {'zones': [{'since': datetime(FIRST_YEAR, 1, 1, tzinfo=UTC), 'zone': zone}]}
        try:
            collection.update_one({'user': user_id}, {'$setOnInsert': empty}, upsert=True)
        except DuplicateKeyError:  # somebody was faster
            return

    @classmethod
    def get_top_users(cls, limit: int, sort_by: StateSortingKeys) -> Iterator[UserState]:
        """The states of the best, best first; of equals the one who got there first."""
        field = sort_by.name.lower()
        best = cls.objects.order_by(f'-{field}', 'last_changed').limit(limit).no_dereference().exclude('counters')
        models = list(best)
        users = User.objects.in_bulk([model._user_id for model in models])
        return (model.to_state(users[model._user_id]) for model in models if model._user_id in users)

    @classmethod
    def from_state(cls, state: UserState) -> 'UserStateModel':
        """A document of a state, not saved yet."""
        return cls(
            user=state.user,
            level=state.level,
            points=state.points,
            actual_coins=state.actual_coins,
            potential_coins=state.potential_coins,
            achievements=[RuleModel.from_rule(rule) for rule in state.achievements],
            last_changed=state.last_changed,
        )

    def to_state(self, user: User | None = None) -> UserState:
        """The state of this document.

        :param user: whose it is, if that is known already.
        """
        owned = rules_of_awards(self._user_id, self._rule_ids)
        return UserState(
            user=user or User.objects(pk=self._user_id).first(),
            level=self.level or 0,
            points=plain(self.points or ZERO),
            actual_coins=plain(self.actual_coins or ZERO),
            potential_coins=plain(self.potential_coins or ZERO),
            achievements=list(owned.values()),
            last_changed=self.last_changed,
        )

    @classmethod
    def update_state(cls, diff: UserState) -> None:
        """Add what a state says to the stored one of its user, atomically.

        Amounts and badges are added, level and time replace what was there. The game itself books events, which is how the
        state stays their sum; this is for code that keeps events of its own.
        """
        cls.ensure(diff.user.id)
        changes: dict[str, Any] = {
            '$inc': {stored: Decimal128(getattr(diff, name) or ZERO) for name, stored in AMOUNTS.items()},
            '$set': {'lastChanged': to_text(diff.last_changed or datetime.now(UTC))},
        }
        if diff.level:
            changes['$set']['level'] = diff.level
        if diff.achievements:
            changes['$addToSet'] = {'achievements': {'$each': [rule.id for rule in diff.achievements]}}
        cls._get_collection().update_one({'user': diff.user.id}, changes)

    @classmethod
    def transfer_coins_to_actual(cls, uid: ObjectId, amount: Decimal) -> bool:
        """Make potential coins actual, if there are as many. Returns whether it was done."""
        coins = exact(amount)
        done = cls._get_collection().update_one(
            {'user': uid, 'potentialCoins': {'$gte': Decimal128(coins)}},
            {'$inc': {'potentialCoins': Decimal128(minus(ZERO, coins)), 'actualCoins': Decimal128(coins)}},
        )
        return bool(done.modified_count)

    @classmethod
    def withdraw(cls, user: User, amount: Decimal) -> bool:
        """Take actual coins away, if there are as many. Returns whether it was done.

        :raises RuntimeError: the amount is not positive.
        """
        coins = exact(amount)
        if coins <= 0:
            raise RuntimeError(f'Only a positive amount can be withdrawn, not {amount}.')
        done = cls._get_collection().update_one(
            {'user': user.id, 'actualCoins': {'$gte': Decimal128(coins)}},
            {
                '$inc': {'actualCoins': Decimal128(minus(ZERO, coins))},
                '$set': {'lastChanged': to_text(datetime.now(UTC))},
            },
        )
        return bool(done.modified_count)

    @property
    def _user_id(self) -> ObjectId:
        return getattr(self._data['user'], 'id', self._data['user'])

    @property
    def _rule_ids(self) -> list[str]:
        return [getattr(rule, 'id', rule) for rule in self._data['achievements']]
