// Drafts: what is typed and not sent. While the agent types, the browser's copy counts; the server's is for other
// screens, and is saved at a pace. Where they differ, the later one by the server's clock is shown and the other one
// offered.

import { postForJson } from "../core/http.js";
import { local } from "../core/storage.js";
import { NO_DRAFT, chooseDraft, isWorthOffering, parseDraft } from "./draft-record.js";

const PACE = 2000; // milliseconds between two saves

const read = (key) => parseDraft(local.get(key));

// A full or forbidden store keeps nothing: the text is still in the field.
function write(key, record) {
  if (record) local.setJson(key, record);
  else local.remove(key);
}

let leave = () => {}; // ends the drafts of the conversation that was open before

// `isSaid` tells whether a text is in the thread or on its way there: then it is no draft any more. `offer` is called
// with the mode whenever there is, or is no longer, another draft to choose.
export function openDrafts(form, { isSaid, offer }) {
  leave();
  const { agent } = document.body.dataset;
  const { conversation, now, drafts: url } = form.dataset;
  const ahead = Date.parse(now) - Date.now(); // milliseconds by which the server's clock is ahead
  const token = form.elements.csrfmiddlewaretoken.value;
  const records = {};
  const others = {};
  let timer = 0;
  const inFlight = {}; // by mode: the text that is being saved

  const key = (mode) => `tandem:draft:${agent}:${conversation}:${mode}`;

  function keep(mode, record) {
    records[mode] = record;
    write(key(mode), record.text || !record.isSaved ? record : null);
  }

  function put(mode, text, isOwn) {
    const isNew = isWorthOffering(text, records[mode].text, isSaid);
    others[mode] = isNew ? { text, isOwn } : null;
    write(`${key(mode)}:other`, isNew ? others[mode] : null);
    offer(mode);
  }

  function open(mode) {
    const own = read(key(mode));
    const kept = form.querySelector(`template[data-draft="${mode}"]`);
    const theirs = kept && { text: kept.content.textContent, at: Date.parse(kept.dataset.at), seen: kept.dataset.at, isSaved: true };
    const { draft, lost } = chooseDraft(own, theirs, isSaid);
    records[mode] = NO_DRAFT;
    if (draft) keep(mode, draft);
    else write(key(mode), null);
    const before = read(`${key(mode)}:other`);
    others[mode] = null;
    if (lost) put(mode, lost, lost === own?.text);
    else if (before) put(mode, before.text, before.isOwn);
    if (!records[mode].isSaved) soon();
  }

  const soon = () => (timer ||= setTimeout(save, PACE));

  // A page that is left cannot wait; otherwise one save follows the other, so that the newest is the last.
  function save(isLeaving = false) {
    clearTimeout(timer);
    timer = 0;
    for (const mode of ["reply", "note"]) {
      if (records[mode].isSaved || inFlight[mode] === records[mode].text) continue;
      if (mode in inFlight && !isLeaving) soon();
      else send(mode, isLeaving);
    }
  }

  async function send(mode, isLeaving) {
    const { text, seen } = records[mode];
    inFlight[mode] = text;
    try {
      const answer = await postForJson(url, { mode, content: text, seen, csrfmiddlewaretoken: token }, { isLeaving });
      if (!answer) return; // refused or logged out: the browser still has it
      const { at, other } = answer;
      const record = records[mode];
      keep(mode, { ...record, seen: at, ...(record.text === text ? { isSaved: true, at: at ? Date.parse(at) : 0 } : {}) });
      if (other) put(mode, other, false);
      if (!records[mode].isSaved) soon();
    } catch {
      // no connection: it is saved with the next words, or when the connection is back
    } finally {
      delete inFlight[mode];
    }
  }

  function typed(mode, text) {
    if (records[mode].text === text) return;
    keep(mode, { ...records[mode], text, at: Date.now() + ahead, isSaved: false });
    soon();
  }

  // Take the other draft; what was in the field becomes the other one.
  function swap(mode) {
    const { text } = records[mode];
    const other = others[mode];
    if (!other) return;
    typed(mode, other.text);
    put(mode, text, !other.isOwn);
  }

  const flush = () => save(true);
  const hide = () => document.visibilityState === "hidden" && flush();
  addEventListener("pagehide", flush);
  document.addEventListener("visibilitychange", hide);
  leave = () => {
    flush();
    clearTimeout(timer);
    removeEventListener("pagehide", flush);
    document.removeEventListener("visibilitychange", hide);
  };

  for (const mode of ["reply", "note"]) open(mode);
  return {
    text: (mode) => records[mode].text,
    other: (mode) => others[mode],
    dismiss: (mode) => put(mode, "", false),
    typed,
    swap,
    save: () => save(),
  };
}
