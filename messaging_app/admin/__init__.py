"""The admin of what was said and how it travels: one module a noun. Importing it registers them all."""

from messaging_app.admin import agent_tools, attachments, conversations, need_rules, webhooks

__all__ = ["agent_tools", "attachments", "conversations", "need_rules", "webhooks"]
