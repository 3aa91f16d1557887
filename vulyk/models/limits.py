"""How often something may be tried: counted in the database, so that all processes of a site count together."""

import hashlib
import ipaddress
from datetime import UTC, datetime

from flask_mongoengine.documents import Document
from mongoengine import DateTimeField, IntField, StringField
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from vulyk.models.exc import RateLimitError


class Attempts(Document):
    """The number of attempts of one kind by one person or network in one stretch of time; then the server deletes it.

    The ``_id`` is a hash: nobody reads from it who it was.
    """

    id = StringField(primary_key=True)
    number = IntField()
    expires = DateTimeField()

    meta = {
        'collection': 'attempts',
        'auto_create_index': False,
        'indexes': [{'fields': ['expires'], 'expireAfterSeconds': 0}],
    }


def count_attempt(kind: str, who: str, rate: tuple[int, int] | None, now: datetime) -> None:
    """Count an attempt.

    :param kind: a fixed name.
    :param who: whose attempts are counted together.
    :param rate: how many are allowed in how many seconds; None: any number.
    :raises RateLimitError: this one is too many; it says how long to wait.
    """
    if rate is None:
        return
    most, seconds = rate
    stretch = int(now.timestamp()) // seconds
    ends = (stretch + 1) * seconds
    key = hashlib.sha256(f'{kind}\0{who}\0{stretch}'.encode('utf-8', 'surrogatepass')).hexdigest()
    update = {'$inc': {'number': 1}, '$setOnInsert': {'expires': datetime.fromtimestamp(ends, UTC)}}
    try:
        counted = _count(key, update)
    except DuplicateKeyError:  # somebody else's first attempt was faster
        counted = _count(key, update)
    if counted > most:
        raise RateLimitError(max(int(ends - now.timestamp()), 1))


def _count(key: str, update: dict[str, dict[str, object]]) -> int:
    attempts = Attempts._get_collection()
    return attempts.find_one_and_update({'_id': key}, update, upsert=True, return_document=ReturnDocument.AFTER)[
        'number'
    ]


def network_of(address: str | None) -> str:
    """Whose address this is: that of one connection, for IPv6 the whole network a provider gives to one customer."""
    try:
        parsed = ipaddress.ip_address(address or '')
    except ValueError:
        return address or ''
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else str(parsed)
