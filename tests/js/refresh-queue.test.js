import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { giveBrowser, stopClock } from "./browser.js";

let clock;
let queue;
let Unreachable;
let told;
let number = 0;
beforeEach(async () => {
  mock.timers.reset();
  const { document } = giveBrowser();
  clock = stopClock();
  told = [];
  document.addEventListener("refreshed", ({ detail }) => told.push(detail.isReached));
  document.addEventListener("reported", ({ error }) => told.push(error.message));
  number += 1; // a page of its own for each case
  queue = await import(`../../static/js/core/refresh-queue.js?${number}`);
  ({ Unreachable } = await import("../../static/js/core/http.js"));
});

function counted(work = () => {}) {
  const times = [];
  const ask = queue.queued(async () => {
    times.push(Date.now());
    await work(times.length);
  });
  return { times, ask };
}

test("the first time is at once", async () => {
  const { times, ask } = counted();
  ask();
  await clock.pass(0);
  assert.equal(times.length, 1);
  assert.deepEqual(told, [true]);
});

test("however many hints come, it is done at most twice a second, and the last one counts", async () => {
  const { times, ask } = counted();
  for (let hint = 0; hint < 40; hint++) {
    ask();
    await clock.pass(50);
  }
  await clock.pass(500);
  assert.ok(times.length >= 4 && times.length <= 6, `${times.length} in two seconds`);
  for (const [place, at] of times.slice(1).entries()) assert.ok(at - times[place] >= 500);
  assert.ok(times.at(-1) >= Date.now() - 1000);
});

test("what is asked for while it is done is done once more, afterwards", async () => {
  let finish;
  const { times, ask } = counted(() => new Promise((done) => (finish = done)));
  ask();
  await clock.pass(0);
  ask();
  ask();
  await clock.pass(5000);
  assert.equal(times.length, 1); // never twice at once
  finish();
  await clock.pass(0);
  await clock.pass(500);
  assert.equal(times.length, 2);
  finish();
  await clock.pass(5000);
  assert.equal(times.length, 2);
});

test("list and thread are done together", async () => {
  const [list, thread] = [counted(), counted()];
  list.ask();
  thread.ask();
  await clock.pass(0);
  assert.deepEqual(list.times, thread.times);
  assert.deepEqual(told, [true]);
});

test("out of reach, it is tried again with growing pauses of fifteen seconds at most", async () => {
  const { times, ask } = counted(() => {
    throw new Unreachable("nobody", 0);
  });
  ask();
  for (let passed = 0; passed < 90_000; passed += 500) await clock.pass(passed ? 500 : 0);
  const pauses = times.slice(1).map((at, place) => at - times[place]);
  assert.deepEqual(pauses.slice(0, 7), [1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
  assert.ok(told.every((isReached) => !isReached));
});

test("the server is there again: it is tried without waiting for the pause to end", async () => {
  let isThere = false;
  const { times, ask } = counted(() => {
    if (!isThere) throw new Unreachable("nobody", 0);
  });
  ask();
  await clock.pass(0);
  for (let second = 0; second < 10; second++) await clock.pass(1000);
  const before = times.length;
  isThere = true;
  queue.retryNow();
  await clock.pass(0);
  assert.equal(times.length, before + 1);
  assert.equal(told.at(-1), true);
  await clock.pass(60_000);
  assert.equal(times.length, before + 1);
});

test("a fault of the page's own is reported and not tried again, and stops nothing else", async () => {
  const broken = counted(() => {
    throw new TypeError("a bug");
  });
  const other = counted();
  broken.ask();
  other.ask();
  await clock.pass(0);
  await clock.pass(60_000);
  assert.equal(broken.times.length, 1);
  assert.equal(other.times.length, 1);
  assert.deepEqual(told, ["a bug", true]);
});
