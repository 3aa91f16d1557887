"""Which names people may have, and which are taken for one another."""

import re

import pytest

from tests.factories import make_user
from vulyk.models import usernames
from vulyk.models.user import User
from vulyk.models.usernames import UsernameError


@pytest.mark.parametrize(
    'name',
    [
        'a',
        'Ann_1',
        'x' * 50,
        '2026',
        'over-the.hill',
        'Оксана',
        'Łucja',
        '山田',
        'サーシャ',
        '佐々木',
        'ɛdwɔ',
        'adrian',
    ],
)
def test_letters_digits_and_three_signs_make_a_name(name):
    assert usernames.check(name) == name


WRONG = {
    '': 'length',
    'x' * 51: 'length',
    'ann lee': 'characters',
    'ann@example.org': 'characters',
    'ann\0': 'characters',
    'ann\u200b': 'characters',
    '<b>ann': 'characters',
    'ａｎｎ': 'characters',
    'ann١': 'characters',
    '_.-': 'empty',
    '\u1160': 'characters',  # a letter that nobody sees
    'ー々': 'empty',  # signs that change the letter before them
    'ᴀᴅᴍɪɴ': 'reserved',
    'ɑdmin': 'reserved',
    'аnn': 'alphabets',  # the first letter is Cyrillic
    'admin': 'reserved',
    'Admin': 'reserved',
    'adm1n': 'reserved',
    'ad.min': 'reserved',
    'root2026': 'reserved',
    'адмін': 'reserved',
}


@pytest.mark.parametrize(('name', 'key'), WRONG.items(), ids=range(len(WRONG)))
def test_other_texts_are_refused_with_the_reason(name, key):
    with pytest.raises(UsernameError) as caught:
        usernames.check(name)
    assert caught.value.key == key


@pytest.mark.parametrize('twin', ['ANN', 'a-n-n', 'ánn', 'Ann.', 'аnn', 'ɑɴɴ'])
def test_names_that_look_the_same_are_one(twin):
    assert usernames.likeness(twin) == usernames.likeness('ann')


@pytest.mark.parametrize('other', ['anna', 'an', 'ann2', 'hana', 'аня'])
def test_names_that_look_different_are_two(other):
    assert usernames.likeness(other) != usernames.likeness('ann')


def test_generated_name_is_adjective_noun_and_four_digits_and_free(app):
    name = User.free_username()
    assert re.fullmatch(r'[a-z]+_[a-z]+[1-9][0-9]{3}', name)
    assert usernames.check(name) == name
    make_user(username=name)
    assert User.is_username_taken(name.upper())
