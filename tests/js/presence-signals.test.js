import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { giveBrowser, stopClock } from "./browser.js";

let clock;
let announceActivity;
let renderTyping;
let trackSignals;
beforeEach(async () => {
  mock.timers.reset();
  giveBrowser();
  clock = stopClock();
  ({ announceActivity, renderTyping, trackSignals } = await import("../../static/js/messages/presence-signals.js"));
});

// --- What others do ----------------------------------------------------------------------------------------------

function tracked() {
  const changed = [];
  const signals = trackSignals((conversation) => changed.push(conversation));
  const jun = (does, conversation = 7) => signals.receive({ conversation, who: "agent:2", name: "Jun", does });
  return { changed, signals, jun };
}

test("who looks or types is known, by conversation", () => {
  const { signals, jun, changed } = tracked();
  jun("replies");
  signals.receive({ conversation: 8, who: "customer", name: "", does: "replies" });
  assert.deepEqual(signals.of(7), [{ who: "agent:2", name: "Jun", does: "replies" }]);
  assert.deepEqual(signals.of(9), []);
  assert.deepEqual(changed, [7, 8]);
});

test("told the same again, nothing has changed", () => {
  const { jun, changed } = tracked();
  jun("looks");
  jun("looks");
  assert.deepEqual(changed, [7]);
});

test("one who goes is gone at once", () => {
  const { signals, jun, changed } = tracked();
  jun("looks");
  jun("gone");
  assert.deepEqual(signals.of(7), []);
  assert.deepEqual(changed, [7, 7]);
});

test("typing that is not told again is forgotten after six seconds, looking after 45", async () => {
  for (const [does, seconds] of [["replies", 6], ["notes", 6], ["looks", 45]]) {
    const { signals, jun } = tracked();
    jun(does);
    await clock.pass(seconds * 1000 - 1);
    assert.equal(signals.of(7).length, 1, does);
    await clock.pass(1);
    assert.equal(signals.of(7).length, 0, does);
  }
});

test("told again in time, it goes on", async () => {
  const { signals, jun } = tracked();
  for (let times = 0; times < 5; times++) {
    jun("replies");
    await clock.pass(3000);
  }
  assert.equal(signals.of(7).length, 1);
});

test("when the connection was lost everything is forgotten", () => {
  const { signals, jun, changed } = tracked();
  jun("looks");
  jun("looks", 8);
  signals.forgetAll();
  assert.deepEqual([signals.of(7), signals.of(8)], [[], []]);
  assert.deepEqual(changed, [7, 8, 7, 8]);
});

// --- What this person does ---------------------------------------------------------------------------------------

function announced(options) {
  const sent = [];
  return { sent, activity: announceActivity((what) => sent.push(what), options) };
}

test("typing is told once, and again every three seconds while it goes on", async () => {
  const { sent, activity } = announced();
  for (let second = 0; second < 8; second++) {
    activity.typing();
    await clock.pass(1000);
  }
  assert.deepEqual(sent, Array(3).fill({ does: "replies" }));
});

test("typing that nobody goes on with ends by itself", async () => {
  const { sent, activity } = announced();
  activity.typing();
  for (let second = 0; second < 10; second++) await clock.pass(1000);
  assert.equal(sent.at(-1).does, "gone");
  const told = sent.length;
  await clock.pass(60_000);
  assert.equal(sent.length, told);
});

test("an agent who stops typing still looks, and says so again while it is true", async () => {
  const { sent, activity } = announced({ rests: "looks" });
  activity.open(7);
  activity.typing("notes");
  activity.stopped();
  assert.deepEqual(sent, [{ at: 7, does: "looks" }, { at: 7, does: "notes" }, { at: 7, does: "looks" }]);
  await clock.pass(20_000);
  assert.deepEqual(sent.at(-1), { at: 7, does: "looks" });
  assert.equal(sent.length, 4);
});

test("who turns away is gone, and says nothing more", async () => {
  const { sent, activity } = announced({ rests: "looks" });
  activity.open(7);
  activity.open(null);
  assert.deepEqual(sent.at(-1), { at: null, does: "gone" });
  activity.stopped();
  await clock.pass(120_000);
  assert.equal(sent.length, 2);
});

// --- The line of who types ---------------------------------------------------------------------------------------

const WORDS = { wordOne: "{name} is typing…", wordNote: "{name} writes a note…", wordMany: "{names} are typing…" };

for (const [what, people, text] of [
  ["nobody", [], ""],
  ["one", [{ name: "Jun", does: "replies" }], "\u2068Jun\u2069 is typing…"],
  ["one, a note", [{ name: "Jun", does: "notes" }], "\u2068Jun\u2069 writes a note…"],
  ["two", [{ name: "Jun", does: "notes" }, { name: "Ana", does: "replies" }], "\u2068Jun\u2069 and \u2068Ana\u2069 are typing…"],
]) {
  test(`the line of who types: ${what}`, () => {
    const box = { dataset: WORDS };
    renderTyping(box, people);
    assert.equal(box.textContent, text);
    assert.equal(box.hidden, !people.length);
  });
}
