// Dialogs of the desk: opened by a button or a key; closed by Escape, by their own button or by a click beside them. The
// browser keeps the focus inside, and gives it back to where it was.

export function showDialog(dialog) {
  document.querySelector("dialog.dialog[open]")?.close();
  dialog.dispatchEvent(new Event("showing")); // behind it nothing has a caret any more
  dialog.showModal();
  dialog.dispatchEvent(new Event("shown"));
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) showDialog(document.getElementById(opener.dataset.opens));
  else if (event.target.matches("dialog.dialog")) event.target.close(); // beside it: all inside is on its sheet
});

for (const opener of document.querySelectorAll("[data-opens]")) opener.hidden = false;
