import assert from "node:assert/strict";
import { test } from "node:test";

import { giveBrowser } from "./browser.js";
import { field, serve } from "./server.js";

giveBrowser({ words: { csrf: "token-of-the-page" } });
const { Unreachable, fetchFragment, fetchJson, fetchTogether, post, postForJson, requestFragment } = await import(
  "../../static/js/core/http.js"
);

async function served(t, answer) {
  const server = await serve(answer);
  t.after(server.stop);
  return server;
}

test("a fragment comes as a page, and is asked for as one", async (t) => {
  const { url, requests } = await served(t, () => ({ text: '<p id="news">Hello</p>' }));
  const page = await fetchFragment(`${url}/news/`);
  assert.equal(page.getElementById("news").textContent, "Hello");
  assert.equal(requests[0].method, "GET");
  assert.equal(requests[0].headers["hx-request"], "true");
});

test("a refusal with words is an answer, whatever its status", async (t) => {
  const { url, requests } = await served(t, () => ({ status: 409, text: '<p id="problem">Not yours</p>' }));
  const { page, status } = await requestFragment(url, new FormData());
  assert.equal(status, 409);
  assert.equal(page.getElementById("problem").textContent, "Not yours");
  assert.equal(requests[0].method, "POST");
});

test("a page that is no fragment is no answer, and tells its status", async (t) => {
  const { url } = await served(t, () => ({ status: 502, headers: {}, text: "<h1>Bad gateway</h1>" }));
  await assert.rejects(fetchFragment(url), (error) => error instanceof Unreachable && error.status === 502);
});

test("where nobody answers, the status is 0", async () => {
  const { url, stop } = await serve(() => {});
  await stop();
  await assert.rejects(fetchFragment(url), (error) => error instanceof Unreachable && error.status === 0);
});

test("who is logged out is sent to where one logs in", async (t) => {
  const places = [];
  location.assign = (place) => places.push(place);
  const { url } = await served(t, () => ({ status: 401, headers: { "HX-Redirect": "/login/?next=/desk/" } }));
  await assert.rejects(fetchFragment(url), (error) => error.status === 401);
  assert.deepEqual(places, ["/login/?next=/desk/"]);
});

test("the list and the news that are asked for at one moment come by one request", async (t) => {
  const { url, requests } = await served(t, () => ({
    text: '<div id="thread">news</div><template id="together-list"><b id="row">list</b></template>',
  }));
  const [list, news] = await Promise.all([
    fetchTogether("list", `${url}/desk/list/?view=mine&rows=50`),
    fetchTogether("news", `${url}/desk/c/7/news/?seq=3`),
  ]);
  assert.deepEqual(requests.map((one) => one.url), ["/desk/c/7/news/?seq=3&list=1&view=mine&rows=50"]);
  assert.equal(news.getElementById("thread").textContent, "news");
  assert.equal(news.getElementById("together-list"), null);
  assert.equal(list.getElementById("row").textContent, "list");
});

test("one of them by itself is asked for by itself", async (t) => {
  const { url, requests } = await served(t, () => ({ text: '<b id="row">list</b>' }));
  await fetchTogether("list", `${url}/desk/list/?view=mine`);
  assert.deepEqual(requests.map((one) => one.url), ["/desk/list/?view=mine"]);
});

test("where both together are refused, each is asked for by itself: one may still be had", async (t) => {
  const { url, requests } = await served(t, ({ url: asked }) =>
    asked.startsWith("/desk/list/") ? { text: '<b id="row">list</b>' } : { status: 404, headers: {} },
  );
  const [list, news] = await Promise.allSettled([
    fetchTogether("list", `${url}/desk/list/?view=mine`),
    fetchTogether("news", `${url}/desk/c/7/news/?seq=3`),
  ]);
  assert.equal(list.value.getElementById("row").textContent, "list");
  assert.equal(news.reason.status, 404);
  assert.equal(requests.length, 3);
});

test("where nobody answers, both are lost, and nothing is asked twice", async (t) => {
  const { url, requests } = await served(t, () => ({ status: 503, headers: {} }));
  const done = await Promise.allSettled([fetchTogether("list", `${url}/l/?a=1`), fetchTogether("news", `${url}/n/?seq=3`)]);
  assert.deepEqual(done.map(({ reason }) => reason.status), [503, 503]);
  assert.equal(requests.length, 1);
});

test("a note goes out with the page's token, or with a form's own", async (t) => {
  const { url, requests } = await served(t, () => {});
  await post(`${url}/read/`, { seq: 5 });
  await post(`${url}/discard/`, { csrfmiddlewaretoken: "of-the-form" });
  assert.deepEqual(Object.fromEntries(new URLSearchParams(requests[0].body)), { csrfmiddlewaretoken: "token-of-the-page", seq: "5" });
  assert.deepEqual(Object.fromEntries(new URLSearchParams(requests[1].body)), { csrfmiddlewaretoken: "of-the-form" });
});

test("a note that reaches nobody is lost without harm", async () => {
  const { url, stop } = await serve(() => {});
  await stop();
  assert.equal(await post(url, { seq: 5 }), undefined);
});

test("what is to be kept is answered in JSON; anything else is a refusal", async (t) => {
  const { url, requests } = await served(t, ({ url: asked }) =>
    asked === "/drafts/" ? { headers: { "Content-Type": "application/json" }, text: '{"at": "now"}' } : { status: 403, text: "no" },
  );
  assert.deepEqual(await postForJson(`${url}/drafts/`, { mode: "note", content: "so far" }), { at: "now" });
  assert.equal(field(requests[0].body, "content"), "so far");
  assert.equal(await postForJson(`${url}/elsewhere/`, {}), null);
});

test("the API is asked for JSON", async (t) => {
  const { url, requests } = await served(t, () => ({ headers: { "Content-Type": "application/json" }, text: '{"id": 7}' }));
  assert.deepEqual(await fetchJson(url), { id: 7 });
  assert.equal(requests[0].headers.accept, "application/json");
});
