// Parts of an open conversation that are fetched when somebody opens them, and again while they stay open and something
// happens (`data-follows`). Updates of the page leave them alone.

import { Unreachable, fetchFragment, fetchJson } from "../core/http.js";
import { renderTimes } from "../core/times.js";

const words = document.body.dataset;
const pane = document.getElementById("pane");
const selector = "[data-load], [data-json]";
const newest = new WeakMap(); // by section: its newest fetch. An answer that a later one has overtaken is not shown.

async function load(fold) {
  const fetching = fetched(fold.dataset);
  newest.set(fold, fetching);
  const content = await fetching;
  if (newest.get(fold) !== fetching) return;
  const box = fold.querySelector("[data-loaded]");
  box.replaceChildren(...content);
  renderTimes(box);
}

async function fetched({ load: url, json }) {
  try {
    return json ? [JSON.stringify(await fetchJson(json), null, 2)] : (await fetchFragment(url)).body.children;
  } catch (error) {
    if (!(error instanceof Unreachable) && !(error instanceof TypeError)) throw error; // a fetch that failed is a TypeError
    return [words.wordUnreachable];
  }
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
