// The offers: a ring that runs out, an announcement that is made once, and the agent's answer.

import { Unreachable, fetchFragment } from "../core/http.js";
import { session } from "../core/storage.js";
import { refresh as refreshList } from "../list/conversation-list.js";
import { refresh as refreshThread } from "../conversation/thread.js";
import { toast } from "../core/toast.js";

const KEY = "tandem:told-offers";
const announcer = document.getElementById("offer-told");
const ends = new Map(); // by card: when it runs out, by `performance.now`, which no change of the clock moves

const cards = () => [...document.querySelectorAll("#offers .offer")];

// --- Read out once, also across pages ------------------------------------------------------------------------------------

function announce() {
  const before = session.getJson(KEY) ?? [];
  const fresh = cards().filter((card) => !before.includes(card.dataset.offer));
  if (!fresh.length) return;
  announcer.textContent = fresh.map((card) => card.dataset.announcement).join(" ");
  session.setJson(KEY, [...before, ...fresh.map((card) => card.dataset.offer)].slice(-100));
}

// --- The ring --------------------------------------------------------------------------------------------------------------

function updateDeadlines() {
  const known = new Set();
  for (const card of cards()) {
    if (card.dataset.left === undefined) continue;
    known.add(card.id);
    const end = performance.now() + Number(card.dataset.left) * 1000;
    // The server counts whole seconds: an end that differs by no more is the same.
    if (!(Math.abs((ends.get(card.id) ?? -Infinity) - end) < 1500)) ends.set(card.id, end);
  }
  for (const id of ends.keys()) if (!known.has(id)) ends.delete(id);
  tick();
}

function tick() {
  for (const card of cards()) {
    const end = ends.get(card.id);
    if (end === undefined) continue;
    const left = Math.max(0, (end - performance.now()) / 1000);
    card.querySelector(".ring-count").textContent = Math.ceil(left);
    card.querySelector(".ring-left").style.strokeDashoffset = `${100 - (100 * left) / Number(card.dataset.whole)}`;
    card.classList.toggle("is-near", left < 10);
    const over = Math.floor((performance.now() - end) / 1000);
    if (over >= 0 && over % 5 === 0) refreshList(); // it goes to somebody else now
  }
}

setInterval(tick, 1000);

// --- The answer --------------------------------------------------------------------------------------------------------------

async function answer(form) {
  if (form.ariaBusy === "true") return;
  form.ariaBusy = "true";
  const card = form.closest(".offer");
  const body = new FormData(form);
  body.append("seq", Number.MAX_SAFE_INTEGER); // no news: the thread requests its own
  try {
    const problem = (await fetchFragment(form.action, body)).getElementById("problem");
    if (problem) toast(problem.textContent);
    else if (form.dataset.answer === "accept") card.querySelector("[data-look]").click();
    refreshList();
    refreshThread();
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    toast(document.body.dataset.wordUnreachable);
  } finally {
    form.ariaBusy = "false";
  }
}

const desk = document.getElementById("desk");
desk.addEventListener("submit", (event) => {
  if (!("answer" in event.target.dataset)) return;
  event.preventDefault();
  answer(event.target);
});
desk.addEventListener(
  "toggle",
  (event) => event.target.matches?.(".fold-decline[open]") && event.target.querySelector("[name=reason]").focus(),
  true,
);
desk.addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && event.target.closest(".fold-decline[open]");
  if (!open) return;
  event.preventDefault();
  open.open = false;
  open.querySelector("summary").focus();
});

function shown() {
  updateDeadlines();
  announce();
}
document.addEventListener("list-updated", shown);
shown();
