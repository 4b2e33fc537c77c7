"""Canned replies: searched, filled in for a conversation, and edited."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import mixins, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from agents_app.actors import Actor
from agents_app.api.viewsets import Endpoints, command, number, read_endpoint
from agents_app.scopes import Scope
from agents_app.sharing import Sharing
from config import limits
from config.api import Id, IdFilter, RequestSerializer
from config.pages import Pages
from messaging_app.agent_tools import canned_replies
from messaging_app.models.agent_tools import CannedReply
from sessions_app.api.filtering import FilterByRole
from sessions_app.queries import reply_rendering

VARIABLES = ", ".join(f"`{{{name}}}`" for name in canned_replies.VARIABLES)


class CannedReplyRequest(RequestSerializer):
    scope = serializers.ChoiceField(
        Sharing.choices, required=False, help_text="Your own unless told; the others are kept by supervisors."
    )
    team_id = Id(required=False, help_text="With scope `team`, and only then.")
    shortcut = serializers.CharField(
        max_length=1 + limits.MAX_SHORTCUT, help_text="Such as `/refund`: kept in small letters."
    )
    title = serializers.CharField(max_length=limits.MAX_TITLE)
    text = serializers.CharField(
        max_length=limits.MAX_REPLY, trim_whitespace=False, help_text=f"May hold the variables {VARIABLES}."
    )
    language = serializers.CharField(required=False, allow_blank=True, max_length=limits.MAX_LANGUAGE)


class ChangeCannedReplyRequest(RequestSerializer):
    shortcut = serializers.CharField(required=False, max_length=1 + limits.MAX_SHORTCUT)
    title = serializers.CharField(required=False, max_length=limits.MAX_TITLE)
    text = serializers.CharField(required=False, max_length=limits.MAX_REPLY, trim_whitespace=False)
    language = serializers.CharField(required=False, allow_blank=True, max_length=limits.MAX_LANGUAGE)


class RenderRequest(RequestSerializer):
    conversation_id = Id()


class CannedReplyResponse(serializers.ModelSerializer[CannedReply]):
    id = Id()
    scope = serializers.ChoiceField(Sharing.choices)
    team_id = Id(allow_null=True)
    rendered = serializers.SerializerMethodField(
        help_text="The text as it would be said in the conversation that was named; null where none was."
    )

    class Meta:
        model = CannedReply
        fields = (
            "id",
            "scope",
            "team_id",
            "shortcut",
            "title",
            "text",
            "rendered",
            "language",
            "changed_by",
            "changed_at",
        )
        read_only_fields = fields

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_rendered(self, reply: CannedReply) -> str | None:
        values = self.context.get("values")
        return None if values is None else canned_replies.fill_in(reply.text, values)


class RenderedResponse(serializers.Serializer[dict[str, str]]):
    text = serializers.CharField()


class CannedReplyFilter(FilterByRole):
    list_name = "canned_replies"

    q = django_filters.CharFilter(
        method="that_hold",
        max_length=limits.MAX_SEARCH,
        help_text="Any of these words in shortcut, title or text; whose shortcut begins with it comes first.",
    )
    scope = django_filters.ChoiceFilter(choices=Sharing.choices, method="shared_as")
    conversation_id = IdFilter(method="unnarrowed", help_text="Fill the variables in for this conversation.")

    def that_hold(self, rows: QuerySet[CannedReply], name: str, value: str) -> QuerySet[CannedReply]:
        return canned_replies.find(rows, value)

    def shared_as(self, rows: QuerySet[CannedReply], name: str, value: str) -> QuerySet[CannedReply]:
        return canned_replies.shared_as(rows, value)

    def unnarrowed(self, rows: QuerySet[CannedReply], name: str, value: int) -> QuerySet[CannedReply]:
        return rows


class FittestFirst(Pages):
    ordering = "place"


class CannedReplyEndpoints(mixins.ListModelMixin, mixins.RetrieveModelMixin, Endpoints):
    """Words that are said often: an agent's own, a team's, the tenant's."""

    queryset = CannedReply.objects.none()
    serializer_class = CannedReplyResponse
    filterset_class: Any = CannedReplyFilter
    pagination_class = FittestFirst

    def get_queryset(self) -> QuerySet[Any]:
        return canned_replies.find(canned_replies.replies_of(self.actor), "")

    def get_object(self) -> CannedReply:
        return canned_replies.reply(self.actor, number(self.kwargs["pk"]))

    def _context(self, request: Request) -> dict[str, Any]:
        conversation_id = request.query_params.get("conversation_id")
        values = reply_rendering.values_in(self.actor, number(conversation_id)) if conversation_id else None
        return {**self.get_serializer_context(), "values": values}

    @read_endpoint(CannedReplyResponse(many=True), scope=Scope.READ)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Canned replies, the fittest first; one's own before a team's, a team's before the tenant's."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        answers = CannedReplyResponse(page, many=True, context=self._context(request))
        return self.get_paginated_response(answers.data)

    @read_endpoint(CannedReplyResponse, scope=Scope.READ)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One canned reply."""
        return super().retrieve(request, *args, **kwargs)

    @command(body=CannedReplyRequest, answer=CannedReplyResponse, scope=Scope.READ, status=201)
    def create(self, actor: Actor, **body: Any) -> CannedReply:
        """Keep a reply of one's own, or as a supervisor a team's or everybody's. Agents only."""
        return canned_replies.create_reply(actor=actor, **body)

    @command(body=ChangeCannedReplyRequest, answer=CannedReplyResponse, scope=Scope.READ, called="change")
    def partial_update(self, actor: Actor, pk: int, **body: Any) -> CannedReply:
        """Change what is named. Whose it is stays."""
        return canned_replies.change_reply(actor=actor, reply_id=pk, **body)

    @command(answer=None, status=204, scope=Scope.READ, called="delete")
    def destroy(self, actor: Actor, pk: int) -> None:
        """Keep it no more."""
        canned_replies.delete_reply(actor=actor, reply_id=pk)

    @command(body=RenderRequest, answer=RenderedResponse, scope=Scope.READ)
    def render(self, actor: Actor, pk: int, conversation_id: int) -> dict[str, str]:
        """The text with its variables filled in for a conversation. Nothing is said by this."""
        return {"text": reply_rendering.render(actor=actor, reply_id=pk, conversation_id=conversation_id)}
