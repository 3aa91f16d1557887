"""The site's own pages and JSON routes; their endpoint names are bare, as themes expect."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nh3
from babel import Locale, UnknownLocaleError
from flask import Response, abort, current_app, g, make_response, redirect, render_template, request, session, url_for
from flask_babel import get_locale, gettext
from flask_login import current_user, login_required, login_user, logout_user
from flask_wtf.csrf import generate_csrf
from mongoengine import Q
from werkzeug.wrappers import Response as BaseResponse
from werkzeug.wsgi import wrap_file

from vulyk import demo
from vulyk.models import figures, passwords
from vulyk.models import media as media_storage
from vulyk.models.exc import MalformedResultError, ResultTooLargeError
from vulyk.models.facts import FACTS, in_language, is_language, to_public
from vulyk.models.fields import parse_json_object
from vulyk.models.limits import count_attempt, network_of
from vulyk.models.media import CHUNK_BYTES, WIDTHS
from vulyk.models.recent import Recent
from vulyk.models.stats import WorkSession
from vulyk.models.tasks import AbstractTask, Batch, facts_of
from vulyk.models.user import DEFAULT_GROUP, Group, User
from vulyk.utils import A_YEAR, HTTPStatus, accepts, get_template_path, is_own_path, json_response, resolve_task_type

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from flask import Flask
    from flask.typing import ResponseReturnValue

    from vulyk.models.task_types import AbstractTaskType

ALWAYS_OPEN = ('static', 'sign_in', 'logout', 'session_info', 'choose_theme', 'terms', 'social.auth', 'social.complete')
SHOWN_BATCHES, READ_BATCHES = 3, 50  # for each project on the home page
THEMES = ('light', 'dark')
THEME_COOKIE = 'vulyk_theme'
MAX_NEXT = 2000  # characters of an address to go on to; it may have to fit into a cookie, with other things
NOTHING_LEFT = 'There is no task having type like this'
View = Callable[..., Any]


def init(app: 'Flask') -> None:
    """Add the routes to an application."""
    app.add_url_rule('/', 'index', index)
    app.add_url_rule('/sign-in', 'sign_in', sign_in, methods=['GET', 'POST'])
    app.add_url_rule('/logout', 'logout', logout, methods=['POST'])
    app.add_url_rule('/demo/<role>', 'demo_sign_in', demo_sign_in, methods=['POST'])
    app.add_url_rule('/session', 'session_info', session_info)
    app.add_url_rule('/theme', 'choose_theme', choose_theme, methods=['POST'])
    app.add_url_rule('/type/<type_id>/', 'task_home', task_home)
    app.add_url_rule('/type/<type_id>/preview/<task_id>', 'task_preview', task_preview)
    app.add_url_rule('/type/<type_id>/next', 'next_page', next_page)
    app.add_url_rule('/type/<type_id>/leaders', 'leaders', leaders)
    app.add_url_rule('/type/<type_id>/skip/<task_id>', 'skip', skip, methods=['POST'])
    app.add_url_rule('/type/<type_id>/done/<task_id>', 'done', done, methods=['POST'])
    app.add_url_rule('/type/<type_id>/activity/<task_id>', 'activity', activity, methods=['POST'])
    app.add_url_rule('/type/<type_id>/withdraw/<task_id>', 'withdraw', withdraw, methods=['POST'])
    app.add_url_rule('/type/<type_id>/return', 'return_ahead', return_ahead, methods=['POST'])
    app.add_url_rule('/type/<type_id>/progress/<task_id>', 'task_progress', task_progress)
    app.add_url_rule('/media/<type_id>/<digest>', 'media', media)
    app.before_request(close_site)
    app.before_request(keep_people_apart)


def answers_json(view: View) -> View:
    """Mark a view whose errors are JSON too; see ``vulyk.bootstrap._errors``."""
    view.answers_json = True  # type: ignore[attr-defined]
    return view


# --- who may come in ------------------------------------------------------------------------------------------------


def close_site() -> 'ResponseReturnValue | None':
    """While ``SITE_IS_CLOSED``, only admins see more than the holding page and the way to sign in."""
    endpoint = request.endpoint or ''
    if not current_app.config['SITE_IS_CLOSED'] or endpoint in ALWAYS_OPEN or endpoint.endswith('.static'):
        return None
    if current_user.is_admin() or finishes_task_in_hand():
        return None
    g.site_closed = True
    if getattr(current_app.view_functions.get(endpoint), 'answers_json', False):
        abort(
            HTTPStatus.UNAVAILABLE, gettext('The site is closed for a while. Your answer is not lost: try again later.')
        )
    return make_response(page('index.html', task_types=[]), HTTPStatus.UNAVAILABLE)


def finishes_task_in_hand() -> bool:
    """Whether this is the answer to a task that was handed out before the site closed: it is still taken."""
    path = request.view_args or {}
    task_type = current_app.task_types.get(path.get('type_id', '')) if request.endpoint == 'done' else None
    return bool(task_type and current_user.is_authenticated and task_type.has_in_hand(me(), path['task_id']))


def keep_people_apart() -> None:
    """Refuse what comes from a page that was made for somebody else: people may share a browser, and leave tabs open."""
    meant = request.headers.get('X-Vulyk-User')  # sent by base.js
    if not meant or current_user.is_anonymous or meant == str(current_user.id) or request.endpoint == 'session_info':
        return
    abort(HTTPStatus.UNAUTHORIZED, gettext('Somebody else is signed in now. Please sign in again.'))


def me() -> User:
    """Who is signed in, as a document that outlives the request: receivers of signals may keep it."""
    return current_user._get_current_object()


def sign_in() -> 'ResponseReturnValue':
    """Form and check of local accounts: e-mail address and password."""
    next_url = safe_path(request.values.get('next'))
    if current_user.is_authenticated:
        return redirect(next_url)
    if request.method == 'GET':
        return page('sign_in.html', error=None, email='', next_url=next_url)
    email, password = request.form.get('email', ''), request.form.get('password', '')
    limit_attempts('sign-in', email)
    user = User.get_by_email(email)
    if user is None:
        passwords.waste_time()
    if user is None or not user.check_password(password):
        error = gettext('This e-mail address and password do not belong together.')
        return make_response(page('sign_in.html', error=error, email=email, next_url=next_url), HTTPStatus.UNAUTHORIZED)
    enter(user, lasting='remember' in request.form)
    return redirect(next_url)


def limit_attempts(kind: str, account: str = '') -> None:
    """Count an attempt of this kind by whoever asks, as the setting ``RATE_LIMITS`` says.

    :param kind: a key of the setting: attempts from one network; with ``:account`` behind it, from there for one account.
    :param account: the name or address of the account that is tried, written in whatever way.
    :raises RateLimitError: it is too many.
    """
    rates, network = current_app.config['RATE_LIMITS'], network_of(request.remote_addr)
    now = datetime.now(UTC)
    count_attempt(kind, network, rates.get(kind), now)
    if account:
        count_attempt(f'{kind}:account', f'{network} {account.strip().casefold()}', rates.get(f'{kind}:account'), now)


def logout() -> BaseResponse:
    """End the session of whoever calls, here and in the database."""
    if current_user.is_authenticated:
        current_user.end_session(current_user.session_id)
    session.clear()
    logout_user()  # last, because it leaves a note in the session that has the cookie of "stay signed in" deleted
    return redirect(url_for('index'))


def demo_sign_in(role: str) -> BaseResponse:
    """Sign in as one of the two demo accounts; anywhere but in the demo instance there is no such page."""
    if role not in demo.ACCOUNTS or not demo.is_demo(current_app):
        abort(HTTPStatus.NOT_FOUND)
    user, version = demo.account(role), current_app.config['TERMS_VERSION']
    if version and not user.agrees_to(version):  # nobody is asked who only looks around
        user.agree_to(version)
    enter(user)
    return redirect(safe_path(request.form.get('next')))


def enter(user: User, *, lasting: bool = False) -> None:
    """Start a session of this user; what an anonymous session held is dropped, so that nobody can plant one.

    :param lasting: it outlives the browser's window, as long as ``REMEMBER_COOKIE_DURATION`` says.
    """
    session.clear()
    config = current_app.config
    lifetime = config['PERMANENT_SESSION_LIFETIME']
    if lasting:
        lifetime = timedelta(seconds=config['REMEMBER_COOKIE_DURATION'])
    agent, address = request.user_agent.string, request.remote_addr or ''
    user.start_session(lifetime, lasting=lasting, agent=agent, address=address)
    login_user(user, remember=lasting)


def safe_path(target: str | None) -> str:
    """Where to go next: a path of this site, or the home page if ``target`` is anything else."""
    return target if target and len(target) <= MAX_NEXT and is_own_path(target) else url_for('index')


@answers_json
def session_info() -> Response:
    """Who is signed in, and the token that the next POST has to carry."""
    user_id = str(current_user.id) if current_user.is_authenticated else None
    return json_response({'user': user_id, 'csrf': generate_csrf()})


def choose_theme() -> BaseResponse:
    """Keep ``light`` or ``dark`` in this browser; anything else: follow the system again."""
    response = redirect(safe_path(request.form.get('next')))
    theme, path = request.form.get('theme', ''), request.script_root or '/'
    if theme in THEMES:
        response.set_cookie(THEME_COOKIE, theme, max_age=A_YEAR, path=path, httponly=True, samesite='Lax')
    else:
        response.delete_cookie(THEME_COOKIE, path=path)
    return response


def chosen_theme() -> str:
    """``light`` or ``dark`` if that was chosen in this browser; '' if the system decides."""
    theme = request.cookies.get(THEME_COOKIE, '')
    return theme if theme in THEMES else ''


# --- pages ------------------------------------------------------------------------------------------------------------


def index() -> 'ResponseReturnValue':
    """The public page, or the projects of whoever is signed in."""
    if current_user.is_anonymous:
        return page('index.html', task_types=[], **_landing.get(f'{get_locale()} {request.script_root}'))
    mine = my_kinds()
    came_from_sign_in = current_app.config['REDIRECT_USER_AFTER_LOGIN'] and len(mine) == 1
    if came_from_sign_in:
        return redirect(url_for('task_home', type_id=mine[0].type_name))
    cards = [card(kind) for kind in mine]
    last = figures.last_project(current_user.id)
    on = next((one for one in cards if one['type'] == last and one['has_tasks']), None)
    return page('index.html', task_types=cards, go_on=on, today=answers_today(), site=site_figures(cards))


def _read_landing(_: str) -> dict[str, Any]:
    everybody = Group.objects(pk=DEFAULT_GROUP).first()
    names = everybody.allowed_types if everybody else []
    cards = [card(kind) for name, kind in current_app.task_types.items() if name in names]
    return {'projects': cards, 'site': site_figures(cards)}


# ``projects``, those of whoever registers, and ``site``; visitors cost the database no more than one of them every ten seconds.
_landing = Recent(_read_landing, seconds=10)


def my_kinds() -> list['AbstractTaskType']:
    """The projects that whoever is signed in may work on."""
    return [kind for name, kind in current_app.task_types.items() if current_user.is_eligible_for(name)]


def card(kind: 'AbstractTaskType') -> dict[str, Any]:
    """What home pages tell of a project: ``to_dict()``, its batches, and

    ``picture`` (an address or ''), ``needs``, ``seconds`` (of work on one task,
    measured, or estimated by the plugin; 0: not known), ``active`` (people).
    """
    folder = f'{current_app.config["COLLECT_PLUGIN_DIR_PREFIX"]}{kind.package}'
    return {
        **kind.to_dict(),
        **open_batches(kind.type_name),
        'picture': url_for('static', filename=f'{folder}/{kind.picture}') if kind.picture else '',
        'needs': kind.needs,
        'seconds': figures.seconds_per_task().get(kind.type_name, kind.seconds_per_task),
        'active': figures.active_people().get(kind.type_name, 0),
    }


def site_figures(cards: list[dict[str, Any]]) -> dict[str, int]:
    """Numbers of the whole site: ``tasks``, ``closed``, ``answers``, ``people`` (who gave them) and ``active`` ones.

    :param cards: what is known already of some projects; the others are counted.
    """
    known = {one['type']: (one.get('tasks', 0), one.get('closed_tasks', 0)) for one in cards}
    counts = [known.get(name) or kind.task_counts() for name, kind in current_app.task_types.items()]
    tasks, closed = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    return {'tasks': tasks, 'closed': closed, **figures.totals()._asdict()}


def answers_today() -> int:
    """How many answers I have given today, in all projects."""
    return WorkSession.number_today(me(), None, datetime.now(UTC))


def open_batches(type_name: str) -> dict[str, Any]:
    """What home pages tell of the batches in work: ``batches``, the first of them, whether there are more, ``languages``."""
    described = Q(title__exists=True) | Q(description__exists=True)
    found = Batch.objects(described, task_type=type_name, closed__ne=True, paused__ne=True)
    first = found.order_by('-priority', 'created_at').only(*FACTS)[:READ_BATCHES]
    # Batches that differ in nothing people are told are one to them.
    told = list({str(shown): shown for shown in (batch_for_page(batch.facts) for batch in first)}.values())
    languages = sorted({language_name(shown['lang']) for shown in told if 'lang' in shown})
    return {'batches': told[:SHOWN_BATCHES], 'more_batches': len(told) > SHOWN_BATCHES, 'languages': languages}


def language_name(tag: str) -> str:
    """What readers of the site call a language; the tag itself if nobody knows it."""
    try:
        return Locale.parse(tag, sep='-').get_display_name(get_locale()) or tag
    except (UnknownLocaleError, ValueError):
        return tag


@login_required
def task_home(type_id: str) -> str:
    """The page on which the tasks of one type are solved."""
    task_type = my_task_type(type_id)
    g.frontend = task_type.frontend
    return page(
        'task.html',
        task_type=task_type,
        help_template=help_template(task_type),
        guide=guide(task_type),
        progress=project_progress(task_type),
        stats=current_user.get_stats(task_type),
        today=WorkSession.number_today(me(), type_id, task_type.clock()),
    )


@login_required
def leaders(type_id: str) -> str:
    """The ten best of one type, and one's own place."""
    task_type = my_task_type(type_id)
    stats = current_user.get_stats(task_type)
    my_rank = {'rank': stats['position'], 'freq': stats['total']} if stats['total'] else None
    named = [row for row in task_type.get_leaderboard(10) if not getattr(row['user'], 'hidden', False)]
    return page('leaderboard.html', task_type=task_type, leaders=named, my_rank=my_rank, kinds=my_kinds())


