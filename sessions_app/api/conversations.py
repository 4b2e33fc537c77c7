"""Conversations: reading them, and the commands on one as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import django_filters
from django.db.models import Q, QuerySet
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from agents_app.actors import Actor
from agents_app.api.viewsets import Endpoints, command, describes, number, read_endpoint
from agents_app.scopes import Scope
from config import limits
from config.api import FlagFilter, IdFilter, Multipart
from config.pages import KeysetPages, Pages
from messaging_app.models import Controller, Conversation, Tier
from sessions_app import queries
from sessions_app.actions import bulk, conversations, departments, takeovers, transfers
from sessions_app.actions import labels as labelling
from sessions_app.actions import messages as talk
from sessions_app.actions import participants as people
from sessions_app.api import attachments, requests
from sessions_app.api.fields import IdTextFilter
from sessions_app.api.filtering import FilterByRole, asks_for_all
from sessions_app.api.responses import (
    AttachmentResponse,
    AvailabilityResponse,
    BulkResponse,
    ConversationDetailResponse,
    ConversationResponse,
    InvitedResponse,
    MessageResponse,
    OperationResponse,
    OutcomeResponse,
    ParticipantResponse,
    QueueResponse,
)
from sessions_app.api.responses.conversations import labels_shown
from sessions_app.core.locked_conversation import Outcome
from sessions_app.models import ChatSession, Participant
from sessions_app.queries import Cursor, answered, pressing, view_counts, view_filters
from sessions_app.queries.expected_wait import waiting
from sessions_app.rights import visible
from sessions_app.states import LIVE, Owner, ParticipantStatus


class ConversationFilter(FilterByRole):
    list_name = "conversations"

    controller = django_filters.MultipleChoiceFilter(choices=Controller.choices, help_text="Whose turn it is.")
    tier = django_filters.MultipleChoiceFilter(choices=Tier.choices)
    platform = IdTextFilter(max_length=limits.MAX_PLATFORM)
    shop_id = IdTextFilter()
    account_id = IdTextFilter()
    owner_kind = django_filters.ChoiceFilter(
        choices=[(kind.value, kind.value) for kind in Owner if kind], method="of_kind", help_text="Who works it now."
    )
    agent_id = IdFilter(method="of_agent", help_text="Served by this agent.")
    mine = FlagFilter(method="of_caller", help_text="Served by the agent who asks.")
    needs_human = FlagFilter(help_text="Flagged: a human is needed.")
    sla = django_filters.ChoiceFilter(
        choices=[(word, word) for word in ("warned", "breached")],
        method="of_service_level",
        help_text="The customer still waits, longer than was promised (breached) or nearly so (warned).",
    )
    label = IdFilter(method="with_label", help_text="Those with this label.")
    saved_view = IdFilter(
        method="of_view", help_text="What a saved view shows, in the desk's order: who waits longest comes first."
    )
    search = django_filters.CharFilter(
        method="matching_text",
        max_length=limits.MAX_SEARCH,
        help_text="Words in the messages, the customer's name or account.",
    )

    class Meta:
        model = Conversation
        fields = ("controller", "tier", "platform", "shop_id", "account_id", "needs_human")

    def of_kind(self, rows: QuerySet[Conversation], name: str, value: str) -> QuerySet[Conversation]:
        return rows.filter(pk__in=_live().filter(owner_kind=value).values("conversation_id"))

    def of_agent(self, rows: QuerySet[Conversation], name: str, value: int) -> QuerySet[Conversation]:
        return rows.filter(pk__in=_live().filter(agent_id=value, owner_kind="agent").values("conversation_id"))

    def of_caller(self, rows: QuerySet[Conversation], name: str, value: bool) -> QuerySet[Conversation]:
        actor = self.actor
        served = _live().filter(agent_id=actor.pk, owner_kind="agent").values("conversation_id")
        if not actor.is_agent:
            return rows.none() if value else rows
        return rows.filter(pk__in=served) if value else rows.exclude(pk__in=served)

    def of_service_level(self, rows: QuerySet[Conversation], name: str, value: str) -> QuerySet[Conversation]:
        return pressing.with_service_level(self.actor, rows, value)

    def with_label(self, rows: QuerySet[Conversation], name: str, value: int) -> QuerySet[Conversation]:
        return view_filters.labelled(rows, value)

    def of_view(self, rows: QuerySet[Conversation], name: str, value: int) -> QuerySet[Conversation]:
        return rows.filter(pk__in=view_counts.within(self.actor, value).values("pk"))

    def matching_text(self, rows: QuerySet[Conversation], name: str, value: str) -> QuerySet[Conversation]:
        return queries.matching_text(self.actor, rows, value)


def _live() -> QuerySet[ChatSession]:
    return ChatSession.objects.filter(status__in=sorted(LIVE))


class DeskPages(Pages):
    """Pages of conversations in the desk's order, by its keys; no page links to the one before."""

    _next: Cursor | None = None

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        self._address = request.build_absolute_uri()
        after = Cursor.read(request.query_params.get("cursor", ""))
        rows, self._next = queries.keyset_page(queryset, after, self.get_page_size(request))
        return rows

    def get_next_link(self) -> str | None:
        return replace_query_param(self._address, "cursor", str(self._next)) if self._next else None

    def get_previous_link(self) -> str | None:
        return None


