import assert from "node:assert/strict";
import { test } from "node:test";

import { NO_DRAFT, chooseDraft, isWorthOffering, parseDraft } from "../../static/js/conversation/draft-record.js";

const own = (text, more = {}) => ({ ...NO_DRAFT, text, at: 100, isSaved: false, ...more });
const theirs = (text, at) => ({ text, at, seen: "2026-01-15T12:00:00Z", isSaved: true });
const nothingSaid = () => false;

test("a kept draft is read as it was written", () => {
  const record = own("hello");
  assert.deepEqual(parseDraft(JSON.stringify(record)), record);
});

test("an older page kept the bare words: they were never saved", () => {
  assert.deepEqual(parseDraft("hello"), { ...NO_DRAFT, text: "hello", isSaved: false });
});

test("what is not there or damaged is no draft, what only looks like a record is words", () => {
  assert.equal(parseDraft(null), null);
  assert.equal(parseDraft(""), null);
  assert.equal(parseDraft("{broken"), null);
  assert.equal(parseDraft('{"text": 5}').text, '{"text": 5}');
});

test("the browser's own is shown where the server has none or an older one", () => {
  assert.equal(chooseDraft(own("mine"), null, nothingSaid).draft.text, "mine");
  const { draft, lost } = chooseDraft(own("mine"), theirs("older", 50), nothingSaid);
  assert.equal(draft.text, "mine");
  assert.equal(draft.seen, "2026-01-15T12:00:00Z"); // it goes on from there
  assert.equal(lost, "older");
});

test("the server's is shown where it is later, and the own one is not lost", () => {
  assert.deepEqual(chooseDraft(own("mine"), theirs("later", 200), nothingSaid), { draft: theirs("later", 200), lost: "mine" });
});

test("the same words in both are one draft, and nothing is lost", () => {
  assert.equal(chooseDraft(own("same"), theirs("same", 200), nothingSaid).lost, "");
});

test("a saved draft that the server has no more was sent or emptied elsewhere", () => {
  const { draft, lost } = chooseDraft(own("mine", { isSaved: true }), null, nothingSaid);
  assert.equal(draft, null);
  assert.equal(lost, "mine"); // offered, unless the thread shows it as said
});

test("the server's words that were said are no draft", () => {
  assert.equal(chooseDraft(null, theirs("said", 200), (text) => text === "said").draft, null);
});

test("other words are worth offering, the beginning of those shown and what was said are not", () => {
  assert.ok(isWorthOffering("other", "shown", nothingSaid));
  assert.ok(isWorthOffering("shown and more", "shown", nothingSaid));
  assert.ok(!isWorthOffering("  ", "shown", nothingSaid));
  assert.ok(!isWorthOffering("shown", "shown", nothingSaid));
  assert.ok(!isWorthOffering("sho", "shown", nothingSaid));
  assert.ok(!isWorthOffering("said", "", (text) => text === "said"));
});
