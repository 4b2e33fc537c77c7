// Requests to the server: the only module that calls fetch or XMLHttpRequest. Most ask for a fragment of the page; what is
// not the fragment (a login page, an error page) is no answer.

const PATIENCE = 15_000;
export const LONGEST_PAUSE = 15_000; // between two tries

// `status` is that of an answer which was none: 0 where nobody answered at all.
export class Unreachable extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

// The answer as a document, and its status.
export async function requestFragment(url, body = null) {
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

export async function fetchFragment(url, body = null) {
  return (await requestFragment(url, body)).page;
}

// What the list and the open conversation ask for at the same moment goes in one request: both moved by the same hint.
const together = new Map();

export function fetchTogether(part, url) {
  return new Promise((resolve, reject) => {
    if (!together.size) queueMicrotask(fetchParts);
    together.set(part, { url, resolve, reject });
  });
}

async function fetchParts() {
  const parts = [...together.values()];
  const { list, news } = Object.fromEntries(together);
  together.clear();
  if (list && news) {
    try {
      const page = await fetchFragment(`${news.url}&list=1&${new URL(list.url, location).searchParams}`);
      const its = page.getElementById("together-list");
      const shown = new DOMParser().parseFromString(its.innerHTML, "text/html");
      its.remove();
      news.resolve(page);
      list.resolve(shown);
      return;
    } catch (error) {
      if (!(error.status >= 400 && error.status < 500)) {
        for (const part of parts) part.reject(error);
        return;
      }
    }
  }
  for (const part of parts) fetchFragment(part.url).then(part.resolve, part.reject); // where one is refused, the other need not be
}

// The very answer of the API, by the same login.
export async function fetchJson(url) {
  const response = await fetch(url, { headers: { Accept: "application/json" }, credentials: "same-origin" });
  return response.json();
}

// Something to note, with nothing to show for it; lost without harm.
export function post(url, values = {}) {
  const body = new URLSearchParams({ csrfmiddlewaretoken: document.body.dataset.csrf, ...values });
  return fetch(url, { method: "POST", body, credentials: "same-origin", keepalive: true }).catch(() => {});
}

// Something to keep, answered in JSON. None where it was refused; an error where nobody answered. `isLeaving` lets the
// request outlive the page.
export async function postForJson(url, values, { isLeaving = false } = {}) {
  const body = new FormData();
  for (const [name, value] of Object.entries(values)) body.append(name, value);
  const headers = { "HX-Request": "true" };
  const response = await fetch(url, { method: "POST", body, headers, credentials: "same-origin", keepalive: isLeaving });
  return response.headers.get("Content-Type")?.includes("json") ? response.json() : null;
}

// A file, by XMLHttpRequest: fetch tells nothing of how far a body has gone. `progress` is called with the share that has,
// `answered` with the fragment and its status, `failed` where there was none. Returns what stops it.
export function upload(url, body, { token, progress, answered, failed }) {
  const request = new XMLHttpRequest();
  request.open("POST", url);
  request.setRequestHeader("HX-Request", "true");
  request.setRequestHeader("X-CSRFToken", token);
  request.responseType = "document";
  request.upload.addEventListener("progress", (event) => {
    if (event.lengthComputable) progress(event.loaded / event.total);
  });
  request.addEventListener("load", () => {
    if (request.getResponseHeader("Desk-Fragment")) answered(request.response, request.status);
    else failed();
  });
  request.addEventListener("error", failed);
  request.send(body);
  return () => request.abort();
}
