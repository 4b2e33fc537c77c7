// What a writer is looking for: a canned reply behind a slash at the beginning, a colleague behind an @. Pure.

const SLASH = /^[/／]([^\s/／]{0,40})$/;
const MENTION = /(?:^|[^A-Za-z0-9._%+-])[@＠]([^\s@＠[\]]{0,40})$/;

// Of the words before the caret; colleagues are looked for only where `isNote`. None, or what is typed of it, and the part of
// the text that a choice takes the place of: {kind, text, from, to}.
export function queryBefore(before, isNote) {
  const to = before.length;
  const reply = SLASH.exec(before);
  if (reply) return { kind: "replies", text: reply[1], from: 0, to };
  const name = isNote && MENTION.exec(before);
  return name ? { kind: "colleagues", text: name[1], from: to - name[1].length - 1, to } : null;
}

// Whether both look for something at the same place, however far it is typed.
export const isSameQuery = (one, other) => Boolean(one && other) && one.kind === other.kind && one.from === other.from;
