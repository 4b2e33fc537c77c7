// Bring a part of the page up to date in place: focus, scroll, open menus, whatever is being typed and what the page was told
// of otherwise (`data-told`) stay.

const callbacks = {
  beforeNodeMorphed: (old) => !(old.matches?.("[data-typed], [data-told], .fold[open] select") ?? false),
  beforeAttributeUpdated: (name, node) => !(name === "open" && node.localName === "details"),
};

export function morph(old, fresh) {
  if (old && fresh) Idiomorph.morph(old, fresh.outerHTML, { morphStyle: "outerHTML", callbacks });
}

export function morphInside(old, fresh) {
  if (old && fresh) Idiomorph.morph(old, fresh, { morphStyle: "innerHTML", callbacks });
}
