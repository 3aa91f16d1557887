"""What an operator asks a site: is it alive, is it ready, what has it done, what does its log say."""

import gzip
import json
import logging
from datetime import UTC, datetime

import pytest
from pymongo.errors import AutoReconnect

from vulyk.bootstrap import _db
from vulyk.jobs import Duty, sweep_if_due
from vulyk.logs import JsonFormatter, WithRequestId, working_on
from vulyk.models.exc import InitializationError

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def away(make_app, app, closed_port, _kept):
    """A browser at a site whose database is away."""
    site = make_app(MONGODB_SETTINGS={'DB': 'x', 'HOST': '127.0.0.1', 'PORT': closed_port}, MONGODB_TIMEOUT_SECONDS=0.1)
    yield site.test_client()
    _kept.clear()
    make_app()


def test_process_is_alive_and_not_ready_while_its_database_is_away(away):
    alive, ready = away.get('/healthz'), away.get('/readyz')
    assert (alive.status_code, alive.json['result']) == (200, {'alive': True})
    assert (ready.status_code, ready.json['result']) == (503, {'ready': False})
    assert 'No MongoDB answers at 127.0.0.1:' in ready.json['errors'][0]
    assert 'vulyk_database_up 0.0' in away.get('/metrics').text


def test_site_is_ready_when_its_database_takes_writes(client, monkeypatch):
    assert client.get('/readyz').json == {'result': {'ready': True}, 'errors': []}
    assert Duty.objects(pk='readyz').count() == 1

    def refused():
        raise AutoReconnect('no primary')

    monkeypatch.setattr(Duty, '_get_collection', refused)
    response = client.get('/readyz')
    assert (response.status_code, response.json['errors']) == (503, ['The database takes no writes: no primary'])


def test_site_without_a_key_is_not_ready(make_app, app):
    response = make_app(SECRET_KEY=None).test_client().get('/readyz')
    assert response.status_code == 503
    assert 'SECRET_KEY is not set' in response.json['errors'][0]


def test_probe_needs_no_consent_and_no_open_site(make_app, app):
    site = make_app(SITE_IS_CLOSED=True, TERMS_VERSION='2')
    assert site.test_client().get('/readyz').status_code == 200


# --- metrics ----------------------------------------------------------------------------------------------------------


def test_requests_are_counted_by_route_and_the_database_tells_the_rest(make_app, app):
    browser = make_app().test_client()
    sweep_if_due('w', NOW)
    for path in ('/session', '/session', '/nowhere', '/elsewhere'):
        browser.get(path)
    text = browser.get('/metrics').text
    assert 'vulyk_http_requests_total{endpoint="session_info",method="GET",status="200"} 2.0' in text
    assert 'vulyk_http_requests_total{endpoint="none",method="GET",status="404"} 2.0' in text
    assert 'vulyk_http_request_seconds_count{endpoint="session_info"} 2.0' in text
    assert 'vulyk_jobs{state="dead"} 0.0' in text
    assert 'vulyk_last_sweep_timestamp_seconds 1.7' in text
    assert 'endpoint="metrics"' not in text


@pytest.mark.parametrize(
    ('asks', 'status'),
    [
        ({}, 200),
        ({'REMOTE_ADDR': '::1'}, 200),
        ({'REMOTE_ADDR': '198.51.100.7'}, 403),
        ({'REMOTE_ADDR': ''}, 403),
        ({'HTTP_X_FORWARDED_FOR': '127.0.0.1'}, 403),
        ({'REMOTE_ADDR': '198.51.100.7', 'HTTP_AUTHORIZATION': 'Bearer a token'}, 200),
        ({'REMOTE_ADDR': '198.51.100.7', 'HTTP_AUTHORIZATION': 'Bearer another'}, 403),
    ],
    ids=str,
)
def test_metrics_are_for_this_machine_and_for_whoever_has_the_token(make_app, app, asks, status):
    browser = make_app(METRICS_TOKEN='a token').test_client()
    assert browser.get('/metrics', environ_overrides=asks).status_code == status


def test_several_processes_do_not_tell_the_numbers_of_one(client, monkeypatch):
    monkeypatch.delenv('PROMETHEUS_MULTIPROC_DIR', raising=False)
    response = client.get('/metrics', environ_overrides={'wsgi.multiprocess': True})
    assert response.status_code == 503
    assert 'PROMETHEUS_MULTIPROC_DIR' in response.json['errors'][0]


def test_network_that_is_none_is_refused(make_app):
    with pytest.raises(InitializationError, match="METRICS_NETWORKS: 'here'"):
        make_app(METRICS_NETWORKS=['here'])


