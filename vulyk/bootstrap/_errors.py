"""Turns exceptions into responses: JSON for JSON routes, a page for the others."""

from typing import TYPE_CHECKING

from flask import Response, make_response, render_template
from flask_babel import get_locale, gettext
from flask_wtf.csrf import CSRFError
from pymongo.errors import ConnectionFailure
from werkzeug.exceptions import HTTPException

from vulyk import languages
from vulyk.bootstrap._security import is_json_endpoint
from vulyk.models import exc
from vulyk.pages import chosen_theme
from vulyk.utils import HTTPStatus, get_template_path, json_response

if TYPE_CHECKING:
    from flask import Flask

STATUSES: dict[type[Exception], HTTPStatus] = {
    exc.ResultTooLargeError: HTTPStatus.TOO_LARGE,
    exc.MalformedResultError: HTTPStatus.BAD_REQUEST,
    exc.TaskValidationError: HTTPStatus.UNPROCESSABLE,
    exc.TaskSaveError: HTTPStatus.UNPROCESSABLE,
    exc.AnswerConflictError: HTTPStatus.CONFLICT,
    exc.AnswerWithdrawalError: HTTPStatus.CONFLICT,
    exc.TaskSkipError: HTTPStatus.CONFLICT,
    exc.WorkSessionUpdateError: HTTPStatus.CONFLICT,
    exc.RateLimitError: HTTPStatus.TOO_MANY_REQUESTS,
    exc.TaskPermissionError: HTTPStatus.FORBIDDEN,
    exc.TaskTypeNotFoundError: HTTPStatus.NOT_FOUND,
    exc.TaskNotFoundError: HTTPStatus.NOT_FOUND,
    exc.WorkSessionLookUpError: HTTPStatus.NOT_FOUND,
    exc.DatabaseError: HTTPStatus.UNAVAILABLE,
}


def init(app: 'Flask') -> None:
    """Register the handlers."""
    for kind, status in STATUSES.items():
        app.register_error_handler(kind, lambda error, status=status: respond(app, status, str(error)))
    app.register_error_handler(exc.RateLimitError, lambda error: _too_often(app, error))
    app.register_error_handler(exc.InitializationError, lambda error: _misconfigured(app, error))
    app.register_error_handler(ConnectionFailure, lambda error: _database_away(app, error))
    app.register_error_handler(CSRFError, lambda _: respond(app, HTTPStatus.BAD_REQUEST, _forged()))
    app.register_error_handler(HTTPException, lambda error: _http_error(app, error))


def respond(app: 'Flask', status: int, message: str) -> Response:
    """The error in the form this route answers in."""
    if is_json_endpoint(app):
        return json_response({}, [message], status)
    titles = {
        400: gettext('This request cannot be understood'),
        403: gettext('This is not for you'),
        404: gettext('There is nothing here'),
        429: gettext('Not so fast'),
        503: gettext('We are not available right now'),
    }
    title = titles.get(int(status), gettext('Something went wrong'))
    if status == HTTPStatus.UNAVAILABLE:  # without the database the site's own page cannot be rendered
        return unavailable(app, title, message)
    try:
        page = render_template(get_template_path(app, 'error.html'), status=int(status), title=title, message=message)
    except ConnectionFailure as error:
        return _database_away(app, error)
    return make_response(page, int(status))


def unavailable(app: 'Flask', title: str, message: str) -> Response:
    """A page that asks the database nothing: rendered without what other templates are given."""
    page = app.jinja_env.get_template('base/unavailable.html').render(
        title=title,
        message=message,
        theme=chosen_theme(),
        html_lang=str(get_locale()).replace('_', '-'),
        text_direction=get_locale().text_direction,
    )
    return make_response(page, HTTPStatus.UNAVAILABLE)


def _http_error(app: 'Flask', error: HTTPException) -> Response:
    if error.response is not None:
        return error.response
    if error.code is None or error.code < 400:
        return error.get_response()
    if error.code == 404:
        message = gettext('The address may be mistyped, or the page has moved.')
    elif error.code == 413:
        message = gettext('result: what was sent is larger than this site takes (%(limit)s bytes).', limit=_limit(app))
    else:
        message = _told(error)
    response = respond(app, error.code, message)
    for name, value in error.get_headers():
        if name.lower() not in ('content-type', 'content-length'):
            response.headers.add(name, value)
    return response


def _told(error: HTTPException) -> str:
    """What is said by whoever has raised it, else what its status means."""
    if error.description and error.description != type(error).description:
        return error.description
    meanings = {
        400: gettext('Something in it is missing, or not of the form it should have.'),
        401: gettext('You are not signed in (any more). Please sign in.'),
        403: gettext('Your account may not do this.'),
        405: gettext('This address cannot be used in this way.'),
        429: gettext('This was tried too often. Please wait a minute and try again.'),
        500: gettext('The site has made a mistake, which is in its log now.'),
    }
    return meanings.get(error.code or 500, error.name)


def _limit(app: 'Flask') -> str:
    return f'{app.config["MAX_RESULT_BYTES"]:,}'


def _too_often(app: 'Flask', error: exc.RateLimitError) -> Response:
    minutes = -(-error.seconds // 60)
    if error.is_new_account:
        message = gettext(
            'A new account may give a few answers only. Yours is not lost: send it again in %(number)s hours.',
            number=-(-error.seconds // 3600),
        )
    elif error.seconds < 100:
        message = gettext(
            'This was tried too often. Please wait %(number)s seconds and try again.', number=error.seconds
        )
    else:
        message = gettext('This was tried too often. Please wait %(number)s minutes and try again.', number=minutes)
    response = respond(app, HTTPStatus.TOO_MANY_REQUESTS, message)
    response.headers['Retry-After'] = str(error.seconds)
    return response


def _forged() -> str:
    return gettext('csrf_token: it is missing, too old, or not yours. Reload the page and try again.')


def _misconfigured(app: 'Flask', error: exc.InitializationError) -> Response:
    app.logger.error('%s', error)
    return respond(app, HTTPStatus.UNAVAILABLE, str(error))


def _database_away(app: 'Flask', error: ConnectionFailure) -> Response:
    languages.forget_user()
    app.logger.error('The database is away: %s', error)
    message = gettext('The database does not answer. Nothing you have sent is lost; please try again in a minute.')
    return respond(app, HTTPStatus.UNAVAILABLE, message)
