"""What agents find conversations by: labels, saved views, and the notes that mention them."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework import mixins, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from agents_app.actors import Actor
from agents_app.rest import Endpoints, command, number, reads
from agents_app.scopes import Scope
from agents_app.shared import Sharing
from config import limits
from config.api import Body, ByName, FlagFilter, Id
from messaging_app import labels, mentions
from messaging_app.desk_models import Label, Mention, SavedView
from messaging_app.models import Controller, Tier
from sessions_app import filters, saved_views
from sessions_app.api.answers import LabelAnswer, MessageAnswer
from sessions_app.api.fields import IdText
from sessions_app.api.filtering import FilterByRole

# --- Labels ------------------------------------------------------------------------------------------------------


class LabelBody(Body):
    name = serializers.CharField(max_length=limits.MAX_LABEL_NAME)
    colour = serializers.ChoiceField(Label.Colour.choices, required=False)


class ChangeLabelBody(Body):
    name = serializers.CharField(required=False, max_length=limits.MAX_LABEL_NAME)
    colour = serializers.ChoiceField(Label.Colour.choices, required=False)
    is_enabled = serializers.BooleanField(
        required=False, help_text="Out of use, it stays where it is and is put on nothing more."
    )


class LabelEndpoints(mixins.ListModelMixin, mixins.RetrieveModelMixin, Endpoints):
    """The words that conversations are labelled with."""

    queryset = Label.objects.none()
    serializer_class = LabelAnswer
    pagination_class = ByName
    filterset_class = None

    def get_queryset(self) -> QuerySet[Any]:
        return labels.labels_of(self.actor)

    def get_object(self) -> Label:
        return labels.label_of(self.actor, number(self.kwargs["pk"]))

    @reads(LabelAnswer(many=True), scope=Scope.READ)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Labels by name, those out of use too."""
        return super().list(request, *args, **kwargs)

    @reads(LabelAnswer, scope=Scope.READ)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One label."""
        return super().retrieve(request, *args, **kwargs)

    @command(body=LabelBody, answer=LabelAnswer, scope=Scope.READ, status=201)
    def create(self, actor: Actor, **body: Any) -> Label:
        """A new label. Supervisors only."""
        return labels.create_label(actor=actor, **body)

    @command(body=ChangeLabelBody, answer=LabelAnswer, scope=Scope.READ, called="change")
    def partial_update(self, actor: Actor, pk: int, **body: Any) -> Label:
        """Change what is named. Conversations keep the label."""
        return labels.change_label(actor=actor, label_id=pk, **body)

    @command(answer=None, status=204, scope=Scope.READ, called="delete")
    def destroy(self, actor: Actor, pk: int) -> None:
        """Delete a label that no conversation has; 409 `label_in_use` otherwise."""
        labels.delete_label(actor=actor, label_id=pk)


# --- Saved views -------------------------------------------------------------------------------------------------


class ViewFilterBody(Body):
    """All that is named must hold; what is not named does not matter."""

    view = serializers.ChoiceField([(view, view) for view in filters.VIEWS], required=False)
    controller = serializers.ListField(child=serializers.ChoiceField(Controller.choices), required=False, max_length=5)
    tier = serializers.ListField(child=serializers.ChoiceField(Tier.choices), required=False, max_length=5)
    labels = serializers.ListField(
        child=Id(), required=False, max_length=filters.MOST_LABELS, help_text="Any of these."
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
        required=False, min_value=0, max_value=filters.LONGEST_WAIT, help_text="Waits longer than so many seconds."
    )
    search = serializers.CharField(
        required=False, max_length=limits.MAX_SEARCH, help_text="Words in the messages, the customer's name or account."
    )


class SavedViewBody(Body):
    scope = serializers.ChoiceField(
        Sharing.choices, required=False, help_text="Your own unless told; the others are kept by supervisors."
    )
    team_id = Id(required=False, help_text="With scope `team`, and only then.")
    name = serializers.CharField(max_length=limits.MAX_VIEW_NAME)
    filter = ViewFilterBody()


class ChangeSavedViewBody(Body):
    name = serializers.CharField(required=False, max_length=limits.MAX_VIEW_NAME)
    filter = ViewFilterBody(required=False, help_text="Takes the place of the whole filter.")


class SavedViewAnswer(serializers.ModelSerializer[SavedView]):
    id = Id()
    scope = serializers.ChoiceField(Sharing.choices)
    team_id = Id(allow_null=True)
    filter = ViewFilterBody()

    class Meta:
        model = SavedView
        fields = ("id", "scope", "team_id", "name", "filter", "changed_by", "changed_at")
        read_only_fields = fields

    def to_representation(self, view: SavedView) -> dict[str, Any]:
        view.filter = filters.stored(view.filter).as_dict()
        return super().to_representation(view)


class SavedViewEndpoints(mixins.ListModelMixin, mixins.RetrieveModelMixin, Endpoints):
    """Parts of the desk's list, under a name: an agent's own, a team's, the tenant's."""

    queryset = SavedView.objects.none()
    serializer_class = SavedViewAnswer
    pagination_class = ByName
    filterset_class = None

    def get_queryset(self) -> QuerySet[Any]:
        return saved_views.views_of(self.actor)

    def get_object(self) -> SavedView:
        return saved_views.saved_view(self.actor, number(self.kwargs["pk"]))

    @reads(SavedViewAnswer(many=True), scope=Scope.READ)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Saved views by name. `GET conversations?saved_view=` shows what is in one."""
        return super().list(request, *args, **kwargs)

    @reads(SavedViewAnswer, scope=Scope.READ)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One saved view."""
        return super().retrieve(request, *args, **kwargs)

    @command(body=SavedViewBody, answer=SavedViewAnswer, scope=Scope.READ, status=201)
    def create(self, actor: Actor, **body: Any) -> SavedView:
        """Save a view of one's own, or as a supervisor a team's or everybody's. Agents only."""
        return saved_views.create_view(actor=actor, **_with_ids(body))

    @command(body=ChangeSavedViewBody, answer=SavedViewAnswer, scope=Scope.READ, called="change")
    def partial_update(self, actor: Actor, pk: int, **body: Any) -> SavedView:
        """Change name or filter. Whose it is stays."""
        return saved_views.change_view(actor=actor, view_id=pk, **_with_ids(body))

    @command(answer=None, status=204, scope=Scope.READ, called="delete")
    def destroy(self, actor: Actor, pk: int) -> None:
        """Delete the view. The conversations stay."""
        saved_views.delete_view(actor=actor, view_id=pk)


