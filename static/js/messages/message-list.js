// The lines of a thread: put where they belong, marked as 'mine', divided by days and where the new ones begin.

import { morph } from "../core/morph.js";
import { dayLabel, renderTimes } from "../core/times.js";
import { restoreAnchor, scrollAnchor } from "./scroll-anchor.js";

const place = (line) => Number(line.dataset.place);
const DRESSED = ["mine", "follows"]; // the classes that `decorate` sets
const CLOSE = 180e6; // microseconds: what one person says within three minutes is grouped

// Inserts new lines into the list by their time, and returns them. A line that is sent again, because it may have
// changed (`data-again`), is redrawn in its place if `redraws`, which is false for a response older than the page. If
// it is not on the page yet, it comes later, with its page of the thread.
export function insert(list, fresh, { redraws = false } = {}) {
  const sent = [...fresh];
  if (redraws) redraw(list, sent.filter(isAgain));
  const added = [];
  for (const line of sent) {
    if (isAgain(line) || document.getElementById(line.id)) continue;
    if (line.dataset.run && isOutrun(list, line)) continue;
    const later = lines(list).findLast((other) => place(other) <= place(line));
    if (later) later.after(line);
    else list.prepend(line);
    added.push(line);
  }
  if (added.length) decorate(list);
  return added;
}

const isAgain = (line) => "again" in line.dataset;

// Updates lines in place: only what differs is touched, so that focus, selection and pictures stay. A reader who is not
// at the end keeps their place.
function redraw(list, fresh) {
  const log = list.parentElement;
  let anchor;
  for (const line of fresh) {
    const known = document.getElementById(line.id);
    if (!known) continue;
    delete line.dataset.again;
    for (const name of DRESSED) line.classList.toggle(name, known.classList.contains(name));
    renderTimes(line);
    if (known.isEqualNode(line)) continue;
    anchor ??= isAtEnd(log) ? false : scrollAnchor(log);
    morph(known, line);
  }
  if (anchor) restoreAnchor(log, anchor);
}

// Events of one run share a line: only the newest stays, in whichever order they come.
function isOutrun(list, line) {
  const other = lines(list).find((candidate) => candidate.dataset.run === line.dataset.run);
  if (other && place(other) > place(line)) return true;
  other?.remove();
  return false;
}

const lines = (list) => [...list.children].filter((line) => line.dataset.place);

// The messages of others after an operation. `after` may be NaN: then nothing is new.
export const messagesAfter = (list, after) =>
  lines(list).filter((line) => isMessage(line) && !line.classList.contains("mine") && Number(line.dataset.seq) > after);
export const isMessage = (line) => line.classList.contains("message");

// Marks what comes after an operation as new to this reader, until they leave the conversation; stored on the list.
export function markNewFrom(list, after) {
  list.dataset.newAfter = after;
  decorate(list);
}

export function decorate(list) {
  const { agent, me } = document.body.dataset;
  for (const divider of list.querySelectorAll(".day, .new-since")) divider.remove();
  let before = null;
  let today = "";
  for (const line of lines(list)) {
    const isMine = (agent && line.dataset.agent === agent) || (me && line.dataset.by === me);
    line.classList.toggle("mine", Boolean(isMine));
    const at = place(line) / 1000;
    const name = dayLabel(at);
    if (name !== today) {
      today = name;
      line.before(dividerOf("day", name));
      before = null;
    }
    const same =
      before?.dataset.by === line.dataset.by &&
      before.classList.contains("note") === line.classList.contains("note") &&
      place(line) - place(before) < CLOSE;
    line.classList.toggle("follows", same);
    before = line;
  }
  const first = "newAfter" in list.dataset && messagesAfter(list, Number(list.dataset.newAfter))[0];
  if (first) {
    first.before(dividerOf("new-since", document.body.dataset.wordNew));
    first.classList.remove("follows");
  }
  renderTimes(list);
}

function dividerOf(kind, name) {
  const line = document.createElement("li");
  line.className = kind;
  const text = document.createElement("span");
  text.textContent = name;
  line.append(text);
  return line;
}

export const isAtEnd = (log) => log.scrollHeight - log.scrollTop - log.clientHeight < 80;
export const scrollToEnd = (log) => log.scrollTo({ top: log.scrollHeight });
