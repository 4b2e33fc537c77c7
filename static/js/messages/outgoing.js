// The lines of a thread for messages that are sent and not yet accepted, below all others.

import { isAtEnd, scrollToEnd } from "./message-list.js";

// `entries` returns what to show. The buttons of a refused line call `again` and `back` with its id. `seen` is called
// with the ids of messages that the thread shows now: they have arrived.
export function showOutgoing(items, template, { entries, again, back, seen }) {
  const words = template.dataset;
  const log = items.parentElement;
  const list = document.createElement("ol");
  list.id = "outgoing";
  list.className = "items outgoing-lines";
  list.hidden = true;
  items.after(list);

  list.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    const id = button?.closest(".outgoing")?.dataset.id;
    if (!id) return;
    if ("again" in button.dataset) again(id);
    else back(id);
  });
  new MutationObserver((changes) => {
    const added = changes.flatMap((change) => [...change.addedNodes]).map((line) => line.dataset?.sent);
    seen(added.filter(Boolean));
  }).observe(items, { childList: true });

  function makeLine(entry) {
    const line = template.content.firstElementChild.cloneNode(true);
    line.dataset.id = entry.id;
    line.classList.toggle("note", entry.mode === "note");
    line.querySelector(".tag").hidden = entry.mode !== "note";
    const text = line.querySelector(".said");
    text.textContent = entry.text;
    text.hidden = !entry.text.trim();
    const files = line.querySelector(".files");
    for (const file of entry.files) {
      const item = files.querySelector("template").content.firstElementChild.cloneNode(true);
      item.querySelector(".file-name").textContent = file.name;
      files.append(item);
    }
    return line;
  }

  function stateText(entry) {
    if (entry.state === "refused") return words.wordRefused.replace("{why}", entry.why);
    return entry.state === "waiting" ? words.wordWaiting : words.wordSending;
  }

  function show() {
    const wasAtEnd = isAtEnd(log);
    const now = entries();
    for (const line of [...list.children]) if (!now.some((entry) => entry.id === line.dataset.id)) line.remove();
    for (const entry of now) {
      const known = [...list.children].find((line) => line.dataset.id === entry.id);
      const line = known ?? makeLine(entry);
      if (!known) list.append(line);
      if (line.dataset.state === entry.state && known) continue;
      line.dataset.state = entry.state;
      line.querySelector(".delivery-word").textContent = stateText(entry);
      line.querySelector(".delivery-acts").hidden = entry.state !== "refused";
    }
    list.hidden = !now.length;
    if (wasAtEnd) scrollToEnd(log);
  }

  show();
  return { show };
}
