// What was sent and has not arrived: kept over a reload, sent in order, once. The server knows a message by the id it got
// here, so that sending it again is harmless; what it refuses stays, with the reason, until somebody decides.

import { LONGEST_PAUSE, Unreachable, requestFragment } from "../core/http.js";
import { local, watchLocal } from "../core/storage.js";
import { uuid } from "../core/uuid.js";

const SHORTEST = 1000;
const memory = { keys: () => [], get: () => null, set: () => {}, drop: () => {} };

// In a full or forbidden store nothing stays: until it is closed, the page itself remembers.
const stored = (prefix) => ({
  keys: () => local.keys(prefix),
  get: (id) => local.getJson(prefix + id),
  set: (id, entry) => local.setJson(prefix + id, entry),
  drop: (id) => local.remove(prefix + id),
});

// `whose` names the writer, so that nobody sends another's words; without a name nothing is kept over a reload. `body`
// gives the form that says an entry, `answered` is given what the server said to it, `changed` hears of every change;
// `words` has wordLost and wordBehind: why something was not sent where the server does not say it.
export function openOutbox(whose, { body, answered, changed, words }) {
  const prefix = `tandem:outbox:${whose}:`;
  const store = whose ? stored(prefix) : memory;
  const entries = new Map(); // by id: {id, at, conversation, url, mode, text, files, state, why}
  const isKept = new Set(); // ids of those that the store has taken
  let isDraining = false;
  let failures = 0;
  let retry = 0;

  const inOrder = () => [...entries.values()].sort((one, other) => one.at - other.at);
  const of = (conversation) => inOrder().filter((entry) => entry.conversation === conversation);
  const unsent = () => inOrder().filter((entry) => entry.state !== "refused");

  function load(id) {
    const kept = store.get(id);
    if (kept?.id !== id) {
      entries.delete(id);
      return;
    }
    entries.set(id, { ...kept, state: kept.state === "refused" ? "refused" : "waiting" });
    isKept.add(id);
  }

  function keep(entry) {
    store.set(entry.id, entry);
    if (store.get(entry.id)) isKept.add(entry.id);
  }

  function become(entry, state, why = "") {
    if (!entries.has(entry.id)) return; // it was seen in the thread meanwhile
    Object.assign(entry, { state, why });
    keep(entry);
    changed();
  }

  function put(said) {
    const newest = inOrder().at(-1)?.at ?? 0;
    const entry = { ...said, id: uuid(), at: Math.max(Date.now(), newest + 1) };
    entries.set(entry.id, entry);
    become(entry, failures ? "waiting" : "sending");
    drain();
    return entry;
  }

  function drop(id) {
    const entry = entries.get(id);
    if (!entry) return null;
    entries.delete(id);
    store.drop(id);
    changed();
    return entry;
  }

  // One page at a time, where several of one writer are open: what they have to say has one order.
  function alone(work) {
    return whose && navigator.locks ? navigator.locks.request(prefix, work) : work();
  }

  async function drain() {
    if (isDraining || !unsent().length) return;
    isDraining = true;
    clearTimeout(retry);
    let isThere = true;
    try {
      await alone(async () => {
        for (let entry; isThere && (entry = unsent()[0]); ) isThere = await deliver(entry);
      });
    } finally {
      isDraining = false;
    }
    failures = isThere ? 0 : failures + 1;
    if (!isThere) retry = setTimeout(drain, Math.min(LONGEST_PAUSE, SHORTEST * 2 ** failures));
    else drain(); // what was put in while the lock was given back
  }

  // There is reason to believe that the server is there again.
  function hurry() {
    failures = 0;
    drain();
  }

  // False where nobody was there to say it to.
  async function deliver(entry) {
    if (isKept.has(entry.id) && !store.get(entry.id)) {
      drop(entry.id); // another page has said it meanwhile
      return true;
    }
    become(entry, "sending");
    let answer;
    try {
      answer = await requestFragment(entry.url, body(entry));
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      const isFinal = error.status >= 400 && error.status < 500 && ![401, 408, 425, 429].includes(error.status);
      if (!isFinal) become(entry, "waiting");
      else refuse(entry, words.wordLost);
      return isFinal;
    }
    const why = answer.page.getElementById("problem")?.textContent.trim();
    if (why && answer.status >= 500) {
      become(entry, "waiting"); // busy: it will pass
      return false;
    }
    if (why) refuse(entry, why);
    else drop(entry.id);
    answered(entry, answer.page, why);
    return true;
  }

  // What waits behind it in the same place may make no sense without it.
  function refuse(entry, why) {
    for (const behind of of(entry.conversation)) {
      if (behind.at > entry.at && behind.mode === entry.mode && behind.state !== "refused") {
        become(behind, "refused", words.wordBehind);
      }
    }
    become(entry, "refused", why);
  }

  function again(id) {
    const entry = entries.get(id);
    if (!entry) return;
    become(entry, "waiting");
    hurry();
  }

  function clear() {
    clearTimeout(retry);
    for (const id of [...entries.keys()]) drop(id);
  }

  for (const key of store.keys()) load(key.slice(prefix.length));
  watchLocal(prefix, (key) => {
    if (!whose) return;
    const id = key.slice(prefix.length);
    if (entries.get(id)?.state === "sending") return; // it is on its way from here
    load(id);
    changed();
  });
  addEventListener("online", hurry);

  return { put, of, take: drop, again, hurry, clear, has: (id) => entries.has(id), waits: () => unsent().length };
}
