"""Signing in through other services: which there are, what they are asked, and what their accounts become here."""

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import current_app, render_template, request
from flask_babel import gettext, lazy_gettext
from social_core.exceptions import (
    AuthCanceled,
    AuthConfigurationError,
    AuthInputError,
    AuthPolicyError,
    AuthSessionError,
    SocialAuthBaseException,
)
from social_core.strategy import BaseStrategy
from social_core.utils import module_member
from social_flask.strategy import FlaskStrategy

from vulyk.models.exc import InitializationError
from vulyk.models.social import SocialAccount, has_way_in
from vulyk.models.user import User
from vulyk.utils import HTTPStatus

if TYPE_CHECKING:
    from flask import Flask

EXTENSION = 'vulyk_sign_in_services'
MAX_ATTEMPTS = 5  # begun at the same time in one browser: each takes a place in the cookie of the session


class Service(NamedTuple):
    """A service to sign in through: its name in addresses, its title on buttons, the class that speaks with it."""

    name: str
    title: Any
    backend: str


KNOWN = (
    Service('google-oauth2', 'Google', 'social_core.backends.google.GoogleOAuth2'),
    Service('github', 'GitHub', 'social_core.backends.github.GithubOAuth2'),
    Service('facebook', 'Facebook', 'social_core.backends.facebook.FacebookOAuth2'),
    Service('twitter-oauth2', 'X', 'social_core.backends.twitter_oauth2.TwitterOAuth2'),
    Service('vk-oauth2', lazy_gettext('VK'), 'social_core.backends.vk.VKOAuth2'),
    Service('oidc', 'OpenID Connect', 'social_core.backends.open_id_connect.OpenIdConnectAuth'),
)
FORMER = {'twitter': 'twitter-oauth2'}
# These take anybody's word for who he is: whoever names an address is signed in as its owner.
UNSAFE = ('social_core.backends.email.EmailAuth', 'social_core.backends.username.UsernameAuth')
DEFAULTS = {
    'SOCIAL_AUTH_STORAGE': 'vulyk.models.social.Storage',
    'SOCIAL_AUTH_STRATEGY': 'vulyk.social.Strategy',
    'SOCIAL_AUTH_STATE_LIFETIME': 600,  # seconds between leaving for the service and coming back
    'SOCIAL_AUTH_GITHUB_SCOPE': ['user:email'],
    'SOCIAL_AUTH_FACEBOOK_SCOPE': ['email'],
    'SOCIAL_AUTH_FACEBOOK_PROFILE_EXTRA_PARAMS': {'fields': 'id,name,email'},
    'SOCIAL_AUTH_VK_OAUTH2_SCOPE': ['email'],
    'SOCIAL_AUTH_OIDC_USE_PKCE': True,
    'SOCIAL_AUTH_PIPELINE': [
        'social_core.pipeline.social_auth.social_details',
        'social_core.pipeline.social_auth.social_uid',
        'social_core.pipeline.social_auth.auth_allowed',
        'social_core.pipeline.social_auth.social_user',
        'vulyk.social.refuse_switched_off',
        'vulyk.accounts.newcomers.join',
        'social_core.pipeline.social_auth.associate_user',
        'social_core.pipeline.social_auth.load_extra_data',
    ],
    'SOCIAL_AUTH_DISCONNECT_PIPELINE': [
        'vulyk.social.keep_a_way_in',
        'social_core.pipeline.disconnect.get_entries',
        'social_core.pipeline.disconnect.disconnect',
    ],
}


# --- settings -------------------------------------------------------------------------------------------------------------


