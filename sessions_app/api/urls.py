from __future__ import annotations

from django.urls import include, path, re_path
from rest_framework.routers import SimpleRouter

from messaging_app.webhooks.api import WebhookEndpoints
from sessions_app.api import monitoring
from sessions_app.api.agents import AgentEndpoints, DepartmentEndpoints, TeamEndpoints
from sessions_app.api.attachments import AttachmentEndpoints
from sessions_app.api.batches import BatchEndpoints
from sessions_app.api.canned_replies import CannedReplyEndpoints
from sessions_app.api.conversations import ConversationEndpoints
from sessions_app.api.events import EventEndpoints, asyncapi
from sessions_app.api.flows import FlowEndpoints
from sessions_app.api.labels import LabelEndpoints
from sessions_app.api.mentions import MentionEndpoints
from sessions_app.api.messages import InboundEndpoint, JoinEndpoint, MessageEndpoint, TokenEndpoint
from sessions_app.api.saved_views import SavedViewEndpoints
from sessions_app.api.sessions import SessionEndpoints
from sessions_app.api.transfers import TransferEndpoints

router = SimpleRouter(trailing_slash=False)
router.register("conversations", ConversationEndpoints, "conversation")
router.register("sessions", SessionEndpoints, "session")
router.register("attachments", AttachmentEndpoints, "attachment")
router.register("transfers", TransferEndpoints, "transfer")
router.register("flows", FlowEndpoints, "flow")
router.register("inbound", InboundEndpoint, "inbound")
router.register("messages", MessageEndpoint, "message")
router.register("tokens", TokenEndpoint, "token")
router.register("join", JoinEndpoint, "join")
router.register("batches", BatchEndpoints, "batch")
router.register("agents", AgentEndpoints, "agent")
router.register("teams", TeamEndpoints, "team")
router.register("canned-replies", CannedReplyEndpoints, "canned-reply")
router.register("labels", LabelEndpoints, "label")
router.register("saved-views", SavedViewEndpoints, "saved-view")
router.register("mentions", MentionEndpoints, "mention")
router.register("departments", DepartmentEndpoints, "department")
router.register("webhooks", WebhookEndpoints, "webhook")
router.register("events", EventEndpoints, "event")

app_name = "api"
urlpatterns = [
    path("v1/", include(router.urls)),
    path("v1/health/live", monitoring.live, name="live"),
    path("v1/health/ready", monitoring.ready, name="ready"),
    path("v1/build", monitoring.build, name="build"),
    path("v1/metrics", monitoring.metrics, name="metrics"),
    path("v1/openapi.json", monitoring.Document.as_view(), name="openapi"),
    path("v1/asyncapi.yaml", asyncapi, name="asyncapi"),
    path("docs", monitoring.docs, name="docs"),
    path("docs/errors", monitoring.errors, name="errors"),
    re_path("", monitoring.nowhere),
]
