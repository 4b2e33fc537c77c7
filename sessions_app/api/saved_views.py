"""Saved views of the list: read, made, changed, deleted."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework import mixins, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from agents_app.actors import Actor
from agents_app.api.viewsets import Endpoints, command, number, read_endpoint
from agents_app.scopes import Scope
from agents_app.sharing import Sharing
from config import limits
from config.api import Id, RequestSerializer
from config.pages import ByName
from messaging_app.models import Controller, Tier
from messaging_app.models.agent_tools import SavedView
from sessions_app.actions import saved_views
from sessions_app.api.fields import IdText
from sessions_app.queries import view_counts, view_filters


class ViewFilter(RequestSerializer):
    """All that is named must hold; what is not named does not matter."""

    view = serializers.ChoiceField([(view, view) for view in view_filters.VIEWS], required=False)
    controller = serializers.ListField(child=serializers.ChoiceField(Controller.choices), required=False, max_length=5)
    tier = serializers.ListField(child=serializers.ChoiceField(Tier.choices), required=False, max_length=5)
    labels = serializers.ListField(
        child=Id(), required=False, max_length=view_filters.MOST_LABELS, help_text="Any of these."
    )
    owner = serializers.RegexField(
        rf"^(me|none|[0-9]{{1,{limits.MAX_DIGITS}}})$",
        required=False,
        help_text="`me`, `none` for nobody, or an agent's id.",
    )
    team_id = Id(required=False, help_text="What waits for the team, or is served by one of its members.")
    platform = IdText(required=False, max_length=limits.MAX_PLATFORM)
    shop_id = IdText(required=False)
    needs_human = serializers.BooleanField(required=False)
    waiting_over = serializers.IntegerField(
        required=False, min_value=0, max_value=view_filters.LONGEST_WAIT, help_text="Waits longer than so many seconds."
    )
    search = serializers.CharField(
        required=False, max_length=limits.MAX_SEARCH, help_text="Words in the messages, the customer's name or account."
    )


class SavedViewRequest(RequestSerializer):
    scope = serializers.ChoiceField(
        Sharing.choices, required=False, help_text="Your own unless told; the others are kept by supervisors."
    )
    team_id = Id(required=False, help_text="With scope `team`, and only then.")
    name = serializers.CharField(max_length=limits.MAX_VIEW_NAME)
    filter = ViewFilter()


class ChangeSavedViewRequest(RequestSerializer):
    name = serializers.CharField(required=False, max_length=limits.MAX_VIEW_NAME)
    filter = ViewFilter(required=False, help_text="Takes the place of the whole filter.")


class SavedViewResponse(serializers.ModelSerializer[SavedView]):
    id = Id()
    scope = serializers.ChoiceField(Sharing.choices)
    team_id = Id(allow_null=True)
    filter = ViewFilter()

    class Meta:
        model = SavedView
        fields = ("id", "scope", "team_id", "name", "filter", "changed_by", "changed_at")
        read_only_fields = fields

    def to_representation(self, view: SavedView) -> dict[str, Any]:
        view.filter = view_filters.stored(view.filter).as_dict()
        return super().to_representation(view)


class SavedViewEndpoints(mixins.ListModelMixin, mixins.RetrieveModelMixin, Endpoints):
    """Parts of the desk's list, under a name: an agent's own, a team's, the tenant's."""

    queryset = SavedView.objects.none()
    serializer_class = SavedViewResponse
    pagination_class = ByName
    filterset_class = None

    def get_queryset(self) -> QuerySet[Any]:
        return view_counts.views_of(self.actor)

    def get_object(self) -> SavedView:
        return view_counts.saved_view(self.actor, number(self.kwargs["pk"]))

    @read_endpoint(SavedViewResponse(many=True), scope=Scope.READ)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Saved views by name. `GET conversations?saved_view=` shows what is in one."""
        return super().list(request, *args, **kwargs)

    @read_endpoint(SavedViewResponse, scope=Scope.READ)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One saved view."""
        return super().retrieve(request, *args, **kwargs)

    @command(body=SavedViewRequest, answer=SavedViewResponse, scope=Scope.READ, status=201)
    def create(self, actor: Actor, **body: Any) -> SavedView:
        """Save a view of one's own, or as a supervisor a team's or everybody's. Agents only."""
        return saved_views.create_view(actor=actor, **_with_ids(body))

    @command(body=ChangeSavedViewRequest, answer=SavedViewResponse, scope=Scope.READ, called="change")
    def partial_update(self, actor: Actor, pk: int, **body: Any) -> SavedView:
        """Change name or filter. Whose it is stays."""
        return saved_views.change_view(actor=actor, view_id=pk, **_with_ids(body))

    @command(answer=None, status=204, scope=Scope.READ, called="delete")
    def destroy(self, actor: Actor, pk: int) -> None:
        """Delete the view. The conversations stay."""
        saved_views.delete_view(actor=actor, view_id=pk)


def _with_ids(body: dict[str, Any]) -> dict[str, Any]:
    """The body with the filter as it is stored: its ids are text."""
    if "filter" not in body:
        return body
    stored = dict(body["filter"])
    if "labels" in stored:
        stored["labels"] = [str(pk) for pk in stored["labels"]]
    if "team_id" in stored:
        stored["team_id"] = str(stored["team_id"])
    return body | {"filter": stored}
