"""Usernames: what others see of a member. Never an address, and no two that could be taken for one another."""

import re
import secrets
import unicodedata

from flask_babel import gettext

MAX_LENGTH = 50


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


RESERVED = frozenset(
    _words(
        'abuse admin administrator anonymous api contact deleted everybody everyone guest help hostmaster info me mod '
        'moderator nobody null official operator owner postmaster root security service staff support sysadmin system '
        'team undefined user vulyk webmaster адмін адміністратор админ администратор модератор підтримка поддержка '
        'вулик'
    )
)
ADJECTIVES = _words(
    'amber brave bright brisk bold busy calm candid cheerful clever cosy curious daring diligent eager early earnest fair '
    'fearless fine fond free fresh friendly gentle glad golden grand happy hardy honest humble jolly keen kind lively '
    'loyal lucky mellow merry mild modest neat nimble noble patient playful polite prompt proud quick quiet ready shiny '
    'silent silver sincere smart snug solid spry steady sunny swift tidy tireless true upbeat valiant vivid warm wise '
    'witty'
)
NOUNS = _words(
    'acorn alder aspen badger beaver bee beech birch bison brook cedar clover comet cornflower crane cricket dolphin dove '
    'eagle elm falcon fern finch fox gull hare harbour hawk hazel heron hive island ivy jay juniper lake lantern lark '
    'lily linden lynx magpie maple marten meadow mole moon moth nettle oak orchard otter owl pine plum poplar poppy raven '
    'reed river robin rowan sable sparrow spruce squirrel starling stork sunflower swallow swan thistle thrush tulip '
    'violet walnut willow wren'
)

# Letters and digits that look like a small Latin letter in common fonts, each before its twin; capitals are made small first.
_TWINS = dict(
    pair.split('=')
    for pair in _words(
        'а=a в=b с=c ԁ=d е=e ё=e є=e һ=h і=l ї=l ј=j к=k ӏ=l м=m н=h о=o р=p ԛ=q ѕ=s т=t у=y ү=y х=x ԝ=w г=r α=a β=b '
        'ε=e η=n ι=l κ=k μ=m ν=v ο=o ρ=p σ=o τ=t υ=u χ=x ω=w ı=l i=l 0=o 1=l 3=e 5=s 8=b ß=b ł=l ø=o đ=d '
        'ɑ=a ɛ=e ɡ=g ɩ=l ƅ=b ƚ=l ǀ=l ʋ=u'
    )
)
_PAIRS = (('rn', 'm'), ('vv', 'w'))
_SMALL_CAPITAL = re.compile('LATIN LETTER SMALL CAPITAL ([A-Z])')
_SEPARATORS = '_-.'
_INVISIBLE = '\u115f\u1160'  # fill up a syllable of Hangul
_TOGETHER = {'CJK', 'IDEOGRAPHIC', 'HIRAGANA', 'KATAKANA', 'HANGUL', 'BOPOMOFO'}


class UsernameError(ValueError):
    """A name that cannot be a username; ``key`` says why.

    ``length``, ``characters``, ``empty`` (nothing but separators), ``alphabets`` (several in one name), ``reserved``.
    """

    def __init__(self, key: str) -> None:
        sentences = {
            'length': gettext('Use 1 to %(number)s characters.', number=MAX_LENGTH),
            'characters': gettext('Use only letters, digits, and _ - . – no spaces, no addresses.'),
            'empty': gettext('Use at least one letter or digit.'),
            'alphabets': gettext('Use letters of one alphabet only.'),
            'reserved': gettext('This name is reserved for those who run the site.'),
        }
        super().__init__(sentences[key])
        self.key = key


def check(name: str, *, reserved: bool = False) -> str:
    """The name if it may be a username; whether it is taken, the database knows.

    :param reserved: names of staff are allowed too.
    :raises UsernameError: it may not.
    """
    if not 1 <= len(name) <= MAX_LENGTH:
        raise UsernameError('length')
    if unicodedata.normalize('NFKC', name) != name or not all(map(_is_allowed, name)):
        raise UsernameError('characters')
    if not any(map(_stands_alone, name)):
        raise UsernameError('empty')
    if len({_alphabet(letter) for letter in name if letter.isalpha()}) > 1:
        raise UsernameError('alphabets')
    if not reserved and is_reserved(name):
        raise UsernameError('reserved')
    return name


def is_valid(name: str) -> bool:
    """Whether :func:`check` takes the name, reserved ones included."""
    try:
        check(name, reserved=True)
    except UsernameError:
        return False
    return True


def is_reserved(name: str) -> bool:
    """Whether people would take whoever is called so for somebody of the site, numbers at the end or not."""
    return bool({likeness(name), likeness(name.rstrip('0123456789_-.'))} & _RESERVED_LIKENESSES)


def likeness(name: str) -> str:
    """What a name looks like: the same for all names that could be taken for one another. Stored, and unique.

    Case, accents and separators do not matter, and letters and digits with the same looks are one: ``Ann_1`` and ``ánnl``.
    """
    plain = ''.join(c for c in unicodedata.normalize('NFKD', name.casefold()) if not unicodedata.combining(c))
    plain = ''.join(_TWINS.get(c, c) for c in map(_not_a_capital, plain) if c not in _SEPARATORS)
    for pair, twin in _PAIRS:
        plain = plain.replace(pair, twin)
    return plain


def generate() -> str:
    """A name nobody had to think of: ``quiet_heron4821``; one of fifty million."""
    return f'{secrets.choice(ADJECTIVES)}_{secrets.choice(NOUNS)}{secrets.randbelow(9000) + 1000}'


def _not_a_capital(character: str) -> str:
    """The letter of which this is a capital made small, as in ᴀɴɴ; any other character as it is."""
    found = _SMALL_CAPITAL.fullmatch(unicodedata.name(character, ''))
    return found[1].lower() if found else character


def _stands_alone(character: str) -> bool:
    """Whether this is a letter or a digit, and no sign that changes the letter before it."""
    return character.isalnum() and unicodedata.category(character) != 'Lm'


def _is_allowed(character: str) -> bool:
    if character in _INVISIBLE:
        return False
    return character.isalpha() or (character.isascii() and character.isdigit()) or character in _SEPARATORS


def _alphabet(letter: str) -> str:
    """The first word of the letter's name, such as LATIN; East Asian scripts, which are used together, are one."""
    word = re.split('[ -]', unicodedata.name(letter, 'UNKNOWN'))[0]
    return 'CJK' if word in _TOGETHER else word


_RESERVED_LIKENESSES = frozenset(map(likeness, RESERVED))
