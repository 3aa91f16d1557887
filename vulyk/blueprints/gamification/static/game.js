/* Tells of badges and levels, once each, and keeps points and level in the header up to date. */
(() => {
  'use strict';

  const chip = document.getElementById('vg-chip');
  if (!chip || !window.Vulyk?.notify) { return; }

  const PAUSE_MS = 5000;  // answers may come every second; news need not
  const texts = JSON.parse(chip.dataset.texts);
  const say = (name, values) => texts[name].replace(/\{(\w+)\}/g, (_, key) => values[key]);

  let lookedAt = 0;
  let timer = 0;

  async function post(address, form) {
    const response = await Vulyk.fetch(address, {method: 'POST', body: new URLSearchParams(form)});
    await response.text();  // a body nobody reads keeps its connection
    return response;
  }

  async function look() {
    lookedAt = Date.now();
    const response = await Vulyk.fetch(chip.dataset.newsUrl, {cache: 'no-store', headers: {Accept: 'application/json'}});
    if (!response.ok) { return; }
    const {points, points_text: pointsText, level, events, until} = (await response.json()).result;
    document.getElementById('vg-level').textContent = level;
    document.getElementById('vg-points').textContent = pointsText;
    document.getElementById('vg-number').textContent = points;
    const badges = events.flatMap(({achievements}) => achievements);
    const name = badges.map(badge => badge.name).join(', ');
    const bonus = badges.reduce((sum, badge) => sum + badge.bonus, 0);
    const reached = Math.max(...events.map(({level_given: given}) => given || 0));
    // One message, however much has come together: several would cover a small screen.
    if (badges.length) { Vulyk.notify(say((badges.length > 1 ? 'several' : 'badge') + (bonus ? 'Bonus' : ''), {name, bonus})); }
    if (reached > 0) { Vulyk.notify(say('level', {level: reached})); }
    if (events.length) { await post(chip.dataset.viewedUrl, {until}); }
  }

  /** Now, or when the pause since the last look is over; without a connection some other time. */
  function lookSoon() {
    clearTimeout(timer);
    timer = setTimeout(() => look().catch(() => {}), Math.max(0, lookedAt + PAUSE_MS - Date.now()));
  }

  document.body.addEventListener('vulyk:next', lookSoon);
  document.body.addEventListener('vulyk:task-error', lookSoon);
  lookSoon();
})();
