// The files of an unsent message: picked, pasted or dropped, uploaded at once with their progress, removed by a button.

import { post, upload } from "../core/http.js";
import { uuid } from "../core/uuid.js";
import { isAtEnd, scrollToEnd } from "./message-list.js";

// `say` shows a text to the writer. Returns the functions that the composer needs when it sends.
export function openAttachments(form, say) {
  const tray = form.querySelector(".tray");
  const list = tray.querySelector(".chips");
  const announcer = tray.querySelector("[role=status]");
  const input = tray.querySelector("input[type=file]");
  const button = form.querySelector("[data-attach]");
  const field = form.elements.content;
  const words = tray.dataset;
  const log = document.getElementById("log");
  const token = form.elements.csrfmiddlewaretoken.value;

  const ids = () => [...list.querySelectorAll("input[name=attachment]")].map((box) => box.value);
  const isBusy = () => list.querySelector(".is-moving") !== null;

  function take(files) {
    for (const file of files) {
      if (list.children.length >= Number(words.count)) {
        say(words.wordMany);
        return;
      }
      const chip = moving(file);
      if (file.size > Number(words.most)) lost(chip, words.wordLarge);
      else put(chip, file, uuid());
    }
  }

  function moving(file) {
    const chip = document.createElement("li");
    chip.className = "chip-file is-moving";
    const about = document.createElement("span");
    about.className = "file-told";
    const name = document.createElement("span");
    name.className = "file-name";
    name.dir = "auto";
    name.textContent = file.name;
    about.append(name, document.createElement("small"));
    const gone = document.createElement("button");
    gone.type = "button";
    gone.className = "file-gone";
    gone.textContent = "×";
    gone.setAttribute("aria-label", `${words.wordRemove} ${file.name}`);
    const bar = document.createElement("progress");
    bar.max = 1;
    bar.value = 0;
    bar.setAttribute("aria-label", file.name);
    const sign = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    sign.setAttribute("aria-hidden", "true");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", "#i-file");
    sign.append(use);
    chip.append(sign, about, gone, bar);
    atEnd(() => list.append(chip));
    return chip;
  }

  // The composer grows, and the last lines of the thread stay in sight.
  function atEnd(change) {
    const wasAtEnd = isAtEnd(log);
    change();
    if (wasAtEnd) scrollToEnd(log);
  }

  // With the same `client` id again, the server takes it for the same upload.
  function put(chip, file, client) {
    const bar = chip.querySelector("progress");
    const body = new FormData();
    body.append("client_id", client);
    body.append("file", file, file.name);
    chip.stop = upload(words.url, body, {
      token,
      progress: (share) => (bar.value = share),
      answered(page, status) {
        const ready = page.querySelector(".chip-file");
        if (ready) {
          atEnd(() => chip.replaceWith(document.adoptNode(ready)));
          announcer.textContent = `${file.name} ${words.wordReady}`;
        } else if (status >= 500) again(chip, file, client);
        else lost(chip, page.getElementById("problem")?.textContent ?? words.wordLost);
      },
      failed: () => again(chip, file, client),
    });
  }

  function lost(chip, why) {
    chip.classList.replace("is-moving", "is-lost");
    chip.querySelector("progress").remove();
    chip.querySelector("small").textContent = why;
    announcer.textContent = `${chip.querySelector(".file-name").textContent}: ${why}`;
  }

  function again(chip, file, client) {
    lost(chip, words.wordLost);
    const retry = document.createElement("button");
    retry.type = "button";
    retry.className = "button quiet small file-again";
    retry.textContent = words.wordAgain;
    retry.addEventListener("click", () => {
      const next = moving(file);
      chip.replaceWith(next);
      put(next, file, client);
    });
    chip.append(retry);
  }

  function remove(chip) {
    chip.stop?.();
    const { id } = chip.dataset;
    if (id) post(`${words.files}${id}/discard/`, { csrfmiddlewaretoken: token });
    const near = chip.nextElementSibling ?? chip.previousElementSibling;
    chip.remove();
    (near?.querySelector(".file-gone") ?? field).focus();
  }

  list.addEventListener("click", (event) => {
    const gone = event.target.closest(".file-gone");
    if (gone) remove(gone.closest(".chip-file"));
  });
  button.hidden = false;
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    take(input.files);
    input.value = ""; // the same file may be picked again
    field.focus();
  });
  field.addEventListener("paste", (event) => {
    const { files, types } = event.clipboardData;
    if (!files.length || types.includes("text/plain")) return; // a table cell is both: its text is meant
    event.preventDefault();
    take(files);
  });

  const room = form.closest("#thread, #chat");
  const brings = (event) => event.dataTransfer?.types.includes("Files");
  room.addEventListener("dragover", (event) => {
    if (!brings(event)) return;
    event.preventDefault();
    form.classList.add("is-dropping");
  });
  room.addEventListener("dragleave", (event) => {
    if (!room.contains(event.relatedTarget)) form.classList.remove("is-dropping");
  });
  room.addEventListener("drop", (event) => {
    if (!brings(event)) return;
    event.preventDefault();
    form.classList.remove("is-dropping");
    take(event.dataTransfer.files);
  });

  // Takes the uploaded files out of the composer, as ids and names, so that the message can wait and be given back.
  function handOver() {
    const ready = [...list.querySelectorAll(".is-ready")];
    for (const chip of ready) chip.remove();
    return ready.map((chip) => ({ id: chip.dataset.id, name: chip.querySelector(".file-name").textContent }));
  }

  function giveBack(files) {
    for (const { id, name } of files) {
      const chip = moving({ name });
      chip.classList.replace("is-moving", "is-ready");
      chip.querySelector("progress").remove();
      chip.dataset.id = id;
      const box = document.createElement("input");
      Object.assign(box, { type: "hidden", name: "attachment", value: id });
      chip.append(box);
    }
  }

  return { ids, isBusy, handOver, giveBack, wait: () => say(words.wordWait) };
}
