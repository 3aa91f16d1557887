"""The module that ``ENABLED_BLUEPRINTS`` names: the JSON API of the game, and its pages."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import wraps
from typing import TYPE_CHECKING, Any

import orjson
from flask import Response, abort, request
from flask_babel import gettext, lazy_gettext
from flask_login import current_user

from vulyk.blueprints.gamification import cli, game, listeners
from vulyk.blueprints.gamification.models.donations import DonationRequest
from vulyk.blueprints.gamification.models.events import EventModel
from vulyk.blueprints.gamification.models.foundations import FundFilterBy, FundModel, PayoutModel
from vulyk.blueprints.gamification.models.rules import (
    AllRules,
    AwardModel,
    ProjectAndFreeRules,
    RuleFilter,
    RuleModel,
    StrictProjectRules,
)
from vulyk.blueprints.gamification.models.state import UserStateModel
from vulyk.blueprints.gamification.services import DonationResult, DonationsService, StatsService, set_zone
from vulyk.blueprints.module import VulykModule
from vulyk.models import database
from vulyk.models.user import User
from vulyk.utils import HTTPStatus

if TYPE_CHECKING:
    from flask import Flask

MODELS = (EventModel, UserStateModel, RuleModel, FundModel, AwardModel, PayoutModel, DonationRequest)


class Gamification(VulykModule):
    """Points, levels, badges, coins and donations.

    Its entry in ``ENABLED_BLUEPRINTS`` may have ``levels`` (``{level: points}``) and ``badges`` (pictures to choose from).
    """

    def configure(self, config: dict[str, Any]) -> None:
        """Take over the settings; those of another application are forgotten."""
        self.config = dict(config)

    def register(self, app: 'Flask', options: dict[str, Any]) -> None:
        """Add the game to an application.

        :raises InitializationError: its settings make no sense.
        """
        app.extensions[game.EXTENSION] = game.from_settings(self.config, app.config)
        database.add_models(*MODELS)
        super().register(app, options)
        listeners.connect(app)


gamification = Gamification('gamification', __name__, template_folder='templates', static_folder='static')
gamification.add_context_filler(lambda: {'stats_service': StatsService})
gamification.cli.help = 'Rules, badges, funds and coins.'
for command in cli.COMMANDS:
    gamification.cli.add_command(command)


# --- JSON -----------------------------------------------------------------------------------------------------------------


def answers_json(view: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a view whose errors are JSON too."""
    view.answers_json = True  # type: ignore[attr-defined]
    return view


