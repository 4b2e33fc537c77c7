// What is typed and not sent. The browser's own copy is the truth while one types; the server's is for other screens, saved
// at a pace. Where both have something else, the later one by the server's clock is shown and the other one offered.

import { postForJson } from "../core/http.js";
import { local } from "../core/storage.js";
import { NO_DRAFT, chooseDraft, isWorthOffering, parseDraft } from "./draft-record.js";

const PACE = 2000;

const read = (key) => parseDraft(local.get(key));

// In a full or forbidden store nothing stays: the words are still in the field.
function write(key, record) {
  if (record) local.setJson(key, record);
  else local.remove(key);
}

let leave = () => {}; // the conversation that was open before

// `isSaid` tells whether words are in the thread or on their way there; they are no draft any more. `offer` is called with
// the mode whenever there is, or is no longer, another draft to choose.
export function openDrafts(form, { isSaid, offer }) {
  leave();
  const { agent } = document.body.dataset;
  const { conversation, now, drafts: url } = form.dataset;
  const ahead = Date.parse(now) - Date.now(); // of the server's clock
  const token = form.elements.csrfmiddlewaretoken.value;
  const records = {};
  const others = {};
  let timer = 0;
  const moving = {}; // by mode: what is on its way

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

  // On leaving nothing can be waited for; otherwise one save follows the other, so that the newest is the last.
  function save(isLeaving = false) {
    clearTimeout(timer);
    timer = 0;
    for (const mode of ["reply", "note"]) {
      if (records[mode].isSaved || moving[mode] === records[mode].text) continue;
      if (mode in moving && !isLeaving) soon();
      else send(mode, isLeaving);
    }
  }

  async function send(mode, isLeaving) {
    const { text, seen } = records[mode];
    moving[mode] = text;
    try {
      const answer = await postForJson(url, { mode, content: text, seen, csrfmiddlewaretoken: token }, { isLeaving });
      if (!answer) return; // refused or logged out: the browser has it
      const { at, other } = answer;
      const record = records[mode];
      keep(mode, { ...record, seen: at, ...(record.text === text ? { isSaved: true, at: at ? Date.parse(at) : 0 } : {}) });
      if (other) put(mode, other, false);
      if (!records[mode].isSaved) soon();
    } catch {
      // no connection: it is saved with the next words, or when the connection is back
    } finally {
      delete moving[mode];
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