# --- work -------------------------------------------------------------------------------------------------------------


@answers_json
def next_page(type_id: str) -> Response:
    """The next task of this type for me; with ``?ahead=n`` up to n more, whose places are kept for me."""
    task_type = my_task_type(type_id)
    number = number_of_tasks_ahead()
    task, stats, files, batch_id = task_type.next_with_stats(me())
    if not task:
        return nothing_left(waiting=task_type.may_come_back(me()))
    result = {'task': with_surroundings(type_id, task, files, batch_id), 'stats': stats}
    if number:
        more = task_type.get_ahead(me(), number)
        batches = task_type.batches_of(task['id'] for task, _ in more)
        result['ahead'] = [with_surroundings(type_id, task, files, batches.get(task['id'])) for task, files in more]
    return json_response(result)


def nothing_left(*, waiting: bool) -> Response:
    """There is no task for me; ``waiting``: others have tasks in hand that may come back."""
    response = json_response({'waiting': True} if waiting else {}, [NOTHING_LEFT], HTTPStatus.NOT_FOUND)
    if waiting:
        response.headers['Retry-After'] = '60'
    return response


def with_surroundings(
    type_id: str, task: dict[str, Any], files: dict[str, str], batch_id: str | None
) -> dict[str, Any]:
    """The task with what the page needs besides, as far as there is any.

    :returns: the task, with ``media`` and ``srcset`` (:func:`media_addresses`), ``lang`` (language of its content: its
        own, else that of its batch) and ``batch`` (what people are told about that: :func:`batch_for_page`).
    """
    data = task.get('data')
    own = data.get('lang') if isinstance(data, dict) else None
    told = facts_of(type_id, batch_id)
    more = {
        **(media_addresses(type_id, files) if files else {}),
        'lang': own if is_language(own) else told.get('lang'),
        'batch': {'id': batch_id, **batch_for_page(told)} if told else None,
    }
    return {**task, **{name: value for name, value in more.items() if value}}


