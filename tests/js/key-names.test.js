import assert from "node:assert/strict";
import { test } from "node:test";

import { ariaKeys, isComposing, keyCaps, pressedKeys } from "../../static/js/desk/key-names.js";

const press = (key, { code = "", held = [], altGraph = false } = {}) => ({
  key,
  code,
  altKey: held.includes("alt"),
  ctrlKey: held.includes("ctrl"),
  metaKey: held.includes("meta"),
  shiftKey: held.includes("shift"),
  getModifierState: (name) => name === "AltGraph" && altGraph,
});

for (const [what, event, others, apples] of [
  ["Alt and a letter", press("j", { code: "KeyJ", held: ["alt"] }), "Alt+J", "Alt+J"],
  ["a letter with the lock on", press("J", { code: "KeyJ", held: ["alt"] }), "Alt+J", "Alt+J"],
  ["Ctrl and a letter", press("k", { code: "KeyK", held: ["ctrl"] }), "Mod+K", ""],
  ["Command and a letter", press("k", { code: "KeyK", held: ["meta"] }), "", "Mod+K"],
  ["all of them", press("E", { code: "KeyE", held: ["ctrl", "alt", "shift"] }), "Mod+Alt+Shift+E", ""],
  ["Option makes another letter", press("∆", { code: "KeyJ", held: ["alt"] }), "Alt+J", "Alt+J"],
  ["a dead key", press("Dead", { code: "KeyE", held: ["alt"] }), "Alt+E", "Alt+E"],
  ["Cyrillic", press("о", { code: "KeyJ", held: ["alt"] }), "Alt+J", "Alt+J"],
  ["AltGr is for typing", press("€", { code: "KeyE", held: ["ctrl", "alt"], altGraph: true }), "Mod+Alt+€", ""],
  ["a letter by itself", press("j", { code: "KeyJ" }), "j", "j"],
  ["a question mark, which Shift makes", press("?", { code: "Slash", held: ["shift"] }), "?", "?"],
  ["another key", press("Enter", { code: "Enter" }), "Enter", "Enter"],
]) {
  test(`pressed: ${what}`, () => {
    assert.equal(pressedKeys(event, false), others);
    assert.equal(pressedKeys(event, true), apples);
  });
}

test("on Dvorak the letter that is typed counts, not its place", () => {
  assert.equal(pressedKeys(press("j", { code: "KeyC", held: ["alt"] }), false), "Alt+J");
});

test("keys are shown as they stand on the keyboard", () => {
  assert.deepEqual(keyCaps("Mod+Alt+E", false), ["Ctrl", "Alt", "E"]);
  assert.deepEqual(keyCaps("Mod+Alt+E", true), ["⌘", "⌥", "E"]);
  assert.deepEqual(keyCaps("?", true), ["?"]);
});

test("a screen reader hears the modifier by its full name", () => {
  assert.equal(ariaKeys("Mod+K", false), "Control+K");
  assert.equal(ariaKeys("Mod+K", true), "Meta+K");
});

test("an input method keeps its keys, a dead key does not look like one", () => {
  assert.ok(isComposing({ isComposing: true, keyCode: 13, key: "Enter" }));
  assert.ok(isComposing({ isComposing: false, keyCode: 229, key: "Process" }));
  assert.ok(!isComposing({ isComposing: false, keyCode: 229, key: "Dead" }));
  assert.ok(!isComposing({ isComposing: false, keyCode: 13, key: "Enter" }));
});
