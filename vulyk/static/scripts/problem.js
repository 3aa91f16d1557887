/**
 * “Report a problem”: a dialog about the task on the page. And on the page with the answers to such reports: they are read now.
 */
(() => {
  'use strict';

  const dialog = document.getElementById('vk-problem');
  const list = document.getElementById('vk-problems');
  const headers = {Accept: 'application/json'};
  let task = 0;  // the task the dialog was opened for

  async function send(event) {
    event.preventDefault();
    const form = event.target;
    const refusal = form.querySelector('[role="alert"]');
    const base = document.getElementById('current_task').dataset.url;
    let json = null;
    try {
      const body = new URLSearchParams(new FormData(form));
      const response = await Vulyk.fetch(`${base}problem/${encodeURIComponent(task)}`, {method: 'POST', body, headers});
      json = await response.json();
    } catch (error) { /* no connection, or not an answer of this site: told below */ }
    refusal.textContent = json ? (json.errors || []).join(' ') : Vulyk.texts.offline;
    if (json?.result?.done) {
      form.reset();
      dialog.close();
      Vulyk.notify(Vulyk.texts.problemSent);
    }
  }

  if (dialog) {
    document.querySelector('[data-open="vk-problem"]').addEventListener('click', () => {
      task = Vulyk.State.task_id;
      if (task) { dialog.showModal(); }
    });
    dialog.querySelector('form').addEventListener('submit', send);
  }
  if (list?.querySelector('.is-unread')) { Vulyk.fetch(list.dataset.readUrl, {method: 'POST', headers}).catch(() => null); }
})();
