/* Rich text for textareas of class "ckeditor": a toolbar and an editable copy above the hidden textarea, which is what gets
 * posted. Bold, italic, links and lists; pasted text loses its format. The server cleans what it is sent, and gives the
 * textarea what the buttons are called. */
(function () {
  'use strict';

  var BUTTONS = [
    {command: 'bold', name: 'textBold', sign: 'B', tag: 'B'},
    {command: 'italic', name: 'textItalic', sign: 'I', tag: 'I'},
    {command: 'createLink', name: 'textLink'},
    {command: 'unlink', name: 'textUnlink'},
    {command: 'insertUnorderedList', name: 'textList', sign: '•'},
    {command: 'insertOrderedList', name: 'textNumbers', sign: '1.'}
  ];
  var STATEFUL = ['bold', 'italic', 'insertUnorderedList', 'insertOrderedList'];
  var ADDRESS = /^(https?:\/\/|mailto:|\/(?!\/)|#)/i;

  function element(name, className, attributes) {
    var made = document.createElement(name);
    made.className = className;
    Object.keys(attributes || {}).forEach(function (key) { made.setAttribute(key, attributes[key]); });
    return made;
  }

  function askForAddress(question) {
    var address = (window.prompt(question, 'https://') || '').trim();
    if (!address || address === 'https://') {
      return null;
    }
    if (!ADDRESS.test(address)) {
      address = 'https://' + address.replace(/^[a-z][a-z0-9+.-]*:/i, '');
    }
    return address;
  }

  function labelOf(textarea) {
    var label = textarea.id && document.querySelector('label[for="' + CSS.escape(textarea.id) + '"]');
    return label ? label.textContent.replace('*', '').trim() : textarea.name;
  }

  function enhance(textarea) {
    var box = element('div', 'va-editor');
    var bar = element('div', 'va-editor-bar', {role: 'toolbar', 'aria-label': labelOf(textarea)});
    var area = element('div', 'va-editor-area form-control', {
      contenteditable: 'true', role: 'textbox', 'aria-multiline': 'true', 'aria-label': labelOf(textarea)
    });
    var buttons = {};

    function store() {
      textarea.value = area.textContent.trim() || area.querySelector('img') ? area.innerHTML : '';
    }

    function showState() {
      if (document.activeElement === area) {
        STATEFUL.forEach(function (name) {
          buttons[name].setAttribute('aria-pressed', String(document.queryCommandState(name)));
        });
      }
    }

    function run(command) {
      var value = null;
      area.focus();
      if (command === 'createLink') {
        value = askForAddress(textarea.dataset.textAddress);
        if (value === null) {
          return;
        }
        if (window.getSelection().isCollapsed) {
          var link = element('a', '', {href: value});
          link.removeAttribute('class');
          link.textContent = value;
          command = 'insertHTML';
          value = link.outerHTML;
        }
      }
      document.execCommand(command, false, value);
      store();
      showState();
    }

    BUTTONS.forEach(function (description) {
      var title = textarea.dataset[description.name];
      var button = element('button', 'va-editor-button', {type: 'button', title: title});
      var text = description.tag ? element(description.tag, '') : document.createElement('span');
      text.textContent = description.tag ? description.sign : [description.sign, title].filter(Boolean).join(' ');
      if (description.tag) { button.setAttribute('aria-label', title); }
      button.appendChild(text);
      if (STATEFUL.indexOf(description.command) !== -1) {
        button.setAttribute('aria-pressed', 'false');
      }
      // The selection must survive the click.
      button.addEventListener('mousedown', function (event) { event.preventDefault(); });
      button.addEventListener('click', function () { run(description.command); });
      buttons[description.command] = button;
      bar.appendChild(button);
    });

    area.innerHTML = textarea.value || '<p><br></p>'; // the server has cleaned it
    area.addEventListener('input', store);
    area.addEventListener('paste', function (event) {
      event.preventDefault();
      document.execCommand('insertText', false, event.clipboardData.getData('text/plain'));
    });
    area.addEventListener('drop', function (event) { event.preventDefault(); });
    document.addEventListener('selectionchange', showState);
    box.appendChild(bar);
    box.appendChild(area);
    textarea.hidden = true;
    textarea.required = false; // a hidden field cannot say that it is empty; the server does
    textarea.parentNode.insertBefore(box, textarea);
  }

  function enhanceAll(root) {
    root.querySelectorAll('textarea.ckeditor:not([hidden])').forEach(enhance);
  }

  document.execCommand('defaultParagraphSeparator', false, 'p');
  enhanceAll(document);
  // Forms in dialogs and embedded documents come later.
  new MutationObserver(function () { enhanceAll(document); }).observe(document.body, {childList: true, subtree: true});
}());
