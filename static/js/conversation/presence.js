// Who else is at the open conversation, in its header; who types, above the composer and in the rows of the list. And what
// this agent does, for the others.

import { announceActivity, bidiIsolate, renderTyping, trackSignals } from "../messages/presence-signals.js";

const thread = () => document.getElementById("thread")?.dataset;
const isTyping = ({ does }) => does === "replies" || does === "notes";
const isCustomer = ({ who }) => who === "customer";

const signs = trackSignals((conversation) => {
  if (String(conversation) === thread()?.conversation) showHere();
  showRow(conversation);
});

function showHere() {
  const { conversation, title } = thread();
  const here = signs.of(Number(conversation));
  const typing = here.filter(isTyping).map((one) => (isCustomer(one) ? { ...one, name: title } : one));
  renderTyping(document.getElementById("typing"), typing);
  const looking = document.getElementById("looking");
  const names = here.filter((one) => one.who.startsWith("agent:")).map(({ name }) => bidiIsolate(name));
  const list = new Intl.ListFormat(document.documentElement.lang || "en").format(names);
  looking.textContent = names.length ? looking.dataset.word.replace("{names}", list) : "";
  looking.hidden = !names.length;
}

function showRow(conversation) {
  const row = document.querySelector(`#list .row[data-conversation="${conversation}"]`);
  row?.classList.toggle("is-typing", signs.of(conversation).some((one) => isCustomer(one) && isTyping(one)));
}

// The rows are as the server made them.
document.addEventListener("list-updated", () => {
  for (const row of document.querySelectorAll("#list .row")) showRow(Number(row.dataset.conversation));
});

export function openPresence(send) {
  const telling = announceActivity(send, { rests: "looks" });

  function look() {
    const isSeen = document.visibilityState === "visible" && thread();
    telling.open(isSeen ? Number(thread().conversation) : null);
    if (thread()) showHere();
  }

  document.addEventListener("visibilitychange", look);
  document.getElementById("pane").addEventListener("input", (event) => {
    if (event.target.id !== "content") return;
    const form = event.target.form;
    const isNote = form.elements.mode.value === "note";
    // What cannot be sent to the customer is nothing to announce.
    if (!event.target.value.trim() || (form.classList.contains("is-locked") && !isNote)) telling.stopped();
    else telling.typing(isNote ? "notes" : "replies");
  });
  document.getElementById("pane").addEventListener("submit", (event) => event.target.id === "composer" && telling.stopped());
  return {
    look,
    receive: signs.receive,
    // Heard again after a while, the others tell by themselves.
    reconnected() {
      signs.forgetAll();
      look();
    },
  };
}
