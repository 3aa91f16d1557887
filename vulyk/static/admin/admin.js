/* Small repairs of flask-admin's pages. */
(function () {
  'use strict';

  // Its links without an address are href="javascript:…", which the site's content security policy refuses, loudly. Caught on
  // the way down, because menus keep clicks from coming up.
  document.addEventListener('click', function (event) {
    var link = event.target.closest ? event.target.closest('a[href^="javascript:"]') : null;
    if (link) {
      event.preventDefault();
    }
  }, true);

  // Its search box has a placeholder but no name for screen readers.
  document.querySelectorAll('input[placeholder]:not([aria-label]):not([id])').forEach(function (input) {
    input.setAttribute('aria-label', input.placeholder);
  });

  // The crosses of select2 are for the mouse only (its keys are Backspace and Delete), and have no name.
  new MutationObserver(function () {
    document.querySelectorAll('.select2-search-choice-close:not([aria-hidden])').forEach(function (cross) {
      cross.setAttribute('aria-hidden', 'true');
    });
  }).observe(document.body, {childList: true, subtree: true});

  // Its check boxes and question marks have titles only, which Bootstrap's tooltips take away.
  document.querySelectorAll('input[type=checkbox][title], a[data-role=tooltip]').forEach(function (element) {
    element.setAttribute('aria-label', element.title || element.dataset.originalTitle);
  });
}());
