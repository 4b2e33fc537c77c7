// An agent's settings in this browser: which sounds, whether notices on the screen, whether "?" is a shortcut. Stored
// in the browser, and read anew each time, so that all tabs agree.

import { local } from "../core/storage.js";

const key = `tandem:settings:${document.body.dataset.agent}`;
const form = document.getElementById("settings-form");

const kept = () => local.getJson(key) ?? {};

export const isOn = (name) => kept()[name] ?? true;

export const keep = (name, value) => local.setJson(key, { ...kept(), [name]: value });

document.getElementById("settings").addEventListener("shown", () => {
  for (const box of form.querySelectorAll("input[type=checkbox]")) box.checked = isOn(box.name);
});
form.addEventListener("change", (event) => keep(event.target.name, event.target.checked));
