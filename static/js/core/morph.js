// Updates a part of the page in place. Focus, scroll, open menus, what is being typed (`data-typed`) and what the page
// got by another way (`data-pushed`) stay.

const callbacks = {
  beforeNodeMorphed: (old) => !(old.matches?.("[data-typed], [data-pushed], .fold[open] select") ?? false),
  beforeAttributeUpdated: (name, node) => !(name === "open" && node.localName === "details"),
};

export function morph(old, fresh) {
  if (old && fresh) Idiomorph.morph(old, fresh.outerHTML, { morphStyle: "outerHTML", callbacks });
}

export function morphInside(old, fresh) {
  if (old && fresh) Idiomorph.morph(old, fresh, { morphStyle: "innerHTML", callbacks });
}
