"""What the game does when the platform tells it that something has happened.

Everything here may be told several times. The answer itself is stored before any of it runs, and nothing that goes wrong here
reaches the volunteer: whoever could not be told is told again later.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from bson import ObjectId
from flask import current_app, has_app_context

from vulyk import signals
from vulyk.blueprints.gamification import facts, history, services
from vulyk.blueprints.gamification.core.rules import Rule
from vulyk.blueprints.gamification.core.tally import Today
from vulyk.blueprints.gamification.core.zones import Zones
from vulyk.blueprints.gamification.facts import Answered
from vulyk.blueprints.gamification.game import gamified_type, the_game
from vulyk.blueprints.gamification.models.events import EventModel
from vulyk.blueprints.gamification.models.rules import AwardModel, enabled_rules
from vulyk.blueprints.gamification.models.state import UserStateModel
from vulyk.jobs import enqueue, job
from vulyk.models.tasks import AbstractTask, Batch, WithdrawnAnswer
from vulyk.models.user import ALONG, User
from vulyk.utils import aware

if TYPE_CHECKING:
    from flask import Flask

    from vulyk.blueprints.gamification.core.state import UserState
    from vulyk.models.tasks import AbstractAnswer

SECOND_LOOK = timedelta(minutes=2)  # the server ends every transaction after one
_RECEIVERS = 'vulyk_gamification_receivers'


def connect(app: 'Flask') -> None:
    """Listen, on behalf of an application, until it is gone."""
    pairs = [
        (signals.on_task_done, _for(app, track_events)),
        (signals.on_batch_done, _for(app, pay_batch_later)),
        (signals.on_answer_withdrawn, _for(app, reverse_answer)),
        (signals.on_time_zone_changed, _for(app, follow_zone)),
        (signals.on_personal_data_asked, _for(app, hand_over)),
    ]
    for signal, receiver in pairs:
        signal.connect(receiver)
    app.extensions[ALONG]['done'] = lambda **_: facts.state_along
    app.extensions[_RECEIVERS] = pairs  # the signals only hold them as long as somebody else does


def disconnect(app: 'Flask') -> None:
    """Stop listening."""
    app.extensions[ALONG].pop('done', None)
    for signal, receiver in app.extensions.pop(_RECEIVERS, []):
        signal.disconnect(receiver)


def _for(app: 'Flask', function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, for what happens in this application only, and with its context."""

    def receiver(sender: Any, **kwargs: Any) -> Any:
        if not has_app_context():
            with app.app_context():
                return function(sender, **kwargs)
        if current_app._get_current_object() is app:  # type: ignore[attr-defined]
            return function(sender, **kwargs)
        return None

    receiver.__name__ = function.__name__
    return receiver


def get_actual_rules(state: 'UserState', task_type_name: str, now: datetime) -> Iterator[Rule]:
    """The rules that an answer may lead to.

    :param state: of its author; badges he has are left out.
    :param task_type_name: rules of other task types are left out.
    :param now: on working days, those of weekends are left out.
    """
    owned = {rule.id for rule in state.achievements}
    today = Today.of(aware(now), Zones(the_game().default_zone))
    return history.eligible(enabled_rules(), owned, task_type_name, today)


def track_events(sender: object, answer: 'AbstractAnswer') -> None:
    """Give an answer what it is worth: points, coins, badges, a level."""
    task, author = answer._data['task'], answer._data['created_by']
    facts.book_answer(
        Answered(
            id=answer.id,
            user=_pk(author),
            task=_pk(task),
            task_type=answer.task_type,
            batch=_batch_of(task),
            created_at=answer.created_at,
            circumstances=answer.circumstances,
        ),
        lambda: author.take_along(*facts.state_along(author.id)) if isinstance(author, User) else None,
    )


def pay_batch_later(sender: Batch) -> None:
    """Have the coins of a closed batch made actual.

    Once more a while later: answers that were being counted just now may have seen the batch open. By then their
    transactions have ended, and those who start later see it closed.
    """
    if gamified_type(sender.task_type) is not None:
        enqueue(pay_batch, batch_id=sender.id)
        enqueue(pay_batch, run_at=datetime.now(UTC) + SECOND_LOOK, batch_id=sender.id)


@job
def pay_batch(batch_id: str) -> None:
    """Make the coins of a closed batch actual; whoever does it second finds nothing to do."""
    batch = Batch._get_collection().find_one({'_id': batch_id}, {'closed': 1})
    if batch is None or not batch.get('closed'):  # a task of it has been opened again: it will close once more
        return
    for user_id in facts.users_to_pay(batch_id):
        facts.pay_user(batch_id, user_id)


def reverse_answer(sender: WithdrawnAnswer) -> None:
    """Undo what an answer gave that has been taken back."""
    # Read bare: mongoengine may have made a document of it, of a class that depends on how it was asked for.
    answer = WithdrawnAnswer._get_collection().find_one({'_id': sender.id})['answer']
    facts.book_reversal(
        Answered(
            id=answer['_id'],
            user=answer['createdBy'],
            task=answer['task'],
            task_type=answer['taskType'],
            batch=None,
            created_at=answer.get('createdAt') or datetime.now(UTC),
        )
    )


def follow_zone(sender: 'User', zone: str) -> None:
    """Count the days of a volunteer where he lives from now on."""
    services.set_zone(sender, zone, datetime.now(UTC))


def hand_over(sender: 'User') -> dict[str, Any]:
    """What the game keeps of a user, who wishes to have it."""
    hidden = {'_id': 0, '_cls': 0, 'user': 0}
    mine = {'user': sender.id}
    return {
        'game_state': UserStateModel._get_collection().find_one(mine, {**hidden, 'counters': 0}) or {},
        'game_badges': AwardModel._get_collection().find(mine, hidden),
        'game_facts': EventModel._get_collection().find(mine, {**hidden, 'awards': 0}).sort('number', 1),
    }


def _batch_of(task: Any) -> str | None:
    if isinstance(task, AbstractTask):
        return _pk(task._data.get('batch'))
    found = AbstractTask._get_collection().find_one({'_id': _pk(task)}, {'batch': 1})
    return _pk(found.get('batch')) if found else None


def _pk(reference: Any) -> Any | ObjectId:
    """The id behind a document, a bare reference or an id."""
    return getattr(reference, 'id', reference)
