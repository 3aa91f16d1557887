/* The task type "images": shows the photo and the answers of one task, and hands the chosen answer to the platform. */
(() => {
  'use strict';

  const root = document.querySelector('.vi');
  if (!root) { return; }

  const find = name => root.querySelector(`.vi-${name}`);
  const fieldset = find('fieldset');
  const problem = find('problem');
  const submitsOnChoice = root.dataset.submitOnChoice === 'true';
  let choices = [];  // [{value, label}] of the task at hand
  let source = '';   // address of its photo

  const text = (name, values = {}) =>
    root.dataset[`text${name}`].replace(/\{(\w+)\}/g, (_, key) => values[key]);
  const press = id => { const button = document.getElementById(id); if (button) { button.click(); } };
  const radios = () => [...fieldset.querySelectorAll('input')];
  const chosen = () => radios().findIndex(radio => radio.checked);

  function element(tag, className, ...children) {
    const made = document.createElement(tag);
    made.className = className;
    made.append(...children);
    return made;
  }

  function link(label, address) {
    if (typeof address !== 'string' || !/^https?:\/\//i.test(address)) { return label; }
    const made = element('a', 'vi-link', label);
    Object.assign(made, {href: address, target: '_blank', rel: 'noopener'});
    return made;
  }

  function licenceAddress(name) {
    const base = 'https://creativecommons.org/';
    if (/^CC0/.test(name)) { return `${base}publicdomain/zero/1.0/`; }
    const parts = /^CC (BY(?:-[A-Z]{2})*) (\d\.\d)/.exec(name);
    return parts && `${base}licenses/${parts[1].toLowerCase()}/${parts[2]}/`;
  }

  function showCredit({author, author_url: authorUrl, licence, source_url: sourceUrl}) {
    const [before, after] = root.dataset.textAuthor.split('{author}');
    const line = element('span', '');
    if (author) { line.append(before, link(String(author), authorUrl), after); }
    if (author && licence) { line.append(', '); }
    if (licence) { line.append(link(String(licence), licenceAddress(String(licence)))); }
    if (sourceUrl) { line.append(line.hasChildNodes() ? ' · ' : '', link(text('Source'), sourceUrl)); }
    find('credit').replaceChildren(line);
  }

  function choiceList(data) {
    const labels = data.labels || {};
    return (Array.isArray(data.choices) ? data.choices : []).map(choice => {
      const value = choice !== null && typeof choice === 'object' ? choice.value : choice;
      return {value, label: String((choice && choice.label) || labels[value] || value)};
    }).filter(({value}) => ['string', 'number', 'boolean'].includes(typeof value));
  }

  function showChoices() {
    find('choices').replaceChildren(...choices.map(({label}, index) => {
      const radio = Object.assign(element('input', 'vi-radio'), {type: 'radio', name: 'vi-choice', value: String(index)});
      const number = element('kbd', 'vi-number', String(index + 1));
      number.setAttribute('aria-hidden', 'true');
      number.hidden = index > 8;
      if (index < 9) { radio.setAttribute('aria-keyshortcuts', String(index + 1)); }
      return element('label', 'vi-choice', radio, number, element('span', 'vi-label', label));
    }));
    find('choices').dataset.count = choices.length;
  }

  function setState(state) {
    root.dataset.state = state;
    fieldset.disabled = state !== 'ready';
    find('broken').replaceChildren(...(state === 'broken' ? [find('broken-text').content.cloneNode(true)] : []));
  }

  /* Focus goes to the answers unless the volunteer has moved it elsewhere: into the help, say, or the menu. */
  function focusAnswers() {
    const focused = document.activeElement;
    const free = !focused || focused === document.body || root.contains(focused) || focused.closest('#save-button, #skip-button');
    if (free && !dialogIsOpen() && radios().length) {
      (radios()[chosen()] || radios()[0]).focus({preventScroll: true});
    }
  }

  function loadPhoto() {
    const photo = new Image();
    photo.alt = text('Alt');
    photo.decoding = 'async';
    photo.addEventListener('load', () => {
      if (!photo.isConnected) { return; }  // the next task came first
      setState('ready');
      if (choices.length) {
        focusAnswers();
      } else {
        problem.textContent = text('NoChoices');
      }
    });
    photo.addEventListener('error', () => { if (photo.isConnected) { setState('broken'); } });
    setState('loading');
    find('photo').replaceChildren(photo);
    photo.src = source;
  }

  function show({response}) {
    const {data, media = {}} = response.result.task;
    const question = data.question || text('Question');
    choices = choiceList(data);
    source = media[data.image] || data.image || '';
    problem.textContent = '';
    find('question').textContent = question;
    showChoices();
    showCredit(data);
    root.hidden = false;
    loadPhoto();
    window.Vulyk.announce(text('Next', {question}));
  }

  function save({callback}) {
    const refusal = {loading: 'Loading', broken: 'Broken'}[root.dataset.state]
      || (!choices.length && 'NoChoices') || (chosen() < 0 && 'Choose');
    problem.textContent = refusal ? text(refusal) : '';
    if (refusal) {
      callback();
      focusAnswers();
    } else {
      callback({choice: choices[chosen()].value});
    }
  }

  const drafts = {
    read: () => (chosen() < 0 ? undefined : {choice: choices[chosen()].value}),
    write: ({choice}) => {
      const radio = radios()[choices.findIndex(({value}) => value === choice)];
      if (radio) { radio.checked = true; }
    },
  };

  function dialogIsOpen() {
    return [...document.querySelectorAll('dialog[open], [role="dialog"], [aria-modal="true"]')]
      .some(dialog => dialog.getClientRects().length > 0);
  }

  /* The digit of a key press, 0 for other keys. Some keyboards (French) have digits only with Shift: there the place counts. */
  function digit(event) {
    const match = /^([1-9])$/.exec(event.key) || (!event.shiftKey && /^Digit([1-9])$/.exec(event.code));
    return match ? Number(match[1]) : 0;
  }

  function onKey(event) {
    const target = event.target;
    const elsewhere = target.closest && target.closest('input:not(.vi-radio), textarea, select, [contenteditable=""], [contenteditable="true"]');
    const busy = document.querySelector('#save-button.disabled');
    if (root.dataset.state !== 'ready' || root.hidden || elsewhere || busy || event.defaultPrevented || event.repeat
        || event.ctrlKey || event.altKey || event.metaKey || event.isComposing || dialogIsOpen()) { return; }

    if (event.key === 'Enter' && (target === document.body || target.matches('.vi-radio'))) {
      event.preventDefault();
      press('save-button');
      return;
    }
    const index = digit(event) - 1;
    const radio = radios()[index];
    if (!radio) { return; }
    event.preventDefault();
    const again = radio.checked;
    radio.checked = true;
    radio.focus({preventScroll: true});
    problem.textContent = '';
    if (again || submitsOnChoice) { press('save-button'); }
  }

  root.addEventListener('submit', event => event.preventDefault());
  root.addEventListener('change', () => { problem.textContent = ''; });
  root.addEventListener('click', event => {
    if (event.target.closest('.vi-retry')) { loadPhoto(); }
    if (event.target.closest('.vi-skip')) { press('skip-button'); }
  });
  document.addEventListener('keydown', onKey);
  document.body.addEventListener('vulyk:next', event => show(event.detail));
  document.body.addEventListener('vulyk:save', event => save(event.detail));
  document.body.addEventListener('vulyk:task-error', () => { root.hidden = true; });
  window.Vulyk.offerDrafts(drafts);
})();
