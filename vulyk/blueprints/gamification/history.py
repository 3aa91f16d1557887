"""The work of one volunteer: his finished sessions, the counters made of them, and when they reached a rule."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from bson import ObjectId

from vulyk.blueprints.gamification.core.queries import MongoRuleExecutor
from vulyk.blueprints.gamification.core.rules import Rule
from vulyk.blueprints.gamification.core.tally import FORMAT, Counters, Today, estimate, is_due, needs_of
from vulyk.blueprints.gamification.core.zones import Zones
from vulyk.blueprints.gamification.game import gamified_types, the_game
from vulyk.blueprints.gamification.models.events import EventModel
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import EPOCH, AbstractAnswer
from vulyk.utils import aware


class Session(NamedTuple):
    """A finished work session."""

    ended: datetime
    task_type: str
    answer: ObjectId


class Reached(NamedTuple):
    """A rule, and the session with which it was reached."""

    rule: Rule
    session: Session


def sessions_of(
    user_id: ObjectId,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    without: Collection[ObjectId] = (),
) -> list[Session]:
    """The finished sessions of a user, oldest first.

    :param since: only those that ended then or later.
    :param until: only those that ended then or earlier.
    :param without: answers whose sessions are left out.
    """
    ended: dict[str, Any] = {'$gte': since or EPOCH}
    if until is not None:
        ended['$lte'] = until
    found = WorkSession._get_collection().find(
        {'user': user_id, 'answer': {'$exists': True}, 'end_time': ended},
        {'end_time': 1, 'taskType': 1, 'answer': 1},
        sort=[('end_time', 1), ('_id', 1)],
    )
    return [
        Session(aware(row['end_time']), row['taskType'], row['answer']) for row in found if row['answer'] not in without
    ]


def zones_of(state: Mapping[str, Any]) -> Zones:
    """The time zones that a stored state tells of."""
    changes = ((aware(change['since']), change['zone']) for change in state.get('zones') or [])
    return Zones(the_game().default_zone, changes)


def counters_of(state: Mapping[str, Any]) -> Counters | None:
    """The counters of a stored state; None if it has none, or such of another default zone or of an older version."""
    if (state.get('counters') or {}).get('format') != FORMAT:
        return None
    counters = Counters.from_dict(state['counters'])
    counters.last = aware(counters.last) if counters.last is not None else None
    return counters if counters.default_zone == the_game().default_zone else None


def count_sessions(sessions: Iterable[Session], zones: Zones, needs: Mapping[str, int]) -> Counters:
    """Counters of these sessions, which have to be given oldest first."""
    counters = Counters(default_zone=the_game().default_zone)
    for session in sessions:
        counters.add(session.task_type, session.ended, zones, needs)
    return counters


def uncounted_answers(user_id: ObjectId) -> set[ObjectId]:
    """Answers of a user that were stored, but whose receivers have not all been told: they will be counted.

    An answer that earns something is counted when its fact is stored. Of the others nobody knows; being told again they
    are counted anew.
    """
    waiting = AbstractAnswer._get_collection().find({'signalDue': {'$gt': EPOCH}, 'createdBy': user_id}, {'_id': 1})
    ids = {answer['_id'] for answer in waiting}
    sources = {EventModel.source_of_answer(answer_id): answer_id for answer_id in ids}
    booked = EventModel._get_collection().find({'source': {'$in': list(sources)}}, {'source': 1}) if sources else ()
    return ids - {sources[fact['source']] for fact in booked}


def eligible(rules: Iterable[Rule], owned: Collection[str], task_type: str, today: Today) -> Iterator[Rule]:
    """The rules to look at after an answer: not owned, not of another project, not of weekends on a working day."""
    for rule in rules:
        if rule.id not in owned and rule.scope in ('', task_type) and is_due(rule, today):
            yield rule


def reached_at(
    user_id: ObjectId, rules: Iterable[Rule], counters: Counters, session: Session, zones: Zones
) -> Iterator[Reached]:
    """Those of the rules that had been reached when this work session ended.

    The database is only asked about rules that may have been, as the counters tell.
    """
    today = Today.of(session.ended, zones)
    for rule in rules:
        if estimate(rule, counters.tally(rule.scope), today) < rule.limit:
            continue
        if MongoRuleExecutor.achieved(user_id, rule, WorkSession._get_collection(), session.ended, zones):
            yield Reached(rule, session)


def replay(
    user_id: ObjectId,
    rules: Iterable[Rule],
    zones: Zones,
    *,
    since: datetime | None = None,
    ignore_working_days: bool = False,
) -> Iterator[Reached]:
    """Go through everything the user has done, in order, and tell when each rule was reached for the first time.

    :param since: rules are looked at from then on.
    :param ignore_working_days: look at weekend rules on working days too.
    """
    left = {rule.id: rule for rule in rules}
    needs, playing = needs_of(left.values()), gamified_types()
    counters = Counters(default_zone=the_game().default_zone)
    for session in sessions_of(user_id):
        if not left:
            return
        counters.add(session.task_type, session.ended, zones, needs)
        if session.task_type not in playing or (since is not None and session.ended < since):
            continue
        today = Today.of(session.ended, zones)
        asked = [
            rule
            for rule in left.values()
            if rule.scope in ('', session.task_type) and (ignore_working_days or is_due(rule, today))
        ]
        for reached in reached_at(user_id, asked, counters, session, zones):
            del left[reached.rule.id]
            yield reached
