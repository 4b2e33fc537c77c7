from __future__ import annotations

from django.urls import include, path, re_path
from rest_framework.routers import SimpleRouter

from messaging_app.api import WebhookEndpoints
from sessions_app.api import operations
from sessions_app.api.batches import BatchEndpoints
from sessions_app.api.conversations import ConversationEndpoints
from sessions_app.api.desk import AgentEndpoints, DepartmentEndpoints, TeamEndpoints
from sessions_app.api.events import EventEndpoints, asyncapi
from sessions_app.api.files import AttachmentEndpoints
from sessions_app.api.marks import LabelEndpoints, MentionEndpoints, SavedViewEndpoints
from sessions_app.api.replies import CannedReplyEndpoints
from sessions_app.api.words import InboundEndpoint, JoinEndpoint, MessageEndpoint, TokenEndpoint
from sessions_app.api.work import FlowEndpoints, SessionEndpoints, TransferEndpoints

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
    path("v1/health/live", operations.live, name="live"),
    path("v1/health/ready", operations.ready, name="ready"),
    path("v1/build", operations.build, name="build"),
    path("v1/metrics", operations.metrics, name="metrics"),
    path("v1/openapi.json", operations.Document.as_view(), name="openapi"),
    path("v1/asyncapi.yaml", asyncapi, name="asyncapi"),
    path("docs", operations.docs, name="docs"),
    path("docs/errors", operations.errors, name="errors"),
    re_path("", operations.nowhere),
]
