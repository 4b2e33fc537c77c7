// Offers what fits while one types: canned replies behind a slash at the beginning, colleagues behind an @ in a note.
// The field keeps the focus; arrows, Enter, Tab and Escape work the list, and an input method is left alone.

import { Unreachable, fetchFragment } from "../core/http.js";
import { isSameQuery, queryBefore } from "./autocomplete-query.js";

const PAUSE = 120; // milliseconds of rest before a search

export function openAutocomplete(field, isNote) {
  const box = document.getElementById("picker");
  const announcer = document.getElementById("picker-told");
  let active = null; // the query that is answered: {kind, text, from, to}
  let dismissed = null; // the query that Escape put away, until something else is typed
  let timer = 0;
  let requestNumber = 0;
  let isPending = false;
  let isEager = false; // Enter came before the answer
  let at = -1;

  const options = () => [...box.querySelectorAll("[role=option]")];
  const isOpen = () => !box.hidden;

  function query() {
    if (field.selectionStart !== field.selectionEnd) return null;
    return queryBefore(field.value.slice(0, field.selectionStart), isNote(), box.dataset.most);
  }

  function look() {
    const now = query();
    if (!now || isSameQuery(now, dismissed)) {
      if (!now) dismissed = null;
      close();
      return;
    }
    if (isSameQuery(now, active) && now.text === active.text) {
      active = now;
      return;
    }
    active = now;
    isPending = true;
    clearTimeout(timer);
    timer = setTimeout(find, PAUSE);
  }

  async function find() {
    const number = ++requestNumber;
    const url = `${box.dataset[active.kind]}?${new URLSearchParams({ q: active.text })}`;
    let answer = null;
    try {
      answer = await fetchFragment(url);
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
    }
    if (number !== requestNumber || !active) return;
    isPending = false;
    show(answer);
    if (isEager) {
      isEager = false;
      if (isOpen()) choose(options()[at]);
      else if (answer) field.form.requestSubmit();
    }
  }

  function show(answer) {
    const list = answer?.getElementById("options");
    if (!list?.querySelector("[role=option]")) {
      hide();
      return;
    }
    list.setAttribute("aria-label", box.dataset[active.kind === "replies" ? "wordReplies" : "wordColleagues"]);
    box.replaceChildren(list);
    box.hidden = false;
    announcer.textContent = answer.getElementById("told").textContent;
    field.setAttribute("role", "combobox");
    field.setAttribute("aria-autocomplete", "list");
    field.setAttribute("aria-haspopup", "listbox");
    field.setAttribute("aria-expanded", "true");
    field.setAttribute("aria-controls", "options");
    mark(0);
  }

  function mark(place) {
    const all = options();
    at = (place + all.length) % all.length;
    for (const [number, option] of all.entries()) option.setAttribute("aria-selected", String(number === at));
    field.setAttribute("aria-activedescendant", all[at].id);
    all[at].scrollIntoView({ block: "nearest" });
  }

  function hide() {
    if (box.hidden) return;
    box.hidden = true;
    box.replaceChildren();
    announcer.textContent = "";
    for (const name of ["role", "aria-autocomplete", "aria-haspopup", "aria-expanded", "aria-controls", "aria-activedescendant"]) {
      field.removeAttribute(name);
    }
  }

  function close() {
    clearTimeout(timer);
    requestNumber += 1;
    active = null;
    isPending = isEager = false;
    hide();
  }

  function choose(option) {
    const { from, to } = active;
    const text = option.dataset.insert;
    close();
    field.setRangeText(text, from, to, "end");
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.focus();
  }

  field.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229 || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Enter" && !event.shiftKey && isPending && !isOpen()) {
      isEager = true; // typed before the response came: a shortcut must not be sent as it stands
    } else if (!isOpen()) {
      return;
    } else if (event.key === "ArrowDown") mark(at + 1);
    else if (event.key === "ArrowUp") mark(at - 1);
    else if ((event.key === "Enter" && !event.shiftKey) || event.key === "Tab") choose(options()[at]);
    else if (event.key === "Escape") {
      dismissed = active;
      close();
    } else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  });
  field.addEventListener("input", (event) => event.isComposing || look());
  field.addEventListener("compositionend", look);
  field.addEventListener("click", look);
  field.addEventListener("blur", close);
  box.addEventListener("mousedown", (event) => event.preventDefault());
  box.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option && active) choose(option);
  });
}
