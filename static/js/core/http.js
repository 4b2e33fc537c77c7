// Asking the server for a fragment of the page. What is not the fragment (a login page, an error page) is no answer.

const PATIENCE = 15_000;

// `status` is that of an answer which was none: 0 where nobody answered at all.
export class Unreachable extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

// The answer as a document, and its status.
export async function exchange(url, body = null) {
  let response;
  let text;
  try {
    response = await fetch(url, {
      method: body ? "POST" : "GET",
      body,
      headers: { "HX-Request": "true" },
      credentials: "same-origin",
      signal: AbortSignal.timeout(PATIENCE), // after a sleep, nobody is at the other end of what was asked before it
    });
    text = await response.text();
  } catch (error) {
    throw new Unreachable(String(error));
  }
  if (response.status === 401) {
    location.assign(response.headers.get("HX-Redirect") || "/");
    throw new Unreachable("logged out", 401);
  }
  if (!response.headers.get("Desk-Fragment")) throw new Unreachable(String(response.status), response.status);
  return { page: new DOMParser().parseFromString(text, "text/html"), status: response.status };
}

export async function ask(url, body = null) {
  return (await exchange(url, body)).page;
}

// What the list and the open conversation ask for at the same moment goes in one request: both moved by the same hint.
const parts = new Map();

export function askTogether(part, url) {
  return new Promise((resolve, reject) => {
    if (!parts.size) queueMicrotask(askParts);
    parts.set(part, { url, resolve, reject });
  });
}

async function askParts() {
  const asked = [...parts.values()];
  const { list, news } = Object.fromEntries(parts);
  parts.clear();
  if (list && news) {
    try {
      const page = await ask(`${news.url}&list=1&${new URL(list.url, location).searchParams}`);
      const its = page.getElementById("together-list");
      const shown = new DOMParser().parseFromString(its.innerHTML, "text/html");
      its.remove();
      news.resolve(page);
      list.resolve(shown);
      return;
    } catch (error) {
      if (!(error.status >= 400 && error.status < 500)) {
        for (const one of asked) one.reject(error);
        return;
      }
    }
  }
  for (const one of asked) ask(one.url).then(one.resolve, one.reject); // where one is refused, the other need not be
}

// Something to note, with nothing to show for it; lost without harm.
export function tell(url, values = {}) {
  const body = new URLSearchParams({ ...values, csrfmiddlewaretoken: document.body.dataset.csrf });
  return fetch(url, { method: "POST", body, credentials: "same-origin", keepalive: true }).catch(() => {});
}

// Refetching, for all of a page together: at most twice a second and never twice at once, however many hints come. What
// is asked for meanwhile is done once, afterwards; what could not be asked is asked again, with growing pauses. Each time
// the page is told, by the event `asked`, whether the server was reached.
const GAP = 500;
const LONGEST = 15_000;
const wanted = new Set();
let running = false;
let timer = 0;
let last = -Infinity;
let failures = 0;

export function paced(work) {
  return () => {
    wanted.add(work);
    schedule();
  };
}

// There is reason to believe that the server is there again: do not wait for the pause to end.
export function hurry() {
  failures = 0;
  clearTimeout(timer);
  timer = 0;
  if (wanted.size) schedule();
}

function schedule() {
  if (running || timer) return;
  const pause = failures ? Math.min(LONGEST, 2 * GAP * 2 ** (failures - 1)) : GAP;
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
  document.dispatchEvent(new CustomEvent("asked", { detail: { isReached: !lost.length } }));
  if (wanted.size) schedule();
}
