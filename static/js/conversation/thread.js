// The open conversation: inserts new lines, morphs the rest, and keeps the reader's place.

import { openComposer } from "./composer.js";
import { activate } from "../core/htmx.js";
import { Unreachable, fetchFragment, fetchTogether, post } from "../core/http.js";
import { showMode } from "./composer-mode.js";
import { decorate, insert, isAtEnd, isMessage, markNewFrom, messagesAfter, scrollToEnd } from "../messages/message-list.js";
import { showSidePanel } from "../layout/columns.js";
import { markRows, refresh as refreshList } from "../list/conversation-list.js";
import { morph } from "../core/morph.js";
import { queued } from "../core/refresh-queue.js";
import { refreshOpenSections } from "./lazy-sections.js";
import { restoreAnchor, scrollAnchor } from "../messages/scroll-anchor.js";
import { renderTimes } from "../core/times.js";
import { toast } from "../core/toast.js";

const words = document.body.dataset;
const thread = () => document.getElementById("thread");
const log = () => document.getElementById("log");
const items = () => document.getElementById("items");
const MORPHED = ["head", "side", "package", "lock"];
const REST = 300; // milliseconds at the top of the thread, before what was said earlier is fetched
const JUMP_MOST = 20; // pages that one jump into the past fetches
const LEAD = 60e6; // microseconds: the messages that a session began with were sent just before it
const anchors = new Map(); // by conversation left since the page was loaded: where the reader was

export function openThread() {
  document.getElementById("desk").classList.toggle("has-open", Boolean(thread()));
  markRows();
  if (!thread()) return;
  document.title = `${thread().dataset.title} · Tandem`;
  decorate(items());
  renderTimes(thread());
  showSidePanel();
  openComposer(apply);
  startReading();
  log().addEventListener("scroll", scrolled, { passive: true });
  document.getElementById("to-end").addEventListener("click", () => scrollToEnd(log()));
  watchTop();
  markRead();
}

// Scrolls to where this reader left, else to the first new message, else to the end. A reader who has read nothing here
// yet is shown the end, because all of it is new.
function startReading() {
  const { conversation, readTo } = thread().dataset;
  const isNew = Number(readTo) > 0 && messagesAfter(items(), Number(readTo)).length > 0;
  if (isNew) markNewFrom(items(), Number(readTo));
  else thread().dataset.readTo = thread().dataset.seq;
  scrollToEnd(log());
  if (restoreAnchor(log(), anchors.get(conversation)) || !isNew) return;
  const divider = items().querySelector(".new-since");
  const above = divider.getBoundingClientRect().top - log().getBoundingClientRect().top;
  if (above < 0) log().scrollTop += above; // more than the screen holds: show its beginning
  showUnseenCount();
}

// Another conversation is about to be shown here.
document.body.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.id !== "pane" || !thread()) return;
  anchors.set(thread().dataset.conversation, isAtEnd(log()) ? null : scrollAnchor(log()));
});

// The query of the list, which the server needs for the links back to the list and on to the next conversation.
const listQuery = () => new FormData(document.getElementById("filters"));

export const refresh = queued(async () => {
  if (!thread()) return;
  const { news, seq } = thread().dataset;
  apply(await fetchTogether("news", `${news}?${new URLSearchParams([["seq", seq], ...listQuery()])}`));
});

// Updates the open conversation to the state that the server sent. `isMine`: in response to this agent's own action.
function apply(news, { isMine = false } = {}) {
  const fresh = news.getElementById("thread");
  if (!fresh || fresh.dataset.conversation !== thread()?.dataset.conversation) return; // another one is open by now
  const wasAtEnd = isAtEnd(log());
  const hadFocus = document.activeElement;
  showNotices(news);
  const onward = news.getElementById("onward");
  if (onward) {
    openNext(onward);
    return;
  }
  const known = Number(thread().dataset.seq);
  const isLatest = Number(fresh.dataset.seq) >= known;
  if (isLatest) {
    for (const id of MORPHED) morph(document.getElementById(id), news.getElementById(id));
  }
  if ("behind" in fresh.dataset) {
    reload();
    return;
  }
  const added = insert(items(), news.querySelectorAll("#items > li"), { redraws: isLatest });
  thread().dataset.seq = Math.max(known, Number(fresh.dataset.seq));
  // Messages that come while nobody looks at the end of the thread get a divider above them.
  const isSeen = wasAtEnd && document.visibilityState === "visible";
  if (!isSeen && !isMine && !("newAfter" in items().dataset) && added.some(isMessage)) markNewFrom(items(), known);
  renderTimes(thread());
  showMode();
  if (Number(fresh.dataset.seq) > known) refreshOpenSections();
  if (wasAtEnd || isMine) scrollToEnd(log());
  else showUnseenCount();
  if (isMine) {
    refreshList();
    refocus(hadFocus);
  }
  markRead();
}

