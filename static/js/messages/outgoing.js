// The lines of a thread for what has been sent and has not arrived, below everything that has.

import { isAtEnd, scrollToEnd } from "./message-list.js";

// `entries` answers what to show; `again` and `back` are what the buttons of a refused line do, given its id, and `seen` is
// called with the ids of the lines that have come in: what stands in the thread has arrived.
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

  function made(entry) {
    const line = template.content.firstElementChild.cloneNode(true);
    line.dataset.id = entry.id;
    line.classList.toggle("note", entry.mode === "note");
    line.querySelector(".tag").hidden = entry.mode !== "note";
    const said = line.querySelector(".said");
    said.textContent = entry.text;
    said.hidden = !entry.text.trim();
    const files = line.querySelector(".files");
    for (const file of entry.files) {
      const item = files.querySelector("template").content.firstElementChild.cloneNode(true);
      item.querySelector(".file-name").textContent = file.name;
      files.append(item);
    }
    return line;
  }

  function word(entry) {
    if (entry.state === "refused") return words.wordRefused.replace("{why}", entry.why);
    return entry.state === "waiting" ? words.wordWaiting : words.wordSending;
  }

  function show() {
    const wasAtEnd = isAtEnd(log);
    const now = entries();
    for (const line of [...list.children]) if (!now.some((entry) => entry.id === line.dataset.id)) line.remove();
    for (const entry of now) {
      const known = [...list.children].find((line) => line.dataset.id === entry.id);
      const line = known ?? made(entry);
      if (!known) list.append(line);
      if (line.dataset.state === entry.state && known) continue;
      line.dataset.state = entry.state;
      line.querySelector(".delivery-word").textContent = word(entry);
      line.querySelector(".delivery-acts").hidden = entry.state !== "refused";
    }
    list.hidden = !now.length;
    if (wasAtEnd) scrollToEnd(log);
  }

  show();
  return { show };
}