def init(app: 'Flask') -> None:
    """Find out which services are configured; ``app.extensions[EXTENSION]`` maps their names to them.

    :raises InitializationError: a class of ``SOCIAL_AUTH_AUTHENTICATION_BACKENDS`` that cannot be used.
    """
    config = app.config
    for name, value in DEFAULTS.items():
        if config.get(name) is None:
            config[name] = value
    if config['SOCIAL_AUTH_TWITTER_KEY'] and not config['SOCIAL_AUTH_TWITTER_OAUTH2_KEY']:
        warnings.warn(
            'SOCIAL_AUTH_TWITTER_KEY and …_SECRET are now used for X; call them '
            'SOCIAL_AUTH_TWITTER_OAUTH2_KEY and …_SECRET before Vulyk 2.0. X has to know '
            '/complete/twitter-oauth2/ as callback.',
            DeprecationWarning,
            stacklevel=2,
        )
        app.logger.warning('SOCIAL_AUTH_TWITTER_KEY is deprecated: call it SOCIAL_AUTH_TWITTER_OAUTH2_KEY.')
        for part in ('KEY', 'SECRET'):
            config[f'SOCIAL_AUTH_TWITTER_OAUTH2_{part}'] = config[f'SOCIAL_AUTH_TWITTER_{part}']
    services = [service for service in [*KNOWN, *_further(config)] if _is_configured(app, service)]
    config['SOCIAL_AUTH_AUTHENTICATION_BACKENDS'] = [service.backend for service in services]
    app.extensions[EXTENSION] = {service.name: service for service in services}
    if 'oidc' in app.extensions[EXTENSION]:
        app.extensions[EXTENSION]['oidc'] = KNOWN[-1]._replace(title=config['SOCIAL_AUTH_OIDC_TITLE'])


def _further(config: Any) -> list[Service]:
    """The services that an operator has added, by the dotted names of their classes."""
    paths = config.get('SOCIAL_AUTH_AUTHENTICATION_BACKENDS') or ()
    if isinstance(paths, str):
        raise InitializationError(
            gettext('SOCIAL_AUTH_AUTHENTICATION_BACKENDS must be a list of dotted names, not a text.')
        )
    known = {service.name for service in KNOWN} | set(FORMER)
    found = []
    for path in paths:
        if path in UNSAFE:
            raise InitializationError(
                gettext(
                    'SOCIAL_AUTH_AUTHENTICATION_BACKENDS: %(path)s checks no password; local accounts need '
                    'no entry here.',
                    path=path,
                )
            )
        try:
            backend = module_member(path)
        except (ImportError, AttributeError, ValueError) as error:
            raise InitializationError(
                gettext(
                    'SOCIAL_AUTH_AUTHENTICATION_BACKENDS: %(path)s cannot be imported: %(reason)s',
                    path=path,
                    reason=error,
                )
            ) from error
        if backend.name not in known:
            found.append(Service(backend.name, backend.title or backend.name.title(), path))
    return found


def _is_configured(app: 'Flask', service: Service) -> bool:
    prefix = 'SOCIAL_AUTH_' + service.name.upper().replace('-', '_')
    needed = ['KEY', 'SECRET', *(['OIDC_ENDPOINT'] if service.name == 'oidc' else [])]
    missing = [f'{prefix}_{part}' for part in needed if not app.config.get(f'{prefix}_{part}')]
    if missing and app.config.get(f'{prefix}_KEY'):
        app.logger.warning('Nobody can sign in through %s: %s is missing.', service.title, ' and '.join(missing))
    return not missing


def services() -> dict[str, Service]:
    """The services of this site, by name, in the order of their buttons."""
    found: dict[str, Service] = current_app.extensions[EXTENSION]
    return found


# --- Flask ----------------------------------------------------------------------------------------------------------------


class Strategy(FlaskStrategy):  # type: ignore[misc]
    """How social-auth-core speaks with Flask: the class of 2017, with what version 7 asks for."""

    request_data = BaseStrategy.request_data

    def get_request_data(self, merge: bool = True) -> Any:
        """What was sent: all, or without ``merge`` what belongs to the method."""
        if not merge:
            return request.form if request.method == 'POST' else request.args
        data = request.form.copy()
        data.update(request.args)
        return data

    def request_is_secure(self) -> bool:
        return request.is_secure

    def request_path(self) -> str:
        return request.path

    def request_port(self) -> int:
        host, _, port = request.host.rpartition(':')
        return int(port) if host and port.isdigit() else (443 if request.is_secure else 80)

    def request_get(self) -> Any:
        return request.args.copy()

    def request_post(self) -> Any:
        return request.form.copy()

    def html_with_headers(self, content: str, headers: Any) -> Any:
        response = self.html(content)
        response.headers.update(headers)
        return response

    def session_set(self, name: str, value: Any) -> None:
        """Keep something in the session. Of attempts that were begun and never finished only the latest are kept.

        Otherwise some twenty of them make the cookie so large that browsers drop it, and with it whatever else it holds.
        """
        if name.endswith('_oauth2_transaction_index') and len(value) > MAX_ATTEMPTS:
            prefix = name.removesuffix('transaction_index')
            for state in list(value)[:-MAX_ATTEMPTS]:
                del value[state]
                self.session_pop(f'{prefix}state_{state}')
        super().session_set(name, value)

    def redirect(self, url: str) -> Any:
        """Go to a page of the site; for the way to a service a page that leads there.

        Browsers hold the redirects after a form against the ``form-action`` of its page, so a plain one would be stopped.
        """
        if url.startswith(('https:', 'http:')) and request.endpoint == 'social.auth':
            return render_template(
                'base/social_forward.html', url=url, service=services()[request.view_args['backend']]
            )
        return super().redirect(url)


