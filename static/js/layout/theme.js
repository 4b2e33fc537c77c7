// Light, dark, or as the system has it: set before the first paint, so that nothing flashes; hence no module.

(() => {
  const KEY = "tandem:theme";
  const THEMES = ["system", "light", "dark"];
  const root = document.documentElement;

  function kept() {
    try {
      const theme = localStorage.getItem(KEY);
      return THEMES.includes(theme) ? theme : "system";
    } catch {
      return "system"; // a forbidden store: the choice lasts as long as the page
    }
  }

  function show(theme) {
    root.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (!button) return;
    button.hidden = false;
    button.querySelector(".rail-word").textContent = button.dataset[`word${theme[0].toUpperCase()}${theme.slice(1)}`];
  }

  show(kept());
  document.addEventListener("DOMContentLoaded", () => show(root.dataset.theme));
  addEventListener("storage", (event) => event.key === KEY && show(kept())); // another tab has chosen
  document.addEventListener("click", (event) => {
    if (!event.target.closest("#theme")) return;
    const theme = THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length];
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // see above
    }
    show(theme);
  });
})();
