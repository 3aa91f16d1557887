/* The task type "images": shows the photo and the answers of one task, and hands the chosen answer to the platform. */
(() => {
  'use strict';

  const root = document.querySelector('.vi');
  if (!root) { return; }

  const {claimFocus, dialogIsOpen, digit, element, inLanguage, licence, link, press, showCredit, textsOf, Viewer} = window.VulykKit;
  const fieldset = root.querySelector('.vi-fieldset');
  const problem = document.getElementById('vi-problem');
  const submitsOnChoice = root.dataset.submitOnChoice === 'true';
  const text = textsOf(root);
  const radios = () => [...fieldset.querySelectorAll('input')];
  const chosen = () => radios().findIndex(radio => radio.checked);
  const photo = new Viewer(root, {alt: text('Alt'), onState});
  let choices = [];  // [{value, label}] of the task at hand

  function showSource({author, author_url: authorUrl, licence: name, source_url: sourceUrl}) {
    const [before, after] = root.dataset.textAuthor.split('{author}');
    const line = element('span', '');
    if (author) { line.append(before, link(String(author), authorUrl), after); }
    if (author && name) { line.append(', '); }
    if (name) { line.append(licence(String(name))); }
    showCredit(root.querySelector('.kit-credit'), line.hasChildNodes() ? line : '', sourceUrl && link(text('Source'), sourceUrl));
  }

  function choiceList(data) {
    const labels = data.labels || {};
    return (Array.isArray(data.choices) ? data.choices : []).map(choice => {
      const value = choice !== null && typeof choice === 'object' ? choice.value : choice;
      return {value, label: inLanguage(choice && choice.label) || inLanguage(labels[value]) || String(value)};
    }).filter(({value}) => ['string', 'number', 'boolean'].includes(typeof value));
  }

  function showChoices() {
    const place = root.querySelector('.vi-choices');
    place.replaceChildren(...choices.map(({label}, index) => {
      const radio = Object.assign(element('input', 'vi-radio'), {type: 'radio', name: 'vi-choice', value: String(index)});
      const number = element('kbd', 'kit-number', String(index + 1));
      number.setAttribute('aria-hidden', 'true');
      number.hidden = index > 8;
      if (index < 9) { radio.setAttribute('aria-keyshortcuts', String(index + 1)); }
      return element('label', 'vi-choice', radio, number, element('span', 'vi-label', label));
    }));
    place.dataset.count = choices.length;
  }

  function onState(state) {
    fieldset.disabled = state !== 'ready';
    if (state === 'ready' && !choices.length) { problem.textContent = text('NoChoices'); }
    if (state === 'ready') { focusAnswers(); }
  }

  const focusAnswers = () => claimFocus(root, radios()[chosen()] || radios()[0]);

  function show({response}) {
    const {data, media = {}, srcset = {}} = response.result.task;
    const question = inLanguage(data.question) || text('Question');
    choices = choiceList(data);
    problem.textContent = '';
    document.getElementById('vi-question').textContent = question;
    showChoices();
    showSource(data);
    root.hidden = false;
    photo.load(media[data.image] || data.image || '', srcset[data.image]);
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
    if (photo.obey(event, false)) { return; }
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
  document.addEventListener('keydown', onKey);
  document.body.addEventListener('vulyk:next', event => show(event.detail));
  document.body.addEventListener('vulyk:save', event => save(event.detail));
  document.body.addEventListener('vulyk:task-error', () => { root.hidden = true; });
  window.Vulyk.offerDrafts(drafts);
})();
