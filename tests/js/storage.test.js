import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { giveBrowser } from "./browser.js";

let browser;
let storage;
beforeEach(async () => {
  browser = giveBrowser();
  storage = await import("../../static/js/core/storage.js");
});

test("what is kept is read again, as words and as JSON", () => {
  storage.local.set("a", "words");
  storage.local.setJson("b", { width: 200 });
  assert.equal(storage.local.get("a"), "words");
  assert.deepEqual(storage.local.getJson("b"), { width: 200 });
  assert.equal(browser.local.kept.get("b"), '{"width":200}');
});

test("what was never kept, or was removed, is nothing", () => {
  storage.local.set("a", "words");
  storage.local.remove("a");
  assert.equal(storage.local.get("a"), null);
  assert.equal(storage.local.getJson("never"), null);
});

test("a damaged entry is nothing, and not an error", () => {
  browser.local.kept.set("a", "{no JSON");
  assert.equal(storage.local.getJson("a"), null);
});

test("the keys are those that begin so", () => {
  for (const key of ["tandem:outbox:1", "tandem:outbox:2", "other"]) storage.local.set(key, "x");
  assert.deepEqual(storage.local.keys("tandem:outbox:"), ["tandem:outbox:1", "tandem:outbox:2"]);
});

test("the tab's store is another one", () => {
  storage.session.set("a", "tab");
  assert.equal(storage.local.get("a"), null);
  assert.equal(browser.session.kept.get("a"), "tab");
});

test("a full store keeps what it has and throws nothing", () => {
  storage.local.set("a", "old");
  browser.local.isFull = true;
  storage.local.set("a", "new");
  storage.local.setJson("b", {});
  assert.equal(storage.local.get("a"), "old");
  assert.equal(storage.local.getJson("b"), null);
});

test("a forbidden store is an empty one", () => {
  storage.local.set("a", "words");
  browser.local.isForbidden = true;
  assert.equal(storage.local.get("a"), null);
  assert.doesNotThrow(() => storage.local.set("a", "new"));
  assert.doesNotThrow(() => storage.local.remove("a"));
});

test("a change of another page is told of the keys that begin so, and of no others", () => {
  const changed = [];
  storage.watchLocal("tandem:outbox:7:", (key) => changed.push(key));
  for (const key of ["tandem:outbox:7:a", "tandem:theme", null]) {
    browser.window.dispatchEvent(Object.assign(new Event("storage"), { key }));
  }
  assert.deepEqual(changed, ["tandem:outbox:7:a"]);
});
