"""Facts, and the events among them that users are shown."""

from collections.abc import Generator, Iterable, Iterator
from decimal import Decimal
from typing import Any

from bson import ObjectId
from flask_mongoengine.documents import Document
from mongoengine import (
    BooleanField,
    DateTimeField,
    Decimal128Field,
    DictField,
    IntField,
    ListField,
    LongField,
    ObjectIdField,
    ReferenceField,
    StringField,
)

from vulyk.blueprints.gamification.core.amounts import ZERO, exact, minus
from vulyk.blueprints.gamification.core.events import Event, InvalidEventException
from vulyk.blueprints.gamification.models.fields import MomentField
from vulyk.blueprints.gamification.models.foundations import FundModel
from vulyk.blueprints.gamification.models.rules import RuleModel, rules_of_awards
from vulyk.models.tasks import AbstractAnswer, Batch
from vulyk.models.user import User

ANSWER, AWARD, DONATION = 'answer', 'award', 'donation'
BATCH, REVERSAL, VOID, OPENING = 'batch', 'reversal', 'void', 'opening'
SHOWN = (ANSWER, AWARD, DONATION)
_SHOWN = {'kind': {'$in': [*SHOWN, None]}}  # events stored from outside say nothing of their kind


class EventModel(Document):
    """A fact: something that happened to one user, once. What others call an event is the part of it that he is shown.

    ``source`` names what it comes from and is unique: a fact that is told again is not counted again. ``kind``:

    * ``answer``: an answer of a gamified task type was stored (``answer:<id>:done``)
    * ``batch``: his coins of a batch have become actual (``batch:<id>:closed:<n>:<user>``)
    * ``donation`` (``donation:<user>:<key>``)
    * ``award``: a badge that was found later (``award:<user>:<rule>``)
    * ``reversal``: he took an answer back (``answer:<id>:withdrawn``); ``reverses`` is the fact it undoes
    * ``opening``: what he had before facts were kept this exactly (``opening:<user>:<n>``)
    * ``void``: an answer that was taken back before it was counted, so that it never will be (``answer:<id>:done``)

    ``coins`` is what he gained or gave, ``actual`` by how much his actual coins changed: the rest are potential ones.
    ``bonus`` is the part of ``points`` that belongs to badges. ``timestamp`` is the answer's own time; with ``zone`` and
    ``local_date`` it tells the period everything is counted in, also by what undoes it. ``number`` counts the facts of a
    user in the order in which they were stored; no two have the same. ``awards`` are the badges it brought, as they are kept.
    """

    timestamp = MomentField(required=True)
    user = ReferenceField(User, required=True)
    answer = ReferenceField(AbstractAnswer)
    points_given = Decimal128Field(default=ZERO, db_field='points')
    coins = Decimal128Field(default=ZERO)
    achievements = ListField(ReferenceField(RuleModel))
    acceptor_fund = ReferenceField(FundModel, db_field='acceptorFund')
    level_given = IntField(min_value=1, db_field='level')
    viewed = BooleanField(default=False)

    kind = StringField(choices=(*SHOWN, BATCH, REVERSAL, VOID, OPENING))
    source = StringField()
    actual = Decimal128Field()
    bonus = Decimal128Field()
    task = StringField()
    task_type = StringField(db_field='taskType')
    batch = StringField()
    seconds = LongField()
    zone = StringField()
    local_date = StringField(db_field='localDate')
    reverses = ObjectIdField()
    reversed = BooleanField()
    number = LongField()
    awards = ListField(DictField(), default=None)
    news = BooleanField()
    booked_at = DateTimeField(db_field='bookedAt')

    meta = {
        'collection': 'gamification.events',
        'allow_inheritance': True,
        'auto_create_index': False,
        'index_cls': False,
        'strict': False,
        'indexes': [
            {'fields': ['answer'], 'unique': True, 'sparse': True, 'cls': False},
            {
                'fields': ['source'],
                'unique': True,
                'cls': False,
                'partialFilterExpression': {'source': {'$type': 'string'}},
            },
            {'fields': ['user', 'timestamp'], 'cls': False},
            {
                'fields': ['user', 'number'],
                'unique': True,
                'cls': False,
                'partialFilterExpression': {'number': {'$gte': 0}},
            },
            {'fields': ['batch', 'user'], 'cls': False, 'partialFilterExpression': {'batch': {'$type': 'string'}}},
            {
                'fields': ['acceptor_fund', 'timestamp'],
                'cls': False,
                'partialFilterExpression': {'acceptorFund': {'$exists': True}},
            },
            {'fields': ['timestamp'], 'cls': False},
            # Short lists, however long a user has worked: what is new to him.
            {'fields': ['user', 'viewed', 'timestamp'], 'cls': False, 'partialFilterExpression': {'viewed': False}},
            {'fields': ['user', 'news', 'timestamp'], 'cls': False, 'partialFilterExpression': {'news': True}},
        ],
    }

    @classmethod
    def last_number(cls, user_id: ObjectId) -> int:
        """The number of the latest fact of a user; 0 if there is none."""
        last = cls._get_collection().find_one({'user': user_id, 'number': {'$gte': 0}}, sort=[('number', -1)])
        return last['number'] if last else 0

    @classmethod
    def from_event(cls, event: Event) -> 'EventModel':
        """A document of an event, not saved yet."""
        return cls(
            timestamp=event.timestamp,
            user=event.user,
            answer=event.answer,
            points_given=event.points_given,
            coins=event.coins,
            achievements=[RuleModel.from_rule(rule) for rule in event.achievements],
            acceptor_fund=FundModel.objects(pk=event.acceptor_fund.id).first() if event.acceptor_fund else None,
            level_given=event.level_given,
            viewed=event.viewed,
        )

    def to_event(self) -> Event:
        """The event of this document.

        :raises InvalidEventException: it is a fact that is no event, such as coins that have become actual.
        """
        user_id = _pk(self._data['user'])
        rules = rules_of_awards(user_id, self._rule_ids)
        fund_id = _pk(self._data['acceptor_fund'])
        return self._event(
            user=User.objects(pk=user_id).first(),
            answer=AbstractAnswer.objects(pk=_pk(self._data['answer'])).first() if self._data['answer'] else None,
            rules=rules,
            funds={fund_id: FundModel.find_by_id(fund_id)} if fund_id else {},
        )

    def _event(self, *, user: User, answer: Any, rules: dict[str, Any], funds: dict[str, Any]) -> Event:
        return Event.build(
            timestamp=self.timestamp,
            user=user,
            answer=answer,
            points_given=self.points_given or ZERO,
            coins=self.coins or ZERO,
            achievements=[rules[rule_id] for rule_id in self._rule_ids if rule_id in rules],
            acceptor_fund=funds.get(_pk(self._data['acceptor_fund'])),
            level_given=self.level_given,
            viewed=bool(self.viewed),
        )

    @property
    def _rule_ids(self) -> list[str]:
        return [_pk(rule) for rule in self._data['achievements']]

    # --- what a user is shown -----------------------------------------------------------------------------------------

    @classmethod
    def get_all_events(cls, user: User) -> Iterator[Event]:
        """The events of a user, oldest first; ``answer`` of each is a bare reference."""
        return cls._events_of(user, cls.objects(user=user.id))

    @classmethod
    def get_unread_events(cls, user: User) -> Generator[Event, None, None]:
        """Those of them that he has not seen yet."""
        return cls._events_of(user, cls.objects(user=user.id, viewed=False))

    @classmethod
    def get_news(cls, user: User) -> list[Event]:
        """Those that bring a badge or a level and have not been seen, oldest first."""
        return list(cls._events_of(user, cls.objects(user=user.id, news=True)))

    @classmethod
    def _events_of(cls, user: User, facts: Any) -> Generator[Event, None, None]:
        shown = facts.filter(__raw__=_SHOWN).order_by('timestamp', 'id').no_dereference()
        return cls._build(user, shown)

    @classmethod
    def _build(cls, user: User, facts: Iterable['EventModel']) -> Generator[Event, None, None]:
        """Events of facts of one user, with as few questions to the database as there are kinds of things in them."""
        models = list(facts)
        rules = rules_of_awards(user.id, (rule_id for model in models for rule_id in model._rule_ids))
        fund_ids = {_pk(model._data['acceptor_fund']) for model in models} - {None}
        funds = {fund_id: model.to_fund() for fund_id, model in FundModel.objects.in_bulk(list(fund_ids)).items()}
        for model in models:
            try:
                yield model._event(user=user, answer=model._data['answer'], rules=rules, funds=funds)
            except InvalidEventException:  # an answer that is worth nothing, or whose badge is gone
                continue

    @classmethod
    def mark_events_as_read(cls, user: User, until: int | None = None) -> None:
        """Mark events of the user as seen.

        :param until: number of the last fact he has been told of; None: all.
        """
        unseen: dict[str, Any] = {'user': user.id, 'viewed': False}
        if until is not None:
            unseen['number'] = {'$not': {'$gt': until}}
        cls._get_collection().update_many(unseen, {'$set': {'viewed': True}, '$unset': {'news': ''}})

    # --- sums ---------------------------------------------------------------------------------------------------------

    @classmethod
    def amount_of_money_donated(cls, user: User | None) -> Decimal:
        """Coins donated by a user, or by all; exact.

        .. versionchanged:: 1.0
            A ``Decimal``.
        """
        return minus(ZERO, cls._sum_of_coins(user, {'acceptorFund': {'$exists': True}}))

    @classmethod
    def amount_of_money_earned(cls, user: User | None) -> Decimal:
        """Coins earned by a user, or by all, actual or not; what was taken back with an answer does not count. Exact.

        .. versionchanged:: 1.0
            A ``Decimal``.
        """
        return cls._sum_of_coins(user, {'acceptorFund': {'$exists': False}})

    @classmethod
    def _sum_of_coins(cls, user: User | None, condition: dict[str, Any]) -> Decimal:
        match = {**condition, **({'user': user.id} if user is not None else {})}
        stages = [{'$match': match}, {'$group': {'_id': None, 'coins': {'$sum': '$coins'}}}]
        row = next(iter(cls._get_collection().aggregate(stages)), {'coins': 0})
        return exact(row['coins'])

    @classmethod
    def count_of_tasks_done_by_user(cls, user: User) -> int:
        """How many answers of the user have been counted; those taken back are not."""
        counted = {'user': user.id, 'answer': {'$exists': True}, 'reversed': {'$ne': True}}
        return int(cls._get_collection().count_documents(counted))

    @classmethod
    def batches_user_worked_on(cls, user: User) -> Iterator[Batch]:
        """The batches in which the user has answered something, each once."""
        batches = cls._get_collection().distinct('batch', {'user': user.id, 'kind': ANSWER})
        return iter(Batch.objects(pk__in=batches))

    # --- facts --------------------------------------------------------------------------------------------------------

    @staticmethod
    def source_of_answer(answer_id: ObjectId) -> str:
        """The key of the fact that an answer was stored."""
        return f'answer:{answer_id}:done'


def _pk(reference: Any) -> Any:
    """The id behind a document, a bare reference or an id."""
    return getattr(reference, 'id', reference)
