import assert from "node:assert/strict";
import { test } from "node:test";

import { countCalling, newestAlert, parseAlerts } from "../../static/js/desk/alert-changes.js";

const alerts = (dataset) => parseAlerts(dataset);

test("what the server does not tell of is none", () => {
  assert.deepEqual(alerts({ unread: "7:3,8:1", near: "" }), { offered: [], near: [], mine: [], unread: ["7:3", "8:1"] });
});

test("a conversation that was not there before is new", () => {
  assert.deepEqual(newestAlert(alerts({ unread: "7:3" }), alerts({ unread: "7:3,8:1" })), { kind: "unread", conversation: "8" });
});

test("another mark in the same conversation is new, too", () => {
  assert.deepEqual(newestAlert(alerts({ unread: "7:3" }), alerts({ unread: "7:4" })), { kind: "unread", conversation: "7" });
});

test("what only went away is nothing new", () => {
  assert.equal(newestAlert(alerts({ unread: "7:3,8:1", offered: "9:1" }), alerts({ unread: "8:1" })), null);
});

test("of several new ones the most pressing kind is told", () => {
  const now = alerts({ unread: "1:1", mine: "2:1", near: "3:1", offered: "4:1" });
  assert.deepEqual(newestAlert(alerts({}), now), { kind: "offered", conversation: "4" });
  assert.deepEqual(newestAlert(alerts({ offered: "4:1" }), now), { kind: "near", conversation: "3" });
});

test("the count is of conversations: offered, or unread and not read here", () => {
  const now = alerts({ offered: "1:1", unread: "1:5,2:3,3:9", mine: "4:1", near: "5:1" });
  assert.equal(countCalling(now, () => false), 3);
  assert.equal(countCalling(now, (conversation, seq) => conversation === "3" && Number(seq) <= 9), 2);
  assert.equal(countCalling(alerts({}), () => false), 0);
});
