// Times in the reader's zone and language. The server's text stands until this has run.

import { daysBetween, formatDuration as durationIn, formatUnit as unitIn, readersLanguage } from "./time-format.js";

const language = readersLanguage(document.documentElement.lang || "en", navigator.languages);
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(language, { day: "numeric", month: "short" });
const moment = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
const long = new Intl.DateTimeFormat(language, { weekday: "long", day: "numeric", month: "long" });
const now = new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(0, "second");

export const formatUnit = (value, unit) => unitIn(value, unit, language);
export const formatDuration = (seconds) => durationIn(seconds, language);

function ago(at) {
  const seconds = (Date.now() - at) / 1000;
  if (seconds < 60) return now;
  return seconds < 86_400 ? formatDuration(seconds) : day.format(at);
}

export function renderTimes(root = document) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    let text;
    if ("ago" in time.dataset) text = ago(at);
    else if ("wait" in time.dataset) text = formatDuration((Date.now() - at) / 1000);
    else if ("until" in time.dataset) text = formatDuration((at - Date.now()) / 1000);
    else if ("clock" in time.dataset) text = clock.format(at);
    else text = new Date().toDateString() === at.toDateString() ? clock.format(at) : moment.format(at);
    if (time.textContent !== text) time.textContent = text;
    if (!time.title) time.title = moment.format(at);
  }
}

export function dayLabel(at) {
  const days = daysBetween(at, Date.now());
  if (days === 0) return document.body.dataset.wordToday;
  return days === 1 ? document.body.dataset.wordYesterday : long.format(at);
}

setInterval(renderTimes, 5000);
setInterval(() => document.querySelector("time[data-until]") && renderTimes(), 1000);
