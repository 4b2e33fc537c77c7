// Refetching, for all of a page together: at most twice a second and never twice at once, however many hints come. What
// is asked for meanwhile is done once, afterwards; what could not be asked is asked again, with growing pauses. Each time
// the page is told, by the event `refreshed`, whether the server was reached.

import { LONGEST_PAUSE, Unreachable } from "./http.js";

const GAP = 500;
const wanted = new Set();
let running = false;
let timer = 0;
let last = -Infinity;
let failures = 0;

// `work` made into what asks for it to be done.
export function queued(work) {
  return () => {
    wanted.add(work);
    schedule();
  };
}

// There is reason to believe that the server is there again: do not wait for the pause to end.
export function retryNow() {
  failures = 0;
  clearTimeout(timer);
  timer = 0;
  if (wanted.size) schedule();
}

function schedule() {
  if (running || timer) return;
  const pause = failures ? Math.min(LONGEST_PAUSE, 2 * GAP * 2 ** (failures - 1)) : GAP;
  timer = setTimeout(run, Math.max(0, last + pause - performance.now()));
}

async function run() {
  timer = 0;
  running = true;
  last = performance.now();
  const works = [...wanted];
  wanted.clear();
  const done = await Promise.allSettled(works.map((work) => work()));
  running = false;
  const failed = done.map((one) => one.reason);
  const lost = works.filter((_, number) => failed[number] instanceof Unreachable);
  failures = lost.length ? failures + 1 : 0;
  for (const work of lost) wanted.add(work);
  for (const error of failed) if (error && !(error instanceof Unreachable)) reportError(error);
  document.dispatchEvent(new CustomEvent("refreshed", { detail: { isReached: !lost.length } }));
  if (wanted.size) schedule();
}
