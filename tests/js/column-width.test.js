import assert from "node:assert/strict";
import { test } from "node:test";

import { growth, limited, widthByKey } from "../../static/js/layout/column-width.js";

const LIMITS = { least: "140", most: "320" }; // as a data attribute has them

test("a width is whole pixels, within its limits", () => {
  assert.equal(limited(200.6, LIMITS), 201);
  assert.equal(limited(10, LIMITS), 140);
  assert.equal(limited(1000, LIMITS), 320);
});

test("the details grow to the left, and everything the other way round where the page runs from the right", () => {
  assert.equal(growth({ isAtEnd: false, isRightToLeft: false }), 1);
  assert.equal(growth({ isAtEnd: true, isRightToLeft: false }), -1);
  assert.equal(growth({ isAtEnd: false, isRightToLeft: true }), -1);
  assert.equal(growth({ isAtEnd: true, isRightToLeft: true }), 1);
});

test("arrows move a splitter by a step, to where they point", () => {
  assert.equal(widthByKey("ArrowRight", 200, { ...LIMITS, direction: 1 }), 216);
  assert.equal(widthByKey("ArrowLeft", 200, { ...LIMITS, direction: 1 }), 184);
  assert.equal(widthByKey("ArrowRight", 200, { ...LIMITS, direction: -1 }), 184);
});

test("Home and End are the limits, Enter the usual width, and no other key means anything", () => {
  assert.equal(widthByKey("Home", 200, LIMITS), 140);
  assert.equal(widthByKey("End", 200, LIMITS), 320);
  assert.equal(widthByKey("Enter", 200, LIMITS), null);
  for (const key of ["ArrowUp", " ", "Escape", "a"]) assert.equal(widthByKey(key, 200, LIMITS), undefined);
});
