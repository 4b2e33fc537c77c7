// Replies and notes. A draft is kept per conversation and mode, and no update loses it. A sent message leaves the field
// at once and stands in the thread; `outbox` delivers it.

import { openAttachments } from "../messages/attachments.js";
import { openDrafts } from "./drafts.js";
import { showMode } from "./composer-mode.js";
import { scrollToEnd } from "../messages/message-list.js";
import { refresh as refreshList } from "../list/conversation-list.js";
import { watchForCollision } from "./collision-warning.js";
import { openOutbox } from "../messages/outbox.js";
import { showOutgoing } from "../messages/outgoing.js";
import { openAutocomplete } from "./autocomplete.js";
import { toast } from "../core/toast.js";
import { submitOnEnter } from "../messages/submit-on-enter.js";

const words = document.body.dataset;
const template = document.getElementById("outgoing-line");
const mode = (form) => form.elements.mode.value;
const opened = () => document.getElementById("composer");
const thread = () => document.getElementById("thread")?.dataset;

let apply = () => {};
let lines = null; // of the open conversation, for what has not arrived
let drafts = null;

export const outbox = openOutbox(`agent:${words.agent}`, {
  body: asForm,
  answered,
  changed: () => lines?.show(),
  words: template.dataset,
});

function asForm(entry) {
  const body = new FormData();
  const isOpen = thread()?.conversation === entry.conversation;
  body.append("csrfmiddlewaretoken", words.csrf);
  body.append("mode", entry.mode);
  body.append("content", entry.text);
  for (const file of entry.files) body.append("attachment", file.id);
  body.append("message_id", entry.id);
  body.append("seq", isOpen ? thread().seq : Number.MAX_SAFE_INTEGER); // no news of a conversation that is not open
  return body;
}

function answered(entry, news, why) {
  if (thread()?.conversation !== entry.conversation) {
    if (why) toast(why);
    refreshList();
    return;
  }
  news.getElementById("problem")?.remove(); // the line of the message shows it
  apply(news, { isMine: Date.now() - entry.at < 5000 });
}

export function openComposer(applied) {
  const form = opened();
  lines = drafts = null;
  if (!form) return;
  const field = form.elements.content;
  const { conversation } = form.dataset;
  const items = document.getElementById("items");
  apply = applied;
  form.attaching = openAttachments(form, toast);
  form.collision = watchForCollision(form, items);
  lines = showOutgoing(items, template, {
    entries: () => outbox.of(conversation),
    again: outbox.again,
    back: (id) => takeBack(form, id),
    seen: (ids) => ids.forEach(outbox.take),
  });
  drafts = openDrafts(form, { isSaid, offer: (changed) => changed === mode(form) && offer(form) });
  if (field.value) drafts.typed(mode(form), field.value); // a refused text, given back by the server
  else field.value = drafts.text(mode(form));
  form.collision.typed(field.value);
  offer(form);
  showMode(form);

  field.addEventListener("input", () => typed(form));
  field.addEventListener("blur", drafts.save);
  openAutocomplete(field, () => mode(form) === "note"); // before submitOnEnter: it takes Enter while open
  field.addEventListener("keydown", submitOnEnter);
  form.addEventListener("change", (event) => {
    if (event.target.name !== "mode") return;
    show(form);
    field.focus();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
  form.querySelector("[data-use]").addEventListener("click", () => {
    drafts.swap(mode(form));
    show(form);
    field.focus();
  });
  form.querySelector("[data-dismiss]").addEventListener("click", () => {
    drafts.dismiss(mode(form));
    field.focus();
  });
}

function typed(form) {
  const { value } = form.elements.content;
  drafts.typed(mode(form), value);
  form.collision.typed(value);
  if (!value.trim()) hold(form, "");
}

// Puts the draft of the current mode into the field.
function show(form) {
  form.elements.content.value = drafts.text(mode(form));
  hold(form, "");
  offer(form);
  showMode(form);
}

// A text that stands in the thread as mine, or is on its way there, is no draft any more.
function isSaid(text) {
  const sent = document.querySelectorAll("#items .message.mine .said, #outgoing .said");
  return [...sent].some((line) => line.textContent.trim() === text.trim());
}

function offer(form) {
  const box = form.querySelector(".draft-offer");
  const other = drafts?.other(mode(form));
  box.hidden = !other;
  if (!other) return;
  box.querySelector("q").textContent = other.text.length > 120 ? `${other.text.slice(0, 120)}…` : other.text;
  box.querySelector(".told").textContent = other.isOwn ? box.dataset.wordOwn : box.dataset.wordOther;
  box.querySelector("[data-use]").textContent = other.isOwn ? box.dataset.wordUseOwn : box.dataset.wordUse;
}

function hold(form, text) {
  const box = form.querySelector(".hold");
  if (box.textContent !== text) box.textContent = text;
  box.hidden = !text;
}

function send(form) {
  const field = form.elements.content;
  const text = field.value;
  if (form.classList.contains("is-locked")) {
    toast(document.querySelector("#lock span").textContent.trim());
    return;
  }
  if (form.attaching.isBusy()) {
    form.attaching.wait();
    return;
  }
  if (!text.trim() && !form.attaching.ids().length) {
    toast(words.wordEmpty);
    return;
  }
  const why = mode(form) === "reply" ? form.collision.warning() : "";
  hold(form, why);
  if (why) return;
  outbox.put({
    conversation: form.dataset.conversation,
    url: form.getAttribute("action"),
    mode: mode(form),
    text,
    files: form.attaching.handOver(),
  });
  empty(form);
  scrollToEnd(document.getElementById("log"));
}

function empty(form) {
  form.elements.content.value = "";
  typed(form);
}

// Puts an unsent message back into the composer: before what has been typed meanwhile, in the message's mode.
function takeBack(form, id) {
  const entry = outbox.take(id);
  if (!entry) return;
  if (mode(form) !== entry.mode) {
    form.elements.mode.value = entry.mode;
    show(form);
  }
  const field = form.elements.content;
  field.value = [entry.text, field.value].filter((text) => text.trim()).join("\n");
  form.attaching.giveBack(entry.files);
  typed(form);
  showMode(form);
  field.focus();
}

// The connection is back: sends what waited, and saves at the server what was typed meanwhile.
export function reconnected() {
  outbox.hurry();
  drafts?.save();
}
