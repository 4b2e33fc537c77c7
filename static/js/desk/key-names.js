// Keys by name, as the table of shortcuts writes them ("Mod+Alt+E"), as they stand on a keyboard, and as a screen reader is
// told of them. Pure: whether the keyboard is Apple's is given.

const APPLE_CAPS = { Mod: "⌘", Alt: "⌥", Shift: "⇧" };
const CAPS = { Mod: "Ctrl" };

export function keyCaps(keys, isApple) {
  const caps = isApple ? APPLE_CAPS : CAPS;
  return keys.split("+").map((key) => caps[key] ?? key);
}

// As `aria-keyshortcuts` wants them.
export const ariaKeys = (keys, isApple) => keys.replace("Mod", isApple ? "Meta" : "Control");

// Option and foreign layouts make another letter of a key, so with a modifier it is known by its place where what it types
// is no plain letter. AltGr is for typing: what it makes is never a shortcut.
function letterOf(event, isApple) {
  if (!event.altKey && !event.ctrlKey && !event.metaKey) return "";
  if (/^[a-z]$/i.test(event.key)) return event.key.toUpperCase();
  if (!isApple && event.getModifierState("AltGraph")) return "";
  return /^Key([A-Z])$/.exec(event.code)?.[1] ?? "";
}

// What was pressed, as the table writes it; empty for what cannot stand there.
export function pressedKeys(event, isApple) {
  const [mod, other] = isApple ? [event.metaKey, event.ctrlKey] : [event.ctrlKey, event.metaKey];
  if (other) return "";
  const letter = letterOf(event, isApple);
  const held = [mod && "Mod", event.altKey && "Alt", letter && event.shiftKey && "Shift"];
  return [...held, letter || event.key].filter(Boolean).join("+");
}

// An input method's first key comes before its composition; a dead key (Option+E) looks the same and is none.
export const isComposing = (event) => event.isComposing || (event.keyCode === 229 && event.key !== "Dead");
