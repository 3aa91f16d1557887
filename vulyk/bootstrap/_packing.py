"""Packs pages and JSON on their way; scripts and styles lie packed beside their bundles already."""

import gzip
from typing import TYPE_CHECKING

from flask import request

if TYPE_CHECKING:
    from flask import Flask, Response

PACKED = ('text/html', 'application/json')
LEAST_BYTES = 1200  # what fits into one packet gains nothing
LEVEL = 6


def init(app: 'Flask') -> None:
    """Pack what is worth it, unless ``PACK_PAGES`` is off; first of all, so that it sees responses last."""
    app.after_request(lambda response: pack(response) if app.config['PACK_PAGES'] else response)


def pack(response: 'Response') -> 'Response':
    """The response, packed if the browser unpacks it.

    A page whose address has a query is left as it is: it may repeat what a stranger has put into a link, beside the token of
    whoever opens it, and from its length the token could be guessed (BREACH).
    """
    if response.mimetype not in PACKED or response.status_code != 200 or request.method != 'GET':
        return response
    response.vary.add('Accept-Encoding')
    repeats = response.mimetype == 'text/html' and request.query_string
    taken = request.accept_encodings.quality('gzip') > 0
    if repeats or not taken or response.is_streamed or response.direct_passthrough or response.content_encoding:
        return response
    data = response.get_data()
    if len(data) >= LEAST_BYTES:
        response.set_data(gzip.compress(data, LEVEL, mtime=0))
        response.content_encoding = 'gzip'
    return response
