// Where a reader is in a thread: the first line on the screen, and how far down it stands.

export function scrollAnchor(log) {
  const top = log.getBoundingClientRect().top;
  for (const line of log.querySelectorAll("#items > li[id]")) {
    const box = line.getBoundingClientRect();
    if (box.bottom > top) return { id: line.id, down: box.top - top };
  }
  return null;
}

// Put that line back where it stood. False where it is not there any more.
export function restoreAnchor(log, place) {
  const line = place && document.getElementById(place.id);
  if (!line) return false;
  log.scrollTop += line.getBoundingClientRect().top - log.getBoundingClientRect().top - place.down;
  return true;
}
