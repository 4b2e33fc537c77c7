// What this browser stores: the only module that touches localStorage and sessionStorage. A store that is full,
// forbidden or damaged never throws: then a read returns null, or no keys, and a write is dropped.

function openStore(area) {
  const safely = (work, otherwise = null) => {
    try {
      return work(area());
    } catch {
      return otherwise;
    }
  };
  return {
    get: (key) => safely((store) => store.getItem(key)),
    set: (key, text) => safely((store) => store.setItem(key, text)),
    getJson: (key) => safely((store) => JSON.parse(store.getItem(key))),
    setJson: (key, value) => safely((store) => store.setItem(key, JSON.stringify(value))),
    remove: (key) => safely((store) => store.removeItem(key)),
    keys: (prefix) => safely((store) => Object.keys(store).filter((key) => key.startsWith(prefix)), []),
  };
}

export const local = openStore(() => localStorage); // for all pages of this browser
export const session = openStore(() => sessionStorage); // for this tab

// Calls `changed` with the key each time that another page of this browser changes a key with this prefix.
export function watchLocal(prefix, changed) {
  addEventListener("storage", ({ key }) => key?.startsWith(prefix) && changed(key));
}
