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
  const RETRY_MS = [5000, 10000, 20000, 60000];  // how long answers that could not be sent wait for another try
  const DRAFT_MS = 400;                         // what is typed is put aside after a pause of this length
  const KEEP_DAYS = 14;
  const USER_MARKER = 'vulyk:user';
  const PICTURE = /\.(avif|gif|jpe?g|png|svg|webp)$/i;

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

  /** A message in the corner; an `error` stays until it is closed, an `info` goes by itself. `action` is {text, act}. */
  function notify(text, kind = 'info', action = null) {
    const stack = byId('vk-toasts');
    if (!stack || !text) { return null; }
    const close = element('button', {type: 'button', className: 'vk-toast-close', textContent: '×'});
    const toast = element('div', {className: `vk-toast vk-toast-${kind === 'error' ? 'error' : 'info'}`},
      element('p', {className: 'vk-toast-text', textContent: text}));
    if (action) {
      const button = element('button', {type: 'button', className: 'vk-toast-action', textContent: action.text});
      button.addEventListener('click', () => {
        toast.remove();
        action.act();
      });
      toast.append(button);
    }
    toast.append(close);
    close.setAttribute('aria-label', say('close'));
    close.addEventListener('click', () => toast.remove());
    if (kind === 'error') { toast.setAttribute('role', 'alert'); }
    stack.append(toast);
    if (kind !== 'error') {
      announce(text);
      const leave = () => (toast.matches(':hover, :focus-within') ? setTimeout(leave, 2000) : toast.remove());
      setTimeout(leave, 7000);
    }
    return toast;
  }

  /* ---- talking to the server ------------------------------------------------------------------------------------- */

  const tokenElement = document.querySelector('meta[name="csrf-token"]');
  const token = () => (tokenElement ? tokenElement.content : '');
  const isSafe = method => /^(GET|HEAD|OPTIONS|TRACE)$/i.test(method || 'GET');
  const isOurs = address => new URL(address, location.href).origin === location.origin;

  /**
   * `fetch` for plugins: the same, with the CSRF token on everything that changes something on this site, and with the user
   * the page was made for: the site refuses it when somebody else has signed in with this browser since.
   */
  function fetchWithToken(address, options = {}) {
    const headers = new Headers(options.headers);
    if (isOurs(address)) {
      if (me) { headers.set('X-Vulyk-User', me); }
      if (!isSafe(options.method)) { headers.set('X-CSRFToken', token()); }
    }
    return fetch(address, {credentials: 'same-origin', ...options, headers});
  }

  /**
   * One request. Answers {status, json, ok, sentence}; status 0 means that no answer of this site arrived.
   * A redirect can only be one to a sign-in page, so it counts as 401.
   */
  async function request(address, form) {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), form ? WRITE_TIMEOUT_MS : READ_TIMEOUT_MS);
    const headers = {Accept: 'application/json', 'X-Requested-With': 'XMLHttpRequest'};
    try {
      const response = await fetchWithToken(address, {
        method: form ? 'POST' : 'GET', body: form && new URLSearchParams(form),
        headers, redirect: 'manual', cache: 'no-store', signal: abort.signal,
      });
      if (response.type === 'opaqueredirect') { return {status: 401, ok: false, sentence: ''}; }
      const json = await response.json().catch(() => undefined);
      const ok = response.ok && Boolean(json && json.result);
      const [sentence] = (json && Array.isArray(json.errors) && json.errors) || [];
      return {
        status: response.ok && !ok ? 0 : response.status, json, ok, sentence: typeof sentence === 'string' ? sentence : '',
        isExtra: response.headers.get('X-Vulyk-Extra') === '1',
      };
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

  const keyOf = (kind, ...parts) => [`vulyk:${kind}`, ...[me, ...parts].map(encodeURIComponent)].join(':');
  const answerKey = task => keyOf('answer', State.task_type, task);
  const draftKey = task => keyOf('draft', State.task_type, task);
  const keep = ({task, text, isChange}) => store(answerKey(task), JSON.stringify({text, isChange, at: Date.now()}));
  const forget = task => unstore(answerKey(task));

  /** What was stored under a key, if it is a JSON object that is not outdated; anything else is dropped. */
  function recall(key) {
    try {
      const found = JSON.parse(stored(key));
      if (found && Date.now() - found.at < KEEP_DAYS * 86400000) { return found; }
    } catch (error) { /* not ours */ }
    unstore(key);
    return null;
  }

  /** Answers of this user, oldest first; what is outdated is dropped, whosever it is. */
  function keptAnswers() {
    let keys = [];
    try { keys = Object.keys(localStorage).filter(key => /^vulyk:(answer|draft|last):/.test(key)); } catch (error) { /* forbidden */ }
    return keys.map(key => ({key, ...recall(key)})).filter(({key, text}) => text && key.startsWith(`${keyOf('answer')}:`))
      .map(found => {
        const [type, task] = found.key.split(':').slice(-2).map(decodeURIComponent);
        return {...found, kind: 'save', type, task};
      })
      .sort((one, other) => one.at - other.at);
  }

  /* ---- the task page ------------------------------------------------------------------------------------------------ */

  const wrapper = byId('current_task');
  const preview = byId('vk-preview');  // the task an admin looks at
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

  let isBusy = false;      // the volunteer waits for the server: presses and callbacks have to wait
  let again = null;        // what Retry, or the return of the network, repeats
  let pressedAt = 0;
  let slowTimer = 0;
  let flashTimer = 0;
  let draftTimer = 0;
  let progressTask = 0;    // the task whose progress was asked for last

  let shown = null;        // {task} on the page, with isChange when its answer is being changed
  let isLeft = false;      // the task on the page has been answered or put aside
  let numbers = {};        // {total, position} of the volunteer, as far as we know
  let frame = {};          // what `next` answered last
  let ahead = [];          // [{task}] fetched in advance, next first
  let drafts = null;       // {read, write} of a plugin whose form can be put aside and filled in again
  let undoToast = null;    // says that a task was skipped, and takes it back
  let skipped = null;      // the task that was skipped last: it can be taken back when the message has gone, too
  let last = null;         // {task, draft, at}: what was answered last
  const outbox = [];       // answers and skips on their way to the server, oldest first
  const refusals = new Map();  // task: why its answer was not accepted
  let wantsMore = false;   // the tasks in advance have to be topped up
  let stuck = null;        // the answer of the server, or of the network, that holds up the outbox
  let tries = 0;
  let retryTimer = 0;
  let extras = 0;          // answers that came when their task had enough, not told yet
  let working = null;      // a promise, while the outbox is being emptied

  const addressIn = (type, ...parts) => (type === State.task_type && wrapper?.dataset.url
    || `${body.dataset.homeUrl || '/'}type/${encodeURIComponent(type)}/`) + parts.map(encodeURIComponent).join('/');
  const addressOf = (...parts) => addressIn(State.task_type, ...parts);
  const mostAhead = () => Number(wrapper.dataset.ahead || 0);
  const isTransient = ({status}) => status === 0 || status === 429 || status >= 500;

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
    showLast();
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

  /** What went wrong, above the buttons, with at most one thing to do about it: a link, a Retry or another action. */
  function complain(text, {retry = null, link = null, action = null, isCalm = false} = {}) {
    const notice = byId('vk-notice');
    again = retry;
    flash('');
    notice.hidden = false;
    notice.classList.toggle('is-calm', isCalm);
    notice.replaceChildren(element('p', {className: 'vk-notice-text', textContent: text}));
    if (link) { notice.append(element('a', {className: 'vk-btn vk-btn-main', href: link.href, textContent: link.text})); }
    if (retry || action) {
      const [id, word] = retry ? ['vk-retry', say('retry')] : ['vk-notice-action', action.text];
      const button = element('button', {type: 'button', className: 'vk-btn vk-btn-main', id, textContent: word});
      button.addEventListener('click', () => { if (action) { action.act(); } else if (again) { again(); } });
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

  /** The policy of the site has stopped a picture, sound or frame of another site: say so, an empty place tells nothing. */
  function sayBlocked({effectiveDirective, blockedURI}) {
    if (!/^(img|media|frame)-src$/.test(effectiveDirective) || !/^https?:/.test(blockedURI) || !State.task_id) { return; }
    complain(say('blockedMedia', {host: new URL(blockedURI).host}), {isCalm: true});
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

  /* ---- the way of a task -------------------------------------------------------------------------------------------- */

  /** Ask for the next task; those fetched in advance are put in order by the way, their pictures loaded. */
  async function ask() {
    const answer = await call(addressOf('next') + (mostAhead() ? `?ahead=${mostAhead()}` : ''));
    if (answer.ok) {
      const {ahead: more = [], ...result} = answer.json.result;
      frame = {...answer.json, result};
      const unsent = outbox.filter(({kind, isChange}) => kind === 'save' && !isChange).length;
      numbers = {...result.stats, ...result.stats && {total: result.stats.total + unsent}};
      const onTheWay = new Set([State.task_id, ...outbox.map(({task}) => task)]);
      const known = new Map(ahead.map(entry => [entry.task.id, entry]));
      ahead = [result.task, ...more].filter(({id}) => !onTheWay.has(id))
        .map(task => known.get(task.id) || {task, files: load(task)});
    }
    return answer;
  }

  /** Have the browser load the files of a task before it is shown; who holds the result keeps them at hand. */
  function load({media = {}, srcset = {}}) {
    const {sizes} = wrapper.querySelector('[data-sizes]')?.dataset || {};
    return Object.entries(media).map(([path, address]) => {
      if (!PICTURE.test(path)) { return fetch(address).catch(() => null); }
      const picture = Object.assign(new Image(), sizes ? {sizes, srcset: srcset[path] || '', src: address} : {src: address});
      picture.decode().catch(() => null);
      return picture;
    });
  }

  /** Show a task, and give it to the plugin as if it had just come. */
  function present(entry) {
    shown = entry;
    isLeft = false;
    const {task} = entry;
    const json = {...frame, result: {...frame.result, task, stats: {...numbers}}};
    State.task_id = task.id;
    window.VulykActivity?.begin(entry.practice ? null : addressOf('activity', task.id));
    showStats(numbers);
    show('ready');
    setButtons(true);
    showLanguage(task.lang);
    showBatch(task.batch || {});
    if (wrapper.getBoundingClientRect().top < 0) { window.scrollTo({top: 0, behavior: 'instant'}); }  // quick fingers miss what moves
    emit('next', json, {response: json});
    if (State.task_id !== task.id) { return; }  // a plugin may go on at once
    fillIn(entry.draft);
    if (entry.isChange) {
      complain(say('changing'), {isCalm: true, action: {text: say('leaveAsIs'), act: leaveAsIs}});
    } else if (preview) {
      complain(say('preview'), {isCalm: true});
    } else if (entry.practice) {
      complain(say('practice'), {isCalm: true, action: {text: say('practiceSkip'), act: endPractice}});
    } else if (refusals.has(task.id)) {
      show('refused');
      complain(refusals.get(task.id));
    }
  }

  /** Fetch the next task and give it to the plugin. */
  async function load_next() {
    if (!wrapper || isBusy) { return; }
    if (isLeft && ahead.length) {
      present(ahead.shift());
      wantsMore = true;
      work();
      return;
    }
    isBusy = true;
    setButtons(false);
    calmDown();
    show('loading');
    const lastTask = State.task_id;
    State.task_id = 0;
    await work();
    const {ok, status, json, sentence, lost} = stuck || await ask();
    isBusy = false;
    if (byId('vk-status').dataset.kind === 'busy') { flash(''); }

    if (ok) {
      ahead = ahead.filter(({task}) => task.id !== json.result.task.id);
      present({task: json.result.task});
      showProgress(json.result.task.id);
    } else if (lost) {
      complainOfSession(lost, outbox.length > 0);
    } else if (status === 404 || status === 403) {
      const isWaiting = Boolean(json && json.result && json.result.waiting);
      end(status === 403 ? 'blocked' : isWaiting ? 'waiting' : 'done', sentence);
      showProgress(lastTask);
      emit('task_error', json, {response: json});
    } else {
      show('failed');
      const reason = sentence || say(status ? 'serverFailed' : 'nextFailed');
      complain(outbox.length ? `${reason} ${say('waitingAnswers', {number: outbox.length})}` : reason, {retry: load_next});
    }
  }

  /** Go to another task while this one is not finished: it comes next then. */
  function goTo(entry) {
    if (isBusy) { return; }
    saveDraft();
    if (State.task_id && !isLeft && !shown.isChange && !shown.practice) { ahead.unshift({task: shown.task, files: shown.files}); }
    ahead = ahead.filter(({task}) => task.id !== entry.task.id);
    calmDown();
    present(entry);
  }

  /** Take an answer, or a skip, of the task at hand; `text` is the answer as JSON. */
  async function send(kind, task, text) {
    if (isBusy || !task || task !== State.task_id) { return; }
    if (shown.practice) {
      tryOut(kind, text);
      return;
    }
    const item = {
      kind, task, type: State.task_type, text, isChange: Boolean(shown.isChange), entry: shown,
      activity: window.VulykActivity?.take() || 0,  // a theme may load base.js alone
    };
    item.draft = saveDraft();
    if (kind === 'save') { keep(item); }
    refusals.delete(task);
    if (!mayGoOn(kind)) { await sendAndWait(item); return; }
    if (!stuck) { calmDown(); }
    outbox.push(item);
    if (kind === 'save' && !item.isChange) { numbers = {...numbers, total: (numbers.total || 0) + 1}; }
    tell(item);
    Vulyk.load_next();
  }

  /** Whether the next task may be shown before the server has taken this answer: then a refused one has to be shown again. */
  const mayGoOn = kind => ahead.length > 0 && (kind === 'skip' || drafts !== null);

  /** Nothing to go on with, or a plugin that has to see its answer accepted: the volunteer waits. */
  async function sendAndWait(item) {
    const {kind, task} = item;
    isBusy = true;
    setButtons(false);
    calmDown();
    show('saving');
    await work();
    const answer = stuck || await deliver(item);
    isBusy = false;
    if (!answer.ok) { window.VulykActivity?.putBack(item.activity); }

    if (answer.ok) {
      settle(item, answer);
      if (kind === 'save' && !item.isChange) { countMine(); }
      tell(item);
      Vulyk.load_next();
    } else if (answer.status === 409 || answer.status === 404) {
      settle(item, answer);
      isLeft = true;
      Vulyk.load_next();
    } else if (answer.lost) {
      complainOfSession(answer.lost, kind === 'save');
      setButtons(true);
    } else if (isTransient(answer)) {
      show('failed');
      const reason = answer.sentence || say(answer.status ? 'serverFailed' : 'offline');
      complain(kind === 'save' ? `${reason} ${say('kept')}` : reason, {retry: () => send(kind, task, item.text)});
      setButtons(true);
    } else {
      forget(task);  // refused by the server: it stays in the form, to be put right
      show('refused');
      complain(answer.sentence || say('refused'));
      setButtons(true);
    }
  }

  /** Say that the task is finished, and what can still be done about it. */
  function tell({kind, task, entry, draft, isChange}) {
    isLeft = true;
    if (kind === 'save') {
      flash(say('saved'));
      announce(say('saved'));
      if (!isChange) { countToday(); }
      last = {task: entry.task, draft, at: Date.now()};
      store(keyOf('last', State.task_type), JSON.stringify(last));
    } else {
      undoToast?.remove();
      undoToast = notify(say('skipped'), 'info', {text: say('undo'), act: takeBack});
      skipped = entry;
    }
    window.ga?.('send', 'event', 'Task', kind === 'save' ? 'Save' : 'Skip', State.task_type);
  }

  /** One request for an answer or a skip; to change an answer means to take it back and give another. */
  async function deliver({kind, type, task, text, activity = 0, isChange}) {
    if (kind === 'skip') { return call(addressIn(type, 'skip', task), {}); }
    if (isChange) {
      const back = await call(addressIn(type, 'withdraw', task), {});
      if (!back.ok && back.status !== 404) { return {...back, isTooLate: back.status === 409}; }
    }
    return call(addressIn(type, 'done', task), {result: text, activity});
  }

  /** What follows from the server's answer, wherever the volunteer is by now. */
  function settle(item, {ok, status, sentence, isExtra, isTooLate}) {
    const {kind, task} = item;
    if (kind === 'save') { forget(task); }
    if (ok && kind === 'save') {
      unstore(draftKey(task));
      extras += isExtra ? 1 : 0;
    } else if (!ok && status !== 409 && status !== 404) {
      refusals.set(task, sentence || say('refused'));
      if (item.draft !== undefined) { store(draftKey(task), JSON.stringify({draft: item.draft, at: Date.now()})); }
      const entry = {task: item.entry.task, isChange: item.isChange};
      complain(say('refusedBefore', {reason: refusals.get(task)}), {action: {text: say('putRight'), act: () => goTo(entry)}});
    } else if (!ok) {
      notify(say(isTooLate ? 'tooLate' : status === 409 ? 'conflict' : 'gone'), isTooLate ? 'error' : 'info');
    }
    if (extras && !outbox.length) {
      notify(say(extras > 1 ? 'extras' : 'extra', {number: extras}));
      extras = 0;
    }
  }

  /** Send what is in the outbox, in order, then top up the tasks in advance; ends early when stuck. One at a time. */
  function work() {
    working = working || empty().finally(() => { working = null; });
    return working.then(() => (!stuck && (outbox.length || (wantsMore && State.task_id)) ? work() : undefined));
  }

  async function empty() {
    clearTimeout(retryTimer);
    const wasStuck = Boolean(stuck);
    stuck = null;
    while (outbox.length && !stuck) {
      const answer = await deliver(outbox[0]);
      if (answer.lost || isTransient(answer)) {
        stuck = answer;
      } else {
        settle(outbox.shift(), answer);
      }
    }
    if (stuck) {
      tellWaiting();
      return;
    }
    if (wasStuck && !refusals.size) {
      tries = 0;
      calmDown();
      flash(say('saved'));
    }
    if (wantsMore && State.task_id) {
      wantsMore = false;
      const {ok} = await ask();
      if (ok) { showStats(numbers); }
      await showProgress(State.task_id);
    }
  }

  /** The outbox does not get empty: say so beside the work, and try again from time to time. */
  function tellWaiting() {
    if (isBusy) { return; }  // whoever waits says it in his own way
    if (stuck.lost) {
      complainOfSession(stuck.lost, true);
      setButtons(true);
      return;
    }
    const reason = stuck.sentence || say(stuck.status ? 'serverFailed' : 'offline');
    complain(`${reason} ${say('waitingAnswers', {number: outbox.length})}`, {isCalm: true, retry: work});
    retryTimer = setTimeout(work, RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]);
    tries += 1;
  }

  async function save_report(result) {
    const text = JSON.stringify(result);
    if (text !== undefined) { await send('save', State.task_id, text); }
  }

  async function skip_task() {
    if (shown?.isChange) { leaveAsIs(); } else { await send('skip', State.task_id); }
  }

  /* ---- second thoughts ---------------------------------------------------------------------------------------------- */

  /** Show the task that was skipped last again; an answer to it counts as if it had never been put aside. */
  function takeBack() {
    if (isBusy || !skipped) { return; }
    const {task, files} = skipped;
    const index = outbox.findIndex((item, place) => item.task === task.id && (place > 0 || !working));
    if (index >= 0) { outbox.splice(index, 1); }
    skipped = null;
    undoToast?.remove();
    goTo({task, files});
  }

  const maySeeLast = () => Boolean(last) && last.task.id !== State.task_id
    && Date.now() - last.at < 1000 * Number(page.dataset.withdrawSeconds || 0);

  function showLast() {
    for (const button of page.querySelectorAll('[data-change-last]')) { button.hidden = !maySeeLast(); }
    for (const button of page.querySelectorAll('[data-undo-skip]')) { button.hidden = !skipped || skipped.task.id === State.task_id; }
  }

  /** Show what was answered last, to change the answer. */
  function changeLast() {
    if (maySeeLast()) { goTo({task: last.task, draft: last.draft, isChange: true}); }
    showLast();
  }

  function leaveAsIs() {
    unstore(draftKey(State.task_id));
    isLeft = true;
    calmDown();
    Vulyk.load_next();
  }

  /* ---- practice ----------------------------------------------------------------------------------------------------- */

  /**
   * Show a task to try one's hand at: nothing is sent. `judge(result)` answers {isRight, text}; `further()`, if there is one,
   * shows the next.
   */
  function practise(task, judge, further = null) { goTo({task, practice: {judge, further}}); }

  function tryOut(kind, text) {
    if (preview) {
      announce(say('previewDone'));
      complain(say('previewDone'), {isCalm: true});
      setButtons(true);
      return;
    }
    const {judge, further} = shown.practice;
    if (kind === 'skip') {
      endPractice();
      return;
    }
    const verdict = judge(JSON.parse(text));
    const word = verdict.isRight ? (further ? 'practiceMore' : 'practiceEnd') : 'practiceSkip';
    complain(verdict.text, {isCalm: true, action: {text: say(word), act: verdict.isRight && further || endPractice}});
    setButtons(true);
  }

  function endPractice() {
    isLeft = true;
    calmDown();
    Vulyk.load_next();
  }

  /* ---- half-done answers -------------------------------------------------------------------------------------------- */

  /**
   * A plugin whose form can be put aside: `read()` answers what is in it, as JSON will keep it, or undefined while it is
   * untouched; `write(draft)` fills it in again, and is called after `next`.
   */
  function offerDrafts(functions) { drafts = functions; }

  /** Put aside what is in the form; answers it. */
  function saveDraft() {
    clearTimeout(draftTimer);
    if (!drafts || !State.task_id || isLeft || shown.practice) { return undefined; }
    let draft;
    try { draft = drafts.read(); } catch (error) { later(error); }
    if (draft === undefined) {
      unstore(draftKey(State.task_id));
    } else {
      store(draftKey(State.task_id), JSON.stringify({draft, at: Date.now()}));
    }
    return draft;
  }

  /** Fill the form in as it was left, or with a draft at hand. */
  function fillIn(draft) {
    const found = draft === undefined ? recall(draftKey(State.task_id))?.draft : draft;
    if (!drafts || found === undefined) { return; }
    try { drafts.write(found); } catch (error) { later(error); }
  }

  function watchForm() {
    const soon = () => {
      clearTimeout(draftTimer);
      draftTimer = setTimeout(saveDraft, DRAFT_MS);
    };
    for (const sign of ['input', 'change', 'click', 'keyup']) { wrapper.addEventListener(sign, soon); }
    document.addEventListener('visibilitychange', () => { if (document.hidden) { saveDraft(); } });
    window.addEventListener('pagehide', () => {
      saveDraft();
      giveBack();
    });
    window.addEventListener('pageshow', ({persisted}) => {
      if (persisted && State.task_id) {
        wantsMore = true;
        work();
      }
    });
  }

  /** Whoever leaves the page does not need the tasks fetched in advance. */
  function giveBack() {
    if (!ahead.length || stuck) { return; }
    ahead = [];
    fetchWithToken(addressOf('return'), {method: 'POST', keepalive: true}).catch(() => null);
  }

  /* ---- pressing ------------------------------------------------------------------------------------------------------ */

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

  function countToday() {
    const place = byId('vk-today');
    if (place) { place.textContent = Number(place.textContent) + 1; }
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

  /** Answers of an earlier visit, to whatever project; answers what has stopped them, if something has. */
  async function sendKept() {
    let saved = 0;
    for (const item of keptAnswers()) {
      const answer = await deliver(item);
      const {ok, status, sentence, isExtra, lost} = answer;
      if (lost || status === 0 || status === 429 || status === 503) { return answer; }
      if (status >= 500) { continue; }  // kept for the next visit, without holding up the work
      unstore(item.key);
      if (ok) {
        unstore(keyOf('draft', item.type, item.task));
        saved += 1;
        extras += isExtra ? 1 : 0;
      } else {
        notify(say('keptRefused', {reason: sentence || say('refused')}), 'error');
      }
    }
    if (saved) { notify(say(saved > 1 ? 'keptSavedMany' : 'keptSaved', {number: saved})); }
    if (extras) {
      notify(say(extras > 1 ? 'extras' : 'extra', {number: extras}));
      extras = 0;
    }
    return null;
  }

  /** Answers of an earlier visit first, then the first task. */
  async function start() {
    calmDown();
    show('loading');
    if (preview) {
      goTo({task: JSON.parse(preview.textContent), practice: {}});
      return;
    }
    last = recall(keyOf('last', State.task_type));
    const stopped = await sendKept();
    if (stopped?.lost) {
      complainOfSession(stopped.lost, true);
    } else if (stopped) {
      show('failed');
      complain(`${stopped.sentence || say('offline')} ${say('kept')}`, {retry: start});
    } else {
      Vulyk.load_next();
    }
  }

  /* ---- buttons, keys, dialogs -------------------------------------------------------------------------------------- */

  const NOT_TYPED = '[type=radio], [type=checkbox], [type=button], [type=submit], [type=range]';
  const isTyped = node => node instanceof Element
    && (node.isContentEditable || node.matches(`textarea, select, input:not(${NOT_TYPED})`));
  const hasText = node => isTyped(node) && Boolean('value' in node ? node.value : node.textContent);
  const isShown = node => node.getClientRects().length > 0;
  const openLayer = () => [...document.querySelectorAll('dialog[open], [aria-modal="true"], .modal.show, .mfp-wrap, .dropdown-menu.show, .vk-menu[open], .vk-more[open]')]
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
        } else if (event.key === '?' && !isTyped(event.target)) {
          event.preventDefault();
          showKeys();
        }
      });
      const submitKeys = byId('vk-submit-keys');
      if (/Mac|iP(hone|ad|od)/.test(navigator.platform)) {
        if (submitKeys) { submitKeys.textContent = '⌘ Enter'; }
        for (const key of document.querySelectorAll('#vk-keys [data-mac]')) { key.textContent = key.dataset.mac; }
      }
    }

    if (page) {
      window.addEventListener('online', () => {
        if (again && page.dataset.state === 'failed') { again(); } else if (stuck) { work(); }
      });
      for (const button of page.querySelectorAll('[data-change-last]')) { button.addEventListener('click', changeLast); }
      for (const button of page.querySelectorAll('[data-undo-skip]')) { button.addEventListener('click', takeBack); }
      watchForm();
      const bar = page.querySelector('.vk-bar');  // messages in the corner stay above it, however much it says
      if (bar) { new ResizeObserver(() => body.style.setProperty('--vk-bar', `${bar.offsetHeight}px`)).observe(bar); }
      page.querySelector('[data-open="vk-keys"]')?.addEventListener('click', showKeys);
      const reload = byId('vk-ask-again');
      if (reload) { reload.addEventListener('click', () => Vulyk.load_next()); }
    }
    popups();
    menus();
    themes();
  }

  function popups() {
    document.addEventListener('click', event => {
      const open = event.target.closest('dialog.vk-dialog[open]');
      if (open && (event.target === open || event.target.closest('[data-close]'))) { open.close(); }
    });
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
    });
  }

  /** The keys of the page, and those that the help of the plugin lists in an element with data-keys. */
  function showKeys() {
    const dialog = byId('vk-keys');
    const place = byId('vk-keys-own');
    if (!dialog || dialog.open) { return; }
    place.replaceChildren(...[...document.querySelectorAll('#tag_hints [data-keys]')].map(list => {
      const copy = list.cloneNode(true);
      copy.className = 'vk-keys';
      return copy;
    }));
    dialog.showModal();
  }

  /** Menus made of <details>: closed by Esc and by a click elsewhere. */
  function menus() {
    const close = (menu, hasFocus) => {
      menu.open = false;
      if (hasFocus) { menu.querySelector('summary').focus(); }
    };
    document.addEventListener('click', event => {
      document.querySelectorAll('.vk-menu[open], .vk-more[open]').forEach(menu => {
        if (!menu.contains(event.target) || event.target.closest('.vk-more-list button')) { close(menu, false); }
      });
    });
    document.addEventListener('keydown', event => {
      if (event.key === 'Escape' && !event.defaultPrevented) {
        document.querySelectorAll('.vk-menu[open], .vk-more[open]').forEach(menu => {
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
        if (options.crossDomain) { return; }
        if (me) { xhr.setRequestHeader('X-Vulyk-User', me); }
        if (!isSafe(options.type)) { xhr.setRequestHeader('X-CSRFToken', token()); }
      });
    }
    document.addEventListener('submit', ({target: form}) => {
      if (form.getAttribute('method')?.toLowerCase() === 'post' && isOurs(form.getAttribute('action') || '') && !form.elements.csrf_token) {
        form.append(element('input', {type: 'hidden', name: 'csrf_token', value: token()}));
      }
    });
  }

  /** The form with the colours works by itself; here it changes them at once, without a new page. */
  function themes() {
    document.addEventListener('submit', event => {
      const {target: form, submitter} = event;
      if (!form.matches('.vk-theme') || !submitter) { return; }
      event.preventDefault();
      const theme = submitter.value;
      const data = new URLSearchParams(new FormData(form, submitter));
      if (theme) { document.documentElement.dataset.theme = theme; } else { delete document.documentElement.dataset.theme; }
      for (const button of form.querySelectorAll('button')) { button.setAttribute('aria-pressed', String(button === submitter)); }
      for (const meta of document.querySelectorAll('meta[name="theme-color"]')) {
        meta.content = (theme ? theme === 'dark' : meta.media.includes('dark')) ? '#172130' : '#ffffff';
      }
      fetchWithToken(form.action, {method: 'POST', body: data, redirect: 'manual'}).catch(() => {});
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
    if (wrapper) {
      addMessagePlaces();
      document.addEventListener('securitypolicyviolation', sayBlocked);
    }
    Vulyk.event_handlers();
    tellZone();
    if (wrapper) { start(); } else if (me) { sendKept(); }
  }

  const Vulyk = {
    State, texts, init, event_handlers, load_next, skip_task, save_report, announce, notify, offerDrafts, practise,
    fetch: fetchWithToken,
  };
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
