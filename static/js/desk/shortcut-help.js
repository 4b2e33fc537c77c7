// The help: a table of the shortcuts, made from the one that works them.

import { SHORTCUTS, keyCaps, word } from "./shortcuts.js";

const table = document.getElementById("help-keys");

function cell(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function line({ id, keys }) {
  const row = document.createElement("tr");
  const told = cell("th", word(id));
  told.scope = "row";
  const shown = cell("td");
  for (const key of keys.split(" ").flatMap(keyCaps)) {
    if (shown.childNodes.length) shown.append(" ");
    shown.append(cell("kbd", key));
  }
  row.append(told, shown);
  return row;
}

for (const group of new Set(SHORTCUTS.map((one) => one.group))) {
  const part = document.createElement("tbody");
  const head = document.createElement("tr");
  const name = cell("th", word(group));
  name.scope = "rowgroup";
  name.colSpan = 2;
  head.append(name);
  part.append(head, ...SHORTCUTS.filter((one) => one.group === group && one.keys).map(line));
  table.append(part);
}