def media_addresses(type_id: str, files: dict[str, str]) -> dict[str, dict[str, str]]:
    """Where the files of a task are.

    :param files: ``{path: SHA-256}``.
    :returns: ``media``: ``{path: address}``; ``srcset``: the same for pictures that exist in several widths, as browsers
        choose from them. Whoever saves data gets nothing wider than the smaller ones.
    """
    widths = media_storage.widths_of(list(files.values()))
    saves_data = request.headers.get('Save-Data', '').lower() == 'on'
    media, srcset = {}, {}
    for path, digest in files.items():
        address = url_for('media', type_id=type_id, digest=digest)
        choice = {width: f'{address}?width={width}' for width in WIDTHS if width < widths.get(digest, 0)}
        if choice and not saves_data:
            choice[widths[digest]] = address
        media[path] = choice[max(choice)] if choice else address
        if len(choice) > 1:
            srcset[path] = ', '.join(f'{url} {width}w' for width, url in choice.items())
    return {'media': media, 'srcset': srcset}


def batch_for_page(told: dict[str, Any]) -> dict[str, str]:
    """Facts of a batch in the language of the site; ``help`` is HTML without anything that could run."""
    shown = to_public(told, str(get_locale()))
    return {**shown, 'help': nh3.clean(shown['help'])} if 'help' in shown else shown


