/* The task type "records": shows the picture of a card beside a form, and hands what was typed to the platform. */
(() => {
  'use strict';

  const root = document.querySelector('.vc');
  if (!root) { return; }

  const {claimFocus, dialogIsOpen, element, inLanguage, languageOf, licence, link, press, showCredit, textsOf, Viewer} = window.VulykKit;
  const form = root.querySelector('.vc-fields');
  const problem = root.querySelector('.kit-problem');
  const known = JSON.parse(root.dataset.knownFields);
  const text = textsOf(root);
  const viewer = new Viewer(root, {alt: text('Alt'), turns: true});
  let fields = [];      // [{name, label, hint, required, pattern, limit, lang}] of the task at hand
  let here = 0;         // number of the field that had the focus last
  let confirmed = '';   // the empty fields that were pointed out last: pressing Submit again means they are meant
  let isWarned = false; // Esc was pressed once

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
          label: inLanguage(facts.label) || spelledOut(facts.name),
          hint: inLanguage(facts.hint),
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

  function showSource({credit, licence: name, source_url: address}) {
    showCredit(root.querySelector('.kit-credit'), credit, name && licence(String(name)), address && link(text('Source'), address));
  }

  function show({response}) {
    const {data, media = {}, lang} = response.result.task;
    fields = fieldList(data.fields, languageOf(data.lang || data.language || lang));
    forgetDoubt();
    showFields();
    showSource(data);
    if (!fields.length) { problem.textContent = text('NoFields'); }
    root.hidden = false;
    viewer.load(media[data.image] || data.image || '');
    claimFocus(root, areaOf(0));
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

    if (event.key === 'Enter' && !event.altKey && (index >= 0 || target === viewer.view || target === document.body)) {
      event.preventDefault();
      if (!event.repeat) { goTo(index < 0 ? here : index + (event.shiftKey ? -1 : 1)); }
    } else if (event.key === 'F2' && index >= 0 && !event.repeat) {
      event.preventDefault();
      boxOf(index).click();
    } else if (event.key === 'F8') {
      event.preventDefault();
      if (target === viewer.view) { goTo(here); } else { viewer.view.focus(); }
    } else if (event.key === 'F9') {
      event.preventDefault();
      viewer.turnBy(event.shiftKey ? -90 : 90);
    } else if (event.key === 'Escape' && !event.repeat) {
      onEscape(event);
    } else {
      viewer.obey(event, isTyping);
    }
  }

  form.addEventListener('beforeinput', onBeforeInput);
  form.addEventListener('input', onInput);
  form.addEventListener('change', onChange);
  form.addEventListener('focusin', ({target}) => { here = indexOf(target); });
  root.addEventListener('submit', event => event.preventDefault());
  document.addEventListener('keydown', onKey);
  document.body.addEventListener('vulyk:next', event => show(event.detail));
  document.body.addEventListener('vulyk:save', event => save(event.detail));
  document.body.addEventListener('vulyk:task-error', () => { root.hidden = true; });
  window.Vulyk.offerDrafts(drafts);
})();
