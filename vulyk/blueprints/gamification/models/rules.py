"""Stored rules, filters for them, and the awards they have led to."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple

from bson import ObjectId, decode_all
from flask_mongoengine.documents import Document
from mongoengine import (
    BooleanField,
    DateTimeField,
    DictField,
    IntField,
    ObjectIdField,
    Q,
    StringField,
    ValidationError,
    signals,
)

from vulyk.blueprints.gamification.core.parsing import MAX_LENGTHS
from vulyk.blueprints.gamification.core.rules import (
    SEMANTICS,
    VULYK,
    Rule,
    RuleValidationException,
    rule_from_dict,
    stable_id,
)
from vulyk.blueprints.gamification.core.tally import Gate, needs_of
from vulyk.models.recent import Recent
from vulyk.texts import told


class RuleFilter:
    """Which rules are wanted."""

    def to_query(self) -> Q:
        """The condition."""
        raise NotImplementedError


class AllRules(RuleFilter):
    """All."""

    def to_query(self) -> Q:
        """The condition: none."""
        return Q()


class StrictProjectRules(RuleFilter):
    """Those of one task type.

    :param task_type_name: the task type.
    """

    def __init__(self, task_type_name: str) -> None:
        self._task_type_name = task_type_name

    def to_query(self) -> Q:
        """The condition."""
        return Q(task_type_name=self._task_type_name)


class ProjectAndFreeRules(RuleFilter):
    """Those of one task type, and those of none.

    :param task_type_name: the task type.
    """

    def __init__(self, task_type_name: str) -> None:
        self._task_type_name = task_type_name

    def to_query(self) -> Q:
        """The condition."""
        return Q(task_type_name__in=[self._task_type_name, '', None])


class RuleModel(Document):
    """A rule as it is stored; see :class:`~vulyk.blueprints.gamification.core.rules.Rule`.

    One that is not ``enabled`` gives no badges any more. ``version`` grows with every change; badges already given stay as
    they were.
    """

    id = StringField(primary_key=True)
    task_type_name = StringField(max_length=MAX_LENGTHS['task_type_name'], default='')
    badge = StringField(max_length=MAX_LENGTHS['badge'], default='')
    name = StringField(max_length=MAX_LENGTHS['name'], required=True)
    description = StringField(max_length=MAX_LENGTHS['description'], default='')
    bonus = IntField(default=0, db_field='bonus')
    tasks_number = IntField(default=0, db_field='tasksNumber')
    days_number = IntField(default=0, db_field='daysNumber')
    is_weekend = BooleanField(default=False, db_field='isWeekend')
    is_adjacent = BooleanField(default=False, db_field='isAdjacent')
    semantics = StringField(choices=SEMANTICS, default=VULYK)
    enabled = BooleanField(default=True)
    version = IntField(default=1)

    meta = {
        'collection': 'gamification.rules',
        'allow_inheritance': True,
        'auto_create_index': False,
        'index_cls': False,
        'strict': False,
        'indexes': [
            {'fields': ['name'], 'unique': True, 'cls': False},
            {'fields': ['task_type_name'], 'cls': False},
        ],
    }

    def __str__(self) -> str:
        return str(self.name)

    def clean(self) -> None:
        """Give a new rule its id, count the version, and refuse what is no rule.

        :raises ValidationError: it is none; the text says why.
        """
        if self.id is None:
            self.id = stable_id(self.name or '', self.task_type_name or '')
        try:
            self.to_rule()
        except RuleValidationException as error:
            raise ValidationError(told(error)) from error
        if not self._created and set(self._get_changed_fields()) - {'version', 'enabled'}:
            self.version = (self.version or 1) + 1

    @classmethod
    def get_actual_rules(cls, skip_ids: list[str], rule_filter: RuleFilter, is_weekend: bool) -> Iterator[Rule]:
        """The rules to look at.

        :param skip_ids: ids of rules that are not wanted, because they are owned already for instance.
        :param is_weekend: whether it is a weekend; on working days weekend rules are left out.
        """
        query = rule_filter.to_query() & Q(id__nin=list(skip_ids)) & Q(enabled__ne=False)
        if not is_weekend:
            query &= Q(is_weekend__ne=True)
        return _rules_of(cls.objects(query).order_by('id').as_pymongo())

    @classmethod
    def from_rule(cls, rule: Rule) -> 'RuleModel':
        """A document of a rule, not saved yet."""
        return cls(
            id=rule.id,
            task_type_name=rule.scope,
            badge=rule.badge,
            name=rule.name,
            description=rule.description,
            bonus=rule.bonus,
            tasks_number=rule.tasks_number,
            days_number=rule.days_number,
            is_weekend=rule.is_weekend,
            is_adjacent=rule.is_adjacent,
            semantics=rule.semantics,
            version=rule.version,
        )

    def to_rule(self) -> Rule:
        """The rule of this document.

        :raises RuleValidationException: the document holds none.
        """
        return _rule_of(self.to_mongo())


class AwardModel(Document):
    """A badge that a user was given, as the rule was at that time.

    ``_id`` is made of user and rule, so that nobody can have one twice. ``at`` is when the answer was given that reached it.
    """

    id = StringField(primary_key=True)
    user = ObjectIdField(required=True)
    rule = StringField(required=True)
    facts = DictField(required=True)
    version = IntField(required=True)
    at = DateTimeField(required=True)
    answer = ObjectIdField()
    event = ObjectIdField()

    meta = {
        'collection': 'gamification.awards',
        'auto_create_index': False,
        'strict': False,
        'indexes': [('user', 'at'), 'rule'],
    }

    @staticmethod
    def key(user_id: ObjectId, rule_id: str) -> str:
        """The ``_id`` of the award of this rule to this user."""
        return f'{user_id}:{rule_id}'

    def to_rule(self) -> Rule:
        """The rule as it was when the badge was given."""
        return rule_from_dict(self.facts, version=self.version)


def rules_of_awards(user_id: ObjectId, rule_ids: Iterable[str]) -> dict[str, Rule]:
    """The rules of a user's badges, as they were when he got them.

    Badges without an award, of events that were stored from outside, show the rule as it is now; unknown ones are left out.
    """
    wanted = list(dict.fromkeys(rule_ids))
    if not wanted:
        return {}
    keys = [AwardModel.key(user_id, rule_id) for rule_id in wanted]
    found = {award.rule: award.to_rule() for award in AwardModel.objects(id__in=keys)}
    missing = [rule_id for rule_id in wanted if rule_id not in found]
    if missing:
        found |= {model.id: model.to_rule() for model in RuleModel.objects(id__in=missing)}
    return {rule_id: found[rule_id] for rule_id in wanted if rule_id in found}


class RuleTable(NamedTuple):
    """The rules in force, how many days back they look (see ``needs_of``), what tells which may have been reached, and the
    largest id of all that are stored.
    """

    rules: list[Rule]
    needs: dict[str, int]
    gate: Gate
    last_id: str | None


def _read_table(_key: str) -> RuleTable:
    return _table_of(b''.join(RuleModel._get_collection().find_raw_batches({}, sort=[('_id', 1)])))


@lru_cache(maxsize=4)
def _table_of(documents: bytes) -> RuleTable:
    """Of all stored rules as they come: to make hundreds of them anew, only to see that nothing has changed, takes longer
    than to count an answer.
    """
    stored = decode_all(documents)
    rules = list(_rules_of(one for one in stored if one.get('enabled') is not False))
    return RuleTable(rules, needs_of(rules), Gate(rules), stored[-1]['_id'] if stored else None)


def _rules_of(documents: Iterable[Mapping[str, Any]]) -> Iterator[Rule]:
    """The rules of stored documents; those that are none, as an older version did not look, are named by "audit" only."""
    for stored in documents:
        with suppress(RuleValidationException):
            yield _rule_of(stored)


def _rule_of(stored: Mapping[str, Any]) -> Rule:
    """The rule of a stored document.

    :raises RuleValidationException: it holds none.
    """
    facts = {
        'id': stored.get('_id'),
        'badge': stored.get('badge') or '',
        'name': stored.get('name') or '',
        'description': stored.get('description') or '',
        'bonus': stored.get('bonus') or 0,
        'tasks_number': stored.get('tasksNumber') or 0,
        'days_number': stored.get('daysNumber') or 0,
        'is_weekend': bool(stored.get('isWeekend')),
        'is_adjacent': bool(stored.get('isAdjacent')),
        'semantics': stored.get('semantics'),
        'task_type_name': stored.get('task_type_name'),
    }
    return rule_from_dict(facts, version=stored.get('version') or 1)


def _last_id() -> str | None:
    last = RuleModel._get_collection().find_one({}, {'_id': 1}, sort=[('_id', -1)])
    return last['_id'] if last else None


_table = Recent(_read_table, seconds=5)


def enabled_rules() -> list[Rule]:
    """The rules in force, those that another process has just saved for the first time among them."""
    table = rule_table()
    return (table if table.last_id == _last_id() else _table.get('', fresh=True)).rules


def rule_table() -> RuleTable:
    """The rules in force: read anew when one is saved here, and after five seconds when another process has saved one."""
    return _table.get('')


def forget_rules() -> None:
    """Read the rules anew at their next use."""
    _table.forget()


signals.post_save.connect(lambda *_, **__: forget_rules(), sender=RuleModel, weak=False)
signals.post_delete.connect(lambda *_, **__: forget_rules(), sender=RuleModel, weak=False)
