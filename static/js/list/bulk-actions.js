// Bulk actions: counts the ticked rows, carries out the action, and shows what was refused.

import { Unreachable, fetchFragment } from "../core/http.js";
import { refresh } from "./conversation-list.js";
import { toast } from "../core/toast.js";

const form = document.getElementById("bulk");
const list = document.getElementById("list");
const resultBox = document.getElementById("bulk-told");

const ticks = () => [...list.querySelectorAll(".pick input")];

function render() {
  form.querySelector("[data-count]").textContent = ticks().filter((tick) => tick.checked).length;
  const isLabel = ["label", "unlabel"].includes(form.elements.action.value);
  form.querySelector(".bulk-label").classList.toggle("is-idle", !isLabel);
  form.elements.label.required = isLabel;
}

function tickAll(isTicked) {
  for (const tick of ticks()) tick.checked = isTicked;
  render();
}

async function carryOut() {
  if (form.ariaBusy === "true") return;
  form.ariaBusy = "true";
  try {
    const answer = await fetchFragment(form.getAttribute("action"), new FormData(form));
    const result = answer.getElementById("bulk-result");
    resultBox.replaceChildren(result);
    const refused = new Set([...result.querySelectorAll("[data-conversation]")].map((line) => line.dataset.conversation));
    if (refused.size || !answer.querySelector(".is-problem")) {
      for (const tick of ticks()) tick.checked = tick.checked && refused.has(tick.value);
    }
    render();
    refresh();
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    toast(document.body.dataset.wordUnreachable);
  } finally {
    form.ariaBusy = "false";
  }
}

list.addEventListener("change", render);
form.addEventListener("change", render);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  carryOut();
});
form.addEventListener("click", (event) => {
  if (event.target.closest("[data-all]")) tickAll(true);
  if (event.target.closest("[data-none]")) tickAll(false);
});
resultBox.addEventListener("click", (event) => event.target.closest("[data-dismiss]") && resultBox.replaceChildren());
new MutationObserver(render).observe(list, { childList: true, subtree: true });
render();
