"""Pages and JSON, packed on their way."""

import gzip

import pytest

from tests import factories

UNPACKS = {'Accept-Encoding': 'gzip, deflate, br'}


def test_page_is_packed_for_browsers_that_unpack(client):
    plain, packed = client.get('/terms'), client.get('/terms', headers=UNPACKS)
    assert packed.headers['Content-Encoding'] == 'gzip'
    assert gzip.decompress(packed.data).startswith(b'<!DOCTYPE html>')
    assert len(packed.data) < len(plain.data) / 2
    assert 'Content-Encoding' not in plain.headers
    assert 'Accept-Encoding' in plain.headers['Vary']
    assert int(packed.headers['Content-Length']) == len(packed.data)


@pytest.mark.parametrize('path', ['/terms?next=x', '/session', '/nowhere'])
def test_what_repeats_its_address_is_short_or_an_error_travels_as_it_is(client, path):
    assert 'Content-Encoding' not in client.get(path, headers=UNPACKS).headers


def test_tasks_are_packed(plain, login):
    plain.import_tasks([{'text': 'long ' * 500}], None)
    response = login(factories.make_user()).get('/type/plain_task/next', headers=UNPACKS)
    assert response.headers['Content-Encoding'] == 'gzip'


def test_pages_travel_as_they_are_where_another_server_packs(app, client, monkeypatch):
    monkeypatch.setitem(app.config, 'PACK_PAGES', False)
    assert 'Content-Encoding' not in client.get('/terms', headers=UNPACKS).headers
