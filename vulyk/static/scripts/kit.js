/* What pages of many task types need, for the scripts of plugins with `frontend = 'bootstrap5'`: window.VulykKit.
 * The styles are in styles/kit.css, the markup of a picture in templates/base/kit.html; docs/plugins/frontend.rst explains all.
 */
(() => {
  'use strict';

  const LARGEST = 8;
  const STEP = 1.25;

  function element(tag, className, ...children) {
    const made = document.createElement(tag);
    made.className = className;
    made.append(...children);
    return made;
  }

  const press = id => document.getElementById(id)?.click();

  /** The texts of a task: `data-text-too-long="… {limit} …"` is `text('TooLong', {limit: 5})`. */
  const textsOf = root => (name, values = {}) =>
    root.dataset[`text${name}`].replace(/\{(\w+)\}/g, (_, key) => values[key]);

  /** A link to a web address; the label alone when the address is none. */
  function link(label, address) {
    if (typeof address !== 'string' || !/^https?:\/\//i.test(address)) { return label; }
    return Object.assign(element('a', 'kit-link', label), {href: address, target: '_blank', rel: 'noopener'});
  }

  /** The name of a licence, with a link to it when it is one of Creative Commons. */
  function licence(name) {
    const base = 'https://creativecommons.org/';
    const parts = /^CC (BY(?:-[A-Z]{2})*) (\d\.\d)/.exec(name);
    if (/^CC0/.test(name)) { return link(name, `${base}publicdomain/zero/1.0/`); }
    return parts ? link(name, `${base}licenses/${parts[1].toLowerCase()}/${parts[2]}/`) : name;
  }

  /** Show where a task comes from: the parts there are (texts or elements), with dots between them. */
  function showCredit(place, ...parts) {
    const given = parts.filter(part => part instanceof Node || (part ?? '') !== '');
    place.replaceChildren(...given.flatMap((part, index) => [index ? ' · ' : '', part instanceof Node ? part : String(part)]));
  }

  /** A language tag that browsers understand, or an empty text. */
  function languageOf(tag) {
    try {
      return Intl.getCanonicalLocales(tag || [])[0] || '';
    } catch (error) {
      return '';
    }
  }

  const dialogIsOpen = () => [...document.querySelectorAll('dialog[open], [role="dialog"], [aria-modal="true"]')]
    .some(dialog => dialog.getClientRects().length > 0);

  /** Focus an element of the task, unless the volunteer has moved the focus elsewhere: into the help, say, or the menu. */
  function claimFocus(root, target) {
    const focused = document.activeElement;
    const isFree = !focused || focused === document.body || root.contains(focused) || focused.closest('#save-button, #skip-button');
    if (isFree && target && !dialogIsOpen()) { target.focus({preventScroll: true}); }
  }

  /** The digit of a key press, 0 for other keys. Some keyboards (French) have digits only with Shift: there the place counts. */
  function digit(event) {
    const match = /^([1-9])$/.exec(event.key) || (!event.shiftKey && /^Digit([1-9])$/.exec(event.code));
    return match ? Number(match[1]) : 0;
  }

  /* ---- pictures -------------------------------------------------------------------------------------------------- */

  /** Shows one picture in `.kit-sheet`. `root.dataset.state` is `loading`, `ready` or `broken`; each change is told. */
  class Picture {
    constructor(root, {alt, onState = () => {}}) {
      Object.assign(this, {root, alt, onState, source: '', srcset: '', sheet: root.querySelector('.kit-sheet')});
      root.addEventListener('click', ({target}) => {
        if (target.closest('.kit-retry')) { this.load(this.source, this.srcset); }
        if (target.closest('.kit-skip')) { press('skip-button'); }
        const look = target.closest('[data-look]');
        if (look) {
          const isOn = root.classList.toggle(`kit-${look.dataset.look}`);  // for all pictures to come: it suits the eyes
          look.setAttribute('aria-pressed', String(isOn));
        }
      });
    }

    get image() { return this.sheet.querySelector('img'); }

    get isReady() { return this.root.dataset.state === 'ready'; }

    setState(state) {
      const {content} = this.root.querySelector('.kit-broken-text');
      this.root.dataset.state = state;
      this.root.querySelector('.kit-broken').replaceChildren(...(state === 'broken' ? [content.cloneNode(true)] : []));
      this.onState(state);
    }

    /** Show the picture at this address; where `data-sizes` of the sheet says how wide it is shown, one of a fitting width. */
    load(source, srcset = '') {
      const {sizes} = this.sheet.dataset;
      const image = Object.assign(new Image(), {alt: this.alt, draggable: false, decoding: 'async'});
      image.addEventListener('load', () => { if (image.isConnected) { this.onLoad(); } });  // or the next task came first
      image.addEventListener('error', () => { if (image.isConnected) { this.setState('broken'); } });
      Object.assign(this, {source, srcset});
      // A new sheet: the old one would be seen to move when it takes the size of the next picture.
      const sheet = this.sheet.cloneNode();
      sheet.removeAttribute('style');
      sheet.append(image);
      this.sheet.replaceWith(sheet);
      this.sheet = sheet;
      this.setState('loading');
      Object.assign(image, sizes ? {sizes, srcset, src: source} : {src: source});
    }

    onLoad() { this.setState('ready'); }
  }

  /** A picture in `.kit-view` that can be enlarged, moved and turned: by mouse, fingers, keys, and the buttons of its bar.
   *
   * `fit` says what 100 % are: the `whole` picture in view, or its `width`. The size is kept from task to task, since it
   * suits the eyes and not the picture.
   */
  class Viewer extends Picture {
    constructor(root, {fit = 'whole', turns = false, ...options}) {
      super(root, options);
      Object.assign(this, {fit, view: root.querySelector('.kit-view'), percent: root.querySelector('.kit-percent')});
      this.zoom = 1;
      this.turn = 0;       // degrees
      this.pinch = null;   // {distance, angle, x, y} of the last move of two fingers; the angle is that of the last turn
      this.dragged = 0;    // by how many pixels since the button of the mouse went down
      this.commands = {
        in: () => this.zoomTo(this.zoom * STEP), out: () => this.zoomTo(this.zoom / STEP), fit: () => this.zoomTo(1),
        ...(turns && {left: () => this.turnBy(-90), right: () => this.turnBy(90)}),
      };
      this.keys = {'+': 'in', '=': 'in', '-': 'out', '0': 'fit', ...(turns && {r: 'right', R: 'left'})};
      this.listen();
    }

    listen() {
      const {view} = this;
      view.addEventListener('wheel', event => this.onWheel(event), {passive: false});
      for (const name of ['touchstart', 'touchmove', 'touchend', 'touchcancel']) {
        view.addEventListener(name, event => this.onTouch(event), {passive: false});
      }
      view.addEventListener('pointerdown', event => this.onPointerDown(event));
      view.addEventListener('pointermove', event => this.onPointerMove(event));
      view.addEventListener('lostpointercapture', () => view.classList.remove('kit-view-held'));
      view.addEventListener('click', event => this.onClick(event));
      view.addEventListener('keydown', event => this.onMoveKey(event));
      new ResizeObserver(() => this.layOut()).observe(view);
      this.root.addEventListener('click', ({target}) => this.commands[target.closest('[data-view]')?.dataset.view]?.());
    }

    load(source, srcset) {
      this.turn = 0;
      super.load(source, srcset);
    }

    onLoad() {
      super.onLoad();
      this.layOut();
      this.view.scrollTo(0, 0);
    }

    /* The sheet has the size of the turned picture; the picture is turned inside it. */
    layOut() {
      const {image, sheet, turn, view} = this;
      if (!image?.naturalWidth) { return; }
      const {naturalWidth: width, naturalHeight: height} = image;
      const isAcross = turn % 180 !== 0;
      const {paddingLeft, paddingRight} = getComputedStyle(view);
      const wide = (view.offsetWidth - parseFloat(paddingLeft) - parseFloat(paddingRight)) / (isAcross ? height : width);
      const high = view.offsetHeight / (isAcross ? width : height);
      const scale = this.zoom * (this.fit === 'width' ? wide : Math.min(wide, high));
      const [across, down] = [Math.floor(width * scale), Math.floor(height * scale)];
      const shift = {0: '0, 0', 90: `${down}px, 0`, 180: `${across}px, ${down}px`, 270: `0, ${across}px`}[turn];
      sheet.style.width = `${isAcross ? down : across}px`;
      sheet.style.height = `${isAcross ? across : down}px`;
      image.style.width = `${across}px`;
      image.style.height = `${down}px`;
      image.style.transform = `translate(${shift}) rotate(${turn}deg)`;
      this.percent.value = `${Math.round(this.zoom * 100)} %`;
    }

    /* Change the size; the point (x, y) of the view keeps showing the same spot of the picture. */
    zoomTo(level, x = this.view.clientWidth / 2, y = this.view.clientHeight / 2) {
      const {sheet, view} = this;
      if (!this.isReady || !sheet.offsetWidth) { return; }
      const across = (view.scrollLeft + x - sheet.offsetLeft) / sheet.offsetWidth;
      const down = (view.scrollTop + y - sheet.offsetTop) / sheet.offsetHeight;
      this.zoom = Math.min(LARGEST, Math.max(1, level));
      this.layOut();
      view.scrollLeft = sheet.offsetLeft + across * sheet.offsetWidth - x;
      view.scrollTop = sheet.offsetTop + down * sheet.offsetHeight - y;
    }

    turnBy(degrees) {
      const {view} = this;
      if (!this.isReady) { return; }
      this.turn = (this.turn + degrees + 360) % 360;
      this.layOut();
      view.scrollTo((view.scrollWidth - view.clientWidth) / 2, (view.scrollHeight - view.clientHeight) / 2);
    }

    /** Obey a key of the page (+ - 0, and r R where the picture can be turned); while typing only together with Alt. */
    obey(event, isTyping) {
      const command = this.keys[event.key];
      const isLetter = /^[a-z]$/i.test(event.key);  // Alt and a letter belong to the keyboard
      if (!command || (isTyping && (!event.altKey || isLetter))) { return false; }
      event.preventDefault();
      this.commands[command]();
      return true;
    }

    place(clientX, clientY) {
      const box = this.view.getBoundingClientRect();
      return [clientX - box.left, clientY - box.top];
    }

    onWheel(event) {
      if (!event.ctrlKey) { return; }
      event.preventDefault();
      const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1);
      this.zoomTo(this.zoom * Math.exp(-pixels / 400), ...this.place(event.clientX, event.clientY));
    }

    /* One finger moves the picture by the browser's own scrolling; two fingers change its size, and turn it by twisting. */
    onTouch(event) {
      if (event.touches.length !== 2) {
        this.pinch = null;
        return;
      }
      if (event.cancelable) { event.preventDefault(); }
      const now = this.pinchOf(event.touches);
      const before = this.pinch;
      if (before) {
        this.view.scrollBy(before.x - now.x, before.y - now.y);
        this.zoomTo(this.zoom * now.distance / before.distance, now.x, now.y);
        const twist = (now.angle - before.angle + 540) % 360 - 180;
        const turn = this.commands[twist < 0 ? 'left' : 'right'];
        if (turn && Math.abs(twist) > 50) { turn(); } else { now.angle = before.angle; }
      }
      this.pinch = now;
    }

    pinchOf([one, two]) {
      const [x, y] = this.place((one.clientX + two.clientX) / 2, (one.clientY + two.clientY) / 2);
      const [across, down] = [two.clientX - one.clientX, two.clientY - one.clientY];
      return {distance: Math.hypot(across, down) || 1, angle: Math.atan2(down, across) * 180 / Math.PI, x, y};
    }

    onPointerDown(event) {
      this.dragged = 0;
      if (event.pointerType !== 'mouse' || event.button !== 0 || !this.isReady) { return; }
      this.view.setPointerCapture(event.pointerId);
      this.view.classList.add('kit-view-held');
    }

    onPointerMove(event) {
      if (!this.view.hasPointerCapture(event.pointerId)) { return; }
      this.dragged += Math.abs(event.movementX) + Math.abs(event.movementY);
      this.view.scrollBy(-event.movementX, -event.movementY);
    }

    /* A spot that is only clicked or tapped comes to the middle, for those who cannot drag. */
    onClick(event) {
      const {view} = this;
      if (this.dragged > 4 || !this.isReady) { return; }
      const [x, y] = this.place(event.clientX, event.clientY);
      view.scrollBy({left: x - view.clientWidth / 2, top: y - view.clientHeight / 2, behavior: 'smooth'});
    }

    onMoveKey(event) {
      const {view} = this;
      if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) { return; }
      const [across, down] = [view.clientWidth / 5, view.clientHeight / 5];
      const far = view.scrollWidth;
      const move = {
        ArrowLeft: [-across, 0], ArrowRight: [across, 0], ArrowUp: [0, -down], ArrowDown: [0, down], Home: [-far, 0], End: [far, 0],
      }[event.key];
      if (!move || (move[1] && view.scrollHeight <= view.clientHeight)) { return; }  // then the arrow scrolls the page
      event.preventDefault();
      view.scrollBy(...move);
    }
  }

  /* A text of a task in the language of the page: tasks have one for everybody, or {language: text}. */
  function inLanguage(texts) {
    if (texts === null || typeof texts !== 'object') { return String(texts || ''); }
    const {lang} = document.documentElement;
    const tag = [lang, lang.split('-')[0], 'en', ...Object.keys(texts)].find(one => texts[one]);
    return String(texts[tag] || '');
  }

  window.VulykKit = {
    element, press, textsOf, inLanguage, link, licence, showCredit, languageOf, dialogIsOpen, claimFocus, digit, Picture, Viewer,
  };
})();