def number_of_tasks_ahead() -> int:
    """How many tasks the browser wants in advance: ``?ahead=n``, at most ``MAX_TASKS_AHEAD``."""
    text = request.args.get('ahead', '0')
    if not text.isascii() or not text.isdigit():
        raise MalformedResultError(gettext('ahead: must be a whole number, not “%(text)s”.', text=text))
    most = current_app.config['MAX_TASKS_AHEAD']
    return min(int(text), most) if len(text) < 10 else most


@answers_json
def activity(type_id: str, task_id: str) -> Response:
    """Count seconds of work on a task, and keep my place in it."""
    task_type = my_task_type(type_id)
    text = request.form.get('seconds', '')
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise MalformedResultError(gettext('seconds: must be a whole number of seconds.'))
    task_type.record_activity(current_user.id, task_id, int(text))
    return json_response({'done': True})


@answers_json
def withdraw(type_id: str, task_id: str) -> Response:
    """Take back my answer to a task."""
    my_task_type(type_id).withdraw_answer(me(), task_id)
    return json_response({'done': True})


@answers_json
def return_ahead(type_id: str) -> Response:
    """Give back the tasks that were fetched ahead."""
    return json_response({'returned': my_task_type(type_id).return_ahead(me())})


@answers_json
def skip(type_id: str, task_id: str) -> Response:
    """Put a task aside."""
    my_task_type(type_id).skip_task(task_id=task_id, user=me())
    return json_response({'done': True})


