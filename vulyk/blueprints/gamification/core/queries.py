"""Rules as questions to the database."""

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from vulyk.blueprints.gamification.core.rules import VULYK, ProjectRule, Rule
from vulyk.blueprints.gamification.core.tally import day_before, saturday_of
from vulyk.blueprints.gamification.core.zones import Zones

if TYPE_CHECKING:
    from bson import ObjectId
    from mongoengine.queryset.base import BaseQuerySet
    from pymongo.collection import Collection

Stage = dict[str, Any]

_SUNDAY, _SATURDAY = 1, 7  # as $dayOfWeek counts
_DAY = '%Y-%m-%d'
# Asking whether it exists would mean a look at each session: an index does not tell.
_IS_THERE = {'$type': 'objectId'}


class RuleQueryBuilder:
    """Turns a rule into a question to a source of data."""

    def build_for(self, user_id: 'ObjectId') -> list[Stage]:
        """The steps that count for this user what the rule limits."""
        raise NotImplementedError


class MongoRuleQueryBuilder(RuleQueryBuilder):
    """Turns a rule into an aggregation over finished work sessions. It yields ``{'count': n}``, or nothing for 0."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def build_for(self, user_id: 'ObjectId', as_of: datetime | None = None, zones: Zones | None = None) -> list[Stage]:
        """The pipeline for one user.

        :param as_of: the moment it is asked for: later sessions do not count, and windows end there. Default: now.
        :param zones: where the user lived, for rules of the calendar. Default: UTC.
        """
        moment, zones = as_of or datetime.now(UTC), zones or Zones()
        stages = self._vulyk() if self._rule.semantics == VULYK else self._calendar(moment, zones)
        return [{'$match': self._sessions(user_id, moment, zones)}, *stages, {'$count': 'count'}]

    def _sessions(self, user_id: 'ObjectId', moment: datetime, zones: Zones) -> dict[str, Any]:
        rule = self._rule
        ended: dict[str, Any] = {'$lte': moment}
        found = {'user': user_id, 'answer': _IS_THERE, 'end_time': ended}
        if isinstance(rule, ProjectRule):
            found['taskType'] = rule.task_type_name
        if rule.window and rule.semantics == VULYK:
            ended['$gt'] = day_before(moment, rule.window)
        elif rule.window:
            *earlier, (last, _) = zones.since(self._first_day(zones.day(moment)), moment)
            ended['$gte'] = earlier[0][0] if earlier else last
            if earlier:
                spans = [{'end_time': {'$gte': begin, '$lt': end}} for begin, end in earlier]
                found['$or'] = [*spans, {'end_time': {'$gte': last}}]
        return found

    def _first_day(self, today: date) -> date:
        """The first day of the calendar that counts."""
        rule = self._rule
        if rule.is_weekend and not rule.tasks_number:
            return date.fromordinal(saturday_of(today.toordinal())) - timedelta(weeks=rule.days_number - 1)
        return today - timedelta(days=rule.days_number - 1)

    def _vulyk(self) -> list[Stage]:
        """Days of UTC; weekends are weeks from Sunday on."""
        rule = self._rule
        stages = _on_weekends('end_time') if rule.is_weekend else []
        if rule.tasks_number:
            return stages
        group = {'year': {'$year': '$end_time'}, 'week': {'$week': '$end_time'}}
        return [*stages, {'$group': {'_id': group if rule.is_weekend else _day('$end_time')}}]

    def _calendar(self, moment: datetime, zones: Zones) -> list[Stage]:
        """Days of the volunteer; a weekend is a Saturday and its Sunday."""
        rule = self._rule
        if rule.tasks_number and not rule.is_weekend:
            return []
        stages: list[Stage] = [{'$project': {'_id': 0, 'local': zones.local('$end_time', moment)}}]
        if rule.is_weekend:
            stages += _on_weekends('local')
        if rule.tasks_number:
            return stages
        return [*stages, {'$group': {'_id': _saturday('$local') if rule.is_weekend else _day('$local')}}]


class MongoRuleExecutor:
    """Asks."""

    @staticmethod
    def achieved(
        user_id: 'ObjectId',
        rule: Rule,
        collection: 'BaseQuerySet | Collection[dict[str, Any]]',
        as_of: datetime | None = None,
        zones: Zones | None = None,
    ) -> bool:
        """Whether the user has done what the rule asks for.

        :param collection: work sessions; a bare collection is counted by its index alone.
        :param as_of: see :meth:`MongoRuleQueryBuilder.build_for`, as for ``zones``.
        """
        pipeline = MongoRuleQueryBuilder(rule).build_for(user_id, as_of, zones)
        counted = next(iter(collection.aggregate(pipeline)), {'count': 0})
        return bool(counted['count'] >= rule.limit)


def _on_weekends(field: str) -> list[Stage]:
    # In two steps: a condition on the time itself would be asked of each session, this one is asked of what an index tells.
    return [
        {'$project': {'_id': 0, field: 1, 'weekday': {'$dayOfWeek': f'${field}'}}},
        {'$match': {'weekday': {'$in': [_SUNDAY, _SATURDAY]}}},
    ]


def _day(field: str) -> Stage:
    return {'$dateToString': {'date': field, 'format': _DAY}}


def _saturday(field: str) -> Stage:
    back = {'$cond': [{'$eq': [{'$dayOfWeek': field}, _SUNDAY]}, 24 * 3600 * 1000, 0]}
    return _day({'$subtract': [field, back]})  # type: ignore[arg-type]
