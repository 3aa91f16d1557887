"""For operators: is the site alive, is it ready, what does it do. These routes ask for no session, and serve no pages."""

import ipaddress
import os
import re
import secrets
import time
from collections.abc import Iterator
from functools import reduce
from typing import TYPE_CHECKING, Any

from flask import Response, current_app, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from pymongo.errors import PyMongoError

from vulyk import jobs
from vulyk.bootstrap import _db, _security
from vulyk.models import database
from vulyk.models.exc import DatabaseError, InitializationError
from vulyk.models.tasks import AbstractAnswer, AbstractTask, Batch
from vulyk.pages import answers_json
from vulyk.texts import gettext
from vulyk.utils import HTTPStatus, json_response

if TYPE_CHECKING:
    from flask import Flask
    from flask.typing import ResponseReturnValue

METHODS = ('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS')
SHARED_FOLDER = 'PROMETHEUS_MULTIPROC_DIR'  # where the processes of a server keep their numbers together
_REQUEST_ID = re.compile(r'[\w.:-]{8,100}')
_SECRET_PARTS = ('token', 'invitation', 'session_id')  # of addresses


def init(app: 'Flask') -> None:
    """Add ``/healthz``, ``/readyz`` and ``/metrics``, give every request an id, and count them all.

    Before everything else that looks at requests: a probe must not wait for what pages need.
    """
    for network in app.config['METRICS_NETWORKS']:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise InitializationError(
                gettext('METRICS_NETWORKS: %(reason)s. Write addresses or networks: 10.0.0.0/8.', reason=error)
            ) from error
    numbers = Numbers()
    views = {'healthz': healthz, 'readyz': readyz, 'metrics': answers_json(lambda: metrics(numbers))}
    for name, view in views.items():
        app.add_url_rule(f'/{name}', name, view)

    @app.before_request
    def begin() -> 'ResponseReturnValue | None':
        g.started = time.perf_counter()
        g.request_id = asked_id() or secrets.token_hex(8)
        if request.endpoint in views and request.method in ('GET', 'HEAD'):
            return views[request.endpoint]()
        return None

    @app.after_request
    def end(response: Response) -> Response:
        seconds = time.perf_counter() - g.started
        response.headers['X-Request-ID'] = g.request_id
        if request.endpoint not in views:
            numbers.note(response.status_code, seconds)
            if app.config['LOG_FORMAT'] == 'json' and request.endpoint != 'static':
                log_request(response.status_code, seconds)
        return response


def asked_id() -> str:
    """The id a web server of ours has given this request; '' if it has not."""
    if 'werkzeug.proxy_fix.orig' not in request.environ:
        return ''
    given = request.headers.get('X-Request-ID', '')
    return given if _REQUEST_ID.fullmatch(given) else ''


def logged_path() -> str:
    """The path asked for, without what opens an account: the links in mails are paths."""
    given = request.view_args or {}
    secrets_in_it = [given[name] for name in _SECRET_PARTS if given.get(name)]
    return reduce(lambda path, secret: path.replace(secret, '…'), secrets_in_it, request.path)


def log_request(status: int, seconds: float) -> None:
    """A line for each request. Neither address nor query: they tell more of a person than an operator has to know."""
    path = logged_path()
    facts = {
        'method': request.method,
        'path': path,
        'endpoint': request.endpoint or '',
        'status': status,
        'ms': round(1000 * seconds, 1),
    }
    current_app.logger.info('%s %s %s', request.method, path, status, extra={'facts': facts})


# --- probes -----------------------------------------------------------------------------------------------------------


@answers_json
def healthz() -> Response:
    """The process answers."""
    return json_response({'alive': True})


@answers_json
def readyz() -> Response:
    """Requests can be served: there is a secret key, the database is fit and takes writes. Else 503, and why."""
    app = current_app._get_current_object()
    try:
        _security.check_secret_key(app)
        _db.prepare(app)
        database.check_writable(app.config['MONGODB_TIMEOUT_SECONDS'])
    except (InitializationError, DatabaseError) as error:
        return json_response({'ready': False}, [str(error)], HTTPStatus.UNAVAILABLE)
    return json_response({'ready': True})


