"""Headers, content security policy and protection against forged requests."""

import ipaddress
import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import current_app, g, request
from flask.sessions import SecureCookieSessionInterface
from flask_login import current_user
from flask_wtf.csrf import CSRFProtect

from vulyk.models.exc import InitializationError
from vulyk.texts import gettext

if TYPE_CHECKING:
    from flask import Flask, Response

INSECURE_KEYS = {'random-secret-key', 'dev', 'secret', 'changeme'}


def init(app: 'Flask') -> None:
    """Protect every state-changing request and put the security headers on every response."""
    app.config['WTF_CSRF_CHECK_DEFAULT'] = False  # checked below, after the question whether somebody is signed in
    csrf = CSRFProtect(app)

    @app.before_request
    def refuse_unsafe_requests() -> None:
        g.csp_nonce = secrets.token_urlsafe(16)
        if request.endpoint == 'static':  # the page that says what is missing needs its styles
            return
        check_secret_key(app)
        # A JSON request of nobody is answered 401 by its view; 400 would hide that the session has expired.
        # A service sends people back from another site; the state they carry says that they left from here.
        is_return = request.endpoint == 'social.complete'
        if not is_return and not (is_json_endpoint(app) and current_user.is_anonymous):
            csrf.protect()

    app.session_interface = SecureSessions()
    app.after_request(add_headers)


def check_secret_key(app: 'Flask') -> None:
    """Raise :class:`InitializationError` unless the site has a secret of its own."""
    if not app.secret_key or app.secret_key in INSECURE_KEYS:
        raise InitializationError(
            gettext(
                "SECRET_KEY is not set (or is a published one). Put SECRET_KEY = '…' into local_settings.py, for instance "
                'with the text that this command prints: python -c "import secrets; print(secrets.token_hex(32))"'
            )
        )


class SecureSessions(SecureCookieSessionInterface):
    """Sessions in signed cookies that travel over HTTPS only, wherever that can be expected."""

    def get_cookie_secure(self, app: 'Flask') -> bool:
        """Whether the cookie is marked ``Secure``."""
        return cookies_are_secure()


def cookies_are_secure() -> bool:
    """``SESSION_COOKIE_SECURE``; if that is None, yes, except for a site without HTTPS on one's own machine."""
    wanted: bool | None = current_app.config['SESSION_COOKIE_SECURE']
    return wanted if wanted is not None else request.is_secure or not is_local(request.host)


def is_local(host: str) -> bool:
    """Whether a host, with or without port, is this very machine."""
    name = urlsplit(f'//{host}').hostname or ''
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == 'localhost' or name.endswith('.localhost')


def is_json_endpoint(app: 'Flask') -> bool:
    """Whether this request goes to a route that answers JSON, also when it comes with the wrong method."""
    endpoint = request.endpoint
    methods = getattr(request.routing_exception, 'valid_methods', None)
    if endpoint is None and methods:
        adapter = app.create_url_adapter(request)
        endpoint = adapter.match(method=methods[0])[0] if adapter else None
    return getattr(app.view_functions.get(endpoint), 'answers_json', False)


def add_headers(response: 'Response') -> 'Response':
    """Headers for browsers; the policy depends on what the page has to run."""
    response.headers.setdefault('X-Content-Type-Options', 'nosniff')
    response.headers.setdefault('X-Frame-Options', 'SAMEORIGIN')
    response.headers.setdefault('Referrer-Policy', 'same-origin')
    response.headers.setdefault('Permissions-Policy', current_app.config['PERMISSIONS_POLICY'])
    response.headers.setdefault('Cross-Origin-Opener-Policy', 'same-origin')
    if request.is_secure and current_app.config['HSTS_SECONDS']:
        response.headers['Strict-Transport-Security'] = f'max-age={int(current_app.config["HSTS_SECONDS"])}'
    if cookies_are_secure():  # Flask-Login marks its own cookie by a setting, which cannot say “except at localhost”
        cookies = response.headers.getlist('Set-Cookie')
        response.headers.setlist('Set-Cookie', [one if '; Secure' in one else f'{one}; Secure' for one in cookies])
    if response.mimetype == 'text/html':
        response.headers.setdefault('Content-Security-Policy', _policy())
        response.headers.setdefault('Cache-Control', 'no-store')
    return response


def _policy() -> str:
    """The policy of this page: strict, looser for plugins of the old kind, inline handlers for flask-admin."""
    config = current_app.config
    kind = 'admin' if request.path.startswith('/admin') else g.get('frontend', 'site')
    nonce = f"'nonce-{g.get('csp_nonce', '')}'"
    origins = config['MEDIA_ORIGINS']
    policy = {
        'default-src': ["'self'"],
        'base-uri': ["'self'"],
        'form-action': ["'self'"],
        'frame-ancestors': ["'self'"],
        'object-src': ["'none'"],
        'script-src': ["'self'", nonce],
        'style-src': ["'self'"],
        'img-src': ["'self'", 'data:', 'blob:', *origins],
        'media-src': ["'self'", 'data:', 'blob:', *origins],
        'frame-src': ["'self'", *origins],
    }
    if kind == 'legacy':
        # Old plugins compile Handlebars templates in the page and carry handlers and styles in their markup.
        policy['script-src'].append("'unsafe-eval'")
        policy['script-src-attr'] = ["'unsafe-inline'"]
        policy['style-src'].append("'unsafe-inline'")
        for directive in ('img-src', 'media-src', 'frame-src'):
            policy[directive] = ["'self'", 'data:', 'blob:', 'https:', *origins]
    elif kind == 'admin':
        policy['script-src-attr'] = ["'unsafe-inline'"]
        policy['style-src'].append("'unsafe-inline'")
    for directive, sources in config['CSP_EXTRA'].items():
        policy.setdefault(directive, ["'self'"]).extend(sources)
    return '; '.join(f'{directive} {" ".join(sources)}' for directive, sources in policy.items())