# --- steps of the pipelines -------------------------------------------------------------------------------------------------


def refuse_switched_off(backend: Any, user: User | None = None, **kwargs: Any) -> None:
    """Let nobody in whom an admin has switched off."""
    if user is not None and not user.is_active():
        raise AuthPolicyError(backend, code='inactive', stage='pipeline')


def keep_a_way_in(user: User, name: str, association_id: Any = None, **kwargs: Any) -> None:
    """Refuse to unlink the last account through which somebody can sign in."""
    leaving = SocialAccount.get_social_auth_for_user(user, name, association_id).scalar('id')
    if not has_way_in(user, without=list(leaving), services=list(services())):
        raise AuthPolicyError(code='disconnect_disallowed', stage='disconnect')


# --- what went wrong --------------------------------------------------------------------------------------------------------


def explain(error: Exception, title: Any) -> tuple[int, str]:
    """Status and sentence for something that went wrong on the way to a service, at the service, or on the way back."""
    code = getattr(error, 'code', '')
    said: dict[str, tuple[int, str]] = {
        'inactive': (HTTPStatus.FORBIDDEN, gettext('This account is switched off. Ask whoever runs this site.')),
        'registration_closed': (
            HTTPStatus.FORBIDDEN,
            gettext(
                'New accounts are by invitation only, or not at all. If you have one, sign in and link %(service)s there.',
                service=title,
            ),
        ),
        'email_in_use': (
            HTTPStatus.CONFLICT,
            gettext(
                'There is an account with the e-mail address that %(service)s knows already. Sign in to it first, then '
                'link %(service)s on the page of your account.',
                service=title,
            ),
        ),
        'identity_in_use': (
            HTTPStatus.CONFLICT,
            gettext('This account at %(service)s belongs to another account here.', service=title),
        ),
        'disconnect_disallowed': (
            HTTPStatus.CONFLICT,
            gettext('This is your last way to sign in. Link another service or set a password first.'),
        ),
    }
    if code in said:
        return said[code]
    if isinstance(error, AuthCanceled):
        return HTTPStatus.BAD_REQUEST, gettext(
            'You have not agreed at %(service)s, so nothing was done.', service=title
        )
    if isinstance(error, AuthSessionError | AuthInputError):
        return HTTPStatus.BAD_REQUEST, gettext(
            'This attempt to sign in is over, or it was begun in another browser. Please try once more.'
        )
    if isinstance(error, AuthConfigurationError):
        return HTTPStatus.UNAVAILABLE, gettext('Signing in through %(service)s is not set up correctly.', service=title)
    if isinstance(error, SocialAuthBaseException) and error.source == 'local_policy':
        return HTTPStatus.FORBIDDEN, gettext('This site does not take this account of %(service)s.', service=title)
    return HTTPStatus.BAD_REQUEST, gettext(
        '%(service)s has not answered as it should. Please try again in a minute, or sign in another way.',
        service=title,
    )


def accounts_of(user: User) -> list[dict[str, Any]]:
    """For each service ``{'name', 'title', 'link'}``: the id of a user's link to it, '' if there is none.

    Somebody may have several accounts at a service linked; then there is a row for each.
    """
    links: dict[str, list[str]] = {}
    for link in SocialAccount.of(user):
        links.setdefault(FORMER.get(link.provider, link.provider), []).append(str(link.id))
    return [
        {'name': name, 'title': service.title, 'link': link}
        for name, service in services().items()
        for link in links.get(name, [''])
    ]
