// As much of a browser as the modules under test ask for: a store, events, a document with words, and a clock that goes on
// only when a test says so. What a page looks like is for tests/browser, in a real one.

import { mock } from "node:test";

// Like localStorage: its keys are its own properties. `isFull` and `isForbidden` make it refuse as a browser does.
export function makeStore() {
  const kept = new Map();
  const state = { isFull: false, isForbidden: false };
  const methods = {
    getItem: (key) => kept.get(key) ?? null,
    setItem(key, text) {
      if (state.isFull) throw new DOMException("full", "QuotaExceededError");
      kept.set(key, String(text));
    },
    removeItem: (key) => kept.delete(key),
  };
  const store = new Proxy(methods, {
    get(target, name) {
      if (state.isForbidden) throw new DOMException("forbidden", "SecurityError");
      return target[name];
    },
    ownKeys: () => [...kept.keys()],
    getOwnPropertyDescriptor: (_, key) => (kept.has(key) ? { value: kept.get(key), enumerable: true, configurable: true } : undefined),
  });
  return Object.assign(state, { store, kept });
}

const give = (name, value) => Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });

export function giveBrowser({ lang = "en", words = {}, locks } = {}) {
  const window = new EventTarget();
  const local = makeStore();
  const session = makeStore();
  const document = Object.assign(new EventTarget(), {
    documentElement: { lang },
    body: { dataset: { looksFor: "45", typingFor: "6", ...words } }, // as base.html has them
    visibilityState: "visible",
  });
  for (const [name, value] of Object.entries({
    document,
    localStorage: local.store,
    sessionStorage: session.store,
    addEventListener: window.addEventListener.bind(window),
    navigator: { locks, languages: [lang] },
    location: new URL("http://desk.example/desk/"),
    reportError: (error) => document.dispatchEvent(Object.assign(new Event("reported"), { error })),
    DOMParser: class {
      parseFromString = (text) => parsed(text);
    },
  })) {
    give(name, value);
  }
  return { document, window, local, session };
}

// A page of which only the elements with an id are known, by their words.
export function parsed(text) {
  const words = new Map([...text.matchAll(/<(\w+)[^>]* id="([\w-]+)"[^>]*>(.*?)<\/\1>/gs)].map(([, , id, inner]) => [id, inner]));
  return {
    getElementById(id) {
      if (!words.has(id)) return null;
      return { textContent: words.get(id), innerHTML: words.get(id), remove: () => words.delete(id) };
    },
  };
}

// Timers, dates and `performance` by one clock. `pass` lets time go by, and what it has set off come to its end.
export function stopClock() {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: Date.UTC(2026, 0, 15, 12) });
  give("performance", { now: () => Date.now() });
  return { pass, settle };
}

export async function settle() {
  for (let turn = 0; turn < 20; turn++) await new Promise((done) => setImmediate(done));
}

async function pass(milliseconds) {
  mock.timers.tick(milliseconds);
  await settle();
}