# --- the log ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def lines(make_app, app, _kept, tmp_path):
    """Builds a site that logs JSON: ``lines(path, …)`` opens a page and returns what was written, and the response."""

    def open_page(path: str, **options) -> tuple[list[dict], object]:
        log = tmp_path / 'app.log'
        site = make_app(
            LOG_FORMAT='json', LOG_TO_STDERR=False, LOGGING_LOCATION=str(log), TRUSTED_PROXIES=['127.0.0.1']
        )
        _db.prepare(site)
        log.write_text('')  # what was said of the database when the site was built
        response = site.test_client().get(path, **options)
        return [json.loads(line) for line in log.read_text().splitlines()], response

    yield open_page
    _kept.clear()
    make_app()


def test_every_request_is_a_line_of_json_with_the_id_the_browser_is_told(lines):
    (line,), response = lines('/session?secret=1')
    assert line['request_id'] == response.headers['X-Request-ID']
    assert {key: line[key] for key in ('level', 'message', 'method', 'path', 'status')} == {
        'level': 'INFO',
        'message': 'GET /session 200',
        'method': 'GET',
        'path': '/session',
        'status': 200,
    }


@pytest.mark.parametrize('path', ['/password/{}', '/account/confirm/{}', '/account/email/confirm/{}', '/register/{}'])
def test_log_holds_no_link_that_opens_an_account(lines, path):
    (line,), response = lines(path.format('InRlc3Qi.aR9x.c2lnbmVk'))
    assert (response.status_code, line['path']) == (404, path.format('…'))
    assert 'c2lnbmVk' not in json.dumps(line)


def test_log_of_what_broke_holds_none_either(make_app, app, monkeypatch, caplog):
    site = make_app(TESTING=False)
    monkeypatch.setitem(site.view_functions, 'reset_password', lambda token: 1 / 0)
    assert site.test_client().get('/password/InRlc3Qi.aR9x.c2lnbmVk').status_code == 500
    assert 'Exception on /password/… [GET]' in caplog.text
    assert 'c2lnbmVk' not in caplog.text


def test_id_is_taken_from_a_web_server_of_ours_only(lines):
    asked = {'X-Request-ID': 'from-outside', 'X-Forwarded-For': '198.51.100.7'}
    _, ours = lines('/session', headers=asked)
    _, other = lines('/session', headers=asked, environ_overrides={'REMOTE_ADDR': '203.0.113.5'})
    assert ours.headers['X-Request-ID'] == 'from-outside'
    assert other.headers['X-Request-ID'] != 'from-outside'


def test_probes_fill_no_log(lines):
    assert lines('/healthz')[0] == []


def test_line_of_a_job_says_which_and_holds_the_traceback():
    try:
        raise ValueError('no')
    except ValueError as error:
        record = logging.LogRecord('vulyk', logging.ERROR, '', 1, 'It failed: %s', ('why',), (ValueError, error, None))
    with working_on('job 7'):
        line = json.loads(JsonFormatter().format(record))
        WithRequestId().filter(record)
    assert (line['message'], line['request_id'], record.request_id) == ('It failed: why', 'job 7', 'job 7')
    assert line['exception'] == 'ValueError: no'


def test_log_format_that_does_not_exist_is_refused(make_app):
    with pytest.raises(InitializationError, match="LOG_FORMAT must be 'text' or 'json', not 'xml'"):
        make_app(LOG_FORMAT='xml')


# --- packed scripts and styles ----------------------------------------------------------------------------------------


def test_scripts_are_sent_packed_to_browsers_that_unpack(make_app, app, tmp_path):
    site = make_app(ASSETS_PRECOMPRESS=True, ASSETS_FOLDER=str(tmp_path))
    _db.prepare(site)
    browser = site.test_client()
    browser.get('/session')

    def fetch(path: str, codings: str = ''):
        return browser.get(path, headers={'Accept-Encoding': codings}, buffered=True)

    for path in ('/static/scripts/packed.js', '/static/admin/admin.css'):
        plain = fetch(path)
        packed = fetch(path, 'gzip')
        assert packed.headers['Content-Encoding'] == 'gzip'
        assert gzip.decompress(packed.data) == plain.data
        assert packed.mimetype == plain.mimetype
        assert packed.headers['ETag'] != plain.headers['ETag']
        assert 'Content-Encoding' not in plain.headers
        assert 'Accept-Encoding' in plain.headers['Vary']
        assert 'Accept-Encoding' in packed.headers['Vary']
    best = fetch('/static/scripts/packed.js', 'gzip, br')
    assert best.headers['Content-Encoding'] == 'br'
    assert len(best.data) < len(fetch('/static/scripts/packed.js').data) / 3
