"""The module that ``ENABLED_BLUEPRINTS`` names: the JSON API of the game, and its pages."""

import hashlib
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, wraps
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from flask import Response, abort, current_app, make_response, redirect, render_template, request, url_for
from flask_babel import gettext, lazy_gettext, ngettext
from flask_login import current_user, login_required

from vulyk import texts
from vulyk.blueprints.gamification import admin, cli, exchange, game, listeners, migration
from vulyk.blueprints.gamification.core.events import Event
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
from vulyk.blueprints.gamification.services import (
    DonationResult,
    DonationsService,
    StatsService,
    donations_by_fund,
    entries_of,
    standing_of,
    wall_of,
)
from vulyk.blueprints.module import VulykModule
from vulyk.models import database, schema
from vulyk.models.schema import Step
from vulyk.models.user import User
from vulyk.utils import HTTPStatus, static_max_age

if TYPE_CHECKING:
    from flask import Flask
    from flask.typing import ResponseReturnValue

PAGE_SIZE = 30
MAX_PAGE = 100_000
PARTS = ('head', 'header', 'menu', 'profile', 'scripts')
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
        schema.add_steps(
            Step(
                self.name,
                1,
                texts.lazy_gettext('exact amounts, lasting ids of rules'),
                lambda dry_run, progress: migration.migrate(dry_run=dry_run, progress=progress),
            )
        )
        super().register(app, options)
        listeners.connect(app)
        places = app.jinja_env.globals.setdefault('page_parts', {})
        for part in PARTS:
            places.setdefault(part, []).append(f'gamification/_{part}.html')
        if app.admin is not None:
            with app.app_context():  # names of task types are asked for while the views are built
                app.admin.add_views(*admin.views())

    get_send_file_max_age = staticmethod(static_max_age)

    def seed(self) -> None:
        """Give a demo instance rules, badges and funds; what is there already stays."""
        with as_file(files(__package__) / 'demo') as folder:
            exchange.import_rules(folder / 'rules.json', skip_unknown_projects=True)
            exchange.import_funds(folder / 'funds.json')


gamification = Gamification('gamification', __name__, template_folder='templates', static_folder='static')
gamification.add_context_filler(
    lambda: {
        'stats_service': StatsService,
        'standing': lambda: standing_of(current_user.id),
        'profile': profile_part,
        'badge_url': badge_url,
        'number': number_text,
        'points': points_text,
        'coins': coins_text,
        'currency': game.the_game().currency,
        'text': game.in_words,
        'version': static_version(),
    }
)
gamification.cli.help = texts.lazy_gettext('Rules, badges, funds and coins.')
for command in cli.COMMANDS:
    gamification.cli.add_command(command)


def badge_url(badge: str) -> str:
    """The address of a picture: as it is, or that of a file of this package."""
    if badge.startswith(('/', 'https://', 'http://', 'data:image/')):
        return badge
    return url_for('gamification.static', filename=f'badges/{badge or "cell.svg"}', v=static_version())


def number_text(amount: Decimal, signed: bool = False) -> str:
    """An amount as it is shown: ``0.5``; with its sign: ``+1``, ``−0.5``."""
    return f'{amount:+f}'.replace('-', '−') if signed else f'{amount:f}'


def points_text(amount: Decimal, signed: bool = False) -> str:
    """An amount of points in words: ``1 point``."""
    return str(ngettext('%(points)s point', '%(points)s points', _grammar(amount), points=number_text(amount, signed)))


def coins_text(amount: Decimal, signed: bool = False) -> str:
    """An amount of coins in words: ``2.5 coins``."""
    return str(ngettext('%(coins)s coin', '%(coins)s coins', _grammar(amount), coins=number_text(amount, signed)))


def _grammar(amount: Decimal) -> int:
    """The whole number whose grammar an amount has: a fraction that of a few."""
    return int(abs(amount)) if amount == int(amount) else 2


@cache
def static_version() -> str:
    """Fingerprint of the scripts, styles and pictures of this package, so that browsers may keep them."""
    digest = hashlib.sha256()
    for path in sorted(Path(gamification.static_folder or '').rglob('*')):
        digest.update(path.read_bytes() if path.is_file() else b'')
    return digest.hexdigest()[:12]


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


