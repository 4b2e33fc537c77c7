// A calm message in the corner, read out by screen readers.

const STAYS = 9000; // milliseconds

export function toast(text) {
  const box = document.getElementById("toasts");
  for (const old of box.children) if (old.firstChild.textContent === text) old.remove();
  const note = document.createElement("div");
  note.className = "toast";
  const words = document.createElement("p");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.setAttribute("aria-label", box.dataset.close);
  close.textContent = "×";
  close.addEventListener("click", () => note.remove());
  note.append(words, close);
  box.append(note);
  setTimeout(() => note.remove(), STAYS);
}
