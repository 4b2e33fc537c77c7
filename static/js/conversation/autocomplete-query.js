// What a writer is looking for: a canned reply behind a slash at the beginning, a colleague behind an @. Pure.

const slash = (most) => new RegExp(`^[/／]([^\\s/／]{0,${most}})$`);
const mention = (most) => new RegExp(`(?:^|[^A-Za-z0-9._%+-])[@＠]([^\\s@＠[\\]]{0,${most}})$`);

// Of the words before the caret, of which `most` characters may be looked for; colleagues are looked for only where `isNote`. None, or what is typed of it, and the part of
// the text that a choice takes the place of: {kind, text, from, to}.
export function queryBefore(before, isNote, most) {
  const to = before.length;
  const reply = slash(most).exec(before);
  if (reply) return { kind: "replies", text: reply[1], from: 0, to };
  const name = isNote && mention(most).exec(before);
  return name ? { kind: "colleagues", text: name[1], from: to - name[1].length - 1, to } : null;
}

// Whether both look for something at the same place, however far it is typed.
export const isSameQuery = (one, other) => Boolean(one && other) && one.kind === other.kind && one.from === other.from;
