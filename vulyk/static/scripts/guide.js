/**
 * The first visit of a project: a tour of the page, examples, a practice task. Projects without them open their help.
 *
 * The steps of the tour lie in <template id="vk-tour-steps">, one <section> each, `data-at` naming what it is about;
 * practice tasks in <script id="vk-practice">: [{data, media, results, right, wrong}].
 */
(() => {
  'use strict';

  const wrapper = document.getElementById('current_task');
  if (!wrapper) { return; }

  const dialog = document.getElementById('vk-tour');
  const practice = document.getElementById('vk-practice');
  const tasks = practice ? JSON.parse(practice.textContent) : [];
  const steps = dialog ? [...document.getElementById('vk-tour-steps').content.querySelectorAll('section')] : [];
  const KEY = `vulyk:introduced:${encodeURIComponent(document.body.dataset.user)}:${wrapper.dataset.type}`;
  let step = 0;

  function isIntroduced() {
    try { return wrapper.dataset.first !== 'true' || localStorage.getItem(KEY) !== null; } catch (error) { return true; }
  }

  function introduce() {
    try { localStorage.setItem(KEY, '1'); } catch (error) { /* forbidden: then it is shown again */ }
    const help = document.querySelector('.popup-with-zoom-anim');
    if (steps.length) {
      dialog.showModal();
      show(0);
    } else if (tasks.length) {
      practise(0);
    } else if (wrapper.dataset.help === 'true' && help) {
      if (window.jQuery) { window.jQuery(help).click(); } else { help.click(); }
    }
  }

  function point(at) {
    document.querySelectorAll('.vk-spot').forEach(node => node.classList.remove('vk-spot'));
    const target = at && wrapper.querySelector(at);
    if (target) {
      target.classList.add('vk-spot');
      target.scrollIntoView({block: 'start'});
    }
  }

  function show(number) {
    step = number;
    const isLast = step === steps.length - 1;
    const body = document.getElementById('vk-tour-body');
    body.replaceChildren(steps[step].cloneNode(true));
    body.scrollTop = 0;
    document.getElementById('vk-tour-count').textContent = `${step + 1} / ${steps.length}`;
    dialog.querySelector('[data-go="back"]').hidden = step === 0;
    dialog.querySelector('[data-go="next"]').hidden = isLast;
    dialog.querySelector('[data-go="end"]').hidden = !isLast;
    point(steps[step].dataset.at);
    body.focus();
  }

  /** The same JSON, whatever the order of keys. */
  const plain = value => (value && typeof value === 'object' && !Array.isArray(value)
    ? Object.keys(value).sort().map(key => [key, plain(value[key])])
    : Array.isArray(value) ? value.map(plain) : value);
  const isSame = (one, other) => JSON.stringify(plain(one)) === JSON.stringify(plain(other));

  function practise(number) {
    const {data, media, results, right, wrong} = tasks[number];
    Vulyk.practise({id: `practice-${number + 1}`, closed: false, data, media}, result => {
      const isRight = results.some(one => isSame(one, result));
      return {isRight, text: isRight ? right : wrong};
    }, number + 1 < tasks.length ? () => practise(number + 1) : null);
  }

  if (dialog) {
    dialog.addEventListener('click', ({target}) => {
      const {go} = target.dataset;
      if (go === 'next') { show(step + 1); }
      if (go === 'back') { show(step - 1); }
      if (go === 'end') {
        dialog.close();
        if (tasks.length) { practise(0); }
      }
    });
    dialog.addEventListener('close', () => {
      point(null);
      window.scrollTo({top: 0, behavior: 'instant'});
    });
  }
  document.querySelector('[data-open="vk-tour"]')?.addEventListener('click', introduce);
  document.body.addEventListener('vulyk:next', () => { if (!isIntroduced()) { setTimeout(introduce, 300); } }, {once: true});
})();
