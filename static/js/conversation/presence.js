// Shows who else looks at the open conversation, in its header, and who is typing, above the composer and in the rows
// of the list. Sends what this agent does to the others.

import { announceActivity, bidiIsolate, renderTyping, trackSignals } from "../messages/presence-signals.js";

const thread = () => document.getElementById("thread")?.dataset;
const isTyping = ({ does }) => does === "replies" || does === "notes";
const isCustomer = ({ who }) => who === "customer";

const signals = trackSignals((conversation) => {
  if (String(conversation) === thread()?.conversation) showHere();
  showRow(conversation);
});

function showHere() {
  const { conversation, title } = thread();
  const others = signals.of(Number(conversation));
  const typing = others.filter(isTyping).map((person) => (isCustomer(person) ? { ...person, name: title } : person));
  renderTyping(document.getElementById("typing"), typing);
  const looking = document.getElementById("looking");
  const names = others.filter(({ who }) => who.startsWith("agent:")).map(({ name }) => bidiIsolate(name));
  const list = new Intl.ListFormat(document.documentElement.lang || "en").format(names);
  looking.textContent = names.length ? looking.dataset.word.replace("{names}", list) : "";
  looking.hidden = !names.length;
}

function showRow(conversation) {
  const row = document.querySelector(`#list .row[data-conversation="${conversation}"]`);
  row?.classList.toggle("is-typing", signals.of(conversation).some((person) => isCustomer(person) && isTyping(person)));
}

// The server sends the rows without who is typing.
document.addEventListener("list-updated", () => {
  for (const row of document.querySelectorAll("#list .row")) showRow(Number(row.dataset.conversation));
});

export function openPresence(send) {
  const activity = announceActivity(send, { rests: "looks" });

  function look() {
    const isSeen = document.visibilityState === "visible" && thread();
    activity.open(isSeen ? Number(thread().conversation) : null);
    if (thread()) showHere();
  }

  document.addEventListener("visibilitychange", look);
  document.getElementById("pane").addEventListener("input", (event) => {
    if (event.target.id !== "content") return;
    const form = event.target.form;
    const isNote = form.elements.mode.value === "note";
    // A reply that cannot be sent is not announced.
    if (!event.target.value.trim() || (form.classList.contains("is-locked") && !isNote)) activity.stopped();
    else activity.typing(isNote ? "notes" : "replies");
  });
  document.getElementById("pane").addEventListener("submit", (event) => {
    if (event.target.id === "composer") activity.stopped();
  });
  return {
    look,
    receive: signals.receive,
    // What was known may be over: the others' pages send their signals again by themselves.
    reconnected() {
      signals.forgetAll();
      look();
    },
  };
}
