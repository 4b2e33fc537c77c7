// The frame: columns that are made wider or narrower and stay so, details that fold away, and the menus of small screens.

const KEY = "tandem:widths";
const root = document.documentElement;
const desk = document.getElementById("desk");
const narrow = matchMedia("(max-width: 1099px)");
const STEP = 16;

function keep(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // a full or forbidden store: it lasts as long as the page
  }
}

// --- Widths ----------------------------------------------------------------------------------------------------------

function widths() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}

const controlled = (splitter) => document.getElementById(splitter.getAttribute("aria-controls"));
const current = (splitter) => Math.round(controlled(splitter)?.getBoundingClientRect().width ?? 0);

function tell(splitter) {
  splitter.setAttribute("aria-valuenow", current(splitter));
}

// A width in pixels, or none for the usual one.
function give(splitter, wanted, { isKept = true } = {}) {
  const { splits, least, most } = splitter.dataset;
  const width = wanted === null ? null : Math.min(Math.max(Math.round(wanted), Number(least)), Number(most));
  if (width === null) root.style.removeProperty(`--own-${splits}`);
  else root.style.setProperty(`--own-${splits}`, `${width}px`);
  if (isKept) keep(KEY, JSON.stringify({ ...widths(), [splits]: width ?? undefined }));
  tell(splitter);
}

// To which side the column grows: the details stand at the other end, and some languages run the other way.
const outward = (splitter) => (splitter.dataset.splits === "context" ? -1 : 1) * (root.dir === "rtl" ? -1 : 1);

document.addEventListener("pointerdown", (event) => {
  const splitter = event.target.closest?.(".splitter");
  if (!splitter || event.button) return;
  event.preventDefault();
  splitter.focus();
  splitter.setPointerCapture(event.pointerId);
  const from = event.clientX;
  const before = current(splitter);
  const move = (moved) => give(splitter, before + (moved.clientX - from) * outward(splitter), { isKept: false });
  const end = (ended) => {
    splitter.removeEventListener("pointermove", move);
    root.classList.remove("is-splitting");
    if (ended.type === "pointerup" && ended.clientX !== from) give(splitter, current(splitter));
  };
  root.classList.add("is-splitting");
  splitter.addEventListener("pointermove", move);
  for (const name of ["pointerup", "pointercancel"]) splitter.addEventListener(name, end, { once: true });
});
document.addEventListener("dblclick", (event) => {
  const splitter = event.target.closest?.(".splitter");
  if (splitter) give(splitter, null);
});
document.addEventListener("keydown", (event) => {
  const splitter = event.target.closest?.(".splitter");
  if (!splitter || event.altKey || event.ctrlKey || event.metaKey) return;
  const step = { ArrowRight: STEP, ArrowLeft: -STEP }[event.key];
  if (step) give(splitter, current(splitter) + step * outward(splitter));
  else if (event.key === "Home") give(splitter, Number(splitter.dataset.least));
  else if (event.key === "End") give(splitter, Number(splitter.dataset.most));
  else if (event.key === "Enter") give(splitter, null);
  else return;
  event.preventDefault();
});
document.addEventListener("focusin", (event) => event.target.matches?.(".splitter") && tell(event.target));

// --- Details -----------------------------------------------------------------------------------------------------------

const side = () => document.getElementById("side");

// Beside the thread as the agent left them; on a smaller screen a drawer, closed until it is asked for.
export function fold() {
  root.dataset.ready = "";
  if (!side()) return;
  side().open = !narrow.matches && root.dataset.context !== "folded";
  if (!document.getElementById("split-context")) side().after(contextSplitter());
}
narrow.addEventListener("change", fold);

function contextSplitter() {
  const splitter = document.getElementById("split-list").cloneNode();
  splitter.id = "split-context";
  splitter.setAttribute("aria-controls", "side");
  splitter.setAttribute("aria-label", document.body.dataset.wordContext);
  Object.assign(splitter.dataset, { splits: "context", least: 220, most: 560 });
  splitter.setAttribute("aria-valuemin", 220);
  splitter.setAttribute("aria-valuemax", 560);
  return splitter;
}

document.addEventListener(
  "toggle",
  (event) => {
    if (event.target.id !== "side" || narrow.matches) return;
    root.dataset.context = event.target.open ? "shown" : "folded";
    keep("tandem:context", root.dataset.context);
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
