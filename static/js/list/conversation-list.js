// The list: refetched after hints, searched and extended, while it keeps its scroll position and focus.

import { activate } from "../core/htmx.js";
import { Unreachable, fetchFragment, fetchTogether } from "../core/http.js";
import { morph, morphInside } from "../core/morph.js";
import { queued } from "../core/refresh-queue.js";
import { countMoves, keepsOrder } from "./row-order.js";
import { renderTimes } from "../core/times.js";
import { toast } from "../core/toast.js";

const desk = document.getElementById("desk");
const list = document.getElementById("list");
const frame = document.querySelector(".list-frame");
const filters = document.getElementById("filters");
const updates = document.getElementById("updates");
const old = document.getElementById("list-old");

function listUrl(more = {}) {
  return `${document.body.dataset.list}?${new URLSearchParams({ ...Object.fromEntries(new FormData(filters)), ...more })}`;
}

export const refresh = queued(async () => {
  const requested = listUrl();
  const url = listUrl({ rows: Math.max(list.dataset.page, list.querySelectorAll(".row").length) });
  let fresh;
  try {
    fresh = await fetchTogether("list", url);
  } catch (error) {
    old.hidden = !(error instanceof Unreachable);
    throw error;
  }
  old.hidden = true;
  if (requested === listUrl()) take(fresh, requested); // else the agent has changed the query meanwhile
});
old.querySelector("button").addEventListener("click", refresh);

function take(fresh, requested) {
  const tabs = fresh.getElementById("fresh-tabs");
  for (const id of ["tabs", "saved", "alert-data"]) morph(document.getElementById(id), tabs.content.getElementById(id));
  tabs.remove();
  const offers = fresh.getElementById("fresh-offers");
  morph(document.getElementById("offers"), offers.content.getElementById("offers"));
  activate(document.getElementById("offers"));
  offers.remove();
  showName();
  if (requested === shown && isBusy() && !keepsOrder(order(list), order(fresh))) {
    deferOrder(fresh);
  } else {
    shown = requested;
    replaceRows(fresh);
  }
  document.dispatchEvent(new CustomEvent("list-updated"));
}

function showName() {
  const open = document.querySelector("#tabs [aria-current] .view-name, #saved [aria-current] .view-name");
  if (open) document.getElementById("list-name").textContent = open.textContent;
}

// --- Rows that do not move under the pointer ---------------------------------------------------------------------------

let shown = listUrl(); // the address whose response is on the screen
let waiting = null; // a response whose order waits until the list has neither pointer nor focus
let isPointed = false;

const order = (box) => [...box.querySelectorAll("#rows > li")].map((row) => row.id);
const isBusy = () => isPointed || frame.contains(document.activeElement);

function replaceRows(fresh) {
  waiting = null;
  updates.hidden = true;
  morphInside(list, fresh.body.innerHTML);
  activate(list);
  markRows();
}

// Updates the contents of the rows, and keeps their order as the agent last saw it.
function deferOrder(fresh) {
  waiting = fresh;
  for (const row of fresh.querySelectorAll("#rows > li")) morph(document.getElementById(row.id), row);
  activate(list);
  const count = countMoves(order(list), order(fresh));
  const isOne = new Intl.PluralRules(document.documentElement.lang || "en").select(count) === "one";
  updates.textContent = isOne ? updates.dataset.wordOne : updates.dataset.wordMany.replace("#", count);
  updates.hidden = false;
  markRows();
}

function catchUp() {
  if (waiting) replaceRows(waiting);
}

frame.addEventListener("pointerenter", () => (isPointed = true));
frame.addEventListener("pointerleave", () => {
  isPointed = false;
  if (!isBusy()) catchUp();
});
frame.addEventListener("focusout", (event) => {
  if (!isPointed && !frame.contains(event.relatedTarget)) catchUp();
});
updates.addEventListener("click", () => {
  catchUp();
  list.scrollTop = 0;
  list.querySelector(".row")?.focus();
});

// --- What the rows are marked with ---------------------------------------------------------------------------------------

// Marks the row of the open conversation, which is not unread any more once it is read at this page.
export function markRows() {
  const open = document.getElementById("thread")?.dataset;
  for (const row of list.querySelectorAll(".row")) {
    const isOpen = row.dataset.conversation === open?.conversation;
    if (isOpen) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
    if (isOpen && open.isRead) {
      row.classList.remove("is-unread");
      row.querySelector(".unread")?.remove();
    }
  }
  rove();
  renderTimes(list);
}

