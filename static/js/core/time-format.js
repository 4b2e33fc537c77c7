// Times and durations in a reader's language. Pure: the language is a parameter.

export const formatUnit = (value, unit, language) =>
  new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "narrow" }).format(value);

// A duration in its largest whole unit; below 0 it is 0 seconds.
export function formatDuration(seconds, language) {
  if (seconds < 60) return formatUnit(Math.max(0, Math.floor(seconds)), "second", language);
  if (seconds < 3600) return formatUnit(Math.floor(seconds / 60), "minute", language);
  if (seconds < 86_400) return formatUnit(Math.floor(seconds / 3600), "hour", language);
  return formatUnit(Math.floor(seconds / 86_400), "day", language);
}

// The page's language, in the reader's own variety of it where they have one: en-GB tells time otherwise than en-US.
export const readersLanguage = (page, own) => own.find((locale) => locale.split("-")[0] === page.split("-")[0]) || page;

// Whole calendar days between two moments, where the reader is: 0 on the same day, however many hours apart.
export const daysBetween = (earlier, later) =>
  Math.round((new Date(later).setHours(0, 0, 0, 0) - new Date(earlier).setHours(0, 0, 0, 0)) / 86_400_000);
