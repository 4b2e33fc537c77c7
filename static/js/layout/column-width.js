// How wide a column may be, and how wide a key makes it. Pure; widths in pixels, null for the default one.

const STEP = 16;

export const limited = (width, { least, most }) => Math.min(Math.max(Math.round(width), Number(least)), Number(most));

// To which side a column grows, 1 for the right: the details stand at the other end, and some languages run the other way.
export const growth = ({ isAtEnd, isRightToLeft }) => (isAtEnd ? -1 : 1) * (isRightToLeft ? -1 : 1);

// Undefined for a key that moves no splitter.
export function widthByKey(key, now, { least, most, direction }) {
  if (key === "ArrowRight") return now + STEP * direction;
  if (key === "ArrowLeft") return now - STEP * direction;
  if (key === "Home") return Number(least);
  if (key === "End") return Number(most);
  return key === "Enter" ? null : undefined;
}
