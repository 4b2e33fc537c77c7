// Alerts: sounds and notices while no desk of the agent is visible, the count in the title, a dot on the icon. The
// server sends with each list what there is (#alert-data); this module finds what is new in it, without a request.

import { countCalling, newestAlert, parseAlerts } from "./alert-changes.js";
import { isOn, keep } from "./settings.js";

// Of several alerts, the most pressing one sounds. Pitches in hertz, each with the second at which it begins.
const SOUNDS = {
  offered: [[660, 0], [880, 0.16], [660, 0.32], [880, 0.48]],
  near: [[311, 0], [311, 0.25], [311, 0.5]],
  mine: [[523, 0], [659, 0.13], [784, 0.26]],
  unread: [[988, 0]],
};
const LASTS = 0.3; // seconds

const dialog = document.getElementById("settings");
const current = document.getElementById("alert-data");

// --- One tab speaks for all of this agent's ----------------------------------------------------------------------

// By locks, which the browser releases when a tab is closed: one tab holds LEAD, all visible tabs share SEEN. Without
// locks (plain http beyond this machine) each tab speaks for itself.
const { locks } = navigator;
const [LEAD, SEEN] = ["leads", "seen"].map((name) => `tandem:${name}:${document.body.dataset.agent}`);
let leads = !locks;
let unsee = () => {};

function see() {
  unsee();
  if (document.visibilityState !== "visible") return;
  const hidden = new Promise((done) => (unsee = done));
  locks?.request(SEEN, { mode: "shared" }, () => hidden);
}

locks?.request(LEAD, () => {
  leads = true;
  return new Promise(() => {}); // until this tab is closed
});
document.addEventListener("visibilitychange", see);
see();

async function isOutOfSight() {
  if (document.visibilityState === "visible") return false;
  return !locks || !(await locks.query()).held.some((lock) => lock.name === SEEN);
}

// --- What is new -------------------------------------------------------------------------------------------------

let before = parseAlerts(current.dataset);

new MutationObserver(() => {
  const now = parseAlerts(current.dataset);
  const fresh = newestAlert(before, now);
  before = now;
  count();
  if (fresh) call(fresh.kind, fresh.conversation);
}).observe(current, { attributes: true });

async function call(kind, conversation) {
  if (!leads || !(await isOutOfSight())) return;
  if (isOn(kind)) play(kind);
  if (isOn("screen")) notice(kind, conversation);
}

function play(kind) {
  const context = new AudioContext();
  let last = null;
  for (const [pitch, after] of SOUNDS[kind]) {
    const at = context.currentTime + after;
    const loud = context.createGain();
    loud.gain.setValueAtTime(0, at);
    loud.gain.linearRampToValueAtTime(0.2, at + 0.02);
    loud.gain.exponentialRampToValueAtTime(0.001, at + LASTS);
    last = context.createOscillator();
    last.frequency.value = pitch;
    last.connect(loud).connect(context.destination);
    last.start(at);
    last.stop(at + LASTS);
  }
  last.onended = () => context.close();
}

// --- Notices on the screen ---------------------------------------------------------------------------------------

// A notice names the customer where the list shows them, and never quotes a message: others may see the screen.
function notice(kind, conversation) {
  if (globalThis.Notification?.permission !== "granted") return;
  const row = document.querySelector(`#list .row[data-conversation="${conversation}"]`);
  const body = row?.querySelector(".who")?.textContent ?? "";
  let shown;
  try {
    shown = new Notification(dialog.dataset[`word${kind[0].toUpperCase()}${kind.slice(1)}`], { body, tag: `tandem:${conversation}` });
  } catch {
    return; // on Android only a service worker may
  }
  shown.onclick = () => {
    window.focus();
    row?.click();
    shown.close();
  };
}

async function permit() {
  if (globalThis.Notification?.permission === "default") await Notification.requestPermission();
  permitted();
}

function permitted() {
  const state = globalThis.Notification?.permission ?? "denied";
  dialog.querySelector("[data-permit]").hidden = state !== "default";
  dialog.querySelector("[data-denied]").hidden = state !== "denied";
}

// Permission is requested when an agent first becomes available, and never again unless they ask for it.
document.addEventListener(
  "submit",
  ({ submitter }) => {
    if (submitter?.name !== "availability" || submitter.value !== "available" || !isOn("unasked")) return;
    keep("unasked", false);
    permit();
  },
  true,
);

dialog.addEventListener("shown", permitted);
dialog.addEventListener("click", (event) => {
  const { play: kind } = event.target.closest("button")?.dataset ?? {};
  if (kind) play(kind);
  if (event.target.closest("[data-permit]")) permit();
});

// --- Title and icon ----------------------------------------------------------------------------------------------

const icon = document.querySelector("link[rel=icon]");
const plainIcon = icon.href;
let shownTitle = ""; // the title with the count
let pageTitle = ""; // …and without it

// What was read at this page does not count: the list does not show it as unread either.
function isRead(conversation, seq) {
  const open = document.getElementById("thread")?.dataset;
  return open?.conversation === conversation && Number(open.isRead) >= Number(seq);
}

function count() {
  const number = countCalling(before, isRead);
  if (document.title !== shownTitle) pageTitle = document.title;
  shownTitle = number ? `(${number}) ${pageTitle}` : pageTitle;
  if (document.title !== shownTitle) document.title = shownTitle;
  const href = number ? dialog.dataset.icon : plainIcon;
  if (icon.getAttribute("href") !== href) icon.href = href;
}

new MutationObserver(() => document.title !== shownTitle && count()).observe(document.head, {
  childList: true,
  subtree: true,
  characterData: true,
});
new MutationObserver(count).observe(document.getElementById("pane"), { subtree: true, attributeFilter: ["data-is-read"] });
count();
