/* The task type "transcription": shows the picture of one line, and hands the typed text to the platform. */
(() => {
  'use strict';

  const root = document.querySelector('.vt');
  if (!root) { return; }

  const find = name => root.querySelector(`.vt-${name}`);
  const view = find('view');
  const area = find('text');
  const pad = find('pad');
  const problem = find('problem');
  const illegible = document.getElementById('vt-illegible');
  const LARGEST = 8;
  const STEP = 1.25;
  let zoom = 1;     // 1: the line is as wide as the view; kept from task to task, since it suits the eyes, not the line
  let source = '';  // address of the picture of the task at hand

  const text = (name, values = {}) =>
    root.dataset[`text${name}`].replace(/\{(\w+)\}/g, (_, key) => values[key]);
  const press = id => { const button = document.getElementById(id); if (button) { button.click(); } };
  const picture = () => view.querySelector('img');

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
      zoomTo(zoom);
      view.scrollTo(0, 0);
    });
    image.addEventListener('error', () => { if (image.isConnected) { setState('broken'); } });
    setState('loading');
    view.replaceChildren(image);
    image.src = source;
  }

  /* Change the size; the point (x, y) of the view keeps showing the same spot of the picture. */
  function zoomTo(level, x = view.clientWidth / 2, y = view.clientHeight / 2) {
    const image = picture();
    if (!image || !image.offsetWidth) { return; }
    const across = (view.scrollLeft + x - image.offsetLeft) / image.offsetWidth;
    const down = (view.scrollTop + y - image.offsetTop) / image.offsetHeight;
    zoom = Math.min(LARGEST, Math.max(1, level));
    view.style.setProperty('--vt-zoom', zoom);
    view.scrollLeft = image.offsetLeft + across * image.offsetWidth - x;
    view.scrollTop = image.offsetTop + down * image.offsetHeight - y;
    find('percent').value = `${Math.round(zoom * 100)} %`;
  }

  const ZOOM = {in: () => zoomTo(zoom * STEP), out: () => zoomTo(zoom / STEP), fit: () => zoomTo(1)};
  const ZOOM_KEYS = {'+': 'in', '=': 'in', '-': 'out', '0': 'fit'};

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

  /* One finger moves the picture by the browser's own scrolling; two fingers change its size. */
  let pinch = null;  // {distance, zoom, x, y} of the last move

  function pinchOf([one, two]) {
    const [x, y] = place((one.clientX + two.clientX) / 2, (one.clientY + two.clientY) / 2);
    return {distance: Math.hypot(one.clientX - two.clientX, one.clientY - two.clientY) || 1, zoom, x, y};
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
    }
    pinch = now;
  }

  function onPointerDown(event) {
    if (event.pointerType !== 'mouse' || event.button !== 0 || root.dataset.state !== 'ready') { return; }
    view.setPointerCapture(event.pointerId);
    view.classList.add('vt-view-held');
  }

  function onPointerMove(event) {
    if (view.hasPointerCapture(event.pointerId)) { view.scrollBy(-event.movementX, -event.movementY); }
  }

  function onViewKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) { return; }
    const far = view.scrollWidth;
    const step = view.clientWidth / 5;
    const moves = {ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step / 3], ArrowDown: [0, step / 3], Home: [-far, 0], End: [far, 0]};
    const move = moves[event.key];
    if (!move || (move[1] && view.scrollHeight <= view.clientHeight)) { return; }  // then the arrow scrolls the page
    event.preventDefault();
    view.scrollBy(...move);
  }

  // --- the text ----------------------------------------------------------------------------------------------------

  /* Browsers that lack "field-sizing: content" need help to let the field grow. */
  function grow() {
    if (window.CSS && CSS.supports('field-sizing', 'content')) { return; }
    area.style.height = 'auto';
    area.style.height = `${area.scrollHeight}px`;
  }

  function onInput() {
    problem.textContent = '';
    if (/[\r\n]/.test(area.value)) {  // pasted: the picture shows one line
      const caret = area.selectionStart;
      area.value = area.value.replace(/[\r\n]/g, ' ');
      area.setSelectionRange(caret, caret);
    }
    grow();
  }

  /* execCommand is old, but the only way that leaves the character in the field's undo history. */
  function insert(character) {
    if (illegible.checked) { return; }
    area.focus({preventScroll: true});
    if (!document.execCommand('insertText', false, character)) {
      area.setRangeText(character, area.selectionStart, area.selectionEnd, 'end');
      onInput();
    }
  }

  function onPadKey(event) {
    const buttons = [...pad.children];
    const last = buttons.length - 1;
    const here = buttons.indexOf(document.activeElement);
    const next = {ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: last}[event.key];
    if (here < 0 || next === undefined) { return; }
    event.preventDefault();
    focusInPad(buttons[Math.min(last, Math.max(0, next))]);
  }

  /* The pad is one stop of the Tab key; the arrow keys go through it. */
  function focusInPad(button) {
    for (const other of pad.children) { other.tabIndex = other === button ? 0 : -1; }
    button.focus();
  }

  function setIllegible(yes) {
    illegible.checked = yes;
    area.readOnly = yes;
    find('form').classList.toggle('vt-form-illegible', yes);
    problem.textContent = '';
  }

  // --- the task ----------------------------------------------------------------------------------------------------

  function link(label, address) {
    if (typeof address !== 'string' || !/^https?:\/\//i.test(address)) { return label; }
    const made = document.createElement('a');
    made.append(label);
    Object.assign(made, {className: 'vt-link', href: address, target: '_blank', rel: 'noopener'});
    return made;
  }

  function licenceAddress(name) {
    const base = 'https://creativecommons.org/';
    if (/^CC0/.test(name)) { return `${base}publicdomain/zero/1.0/`; }
    const parts = /^CC (BY(?:-[A-Z]{2})*) (\d\.\d)/.exec(name);
    return parts && `${base}licenses/${parts[1].toLowerCase()}/${parts[2]}/`;
  }

  function showCredit({work, year, credit, licence, source_url: sourceUrl}) {
    const parts = [
      work && year ? text('WorkYear', {work, year}) : work ? text('Work', {work}) : year ? text('Year', {year}) : '',
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

  /* Focus goes to the text unless the volunteer has moved it elsewhere: into the help, say, or the menu. */
  function focusText() {
    const focused = document.activeElement;
    const free = !focused || focused === document.body || root.contains(focused) || focused.closest('#save-button, #skip-button');
    if (free && !dialogIsOpen()) { area.focus({preventScroll: true}); }
  }

  function show({response}) {
    const {data, media = {}} = response.result.task;
    source = media[data.image] || data.image || '';
    area.value = '';
    setIllegible(false);
    showCredit(data);
    root.hidden = false;
    grow();
    loadPicture();
    focusText();
    window.Vulyk.announce(text('Next'));
  }

  const drafts = {
    read: () => (area.value || illegible.checked ? {text: area.value, illegible: illegible.checked} : undefined),
    write: draft => {
      area.value = draft.text;
      setIllegible(draft.illegible);
      grow();
    },
  };

  function refusal(typed) {
    const state = root.dataset.state;
    if (state === 'broken') { return text('Broken'); }
    if (state === 'loading' && !typed) { return text('Loading'); }
    return typed || illegible.checked ? '' : text('Empty');
  }

  /* One code point per letter where there is one (ä, not a and ¨), so that equal answers are equal texts. */
  function save({callback}) {
    const typed = illegible.checked ? '' : area.value.normalize('NFC').trim();
    problem.textContent = refusal(typed);
    if (problem.textContent) {
      callback();
      focusText();
    } else {
      callback(typed ? {text: typed} : {illegible: true});
    }
  }

  // --- keys --------------------------------------------------------------------------------------------------------

  function onKey(event) {
    if (root.hidden || event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey
        || event.getModifierState('AltGraph') || dialogIsOpen()) { return; }
    const target = event.target;
    const typing = target.closest && target.closest('input:not([type="checkbox"]), textarea, select, [contenteditable]');
    if (typing && typing !== area) { return; }

    if (event.key === 'Enter' && (target === area || target === illegible || target === view || target === document.body)) {
      event.preventDefault();
      if (!event.shiftKey && !event.altKey && !event.repeat) { press('save-button'); }
      return;
    }
    const digit = event.altKey && !event.shiftKey && /^Digit(\d)$/.exec(event.code);
    const button = digit && pad.children[(Number(digit[1]) + 9) % 10];
    if (button) {
      event.preventDefault();
      insert(button.dataset.character);
    } else if (event.key in ZOOM_KEYS && (event.altKey || !typing)) {
      event.preventDefault();
      ZOOM[ZOOM_KEYS[event.key]]();
    }
  }

  view.addEventListener('wheel', onWheel, {passive: false});
  for (const name of ['touchstart', 'touchmove', 'touchend', 'touchcancel']) {
    view.addEventListener(name, onTouch, {passive: false});
  }
  view.addEventListener('pointerdown', onPointerDown);
  view.addEventListener('pointermove', onPointerMove);
  view.addEventListener('lostpointercapture', () => view.classList.remove('vt-view-held'));
  view.addEventListener('keydown', onViewKey);
  pad.addEventListener('keydown', onPadKey);
  pad.addEventListener('mousedown', event => event.preventDefault());  // the field keeps the focus, a phone its keyboard
  area.addEventListener('input', onInput);
  illegible.addEventListener('change', () => setIllegible(illegible.checked));
  root.addEventListener('submit', event => event.preventDefault());
  root.addEventListener('click', event => {
    const button = event.target.closest('button');
    if (!button) { return; }
    if (button.dataset.zoom) { ZOOM[button.dataset.zoom](); }
    if (button.dataset.character) { insert(button.dataset.character); }
    if (button.matches('.vt-retry')) { loadPicture(); }
    if (button.matches('.vt-skip')) { press('skip-button'); }
  });
  document.addEventListener('keydown', onKey);
  document.body.addEventListener('vulyk:next', event => show(event.detail));
  document.body.addEventListener('vulyk:save', event => save(event.detail));
  document.body.addEventListener('vulyk:task-error', () => { root.hidden = true; });
  window.Vulyk.offerDrafts(drafts);
})();
