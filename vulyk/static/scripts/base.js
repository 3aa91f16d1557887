/* The page's side of Vulyk: fetches tasks, hands them to the plugin, sends what comes back, and never loses an answer.
 *
 * Plugins talk to it by events on document.body:
 *
 *   pages with jQuery          all pages (CustomEvent)                    who acts
 *   vulyk.next (json)          vulyk:next {response}                      the plugin shows response.result.task
 *   vulyk.save (callback)      vulyk:save {callback}                      the plugin calls callback(answer), or callback() to refuse
 *   vulyk.skip (callback)      vulyk:skip {callback}                      the plugin calls callback(); not needed on modern pages
 *   vulyk.task_error (json)    vulyk:task-error {response}                nothing left, or not allowed
 *
 * It needs no library. On pages of older plugins jQuery is there, and everything they expect of it is done as well.
 */
(() => {
  'use strict';

  const jQuery = window.jQuery;
  const {body} = document;
  const me = body.dataset.user || '';
  const isModern = body.dataset.frontend === 'bootstrap5';
  const textsElement = document.getElementById('vk-texts');
  const texts = textsElement ? JSON.parse(textsElement.textContent) : {};

  const SLOW_AFTER_MS = 200;                    // a quicker answer shows no sign of waiting
  const READ_TIMEOUT_MS = 30000;
  const WRITE_TIMEOUT_MS = 120000;              // eight megabytes over a slow line
  const KEEP_DAYS = 14;
  const KEEP_PREFIX = 'vulyk:answer:';
  const USER_MARKER = 'vulyk:user';

  const byId = id => document.getElementById(id);
  const say = (name, values = {}) => (texts[name] || '').replace(/\{(\w+)\}/g, (_, key) => values[key]);
  const later = error => setTimeout(() => { throw error; });  // reaches the console and window.onerror, stops nothing here

  function element(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  /* ---- telling the volunteer ------------------------------------------------------------------------------------- */

  /** Have a screen reader say this when it is done with the sentence before. */
  function announce(text) {
    const line = element('p', {textContent: text});
    byId('vk-live')?.append(line);
    setTimeout(() => line.remove(), 5000);
  }

  /** A message in the corner; an `error` stays until it is closed, an `info` goes by itself. */
  function notify(text, kind = 'info') {
    const stack = byId('vk-toasts');
    if (!stack || !text) { return; }
    const close = element('button', {type: 'button', className: 'vk-toast-close', textContent: '×'});
    const toast = element('div', {className: `vk-toast vk-toast-${kind === 'error' ? 'error' : 'info'}`},
      element('p', {className: 'vk-toast-text', textContent: text}), close);
    close.setAttribute('aria-label', say('close'));
    close.addEventListener('click', () => toast.remove());
    if (kind === 'error') { toast.setAttribute('role', 'alert'); }
    stack.append(toast);
    if (kind !== 'error') {
      announce(text);
      const leave = () => (toast.matches(':hover, :focus-within') ? setTimeout(leave, 2000) : toast.remove());
      setTimeout(leave, 7000);
    }
  }

  /* ---- talking to the server ------------------------------------------------------------------------------------- */

  const tokenElement = document.querySelector('meta[name="csrf-token"]');
  const token = () => (tokenElement ? tokenElement.content : '');
  const isSafe = method => /^(GET|HEAD|OPTIONS|TRACE)$/i.test(method || 'GET');
  const isOurs = address => new URL(address, location.href).origin === location.origin;

  /** `fetch` for plugins: the same, with the CSRF token on everything that changes something on this site. */
  function fetchWithToken(address, options = {}) {
    const headers = new Headers(options.headers);
    if (!isSafe(options.method) && isOurs(address)) { headers.set('X-CSRFToken', token()); }
    return fetch(address, {credentials: 'same-origin', ...options, headers});
  }

  /**
   * One request. Answers {status, json, ok, sentence}; status 0 means that no answer of this site arrived.
   * A redirect can only be one to a sign-in page, so it counts as 401.
   */
  async function request(address, form) {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), form ? WRITE_TIMEOUT_MS : READ_TIMEOUT_MS);
    const headers = {Accept: 'application/json', 'X-Requested-With': 'XMLHttpRequest', 'X-Vulyk-User': me};
    try {
      const response = await fetchWithToken(address, {
        method: form ? 'POST' : 'GET', body: form && new URLSearchParams(form),
        headers, redirect: 'manual', cache: 'no-store', signal: abort.signal,
      });
      if (response.type === 'opaqueredirect') { return {status: 401, ok: false, sentence: ''}; }
      const json = await response.json().catch(() => undefined);
      const ok = response.ok && Boolean(json && json.result);
      const [sentence] = (json && Array.isArray(json.errors) && json.errors) || [];
      return {status: response.ok && !ok ? 0 : response.status, json, ok, sentence: typeof sentence === 'string' ? sentence : ''};
    } catch (error) {
      return {status: 0, ok: false, sentence: ''};
    } finally {
      clearTimeout(timer);
    }
  }

  /** Who is signed in by now: 'me' (the token is then fresh), 'nobody', 'other', or 'unknown' without a connection. */
  async function whoIsHere() {
    const {ok, json} = await request(body.dataset.sessionUrl);
    if (!ok) { return 'unknown'; }
    const user = json.result.user;
    if (user === null || user === undefined) { return 'nobody'; }
    if (String(user) !== me) { return 'other'; }
    if (tokenElement && json.result.csrf) { tokenElement.content = json.result.csrf; }
    return 'me';
  }

  /** Has another tab been used by somebody else since this page was loaded? Then ask before anything is sent. */
  function somebodyElse() {
    const marker = stored(USER_MARKER);
    return marker !== null && marker !== me;
  }

  /** A request as this page's user. `lost` says that it could not be: 'nobody' or 'other' is signed in now. */
  async function call(address, form) {
    const asLost = who => ({status: who === 'unknown' ? 0 : 401, ok: false, sentence: '', lost: who === 'unknown' ? '' : who});
    if (somebodyElse()) {
      const who = await whoIsHere();
      if (who !== 'me') { return asLost(who); }
      store(USER_MARKER, me);
    }
    const answer = await request(address, form);
    if (answer.status !== 401 && !(form && answer.status === 400)) { return answer; }
    const who = await whoIsHere();  // a 400 may be nothing worse than a stale token
    if (who !== 'me') { return asLost(who); }
    const again = await request(address, form);
    return again.status === 401 ? asLost('nobody') : again;
  }

  /* ---- answers that wait for a connection, or for their author ---------------------------------------------------- */

  function stored(key) { try { return localStorage.getItem(key); } catch (error) { return null; } }
  function store(key, value) { try { localStorage.setItem(key, value); } catch (error) { /* full or forbidden: memory has it */ } }
  function unstore(key) { try { localStorage.removeItem(key); } catch (error) { /* forbidden: nothing was stored */ } }

  const keepKey = task => `${KEEP_PREFIX}${[me, State.task_type, task].map(encodeURIComponent).join(':')}`;
  const keep = (task, text) => store(keepKey(task), JSON.stringify({text, at: Date.now()}));
  const forget = task => unstore(keepKey(task));

  /** Answers of this user to tasks of this type, oldest first; drops, whosever they are, the outdated ones. */
  function keptAnswers() {
    const found = [];
    let keys = [];
    try { keys = Object.keys(localStorage).filter(key => key.startsWith(KEEP_PREFIX)); } catch (error) { /* forbidden */ }
    for (const key of keys) {
      try {
        const {text, at} = JSON.parse(stored(key));
        const task = decodeURIComponent(key.split(':').pop());
        const isOutdated = Date.now() - at > KEEP_DAYS * 86400000;
        if (isOutdated) { unstore(key); } else if (key === keepKey(task)) { found.push({task, text, at}); }
      } catch (error) {
        unstore(key);
      }
    }
    return found.sort((one, other) => one.at - other.at);
  }

  /* ---- the task page ------------------------------------------------------------------------------------------------ */

  const wrapper = byId('current_task');
  const page = byId('vk-task') || wrapper;  // a theme's own task page has no more than the documented ids
  const buttons = {save: byId('save-button'), skip: byId('skip-button')};
  const forPlugins = node => (jQuery ? jQuery(node) : node);

  const State = {
    workplace: forPlugins(document.querySelector('.site-wrapper')),
    body: forPlugins(body),
    stats: forPlugins(byId('user-stats')),
    task_wrapper: forPlugins(wrapper),
    task_type: wrapper ? wrapper.dataset.type : '',
    task_id: 0,
    task_title: null,
    task_init_state: null,
    task_state: null,
    selected_terms: null,
  };

  let isBusy = false;      // a request of ours is under way: presses and callbacks have to wait
  let again = null;        // what Retry, or the return of the network, repeats
  let pressedAt = 0;
  let slowTimer = 0;
  let flashTimer = 0;
  let progressTask = 0;    // the task whose progress was asked for last

  const addressOf = (...parts) => (wrapper.dataset.url || `/type/${encodeURIComponent(State.task_type)}/`)
    + parts.map(encodeURIComponent).join('/');

  function setButtons(isUsable) {
    for (const button of Object.values(buttons)) {
      if (button) {
        button.classList.toggle('disabled', !isUsable);
        button.setAttribute('aria-disabled', String(!isUsable));
      }
    }
  }

  /** Bring the page into a state: loading, ready, saving, failed, refused, expired, done, waiting or blocked. */
  function show(state) {
    clearTimeout(slowTimer);
    page.dataset.state = state;
    page.classList.remove('is-slow');
    wrapper.setAttribute('aria-busy', String(state === 'loading' || state === 'saving'));
    if (state === 'loading' || state === 'saving') {
      slowTimer = setTimeout(() => {
        page.classList.add('is-slow');
        flash(say(state), 'busy');
      }, SLOW_AFTER_MS);
    }
    for (const panel of page.querySelectorAll('[data-panel]')) {
      panel.hidden = panel.dataset.panel !== state;
      if (!panel.hidden) { panel.querySelector('h2').focus(); }
    }
    if (state === 'ready') { page.classList.remove('is-new'); }
    const emptyBar = Object.values(buttons).every(button => !button || getComputedStyle(button).display === 'none');
    page.classList.toggle('has-no-buttons', emptyBar);  // an older plugin may bring its own
  }

  /** A word between the buttons; a `busy` one stays until the next. */
  function flash(text, kind = 'done') {
    const status = byId('vk-status');
    clearTimeout(flashTimer);
    status.textContent = text;
    status.dataset.kind = text ? kind : '';
    if (text && kind !== 'busy') { flashTimer = setTimeout(() => flash(''), 1800); }
  }

  /** What went wrong, above the buttons, with at most one thing to do about it: a link or a Retry. */
  function complain(text, {retry = null, link = null, isCalm = false} = {}) {
    const notice = byId('vk-notice');
    again = retry;
    flash('');
    notice.hidden = false;
    notice.classList.toggle('is-calm', isCalm);
    notice.replaceChildren(element('p', {className: 'vk-notice-text', textContent: text}));
    if (link) { notice.append(element('a', {className: 'vk-btn vk-btn-main', href: link.href, textContent: link.text})); }
    if (retry) {
      const button = element('button', {type: 'button', className: 'vk-btn vk-btn-main', id: 'vk-retry', textContent: say('retry')});
      button.addEventListener('click', () => { if (again) { again(); } });
      notice.append(button);
    }
  }

  function calmDown() {
    const notice = byId('vk-notice');
    again = null;
    if (notice.contains(document.activeElement) && buttons.save) { buttons.save.focus(); }
    notice.hidden = true;
    notice.replaceChildren();
  }

  function complainOfSession(lost, hasAnswer) {
    const here = encodeURIComponent(location.pathname + location.search);
    show('expired');
    const [text, link] = lost === 'other'
      ? ['otherUser', {href: body.dataset.homeUrl, text: say('otherUserLink')}]
      : ['expired', {href: `${body.dataset.signInUrl}?next=${here}`, text: say('signIn')}];
    complain(say(hasAnswer ? `${text}Kept` : text), {isCalm: true, link});
  }

  /** No task to show: nothing is left, nothing is left for now, or this project is closed to the volunteer. */
  function end(state, sentence) {
    const place = byId('vk-blocked-text');
    if (place && sentence) { place.textContent = sentence; }
    show(state);
    if (!page.querySelector(`[data-panel="${state}"]`)) {
      complain(state === 'blocked' && sentence ? sentence : say(state), {isCalm: true, retry: state === 'waiting' ? load_next : null});
    }
  }

  /** A theme's task page has no place for messages: they float at the bottom. */
  function addMessagePlaces() {
    if (byId('vk-notice')) { return; }
    const notice = element('div', {id: 'vk-notice', className: 'vk-notice', hidden: true});
    notice.setAttribute('role', 'alert');
    body.append(element('div', {className: 'vk-float vk-shell'}, notice, element('p', {id: 'vk-status', className: 'vk-status'})));
  }

  /** Tell the plugin. An error in a listener must not stop the page. Answers whether anybody takes care. */
  function emit(name, argument, detail) {
    let isTaken = false;
    if (jQuery) {
      const listeners = [body, document].flatMap(node => (jQuery._data(node, 'events') || {}).vulyk || []);
      isTaken = listeners.some(({namespace}) => namespace.split('.').includes(name));
      try { jQuery(body).trigger(`vulyk.${name}`, [argument]); } catch (error) { later(error); }
    }
    const event = new CustomEvent(`vulyk:${name.replace('_', '-')}`, {detail, cancelable: true});
    return !body.dispatchEvent(event) || isTaken;
  }

  /** Fetch the next task and give it to the plugin. */
  async function load_next() {
    if (!wrapper || isBusy) { return; }
    isBusy = true;
    setButtons(false);
    calmDown();
    show('loading');
    const lastTask = State.task_id;
    State.task_id = 0;
    const {ok, status, json, sentence, lost} = await call(addressOf('next'));
    isBusy = false;
    if (byId('vk-status').dataset.kind === 'busy') { flash(''); }

    if (ok) {
      const {task, stats} = json.result;
      State.task_id = task.id;
      window.VulykActivity?.begin(addressOf('activity', task.id));
      showStats(stats || {});
      show('ready');
      setButtons(true);
      showLanguage(task.lang);
      showBatch(task.batch || {});
      if (wrapper.getBoundingClientRect().top < 0) { window.scrollTo(0, 0); }
      emit('next', json, {response: json});
      showProgress(task.id);
    } else if (lost) {
      complainOfSession(lost, false);
    } else if (status === 404 || status === 403) {
      const isWaiting = Boolean(json && json.result && json.result.waiting);
      end(status === 403 ? 'blocked' : isWaiting ? 'waiting' : 'done', sentence);
      showProgress(lastTask);
      emit('task_error', json, {response: json});
    } else {
      show('failed');
      complain(sentence || say(status ? 'serverFailed' : 'nextFailed'), {retry: load_next});
    }
  }

  /** Send an answer or a skip of the task at hand; `text` is the answer as JSON. */
  async function send(kind, task, text) {
    if (isBusy || !task || task !== State.task_id) { return; }
    isBusy = true;
    setButtons(false);
    calmDown();
    show('saving');
    if (kind === 'save') { keep(task, text); }
    const address = addressOf(kind === 'save' ? 'done' : 'skip', task);
    const activity = window.VulykActivity?.take() || 0;  // a theme may load base.js alone
    const {ok, status, sentence, lost} = await call(address, kind === 'save' ? {result: text, activity} : {});
    isBusy = false;
    if (!ok) { window.VulykActivity?.putBack(activity); }

    if (ok) {
      forget(task);
      if (kind === 'save') { countMine(); }
      flash(say(kind === 'save' ? 'saved' : 'skipped'));
      announce(say(kind === 'save' ? 'saved' : 'skipped'));
      window.ga?.('send', 'event', 'Task', kind === 'save' ? 'Save' : 'Skip', State.task_type);
      Vulyk.load_next();
    } else if (status === 409 || status === 404) {
      forget(task);
      notify(say(status === 409 ? 'conflict' : 'gone'), 'info');
      Vulyk.load_next();
    } else if (lost) {
      complainOfSession(lost, kind === 'save');
      setButtons(true);
    } else if (status === 0 || status === 429 || status >= 500) {
      show('failed');
      const reason = sentence || say(status ? 'serverFailed' : 'offline');
      complain(kind === 'save' ? `${reason} ${say('kept')}` : reason, {retry: () => send(kind, task, text)});
      setButtons(true);
    } else {
      forget(task);  // refused by the server: it stays in the form, to be put right
      show('refused');
      complain(sentence || say('refused'));
      setButtons(true);
    }
  }

  async function save_report(result) {
    const text = JSON.stringify(result);
    if (text !== undefined) { await send('save', State.task_id, text); }
  }

  async function skip_task() { await send('skip', State.task_id); }

  /**
   * A press on a button: ask the plugin for the answer. The plugin may call back now, later, several times, or never;
   * what is sent is at most one answer to the task that was there when the button was pressed.
   */
  function press(kind) {
    const task = State.task_id;
    if (isBusy || !task || buttons[kind].classList.contains('disabled')) { return; }
    let isCalled = false;
    setButtons(false);
    pressedAt = Date.now();

    const callback = result => {
      isCalled = true;
      if (isBusy || task !== State.task_id) { return; }
      if (kind === 'skip') { Vulyk.skip_task(); return; }
      if (result === undefined || result === null) {
        setButtons(true);
      } else {
        Vulyk.save_report(result);
      }
    };
    const isTaken = emit(kind, callback, {callback});
    if (!isCalled && kind === 'skip' && !isTaken) { callback(); }
    if (!isBusy && task === State.task_id) { setButtons(true); }  // refused, or the plugin is still asking
  }

  function showStats({total, position}) {
    const places = document.querySelectorAll('#user-stats dd');
    [total, position].forEach((value, index) => {
      if (places[index] && value !== undefined) { places[index].textContent = value; }
    });
  }

  /** One more, until the next task brings the true number: after the last one there is no next. */
  function countMine() {
    const place = document.querySelector('#user-stats dd');
    if (place && /^\d+$/.test(place.textContent.trim())) { place.textContent = Number(place.textContent) + 1; }
  }

  /** Mark the content of the task with its language: elements with data-content, or all of an older plugin's page. */
  function showLanguage(language) {
    const marked = wrapper.querySelectorAll('[data-content]');
    for (const node of marked.length ? marked : [wrapper]) {
      if (language) { node.lang = language; } else { node.removeAttribute('lang'); }
    }
  }

  /** What people are told about the batch of the task: title and origin below the task, its help above that of the plugin. */
  function showBatch(batch) {
    const link = (text, address) => (address
      ? element('a', {className: 'vk-link', href: address, target: '_blank', rel: 'noopener', textContent: text}) : text);
    const {title, attribution, source, source_url: sourceUrl, licence, licence_url: licenceUrl} = batch;
    const parts = [title, attribution, link(source || (sourceUrl && say('source')), sourceUrl),
      link(licence || (licenceUrl && say('licence')), licenceUrl)].filter(Boolean);
    const place = byId('vk-batch');
    if (place) {  // a theme may have none
      place.hidden = !parts.length;
      place.replaceChildren(...parts.flatMap((part, index) => (index ? [' · ', part] : [part])));
    }
    const help = byId('vk-batch-help');
    if (help) {
      help.hidden = !batch.help;
      help.innerHTML = batch.help || '';  // cleaned by the server
    }
  }

  async function showProgress(task) {
    const bar = byId('vk-progress');
    if (!bar || !task) { return; }
    progressTask = task;
    const {ok, json} = await request(addressOf('progress', task));
    const {batch, project} = (ok && json.result.progress) || {};
    const counts = batch || project;
    if (!counts || !counts.tasks || task !== progressTask) { return; }
    const cells = bar.querySelectorAll('.vk-cell');
    const full = counts.closed / counts.tasks * cells.length;
    cells.forEach((cell, index) => {
      cell.classList.toggle('is-full', index + 1 <= full);
      cell.classList.toggle('is-part', index < full && full < index + 1);
    });
    bar.querySelector('.vk-progress-text').textContent = say(batch ? 'batchProgress' : 'projectProgress', counts);
    bar.classList.add('is-known');
  }

  /** Answers of an earlier visit first, then the first task. */
  async function start() {
    calmDown();
    show('loading');
    for (const {task, text} of keptAnswers()) {
      const {ok, status, sentence, lost} = await call(addressOf('done', task), {result: text});
      if (lost) {
        complainOfSession(lost, true);
        return;
      }
      if (status === 0 || status === 429 || status === 503) {
        show('failed');
        complain(`${sentence || say('offline')} ${say('kept')}`, {retry: start});
        return;
      }
      if (status < 500) {
        forget(task);  // a server error keeps it for the next visit, without holding up the work
        notify(ok ? say('keptSaved') : say('keptRefused', {reason: sentence || say('refused')}), ok ? 'info' : 'error');
      }
    }
    Vulyk.load_next();
  }

  /* ---- buttons, keys, dialogs -------------------------------------------------------------------------------------- */

  const NOT_TYPED = '[type=radio], [type=checkbox], [type=button], [type=submit], [type=range]';
  const isTyped = node => node instanceof Element
    && (node.isContentEditable || node.matches(`textarea, select, input:not(${NOT_TYPED})`));
  const hasText = node => isTyped(node) && Boolean('value' in node ? node.value : node.textContent);
  const isShown = node => node.getClientRects().length > 0;
  const openLayer = () => [...document.querySelectorAll('dialog[open], [aria-modal="true"], .modal.show, .mfp-wrap, .dropdown-menu.show, .vk-menu[open]')]
    .find(isShown);

  function event_handlers() {
    for (const [kind, button] of Object.entries(buttons)) {
      if (!button) { continue; }
      const onClick = event => {
        event.preventDefault();
        const original = event.originalEvent || event;
        const isDoubleClick = original.detail > 1 && Date.now() - pressedAt < 400;
        if (!isDoubleClick) { press(kind); }
      };
      // jQuery's .click() on a link calls jQuery's handlers only, and older plugins press the buttons that way
      if (jQuery) { jQuery(button).on('click', onClick); } else { button.addEventListener('click', onClick); }
      button.addEventListener('keydown', event => {
        if (event.key === ' ' || (event.key === 'Enter' && event.repeat)) { event.preventDefault(); }
        if (event.key === ' ' && !event.repeat) { button.click(); }
      });
      // plugins take the class away to make a button usable; what assistive technology is told follows
      new MutationObserver(() => {
        button.setAttribute('aria-disabled', String(button.classList.contains('disabled')));
      }).observe(button, {attributes: true, attributeFilter: ['class']});
    }

    // Bootstrap 3.4 moves the focus to a radio button that was clicked; the keys of the plugin must go on working there
    if (jQuery && jQuery.hotkeys) { jQuery.hotkeys.textInputTypes = /textarea|select/i; }  // text fields go by their type

    if (isModern && page) {
      document.addEventListener('keydown', event => {
        if (event.defaultPrevented || event.repeat || event.isComposing || openLayer()) { return; }
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
          event.preventDefault();
          press('save');
        } else if (event.key === 'Escape' && !event.ctrlKey && !event.altKey && !event.metaKey) {
          // half an answer must not be thrown away by one key: the first Esc leaves the field, the second one skips
          if (hasText(event.target)) { event.target.blur(); } else { press('skip'); }
        }
      });
      const submitKeys = byId('vk-submit-keys');
      if (submitKeys && /Mac|iP(hone|ad|od)/.test(navigator.platform)) { submitKeys.textContent = '⌘ Enter'; }
    }

    if (page) {
      window.addEventListener('online', () => { if (again && page.dataset.state === 'failed') { again(); } });
      const reload = byId('vk-ask-again');
      if (reload) { reload.addEventListener('click', () => Vulyk.load_next()); }
    }
    popups();
    menus();
  }

  function popups() {
    if (jQuery && jQuery.fn.magnificPopup) {
      jQuery('.popup-with-zoom-anim').magnificPopup({
        type: 'inline', mainClass: 'my-mfp-zoom-in', removalDelay: 200, midClick: true, preloader: false, tClose: say('close'),
      });
      return;
    }
    document.addEventListener('click', event => {
      const opener = event.target.closest('a.popup-with-zoom-anim[href^="#"]');
      const content = opener && byId(opener.hash.slice(1));
      const dialog = content && content.closest('dialog');
      if (dialog) {
        event.preventDefault();
        dialog.showModal();
      }
      const open = event.target.closest('dialog.vk-dialog[open]');
      if (open && (event.target === open || event.target.closest('[data-close]'))) { open.close(); }
    });
  }

  /** Menus made of <details>: closed by Esc and by a click elsewhere. */
  function menus() {
    const close = (menu, hasFocus) => {
      menu.open = false;
      if (hasFocus) { menu.querySelector('summary').focus(); }
    };
    document.addEventListener('click', event => {
      document.querySelectorAll('.vk-menu[open]').forEach(menu => { if (!menu.contains(event.target)) { close(menu, false); } });
    });
    document.addEventListener('keydown', event => {
      if (event.key === 'Escape' && !event.defaultPrevented) {
        document.querySelectorAll('.vk-menu[open]').forEach(menu => {
          event.preventDefault();
          close(menu, menu.contains(document.activeElement));
        });
      }
    }, true);
  }

  /** Plugins and themes know nothing of the CSRF token: it is added to what they send. */
  function addTokens() {
    if (jQuery) {
      jQuery.ajaxSetup({traditional: true});
      jQuery.ajaxPrefilter((options, original, xhr) => {
        if (!options.crossDomain && !isSafe(options.type)) { xhr.setRequestHeader('X-CSRFToken', token()); }
      });
    }
    document.addEventListener('submit', ({target: form}) => {
      if (form.getAttribute('method')?.toLowerCase() === 'post' && isOurs(form.getAttribute('action') || '') && !form.elements.csrf_token) {
        form.append(element('input', {type: 'hidden', name: 'csrf_token', value: token()}));
      }
    });
  }

  /** Where somebody lives decides which day it is for him; nothing depends on its being known at once. */
  function tellZone() {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (!body.dataset.zoneUrl || !zone || zone === body.dataset.zone) { return; }
    fetchWithToken(body.dataset.zoneUrl, {method: 'POST', body: new URLSearchParams({zone})})
      .then(response => response.text())  // a body nobody reads keeps its connection
      .catch(() => {});
  }

  let isInitialised = false;

  function init() {
    if (isInitialised) { return; }
    isInitialised = true;
    store(USER_MARKER, me);
    if (wrapper) { addMessagePlaces(); }
    Vulyk.event_handlers();
    if (wrapper) { start(); }
    tellZone();
  }

  const Vulyk = {State, texts, init, event_handlers, load_next, skip_task, save_report, announce, notify, fetch: fetchWithToken};
  window.Vulyk = Vulyk;
  addTokens();

  /* The first task must find every listener in place. Plugins without jQuery have theirs when the document is complete. Older
     ones bind in $(…), maybe nested, maybe on load: the page waits for load (though not for a picture that never comes), then
     for the end of jQuery's own queue. */
  const whenBound = isModern || !jQuery
    ? () => setTimeout(() => Vulyk.init())
    : () => jQuery(() => setTimeout(() => Vulyk.init()));
  if (isModern || !jQuery) {
    if (document.readyState === 'loading') { document.addEventListener('DOMContentLoaded', whenBound); } else { whenBound(); }
  } else if (document.readyState === 'complete') {
    whenBound();
  } else {
    window.addEventListener('load', whenBound);
    document.addEventListener('DOMContentLoaded', () => setTimeout(whenBound, 4000));
  }
})();
