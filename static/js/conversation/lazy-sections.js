// Parts of an open conversation that are fetched when somebody opens them, and again while they stay open and something
// happens (`data-follows`). Updates of the page leave them alone.

import { Unreachable, ask } from "../core/http.js";
import { tellTimes } from "../core/times.js";

const words = document.body.dataset;
const pane = document.getElementById("pane");
const selector = "[data-load], [data-json]";

async function load(fold) {
  const box = fold.querySelector("[data-loaded]");
  try {
    if (fold.dataset.json) await showJson(fold.dataset.json, box);
    else box.replaceChildren(...(await ask(fold.dataset.load)).body.children);
  } catch (error) {
    if (!(error instanceof Unreachable) && !(error instanceof TypeError)) throw error; // a fetch that failed is a TypeError
    box.textContent = words.wordUnreachable;
  }
  tellTimes(box);
}

// The very answer of the API, by the same login.
async function showJson(url, box) {
  const response = await fetch(url, { headers: { Accept: "application/json" }, credentials: "same-origin" });
  box.textContent = JSON.stringify(await response.json(), null, 2);
}

pane.addEventListener(
  "toggle",
  async (event) => {
    const fold = event.target;
    if (!fold.matches?.(selector) || !fold.open) return;
    fold.querySelector("[data-loaded] > a:only-child")?.remove(); // the way without scripts
    await load(fold);
    fold.querySelector("[data-loaded] select")?.focus();
  },
  true,
);

export function follow() {
  for (const fold of pane.querySelectorAll("[data-follows][open]")) load(fold);
}