// Shows the notices about this agent's own action, once.
function showNotices(news) {
  const problem = news.getElementById("problem");
  if (problem) toast(problem.textContent);
  const once = news.getElementById("once");
  if (once?.children.length) document.getElementById("once").replaceWith(once.cloneNode(true));
}

// After an action its button may be gone: focus the composer, or the header's actions where a reply is not possible.
function refocus(hadFocus) {
  if (hadFocus?.isConnected && document.activeElement !== document.body) return;
  const locked = document.getElementById("lock").dataset.lock;
  (locked ? document.querySelector("#head .actions button, #head .actions summary") : document.getElementById("content"))?.focus();
}

// Fetches the whole thread, because too much has happened for an update. What is being typed stays, and so does the
// place of a reader, if its line is still there.
const reload = queued(async () => {
  if (!thread()) return;
  const whole = await fetchFragment(`${thread().dataset.url}?${new URLSearchParams(listQuery())}`);
  const fresh = whole.getElementById("thread");
  if (!fresh || fresh.dataset.conversation !== thread()?.dataset.conversation) return;
  if (Number(fresh.dataset.seq) < Number(thread().dataset.seq)) return; // it was left and opened again meanwhile
  const place = isAtEnd(log()) ? null : scrollAnchor(log());
  for (const id of MORPHED) morph(document.getElementById(id), whole.getElementById(id));
  document.getElementById("earlier")?.remove();
  const earlier = whole.getElementById("earlier");
  if (earlier) log().prepend(earlier);
  items().replaceChildren(...whole.getElementById("items").children);
  thread().dataset.seq = fresh.dataset.seq;
  decorate(items());
  showMode();
  refreshOpenSections();
  if (restoreAnchor(log(), place)) showUnseenCount();
  else scrollToEnd(log());
  watchTop();
  markRead();
});

// Opens the next conversation, or the list where that was the last one.
function openNext(link) {
  if (!/\/c\/\d+\/$/.test(new URL(link.href).pathname)) {
    location.assign(link.href);
    return;
  }
  document.getElementById("pane").append(link);
  activate(link);
  link.click();
  refreshList();
}

// One page at a time: a call during a fetch waits for that one.
let fetching = null;
function showEarlier(link) {
  fetching ??= fetchEarlier(link).finally(() => (fetching = null));
  return fetching;
}

async function fetchEarlier(link) {
  const older = await fetchFragment(link.href);
  if (!link.isConnected) return; // another conversation is open by now
  const box = log();
  const place = scrollAnchor(box);
  const hadFocus = document.activeElement === link;
  box.ariaLive = "off"; // nothing new was said
  insert(items(), older.querySelectorAll("#items > li"));
  const next = older.getElementById("earlier");
  if (next) link.replaceWith(next);
  else link.remove();
  if (hadFocus) (next ?? box).focus({ preventScroll: true });
  restoreAnchor(box, place);
  watchTop();
  requestAnimationFrame(() => (box.ariaLive = "polite"));
}

// A reader who rests at the top of the thread is given the page before.
let watch = null;
let resting = 0;
function watchTop() {
  watch?.disconnect();
  clearTimeout(resting);
  const link = document.getElementById("earlier");
  if (!link) return;
  watch = new IntersectionObserver(
    ([seen]) => {
      clearTimeout(resting);
      // A fetch that fails is tried again when the top is next seen; a click follows the link, which shows why.
      if (seen.isIntersecting) resting = setTimeout(() => showEarlier(link).catch(() => {}), REST);
    },
    { root: log() },
  );
  watch.observe(link);
}

