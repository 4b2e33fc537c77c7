// What an agent wants of this browser: which sounds, whether notices on the screen, whether "?" is a shortcut. Kept in
// the browser, and read anew each time, so that all tabs agree.

import { local } from "../core/storage.js";

const at = `tandem:settings:${document.body.dataset.agent}`;
const form = document.getElementById("settings-form");

const kept = () => local.getJson(at) ?? {};

export const isOn = (name) => kept()[name] ?? true;

export const keep = (name, value) => local.setJson(at, { ...kept(), [name]: value });

document.getElementById("settings").addEventListener("shown", () => {
  for (const box of form.querySelectorAll("input[type=checkbox]")) box.checked = isOn(box.name);
});
form.addEventListener("change", (event) => keep(event.target.name, event.target.checked));
