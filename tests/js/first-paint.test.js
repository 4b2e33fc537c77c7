// The two plain scripts that run before the page is drawn, as a browser runs them.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { createContext, runInContext } from "node:vm";

import { makeStore } from "./browser.js";

const folder = new URL("../../static/js/layout/", import.meta.url);

function open(script, { kept = {}, isForbidden = false } = {}) {
  const local = makeStore();
  for (const [key, value] of Object.entries(kept)) local.kept.set(key, value);
  local.isForbidden = isForbidden;
  const style = new Map();
  const button = { hidden: true, dataset: { wordLight: "Light", wordDark: "Dark", wordSystem: "As the system" }, querySelector: () => button.word, word: {} };
  const root = { dataset: {}, style: { setProperty: (name, value) => style.set(name, value) } };
  const document = Object.assign(new EventTarget(), { documentElement: root, getElementById: () => button });
  const window = new EventTarget();
  const page = createContext({ document, localStorage: local.store, addEventListener: window.addEventListener.bind(window) });
  runInContext(readFileSync(new URL(script, folder), "utf8"), page);
  const click = () => {
    const event = new Event("click");
    Object.defineProperty(event, "target", { value: { closest: (selector) => selector === "#theme" } });
    document.dispatchEvent(event);
  };
  return { root, style, button, local, window, click };
}

test("without a choice the theme is the system's", () => {
  const page = open("theme.js");
  assert.equal(page.root.dataset.theme, "system");
  assert.equal(page.button.word.textContent, "As the system");
  assert.equal(page.button.hidden, false);
});

test("a choice is kept, and a click goes on to the next", () => {
  const page = open("theme.js", { kept: { "tandem:theme": "light" } });
  assert.equal(page.root.dataset.theme, "light");
  page.click();
  assert.equal(page.root.dataset.theme, "dark");
  assert.equal(page.local.kept.get("tandem:theme"), "dark");
  page.click();
  assert.equal(page.root.dataset.theme, "system");
});

test("what is no theme is taken for none", () => {
  assert.equal(open("theme.js", { kept: { "tandem:theme": "purple" } }).root.dataset.theme, "system");
});

test("where nothing may be kept, a choice lasts as long as the page", () => {
  const page = open("theme.js", { isForbidden: true });
  page.click();
  assert.equal(page.root.dataset.theme, "light");
});

test("another tab's choice is followed", () => {
  const page = open("theme.js");
  page.local.kept.set("tandem:theme", "dark");
  page.window.dispatchEvent(Object.assign(new Event("storage"), { key: "tandem:theme" }));
  assert.equal(page.root.dataset.theme, "dark");
});

test("columns are as wide as the agent made them", () => {
  const { style, root } = open("initial-widths.js", { kept: { "tandem:widths": '{"list": 300, "views": 160}' } });
  assert.deepEqual([...style], [["--own-views", "160px"], ["--own-list", "300px"]]);
  assert.equal(root.dataset.scripts, "");
  assert.equal(root.dataset.context, undefined);
});

test("what is no width, or no column, is left out", () => {
  const kept = { "tandem:widths": '{"list": "300", "views": null, "pane": 900, "context": 240}' };
  assert.deepEqual([...open("initial-widths.js", { kept }).style], [["--own-context", "240px"]]);
});

test("details that were folded away stay so", () => {
  assert.equal(open("initial-widths.js", { kept: { "tandem:context": "folded" } }).root.dataset.context, "folded");
  assert.equal(open("initial-widths.js", { kept: { "tandem:context": "shown" } }).root.dataset.context, undefined);
});

test("a damaged or forbidden store leaves the usual widths", () => {
  for (const options of [{ kept: { "tandem:widths": "{broken" } }, { isForbidden: true }]) {
    assert.deepEqual([...open("initial-widths.js", options).style], []);
  }
});
