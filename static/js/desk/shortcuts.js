// Shortcuts: one table of keys and what each does. Their texts stand in templates/desk/_shortcut_help.html, by the ids.

import { showDialog } from "../core/dialogs.js";
import { ariaKeys, isComposing, keyCaps as capsOf, pressedKeys } from "./key-names.js";
import { isOn } from "./settings.js";
import { toast } from "../core/toast.js";

const MODE = "#composer input[name=mode]";

// `acts` are actions of the header, of which the first that is available is triggered; `opens` is a dialog; `on`
// selects further elements that show the key. An entry without `acts`, `opens` and `run` is for the help: another
// module does it. An entry without keys is for the command bar.
export const SHORTCUTS = [
  { id: "next", group: "list", keys: "Alt+J", run: () => step(1) },
  { id: "previous", group: "list", keys: "Alt+K", run: () => step(-1) },
  { id: "rows", group: "list", keys: "↑ ↓" },
  { id: "take", group: "turn", keys: "Alt+T", acts: ["accept", "take-over", "take"] },
  { id: "grab", group: "turn", keys: "Alt+G", acts: ["grab"] },
  { id: "release", group: "turn", keys: "Alt+R", acts: ["release"] },
  { id: "resolve", group: "turn", keys: "Alt+E", acts: ["resolve"] },
  { id: "resolve-next", group: "turn", keys: "Mod+Alt+E", acts: ["resolve-next"] },
  { id: "reply", group: "words", keys: "Alt+L", run: () => write("reply"), on: `${MODE}[value=reply]` },
  { id: "note", group: "words", keys: "Alt+P", run: () => write("note"), on: `${MODE}[value=note]` },
  { id: "send", group: "words", keys: "Enter" },
  { id: "line", group: "words", keys: "Shift+Enter" },
  { id: "canned", group: "words", keys: "/" },
  { id: "mention", group: "words", keys: "@" },
  { id: "command", group: "desk", keys: "Mod+K", opens: "command", on: "[data-opens=command]" },
  { id: "help", group: "desk", keys: "?", opens: "help", on: "[data-opens=help]" },
  { id: "settings", group: "desk", keys: "", opens: "settings" },
  { id: "close", group: "desk", keys: "Esc" },
];

const isApple = /Mac|iPhone|iPad/.test(navigator.platform);
const texts = document.getElementById("key-words").content;

export const word = (id) => texts.querySelector(`[data-key="${id}"]`).textContent;

// As they stand on this keyboard.
export const keyCaps = (keys) => capsOf(keys, isApple);

// --- What was pressed --------------------------------------------------------------------------------------------

const isTyping = (target) => Boolean(target.closest?.("textarea, select, [contenteditable], input:not([type=checkbox], [type=radio])"));

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || isComposing(event)) return;
  const keys = pressedKeys(event, isApple);
  const shortcut = keys && SHORTCUTS.find((entry) => entry.keys === keys && (entry.run || entry.acts || entry.opens));
  if (!shortcut) return;
  if (keys.length === 1 && (isTyping(event.target) || !isOn("help"))) return;
  const open = document.querySelector("dialog[open]");
  if (open && open.id !== shortcut.opens) return; // what is behind a dialog is out of reach
  event.preventDefault();
  if (event.repeat) return;
  if (open) open.close();
  else perform(shortcut);
});

// --- What it does ------------------------------------------------------------------------------------------------

export function perform({ id, acts, opens, run }) {
  if (opens) showDialog(document.getElementById(opens));
  else if (acts) press(acts, word(id));
  else run();
}

// The button of one of the header's actions, those behind 'More' among them, and why it is not available now.
const buttonOf = (act) => (act.matches("button, a") ? act : act.querySelector(":scope > summary, button"));
export function headerActions() {
  return [...document.querySelectorAll("#head [id^=act-]:not(#act-more)")].map((act) => {
    const button = buttonOf(act);
    const isOff = button.ariaDisabled === "true" || button.disabled;
    return { act, verb: act.id.slice("act-".length), button, why: isOff ? (act.querySelector(".why, .more-why")?.textContent ?? word("not-here")) : "" };
  });
}

function press(verbs, label) {
  if (!document.getElementById("thread")) {
    toast(word("nothing-open"));
    return;
  }
  const offered = headerActions().filter(({ verb }) => verbs.includes(verb));
  offered.sort((one, other) => verbs.indexOf(one.verb) - verbs.indexOf(other.verb));
  const action = offered.find(({ why }) => !why) ?? offered[0];
  if (action) trigger(action, label);
  else toast(`${label}: ${word("not-here")}`);
}

export function trigger({ act, button, why }, label = button.textContent.trim()) {
  if (why) {
    toast(`${label}: ${why}`);
    return;
  }
  for (let fold = act.parentElement.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  if (act.open) act.querySelector("input:not([type=hidden]), textarea, select")?.focus();
  else button.click();
}

let opening = ""; // the conversation that is being opened
let nextToOpen = ""; // …and the one to open after it: quick steps open the last one, not each on the way

function step(by) {
  const rows = [...document.querySelectorAll("#list .row")];
  const open = nextToOpen || opening || document.getElementById("thread")?.dataset.conversation;
  const at = rows.findIndex((row) => row.dataset.conversation === open);
  const next = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : at + by];
  if (!next) {
    toast(word(rows.length ? (by > 0 ? "at-end" : "at-start") : "none-listed"));
    return;
  }
  nextToOpen = next.dataset.conversation;
  next.scrollIntoView({ block: "nearest" });
  if (!opening) go();
}

function go() {
  [opening, nextToOpen] = [nextToOpen, ""];
  if (opening) document.querySelector(`#list .row[data-conversation="${opening}"]`)?.click();
}
for (const ending of ["htmx:afterSwap", "htmx:sendAbort", "htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
  document.body.addEventListener(ending, ({ detail }) => detail.target?.id === "pane" && go());
}

function write(mode) {
  const form = document.getElementById("composer");
  if (!form) {
    toast(word("nothing-open"));
    return;
  }
  const choice = form.querySelector(`input[name=mode][value=${mode}]`);
  if (!choice.checked) choice.click();
  form.elements.content.focus();
  const lock = document.getElementById("lock");
  if (mode === "reply" && lock?.dataset.lock) toast(lock.textContent.trim());
}

// --- Where it is shown -------------------------------------------------------------------------------------------

// On the buttons themselves, and again after each update of the header, because the server sends them without keys.
function showKeys() {
  const keysOf = new Map(SHORTCUTS.flatMap(({ acts = [], keys }) => acts.map((verb) => [verb, keys])));
  const keyed = headerActions().map(({ verb, button, why }) => [button, button, keysOf.get(verb), why]);
  for (const { keys, on } of SHORTCUTS) {
    if (!on) continue;
    for (const node of document.querySelectorAll(on)) keyed.push([node, node.closest("label") ?? node, keys, ""]);
  }
  for (const [button, titled, keys, why] of keyed) {
    if (!keys) continue;
    set(button, "aria-keyshortcuts", ariaKeys(keys, isApple));
    if (why) continue; // the reason has a tip of its own
    const shown = keyCaps(keys).join(isApple ? "" : "+");
    set(titled, "title", button.ariaLabel ? `${button.ariaLabel} (${shown})` : shown); // an icon needs its name too
  }
}

function set(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

const attributeFilter = ["title", "aria-keyshortcuts", "aria-disabled"];
new MutationObserver(showKeys).observe(document.getElementById("pane"), { childList: true, subtree: true, attributeFilter });
showKeys();
