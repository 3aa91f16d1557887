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
}());
