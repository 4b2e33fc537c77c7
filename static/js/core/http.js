// Requests to the server: the only module that calls fetch or XMLHttpRequest. Most ask for a fragment of the page;
// another page (of the login, of an error) counts as `Unreachable`.

const PATIENCE = 15_000; // milliseconds
export const LONGEST_PAUSE = 15_000; // milliseconds between two tries

// No fragment came back. `status` is that of the response; 0 where there was none.
export class Unreachable extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

// Returns the fragment as a document, `page`, and its status. Throws `Unreachable`.
export async function requestFragment(url, body = null) {
  let response;
  let text;
  try {
    response = await fetch(url, {
      method: body ? "POST" : "GET",
      body,
      headers: { "HX-Request": "true" },
      credentials: "same-origin",
      signal: AbortSignal.timeout(PATIENCE), // a request from before the machine slept gets no response
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

// The list and the open conversation share one request if they ask at the same moment: one hint changes both.
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
      const template = page.getElementById("together-list");
      const listPage = new DOMParser().parseFromString(template.innerHTML, "text/html");
      template.remove();
      news.resolve(page);
      list.resolve(listPage);
      return;
    } catch (error) {
      if (!(error.status >= 400 && error.status < 500)) {
        for (const part of parts) part.reject(error);
        return;
      }
    }
  }
  for (const part of parts) fetchFragment(part.url).then(part.resolve, part.reject); // one may be refused alone
}

// Returns the API's own response, for the login of the page.
export async function fetchJson(url) {
  const response = await fetch(url, { headers: { Accept: "application/json" }, credentials: "same-origin" });
  return response.json();
}

// Sends values that need no response; they may be lost without harm.
export function post(url, values = {}) {
  const body = new URLSearchParams({ csrfmiddlewaretoken: document.body.dataset.csrf, ...values });
  return fetch(url, { method: "POST", body, credentials: "same-origin", keepalive: true }).catch(() => {});
}

// Sends values to be stored, and returns the JSON of the response: null where it was refused. Throws where nobody
// answered. `isLeaving` lets the request outlive the page.
export async function postForJson(url, values, { isLeaving = false } = {}) {
  const body = new FormData();
  for (const [name, value] of Object.entries(values)) body.append(name, value);
  const headers = { "HX-Request": "true" };
  const response = await fetch(url, { method: "POST", body, headers, credentials: "same-origin", keepalive: isLeaving });
  return response.headers.get("Content-Type")?.includes("json") ? response.json() : null;
}

// Uploads a file by XMLHttpRequest, because fetch reports no progress of a body. `progress` is called with the share
// that is sent (0 to 1), `answered` with the fragment and its status, `failed` where there was none. Returns a function
// that stops it.
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
