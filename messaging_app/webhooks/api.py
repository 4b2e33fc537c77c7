"""The door to webhooks: where a program has its events sent, and how that went."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from rest_framework import mixins, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from agents_app.actors import Actor
from agents_app.api.viewsets import Endpoints, command, number, read_endpoint
from agents_app.scopes import Scope
from config import limits
from config.api import Id, RequestSerializer
from config.errors import NotFound
from messaging_app.fields import SentTime
from messaging_app.models import WebhookDelivery, WebhookEndpoint
from messaging_app.webhooks import endpoints
from messaging_app.webhooks.delivery import GIVE_UP

# --- What it takes -----------------------------------------------------------------------------------------------


def _types() -> serializers.ListField:
    return serializers.ListField(
        child=serializers.RegexField(endpoints.TYPE, max_length=endpoints.MAX_TYPE),
        required=False,
        max_length=endpoints.MOST_TYPES,
        help_text="The types of events to send, such as `message.created`, or `session.*` for all of a kind. Empty: all.",
    )


class WebhookRequest(RequestSerializer):
    url = serializers.CharField(max_length=limits.MAX_URL, help_text="By https, and reachable by anybody.")
    types = _types()
    description = serializers.CharField(required=False, allow_blank=True, max_length=limits.MAX_DESCRIPTION)


class ChangeWebhookRequest(RequestSerializer):
    url = serializers.CharField(required=False, max_length=limits.MAX_URL)
    types = _types()
    description = serializers.CharField(required=False, allow_blank=True, max_length=limits.MAX_DESCRIPTION)
    is_enabled = serializers.BooleanField(required=False, help_text="Enabled again, it goes on where it stopped.")


class RotateRequest(RequestSerializer):
    keep_old_for = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=7 * 24 * 3600,
        help_text="Seconds that the present secret goes on signing beside the new one: a day unless told.",
    )


class ReplayRequest(RequestSerializer):
    """From behind a position, or from a time on."""

    after = serializers.IntegerField(required=False, min_value=0, max_value=limits.MAX_NUMBER)
    since = SentTime(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError("Name either a position or a time.")
        return attrs


# --- What it answers ---------------------------------------------------------------------------------------------


class WebhookResponse(serializers.ModelSerializer[WebhookEndpoint]):
    id = Id()
    types = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = WebhookEndpoint
        fields = (
            "id",
            "url",
            "types",
            "description",
            "is_enabled",
            "disabled_reason",
            "pos",
            "failing_since",
            "last_success_at",
            "not_before",
            "old_secret_until",
            "created_at",
        )
        read_only_fields = fields
        extra_kwargs = {
            "pos": {"help_text": "Up to this position of the stream every event it wants has its delivery."},
            "failing_since": {"help_text": f"No success since; after {GIVE_UP.days} days it is disabled."},
            "not_before": {"help_text": "The receiver asked for no more until then."},
            "old_secret_until": {"help_text": "So long the secret before signs too."},
        }


class IssuedWebhookResponse(WebhookResponse):
    """With the secret that signs, which is shown this once."""

    secret = serializers.CharField(read_only=True)

    class Meta:
        model = WebhookEndpoint
        fields = (*WebhookResponse.Meta.fields, "secret")
        read_only_fields = fields
        extra_kwargs = WebhookResponse.Meta.extra_kwargs


class AttemptResponse(serializers.Serializer[dict[str, Any]]):
    at = serializers.DateTimeField()
    code = serializers.IntegerField(allow_null=True, help_text="The receiver's status, if it answered.")
    error = serializers.CharField()
    answer = serializers.CharField(help_text="How its answer began.")
    milliseconds = serializers.IntegerField()


class DeliveryResponse(serializers.ModelSerializer[WebhookDelivery]):
    id = Id()
    webhook_id = Id(source="endpoint_id")
    log = AttemptResponse(many=True)

    class Meta:
        model = WebhookDelivery
        fields = (
            "id",
            "webhook_id",
            "event_id",
            "type",
            "pos",
            "status",
            "attempts",
            "next_attempt_at",
            "last_code",
            "last_error",
            "log",
            "created_at",
        )
        read_only_fields = fields


class DeliveryFilter(django_filters.FilterSet):
    status = django_filters.MultipleChoiceFilter(choices=WebhookDelivery.Status.choices)
    event_id = django_filters.CharFilter(max_length=limits.MAX_EVENT_ID)


# --- The endpoints -----------------------------------------------------------------------------------------------


class WebhookEndpoints(mixins.ListModelMixin, mixins.RetrieveModelMixin, Endpoints):
    """Where events are sent: an integrator's own, or for an administrator all of the tenant's."""

    queryset = WebhookEndpoint.objects.none()
    serializer_class = WebhookResponse
    filterset_class: Any = None

    def get_queryset(self) -> QuerySet[Any]:
        return endpoints.endpoints_of(self.actor)

    def get_object(self) -> WebhookEndpoint:
        endpoint: WebhookEndpoint | None = self.get_queryset().filter(pk=number(self.kwargs["pk"])).first()
        if endpoint is None:
            raise NotFound("There is no such webhook.")
        return endpoint

    @read_endpoint(WebhookResponse(many=True), scope=Scope.WEBHOOKS)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Webhooks, the newest first."""
        return super().list(request, *args, **kwargs)

    @read_endpoint(WebhookResponse, scope=Scope.WEBHOOKS)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One webhook, and how it fares."""
        return super().retrieve(request, *args, **kwargs)

    @command(body=WebhookRequest, answer=IssuedWebhookResponse, scope=Scope.WEBHOOKS, status=201)
    def create(self, actor: Actor, **body: Any) -> WebhookEndpoint:
        """Have what happens from now on sent to an address. The answer's secret is shown this once."""
        return endpoints.create_endpoint(actor=actor, **body).endpoint

    @command(body=ChangeWebhookRequest, answer=WebhookResponse, scope=Scope.WEBHOOKS, called="change")
    def partial_update(self, actor: Actor, pk: int, **body: Any) -> WebhookEndpoint:
        """Change what is named."""
        return endpoints.change_endpoint(actor=actor, endpoint_id=pk, **body)

    @command(answer=None, status=204, scope=Scope.WEBHOOKS, called="delete")
    def destroy(self, actor: Actor, pk: int) -> None:
        """Send nothing more."""
        endpoints.delete_endpoint(actor=actor, endpoint_id=pk)

    @command(body=RotateRequest, answer=IssuedWebhookResponse, scope=Scope.WEBHOOKS)
    def rotate_secret(self, actor: Actor, pk: int, **body: Any) -> WebhookEndpoint:
        """Take a new secret. It is shown this once; the present one signs beside it for a while."""
        return endpoints.rotate_secret(actor=actor, endpoint_id=pk, **body).endpoint

    @command(answer=DeliveryResponse, scope=Scope.WEBHOOKS, status=201)
    def ping(self, actor: Actor, pk: int) -> WebhookDelivery:
        """Send a `ping` before everything else that waits. It is tried once; its delivery shows what came of it."""
        return endpoints.ping(actor=actor, endpoint_id=pk)

    @command(body=ReplayRequest, answer=WebhookResponse, scope=Scope.WEBHOOKS)
    def replay(self, actor: Actor, pk: int, **body: Any) -> WebhookEndpoint:
        """Send all that the webhook wants once more, under the same ids, as far as it is kept."""
        return endpoints.replay_since(actor=actor, endpoint_id=pk, **body)

    @read_endpoint(DeliveryResponse(many=True), scope=Scope.WEBHOOKS, detail=True)
    def deliveries(self, request: Request, pk: str) -> Response:
        """What was sent and how it went, attempt by attempt, the newest first; kept for thirty days."""
        rows = endpoints.deliveries_of(self.actor).filter(endpoint=self.get_object())
        page = self.paginate_queryset(self.filter_queryset(rows))
        return self.get_paginated_response(DeliveryResponse(page, many=True).data)

    deliveries.kwargs["filterset_class"] = DeliveryFilter

    @command(answer=DeliveryResponse, scope=Scope.WEBHOOKS, path=r"deliveries/(?P<delivery>[^/]+)/replay")
    def send_again(self, actor: Actor, pk: int, delivery: int) -> WebhookDelivery:
        """Send one delivery again, under its id and from the beginning of the schedule."""
        if not endpoints.deliveries_of(actor).filter(pk=delivery, endpoint_id=pk).exists():
            raise NotFound("There is no such delivery.")
        return endpoints.replay(actor=actor, delivery_id=delivery)