@answers_json
def done(type_id: str, task_id: str) -> Response:
    """Store my answer to a task; a header tells if it came when the task had enough already."""
    task_type = my_task_type(type_id)
    result, seconds = posted_result(), active_seconds()
    more: dict[str, Any] = {'limits': task_type.limits, **({'activity': seconds} if seconds else {})}
    known = {name: value for name, value in more.items() if accepts(task_type.on_task_done, name)}
    answer = task_type.on_task_done(me(), task_id, result, **known)
    response = json_response({'done': True})
    if getattr(answer, 'extra', False):
        response.headers['X-Vulyk-Extra'] = '1'
    return response


@answers_json
def task_progress(type_id: str, task_id: str) -> Response:
    """How far the batch of a task and the whole project are."""
    task_type = my_task_type(type_id)
    batch_id = AbstractTask.objects(pk=task_id, task_type=type_id).no_dereference().scalar('batch').first()
    batch = Batch.objects(pk=getattr(batch_id, 'id', batch_id)).first() if batch_id else None
    facts = {'id': batch.id, 'tasks': batch.tasks_count, 'closed': batch.tasks_processed} if batch else None
    return json_response({'progress': {'batch': facts, 'project': project_progress(task_type)}})


@answers_json
def media(type_id: str, digest: str) -> Response:
    """A file that a task shows, or the part asked for; ``?width=`` one of ``WIDTHS``: a picture made smaller."""
    my_task_type(type_id)
    file = media_storage.find(digest, type_id)
    if file is None:
        abort(HTTPStatus.NOT_FOUND, gettext('There is no such file.'))
    made = media_storage.smaller(file, request.args.get('width', 0, int))
    if made:
        response, size = Response(made[0], content_type=made[1]), len(made[0])
    else:
        body, size = wrap_file(request.environ, file, CHUNK_BYTES), file.length
        response = Response(body, content_type=file.metadata['type'], direct_passthrough=True)
        response.content_length = size
    response.headers['Cache-Control'] = f'private, max-age={A_YEAR}, immutable'
    response.headers['Content-Security-Policy'] = "default-src 'none'; sandbox"
    response.set_etag(digest if made is None else f'{digest}.{request.args["width"]}')
    return response.make_conditional(request, accept_ranges=True, complete_length=size)


def active_seconds() -> int:
    """Seconds of work that the page has not reported yet; it sends them with the answer. Nonsense counts as none."""
    text = request.form.get('activity', '')
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else 0


