/**
 * Seconds of real work on the task in hand: the page is visible, and there was a sign of life not long ago.
 *
 * `begin(address)` starts a task; every minute of work is reported there, which also keeps the task ours. What has not been
 * reported yet travels with the answer: `take()` gives it, `putBack(seconds)` if that failed.
 */
window.VulykActivity = (() => {
  'use strict';

  const IDLE_MS = 60000;
  const REPORT_S = 60;
  const LAG_S = 10;  // a task fetched in advance is on the page some seconds before the server knows
  const TICK_MS = 1000;

  let address = null;
  let milliseconds = 0;
  let lastTick = 0;
  let lastSign = 0;

  function begin(newAddress) {
    address = newAddress;
    milliseconds = 0;
    lastTick = lastSign = performance.now();
  }

  function tick() {
    const now = performance.now();
    const isWorking = address && document.visibilityState === 'visible' && now - lastSign < IDLE_MS;
    // A computer that slept between two ticks has not worked.
    if (isWorking) { milliseconds += Math.min(now - lastTick, 2 * TICK_MS); }
    lastTick = now;
    if (milliseconds >= (REPORT_S + LAG_S) * 1000) { report(); }
  }

  function take(most = Infinity) {
    const seconds = Math.min(Math.floor(milliseconds / 1000), most);
    milliseconds -= seconds * 1000;
    return seconds;
  }

  function putBack(seconds) { milliseconds += seconds * 1000; }

  async function report() {
    const [reported, seconds] = [address, take(REPORT_S)];
    try {
      await Vulyk.fetch(reported, {method: 'POST', body: new URLSearchParams({seconds})});
    } catch (error) {
      if (address === reported) { putBack(seconds); }  // no connection: with the next report, or with the answer
    }
  }

  for (const sign of ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchmove', 'scroll']) {
    addEventListener(sign, () => { lastSign = performance.now(); }, {passive: true, capture: true});
  }
  setInterval(tick, TICK_MS);

  return {begin, take, putBack};
})();
