import assert from "node:assert/strict";
import { test } from "node:test";

import { uuid } from "../../static/js/core/uuid.js";
import { submitOnEnter } from "../../static/js/messages/submit-on-enter.js";

function enter(more = {}) {
  const done = [];
  submitOnEnter({
    key: "Enter",
    target: { form: { requestSubmit: () => done.push("sent") } },
    preventDefault: () => done.push("no new line"),
    ...more,
  });
  return done;
}

test("Enter sends, and makes no new line", () => assert.deepEqual(enter(), ["no new line", "sent"]));

for (const [what, more] of [
  ["Shift+Enter", { shiftKey: true }],
  ["the Enter that ends a composition", { isComposing: true }],
  ["the Enter of an input method that says so only by its code", { keyCode: 229 }],
  ["another key", { key: "a" }],
]) {
  test(`${what} sends nothing`, () => assert.deepEqual(enter(more), []));
}

const FORM = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test("an id has the form of a random UUID, and no two are alike", () => {
  const ids = Array.from({ length: 200 }, uuid);
  for (const id of ids) assert.match(id, FORM);
  assert.equal(new Set(ids).size, 200);
});

test("so it has on plain http, where the browser makes none", (t) => {
  const { randomUUID } = crypto;
  crypto.randomUUID = undefined;
  t.after(() => (crypto.randomUUID = randomUUID));
  const ids = Array.from({ length: 200 }, uuid);
  for (const id of ids) assert.match(id, FORM);
  assert.equal(new Set(ids).size, 200);
});
