import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { giveBrowser } from "./browser.js";
import { field, serve } from "./server.js";

const words = { wordLost: "It was not sent.", wordBehind: "What came before it was not sent." };
const OK = { text: '<div id="thread"></div>' };
const refused = (why, status = 409) => ({ status, text: `<p id="problem">${why}</p>` });
const NOBODY = { status: 502, headers: {} };

let browser;
let openOutbox;
beforeEach(async () => {
  browser = giveBrowser({ locks: makeLocks() });
  ({ openOutbox } = await import("../../static/js/messages/outbox.js"));
});

// One at a time for each name, as the browser's.
function makeLocks() {
  const ends = new Map();
  return {
    request(name, work) {
      const done = (ends.get(name) ?? Promise.resolve()).then(work);
      ends.set(name, done.catch(() => {}));
      return done;
    },
  };
}

// An outbox at a server that answers as `answer` says, and what comes of it.
async function opened(t, answer, whose = "agent:1") {
  const server = await serve(answer);
  t.after(server.stop);
  return { ...server, ...page(server, whose) };
}

function page({ url }, whose = "agent:1") {
  const answers = [];
  const waiting = [];
  const changed = () => {
    for (const one of [...waiting]) if (one.isSo()) one.done(waiting.splice(waiting.indexOf(one), 1));
  };
  const outbox = openOutbox(whose, {
    body(entry) {
      const form = new FormData();
      form.append("message_id", entry.id);
      form.append("content", entry.text);
      return form;
    },
    answered: (entry, _, why) => answers.push([entry.text, why ?? ""]) && changed(),
    changed: () => outbox && changed(),
    words,
  });
  const put = (text, more = {}) => outbox.put({ conversation: "7", url: `${url}/say/`, mode: "reply", text, files: [], ...more });
  const until = (isSo) => (isSo() ? null : new Promise((done) => waiting.push({ isSo, done })));
  const states = () => outbox.of("7").map(({ text, state, why }) => [text, state, why]);
  return { outbox, answers, put, until, states };
}

const contents = (requests) => requests.map(({ body }) => field(body, "content"));

test("what is put in goes out in order, and is then no longer kept", async (t) => {
  const { put, answers, requests, until, outbox } = await opened(t, () => OK);
  for (const text of ["one", "two", "three"]) put(text);
  assert.equal(outbox.waits(), 3);
  await until(() => answers.length === 3);
  assert.deepEqual(contents(requests), ["one", "two", "three"]);
  assert.equal(outbox.waits(), 0);
  assert.deepEqual([...browser.local.kept], []);
});

test("where nobody answers it waits, and goes out by the same id when the server is back", async (t) => {
  let isThere = false;
  const { put, answers, requests, until, outbox, states } = await opened(t, () => (isThere ? OK : NOBODY));
  const { id } = put("hello");
  await until(() => states()[0]?.[1] === "waiting" && requests.length === 1);
  assert.equal(JSON.parse(browser.local.kept.get(`tandem:outbox:agent:1:${id}`)).text, "hello");
  isThere = true;
  outbox.hurry();
  await until(() => answers.length === 1);
  assert.deepEqual(new Set(requests.map(({ body }) => field(body, "message_id"))), new Set([id]));
});

test("it waits over a reload", async (t) => {
  let isThere = false;
  const before = await opened(t, () => (isThere ? OK : NOBODY));
  before.put("hello");
  await before.until(() => before.states()[0]?.[1] === "waiting");
  isThere = true;
  const after = page(before);
  assert.deepEqual(after.states(), [["hello", "waiting", ""]]);
  after.outbox.hurry();
  await after.until(() => after.answers.length === 1);
  assert.deepEqual(after.states(), []);
});

test("what the server refuses stays with the reason, and what waits behind it is not sent", async (t) => {
  const { put, answers, requests, until, states } = await opened(t, () => refused("Somebody else has it."));
  put("one");
  put("two");
  put("a note", { mode: "note" });
  await until(() => answers.length === 2);
  assert.deepEqual(contents(requests), ["one", "a note"]);
  assert.deepEqual(states(), [
    ["one", "refused", "Somebody else has it."],
    ["two", "refused", words.wordBehind],
    ["a note", "refused", "Somebody else has it."],
  ]);
});

test("refused without a reason, it says so; a server that is only busy is asked again", async (t) => {
  const { put, until, states } = await opened(t, () => ({ status: 413, headers: {} }));
  put("large");
  await until(() => states()[0]?.[1] === "refused");
  assert.deepEqual(states(), [["large", "refused", words.wordLost]]);
  for (const status of [408, 425, 429, 500, 503]) {
    const busy = await opened(t, () => ({ status, headers: {} }), `agent:${status}`);
    busy.put("soon");
    await busy.until(() => busy.states()[0]?.[1] === "waiting");
    assert.deepEqual(busy.states(), [["soon", "waiting", ""]]);
    busy.outbox.clear();
  }
});

test("a refusal of a busy server is no decision", async (t) => {
  const { put, until, states, outbox } = await opened(t, () => refused("Busy.", 503));
  put("soon");
  await until(() => states()[0]?.[1] === "waiting");
  outbox.clear();
});

test("what was refused can be sent again or taken back", async (t) => {
  let isOpen = false;
  const { put, answers, until, states, outbox } = await opened(t, () => (isOpen ? OK : refused("Not now.")));
  const again = put("one").id;
  const back = put("two", { mode: "note" }).id;
  await until(() => answers.length === 2);
  isOpen = true;
  assert.equal(outbox.take(back).text, "two");
  assert.equal(outbox.has(back), false);
  outbox.again(again);
  await until(() => answers.length === 3);
  assert.deepEqual(answers.at(-1), ["one", ""]);
  assert.deepEqual(states(), []);
});

test("two pages of one writer send one word once", async (t) => {
  const first = await opened(t, () => OK);
  const second = page(first);
  const { id } = first.put("hello");
  browser.window.dispatchEvent(Object.assign(new Event("storage"), { key: `tandem:outbox:agent:1:${id}` }));
  assert.equal(second.outbox.has(id), true);
  second.outbox.hurry();
  await first.until(() => first.answers.length === 1);
  await second.until(() => !second.outbox.has(id));
  assert.equal(first.requests.length, 1);
  assert.equal(second.answers.length, 0);
});

test("nobody sees or sends another writer's words", async (t) => {
  const maya = await opened(t, () => NOBODY, "agent:1");
  maya.put("mine");
  await maya.until(() => maya.states()[0]?.[1] === "waiting");
  assert.deepEqual(page(maya, "agent:2").states(), []);
  maya.outbox.clear();
});

test("without a name nothing is kept over a reload", async (t) => {
  const { put, answers, until } = await opened(t, () => OK, "");
  put("hello");
  assert.deepEqual([...browser.local.kept], []);
  await until(() => answers.length === 1);
});

test("where the store is full or forbidden, it goes out all the same", async (t) => {
  for (const fault of ["isFull", "isForbidden"]) {
    browser.local[fault] = true;
    const { put, answers, until } = await opened(t, () => OK);
    put("hello");
    await until(() => answers.length === 1);
    assert.deepEqual(answers, [["hello", ""]]);
  }
});
