// The widths this agent has given the columns: set before the first paint, so that nothing jumps; hence no module.

(() => {
  const root = document.documentElement;
  root.dataset.scripts = "";
  try {
    const kept = JSON.parse(localStorage.getItem("tandem:widths")) ?? {};
    for (const name of ["views", "list", "context"]) {
      if (Number.isFinite(kept[name])) root.style.setProperty(`--own-${name}`, `${kept[name]}px`);
    }
    if (localStorage.getItem("tandem:context") === "folded") root.dataset.context = "folded";
  } catch {
    // nothing stored, or nothing that can be read: the default widths
  }
})();
