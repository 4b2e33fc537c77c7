// Drafts as they are kept, and which of two is shown. Pure: no page, no store.

// `at` is when it was typed, by the server's clock in milliseconds; `seen` names the server's copy it came after.
export const NO_DRAFT = { text: "", at: 0, seen: "", isSaved: true };

// What a store holds, as a draft: today's form, or the bare words of an older one. None where it is damaged.
export function parseDraft(kept) {
  if (!kept) return null;
  if (!kept.startsWith("{")) return { ...NO_DRAFT, text: kept, isSaved: false };
  try {
    const found = JSON.parse(kept);
    return typeof found?.text === "string" ? { ...NO_DRAFT, ...found } : { ...NO_DRAFT, text: kept, isSaved: false };
  } catch {
    return null;
  }
}

// Of the browser's own and the server's (`theirs`; either may be none) the one that is shown, and the words that would be
// lost by it. `isSaid` tells of words that were sent: they are no draft any more.
export function chooseDraft(own, theirs, isSaid) {
  const isGone = !theirs && own?.isSaved; // it was sent or emptied at another screen
  let draft = null;
  if (own && !isGone && !(theirs && theirs.at > own.at)) draft = { ...own, seen: theirs?.seen ?? "" };
  else if (theirs && !isSaid(theirs.text)) draft = theirs;
  const shown = draft?.text ?? "";
  const lost = [own?.text ?? "", theirs?.text ?? ""].find((text) => text && text !== shown) ?? "";
  return { draft, lost };
}

// Whether words are worth offering beside those that are shown: not if they are what these began with.
export const isWorthOffering = (text, shown, isSaid) =>
  Boolean(text.trim()) && text !== shown && !shown.startsWith(text) && !isSaid(text);