def posted_result() -> dict[str, Any]:
    """The result in the request: the form field ``result`` or the key ``result`` of a JSON body.

    :raises MalformedResultError: missing, or not a JSON object that can be stored.
    """
    limit = current_app.config['MAX_RESULT_BYTES']
    if request.is_json:
        body = parse_json_object(_limited(request.get_data(), limit), what='body')
        if not isinstance(body.get('result'), dict):
            raise MalformedResultError(gettext('result: the body must be {"result": {…}}.'))
        return body['result']
    text = request.form.get('result')
    if text is None:
        raise MalformedResultError(gettext('result: this field is missing.'))
    if not text.strip():
        raise MalformedResultError(gettext('result: this field is empty.'))
    return parse_json_object(_limited(text.encode('utf-8', 'surrogatepass'), limit))


def _limited(data: bytes, limit: int) -> bytes:
    if len(data) > limit:
        raise ResultTooLargeError(
            gettext(
                'result: %(size)s bytes are more than the %(limit)s this site takes.',
                size=f'{len(data):,}',
                limit=f'{limit:,}',
            )
        )
    return data


# --- helpers ----------------------------------------------------------------------------------------------------------


def page(name: str, **context: Any) -> str:
    """Render a page, from the theme if it has one of that name."""
    path = get_template_path(current_app, name)
    if path != f'base/{name}' and 'frontend' not in g:
        g.frontend = current_app.config['THEME_FRONTEND']
    return render_template(path, **context)


def my_task_type(type_id: str) -> 'AbstractTaskType':
    """The task type of that name, if somebody is signed in who may work on it."""
    if current_user.is_anonymous:
        abort(HTTPStatus.UNAUTHORIZED, gettext('You are not signed in (any more). Please sign in.'))
    return resolve_task_type(type_id, current_app.task_types, current_user)


@login_required
def task_preview(type_id: str, task_id: str) -> str:
    """A task on the page of its project, for those who look after it: nothing is handed out, nothing is stored."""
    task_type = my_task_type(type_id)
    if not current_user.may_manage(type_id):
        abort(HTTPStatus.FORBIDDEN)
    task = AbstractTask.objects(pk=task_id, task_type=type_id).no_dereference().first()
    if task is None:
        abort(HTTPStatus.NOT_FOUND)
    batch = getattr(task.batch, 'id', None)
    g.frontend = task_type.frontend
    return page(
        'task.html',
        task_type=task_type,
        help_template=help_template(task_type),
        preview=with_surroundings(type_id, task.as_dict(), dict(task.media or {}), batch),
    )


def help_template(task_type: 'AbstractTaskType') -> str | None:
    """The help of a task type, None if the plugin has none."""
    if not task_type.helptext_template:
        return None
    path = f'{task_type.type_name}/{task_type.helptext_template}'
    return path if path in current_app.jinja_env.list_templates() else None


def guide(task_type: 'AbstractTaskType') -> dict[str, Any] | None:
    """What a first visit begins with, ``{'tour': templates, 'practice': tasks}``; pages of older plugins have none."""
    if task_type.frontend != 'bootstrap5':
        return None
    names = [f'{task_type.type_name}/{name}' for name in (task_type.tour, task_type.examples) if name]
    return {'tour': names, 'practice': practice_tasks(task_type)}


def practice_tasks(task_type: 'AbstractTaskType') -> list[dict[str, Any]]:
    """The tasks of the file ``practice`` names, with addresses of their files, and what is said to an answer."""
    if not task_type.practice:
        return []
    folder = f'{current_app.config["COLLECT_PLUGIN_DIR_PREFIX"]}{task_type.package}/{Path(task_type.practice).parent}'
    language = str(get_locale())
    tasks = []
    for item in read_practice(files(task_type.package) / task_type.practice):
        paths = [item['data'][field] for field in task_type.media_fields if field in item['data']]
        media = {path: url_for('static', filename=f'{folder}/{path}') for path in paths}
        said = {key: in_language(item[key], language) for key in ('right', 'wrong')}
        tasks.append({'data': item['data'], 'media': media, 'results': item['results'], **said})
    return tasks


@cache
def read_practice(path: 'Traversable') -> list[dict[str, Any]]:
    """The lines of a practice file; the files of a plugin do not change while the site runs."""
    return [json.loads(line) for line in path.read_text(encoding='utf-8').splitlines() if line.strip()]


def project_progress(task_type: 'AbstractTaskType') -> dict[str, int]:
    """Numbers of all tasks and of closed tasks of a type."""
    facts = task_type.to_dict()
    return {'tasks': facts['tasks'], 'closed': facts['closed_tasks']}
