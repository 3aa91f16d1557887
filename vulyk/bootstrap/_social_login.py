"""Who is signed in, and how people sign in through other services."""

from functools import partial
from typing import TYPE_CHECKING, Any

import social_flask.routes
from bson import ObjectId
from flask import abort, current_app, g, make_response, render_template, request, session
from flask_login import LoginManager, current_user, login_required
from pymongo.errors import PyMongoError
from social_core.actions import do_auth, do_complete, do_disconnect
from social_core.exceptions import SocialAuthBaseException
from social_flask.utils import psa
from werkzeug.exceptions import HTTPException

from vulyk import social
from vulyk.models import database
from vulyk.models.exc import InitializationError, RateLimitError
from vulyk.models.progress import Progress
from vulyk.models.social import SocialAccount, SocialAssociation, SocialCode, SocialNonce, SocialPartial
from vulyk.models.user import ALONG, Anonymous, User
from vulyk.pages import enter, limit_attempts, safe_path
from vulyk.utils import HTTPStatus

if TYPE_CHECKING:
    from flask import Flask
    from flask_mongoengine import MongoEngine
    from werkzeug.wrappers import Response


def init_social_login(app: 'Flask', db: 'MongoEngine') -> None:
    """Set up the login manager, and the routes of social-auth-app-flask: ``/login/…``, ``/complete/…``, ``/disconnect/…``.

    Pages of signed-in people send others to the sign-in page and back.

    :param db: the database wrapper, as documented; accounts live in mongoengine's default connection.
    """
    manager = LoginManager()
    manager.anonymous_user = Anonymous
    manager.login_view = 'sign_in'
    manager.login_message = None
    manager.user_loader(load_user)
    manager.init_app(app)
    app.extensions[ALONG] = {'next_page': lambda type_id: partial(Progress.along, type_id)}

    social.init(app)
    database.add_models(SocialAccount, SocialNonce, SocialAssociation, SocialCode, SocialPartial)
    app.before_request(prepare_social_request)
    app.register_blueprint(social_flask.routes.social_auth)
    app.view_functions['social.auth'] = friendly(begin)
    app.view_functions['social.complete'] = friendly(complete)
    app.view_functions['social.disconnect'] = friendly(unlink)


def load_user(text: str) -> User | None:
    """Who a cookie names, and what the request is going to need with him: one question gets both."""
    along = current_app.extensions[ALONG].get(request.endpoint)
    return User.get_by_session(text, along and along(**(request.view_args or {})))


def prepare_social_request() -> None:
    """What the routes of social-auth-app-flask expect; a service that is not configured is not there."""
    if request.blueprint != 'social' or request.view_args is None:
        return
    name = request.view_args['backend']
    request.view_args['backend'] = name = social.FORMER.get(name, name)
    if name not in social.services():
        abort(HTTPStatus.NOT_FOUND)
    g.user = current_user._get_current_object() if current_user.is_authenticated else None


def friendly(view: Any) -> Any:
    """Show a page that says what to do for whatever goes wrong with a service."""

    def guarded(**arguments: Any) -> Any:
        try:
            return view(**arguments)
        except (HTTPException, PyMongoError, InitializationError, RateLimitError):
            raise
        # Services answer with whatever they like, and the code that reads it stumbles in as many ways.
        except Exception as error:
            return explained(error, arguments['backend'])

    return guarded


def explained(error: Exception, name: str) -> 'Response':
    """The page, and a line in the log: the reason, never what the service sent, which may hold keys."""
    if isinstance(error, SocialAuthBaseException):
        current_app.logger.warning('%s: %s at stage %s: %s', name, error.code, error.stage, error)
    else:
        current_app.logger.warning('%s: the answer cannot be understood', name, exc_info=error)
    service = social.services().get(name)
    status, message = social.explain(error, service.title if service else name)
    page = render_template('base/social_error.html', status=int(status), message=message, next_url=session.get('next'))
    return make_response(page, int(status))


@psa('social.complete')
def begin(backend: str) -> Any:
    """Leave for the service. By GET only a button is shown: following a link must not sign anybody in."""
    if request.method != 'POST':
        return render_template(
            'base/social_start.html', service=social.services()[backend], next_url=safe_path(request.args.get('next'))
        )
    limit_attempts('service')
    response = do_auth(g.backend)
    session['next'] = safe_path(request.form.get('next'))
    session['invitation'] = request.form.get('invitation', '')[:200]  # whoever is new needs it on the way back
    return response


@psa('social.complete')
def complete(backend: str) -> Any:
    """Come back from the service."""
    return do_complete(g.backend, login=lambda backend, user, social_user: enter(user), user=g.user)


@login_required
@psa()
def unlink(backend: str, association_id: Any = None) -> Any:
    """Remove a link, or all links to this service."""
    if association_id is not None and not ObjectId.is_valid(str(association_id)):
        abort(HTTPStatus.NOT_FOUND)
    return do_disconnect(g.backend, g.user, association_id and str(association_id))