// Tab reaches one row, with its checkbox and buttons; the arrow keys reach the others.
const STOPS = ".row, .pick input, .row-act";
let stop = "";

function rove(at = document.activeElement?.closest?.("#rows > li")) {
  const rows = [...list.querySelectorAll("#rows > li")];
  const open = list.querySelector(".row[aria-current]")?.parentElement;
  const reached = at ?? rows.find((row) => row.id === stop) ?? open ?? rows[0];
  stop = reached?.id ?? "";
  for (const row of rows) for (const part of row.querySelectorAll(STOPS)) part.tabIndex = row === reached ? 0 : -1;
}
list.addEventListener("focusin", (event) => rove(event.target.closest("#rows > li") ?? undefined));

list.addEventListener("keydown", (event) => {
  const kind = STOPS.split(", ").find((selector) => event.target.matches(selector));
  if (!kind || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const rows = [...list.querySelectorAll("#rows > li")];
  const at = rows.indexOf(event.target.closest("li"));
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
  if (to === undefined || !rows[to]) return;
  event.preventDefault();
  rows[to].querySelector(kind).focus();
});

// --- Going on, other views, searching ------------------------------------------------------------------------------------

async function showMore(link) {
  const after = new URL(link.href).searchParams.get("after");
  const fresh = await fetchFragment(listUrl({ after }));
  const added = [...fresh.querySelectorAll("#rows > li")].filter((row) => !document.getElementById(row.id));
  document.getElementById("rows").append(...added);
  const next = fresh.getElementById("more");
  if (next) link.replaceWith(next);
  else link.remove();
  activate(list);
  markRows();
  added[0]?.querySelector(".row").focus();
}

// Shows a view or a saved one: in the list, in the address and in the link back.
function openTab(link) {
  const query = new URL(link.href).searchParams;
  const url = new URL(location.href);
  for (const name of ["view", "saved"]) {
    const value = query.get(name) ?? "";
    filters.elements[name].value = value;
    if (value) url.searchParams.set(name, value);
    else url.searchParams.delete(name);
  }
  history.replaceState(history.state, "", url);
  for (const tab of document.querySelectorAll("#tabs a, #saved a")) {
    if (tab === link) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  showName();
  document.querySelector("#head .back")?.setAttribute("href", `${location.pathname.replace(/c\/\d+\/$/, "")}?${query}`);
  list.scrollTop = 0;
  refresh();
}

const plain = (event) => !(event.metaKey || event.ctrlKey || event.shiftKey || event.button);

desk.addEventListener("click", (event) => {
  const tab = event.target.closest("#tabs a, #saved a");
  const next = event.target.closest("#more");
  if ((!tab && !next) || !plain(event)) return;
  event.preventDefault();
  if (tab) openTab(tab);
  else showMore(next).catch(() => location.assign(next.href));
});

let typing = 0;
filters.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(refresh, 250);
});
filters.addEventListener("submit", (event) => {
  event.preventDefault();
  refresh();
});

// --- Pins and to-dos -------------------------------------------------------------------------------------------------------

document.getElementById("mark").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { form, formAction } = event.submitter;
  const body = new FormData(form);
  body.append("seq", Number.MAX_SAFE_INTEGER); // no news: the thread requests its own
  try {
    const problem = (await fetchFragment(formAction, body)).getElementById("problem");
    if (problem) toast(problem.textContent);
    refresh();
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    toast(document.body.dataset.wordUnreachable);
  }
});

// --- Saving a view -----------------------------------------------------------------------------------------------------------

// What is saved is what the list shows now, wherever the page began.
const save = document.querySelector("#save-view form");
save.addEventListener("submit", () => {
  for (const name of ["view", "saved", "q", "controller"]) save.elements[name].value = filters.elements[name].value;
});
document.getElementById("save-view").addEventListener("toggle", (event) => event.target.open && save.elements.name.focus());

// The menus of the views close by Escape or a click elsewhere, as those of the conversation do.
const menus = () => document.querySelectorAll(".views .menu[open]");
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of menus()) {
    event.preventDefault();
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
document.addEventListener("click", (event) => {
  for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
});

markRows();
