// Rows that do not move under the pointer: what has changed in the order of a list, and how much.

// How many rows came, went or moved between two orders; a row that jumped to the front counts once.
export function countMoves(before, after) {
  const places = new Map(after.map((id, place) => [id, place]));
  const common = before.filter((id) => places.has(id)).map((id) => places.get(id));
  return before.length + after.length - common.length - rising(common);
}

// Whether the rows that are shown stay where they are: others only follow after them.
export const keepsOrder = (before, after) => before.every((id, place) => after[place] === id);

// The length of the longest increasing subsequence: the rows that kept their order.
function rising(numbers) {
  const tails = [];
  for (const number of numbers) {
    const at = tails.findIndex((tail) => tail >= number);
    tails[at < 0 ? tails.length : at] = number;
  }
  return tails.length;
}
