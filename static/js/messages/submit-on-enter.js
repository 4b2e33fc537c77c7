// Enter sends, Shift+Enter is a new line, and an input method keeps the Enter that ends its composition.

export function submitOnEnter(event) {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  event.target.form.requestSubmit();
}
