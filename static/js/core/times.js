// Times in the reader's zone and language. The server's text stands until this has run.

// The page's language, in the reader's own variety of it where they have one: en-GB tells time otherwise than en-US.
const page = document.documentElement.lang || "en";
const language = navigator.languages.find((own) => own.split("-")[0] === page.split("-")[0]) || page;
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(language, { day: "numeric", month: "short" });
const moment = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
const long = new Intl.DateTimeFormat(language, { weekday: "long", day: "numeric", month: "long" });
const now = new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(0, "second");

export function amount(value, unit) {
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "narrow" }).format(value);
}

export function span(seconds) {
  if (seconds < 60) return amount(Math.max(0, Math.floor(seconds)), "second");
  if (seconds < 3600) return amount(Math.floor(seconds / 60), "minute");
  if (seconds < 86_400) return amount(Math.floor(seconds / 3600), "hour");
  return amount(Math.floor(seconds / 86_400), "day");
}

function ago(at) {
  const seconds = (Date.now() - at) / 1000;
  if (seconds < 60) return now;
  return seconds < 86_400 ? span(seconds) : day.format(at);
}

export function tellTimes(root = document) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    let text;
    if ("ago" in time.dataset) text = ago(at);
    else if ("wait" in time.dataset) text = span((Date.now() - at) / 1000);
    else if ("until" in time.dataset) text = span((at - Date.now()) / 1000);
    else if ("clock" in time.dataset) text = clock.format(at);
    else text = new Date().toDateString() === at.toDateString() ? clock.format(at) : moment.format(at);
    if (time.textContent !== text) time.textContent = text;
    if (!time.title) time.title = moment.format(at);
  }
}

export function dayName(at) {
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(at).setHours(0, 0, 0, 0)) / 86_400_000);
  if (days === 0) return document.body.dataset.wordToday;
  return days === 1 ? document.body.dataset.wordYesterday : long.format(at);
}

setInterval(tellTimes, 5000);
setInterval(() => document.querySelector("time[data-until]") && tellTimes(), 1000);
