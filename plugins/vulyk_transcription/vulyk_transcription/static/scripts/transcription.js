/* The task type "transcription": shows the picture of one line, and hands the typed text to the platform. */
(() => {
  'use strict';

  const root = document.querySelector('.vt');
  if (!root) { return; }

  const {claimFocus, dialogIsOpen, licence, link, press, showCredit, textsOf, Viewer} = window.VulykKit;
  const area = document.getElementById('vt-text');
  const pad = root.querySelector('.vt-pad');
  const problem = document.getElementById('vt-problem');
  const illegible = document.getElementById('vt-illegible');
  const text = textsOf(root);
  const viewer = new Viewer(root, {alt: text('Alt'), fit: 'width'});

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
    root.querySelector('.vt-form').classList.toggle('vt-form-illegible', yes);
    problem.textContent = '';
  }

  // --- the task ----------------------------------------------------------------------------------------------------

  function showSource({work, year, credit, licence: name, source_url: address}) {
    const from = work && year ? text('WorkYear', {work, year}) : work ? text('Work', {work}) : year ? text('Year', {year}) : '';
    showCredit(root.querySelector('.kit-credit'), from, credit, name && licence(String(name)), address && link(text('Source'), address));
  }

  function show({response}) {
    const {data, media = {}} = response.result.task;
    area.value = '';
    setIllegible(false);
    showSource(data);
    root.hidden = false;
    grow();
    viewer.load(media[data.image] || data.image || '');
    claimFocus(root, area);
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
      claimFocus(root, area);
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

    if (event.key === 'Enter' && (target === area || target === illegible || target === viewer.view || target === document.body)) {
      event.preventDefault();
      if (!event.shiftKey && !event.altKey && !event.repeat) { press('save-button'); }
      return;
    }
    const digit = event.altKey && !event.shiftKey && /^Digit(\d)$/.exec(event.code);
    const button = digit && pad.children[(Number(digit[1]) + 9) % 10];
    if (button) {
      event.preventDefault();
      insert(button.dataset.character);
    } else {
      viewer.obey(event, typing);
    }
  }

  pad.addEventListener('keydown', onPadKey);
  pad.addEventListener('mousedown', event => event.preventDefault());  // the field keeps the focus, a phone its keyboard
  area.addEventListener('input', onInput);
  illegible.addEventListener('change', () => setIllegible(illegible.checked));
  root.addEventListener('submit', event => event.preventDefault());
  root.addEventListener('click', event => {
    const button = event.target.closest('[data-character]');
    if (button) { insert(button.dataset.character); }
  });
  document.addEventListener('keydown', onKey);
  document.body.addEventListener('vulyk:next', event => show(event.detail));
  document.body.addEventListener('vulyk:save', event => save(event.detail));
  document.body.addEventListener('vulyk:task-error', () => { root.hidden = true; });
  window.Vulyk.offerDrafts(drafts);
})();
