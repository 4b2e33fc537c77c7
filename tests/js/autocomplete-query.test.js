import assert from "node:assert/strict";
import { test } from "node:test";

import { isSameQuery, queryBefore as queryBeforeMost } from "../../static/js/conversation/autocomplete-query.js";

const queryBefore = (text, isNote) => queryBeforeMost(text, isNote, 40);

test("a slash at the beginning looks for canned replies, also where an input method writes it wide", () => {
  assert.deepEqual(queryBefore("/ship", false), { kind: "replies", text: "ship", from: 0, to: 5 });
  assert.deepEqual(queryBefore("／送", false), { kind: "replies", text: "送", from: 0, to: 2 });
  assert.deepEqual(queryBefore("/", false), { kind: "replies", text: "", from: 0, to: 1 });
});

for (const text of ["", "hello", "see /ship", "/ship it", "//", "/a/b", `/${"x".repeat(41)}`]) {
  test(`no reply is looked for in ${JSON.stringify(text.slice(0, 12))}`, () => assert.equal(queryBefore(text, false), null));
}

test("an at sign looks for colleagues in a note, after anything that cannot be of an address", () => {
  assert.deepEqual(queryBefore("@ju", true), { kind: "colleagues", text: "ju", from: 0, to: 3 });
  assert.deepEqual(queryBefore("ask @ju", true), { kind: "colleagues", text: "ju", from: 4, to: 7 });
  assert.deepEqual(queryBefore("请问＠小", true), { kind: "colleagues", text: "小", from: 2, to: 4 });
});

test("an address is no mention, and a reply to the customer mentions nobody", () => {
  assert.equal(queryBefore("write to jun@example", true), null);
  assert.equal(queryBefore("@ju", false), null);
  assert.equal(queryBefore("@[Jun]", true), null);
});

test("typing on at one place is the same query, another place is another", () => {
  assert.ok(isSameQuery(queryBefore("/s", false), queryBefore("/ship", false)));
  assert.ok(!isSameQuery(queryBefore("@j", true), queryBefore("and @j", true)));
  assert.ok(!isSameQuery(queryBefore("/s", false), queryBefore("@s", true)));
  assert.ok(!isSameQuery(null, queryBefore("/s", false)));
  assert.ok(!isSameQuery(null, null));
});
