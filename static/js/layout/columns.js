// The frame: columns that are made wider or narrower and stay so, details that fold away, and the menus of small screens.

import { local } from "../core/storage.js";
import { growth, limited, widthByKey } from "./column-width.js";

const KEY = "tandem:widths";
const root = document.documentElement;
const desk = document.getElementById("desk");
const narrow = matchMedia("(max-width: 1099px)");

// --- Widths ----------------------------------------------------------------------------------------------------------

const controlled = (splitter) => document.getElementById(splitter.getAttribute("aria-controls"));
const current = (splitter) => Math.round(controlled(splitter)?.getBoundingClientRect().width ?? 0);

function announceWidth(splitter) {
  splitter.setAttribute("aria-valuenow", current(splitter));
}

// `requested` is a width in pixels, or null for the default one.
function setWidth(splitter, requested, { isKept = true } = {}) {
  const { splits, least, most } = splitter.dataset;
  const width = requested === null ? null : limited(requested, { least, most });
  if (width === null) root.style.removeProperty(`--own-${splits}`);
  else root.style.setProperty(`--own-${splits}`, `${width}px`);
  if (isKept) local.setJson(KEY, { ...local.getJson(KEY), [splits]: width ?? undefined });
  announceWidth(splitter);
}

const outward = (splitter) => growth({ isAtEnd: splitter.dataset.splits === "context", isRightToLeft: root.dir === "rtl" });

document.addEventListener("pointerdown", (event) => {
  const splitter = event.target.closest?.(".splitter");
  if (!splitter || event.button) return;
  event.preventDefault();
  splitter.focus();
  splitter.setPointerCapture(event.pointerId);
  const from = event.clientX;
  const before = current(splitter);
  const move = (moved) => setWidth(splitter, before + (moved.clientX - from) * outward(splitter), { isKept: false });
  const end = (ended) => {
    splitter.removeEventListener("pointermove", move);
    root.classList.remove("is-splitting");
    if (ended.type === "pointerup" && ended.clientX !== from) setWidth(splitter, current(splitter));
  };
  root.classList.add("is-splitting");
  splitter.addEventListener("pointermove", move);
  for (const name of ["pointerup", "pointercancel"]) splitter.addEventListener(name, end, { once: true });
});
document.addEventListener("dblclick", (event) => {
  const splitter = event.target.closest?.(".splitter");
  if (splitter) setWidth(splitter, null);
});
document.addEventListener("keydown", (event) => {
  const splitter = event.target.closest?.(".splitter");
  if (!splitter || event.altKey || event.ctrlKey || event.metaKey) return;
  const width = widthByKey(event.key, current(splitter), { ...splitter.dataset, direction: outward(splitter) });
  if (width === undefined) return;
  setWidth(splitter, width);
  event.preventDefault();
});
document.addEventListener("focusin", (event) => event.target.matches?.(".splitter") && announceWidth(event.target));

// --- Details -----------------------------------------------------------------------------------------------------------

const side = () => document.getElementById("side");

// Beside the thread as the agent left them; on a smaller screen a drawer, closed until it is asked for.
export function showSidePanel() {
  root.dataset.ready = "";
  if (!side()) return;
  side().open = !narrow.matches && root.dataset.context !== "folded";
  if (!document.getElementById("split-context")) side().after(contextSplitter());
}
narrow.addEventListener("change", showSidePanel);

const CONTEXT = { least: 220, most: 560 }; // pixels: how wide the details may be

function contextSplitter() {
  const splitter = document.getElementById("split-list").cloneNode();
  splitter.id = "split-context";
  splitter.setAttribute("aria-controls", "side");
  splitter.setAttribute("aria-label", document.body.dataset.wordContext);
  Object.assign(splitter.dataset, { splits: "context", ...CONTEXT });
  splitter.setAttribute("aria-valuemin", CONTEXT.least);
  splitter.setAttribute("aria-valuemax", CONTEXT.most);
  return splitter;
}

document.addEventListener(
  "toggle",
  (event) => {
    if (event.target.id !== "side" || narrow.matches) return;
    root.dataset.context = event.target.open ? "shown" : "folded";
    local.set("tandem:context", root.dataset.context);
  },
  true,
);

const isDrawer = () => narrow.matches && side()?.open;

function closeDrawer() {
  const hadFocus = side().contains(document.activeElement);
  side().open = false;
  if (hadFocus) side().querySelector("summary").focus();
}

// --- The views as a menu, where there is no room for their column ------------------------------------------------------

const button = document.getElementById("views-button");
const isMenu = () => desk.classList.contains("views-open");

function openViews(isOpen) {
  desk.classList.toggle("views-open", isOpen);
  button.setAttribute("aria-expanded", String(isOpen));
}

function closeViews() {
  const hadFocus = document.getElementById("views").contains(document.activeElement);
  openViews(false);
  if (hadFocus) button.focus();
}

button.addEventListener("click", () => {
  openViews(!isMenu());
  if (isMenu()) (document.querySelector("#views [aria-current]") ?? document.querySelector("#views a")).focus();
});
document.getElementById("views").addEventListener("click", (event) => {
  if (isMenu() && event.target.closest("a")) closeViews();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented || document.querySelector(".menu[open]")) return;
  if (isMenu()) closeViews();
  else if (isDrawer()) closeDrawer();
});
document.addEventListener("pointerdown", (event) => {
  if (isMenu() && !event.target.closest("#views, #views-button")) closeViews();
  if (isDrawer() && !event.target.closest("#side, .menu, .toasts")) closeDrawer();
});
