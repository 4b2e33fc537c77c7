import assert from "node:assert/strict";
import { test } from "node:test";

import { daysBetween, formatDuration, formatUnit, readersLanguage } from "../../static/js/core/time-format.js";

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;

for (const [seconds, text] of [
  [0, "0s"],
  [-5, "0s"],
  [59.9, "59s"],
  [MINUTE, "1m"],
  [HOUR - 1, "59m"],
  [HOUR, "1h"],
  [DAY - 1, "23h"],
  [DAY, "1d"],
  [12.9 * DAY, "12d"],
]) {
  test(`${seconds} seconds are ${text}`, () => assert.equal(formatDuration(seconds, "en"), text));
}

test("a unit is told in the reader's language", () => {
  assert.equal(formatUnit(5, "day", "zh-Hans"), "5天");
  assert.equal(formatDuration(5 * DAY, "zh-Hans"), "5天");
});

test("a reader gets their own variety of the page's language, and never another language", () => {
  assert.equal(readersLanguage("en", ["fr-FR", "en-GB", "en-US"]), "en-GB");
  assert.equal(readersLanguage("zh-hans", ["zh-CN"]), "zh-CN");
  assert.equal(readersLanguage("th", ["fr-FR", "en-GB"]), "th");
  assert.equal(readersLanguage("en", []), "en");
});

test("days are counted by the calendar and not by hours", () => {
  const at = (day, hour) => new Date(2026, 2, day, hour).getTime();
  assert.equal(daysBetween(at(14, 0), at(14, 23)), 0);
  assert.equal(daysBetween(at(13, 23), at(14, 0)), 1);
  assert.equal(daysBetween(at(7, 12), at(14, 11)), 7);
  assert.equal(daysBetween(at(15, 1), at(14, 23)), -1);
});

test("a day of 23 or 25 hours is one day", () => {
  for (const month of Array.from({ length: 12 }, (_, number) => number)) {
    for (let day = 1; day < 28; day++) {
      assert.equal(daysBetween(new Date(2026, month, day, 12), new Date(2026, month, day + 1, 12)), 1);
    }
  }
});
