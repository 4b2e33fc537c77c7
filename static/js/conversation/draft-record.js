// Drafts as they are kept, and which of two is shown. Pure: no page, no store.

// `at` is when it was typed, by the server's clock in milliseconds; `seen` is the version of the server's copy
// that it follows.
export const NO_DRAFT = { text: "", at: 0, seen: "", isSaved: true };

// Parses a stored draft: JSON, or the bare text of an older version. Null where there is none or it is damaged.
export function parseDraft(kept) {
  if (!kept) return null;
  if (!kept.startsWith("{")) return { ...NO_DRAFT, text: kept, isSaved: false };
  try {
    const record = JSON.parse(kept);
    return typeof record?.text === "string" ? { ...NO_DRAFT, ...record } : { ...NO_DRAFT, text: kept, isSaved: false };
  } catch {
    return null;
  }
}

// Of the browser's own draft and the server's (`theirs`; either may be null), returns the `draft` to show, and the text
// that would be `lost` by it. `isSaid` tells whether a text was sent: then it is no draft any more.
export function chooseDraft(own, theirs, isSaid) {
  const isGone = !theirs && own?.isSaved; // it was sent or emptied at another screen
  let draft = null;
  if (own && !isGone && !(theirs && theirs.at > own.at)) draft = { ...own, seen: theirs?.seen ?? "" };
  else if (theirs && !isSaid(theirs.text)) draft = theirs;
  const shown = draft?.text ?? "";
  const lost = [own?.text ?? "", theirs?.text ?? ""].find((text) => text && text !== shown) ?? "";
  return { draft, lost };
}

// Whether a text is worth offering beside the one that is shown: not if the latter begins with it.
export const isWorthOffering = (text, shown, isSaid) =>
  Boolean(text.trim()) && text !== shown && !shown.startsWith(text) && !isSaid(text);
