import assert from "node:assert/strict";
import { test } from "node:test";

import { matches } from "../../static/js/core/text-match.js";

for (const [query, isFound] of [
  ["", true],
  ["  ", true],
  ["resolve", true],
  ["NEXT res", true],
  ["ＲＥＳ", true],
  ["solve", true],
  ["resolve later", false],
  ["resolv3", false],
]) {
  test(`${JSON.stringify(query)} ${isFound ? "finds" : "does not find"} "Resolve and next"`, () => {
    assert.equal(matches("Resolve and next", query), isFound);
  });
}
