// One queue for all refetching of a page: at most twice a second and one run at a time, however many hints come. Work
// that is queued during a run is done once, after it; work that did not reach the server is done again, with growing
// pauses. After each run the event `refreshed` says whether the server was reached.

import { LONGEST_PAUSE, Unreachable } from "./http.js";

const GAP = 500; // milliseconds
const pending = new Set();
let running = false;
let timer = 0;
let last = -Infinity;
let failures = 0;

// Returns a function that queues `work`.
export function queued(work) {
  return () => {
    pending.add(work);
    schedule();
  };
}

// The server may be reachable again: do not wait for the pause to end.
export function retryNow() {
  failures = 0;
  clearTimeout(timer);
  timer = 0;
  if (pending.size) schedule();
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
  const works = [...pending];
  pending.clear();
  const results = await Promise.allSettled(works.map((work) => work()));
  running = false;
  const failed = results.map((result) => result.reason);
  const lost = works.filter((_, number) => failed[number] instanceof Unreachable);
  failures = lost.length ? failures + 1 : 0;
  for (const work of lost) pending.add(work);
  for (const error of failed) if (error && !(error instanceof Unreachable)) reportError(error);
  document.dispatchEvent(new CustomEvent("refreshed", { detail: { isReached: !lost.length } }));
  if (pending.size) schedule();
}
