/* Sends a file with tasks, and shows how far the site is with it. The answer comes line by line, as JSON. */
(() => {
  'use strict';

  const form = document.getElementById('va-load');
  if (!form) { return; }
  const place = document.getElementById('va-load-progress');
  const bar = place.querySelector('progress');
  const status = place.querySelector('p');
  const outcome = document.getElementById('va-load-outcome');
  const text = (name, values = {}) => form.dataset[`text${name}`].replace(/\{(\w+)\}/g, (_, key) => values[key]);
  const number = value => Number(value).toLocaleString();

  function element(tag, className, content = '') {
    return Object.assign(document.createElement(tag), {className, textContent: content});
  }

  function tell(percent, sentence) {
    if (percent === null) { bar.removeAttribute('value'); } else { bar.value = percent; }
    status.textContent = sentence;
  }

  function setButtons(isUsable) {
    for (const button of form.querySelectorAll('button')) { button.disabled = !isUsable; }
  }

  function show(...parts) {
    place.hidden = true;
    outcome.replaceChildren(...parts);
    setButtons(true);
  }

  function sentences({error, problems = [], first = [], blocked = [], loaded, duplicates, invalid, records}) {
    const parts = [];
    if (error) {
      parts.push(element('p', 'alert alert-danger', error));
    } else {
      const lines = loaded === undefined ? [text('Checked', {records: number(records)})] : [text('Loaded', {loaded: number(loaded)})];
      if (duplicates) { lines.push(text('Duplicates', {duplicates: number(duplicates)})); }
      if (loaded !== undefined && invalid) { lines.push(text('Invalid', {invalid: number(invalid)})); }
      parts.push(element('p', 'alert alert-success', lines.join(' ')));
      if (loaded !== undefined) {
        parts.push(Object.assign(element('a', 'btn btn-secondary', text('Batches')), {href: form.dataset.batchesUrl}));
      }
    }
    parts.push(...blocked.map(host => element('p', 'alert alert-warning', text('Blocked', {host}))));
    if (problems.length) {
      const list = element('ul', 'va-problems');
      list.append(...problems.map(problem => element('li', '', problem)));
      parts.push(list);
    }
    if (!error && loaded === undefined) {
      parts.push(...first.map(task => element('pre', 'va-json', JSON.stringify(task, null, 2))));
    }
    return parts;
  }

  function follow(line, started) {
    const {phase, seen, records} = line;
    if (phase === 'check') { tell(null, text('Check', {seen: number(seen)})); return; }
    const rate = seen / Math.max(0.1, (Date.now() - started.at) / 1000);
    const left = rate ? Math.ceil((records - seen) / rate) : '…';
    tell(100 * seen / Math.max(1, records), text('Load', {seen: number(seen), records: number(records), rate: number(Math.round(rate)), left}));
  }

  form.addEventListener('submit', event => {
    event.preventDefault();
    const [file] = document.getElementById('va-file').files;
    const limit = Number(form.dataset.limit);
    if (file.size > limit) { show(element('p', 'alert alert-danger', text('TooLarge', {limit: number(limit)}))); return; }
    const fields = new FormData(form);
    const token = fields.get('csrf_token');
    fields.delete('csrf_token');
    const query = new URLSearchParams([...fields].filter(([, value]) => value));
    query.set('name', file.name);
    if (event.submitter && event.submitter.value === 'check') { query.set('check', '1'); }

    const request = new XMLHttpRequest();  // unlike fetch it tells how much has been sent
    const started = {at: 0};
    const lines = () => request.responseText.split('\n').filter(Boolean);
    request.open('POST', `${form.getAttribute('action')}?${query}`);
    request.setRequestHeader('X-CSRFToken', token);
    request.setRequestHeader('Content-Type', 'application/octet-stream');
    request.upload.addEventListener('progress', ({loaded, total}) =>
      tell(100 * loaded / total, text('Sending', {percent: Math.round(100 * loaded / total)})));
    request.addEventListener('progress', () => {
      const whole = request.responseText.slice(0, request.responseText.lastIndexOf('\n')).split('\n').filter(Boolean);
      const last = whole.length ? JSON.parse(whole[whole.length - 1]) : {};
      if (last.phase === 'load' && !started.at) { started.at = Date.now(); }
      if (last.phase) { follow(last, started); }
    });
    request.addEventListener('load', () => {
      try {
        const last = JSON.parse(lines().pop());
        show(...sentences(last.phase ? {error: text('Lost')} : last.errors ? {error: last.errors.join(' ')} : last));
      } catch (error) {
        show(element('p', 'alert alert-danger', text('Lost')));
      }
    });
    request.addEventListener('error', () => show(element('p', 'alert alert-danger', text('Lost'))));
    outcome.replaceChildren();
    place.hidden = false;
    tell(0, '');
    setButtons(false);
    request.send(file);
  });
  setButtons(true);  // disabled until now: the browser's own way to send the form would lose the file
})();