class MessagePages(KeysetPages):
    """A thread, the newest first."""

    ordering = ("-sent_at", "-id")


class OperationPages(Pages):
    """A conversation's operations from the first on."""

    ordering = "seq"


class ConversationEndpoints(mixins.ListModelMixin, mixins.RetrieveModelMixin, Endpoints):
    """The lasting thread between one account and one shop."""

    queryset = Conversation.objects.none()
    serializer_class = ConversationResponse
    filterset_class = ConversationFilter

    def get_queryset(self) -> QuerySet[Any]:
        return visible.conversations(self.actor)

    def get_object(self) -> Conversation:
        return visible.conversation(self.actor, number(self.kwargs["pk"]))

    @read_endpoint(ConversationResponse(many=True), scope=Scope.READ)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Conversations, the newest first; those of a saved view in the desk's order."""
        pager = DeskPages() if request.query_params.get("saved_view") else Pages()
        if asks_for_all(request, self.filterset_class) and self.actor.kind in answered.KEPT_FOR:
            rows: Any = answered.NewestFirst(self.actor)
        else:
            rows = answered.answered(self.actor, self.filter_queryset(self.get_queryset()))
        page = pager.paginate_queryset(rows, request, view=self) or []
        context = {**self.get_serializer_context(), "labels": labels_shown(page)}
        return pager.get_paginated_response(ConversationResponse(page, many=True, context=context).data)

    @read_endpoint(ConversationDetailResponse, scope=Scope.READ)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One conversation, as it is now."""
        row = answered.one(self.actor, number(self.kwargs["pk"]))
        context = {**self.get_serializer_context(), "labels": labels_shown([row])}
        return Response(ConversationDetailResponse(row, context=context).data)

    @read_endpoint(QueueResponse, scope=Scope.READ, detail=True, filters=False)
    def queue(self, request: Request, pk: str) -> Response:
        """Where the conversation stands in the line for a human, and how long that is likely to take."""
        waits = waiting(self.get_object())
        fields = {
            "is_waiting": waits is not None,
            "position": waits.position if waits else None,
            "expected_wait": waits.seconds if waits else None,
        }
        return Response(QueueResponse(fields).data)

    def _page(self, rows: QuerySet[Any], pages: type[Pages], answer: Any) -> Response:
        pager = pages()
        page = pager.paginate_queryset(rows, self.request, view=self)
        return pager.get_paginated_response(answer(page, many=True, context=self.get_serializer_context()).data)

    @read_endpoint(MessageResponse(many=True), scope=Scope.READ, detail=True)
    def messages(self, request: Request, pk: str) -> Response:
        """What was said, the newest first; each reader sees what was shared with them."""
        rows = visible.messages(self.actor).filter(conversation=self.get_object()).prefetch_related("attachments")
        return self._page(rows, MessagePages, MessageResponse)

    messages.kwargs["pagination_class"] = MessagePages
    messages.kwargs["filterset_class"] = None

    @read_endpoint(OperationResponse(many=True), scope=Scope.READ, detail=True)
    def timeline(self, request: Request, pk: str) -> Response:
        """What happened, operation by operation."""
        rows = visible.operations(self.actor).filter(conversation=self.get_object())
        return self._page(rows, OperationPages, OperationResponse)

    timeline.kwargs["pagination_class"] = OperationPages
    timeline.kwargs["filterset_class"] = None

    @read_endpoint(ParticipantResponse(many=True), scope=Scope.READ, detail=True)
    def participants(self, request: Request, pk: str) -> Response:
        """Who is or was in the conversation beside its owner."""
        rows = Participant.objects.filter(conversation=self.get_object())
        if self.actor.is_agent:
            rows = rows.filter(Participant.IS_IN | ~Q(status=ParticipantStatus.JOINED))
        else:
            rows = rows.filter(Participant.IS_IN)
        return self._page(rows, Pages, ParticipantResponse)

    participants.kwargs["filterset_class"] = None

    @read_endpoint(
        AvailabilityResponse, scope=Scope.READ, detail=False, parameters=[requests.PlaceQuery], filters=False
    )
    def availability(self, request: Request) -> Response:
        """Whether a robot session could be live at once. A reading, not a promise: opening decides."""
        query = requests.PlaceQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        availability = queries.availability(self.actor, **query.validated_data)
        return Response(AvailabilityResponse(availability).data)

    # --- The turn ---

    @command(body=requests.EscalateRequest, answer=OutcomeResponse, scope=Scope.TRANSFERS)
    def escalate(self, actor: Actor, pk: int, **body: Any) -> Outcome:
        """Ask for a human; from the human who serves, for another one."""
        return transfers.request_transfer(actor=actor, conversation_id=pk, **body)

    @command(body=requests.TakeRequest, answer=OutcomeResponse, scope=Scope.TRANSFERS)
    def take_over(self, actor: Actor, pk: int, **body: Any) -> Outcome:
        """Take a conversation from its bot, at once."""
        return takeovers.take_over(actor=actor, conversation_id=pk, **body)

    @command(body=requests.GrabRequest, answer=OutcomeResponse, scope=Scope.TRANSFERS)
    def grab(self, actor: Actor, pk: int, **body: Any) -> Outcome:
        """Take a conversation from the colleague who serves it, with a reason."""
        return takeovers.grab(actor=actor, conversation_id=pk, **body)

    @command(body=requests.HandOverRequest, answer=OutcomeResponse, scope=Scope.TRANSFERS)
    def transfer(self, actor: Actor, pk: int, **body: Any) -> Outcome:
        """Offer what one serves to another agent or a team; one serves on until it is accepted."""
        return transfers.hand_over(actor=actor, conversation_id=pk, **body)

    @command(body=requests.ReleaseRequest, answer=OutcomeResponse, scope=Scope.TRANSFERS)
    def release(self, actor: Actor, pk: int, **body: Any) -> Outcome:
        """Give the conversation back to its bot."""
        return takeovers.release_to_bot(actor=actor, conversation_id=pk, **body)

    @command(body=requests.ReassignRequest, answer=OutcomeResponse, scope=Scope.TRANSFERS)
    def reassign(self, actor: Actor, pk: int, **body: Any) -> Outcome:
        """Put what an absent agent serves back in the queue. Supervisors only."""
        return takeovers.reassign(actor=actor, conversation_id=pk, **body)

    @command(body=requests.GuardedRequest, answer=OutcomeResponse, scope=Scope.TRANSFERS)
    def resolve(self, actor: Actor, pk: int, **body: Any) -> Outcome:
        """End what one serves."""
        return conversations.resolve(actor=actor, conversation_id=pk, **body)

    # --- Marks ---

    @command(answer=OutcomeResponse, scope=Scope.TRANSFERS)
    def pin(self, actor: Actor, pk: int) -> Outcome:
        """Keep the conversation at hand."""
        return conversations.pin(actor=actor, conversation_id=pk)

    @command(answer=OutcomeResponse, scope=Scope.TRANSFERS)
    def unpin(self, actor: Actor, pk: int) -> Outcome:
        """Undo `pin`."""
        return conversations.unpin(actor=actor, conversation_id=pk)

    @command(answer=OutcomeResponse, scope=Scope.TRANSFERS)
    def todo(self, actor: Actor, pk: int) -> Outcome:
        """Mark that something is left to do."""
        return conversations.todo(actor=actor, conversation_id=pk)

    @command(answer=OutcomeResponse, scope=Scope.TRANSFERS)
    def untodo(self, actor: Actor, pk: int) -> Outcome:
        """Undo `todo`."""
        return conversations.untodo(actor=actor, conversation_id=pk)

    @command(answer=OutcomeResponse, scope=Scope.TRANSFERS)
    def urgent(self, actor: Actor, pk: int) -> Outcome:
        """Put the conversation before all others."""
        return conversations.mark_urgent(actor=actor, conversation_id=pk)

    @command(answer=OutcomeResponse, scope=Scope.TRANSFERS)
    def not_urgent(self, actor: Actor, pk: int) -> Outcome:
        """Undo `urgent`."""
        return conversations.unmark_urgent(actor=actor, conversation_id=pk)

    @command(body=requests.ReasonRequest, answer=OutcomeResponse, scope=Scope.TRANSFERS)
    def raise_hand(self, actor: Actor, pk: int, **body: Any) -> Outcome:
        """Flag that a human is needed, without moving the turn."""
        return conversations.raise_flag(actor=actor, conversation_id=pk, **body)

    @command(answer=OutcomeResponse, scope=Scope.TRANSFERS)
    def acknowledge(self, actor: Actor, pk: int) -> Outcome:
        """An agent has looked at the flag; it goes."""
        return conversations.acknowledge(actor=actor, conversation_id=pk)

    @command(body=requests.LabelledRequest, answer=OutcomeResponse, scope=Scope.TRANSFERS)
    def label(self, actor: Actor, pk: int, **body: Any) -> Outcome:
        """Put a label on; done again, nothing changes."""
        return labelling.label(actor=actor, conversation_id=pk, **body)

    @command(body=requests.LabelledRequest, answer=OutcomeResponse, scope=Scope.TRANSFERS)
    def unlabel(self, actor: Actor, pk: int, **body: Any) -> Outcome:
        """Take a label off; done again, nothing changes."""
        return labelling.unlabel(actor=actor, conversation_id=pk, **body)

    @command(body=requests.BulkRequest, answer=BulkResponse, scope=Scope.TRANSFERS, detail=False, non_atomic=True)
    def bulk(self, actor: Actor, *, ids: Iterable[int], action: str, **body: Any) -> dict[str, Any]:
        """Do one thing to up to 100 conversations, each for itself; `results` says of each what became of it.

        A refusal stops no other, and does not change the status 200 of the whole.
        """
        results = bulk.act_on_many(actor=actor, conversation_ids=ids, action=action, **body)
        return {"done": sum(result.problem is None for result in results), "results": results}

    @command(body=requests.ReadRequest, answer=None, status=204, scope=Scope.READ)
    def read(self, actor: Actor, pk: int, seq: int) -> None:
        """Note how far the agent who asks has read."""
        conversations.mark_read(actor=actor, conversation_id=pk, seq=seq)

    @command(body=requests.NoteRequest, answer=OutcomeResponse, scope=Scope.MESSAGES, status=201)
    def notes(self, actor: Actor, pk: int, **body: Any) -> Outcome:
        """Write a private note; agents only."""
        return talk.post_note(actor=actor, conversation_id=pk, **body)

    @describes(
        scope=Scope.MESSAGES,
        called="attach",
        writes=True,
        request={"multipart/form-data": requests.AttachmentRequest},
        responses={201: AttachmentResponse},
    )
    @action(detail=True, methods=["post"], parser_classes=[Multipart])
    def attachments(self, request: Request, pk: str) -> Response:
        """Put up a file, to be sent with a message of one's own within a day. Whoever may speak may.

        What it is, is found by its content: docs/attachments.md. Name it in the `attachments` of `messages`, `inbound`
        or `notes`.
        """
        return attachments.attached(self, request, number(pk))

    # --- People ---

    @command(body=requests.InviteColleagueRequest, answer=OutcomeResponse, scope=Scope.TRANSFERS, status=201)
    def invite_colleague(self, actor: Actor, pk: int, **body: Any) -> Outcome:
        """Bring another agent in, beside the owner."""
        return people.invite_colleague(actor=actor, conversation_id=pk, **body)

    @command(body=requests.InviteRequest, answer=OutcomeResponse, scope=Scope.TRANSFERS, status=201)
    def invite(self, actor: Actor, pk: int, **body: Any) -> Outcome:
        """Invite somebody from outside the desk. The answer's token is the link's, shown once."""
        return people.invite_participant(actor=actor, conversation_id=pk, **body)

    @command(
        body=requests.InviteDepartmentRequest,
        answer=InvitedResponse,
        scope=Scope.TRANSFERS,
        status=201,
        non_atomic=True,  # the directory is asked outside of every transaction; whoever is in already is skipped
        also=(502,),
    )
    def invite_department(self, actor: Actor, pk: int, **body: Any) -> Outcome:
        """Invite everybody of a department, each with an own link and notice. All of them or nobody."""
        return departments.invite_department(actor=actor, conversation_id=pk, **body)

    @command(answer=OutcomeResponse, scope=Scope.TRANSFERS)
    def leave(self, actor: Actor, pk: int) -> Outcome:
        """Leave a conversation one collaborates in, or was invited to."""
        return people.leave(actor=actor, conversation_id=pk)

    @command(
        body=requests.NotifyRequest,
        answer=OutcomeResponse,
        scope=Scope.TRANSFERS,
        path=r"participants/(?P<participant>[^/]+)/notify",
    )
    def notify(self, actor: Actor, pk: int, participant: int, **body: Any) -> Outcome:
        """Send the invitation's notice once more, with a new link; the old one stops working."""
        return people.send_notice_again(actor=actor, conversation_id=pk, participant_id=participant, **body)

    @command(answer=OutcomeResponse, scope=Scope.TRANSFERS, path=r"participants/(?P<participant>[^/]+)/remove")
    def remove(self, actor: Actor, pk: int, participant: int) -> Outcome:
        """Take a participant out; an unused link stops working."""
        return people.remove_participant(actor=actor, conversation_id=pk, participant_id=participant)
