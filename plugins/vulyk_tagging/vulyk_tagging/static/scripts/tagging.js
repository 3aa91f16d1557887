/* The task type "tagging": shows a text, lets the volunteer mark words in it, hands the marked spans to the platform.
 *
 * Places in the text are counted here as browsers count them, in UTF-16 units; only what is handed over counts code points.
 */
(() => {
  'use strict';

  const root = document.querySelector('.vg');
  if (!root) { return; }

  const {claimFocus, dialogIsOpen, digit, element, inLanguage, languageOf, licence, link, press, showCredit, textsOf} = window.VulykKit;
  const find = name => root.querySelector(`.vg-${name}`);
  const area = find('text');
  const palette = find('labels');
  const list = find('list');
  const status = find('status');
  const problem = root.querySelector('.kit-problem');
  const mayOverlap = root.dataset.allowOverlaps === 'true';
  const names = JSON.parse(root.dataset.labelNames);
  const isMac = /Mac|iP(hone|ad|od)/.test(navigator.platform);
  const COLOURS = 9;

  let content = '';        // the text of the task at hand
  let labels = [];         // [{value, label, description}]
  let words = [];          // [{start, end}]: what arrows and taps go by
  let clusters = null;     // the letters as readers see them: an emoji is one
  let spans = [];          // [{start, end, label: number of a label}] in order of start
  let past = [];           // earlier spans, for Undo
  let future = [];         // later spans, for Redo
  let anchor = {start: 0, end: 0};  // where the selection began: a word, or a place
  let focus = 0;                    // its other end
  let isExact = false;     // the caret was put between two letters, not between two words
  let isNative = false;    // the selection is the browser's own: dragged with the mouse, or by the handles of a phone
  let isPointed = false;   // the selection was made with mouse or finger: it is meant, not passed over
  let isOpen = false;      // one word was tapped; the next tap gives the last word
  let isPressed = false;   // a mouse button or a finger is down on the text
  let pointer = 'mouse';   // what touched the text last
  let confirmed = '';      // the doubt that was shown last: pressing Submit again means it is meant
  let isWarned = false;    // Esc was pressed once

  const text = textsOf(root);
  const last = items => items[items.length - 1];
  const quote = ({start, end}) => content.slice(start, end);
  const facts = span => ({text: quote(span), label: labels[span.label].label});

  // --- words and letters -------------------------------------------------------------------------------------------

  /* A run of letters and digits, or an emoji. An apostrophe belongs to the word in об’єкт; in Latin script it ends the word, so
     that "Oak" can be had from "Oak's" and "Aude" from "l'Aude". */
  const RUN = '[\\p{L}\\p{N}][\\p{L}\\p{M}\\p{N}\\u00ad\\u200c\\u200d]*';
  const PICTURE = '\\p{Extended_Pictographic}[\\p{M}\\p{EMod}]*';
  const WORD = new RegExp(`${RUN}(?:['’](?!\\p{Script=Latin})${RUN})*|${PICTURE}(?:\\u200d${PICTURE})*|\\p{RI}{2}`, 'gu');
  const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;

  function segmentsOf(piece, granularity) {
    return Intl.Segmenter ? new Intl.Segmenter(area.lang || undefined, {granularity}).segment(piece) : null;
  }

  function wordsOf(whole) {
    return [...whole.matchAll(WORD)].flatMap(({0: word, index}) => {
      const parts = UNSPACED.test(word) && segmentsOf(word, 'word');  // scripts that put no spaces between words
      return [...(parts || [{segment: word, index: 0}])].map(part =>
        ({start: index + part.index, end: index + part.index + part.segment.length}));
    });
  }

  /* The letter at a place, as {start, end}. */
  function letterAt(place) {
    const found = clusters && clusters.containing(place);
    if (found) { return {start: found.index, end: found.index + found.segment.length}; }
    if (place >= content.length) { return {start: content.length, end: content.length}; }
    const isSecondHalf = place > 0 && content.codePointAt(place - 1) > 0xffff;
    const start = isSecondHalf ? place - 1 : place;
    return {start, end: start + (content.codePointAt(start) > 0xffff ? 2 : 1)};
  }

  const letterAfter = place => letterAt(place).end;
  const letterBefore = place => letterAt(Math.max(0, place - 1)).start;
  const codePoints = place => place - (content.slice(0, place).match(/[\ud800-\udbff][\udc00-\udfff]/g) || []).length;

  // --- the selection -----------------------------------------------------------------------------------------------

  const edges = () => ({start: Math.min(anchor.start, focus), end: Math.max(anchor.end, focus)});

  /* What a label would get: the selection without white space at its ends; null when nothing is left. */
  function selection() {
    const {start, end} = edges();
    const chosen = content.slice(start, end);
    if (!chosen.trim()) { return null; }
    return {start: end - chosen.trimStart().length, end: start + chosen.trimEnd().length};
  }

  function select(start, end = start, {pointed = false, exact = false} = {}) {
    anchor = {start, end};
    focus = end;
    isExact = exact;
    changed({pointed});
  }

  /* After every change of the selection that was not made by the browser itself. */
  function changed({pointed = false} = {}) {
    isPointed = pointed;
    isOpen = false;
    setNative(false);
    window.getSelection().removeAllRanges();
    forgetDoubt();
    paint();
    tell();
  }

  function setNative(yes) {
    isNative = yes;
    area.classList.toggle('vg-native', yes);
  }

  /* The marked span that the selection or the caret is in; the smallest if there are several. */
  function spanHere() {
    const {start, end} = selection() || edges();
    const touched = spans.filter(span => (start === end ? span.start <= start && end <= span.end : span.start < end && start < span.end));
    return touched.sort((one, other) => (one.end - one.start) - (other.end - other.start))[0];
  }

  const isSame = (one, other) => one.start === other.start && one.end === other.end;

  /* Say below the text what is selected. */
  function tell() {
    const chosen = selection();
    const marked = chosen && spans.find(span => isSame(span, chosen));
    status.textContent = marked ? text('SelectedSpan', facts(marked)) : chosen ? text('Selected', {text: quote(chosen)}) : '';
    updateTools();
  }

  function forgetDoubt() {
    confirmed = '';
    isWarned = false;
    problem.textContent = '';
  }

  // --- moving by keys ----------------------------------------------------------------------------------------------

  const isSelected = () => focus !== anchor.start || anchor.start !== anchor.end;
  const wordFrom = place => words.find(({start}) => start >= place);
  const wordUntil = place => words.findLast(({end}) => end <= place);

  function stepWord(direction) {
    const {start, end} = edges();
    const word = direction > 0 ? wordFrom(end) : wordUntil(start);
    if (word) { select(word.start, word.end); }
  }

  function stepLetter(direction) {
    const {start, end} = edges();
    const here = direction > 0 ? end : start;
    const step = direction > 0 ? letterAfter : letterBefore;
    const place = isSelected() ? here : step(here);
    select(place, place, {exact: true});
  }

  /* Move the other end of the selection by a word; where it began stays selected. */
  function extendWord(direction) {
    if (!isSelected() && !isExact) {  // between two words: begin with the next one
      const word = direction > 0 ? wordFrom(focus) : wordUntil(focus);
      if (word) { select(word.start, word.end); }
      return;
    }
    let place;
    if (direction > 0) {
      place = focus < anchor.start
        ? Math.min(anchor.start, wordFrom(focus + 1)?.start ?? anchor.start)
        : words.find(({end}) => end > Math.max(focus, anchor.end))?.end;
    } else {
      place = focus > anchor.end
        ? Math.max(anchor.end, wordUntil(focus - 1)?.end ?? anchor.end)
        : words.findLast(({start}) => start < Math.min(focus, anchor.start))?.start;
    }
    moveFocus(place ?? focus);
  }

  function extendLetter(direction) {
    if (anchor.start !== anchor.end) {  // from here on the selection is one of letters
      const place = focus < anchor.start ? anchor.end : anchor.start;
      focus = focus < anchor.start ? focus : Math.max(focus, anchor.end);
      anchor = {start: place, end: place};
    }
    isExact = true;
    moveFocus(direction > 0 ? letterAfter(focus) : letterBefore(focus));
  }

  function moveFocus(place) {
    focus = place;
    changed();
  }

  const boxOf = ({start, end}) => rangeOf(start, end).getClientRects()[0] || area.getBoundingClientRect();

  /* The word above or below the other end of the selection. */
  function wordBeyond(direction) {
    const {start, end} = edges();
    const here = words.find(word => word.end >= (focus < anchor.start ? start : end)) || last(words);
    if (!here) { return null; }
    const box = boxOf(here);
    const middle = other => other.left + other.width / 2;
    const index = words.indexOf(here);
    const around = words.slice(Math.max(0, index - 500), index + 500);  // measuring takes time, and a line has not that many
    const beyond = around.map(word => ({word, box: boxOf(word)})).filter(({box: other}) =>
      (direction > 0 ? other.top > box.top + box.height / 2 : other.top < box.top - box.height / 2));
    const line = (direction > 0 ? Math.min : Math.max)(...beyond.map(({box: other}) => other.top));
    const near = beyond.filter(({box: other}) => Math.abs(other.top - line) < box.height / 2);
    near.sort((one, other) => Math.abs(middle(one.box) - middle(box)) - Math.abs(middle(other.box) - middle(box)));
    return near.length ? near[0].word : null;
  }

  function stepLine(direction, isExtending) {
    const word = isSelected() ? wordBeyond(direction) : words.find(({end}) => end > focus) || last(words);
    if (!word) { return; }
    if (isExtending && isSelected()) { extendTo(word); changed(); } else { select(word.start, word.end); }
  }

  /* The next word that begins with this letter; a capital finds capitals only, a small letter both. */
  function stepToLetter(letter) {
    const from = edges().end;
    const fits = ({start}) => content.startsWith(letter, start)
      || (letter === letter.toLowerCase() && content.slice(start, start + letter.length).toLowerCase() === letter);
    const word = words.find(other => other.start >= from && fits(other)) || words.find(fits);
    if (word) { select(word.start, word.end); }
  }

  function extendTo({start, end}) {
    if (anchor.start === anchor.end && !isExact) { anchor = {start, end}; }
    focus = start < anchor.start ? start : end;
  }

  function onTextKey(event) {
    if (event.isComposing || (isMac ? event.ctrlKey : event.altKey) || event.metaKey) { return; }
    const isByLetter = isMac ? event.altKey : event.ctrlKey;
    const isExtending = event.shiftKey;
    const ahead = getComputedStyle(area).direction === 'rtl' ? 'ArrowLeft' : 'ArrowRight';
    if (event.key === 'ArrowRight' || event.key === 'ArrowLeft') {
      event.preventDefault();
      const step = isExtending ? (isByLetter ? extendLetter : extendWord) : (isByLetter ? stepLetter : stepWord);
      step(event.key === ahead ? 1 : -1);
    } else if ((event.key === 'ArrowDown' || event.key === 'ArrowUp') && !isByLetter) {
      event.preventDefault();
      stepLine(event.key === 'ArrowDown' ? 1 : -1, isExtending);
    } else if ((event.key === 'Home' || event.key === 'End') && words.length) {
      event.preventDefault();
      const word = event.key === 'Home' ? words[0] : last(words);
      if (isExtending) { extendTo(word); changed(); } else { select(word.start, word.end); }
    } else if (/^[\p{L}\p{N}]$/u.test(event.key) && !digit(event) && !isByLetter && !event.altKey) {
      event.preventDefault();
      stepToLetter(event.key);
    } else {
      return;
    }
    area.querySelector('.vg-caret, .vg-chosen')?.scrollIntoView({block: 'nearest', behavior: 'instant'});
  }

  // --- mouse and fingers -------------------------------------------------------------------------------------------

  /* The part of the page that shows the text from one place to another. */
  function rangeOf(start, end) {
    const range = document.createRange();
    const walker = document.createTreeWalker(area, NodeFilter.SHOW_TEXT);
    let before = 0;
    range.selectNodeContents(area);
    range.collapse(true);
    for (let node = walker.nextNode(), begun = false; node; node = walker.nextNode()) {
      const after = before + node.length;
      if (!begun && start < after) {
        range.setStart(node, start - before);
        begun = true;
      }
      if (begun && end <= after) {
        range.setEnd(node, end - before);
        break;
      }
      before = after;
    }
    return range;
  }

  function placeOf(node, offset) {
    const range = document.createRange();
    range.selectNodeContents(area);
    range.setEnd(node, offset);
    return range.toString().length;
  }

  function placeAt(x, y) {
    if (document.caretPositionFromPoint) {
      const caret = document.caretPositionFromPoint(x, y);
      return caret && area.contains(caret.offsetNode) ? placeOf(caret.offsetNode, caret.offset) : null;
    }
    const range = document.caretRangeFromPoint(x, y);
    return range && area.contains(range.startContainer) ? placeOf(range.startContainer, range.startOffset) : null;
  }

  /* The word at a point of the page, with a little tolerance for fingers. */
  function wordAt(x, y) {
    const place = placeAt(x, y);
    const isHit = word => [...rangeOf(word.start, word.end).getClientRects()].some(box =>
      box.left - 6 <= x && x <= box.right + 6 && box.top - 10 <= y && y <= box.bottom + 10);
    return place === null ? undefined : words.find(word => word.start <= place && place <= word.end && isHit(word));
  }

  function onClick(event) {
    if (isNative || (pointer === 'mouse' && event.detail > 1)) { return; }
    const word = wordAt(event.clientX, event.clientY);
    if (!word) {
      const place = placeAt(event.clientX, event.clientY) ?? edges().end;
      select(place);
    } else if (event.shiftKey || (pointer !== 'mouse' && isOpen && !isInside(word, edges()))) {
      extendTo(word);
      changed({pointed: true});
    } else {
      point(word);
    }
  }

  const isInside = (inner, outer) => outer.start <= inner.start && inner.end <= outer.end;

  /* Select a word, or the whole span it is marked in; pressed again, a span gives way to the word, a tapped word to nothing. */
  function point(word) {
    const here = edges();
    const wasSpan = spans.some(span => isSame(span, here)) && isInside(word, here) && isSelected();
    const span = spans.filter(other => isInside(word, other)).sort((one, other) => (one.end - one.start) - (other.end - other.start))[0];
    if (isOpen && pointer !== 'mouse' && isSame(word, here)) {
      select(word.end);
    } else if (span && !wasSpan) {
      select(span.start, span.end);  // not pending: it has a label
    } else if (wasSpan && !mayOverlap) {
      select(word.end);
    } else {
      select(word.start, word.end, {pointed: true});
      isOpen = true;
    }
  }

  /* The browser's own selection has changed: what is selected follows, the page must not be rebuilt under it. */
  function onSelectionChange() {
    const own = window.getSelection();
    const range = own.rangeCount && !own.isCollapsed && area.contains(own.anchorNode) ? own.getRangeAt(0) : null;
    if (range) {
      const isWithin = node => area.contains(node);
      const start = isWithin(range.startContainer) ? placeOf(range.startContainer, range.startOffset) : 0;
      const end = isWithin(range.endContainer) ? placeOf(range.endContainer, range.endOffset) : content.length;
      if (end === start) { return; }
      anchor = {start: letterAt(start).start, end: letterAfter(end - 1)};
      focus = anchor.end;
      isExact = true;
      isPointed = true;
      isOpen = false;
      setNative(true);
      forgetDoubt();
      tell();
    } else if (isNative && !isPressed) {  // it is gone, by a tap on a label perhaps; what was selected is still meant
      setNative(false);
      paint();
    }
  }

  // --- the spans ---------------------------------------------------------------------------------------------------

  function commit(next) {
    past.push(spans);
    future = [];
    restore(next);
  }

  function restore(next) {
    spans = [...next].sort((one, other) => one.start - other.start || one.end - other.end || one.label - other.label);
    showList();
  }

  function mark(label) {
    const chosen = selection();
    if (root.dataset.state !== 'ready' || !labels[label]) { return; }
    if (!chosen) {
      problem.textContent = text('Select');
      return;
    }
    const span = {...chosen, label};
    const others = spans.filter(other => !(isSame(other, span) && (!mayOverlap || other.label === label)));
    const obstacle = !mayOverlap && others.find(other => other.start < span.end && span.start < other.end);
    if (obstacle) {
      problem.textContent = text('Overlap', facts(obstacle));
      return;
    }
    commit([...others, span]);
    select(span.end);
    status.textContent = text('Marked', facts(span));
  }

  function remove(span) {
    if (!span) {
      problem.textContent = text('NothingHere');
      return;
    }
    const what = text('Removed', facts(span));
    commit(spans.filter(other => other !== span));
    select(span.start, span.end);
    status.textContent = what;
  }

  function undo() {
    if (!past.length) { return; }
    future.push(spans);
    restore(past.pop());
    select(edges().end);
    status.textContent = text('Undone');
  }

  function redo() {
    if (!future.length) { return; }
    past.push(spans);
    restore(future.pop());
    select(edges().end);
    status.textContent = text('Redone');
  }

  const TOOLS = {remove: () => remove(spanHere()), undo, redo};

  // --- what is seen ------------------------------------------------------------------------------------------------

  const colourOf = label => `vg-colour-${label % COLOURS + 1}`;

  /* The text, in as many pieces as spans, selection and caret cut it into. */
  function paint() {
    const {start, end} = edges();
    const bounds = [...new Set([0, content.length, start, end, ...spans.flatMap(span => [span.start, span.end])])]
      .sort((one, other) => one - other);
    const pieces = bounds.flatMap((from, index) => {
      const caret = from === start && start === end ? [element('span', 'vg-caret')] : [];
      const to = bounds[index + 1];
      return to === undefined ? caret : [...caret, piece(from, to, start <= from && to <= end)];
    });
    area.replaceChildren(...pieces);
  }

  function piece(from, to, isChosen) {
    const part = content.slice(from, to);
    const around = spans.filter(span => span.start <= from && to <= span.end)
      .sort((one, other) => one.start - other.start || other.end - one.end);
    return around.reduceRight((inner, span, depth) => {
      const made = element('mark', `vg-span ${colourOf(span.label)}`, inner);
      made.dataset.level = Math.min(around.length - 1 - depth, 3);
      made.classList.toggle('vg-first', span.start === from);
      if (span.end === to) {
        made.classList.add('vg-last');
        made.dataset.label = labels[span.label].label;
      }
      return made;
    }, isChosen ? element('span', 'vg-chosen', part) : document.createTextNode(part));
  }

  function button(className, label, ...children) {
    const made = element('button', className, ...children);
    made.type = 'button';
    if (label) { made.setAttribute('aria-label', label); }
    return made;
  }

  function showList() {
    list.replaceChildren(...spans.map((span, index) => {
      const go = button('kit-button vg-go', '', element('span', `vg-tag ${colourOf(span.label)}`, labels[span.label].label),
        element('bdi', 'vg-quote', quote(span)));
      const away = button('kit-button vg-remove', text('Remove', facts(span)), '×');
      go.dataset.go = index;
      away.dataset.remove = index;
      return element('li', 'vg-item', go, away);
    }));
    find('count').textContent = spans.length || '';
    find('none').hidden = spans.length > 0;
  }

  function updateTools() {
    const usable = {remove: Boolean(spanHere()), undo: past.length > 0, redo: future.length > 0};
    for (const tool of root.querySelectorAll('[data-tool]')) {
      const isFocused = tool === document.activeElement;
      tool.disabled = !usable[tool.dataset.tool];
      if (isFocused && tool.disabled) { area.focus({preventScroll: true}); }
    }
  }

  function labelList({labels: given}) {
    return (Array.isArray(given) ? given : []).map(one => {
      if (one === null || typeof one !== 'object') {
        const [label, description] = names[one] || [one, ''];
        return {value: one, label, description};
      }
      return {value: one.value, label: inLanguage(one.label) || String(one.value), description: inLanguage(one.description)};
    }).filter(({value}) => typeof value === 'string');
  }

  function showLabels() {
    palette.replaceChildren(...labels.map(({label, description}, index) => {
      const number = element('kbd', 'kit-number', String(index + 1));
      number.setAttribute('aria-hidden', 'true');
      number.hidden = index > 8;
      const made = button(`kit-button vg-label ${colourOf(index)}`, '', number,
        element('span', 'vg-name', element('span', 'vg-word', label), element('span', 'vg-description', description)));
      if (index < 9) { made.setAttribute('aria-keyshortcuts', String(index + 1)); }
      if (description) { made.title = description; }
      made.dataset.mark = index;
      return made;
    }));
  }

  // --- the task ----------------------------------------------------------------------------------------------------

  function showSource({work, author, year, credit, licence: name, source_url: address}) {
    const cite = work ? element('cite', 'vg-work', String(work)) : '';
    showCredit(root.querySelector('.kit-credit'), cite, author, year, credit,
      name && licence(String(name)), address && link(text('Source'), address));
  }

  function show({response}) {
    const {data, lang} = response.result.task;
    content = typeof data.text === 'string' ? data.text : '';
    labels = labelList(data);
    area.lang = languageOf(data.lang || data.language || lang);
    words = wordsOf(content);
    clusters = segmentsOf(content, 'grapheme');
    [spans, past, future] = [[], [], []];
    root.dataset.state = content && labels.length ? 'ready' : 'broken';
    document.getElementById('vg-question').textContent = inLanguage(data.question) || text('Question');
    showLabels();
    showList();
    showSource(data);
    select(0);
    root.hidden = false;
    if (root.dataset.state === 'broken') { problem.textContent = text('Broken'); }
    claimFocus(root, area);
    window.Vulyk.announce(text('Next', {text: content.slice(0, 1000)}));
  }

  /* What the volunteer may not have meant; an empty text when there is no doubt. */
  function doubt() {
    const chosen = selection();
    const isPending = isPointed && chosen && !spans.some(span => isSame(span, chosen));
    if (isPending) { return text('Pending', {text: quote(chosen)}); }
    return spans.length ? '' : text('Empty');
  }

  const drafts = {
    read: () => (spans.length ? spans.map(({start, end, label}) => ({start, end, label: labels[label].value})) : undefined),
    write: draft => {
      restore(draft.map(span => ({...span, label: labels.findIndex(({value}) => value === span.label)}))
        .filter(({end, label}) => label >= 0 && end <= content.length));
      paint();
    },
  };

  function save({callback}) {
    const refusal = root.dataset.state === 'broken' ? text('Broken') : doubt();
    const isMeant = refusal && refusal === confirmed && root.dataset.state === 'ready';
    problem.textContent = refusal;
    confirmed = refusal;
    if (refusal && !isMeant) {
      callback();
      problem.scrollIntoView({block: 'nearest'});
      claimFocus(root, area);
      return;
    }
    callback({spans: spans.map(({start, end, label}) =>
      ({start: codePoints(start), end: codePoints(end), label: labels[label].value, text: content.slice(start, end)}))});
  }

  // --- keys of the whole page --------------------------------------------------------------------------------------

  /* The first Esc takes back the selection, the next one warns if something would be lost; then it is the platform's. */
  function onEscape(event) {
    if (selection() && isSelected()) {
      select(edges().end);
    } else if (spans.length && !isWarned) {
      problem.textContent = text('Escape');
      isWarned = true;
    } else {
      return;
    }
    event.preventDefault();
  }

  function onKey(event) {
    const target = event.target;
    const elsewhere = target.closest && target.closest('input, textarea, select, [contenteditable=""], [contenteditable="true"]');
    const busy = document.querySelector('#save-button.disabled');
    if (root.hidden || elsewhere || busy || event.defaultPrevented || event.isComposing || dialogIsOpen()) { return; }

    const hasCommand = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    if (hasCommand && !event.altKey && (key === 'z' || key === 'y' || event.code === 'KeyZ')) {
      event.preventDefault();
      (event.shiftKey || key === 'y' ? redo : undo)();
    } else if (hasCommand || event.altKey) {
      return;
    } else if (event.key === 'Escape' && !event.repeat) {
      onEscape(event);
    } else if (event.key === 'Enter' && (target === area || target === document.body)) {
      event.preventDefault();
      if (!event.repeat) { press('save-button'); }
    } else if ((event.key === 'Delete' || event.key === 'Backspace') && !event.repeat) {
      event.preventDefault();
      remove(spanHere());
    } else if (digit(event) && labels[digit(event) - 1] && !event.repeat) {
      event.preventDefault();
      mark(digit(event) - 1);
    }
  }

  area.addEventListener('keydown', onTextKey);
  area.addEventListener('pointerdown', event => {
    pointer = event.pointerType;
    isPressed = true;
  });
  for (const name of ['pointerup', 'pointercancel']) {
    document.addEventListener(name, () => { isPressed = false; });
  }
  area.addEventListener('mousedown', event => {
    // no double click of the browser's own, whose words are others, and no selection from an old click to this one
    if (event.detail > 1 || event.shiftKey) {
      event.preventDefault();
      area.focus({preventScroll: true});
    }
    if (event.button === 0) { isNative = false; }  // unless it becomes another drag; what is seen stays until then
  });
  area.addEventListener('click', onClick);
  document.addEventListener('selectionchange', onSelectionChange);
  palette.addEventListener('mousedown', event => event.preventDefault());  // the text keeps focus and selection
  root.addEventListener('click', event => {
    const pressed = event.target.closest('button');
    if (!pressed) { return; }
    const {mark: label, tool, go, remove: away} = pressed.dataset;
    if (label) { mark(Number(label)); }
    if (tool) { TOOLS[tool](); }
    if (go) { select(spans[go].start, spans[go].end); }
    if (away) { remove(spans[away]); }
    if (go || away) { area.focus({preventScroll: !go}); }
  });
  document.addEventListener('keydown', onKey);
  document.body.addEventListener('vulyk:next', event => show(event.detail));
  document.body.addEventListener('vulyk:save', event => save(event.detail));
  document.body.addEventListener('vulyk:task-error', () => { root.hidden = true; });
  window.Vulyk.offerDrafts(drafts);

  if (isMac) {
    for (const key of document.querySelectorAll('.vg-help [data-mac]')) { key.textContent = key.dataset.mac; }
  }
})();