// Scrolls back to where an earlier session began, by as many pages as that takes, JUMP_MOST at most.
async function jumpTo(moment) {
  const since = new Date(moment).getTime() * 1000 - LEAD;
  const first = () => items().querySelector("li[data-place]");
  for (let pages = 0; pages < JUMP_MOST && Number(first()?.dataset.place) > since; pages++) {
    const link = document.getElementById("earlier");
    if (!link) break;
    await showEarlier(link);
  }
  const line = [...items().querySelectorAll("li[data-place]")].find((item) => Number(item.dataset.place) >= since);
  line?.scrollIntoView({ block: "start" });
  log().focus({ preventScroll: true });
}

function scrolled() {
  showUnseenCount();
  if (isAtEnd(log())) markRead();
}

// Shows how many messages below this reader has not had on the screen yet.
function showUnseenCount() {
  const button = document.getElementById("to-end");
  const { isRead, readTo } = thread().dataset;
  const count = isAtEnd(log()) ? 0 : messagesAfter(items(), Number(isRead ?? readTo)).length;
  button.hidden = !count;
  const word = count === 1 ? button.dataset.wordOne : button.dataset.wordMany.replace("{count}", count);
  const text = button.querySelector("span");
  if (count && text.textContent !== word) text.textContent = word;
}

// The thread is read when its end is on the screen, in a visible tab.
function markRead() {
  const open = thread();
  if (!open || document.visibilityState !== "visible" || !isAtEnd(log()) || open.dataset.isRead === open.dataset.seq) return;
  open.dataset.isRead = open.dataset.seq;
  post(open.dataset.read, { seq: open.dataset.seq });
  markRows();
}
document.addEventListener("visibilitychange", markRead);

async function act(form) {
  if (form.ariaBusy === "true") return;
  form.ariaBusy = "true";
  const body = new FormData(form);
  body.append("seq", thread().dataset.seq);
  try {
    const news = await fetchFragment(form.action, body);
    if (!news.getElementById("problem")) {
      form.closest(".menu, .fold")?.removeAttribute("open");
      form.reset(); // only what was accepted is cleared; a refused form stays to be corrected
    }
    apply(news, { isMine: true });
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    toast(words.wordUnreachable);
  } finally {
    form.ariaBusy = "false";
  }
}

const pane = document.getElementById("pane");
pane.addEventListener("submit", (event) => {
  if (!("act" in event.target.dataset)) return;
  event.preventDefault();
  act(event.target);
});
pane.addEventListener("formdata", (event) => {
  if (event.target.method === "post") for (const [name, value] of listQuery()) event.formData.set(name, value);
});
pane.addEventListener("click", (event) => {
  if (event.metaKey || event.ctrlKey) return;
  const earlier = event.target.closest("#earlier");
  const past = event.target.closest("[data-since]");
  const opener = event.target.closest("[data-fold]");
  if (!earlier && !past && !opener) return;
  event.preventDefault();
  if (earlier) showEarlier(earlier).catch(() => location.assign(earlier.href));
  else if (past) jumpTo(past.dataset.since).catch(() => location.assign(past.href));
  else unfold(opener.dataset.fold);
});

// Opens a form of the side panel, to which a button of the header leads.
function unfold(id) {
  document.getElementById("act-more")?.removeAttribute("open");
  document.getElementById("side").open = true;
  const form = document.getElementById(id);
  if (!form) return;
  form.open = true;
  form.scrollIntoView({ block: "nearest" });
  (form.querySelector("select, input:not([type=hidden])") ?? form.querySelector("summary")).focus();
}

// Menus: one at a time, closed by Escape or a click elsewhere, ready to be typed into.
const first = ":scope > form input[name=reason]";
pane.addEventListener(
  "toggle",
  (event) => event.target.matches?.(".menu[open], .menu details[open]") && event.target.querySelector(first)?.focus(),
  true,
);
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && pane.querySelector(".menu[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});
document.addEventListener("click", (event) => {
  for (const menu of pane.querySelectorAll(".menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