def for_members(view: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse visitors with 403, as these routes always have."""

    @wraps(view)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if not current_user.is_authenticated:
            abort(HTTPStatus.FORBIDDEN, gettext('Please sign in.'))
        return view(*args, **kwargs)

    return checked


def json_answer(result: dict[str, Any], errors: tuple[str, ...] = (), status: int = HTTPStatus.OK) -> Response:
    """``{"result": …, "errors": […]}``; decimals are JSON numbers with all their digits."""
    text = orjson.dumps({'result': result, 'errors': errors}, default=_exactly)
    response = Response(text, status=int(status), content_type='application/json')
    response.headers['Cache-Control'] = 'no-cache, no-store, must-revalidate'
    response.headers['Pragma'] = 'no-cache'
    response.headers['Expires'] = '0'
    return response


def _exactly(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(f'{value:f}'.encode())
    return str(value)  # texts that are translated late


def me() -> User:
    """Who is signed in."""
    user: User = current_user._get_current_object()
    return user


@gamification.get('/badges')
@answers_json
def badges() -> Response:
    """All rules."""
    return json_answer({'badges': [rule.to_dict() for rule in RuleModel.get_actual_rules([], AllRules(), True)]})


@gamification.get('/badges/<project>/<strictness>')
@answers_json
def project_badges(project: str, strictness: str) -> Response:
    """The rules of a task type; ``weak``: with those of none."""
    kinds: dict[str, Callable[[str], RuleFilter]] = {'strict': StrictProjectRules, 'weak': ProjectAndFreeRules}
    if strictness not in kinds:
        abort(HTTPStatus.NOT_FOUND)
    chosen = RuleModel.get_actual_rules([], kinds[strictness](project), True)
    return json_answer({'badges': [rule.to_dict() for rule in chosen]})


@gamification.get('/funds', defaults={'category': ''})
@gamification.get('/funds/<category>')
@answers_json
def funds(category: str) -> Response:
    """The funds, all or those of a category."""
    categories = {
        '': FundFilterBy.NO_FILTER,
        'donatable': FundFilterBy.DONATABLE,
        'nondonatable': FundFilterBy.NON_DONATABLE,
    }
    if category not in categories:
        abort(HTTPStatus.NOT_FOUND)
    return json_answer({'funds': [fund.to_dict() for fund in FundModel.get_funds(categories[category])]})


@gamification.get('/funds/<fund_id>/logo')
@answers_json
def fund_logo(fund_id: str) -> Response:
    """The picture of a fund."""
    model = FundModel.objects(pk=fund_id).first()
    file = model.logo.get() if model is not None and model.logo else None
    if file is None:
        abort(HTTPStatus.NOT_FOUND, gettext('There is no such picture.'))
    response = Response(file.read(), content_type=f'image/{str(file.format).lower()}')
    response.headers['Content-Security-Policy'] = "default-src 'none'; sandbox"
    response.set_etag(str(file._id))
    response.headers['Cache-Control'] = 'public, max-age=3600'
    return response.make_conditional(request)


@gamification.get('/events/unseen')
@answers_json
@for_members
def unseen_events() -> Response:
    """My events that I have not seen."""
    return json_answer({'events': [event.to_dict(ignore_answer=True) for event in EventModel.get_unread_events(me())]})


@gamification.get('/events/all')
@answers_json
@for_members
def all_events() -> Response:
    """My events."""
    return json_answer({'events': [event.to_dict(ignore_answer=True) for event in EventModel.get_all_events(me())]})


@gamification.route('/events/mark_viewed', methods=['GET', 'POST'])  # by GET, because existing themes ask so
@answers_json
@for_members
def mark_viewed() -> Response:
    """I have seen all my events."""
    EventModel.mark_events_as_read(me())
    return json_answer({})


@gamification.get('/users/me/state')
@answers_json
@for_members
def my_state() -> Response:
    """What I have gained."""
    return json_answer({'state': UserStateModel.get_or_create_by_user(me()).to_dict()})


@gamification.get('/users/<user_id>/state')
@answers_json
@for_members
def user_state(user_id: str) -> Response:
    """What somebody has gained."""
    user = User.get_by_id(user_id)
    if user is None:
        abort(HTTPStatus.NOT_FOUND, gettext('There is no such user.'))
    return json_answer({'state': UserStateModel.get_or_create_by_user(user).to_dict()})


@gamification.post('/users/me/zone')
@answers_json
@for_members
def my_zone() -> Response:
    """Where I live: an IANA time zone."""
    try:
        set_zone(me(), request.form.get('zone', ''), datetime.now(UTC))
    except ValueError:
        abort(HTTPStatus.BAD_REQUEST, gettext('zone: must be the name of a time zone such as Europe/Kyiv.'))
    return json_answer({'done': True})


REFUSALS = {
    DonationResult.STINGY: lazy_gettext('Wrong amount passed'),
    DonationResult.LIAR: lazy_gettext('Wrong fund ID passed'),
    DonationResult.BEGGAR: lazy_gettext('Not enough money on your active account'),
    DonationResult.ERROR: lazy_gettext('Something wrong happened'),
}


@gamification.post('/donations')
@answers_json
@for_members
def donations() -> Response:
    """Give coins of mine to a fund."""
    form = request.form
    service = DonationsService(me(), form.get('fund_id', ''), form.get('amount', ''), form.get('key', '')[:200] or None)
    result = service.donate()
    if result is DonationResult.SUCCESS:
        return json_answer({'done': True})
    return json_answer({'done': False}, (str(REFUSALS[result]),), HTTPStatus.BAD_REQUEST)
