"""Whose word is taken for the address, host and scheme of a visitor."""

import ipaddress
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from werkzeug.middleware.proxy_fix import ProxyFix

from vulyk.models.exc import InitializationError
from vulyk.texts import gettext

if TYPE_CHECKING:
    from flask import Flask

MAX_PROXIES = 8  # in a row


def init(app: 'Flask') -> None:
    """Believe the ``X-Forwarded-…`` headers of the proxies in ``TRUSTED_PROXIES``, and nobody else's.

    :raises InitializationError: an entry is neither an address nor a network nor ``unix``.
    """
    if app.config['TRUSTED_PROXIES']:
        app.wsgi_app = TrustedProxies(app.wsgi_app, app.config['TRUSTED_PROXIES'])  # type: ignore[method-assign]


class TrustedProxies:
    """WSGI middleware that applies werkzeug's ``ProxyFix`` to requests that come from a proxy of ours.

    :param entries: addresses, networks, or ``unix`` for a server on a socket of the file system.
    """

    def __init__(self, app: Any, entries: Iterable[str]) -> None:
        try:
            self._networks = [ipaddress.ip_network(entry) for entry in entries if entry != 'unix']
        except (ValueError, TypeError) as error:
            raise InitializationError(
                gettext('TRUSTED_PROXIES: %(reason)s. Write addresses or networks: 10.0.0.0/8.', reason=error)
            ) from error
        self._unix = 'unix' in entries
        self._app = app
        # Host and scheme are what the last proxy says; the visitor is behind as many proxies as are ours. A prefix nobody is
        # believed: web servers do not set it by themselves, and hand on what a visitor has sent.
        self._behind = {
            number: ProxyFix(app, x_for=number, x_proto=1, x_host=1) for number in range(1, MAX_PROXIES + 1)
        }

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if not self._is_ours(environ.get('REMOTE_ADDR') or ''):
            return self._app(environ, start_response)
        said = [part.strip() for part in environ.get('HTTP_X_FORWARDED_FOR', '').split(',')]
        number = 1
        while number < min(len(said), MAX_PROXIES) and self._is_ours(said[-number]):
            number += 1
        return self._behind[number](environ, start_response)

    def _is_ours(self, address: str) -> bool:
        if not address:
            return self._unix
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks if network.version == parsed.version)
