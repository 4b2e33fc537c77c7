// The design page: brings a specimen into its state, by the desk's own modules where one of them draws it. A specimen has
// no server behind it: nothing is sent from here.

import { openAttachments } from "../messages/attachments.js";
import { openConnectionStatus } from "../desk/connection-status.js";
import { showDialog } from "../core/dialogs.js";
import { showMode } from "../conversation/composer-mode.js";
import { decorate, markNewFrom } from "../messages/message-list.js";
import { showOutgoing } from "../messages/outgoing.js";
import { renderTyping } from "../messages/presence-signals.js";
import { renderTimes } from "../core/times.js";
import { toast } from "../core/toast.js";

const one = (selector) => document.querySelector(selector);
const items = () => one("#items");

document.addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("click", (event) => event.target.closest("a") && event.preventDefault());

// Puts a text into a hidden element, into its own element for texts if it has one, and shows it.
function tell(selector, text) {
  const box = one(selector);
  (box.querySelector(".told, span") ?? box).textContent = text;
  box.hidden = false;
}

const BLINK = 1100; // milliseconds

const acts = {
  dress() {
    if (items()) decorate(items());
    showMode();
  },
  "new-since": (seq) => markNewFrom(items(), seq),
  scroll: (top) => one("#log").scrollTo({ top }),
  class: ([selector, name]) => one(selector).classList.add(name),
  attribute: ([selector, name, value]) => one(selector).setAttribute(name, value),
  tell: ([selector, text]) => tell(selector, text),
  reveal: (selector) => (one(selector).hidden = false),
  open: (selector) => (one(selector).open = true),
  focus: (selector) => one(selector).focus({ focusVisible: true, preventScroll: true }),
  tick(selector) {
    one(selector).checked = true;
    const count = one("#bulk [data-count]");
    if (count) count.textContent = document.querySelectorAll(".pick :checked").length;
  },
  toast,
  show: (selector) => showDialog(one(selector)),
  // Importing the module fills the table.
  help: async () => {
    await import("../desk/shortcut-help.js");
    showDialog(one("#help"));
  },
  options(selector) {
    one("#command-options").append(one(selector).content.cloneNode(true));
    one("#command-options [role=option]").ariaSelected = "true";
  },
  type(text) {
    one("#content").value = text;
  },
  pick(selector) {
    const box = one("#picker");
    const list = one(selector).content.getElementById("options");
    list.ariaLabel = box.dataset.wordReplies;
    list.firstElementChild.ariaSelected = "true";
    box.replaceChildren(list);
    box.hidden = false;
  },
  typing: (people) => renderTyping(one("#typing"), people),
  draft({ text, isOwn }) {
    const offer = one(".draft-offer");
    const words = offer.dataset;
    offer.querySelector(".told").textContent = isOwn ? words.wordOwn : words.wordOther;
    offer.querySelector("q").textContent = text;
    offer.querySelector("[data-use]").textContent = isOwn ? words.wordUseOwn : words.wordUse;
    offer.hidden = false;
  },
  outgoing(entries) {
    const nothing = () => {};
    showOutgoing(items(), one("#outgoing-line"), { entries: () => entries, again: nothing, back: nothing, seen: nothing });
    one("#log").scrollTo({ top: one("#log").scrollHeight });
  },
  // One file that is uploaded, one on its way, and one that is too large; nothing is sent.
  files({ ready, moving, large }) {
    XMLHttpRequest.prototype.send = () => {};
    const form = one("#composer");
    const { giveBack } = openAttachments(form, () => {});
    const drop = (name, most) => {
      form.querySelector(".tray").dataset.most = most;
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File(["words"], name));
      one("#thread").dispatchEvent(new DragEvent("drop", { dataTransfer }));
    };
    giveBack(ready);
    drop(moving, 1e6);
    one("progress").value = 0.4;
    drop(large, 0);
  },
  async connection({ state, waits }) {
    const { update } = openConnectionStatus(() => {}, () => waits);
    if (state === "caught" || state === "stale") {
      sayByHand(state);
      return;
    }
    update(state === "live" ? "live" : "reconnecting");
    if (state === "live") return;
    await new Promise((done) => setTimeout(done, BLINK)); // the bar does not show a shorter interruption
    if (state === "catching") update("live");
    else update("reconnecting", performance.now() + 8000);
  },
};

// Shows the states that come only with time, or with an open conversation.
function sayByHand(state) {
  const bar = one("#connection-bar");
  const isStale = state === "stale";
  one("#connection").dataset.state = bar.dataset.state = isStale ? "stale" : "live";
  const { wordAge, wordCaught, wordStale } = bar.dataset;
  one("#connection .word").textContent = isStale ? wordStale : "";
  bar.querySelector(".told").textContent = isStale ? wordAge.replace("{time}", "45s") : wordCaught.replace("{count}", 12);
  bar.querySelector("button").hidden = !isStale;
  bar.hidden = false;
}

for (const ring of document.querySelectorAll(".offer[data-left]")) {
  ring.querySelector(".ring-left").style.strokeDashoffset = 100 - (100 * ring.dataset.left) / ring.dataset.whole;
}
for (const tool of document.querySelectorAll("[data-opens], #theme, [data-attach]")) tool.hidden = false;
renderTimes();
for (const [act, argument] of JSON.parse(document.getElementById("acts").textContent)) await acts[act](argument);
document.documentElement.dataset.specimen = "ready";
