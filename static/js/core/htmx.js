// htmx, the only module that names it: links of a fragment are brought to life, and a conversation is opened as they do.

export const activate = (element) => htmx.process(element);

export const openInPane = (href) => htmx.ajax("GET", href, { target: "#pane", swap: "innerHTML", push: "true" });
