"""Models of conversations and messages, the stream of operations, search, webhooks and rules of need."""

from messaging_app.models.agent_tools import CannedReply, ConversationLabel, Draft, Label, Mention, SavedView
from messaging_app.models.attachments import Attachment
from messaging_app.models.conversations import Controller, Conversation, Message, ReadCursor, Tier
from messaging_app.models.need_rules import NeedRule
from messaging_app.models.search import ConversationTerms, MessageTerms, SearchCursor
from messaging_app.models.stream import Operation, RecordMark, StreamHead
from messaging_app.models.webhooks import WebhookDelivery, WebhookEndpoint

__all__ = [
    "Attachment",
    "CannedReply",
    "Controller",
    "Conversation",
    "ConversationLabel",
    "ConversationTerms",
    "Draft",
    "Label",
    "Mention",
    "Message",
    "MessageTerms",
    "NeedRule",
    "Operation",
    "ReadCursor",
    "RecordMark",
    "SavedView",
    "SearchCursor",
    "StreamHead",
    "Tier",
    "WebhookDelivery",
    "WebhookEndpoint",
]
