// The help: a table of the shortcuts, made from the table that defines them.

import { SHORTCUTS, keyCaps, word } from "./shortcuts.js";

const table = document.getElementById("help-keys");

function cell(name, text = "") {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

function line({ id, keys }) {
  const row = document.createElement("tr");
  const label = cell("th", word(id));
  label.scope = "row";
  const shown = cell("td");
  for (const key of keys.split(" ").flatMap(keyCaps)) {
    if (shown.childNodes.length) shown.append(" ");
    shown.append(cell("kbd", key));
  }
  row.append(label, shown);
  return row;
}

for (const group of new Set(SHORTCUTS.map((shortcut) => shortcut.group))) {
  const part = document.createElement("tbody");
  const head = document.createElement("tr");
  const name = cell("th", word(group));
  name.scope = "rowgroup";
  name.colSpan = 2;
  head.append(name);
  part.append(head, ...SHORTCUTS.filter((shortcut) => shortcut.group === group && shortcut.keys).map(line));
  table.append(part);
}
