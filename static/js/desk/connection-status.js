// Says whether the page is up to date: live, reconnecting (when), catching up (with how much), or stale (how old).
// The sign announces each state once; the bar beside it counts, and is not read out.

import { formatDuration, formatUnit } from "../core/times.js";

// In milliseconds.
const STALE = 30_000;
const QUIET = 1000; // a shorter interruption is not shown
const LINGERS = 4000;

// `tryNow` is what the button does; `waits` returns how many messages wait to be sent.
export function openConnectionStatus(tryNow, waits) {
  const sign = document.getElementById("connection");
  const bar = document.getElementById("connection-bar");
  const words = bar.dataset;
  const thread = () => document.getElementById("thread")?.dataset;

  let socket = "connecting"; // or "live", "reconnecting"
  let next = 0; // when it is tried again
  let lostAt = 0; // since when it is not live; 0 while it is
  let sureAt = performance.now(); // when the page was last known to be up to date
  let isCatching = false;
  let isFailing = false; // the socket may be up while requests fail
  let from = null; // the open conversation and its last operation when the socket was lost
  let caught = null; // {count, until}

  function state() {
    if ((lostAt || isFailing) && performance.now() - sureAt > STALE) return "stale";
    if (socket !== "live") return socket;
    return isCatching ? "catching" : "live";
  }

  function word(now) {
    if (now === "catching") return words.wordCatching;
    if (now === "stale") return words.wordStale;
    if (now === "live") return caught ? words.wordCaught.replace("{count}", caught.count) : words.wordLive;
    return now === "reconnecting" ? words.wordReconnecting : "";
  }

  function counted(now) {
    const left = Math.ceil((next - performance.now()) / 1000);
    const again = left > 0 ? words.wordNext.replace("{time}", formatUnit(left, "second")) : words.wordReconnecting;
    if (now === "stale") {
      const age = words.wordAge.replace("{time}", formatDuration((performance.now() - sureAt) / 1000));
      return socket === "live" ? age : `${age} ${again}`;
    }
    return now === "reconnecting" ? again : word(now);
  }

  const put = (element, text) => element.textContent !== text && (element.textContent = text);

  function show() {
    const time = performance.now();
    if (caught && time > caught.until) caught = null;
    const now = state();
    sign.dataset.state = now;
    put(sign.querySelector(".word"), word(now));
    const number = waits();
    const isQuiet = now === "connecting" || (now === "live" && !caught) || (lostAt && time - lostAt < QUIET);
    bar.hidden = isQuiet && !(number && lostAt);
    bar.dataset.state = now;
    put(bar.querySelector(".told"), counted(now));
    put(bar.querySelector(".waits"), number && now !== "live" ? words.wordWaiting.replace("{count}", number) : "");
    bar.querySelector("button").hidden = !(now === "stale" || (now === "reconnecting" && next > time));
  }

  function update(now, until = 0) {
    if (now === "live" && lostAt) isCatching = true;
    if (now !== "live" && !lostAt) {
      lostAt = sureAt = performance.now();
      from = thread() ? { conversation: thread().conversation, seq: Number(thread().seq) } : null;
      caught = null;
      isCatching = false;
    }
    socket = now;
    next = until;
    show();
  }

  function refreshed({ detail }) {
    isFailing = !detail.isReached;
    if (detail.isReached) {
      if (isCatching && socket === "live") arrived();
      sureAt = performance.now();
    }
    show();
  }

  function arrived() {
    isCatching = false;
    lostAt = 0;
    const open = thread();
    const count = open && from?.conversation === open.conversation ? Number(open.seq) - from.seq : 0;
    if (count > 0) caught = { count, until: performance.now() + LINGERS };
  }

  setInterval(() => {
    if (socket === "live" && !isCatching && !isFailing) sureAt = performance.now();
    if (lostAt || isFailing || caught || !bar.hidden) show();
  }, 1000);
  document.addEventListener("refreshed", refreshed);
  bar.querySelector("button").addEventListener("click", () => {
    tryNow();
    document.getElementById("content")?.focus({ preventScroll: true });
  });
  return { update, show };
}
