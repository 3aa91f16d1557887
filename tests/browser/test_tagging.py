"""The task type "tagging" as volunteers use it."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.work import answers_of, expect_state, open_project, shown_after, skip, submit, width_of

LABELS = ['PER', 'GPE', 'LOC', 'FAC', 'ORG']
DOUBLE_TAP_MS = 450  # quicker taps on Submit count as one
EMOJI = {
    'text': '🐝🍯 Ann met 👩‍👩‍👧 Bob in Kyiv.',
    'labels': LABELS,
    'key': 'emoji',
}


@pytest.fixture
def truth(site):
    """Ten sentences are loaded; ``{key: spans}``."""
    return site.load_samples('tagging')


def text_of(page: Page) -> Locator:
    return page.locator('.vg-text')


def select_by_keys(page: Page, span: dict) -> None:
    """From the beginning of the text: to the first word that begins as the span does, until it is this one, then extend."""
    page.keyboard.press('Home')
    chosen = page.locator('.vg-chosen')
    for _ in range(60):
        if offset_of(chosen) == span['start']:
            break
        page.keyboard.press('ArrowRight')
    while len(''.join(chosen.all_text_contents())) < span['end'] - span['start']:
        page.keyboard.press('Shift+ArrowRight')
    expect(page.locator('.vg-status')).to_contain_text(span['text'])


def offset_of(chosen: Locator) -> int:
    """Where what is selected begins, in code points."""
    return chosen.first.evaluate(
        'node => { const range = document.createRange(); range.selectNodeContents(node.closest(".vg-text"));'
        ' range.setEndBefore(node); return [...range.toString()].length; }'
    )


def test_ten_sentences_are_marked_by_keyboard_only_and_exported_as_they_are(page, site, user, signed_in, truth, watch):
    task = open_project(signed_in(page, user), 'tagging')
    for number in range(10):
        expect(text_of(page)).to_be_focused()
        expect(text_of(page)).to_have_attribute('lang', 'en')
        spans = truth[task['data']['key']]
        for span in spans:
            select_by_keys(page, span)
            page.keyboard.press(str(LABELS.index(span['label']) + 1))
        presses = 1 if spans else 2  # nothing marked: once more says that this is meant

        def answer(presses=presses):
            for _ in range(presses):
                page.keyboard.press('Enter')

        if number < 9:
            task = shown_after(page, answer)
        else:
            watch.expect_nothing_left()
            answer()
    expect_state(page, 'done')
    exported = {line[0]['task']['data']['key']: line[0]['answer'] for line in site.export('tagging')}
    assert exported == {key: {'spans': spans} for key, spans in truth.items()}


def tap_words(phone: Page, span: dict) -> None:
    """Tap the first word of a span, and its last one."""
    for box in phone.evaluate(
        """async ([start, end]) => {
          const settled = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
          const area = document.querySelector('.vg-text');
          const points = [...area.textContent];
          const place = count => points.slice(0, count).join('').length;
          const range = document.createRange();
          const at = (from, to) => {
            const walker = document.createTreeWalker(area, NodeFilter.SHOW_TEXT);
            for (let node = walker.nextNode(), before = 0; node; before += node.length, node = walker.nextNode()) {
              if (from < before + node.length) {
                range.setStart(node, from - before);
                range.setEnd(node, from - before + 1);
                break;
              }
            }
            const {left, top, width, height} = range.getBoundingClientRect();
            return {x: left + width / 2, y: top + height / 2};
          };
          await document.fonts.ready;
          area.scrollIntoView({block: 'start', behavior: 'instant'});
          await settled();
          const whole = points.slice(start, end).join('');
          const last = whole.search(/\\S+$/);
          return last > 0 ? [at(place(start)), at(place(start) + last)] : [at(place(start))];
        }""",
        [span['start'], span['end']],
    ):
        phone.touchscreen.tap(box['x'], box['y'])


def test_ten_sentences_are_marked_by_touch_on_a_phone(phone, site, user, signed_in, truth, watch):
    task = open_project(signed_in(phone, user), 'tagging')
    for number in range(10):
        assert width_of(phone) == 390
        spans = truth[task['data']['key']]
        for count, span in enumerate(spans, 1):
            tap_words(phone, span)
            expect(phone.locator('.vg-status')).to_contain_text(span['text'])
            phone.locator('.vg-label').nth(LABELS.index(span['label'])).tap()
            expect(phone.locator('.vg-item')).to_have_count(count)
        if not spans:
            phone.wait_for_timeout(DOUBLE_TAP_MS)
            submit(phone).tap()
            expect(phone.locator('.kit-problem')).to_contain_text('press Submit once more')
            phone.wait_for_timeout(DOUBLE_TAP_MS)
        if number < 9:
            task = shown_after(phone, submit(phone).tap)
        else:
            watch.expect_nothing_left()
            submit(phone).tap()
    expect_state(phone, 'done')
    assert answers_of(user) == {key: {'spans': spans} for key, spans in truth.items()}


def test_offsets_count_code_points_right_after_an_emoji_too(page, site, user, signed_in, watch):
    site.load('tagging', [EMOJI])
    open_project(signed_in(page, user), 'tagging')
    spans = [
        {'start': start, 'end': start + len(text), 'label': label, 'text': text}
        for text, label in (('Ann', 'PER'), ('Bob', 'PER'), ('Kyiv', 'GPE'))
        for start in [EMOJI['text'].index(text)]
    ]
    for span in spans:
        select_by_keys(page, span)
        page.keyboard.press(str(LABELS.index(span['label']) + 1))
    watch.expect_nothing_left()
    page.keyboard.press('Enter')
    expect_state(page, 'done')
    assert answers_of(user) == {'emoji': {'spans': spans}}


def test_span_is_undone_and_marked_again(page, site, user, signed_in, watch):
    site.load('tagging', [EMOJI])
    open_project(signed_in(page, user), 'tagging')
    span = {'start': 3, 'end': 6, 'label': 'ORG', 'text': 'Ann'}
    select_by_keys(page, span)
    page.keyboard.press('1')
    expect(page.locator('.vg-item')).to_have_count(1)
    page.keyboard.press('Control+z')
    expect(page.locator('.vg-item')).to_have_count(0)
    page.keyboard.press('Control+Shift+z')
    expect(page.locator('.vg-item')).to_have_count(1)
    page.keyboard.press('Control+z')
    select_by_keys(page, span)
    page.keyboard.press('5')
    watch.expect_nothing_left()
    page.keyboard.press('Enter')
    expect_state(page, 'done')
    assert answers_of(user) == {'emoji': {'spans': [span]}}


def test_span_that_overlaps_another_is_refused_in_words(page, site, user, signed_in, watch):
    site.load('tagging', [EMOJI])
    open_project(signed_in(page, user), 'tagging')
    select_by_keys(page, {'start': 3, 'end': 6, 'text': 'Ann'})
    page.keyboard.press('1')
    select_by_keys(page, {'start': 3, 'end': 10, 'text': 'Ann met'})
    page.keyboard.press('2')
    expect(page.locator('.kit-problem')).to_contain_text('This overlaps “Ann”, which is marked already')
    expect(page.locator('.vg-item')).to_have_count(1)
    assert watch.posts('/done/') == 0


def test_skip_button_brings_another_sentence(phone, user, signed_in, truth):
    first = open_project(signed_in(phone, user), 'tagging')
    assert shown_after(phone, skip(phone).tap)['id'] != first['id']
