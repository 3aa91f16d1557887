/* The task type "records": shows the picture of a card beside a form, and hands what was typed to the platform. */
(() => {
  'use strict';

  const root = document.querySelector('.vc');
  if (!root) { return; }

  const find = name => root.querySelector(`.vc-${name}`);
  const view = find('view');
  const sheet = find('sheet');
  const form = find('fields');
  const problem = find('problem');
  const known = JSON.parse(root.dataset.knownFields);
  const LARGEST = 8;
  const STEP = 1.25;
  let fields = [];      // [{name, label, hint, required, pattern, limit, lang}] of the task at hand
  let source = '';      // address of its picture
  let zoom = 1;         // 1: the whole card is in view; kept from task to task, since it suits the eyes, not the card
  let turn = 0;         // by how many degrees the picture is turned
  let here = 0;         // number of the field that had the focus last
  let confirmed = '';   // the empty fields that were pointed out last: pressing Submit again means they are meant
  let isWarned = false; // Esc was pressed once

  const text = (name, values = {}) =>
    root.dataset[`text${name}`].replace(/\{(\w+)\}/g, (_, key) => values[key]);
  const press = id => { const button = document.getElementById(id); if (button) { button.click(); } };
  const picture = () => sheet.querySelector('img');

  function element(tag, className, ...children) {
    const made = document.createElement(tag);
    made.className = className;
    made.append(...children);
    return made;
  }

  // --- the picture -------------------------------------------------------------------------------------------------

  function setState(state) {
    root.dataset.state = state;
    find('broken').replaceChildren(...(state === 'broken' ? [find('broken-text').content.cloneNode(true)] : []));
  }

  function loadPicture() {
    const image = new Image();
    image.alt = text('Alt');
    image.draggable = false;
    image.addEventListener('load', () => {
      if (!image.isConnected) { return; }  // the next task came first
      setState('ready');
      layOut();
      view.scrollTo(0, 0);
    });
    image.addEventListener('error', () => { if (image.isConnected) { setState('broken'); } });
    setState('loading');
    sheet.replaceChildren(image);
    image.src = source;
  }

  /* The sheet has the size of the turned picture; the picture is turned inside it. */
  function layOut() {
    const image = picture();
    if (!image || !image.naturalWidth) { return; }
    const {naturalWidth: width, naturalHeight: height} = image;
    const isAcross = turn % 180 !== 0;
    const fit = Math.min(view.offsetWidth / (isAcross ? height : width), view.offsetHeight / (isAcross ? width : height));
    const scale = fit * zoom;
    const [across, down] = [Math.floor(width * scale), Math.floor(height * scale)];
    const shift = {0: '0, 0', 90: `${down}px, 0`, 180: `${across}px, ${down}px`, 270: `0, ${across}px`}[turn];
    sheet.style.width = `${isAcross ? down : across}px`;
    sheet.style.height = `${isAcross ? across : down}px`;
    image.style.width = `${across}px`;
    image.style.height = `${down}px`;
    image.style.transform = `translate(${shift}) rotate(${turn}deg)`;
    find('percent').value = `${Math.round(zoom * 100)} %`;
  }

  /* Change the size; the point (x, y) of the view keeps showing the same spot of the picture. */
  function zoomTo(level, x = view.clientWidth / 2, y = view.clientHeight / 2) {
    if (!sheet.offsetWidth || root.dataset.state !== 'ready') { return; }
    const across = (view.scrollLeft + x - sheet.offsetLeft) / sheet.offsetWidth;
    const down = (view.scrollTop + y - sheet.offsetTop) / sheet.offsetHeight;
    zoom = Math.min(LARGEST, Math.max(1, level));
    layOut();
    view.scrollLeft = sheet.offsetLeft + across * sheet.offsetWidth - x;
    view.scrollTop = sheet.offsetTop + down * sheet.offsetHeight - y;
  }

  function turnBy(degrees) {
    if (root.dataset.state !== 'ready') { return; }
    turn = (turn + degrees + 360) % 360;
    layOut();
    view.scrollTo((view.scrollWidth - view.clientWidth) / 2, (view.scrollHeight - view.clientHeight) / 2);
  }

  const VIEW = {
    in: () => zoomTo(zoom * STEP), out: () => zoomTo(zoom / STEP), fit: () => zoomTo(1),
    left: () => turnBy(-90), right: () => turnBy(90),
  };
  const VIEW_KEYS = {'+': 'in', '=': 'in', '-': 'out', '0': 'fit', r: 'right', R: 'left'};

  function place(clientX, clientY) {
    const box = view.getBoundingClientRect();
    return [clientX - box.left, clientY - box.top];
  }

  function onWheel(event) {
    if (!event.ctrlKey) { return; }
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1);
    zoomTo(zoom * Math.exp(-pixels / 400), ...place(event.clientX, event.clientY));
  }

  /* One finger moves the picture by the browser's own scrolling; two fingers change its size, and turn it by twisting. */
  let pinch = null;  // {distance, angle, x, y} of the last move; the angle is that of the last turn

  function pinchOf([one, two]) {
    const [x, y] = place((one.clientX + two.clientX) / 2, (one.clientY + two.clientY) / 2);
    const [across, down] = [two.clientX - one.clientX, two.clientY - one.clientY];
    return {distance: Math.hypot(across, down) || 1, angle: Math.atan2(down, across) * 180 / Math.PI, x, y};
  }

  function onTouch(event) {
    if (event.touches.length !== 2) {
      pinch = null;
      return;
    }
    if (event.cancelable) { event.preventDefault(); }
    const now = pinchOf(event.touches);
    if (pinch) {
      view.scrollBy(pinch.x - now.x, pinch.y - now.y);
      zoomTo(zoom * now.distance / pinch.distance, now.x, now.y);
      const twist = (now.angle - pinch.angle + 540) % 360 - 180;
      if (Math.abs(twist) > 50) { turnBy(90 * Math.sign(twist)); } else { now.angle = pinch.angle; }
    }
    pinch = now;
  }

  /* The mouse drags the picture. A spot that is only clicked or tapped comes to the middle, for those who cannot drag. */
  let dragged = 0;  // by how many pixels since the button went down

  function onPointerDown(event) {
    dragged = 0;
    if (event.pointerType !== 'mouse' || event.button !== 0 || root.dataset.state !== 'ready') { return; }
    view.setPointerCapture(event.pointerId);
    view.classList.add('vc-view-held');
  }

  function onPointerMove(event) {
    if (!view.hasPointerCapture(event.pointerId)) { return; }
    dragged += Math.abs(event.movementX) + Math.abs(event.movementY);
    view.scrollBy(-event.movementX, -event.movementY);
  }

  function onViewClick(event) {
    if (dragged > 4 || root.dataset.state !== 'ready') { return; }
    const [x, y] = place(event.clientX, event.clientY);
    view.scrollBy({left: x - view.clientWidth / 2, top: y - view.clientHeight / 2, behavior: 'smooth'});
  }

  function onViewKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) { return; }
    const [across, down] = [view.clientWidth / 5, view.clientHeight / 5];
    const moves = {ArrowLeft: [-across, 0], ArrowRight: [across, 0], ArrowUp: [0, -down], ArrowDown: [0, down]};
    const move = moves[event.key];
    if (!move || (move[1] && view.scrollHeight <= view.clientHeight)) { return; }  // then the arrow scrolls the page
    event.preventDefault();
    view.scrollBy(...move);
  }

  // --- the form ----------------------------------------------------------------------------------------------------

  const areas = () => [...form.querySelectorAll('textarea')];
  const areaOf = index => areas()[index];
  const boxOf = index => form.querySelectorAll('input')[index];
  const isIllegible = index => boxOf(index).checked;
  const isTouched = () => areas().some((area, index) => area.value.trim() || isIllegible(index));

  /* One line, one code point per letter where there is one, no white space at the ends: equal answers are equal texts. */
  const clean = typed => typed.normalize('NFC').replace(/\s*[\u0000-\u001f\u007f-\u009f\u2028\u2029]\s*/g, ' ').trim();

  function fieldList(given, language) {
    const found = new Map();
    for (const one of Array.isArray(given) ? given : []) {
      const facts = typeof one === 'string' ? {...known[one], name: one} : one;
      if (facts && typeof facts.name === 'string' && !found.has(facts.name)) {
        found.set(facts.name, {
          name: facts.name,
          label: String(facts.label || spelledOut(facts.name)),
          hint: String(facts.hint || ''),
          required: facts.required === true,
          pattern: typeof facts.pattern === 'string' ? facts.pattern : '',
          limit: Number.isInteger(facts.max_length) && facts.max_length > 0 ? facts.max_length : Number(root.dataset.maxCharacters),
          lang: languageOf(facts.lang) || language,
        });
      }
    }
    return [...found.values()];
  }

  function spelledOut(name) {
    const words = name.replace(/[_-]+/g, ' ').trim();
    return words.charAt(0).toUpperCase() + words.slice(1);
  }

  /* A language tag that browsers understand, or nothing. */
  function languageOf(tag) {
    try {
      return Intl.getCanonicalLocales(tag || [])[0] || '';
    } catch (error) {
      return '';
    }
  }

  function patternOf(pattern) {
    for (const flags of ['u', '']) {
      try {
        return new RegExp(`^(?:${pattern})$`, flags);
      } catch (error) { /* what no browser understands is left to the server */ }
    }
    return /^/;
  }

  const isNumeric = pattern => /^(?:\\d|\[0-9\]|\{[\d,]+\}|[+*])+$/.test(pattern);

  function showFields() {
    form.replaceChildren(...fields.map(({label, hint, required, pattern, lang}, index) => {
      const name = element('label', 'vc-label', label);
      const area = element('textarea', 'vc-text');
      const box = element('input', 'vc-box');
      const note = element('p', 'vc-note', hint);
      const refusal = element('p', 'vc-refusal');
      name.htmlFor = area.id = `vc-field-${index}`;
      note.id = `vc-note-${index}`;
      refusal.id = `vc-refusal-${index}`;
      Object.assign(area, {rows: 1, lang, spellcheck: false, autocomplete: 'off', autocapitalize: 'off', enterKeyHint: index + 1 < fields.length ? 'next' : 'done'});
      area.setAttribute('autocorrect', 'off');
      area.setAttribute('aria-describedby', `${refusal.id} ${note.id}`);
      if (required) { area.setAttribute('aria-required', 'true'); }
      if (isNumeric(pattern)) { area.inputMode = 'numeric'; }
      box.type = 'checkbox';
      box.setAttribute('aria-label', text('IllegibleField', {label}));
      box.setAttribute('aria-keyshortcuts', 'F2');
      const made = element('div', 'vc-field', name, area, element('label', 'vc-illegible', box, element('span', '', text('Illegible'))), refusal, note);
      made.dataset.name = fields[index].name;
      return made;
    }));
    here = 0;
  }

  /* Browsers that lack "field-sizing: content" need help to let a field grow. */
  function grow(area) {
    if (window.CSS && CSS.supports('field-sizing', 'content')) { return; }
    area.style.height = 'auto';
    area.style.height = `${area.scrollHeight + area.offsetHeight - area.clientHeight}px`;
  }

  const indexOf = node => [...form.children].findIndex(field => field.contains(node));

  function onInput({target}) {
    const index = indexOf(target);
    if (target.matches('textarea')) {
      if (/[\r\n]/.test(target.value)) {  // pasted: a field is one line, however long
        const caret = target.selectionStart;
        target.value = target.value.replace(/\s*[\r\n]\s*/g, ' ');
        target.setSelectionRange(caret, caret);
      }
      grow(target);
    } else {
      setIllegible(index, target.checked);
    }
    refuse(index, '');
    forgetDoubt();
  }

  /* What has been typed stays, so that a slip takes nothing away. */
  function setIllegible(index, yes) {
    boxOf(index).checked = yes;
    areaOf(index).readOnly = yes;
    form.children[index].classList.toggle('vc-field-illegible', yes);
  }

  function forgetDoubt() {
    confirmed = '';
    isWarned = false;
    problem.textContent = '';
    for (const field of form.querySelectorAll('.vc-field-doubted')) { field.classList.remove('vc-field-doubted'); }
  }

  function refuse(index, sentence) {
    const area = areaOf(index);
    document.getElementById(`vc-refusal-${index}`).textContent = sentence;
    if (sentence) { area.setAttribute('aria-invalid', 'true'); } else { area.removeAttribute('aria-invalid'); }
    form.children[index].classList.toggle('vc-field-refused', Boolean(sentence));
  }

  /* What is wrong with a field; an empty text when nothing is. */
  function faultOf(index) {
    const {required, pattern, limit, hint} = fields[index];
    const typed = clean(areaOf(index).value);
    const count = Array.from(typed).length;
    if (isIllegible(index)) { return ''; }
    if (!typed) { return required ? text('Required') : ''; }
    if (count > limit) { return text('TooLong', {count, limit}); }
    if (pattern && !patternOf(pattern).test(typed)) { return hint ? text('PatternHint', {hint}) : text('Pattern'); }
    return '';
  }

  /* A field that has been left says at once what is wrong; an empty one only when the card is submitted. */
  function onChange({target}) {
    const index = indexOf(target);
    if (target.matches('textarea') && clean(target.value)) { refuse(index, faultOf(index)); }
  }

  /* The Enter of a phone's keyboard may come as text only. */
  function onBeforeInput(event) {
    if (event.inputType === 'insertLineBreak' || event.inputType === 'insertParagraph') {
      event.preventDefault();
      goTo(indexOf(event.target) + 1);
    }
  }

  function goTo(index) {
    const area = areaOf(index);
    if (area) {
      area.focus();
      area.setSelectionRange(area.value.length, area.value.length);
    } else if (index >= fields.length) {
      const submit = document.getElementById('save-button');
      if (submit) { submit.focus(); }
    }
  }

  // --- the task ----------------------------------------------------------------------------------------------------

  function link(label, address) {
    if (typeof address !== 'string' || !/^https?:\/\//i.test(address)) { return label; }
    const made = element('a', 'vc-link', label);
    Object.assign(made, {href: address, target: '_blank', rel: 'noopener'});
    return made;
  }

  function licenceAddress(name) {
    const base = 'https://creativecommons.org/';
    if (/^CC0/.test(name)) { return `${base}publicdomain/zero/1.0/`; }
    const parts = /^CC (BY(?:-[A-Z]{2})*) (\d\.\d)/.exec(name);
    return parts && `${base}licenses/${parts[1].toLowerCase()}/${parts[2]}/`;
  }

  function showCredit({credit, licence, source_url: sourceUrl}) {
    const parts = [
      credit ? String(credit) : '',
      licence ? link(String(licence), licenceAddress(String(licence))) : '',
      sourceUrl ? link(text('Source'), sourceUrl) : '',
    ].filter(part => part !== '');
    find('credit').replaceChildren(...parts.flatMap((part, index) => (index ? [' · ', part] : [part])));
  }

  function dialogIsOpen() {
    return [...document.querySelectorAll('dialog[open], [role="dialog"], [aria-modal="true"]')]
      .some(dialog => dialog.getClientRects().length > 0);
  }

  /* Focus goes to the form unless the volunteer has moved it elsewhere: into the help, say, or the menu. */
  function focusForm() {
    const focused = document.activeElement;
    const free = !focused || focused === document.body || root.contains(focused) || focused.closest('#save-button, #skip-button');
    if (free && !dialogIsOpen() && fields.length) { areaOf(0).focus({preventScroll: true}); }
  }

  function show({response}) {
    const {data, media = {}, lang} = response.result.task;
    source = media[data.image] || data.image || '';
    fields = fieldList(data.fields, languageOf(data.lang || data.language || lang));
    turn = 0;
    forgetDoubt();
    showFields();
    showCredit(data);
    if (!fields.length) { problem.textContent = text('NoFields'); }
    root.hidden = false;
    loadPicture();
    focusForm();
    window.Vulyk.announce(text('Next'));
  }

  const drafts = {
    read: () => (isTouched()
      ? Object.fromEntries(fields.map(({name}, index) => [name, {text: areaOf(index).value, illegible: isIllegible(index)}]))
      : undefined),
    write: draft => fields.forEach(({name}, index) => {
      if (!draft[name]) { return; }
      areaOf(index).value = draft[name].text;
      setIllegible(index, draft[name].illegible);
      grow(areaOf(index));
    }),
  };

  function save({callback}) {
    const answer = {fields: {}, illegible: []};
    fields.forEach(({name}, index) => {
      answer.fields[name] = isIllegible(index) ? null : clean(areaOf(index).value) || null;
      if (isIllegible(index)) { answer.illegible.push(name); }
    });
    if (isRefused(answer)) { callback(); } else { callback(answer); }
  }

  /* Whether something is missing; the volunteer is told what. */
  function isRefused(answer) {
    const state = root.dataset.state;
    const faults = fields.map((_, index) => faultOf(index));
    const empty = fields.filter(({name}, index) => answer.fields[name] === null && !isIllegible(index));
    const labelsOf = some => some.map(({label}) => label).join(', ');
    const wasConfirmed = confirmed && confirmed === labelsOf(empty);
    forgetDoubt();
    faults.forEach((fault, index) => refuse(index, fault));
    if (!fields.length) {
      problem.textContent = text('NoFields');
    } else if (state === 'broken') {
      problem.textContent = text('Broken');
    } else if (state === 'loading' && !isTouched()) {
      problem.textContent = text('Loading');
    } else if (faults.some(Boolean)) {
      problem.textContent = text('Problems', {fields: labelsOf(fields.filter((_, index) => faults[index]))});
      goTo(faults.findIndex(Boolean));
    } else if (empty.length && !wasConfirmed) {
      confirmed = labelsOf(empty);
      fields.forEach((field, index) => form.children[index].classList.toggle('vc-field-doubted', empty.includes(field)));
      problem.textContent = text('Empty', {fields: confirmed});
    }
    if (problem.textContent && !faults.some(Boolean)) { problem.scrollIntoView({block: 'nearest'}); }
    return problem.textContent !== '';
  }

  // --- keys --------------------------------------------------------------------------------------------------------

  /* The first Esc warns if something would be lost and leaves the field; the next one is the platform's. */
  function onEscape(event) {
    if (!isTouched() || isWarned) { return; }
    event.preventDefault();
    problem.textContent = text('Escape');
    problem.scrollIntoView({block: 'nearest'});
    isWarned = true;
    if (root.contains(document.activeElement)) { document.activeElement.blur(); }
  }

  function onKey(event) {
    if (root.hidden || event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey
        || event.getModifierState('AltGraph') || dialogIsOpen()) { return; }
    const target = event.target;
    const index = indexOf(target);
    const isTyping = target.closest && target.closest('input:not([type="checkbox"]), textarea, select, [contenteditable]');
    if (isTyping && index < 0) { return; }

    if (event.key === 'Enter' && !event.altKey && (index >= 0 || target === view || target === document.body)) {
      event.preventDefault();
      if (!event.repeat) { goTo(index < 0 ? here : index + (event.shiftKey ? -1 : 1)); }
    } else if (event.key === 'F2' && index >= 0 && !event.repeat) {
      event.preventDefault();
      boxOf(index).click();
    } else if (event.key === 'F8') {
      event.preventDefault();
      if (target === view) { goTo(here); } else { view.focus(); }
    } else if (event.key === 'F9') {
      event.preventDefault();
      turnBy(event.shiftKey ? -90 : 90);
    } else if (event.key === 'Escape' && !event.repeat) {
      onEscape(event);
    } else if (event.key in VIEW_KEYS && (!isTyping || (event.altKey && !/r/i.test(event.key)))) {
      event.preventDefault();
      VIEW[VIEW_KEYS[event.key]]();
    }
  }

  view.addEventListener('wheel', onWheel, {passive: false});
  for (const name of ['touchstart', 'touchmove', 'touchend', 'touchcancel']) {
    view.addEventListener(name, onTouch, {passive: false});
  }
  view.addEventListener('pointerdown', onPointerDown);
  view.addEventListener('pointermove', onPointerMove);
  view.addEventListener('lostpointercapture', () => view.classList.remove('vc-view-held'));
  view.addEventListener('click', onViewClick);
  view.addEventListener('keydown', onViewKey);
  new ResizeObserver(layOut).observe(view);
  form.addEventListener('beforeinput', onBeforeInput);
  form.addEventListener('input', onInput);
  form.addEventListener('change', onChange);
  form.addEventListener('focusin', ({target}) => { here = indexOf(target); });
  root.addEventListener('submit', event => event.preventDefault());
  root.addEventListener('click', event => {
    const button = event.target.closest('button');
    if (!button) { return; }
    if (button.dataset.view) { VIEW[button.dataset.view](); }
    if (button.matches('.vc-retry')) { loadPicture(); }
    if (button.matches('.vc-skip')) { press('skip-button'); }
  });
  document.addEventListener('keydown', onKey);
  document.body.addEventListener('vulyk:next', event => show(event.detail));
  document.body.addEventListener('vulyk:save', event => save(event.detail));
  document.body.addEventListener('vulyk:task-error', () => { root.hidden = true; });
  window.Vulyk.offerDrafts(drafts);
})();
