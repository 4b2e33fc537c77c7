"""The admin of this app's models, one module for each noun. Importing it registers them all."""

from messaging_app.admin import agent_tools, attachments, conversations, need_rules, webhooks

__all__ = ["agent_tools", "attachments", "conversations", "need_rules", "webhooks"]
