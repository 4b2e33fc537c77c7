// Parts of an open conversation that are fetched when somebody opens them, and again while they stay open and something
// happens (`data-follows`). Updates of the page leave them alone.

import { Unreachable, fetchFragment, fetchJson } from "../core/http.js";
import { renderTimes } from "../core/times.js";

const words = document.body.dataset;
const pane = document.getElementById("pane");
const selector = "[data-load], [data-json]";

async function load(fold) {
  const box = fold.querySelector("[data-loaded]");
  try {
    if (fold.dataset.json) await showJson(fold.dataset.json, box);
    else box.replaceChildren(...(await fetchFragment(fold.dataset.load)).body.children);
  } catch (error) {
    if (!(error instanceof Unreachable) && !(error instanceof TypeError)) throw error; // a fetch that failed is a TypeError
    box.textContent = words.wordUnreachable;
  }
  renderTimes(box);
}

async function showJson(url, box) {
  box.textContent = JSON.stringify(await fetchJson(url), null, 2);
}

pane.addEventListener(
  "toggle",
  async (event) => {
    const fold = event.target;
    if (!fold.matches?.(selector) || !fold.open) return;
    fold.querySelector("[data-loaded] > a:only-child")?.remove(); // the link for pages without scripts
    await load(fold);
    fold.querySelector("[data-loaded] select")?.focus();
  },
  true,
);

export function refreshOpenSections() {
  for (const fold of pane.querySelectorAll("[data-follows][open]")) load(fold);
}