# --- metrics ----------------------------------------------------------------------------------------------------------


class Numbers:
    """What this process counts. With ``PROMETHEUS_MULTIPROC_DIR`` the numbers lie in files that all processes share."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            'vulyk_http_requests', 'Requests', ('endpoint', 'method', 'status'), registry=self.registry
        )
        self._seconds = Histogram(
            'vulyk_http_request_seconds', 'Seconds until a request was answered', ('endpoint',), registry=self.registry
        )

    def note(self, status: int, seconds: float) -> None:
        """Count the request at hand. Labels come from the routes, so that nobody can make up new ones."""
        endpoint = request.endpoint or 'none'
        method = request.method if request.method in METHODS else 'other'
        self._requests.labels(endpoint, method, status).inc()
        self._seconds.labels(endpoint).observe(seconds)


class SiteCollector(Collector):
    """What the database knows, asked when somebody looks: each number is an estimate of the server or read from an index."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The numbers; of a database that is away only that it is."""
        try:
            found = list(self._found())
        except PyMongoError:
            found = []
        yield GaugeMetricFamily('vulyk_database_up', 'Whether the database answers', value=float(bool(found)))
        yield from found

    def _found(self) -> Iterator[GaugeMetricFamily]:
        states = GaugeMetricFamily('vulyk_jobs', 'Background jobs by state', labels=('state',))
        for state, number in jobs.counts().items():
            states.add_metric((state,), number)
        yield states
        for name, model, what in (
            ('vulyk_tasks', AbstractTask, 'Tasks'),
            ('vulyk_answers', AbstractAnswer, 'Answers'),
        ):
            number = model._get_collection().estimated_document_count()
            yield GaugeMetricFamily(name, what, value=number)
        number = Batch._get_collection().count_documents({'closed': {'$ne': True}})
        yield GaugeMetricFamily('vulyk_open_batches', 'Batches that are not closed', value=number)
        swept = jobs.last_sweep()
        if swept is not None:
            what = 'When background work was done last (Unix time)'
            yield GaugeMetricFamily('vulyk_last_sweep_timestamp_seconds', what, value=swept.timestamp())


def metrics(numbers: Numbers) -> Response:
    """The numbers as Prometheus reads them, for those whom the settings let in."""
    if not may_read_metrics():
        reason = 'Ask from this machine, from one of METRICS_NETWORKS, or with METRICS_TOKEN as bearer token.'
        return json_response({}, [reason], HTTPStatus.FORBIDDEN)
    folder = os.environ.get(SHARED_FOLDER)
    if folder is None and request.environ.get('wsgi.multiprocess'):
        # Each process would tell its own numbers, and nobody could know which one was asked.
        reason = f'Several processes serve this site: start them with the variable {SHARED_FOLDER}, an empty folder.'
        return json_response({}, [reason], HTTPStatus.UNAVAILABLE)
    registry = CollectorRegistry()
    if folder is not None:
        MultiProcessCollector(registry, folder)
    registry.register(SiteCollector())
    encode, kind = choose_encoder(request.headers.get('Accept', ''))
    text = encode(registry) if folder is not None else encode(_Joined(registry, numbers.registry))
    return Response(text, content_type=kind, headers={'Cache-Control': 'no-store'})


class _Joined(Collector):
    """Several registries as one."""

    def __init__(self, *registries: CollectorRegistry) -> None:
        self._registries = registries

    def collect(self) -> Iterator[Any]:
        for registry in self._registries:
            yield from registry.collect()


def may_read_metrics() -> bool:
    """Whether whoever asks has the token, or comes from a network that needs none.

    A request that a web server has handed on comes from everywhere, even if that server is on this machine.
    """
    token, given = current_app.config['METRICS_TOKEN'], request.headers.get('Authorization', '')
    if token and secrets.compare_digest(given.encode(), f'Bearer {token}'.encode()):
        return True
    if 'X-Forwarded-For' in request.headers or 'Forwarded' in request.headers:
        return False
    try:
        address = ipaddress.ip_address(request.remote_addr or '')
    except ValueError:
        return False
    networks = map(ipaddress.ip_network, current_app.config['METRICS_NETWORKS'])
    return any(address in network for network in networks if network.version == address.version)
