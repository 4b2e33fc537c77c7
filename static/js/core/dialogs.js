// Dialogs of the desk: opened by a button or a key; closed by Escape, by their own button or by a click outside. The
// browser keeps the focus inside, and gives it back to where it was.

export function showDialog(dialog) {
  document.querySelector("dialog.dialog[open]")?.close();
  dialog.dispatchEvent(new Event("showing")); // the last moment to read the caret behind it
  dialog.showModal();
  dialog.dispatchEvent(new Event("shown"));
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) showDialog(document.getElementById(opener.dataset.opens));
  else if (event.target.matches("dialog.dialog")) event.target.close(); // outside: everything inside is on its sheet
});

for (const opener of document.querySelectorAll("[data-opens]")) opener.hidden = false;
