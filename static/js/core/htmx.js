// The only module that uses htmx: it activates the links of a fragment, and opens a conversation as such a link does.

export const activate = (element) => htmx.process(element);

export const openInPane = (href) => htmx.ajax("GET", href, { target: "#pane", swap: "innerHTML", push: "true" });
