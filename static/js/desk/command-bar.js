// The command bar: one field that goes somewhere, does something, or finds a conversation. Links and actions of the
// page are searched here; conversations and canned replies come from the server. The field keeps the focus, as in the
// composer's picker.

import { openInPane } from "../core/htmx.js";
import { Unreachable, fetchFragment } from "../core/http.js";
import { matches } from "../core/text-match.js";
import { SHORTCUTS, headerActions, keyCaps, perform, trigger, word } from "./shortcuts.js";

const PAUSE = 150; // milliseconds of rest before a search

const dialog = document.getElementById("command");
const field = document.getElementById("command-field");
const box = document.getElementById("command-options");
const announcer = document.getElementById("command-told");
const words = dialog.dataset;

let timer = 0;
let requestNumber = 0;
let isPending = false;
let isEager = false; // Enter came before the answer
let at = 0;
let caret = [0, 0]; // in the composer, before the bar was opened

const options = () => [...box.querySelectorAll("[role=option]")];

// --- What the page offers ----------------------------------------------------------------------------------------

const labelOf = (link) => {
  const copy = link.cloneNode(true);
  for (const extra of copy.querySelectorAll(".count, [aria-hidden]")) extra.remove();
  return copy.textContent.trim();
};

// The list's views, wherever the page shows them, by the links themselves.
function views() {
  const known = new Map();
  for (const link of document.querySelectorAll("#tabs a, #saved a, .views a")) {
    if (!known.has(link.href)) known.set(link.href, { text: labelOf(link), run: () => link.click() });
  }
  return [...known.values()];
}

function pages() {
  return [...document.getElementById("command-pages").content.querySelectorAll("a")].map((link) => ({
    text: link.textContent,
    run: () => (link.target ? window.open(link.href, link.target, "noopener") : location.assign(link.href)),
  }));
}

function acts() {
  const keyed = new Map(SHORTCUTS.flatMap(({ acts: verbs = [], keys }) => verbs.map((verb) => [verb, keys])));
  const offered = headerActions().map((action) => ({
    text: action.button.textContent.trim(),
    keys: keyed.get(action.verb),
    why: action.why,
    run: () => trigger(action),
  }));
  const others = SHORTCUTS.filter(({ run, opens }) => run || (opens && opens !== "command"));
  const entryOf = (shortcut) => ({ text: word(shortcut.id), keys: shortcut.keys, run: () => perform(shortcut) });
  return [...offered, ...others.map(entryOf)];
}

// --- Showing -----------------------------------------------------------------------------------------------------

function groupOf(label, items) {
  const shown = items.filter(({ text }) => matches(text, field.value));
  if (!shown.length) return [];
  const list = document.createElement("ul");
  list.setAttribute("role", "group");
  list.setAttribute("aria-label", label);
  list.append(...shown.map(optionOf));
  return [list];
}

function optionOf({ text, keys, why, run }) {
  const option = document.createElement("li");
  option.setAttribute("role", "option");
  option.run = run;
  const name = document.createElement("span");
  name.className = "command-name";
  name.dir = "auto";
  name.textContent = text;
  option.append(name);
  if (why) {
    option.setAttribute("aria-disabled", "true");
    const reason = document.createElement("small");
    reason.textContent = why;
    option.append(" ", reason);
  }
  if (keys) {
    const shown = document.createElement("span");
    shown.className = "command-keys";
    for (const cap of keyCaps(keys)) {
      const key = document.createElement("kbd");
      key.textContent = cap;
      shown.append(" ", key);
    }
    option.append(shown);
  }
  return option;
}

function render() {
  box.replaceChildren(...groupOf(words.wordGo, [...views(), ...pages()]), ...groupOf(words.wordDo, acts()));
  numberOptions();
  mark(0);
}

function numberOptions() {
  for (const [place, option] of options().entries()) option.id = `command-${place + 1}`;
}

function mark(place) {
  const all = options();
  box.hidden = !all.length;
  field.setAttribute("aria-expanded", String(all.length > 0));
  if (!all.length) {
    field.removeAttribute("aria-activedescendant");
    return;
  }
  at = (place + all.length) % all.length;
  for (const [number, option] of all.entries()) option.setAttribute("aria-selected", String(number === at));
  field.setAttribute("aria-activedescendant", all[at].id);
  all[at].scrollIntoView({ block: "nearest" });
}

function tell() {
  const count = options().length;
  announcer.textContent = count ? `${words.wordResults} ${count}` : words.wordNothing;
}

// --- Asking ------------------------------------------------------------------------------------------------------

function look() {
  clearTimeout(timer);
  requestNumber += 1; // a response that is still under way is outdated
  isEager = false;
  isPending = Boolean(field.value.trim());
  render();
  if (isPending) timer = setTimeout(find, PAUSE);
  else tell();
}

async function find() {
  const number = requestNumber;
  const conversation = document.getElementById("thread")?.dataset.conversation ?? "";
  let answer = null;
  try {
    answer = await fetchFragment(`${words.url}?${new URLSearchParams({ q: field.value.trim(), conversation })}`);
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error; // the page's own options are shown all the same
  }
  if (number !== requestNumber || !dialog.open) return;
  isPending = false;
  showResults(answer);
  if (isEager && options().length) choose(options()[at]);
}

function showResults(answer) {
  if (answer) box.append(...[...answer.querySelectorAll("[role=group]")].map((group) => document.adoptNode(group)));
  numberOptions();
  mark(at);
  tell();
  if (!answer) announcer.textContent = document.body.dataset.wordUnreachable;
}

// --- Choosing ----------------------------------------------------------------------------------------------------

function choose(option) {
  const { conversation, href, insert } = option.dataset;
  dialog.close(); // the focus is back where it was: what is done now may take it further
  if (conversation) open(conversation, href);
  else if (insert !== undefined) putIn(insert);
  else option.run();
}

function open(conversation, href) {
  const row = document.querySelector(`#list .row[data-conversation="${conversation}"]`);
  if (row) row.click();
  else openInPane(href);
}

function putIn(text) {
  const content = document.getElementById("content");
  if (!content) return;
  content.setRangeText(text, ...caret, "end");
  content.dispatchEvent(new Event("input", { bubbles: true }));
  content.focus();
}

dialog.addEventListener("showing", () => {
  const content = document.getElementById("content");
  caret = content ? [content.selectionStart, content.selectionEnd] : [0, 0];
});
dialog.addEventListener("shown", () => {
  field.value = "";
  look();
  field.focus();
});
dialog.addEventListener("close", () => {
  clearTimeout(timer);
  requestNumber += 1;
  announcer.textContent = "";
});
field.addEventListener("input", (event) => event.isComposing || look());
field.addEventListener("compositionend", look);
field.addEventListener("keydown", (event) => {
  if (event.isComposing || event.keyCode === 229 || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "ArrowDown") mark(at + 1);
  else if (event.key === "ArrowUp") mark(at - 1);
  else if (event.key !== "Enter") return;
  else if (options().length) choose(options()[at]);
  else isEager = isPending;
  event.preventDefault();
});
box.addEventListener("mousedown", (event) => event.preventDefault());
box.addEventListener("click", (event) => {
  const chosen = event.target.closest("[role=option]");
  if (chosen) choose(chosen);
});
