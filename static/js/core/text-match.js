// Whether a text contains every word of a query, whatever their case, width and order. Pure.

const plain = (text) => text.normalize("NFKC").toLocaleLowerCase();

export function matches(text, query) {
  const known = plain(text);
  return plain(query).split(/\s+/).every((word) => known.includes(word));
}
