// What to alert an agent to, by kind, and what of it is new. Pure. Each entry is a pair from the server,
// "conversation:mark"; another mark means something new in the same conversation.

// The most pressing first.
export const KINDS = ["offered", "near", "mine", "unread"];

export const parseAlerts = (dataset) =>
  Object.fromEntries(KINDS.map((kind) => [kind, dataset[kind]?.split(",").filter(Boolean) ?? []]));

// The most pressing kind that has something new, and the conversation; null where nothing is new.
export function newestAlert(before, now) {
  for (const kind of KINDS) {
    const fresh = now[kind].find((pair) => !before[kind].includes(pair));
    if (fresh) return { kind, conversation: fresh.split(":")[0] };
  }
  return null;
}

// How many conversations need the agent: those offered, and those unread that were not read at this page.
export function countCalling(alerts, isRead) {
  const calling = [...alerts.offered, ...alerts.unread.filter((pair) => !isRead(...pair.split(":")))];
  return new Set(calling.map((pair) => pair.split(":")[0])).size;
}
