// A small live chat: lines come by hints and refetching, each message is sent once. Its page adds the rest.

import { openAttachments } from "../messages/attachments.js";
import { fetchFragment } from "../core/http.js";
import { queued, retryNow } from "../core/refresh-queue.js";
import { decorate, insert, isAtEnd, scrollToEnd } from "../messages/message-list.js";
import { openSocket } from "../core/socket.js";
import { morph } from "../core/morph.js";
import { openOutbox } from "../messages/outbox.js";
import { showOutgoing } from "../messages/outgoing.js";
import { announceActivity, renderTyping, trackSignals } from "../messages/presence-signals.js";
import { submitOnEnter } from "../messages/submit-on-enter.js";

const chat = document.getElementById("chat");
const log = document.getElementById("log");
const items = document.getElementById("items");
const form = document.getElementById("composer");
const field = form.elements.content;
const problem = document.getElementById("problem");
const typingBox = document.getElementById("typing");
const template = document.getElementById("outgoing-line");

// `applied` is called with the server's update after each, `over` once with the update that ends the chat.
export function openChat(path, { applied = () => {}, over = () => {} } = {}) {
  let socket = null;
  let isOver = false;

  const refresh = queued(async () => apply(await fetchFragment(`${chat.dataset.news}?seq=${chat.dataset.seq}`)));

  function apply(news, isMine = false) {
    const fresh = news.getElementById("chat");
    if (isOver) return;
    if ("over" in fresh.dataset) {
      isOver = true;
      outbox.clear();
      socket?.stop();
      over(news);
      return;
    }
    if ("behind" in fresh.dataset) {
      location.reload();
      return;
    }
    if (Number(fresh.dataset.seq) < Number(chat.dataset.seq)) return;
    const wasAtEnd = isAtEnd(log);
    chat.dataset.seq = fresh.dataset.seq;
    morph(document.getElementById("status"), news.getElementById("status"));
    insert(items, news.querySelectorAll("#items > li"), { redraws: true });
    log.querySelector(".opening").hidden = items.children.length > 0;
    if (wasAtEnd || isMine) scrollToEnd(log);
    applied(fresh);
  }

  // A refused socket refetches once: the response says why.
  function listen() {
    socket ??= openSocket(path, { up, hint, poll: refresh, refused: refresh });
  }

  function hint({ sign }) {
    if (sign) signs.receive(sign);
    else refresh();
  }

  const signs = trackSignals((conversation) => {
    const typing = signs.of(conversation).filter(({ does }) => does === "replies");
    const people = typing.map((person) => ({ ...person, name: person.name || typingBox.dataset.wordCustomer }));
    renderTyping(typingBox, people);
  });
  const activity = announceActivity((message) => socket?.send(message));

  function up() {
    retryNow();
    refresh();
    outbox.hurry();
    signs.forgetAll();
  }

  function say(text) {
    problem.textContent = text;
    problem.hidden = !text;
  }

  const outbox = openOutbox(document.body.dataset.me ?? "", {
    body: asForm,
    answered: (entry, news) => {
      news.getElementById("problem")?.remove(); // the line of the message shows it
      apply(news, true);
    },
    changed: () => lines?.show(),
    words: template.dataset,
  });
  const lines = showOutgoing(items, template, {
    entries: () => outbox.of(""),
    again: outbox.again,
    back: takeBack,
    seen: (ids) => ids.forEach(outbox.take),
  });

  function asForm(entry) {
    const body = new FormData();
    body.append("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
    body.append("content", entry.text);
    for (const file of entry.files) body.append("attachment", file.id);
    body.append("message_id", entry.id);
    body.append("seq", chat.dataset.seq);
    return body;
  }

  function send() {
    const text = field.value;
    if (attaching.isBusy()) {
      attaching.wait();
      return;
    }
    if (!text.trim() && !attaching.ids().length) {
      say(document.body.dataset.wordEmpty);
      return;
    }
    say("");
    activity.stopped();
    field.value = "";
    outbox.put({ conversation: "", url: form.getAttribute("action"), text, files: attaching.handOver() });
    log.querySelector(".opening").hidden = true;
    scrollToEnd(log);
  }

  // Puts an unsent message back into the composer, before what has been typed meanwhile.
  function takeBack(id) {
    const entry = outbox.take(id);
    if (!entry) return;
    field.value = [entry.text, field.value].filter((text) => text.trim()).join("\n");
    attaching.giveBack(entry.files);
    field.focus();
  }

  const attaching = openAttachments(form, say);
  field.addEventListener("keydown", submitOnEnter);
  field.addEventListener("input", () => (field.value.trim() ? activity.typing() : activity.stopped()));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });

  decorate(items);
  scrollToEnd(log);
  outbox.hurry(); // what an earlier page could not send
  return { listen, refresh, chat, log, items, form, field };
}
