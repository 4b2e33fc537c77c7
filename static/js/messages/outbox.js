// What was sent and has not arrived: kept over a reload, sent in order, once. The server knows a message by the id it got
// here, so that sending it again is harmless; what it refuses stays, with the reason, until somebody decides.

import { LONGEST_PAUSE, Unreachable, requestFragment } from "../core/http.js";
import { local, watchLocal } from "../core/storage.js";
import { uuid } from "../core/uuid.js";

const SHORTEST = 1000; // milliseconds; the first pause is twice that, and each is twice the one before
const memory = { keys: () => [], get: () => null, set: () => {}, drop: () => {} };

// A full or forbidden store keeps nothing: then the page remembers the entries until it is closed.
const stored = (prefix) => ({
  keys: () => local.keys(prefix),
  get: (id) => local.getJson(prefix + id),
  set: (id, entry) => local.setJson(prefix + id, entry),
  drop: (id) => local.remove(prefix + id),
});

// `whose` names the writer, so that nobody sends another's messages; without a name nothing is kept over a reload.
// `body` returns the form data of an entry. `answered` is called with the entry, the server's page and why it was
// refused, `changed` after every change. `words` has wordLost and wordBehind: the reasons where the server gives none.
export function openOutbox(whose, { body, answered, changed, words }) {
  const prefix = `tandem:outbox:${whose}:`;
  const store = whose ? stored(prefix) : memory;
  const entries = new Map(); // by id: {id, at, conversation, url, mode, text, files, state, why}
  const storedIds = new Set(); // ids of the entries that the store has taken
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
    storedIds.add(id);
  }

  function keep(entry) {
    store.set(entry.id, entry);
    if (store.get(entry.id)) storedIds.add(entry.id);
  }

  function become(entry, state, why = "") {
    if (!entries.has(entry.id)) return; // the thread shows it already
    Object.assign(entry, { state, why });
    keep(entry);
    changed();
  }

  function put(message) {
    const newest = inOrder().at(-1)?.at ?? 0;
    const entry = { ...message, id: uuid(), at: Math.max(Date.now(), newest + 1) };
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

  // Of several pages of one writer, one sends at a time, so that the messages have one order.
  function alone(work) {
    return whose && navigator.locks ? navigator.locks.request(prefix, work) : work();
  }

  async function drain() {
    if (isDraining || !unsent().length) return;
    isDraining = true;
    clearTimeout(retry);
    let isReached = true;
    try {
      await alone(async () => {
        for (let entry; isReached && (entry = unsent()[0]); ) isReached = await deliver(entry);
      });
    } finally {
      isDraining = false;
    }
    failures = isReached ? 0 : failures + 1;
    if (!isReached) retry = setTimeout(drain, Math.min(LONGEST_PAUSE, SHORTEST * 2 ** failures));
    else drain(); // for what was put in while the lock was released
  }

  // The server may be reachable again: do not wait for the pause to end.
  function hurry() {
    failures = 0;
    drain();
  }

  // Returns false where the entry must wait: the server was not reached, or was busy.
  async function deliver(entry) {
    if (storedIds.has(entry.id) && !store.get(entry.id)) {
      drop(entry.id); // another page has sent it meanwhile
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

  // Later messages of the same conversation and mode may make no sense without it: they are refused too.
  function refuse(entry, why) {
    for (const later of of(entry.conversation)) {
      if (later.at > entry.at && later.mode === entry.mode && later.state !== "refused") {
        become(later, "refused", words.wordBehind);
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
    if (entries.get(id)?.state === "sending") return; // this page is sending it
    load(id);
    changed();
  });
  addEventListener("online", hurry);

  return { put, of, take: drop, again, hurry, clear, has: (id) => entries.has(id), waits: () => unsent().length };
}
