"""Passwords: which are refused, and how they are kept."""

from collections.abc import Iterable
from typing import Literal

import argon2
from flask_babel import gettext

MIN_LENGTH = 8
MAX_LENGTH = 1000
_WEAK = 2  # of zxcvbn's five scores: less than a million tries are enough
_JUDGED = 72  # characters; the estimate takes ever longer for the next ones, and the password is good by then

# OWASP's parameters: the library's defaults take half a second on a small server.
_hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)

Problem = Literal['short', 'long', 'common']


class PasswordError(ValueError):
    """A password that is refused; ``key`` says why: ``short``, ``long`` or ``common``."""

    def __init__(self, key: Problem) -> None:
        sentences = {
            'short': gettext('The password is too short: use at least %(number)s characters.', number=MIN_LENGTH),
            'long': gettext('The password is too long: use at most %(number)s characters.', number=MAX_LENGTH),
            'common': gettext('This password would be guessed soon: use several words, or more characters.'),
        }
        super().__init__(sentences[key])
        self.key = key


def check(password: str, known: Iterable[str] = ()) -> None:
    """Refuse what would be guessed soon: common passwords, dates, rows of keys, and what everybody knows of the user.

    :param known: name and address of the user.
    :raises PasswordError: too short, too long, or guessed with less than a million tries.
    """
    import zxcvbn  # only here: its lists of words would delay every command

    if len(password) < MIN_LENGTH:
        raise PasswordError('short')
    if len(password) > MAX_LENGTH:
        raise PasswordError('long')
    words = [word for text in known if text for word in {text, *text.replace('@', '.').split('.')}]
    if zxcvbn.zxcvbn(password[:_JUDGED], user_inputs=words)['score'] < _WEAK:
        raise PasswordError('common')


def make_hash(password: str) -> str:
    """What is stored of it."""
    return _hasher.hash(password)


def fits(stored: str, password: str) -> bool:
    """Whether this is the password; False for accounts without one, after the same time."""
    if not stored:
        waste_time()
        return False
    try:
        return _hasher.verify(stored, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


def is_outdated(stored: str) -> bool:
    """Whether it was made with other parameters than today's."""
    return _hasher.check_needs_rehash(stored)


def waste_time() -> None:
    """Hash something, so that the time an answer takes does not tell whether an address has an account."""
    _hasher.hash('no such account')