def _with_ids(body: dict[str, Any]) -> dict[str, Any]:
    """The filter as it is kept: with ids as the text that they are outside."""
    if "filter" not in body:
        return body
    kept = dict(body["filter"])
    if "labels" in kept:
        kept["labels"] = [str(pk) for pk in kept["labels"]]
    if "team_id" in kept:
        kept["team_id"] = str(kept["team_id"])
    return body | {"filter": kept}


# --- Mentions ----------------------------------------------------------------------------------------------------


class MentionAnswer(serializers.ModelSerializer[Mention]):
    """A private note that names the agent who asks."""

    id = Id()
    conversation_id = Id()
    message = MessageAnswer()

    class Meta:
        model = Mention
        fields = ("id", "conversation_id", "message", "at", "read_at")
        read_only_fields = fields


class MentionFilter(FilterByRole):
    list_name = "mentions"

    unread = FlagFilter(method="of_state", help_text="True: not read yet.")

    def of_state(self, rows: QuerySet[Mention], name: str, value: bool) -> QuerySet[Mention]:
        return rows.filter(read_at__isnull=value)


class MentionEndpoints(mixins.ListModelMixin, Endpoints):
    """Private notes that name the agent who asks."""

    queryset = Mention.objects.none()
    serializer_class = MentionAnswer
    filterset_class = MentionFilter

    def get_queryset(self) -> QuerySet[Any]:
        return mentions.mentions_of(self.actor).select_related("message")

    @reads(MentionAnswer(many=True), scope=Scope.READ)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One's own mentions, the newest first. Agents only."""
        return super().list(request, *args, **kwargs)

    @command(answer=MentionAnswer, scope=Scope.READ)
    def read(self, actor: Actor, pk: int) -> Mention:
        """Note that a mention was read; done again, the first time stays."""
        return mentions.read(actor=actor, mention_id=pk)
