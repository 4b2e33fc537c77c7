"""The verbs: one module a topic. Each is keyword-only, takes ids and an `Actor`, and is one unit of work."""
