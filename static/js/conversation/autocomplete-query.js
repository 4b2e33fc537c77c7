// What a writer is looking for: a canned reply behind a slash at the beginning, a colleague behind an @. Pure.

const slash = (most) => new RegExp(`^[/／]([^\\s/／]{0,${most}})$`);
const mention = (most) => new RegExp(`(?:^|[^A-Za-z0-9._%+-])[@＠]([^\\s@＠[\\]]{0,${most}})$`);

// `before` is the text before the caret; a query has at most `most` characters, and only a note (`isNote`) has queries
// for colleagues. Returns null, or the query with the part of the text that a choice replaces: {kind, text, from, to}.
export function queryBefore(before, isNote, most) {
  const to = before.length;
  const reply = slash(most).exec(before);
  if (reply) return { kind: "replies", text: reply[1], from: 0, to };
  const name = isNote && mention(most).exec(before);
  return name ? { kind: "colleagues", text: name[1], from: to - name[1].length - 1, to } : null;
}

// Whether two queries are of the same kind and at the same place, however much of them is typed.
export const isSameQuery = (one, other) => Boolean(one && other) && one.kind === other.kind && one.from === other.from;
