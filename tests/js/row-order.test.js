import assert from "node:assert/strict";
import { test } from "node:test";

import { countMoves, keepsOrder } from "../../static/js/list/row-order.js";

for (const [what, before, after, moves] of [
  ["nothing changed", "abcd", "abcd", 0],
  ["one came", "abcd", "xabcd", 1],
  ["one went", "abcd", "abd", 1],
  ["one jumped to the front", "abcd", "dabc", 1],
  ["one fell to the end", "abcd", "bcda", 1],
  ["two changed places", "abcd", "bacd", 1],
  ["one came and another went", "abcd", "xabc", 2],
  ["all turned round", "abcd", "dcba", 3],
  ["all are others", "ab", "xyz", 5],
  ["there were none", "", "ab", 2],
]) {
  test(`${what}: ${moves} moves`, () => assert.equal(countMoves([...before], [...after]), moves));
}

test("rows stay where they are if others only follow after them", () => {
  assert.ok(keepsOrder([..."abc"], [..."abcde"]));
  assert.ok(keepsOrder([], [..."ab"]));
  assert.ok(!keepsOrder([..."abc"], [..."ab"]));
  assert.ok(!keepsOrder([..."abc"], [..."xabc"]));
  assert.ok(!keepsOrder([..."abc"], [..."acb"]));
});