def told(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts of a badge or a fund, in the language at hand."""
    return {**facts, **{name: game.in_words(facts[name]) for name in ('name', 'description')}}


def told_event(event: Event) -> dict[str, Any]:
    """The facts of an event, in the language at hand."""
    facts = told_gains(event.to_dict(ignore_answer=True))
    fund = facts['acceptor_fund']
    return {**facts, 'acceptor_fund': fund and told(fund)}


def told_gains(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts of an event or a state, with its badges in the language at hand."""
    return {**facts, 'achievements': [told(rule) for rule in facts['achievements']]}


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
    return json_answer({'badges': [told(rule.to_dict()) for rule in RuleModel.get_actual_rules([], AllRules(), True)]})


@gamification.get('/badges/<project>/<strictness>')
@answers_json
def project_badges(project: str, strictness: str) -> Response:
    """The rules of a task type; ``weak``: with those of none."""
    kinds: dict[str, Callable[[str], RuleFilter]] = {'strict': StrictProjectRules, 'weak': ProjectAndFreeRules}
    if strictness not in kinds:
        abort(HTTPStatus.NOT_FOUND)
    chosen = RuleModel.get_actual_rules([], kinds[strictness](project), True)
    return json_answer({'badges': [told(rule.to_dict()) for rule in chosen]})


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
    return json_answer({'funds': [told(fund.to_dict()) for fund in FundModel.get_funds(categories[category])]})


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
    return json_answer({'events': [told_event(event) for event in EventModel.get_unread_events(me())]})


@gamification.get('/events/all')
@answers_json
@for_members
def all_events() -> Response:
    """My events."""
    return json_answer({'events': [told_event(event) for event in EventModel.get_all_events(me())]})


@gamification.route('/events/mark_viewed', methods=['GET', 'POST'])  # by GET, because existing themes ask so
@answers_json
@for_members
def mark_viewed() -> Response:
    """I have seen my events: all, or those up to ``until``, the number that came with the news."""
    EventModel.mark_events_as_read(me(), request.form.get('until', type=int))
    return json_answer({})


@gamification.get('/news')
@answers_json
@for_members
def news() -> Response:
    """What the page tells me: points, level, and the badges and levels that I have not seen yet."""
    standing = standing_of(me().id)  # asked first: what comes in between is not marked as seen
    events = [told_event(event) for event in EventModel.get_news(me())]
    shown = {'points': standing.points, 'points_text': points_text(standing.points), 'level': standing.level}
    return json_answer({**shown, 'until': standing.number, 'events': events})


@gamification.get('/users/me/state')
@answers_json
@for_members
def my_state() -> Response:
    """What I have gained."""
    return json_answer({'state': told_gains(UserStateModel.get_or_create_by_user(me()).to_dict())})


@gamification.get('/users/<user_id>/state')
@answers_json
@for_members
def user_state(user_id: str) -> Response:
    """What somebody has gained."""
    user = User.get_by_id(user_id)
    if user is None:
        abort(HTTPStatus.NOT_FOUND, gettext('There is no such user.'))
    state = told_gains(UserStateModel.get_or_create_by_user(user).to_dict())
    if user.hidden and user.id != me().id:
        state['user'] = ''  # he does not want to be named
    return json_answer({'state': state})


# --- pages ----------------------------------------------------------------------------------------------------------------


def game_page(name: str, **context: Any) -> str:
    """Render a page of the game."""
    return render_template(f'gamification/{name}', project_names=project_names(), **context)


def project_names() -> dict[str, str]:
    """``{type: name}`` of the projects of this site."""
    return {kind.type_name: kind.name or kind.type_name for kind in current_app.task_types.values()}


def profile_part() -> dict[str, Any]:
    """What the page about me shows of the game: standing, the latest badges and events."""
    latest = AwardModel.objects(user=me().id).order_by('-at').limit(6)
    return {
        'standing': standing_of(me().id),
        'badges': [award.to_rule() for award in latest],
        'entries': entries_of(me(), limit=5),
        'project_names': project_names(),
    }


@gamification.get('/my/badges')
@login_required
def badge_wall() -> str:
    """My badges, and those I can still earn."""
    return game_page('badges.html', badges=wall_of(me(), datetime.now(UTC)))


@gamification.get('/my/events')
@login_required
def my_events() -> str:
    """What has happened to me, some at a time."""
    page = max(request.args.get('page', 1, type=int), 1)
    offset = (min(page, MAX_PAGE) - 1) * PAGE_SIZE
    entries = entries_of(me(), limit=PAGE_SIZE + 1, offset=offset)
    return game_page('events.html', entries=entries[:PAGE_SIZE], page=page, has_more=len(entries) > PAGE_SIZE)


@gamification.route('/my/wallet', methods=['GET', 'POST'])
@login_required
def wallet() -> 'ResponseReturnValue':
    """My coins, and the form to donate them."""
    if request.method == 'GET':
        return wallet_page()
    form = request.form
    amount, key = amount_in(form.get('amount', '')), form.get('key', '')[:200] or None
    result = DonationsService(me(), form.get('fund_id', ''), amount, key).donate()
    if result is DonationResult.SUCCESS:
        return redirect(url_for('gamification.wallet', thanks=1))
    return make_response(wallet_page(refusal=result), HTTPStatus.BAD_REQUEST)


def amount_in(text: str) -> str:
    """What was typed as an amount, with a point for a comma before one or two digits: ``1,000`` may mean a thousand."""
    return re.sub(r'^(\s*\d+),(\d{1,2}\s*)$', r'\1.\2', text)


def wallet_page(refusal: DonationResult | None = None) -> str:
    """The wallet; ``refusal``: why the donation that was just asked for was not made."""
    return game_page(
        'wallet.html',
        state=UserStateModel.get_or_create_by_user(me()),
        funds=list(FundModel.get_funds(FundFilterBy.DONATABLE)),
        donated=StatsService.total_money_donated_by_user(me()),
        refusal=refusal.name if refusal else '',
        key=uuid.uuid4().hex,  # of this form: sent twice, it is still one donation
        amount=request.form.get('amount', ''),
        chosen=request.form.get('fund_id', ''),
    )


@gamification.get('/totals')
@login_required
def totals() -> str:
    """What everybody has done together."""
    return game_page(
        'totals.html',
        donated_to=donations_by_fund(),
        funds={fund.id: fund for fund in FundModel.get_funds()},
    )


# --- donations ------------------------------------------------------------------------------------------------------------

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
