// Names of keys: as the table of shortcuts writes them ("Mod+Alt+E"), as they stand on a keyboard, and for screen
// readers. Pure: `isApple` is a parameter.

const APPLE_CAPS = { Mod: "⌘", Alt: "⌥", Shift: "⇧" };
const CAPS = { Mod: "Ctrl" };

export function keyCaps(keys, isApple) {
  const caps = isApple ? APPLE_CAPS : CAPS;
  return keys.split("+").map((key) => caps[key] ?? key);
}

// In the form of `aria-keyshortcuts`.
export const ariaKeys = (keys, isApple) => keys.replace("Mod", isApple ? "Meta" : "Control");

// Option and some layouts change the letter of a key. So, with a modifier, a key that types no plain letter is known by
// its position. AltGr is for typing: it never makes a shortcut.
function letterOf(event, isApple) {
  if (!event.altKey && !event.ctrlKey && !event.metaKey) return "";
  if (/^[a-z]$/i.test(event.key)) return event.key.toUpperCase();
  if (!isApple && event.getModifierState("AltGraph")) return "";
  return /^Key([A-Z])$/.exec(event.code)?.[1] ?? "";
}

// The pressed keys, as the table writes them; empty for what cannot stand there.
export function pressedKeys(event, isApple) {
  const [mod, other] = isApple ? [event.metaKey, event.ctrlKey] : [event.ctrlKey, event.metaKey];
  if (other) return "";
  const letter = letterOf(event, isApple);
  const held = [mod && "Mod", event.altKey && "Alt", letter && event.shiftKey && "Shift"];
  return [...held, letter || event.key].filter(Boolean).join("+");
}

// An input method's first key comes before its composition; a dead key (Option+E) looks the same and is none.
export const isComposing = (event) => event.isComposing || (event.keyCode === 229 && event.key !== "Dead");
