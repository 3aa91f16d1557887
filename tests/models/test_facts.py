"""Facts of a batch: what is taken, and what people are shown."""

import pytest

from vulyk.models.facts import check_facts, in_language, to_public

GOOD = [
    ({'title': ' Cats '}, {'title': 'Cats'}),
    ({'help': 'a\nb'}, {'help': 'a\nb'}),
    ({'title': {'en': 'Cats', 'uk': 'Коти', 'ru': ' '}}, {'title': {'en': 'Cats', 'uk': 'Коти'}}),
    ({'title': '', 'description': {}, 'licence': ' '}, {}),
    ({'lang': 'de-AT'}, {'lang': 'de-AT'}),
    ({}, {}),
]


@pytest.mark.parametrize(('given', 'stored'), GOOD, ids=str)
def test_good_facts_are_trimmed_and_empty_ones_left_out(given, stored):
    assert check_facts(given) == stored


@pytest.mark.parametrize(
    ('given', 'reason'),
    [
        ({'author': 'x'}, 'author: there is no such fact'),
        ({'title': 7}, 'title: must be a text or'),
        ({'title': {'en': 7}}, 'title.en: must be a text.'),
        ({'title': {'english!': 'x'}}, 'title: “english!” is not a language tag'),
        ({'title': 'x' * 201}, 'title: 201 characters are more than the 200'),
        ({'licence': {'en': 'x'}}, 'licence: must be a text.'),
        ({'licence': 'a\nb'}, 'licence: must be one line'),
        ({'lang': 'deutsch?'}, 'lang: “deutsch?” is not a language tag'),
        ({'help': 'a\0'}, 'help: holds a character that cannot be stored'),
        ({'source': '\ud800'}, 'source: holds a character that cannot be stored'),
    ],
    ids=str,
)
def test_bad_fact_is_named(given, reason):
    with pytest.raises(ValueError, match='^' + reason.replace('?', r'\?')):
        check_facts(given)


@pytest.mark.parametrize(
    ('texts', 'language', 'text'),
    [
        ('Cats', 'uk', 'Cats'),
        ({'en': 'Cats', 'uk': 'Коти'}, 'uk', 'Коти'),
        ({'en': 'Cats', 'uk': 'Коти'}, 'uk-UA', 'Коти'),
        ({'uk': 'Коти', 'en': 'Cats'}, 'ru', 'Cats'),
        ({'uk': 'Коти', 'de': 'Katzen'}, 'ru', 'Коти'),
        ({}, 'en', ''),
        (None, 'en', ''),
    ],
)
def test_text_is_the_best_there_is_for_a_language(texts, language, text):
    assert in_language(texts, language) == text


@pytest.mark.parametrize(
    ('licence', 'label', 'address'),
    [
        ('CC BY-SA 2.0', 'CC BY-SA 2.0', 'https://creativecommons.org/licenses/by-sa/2.0/'),
        ('CC0 1.0', 'CC0 1.0', 'https://creativecommons.org/publicdomain/zero/1.0/'),
        ('Own terms, https://example.org/terms', 'Own terms', 'https://example.org/terms'),
        ('https://example.org/terms', None, 'https://example.org/terms'),
        ('All rights reserved', 'All rights reserved', None),
        ('javascript:alert(1)', 'javascript:alert(1)', None),
    ],
)
def test_licence_is_shown_with_the_address_of_its_text(licence, label, address):
    shown = to_public({'licence': licence}, 'en')
    assert (shown.get('licence'), shown.get('licence_url')) == (label, address)


def test_empty_facts_are_not_shown():
    assert to_public({}, 'en') == {}
