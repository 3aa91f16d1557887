"""From the accounts of older versions to these.

What was there: the address of people as their public name; names and addresses that several share; no keys that could be
unique. After it every name is one that :func:`vulyk.models.usernames.check` takes and nobody else's looks the same. Killed and
started again, it goes on where it was; started a third time, it finds nothing to do.
"""

from collections.abc import Callable, Iterator
from typing import Any

from bson import ObjectId
from flask_babel import gettext
from pymongo.errors import DuplicateKeyError

from vulyk.models import usernames
from vulyk.models.user import User, key_of_email

Stored = dict[str, Any]


def migrate(*, dry_run: bool, progress: Callable[[int], None] = lambda number: None) -> Iterator[str]:
    """Do everything that is left to do, and tell each name that changes; of several accounts the oldest keeps what they share.

    :param dry_run: only tell.
    :param progress: called with the number of accounts that have been looked at since.
    """
    users = User._get_collection()
    names = {one['usernameKey']: one['_id'] for one in users.find({'usernameKey': {'$gte': ''}}, {'usernameKey': 1})}
    addresses = {one['emailKey']: one['_id'] for one in users.find({'emailKey': {'$gte': ''}}, {'emailKey': 1})}
    number = 0
    for stored in users.find({}, {'username': 1, 'usernameKey': 1, 'email': 1, 'emailKey': 1}).sort('_id', 1):
        changes = {}
        if not stored.get('usernameKey'):
            why = _why_not(stored, names)
            name = User.free_username() if why else stored['username']
            changes |= {'username': name, 'usernameKey': usernames.likeness(name)}
            names[changes['usernameKey']] = stored['_id']
            if why:
                text = gettext('user %(user)s: %(old)s becomes %(name)s, because %(why)s')
                if dry_run:
                    text = gettext('user %(user)s: %(old)s gets a generated name, because %(why)s')
                yield text % {'user': stored['_id'], 'old': repr(stored.get('username')), 'name': name, 'why': why}
        key = key_of_email(stored.get('email') or '')
        if key and not stored.get('emailKey'):
            if addresses.setdefault(key, stored['_id']) == stored['_id']:
                changes['emailKey'] = key
            else:
                yield gettext(
                    'user %(user)s: %(email)s belongs to user %(other)s too, who signs in with it',
                    user=stored['_id'],
                    email=stored['email'],
                    other=addresses[key],
                )
        if changes:
            number += 1
            if not dry_run:
                _store(stored['_id'], changes)
        progress(1)
    if number:
        if dry_run:
            yield gettext('%(number)s accounts: name and address are to be made unique', number=number)
        else:
            yield gettext('%(number)s accounts: name and address are made unique', number=number)


def _why_not(stored: Stored, names: dict[str, ObjectId]) -> str:
    """Why an account cannot keep its name; '' if it can."""
    name = stored.get('username') or ''
    if '@' in name:
        return 'an address is no name'
    if not usernames.is_valid(name):
        return gettext(
            'a name has 1 to %(limit)s letters of one alphabet, digits, and _ - .', limit=usernames.MAX_LENGTH
        )
    owner = names.get(usernames.likeness(name))
    return '' if owner is None else gettext('user %(user)s has one that looks the same', user=owner)


def _store(user_id: ObjectId, changes: Stored) -> None:
    users = User._get_collection()
    try:
        users.update_one({'_id': user_id}, {'$set': changes})
    except DuplicateKeyError:  # somebody has registered with it a moment ago: the next run finds another
        users.update_one({'_id': user_id}, {'$unset': {'usernameKey': '', 'emailKey': ''}})
