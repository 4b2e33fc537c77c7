// How a composer looks: reply and note differ, and a reply that is not possible now says why.

export function showMode(form = document.getElementById("composer")) {
  if (!form) return;
  const field = form.elements.content;
  const mode = form.elements.mode.value;
  const isLocked = mode !== "note" && Boolean(document.getElementById("lock").dataset.lock);
  form.classList.toggle("is-note", mode === "note");
  form.classList.toggle("is-locked", isLocked);
  field.placeholder = field.dataset[mode];
  form.querySelector(".send").setAttribute("aria-disabled", String(isLocked));
}
