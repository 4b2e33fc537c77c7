// Times and spans as a reader's language tells them. Pure: the language is given.

export const formatUnit = (value, unit, language) =>
  new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "narrow" }).format(value);

// A span by its largest whole unit; one that is over already is none.
export function formatDuration(seconds, language) {
  if (seconds < 60) return formatUnit(Math.max(0, Math.floor(seconds)), "second", language);
  if (seconds < 3600) return formatUnit(Math.floor(seconds / 60), "minute", language);
  if (seconds < 86_400) return formatUnit(Math.floor(seconds / 3600), "hour", language);
  return formatUnit(Math.floor(seconds / 86_400), "day", language);
}

// The page's language, in the reader's own variety of it where they have one: en-GB tells time otherwise than en-US.
export const readersLanguage = (page, own) => own.find((one) => one.split("-")[0] === page.split("-")[0]) || page;

// Whole calendar days between two moments, where the reader is: 0 on the same day, however many hours apart.
export const daysBetween = (earlier, later) =>
  Math.round((new Date(later).setHours(0, 0, 0, 0) - new Date(earlier).setHours(0, 0, 0, 0)) / 86_400_000);
