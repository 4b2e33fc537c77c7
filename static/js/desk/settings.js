// What an agent wants of this browser: which sounds, whether notices on the screen, whether "?" is a shortcut. Kept in
// the browser, and read anew each time, so that all tabs agree.

const at = `tandem:settings:${document.body.dataset.agent}`;
const form = document.getElementById("settings-form");

function kept() {
  try {
    return JSON.parse(localStorage.getItem(at)) ?? {};
  } catch {
    return {}; // a forbidden store: everything is as it comes
  }
}

export const isOn = (name) => kept()[name] ?? true;

export function keep(name, value) {
  try {
    localStorage.setItem(at, JSON.stringify({ ...kept(), [name]: value }));
  } catch {
    // it holds for this page no longer than the box is ticked
  }
}

document.getElementById("settings").addEventListener("shown", () => {
  for (const box of form.querySelectorAll("input[type=checkbox]")) box.checked = isOn(box.name);
});
form.addEventListener("change", (event) => keep(event.target.name, event.target.checked));
