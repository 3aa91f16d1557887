/* The task type "example": shows the text and the answers of a task, and hands the chosen answer to the platform. */
(() => {
  'use strict';

  const root = document.querySelector('.example');
  if (!root) { return; }

  const {claimFocus, dialogIsOpen, digit, element, press, textsOf} = window.VulykKit;
  const problem = document.getElementById('example-problem');
  const text = textsOf(root);
  const radios = () => [...root.querySelectorAll('.example-choices input')];
  const chosen = () => radios().find(radio => radio.checked);

  /* What a task brings comes from a file of somebody else: it becomes text in the page, never HTML. */
  function show({response}) {
    const {data} = response.result.task;
    const question = data.question || text('Question');
    root.querySelector('.example-text').textContent = data.text;
    document.getElementById('example-question').textContent = question;
    root.querySelector('.example-choices').replaceChildren(...data.choices.map((choice, index) => {
      const radio = Object.assign(element('input', ''), {type: 'radio', name: 'example-choice', value: choice});
      return element('label', 'example-choice', radio, element('kbd', 'kit-number', String(index + 1)), choice);
    }));
    problem.textContent = '';
    root.hidden = false;
    claimFocus(root, radios()[0]);
    window.Vulyk.announce(text('Next', {question}));
  }

  /* callback(answer) sends the answer; callback() sends nothing, and the buttons can be pressed again. */
  function save({callback}) {
    problem.textContent = chosen() ? '' : text('Choose');
    if (chosen()) { callback({choice: chosen().value}); } else { callback(); }
  }

  function choose(radio) {
    radio.checked = true;
    radio.focus({preventScroll: true});
    problem.textContent = '';
    if (root.dataset.submitOnChoice === 'true') { press('save-button'); }
  }

  function onKey(event) {
    const radio = radios()[digit(event) - 1];
    const elsewhere = event.target.closest('input:not([type="radio"]), textarea, select');
    if (root.hidden || elsewhere || dialogIsOpen() || event.repeat || event.ctrlKey || event.altKey || event.metaKey) { return; }
    if (radio) {
      event.preventDefault();
      choose(radio);
    } else if (event.key === 'Enter' && (event.target === document.body || root.contains(event.target))) {
      event.preventDefault();
      press('save-button');
    }
  }

  root.addEventListener('submit', event => event.preventDefault());
  root.addEventListener('click', event => {
    if (event.target.matches('.example-choices input') && event.detail) { choose(event.target); }
  });
  document.addEventListener('keydown', onKey);
  document.body.addEventListener('vulyk:next', event => show(event.detail));
  document.body.addEventListener('vulyk:save', event => save(event.detail));
  document.body.addEventListener('vulyk:task-error', () => { root.hidden = true; });
  window.Vulyk.offerDrafts({
    read: () => (chosen() ? {choice: chosen().value} : undefined),
    write: ({choice}) => {
      const radio = radios().find(({value}) => value === choice);
      if (radio) { radio.checked = true; }
    },
  });
})();
