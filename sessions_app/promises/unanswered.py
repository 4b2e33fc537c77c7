"""Nobody is forgotten: which words of the customer nobody has answered, since when they wait, and their flag.

Derived at the end of every verb from what the verb recorded, so that no verb has to think of it (`follow`).
`Conversation.unanswered_since` is when the first of the customer's words arrived, by the database's clock, that nobody
has answered or set aside; `unanswered_messages` returns those words. They are answered

- by a live message, if they had arrived before it; one with the id `re-99` answers the message 99 and no other;
- by a message of a batch, or of the shop's people in their own app, where they see what is not brought to us yet: if
  they were said before it, by the senders' clocks. So the order in which a batch's rows come does not matter.

History is owed no answer, and a live message that comes as history is none.

Such a conversation is flagged with the waiting clock of these words (`mind`) where nobody has the turn, because that
has just become so or because nobody took the words within `GROUP_AFTER`; not if its tenant has chosen otherwise. The
flag goes when somebody has the turn again, answers, or sets the words aside. A bot that was never announced, known only
from grouped messages, counts as nobody here (`nobody_can_answer`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import batched, islice

from django.db.models import Max, Q, QuerySet

from agents_app import presence
from agents_app.models import Tenant
from config import limits
from messaging_app.events import MESSAGE_CREATED
from messaging_app.models import Controller, Conversation, Message, Operation, ReadCursor
from sessions_app.core import oplog
from sessions_app.core.locked_conversation import LockedConversation
from sessions_app.states import Owner

FLAG = "no_answer"
"""The kind of need of a conversation whose customer waits where nobody could answer."""

_Sender = Message.Sender
NAMELESS = f":{Owner.BOT}:"
"""The end of `Conversation.holder` where a bot that was never announced has the turn."""
ANSWERS = frozenset({_Sender.BOT, _Sender.AGENT, _Sender.SHOP, _Sender.PARTICIPANT})
"""The senders whose words answer a customer. What the system says by itself does not."""

ANSWER = "re-"
"""Begins the `message_id` of what answers one message of a customer and no other; the id of that one follows."""
LOOKED_AT = 200
"""Messages without an answer that `unanswered_messages` returns, the newest; also the messages that are read in one query."""
GROUPED = "messages.grouped"


def nobody_can_answer(conversation: Conversation) -> bool:
    """Whether there is nobody who could answer: nobody has the turn, or a bot that was never announced."""
    if conversation.controller == Controller.BOT:
        return conversation.holder.endswith(NAMELESS)
    return conversation.controller == Controller.NONE


def nobody_can_answer_q() -> Q:
    """The same as a query's condition. The controllers are repeated outside the alternatives, for the index's sake."""
    alternatives = Q(controller=Controller.NONE) | Q(holder__endswith=NAMELESS)
    return Q(alternatives, controller__in=(Controller.NONE, Controller.BOT))


def follow(locked: LockedConversation) -> None:
    """Set or clear `unanswered_since` by the operations that were recorded since this was last called."""
    for operation in locked.operations[locked.followed :]:
        locked.conversation.unanswered_since = _after(locked, operation)
    locked.followed = len(locked.operations)


def _after(locked: LockedConversation, operation: Operation) -> datetime | None:
    """Since when the customer waits after this operation; recorded in it where only the words themselves can tell."""
    data, since = operation.data, locked.conversation.unanswered_since
    if operation.type == MESSAGE_CREATED:
        if data["is_note"] or data.get("is_history"):
            return since
        if data["sender_type"] == _Sender.CUSTOMER:
            return since or locked.now
        if "answers_id" in data:
            since = _oldest(locked, since)
            data["unanswered_since"] = _iso(since)
            return since
        return None if data["sender_type"] in ANSWERS else since
    if operation.type == GROUPED and data.get("stored"):
        after = _oldest(locked, since or locked.now)
        if after != since:
            data["unanswered_since"] = _iso(after)
        return after
    return None if data.get("set_aside") or operation.type == "mail.queued" else since


def _iso(since: datetime | None) -> str | None:
    return since.isoformat(timespec="microseconds") if since else None


def _oldest(locked: LockedConversation, since: datetime | None) -> datetime | None:
    """When the oldest message arrived that has waited for an answer since then, and still does."""
    for _, arrived in _open(locked, since):
        return arrived
    return None


def answered_message_id(conversation: Conversation, message_id: str) -> int | None:
    """The id of the customer's message that `re-…` names; None for any other id, or a message of somebody else."""
    name = message_id.removeprefix(ANSWER)
    if (
        name == message_id
        or not (name.isascii() and name.isdecimal())
        or name.startswith("0")
        or len(name) > limits.MAX_DIGITS
    ):
        return None
    question = Message.objects.filter(pk=int(name), conversation=conversation, sender_type=_Sender.CUSTOMER)
    return question.values_list("pk", flat=True).first()


def unanswered_messages(locked: LockedConversation) -> list[Message]:
    """The customer's messages that nobody has answered, in the order of arrival; the newest `LOOKED_AT` of them."""
    since = locked.conversation.unanswered_since
    newest = islice(_open(locked, since, newest_first=True), LOOKED_AT)
    return [message for message, _ in newest][::-1]


def _open(
    locked: LockedConversation, since: datetime | None, *, newest_first: bool = False
) -> Iterator[tuple[Message, datetime]]:
    """The customer's messages that have waited since then, each with when it arrived."""
    if since is None:
        return
    conversation = locked.conversation
    here = Operation.objects.filter(conversation=conversation, at__lt=since).order_by("-at", "-seq")
    before = here.values_list("seq", flat=True).first() or 0
    questions = _said(conversation).filter(
        sender_type=_Sender.CUSTOMER, seq__gt=before, sent_at__gte=since - locked.policies.late_message
    )
    order = ("-seq", "-pk") if newest_first else ("seq", "pk")
    for page in batched(questions.order_by(*order).iterator(LOOKED_AT), LOOKED_AT):
        yield from _unanswered(locked, page, since)


def _unanswered(
    locked: LockedConversation, questions: Sequence[Message], since: datetime
) -> Iterator[tuple[Message, datetime]]:
    conversation, policies = locked.conversation, locked.policies
    names = {f"{ANSWER}{message.pk}": message.pk for message in questions}
    known = _said(conversation).filter(tenant_id=conversation.tenant_id, platform=conversation.platform)
    by_name = known.filter(message_id__in=names, sender_type__in=ANSWERS).values_list("message_id", flat=True)
    answered = {names[name] for name in by_name}
    earliest = min(message.sent_at for message in questions)
    answers = _said(conversation).filter(sender_type__in=ANSWERS, sent_at__gte=earliest)
    by_time = list(answers.order_by("-sent_at", "-pk")[:LOOKED_AT])
    arrivals = _arrivals(conversation, {message.seq for message in (*questions, *by_time)}, locked.operations)
    by_time = [answer for answer in by_time if _counts_by_time(locked, answer, arrivals)]
    for message in questions:
        # Where the operation is forgotten, the message waits since then at least.
        type, arrived = arrivals.get(message.seq, (MESSAGE_CREATED, since))
        is_row = type == GROUPED
        late = policies.history_gap if is_row else policies.late_message
        if message.pk in answered or arrived - message.sent_at > late:
            continue
        asked_at = (message.sent_at, message.pk)
        if not any(asked_at < (a.sent_at, a.pk) for a in by_time if is_row or a.seq >= message.seq):
            yield message, arrived


def _counts_by_time(locked: LockedConversation, answer: Message, arrivals: dict[int, tuple[str, datetime]]) -> bool:
    """An answer of a batch, or in the shop's own app, counts by when it was said, unless it names its question."""
    type, arrived = arrivals.get(answer.seq, ("", answer.sent_at))
    is_shops = answer.sender_type == _Sender.SHOP and arrived - answer.sent_at <= locked.policies.late_message
    return (type == GROUPED or is_shops) and answered_message_id(locked.conversation, answer.message_id) is None


def _said(conversation: Conversation) -> QuerySet[Message]:
    return Message.objects.filter(conversation=conversation, is_note=False)


def _arrivals(
    conversation: Conversation, seqs: set[int], operations: Sequence[Operation]
) -> dict[int, tuple[str, datetime]]:
    """By `seq`, the type of the operation with which a message came in, and when."""
    stored = Operation.objects.filter(conversation=conversation, seq__in=seqs).values_list("seq", "type", "at")
    return {seq: (type, at) for seq, type, at in stored} | {o.seq: (o.type, o.at) for o in operations}


def update_flag(locked: LockedConversation, *, had_turn: bool) -> None:
    """Flag a conversation whose customer waits where nobody could answer, and clear that flag where it is no longer so.

    `had_turn` says that somebody who could answer had the turn until this verb. What is flagged already stays as it is.
    """
    conversation = locked.conversation
    if conversation.needs_human:
        if conversation.need.get("kind") == FLAG and (why := _reason_to_unflag(locked)):
            oplog.unflag(locked, why)
        return
    since = conversation.unanswered_since
    if since is None or not nobody_can_answer(conversation):
        return
    is_over = since <= locked.now - locked.policies.group_after
    if (had_turn or is_over) and locked.tenant.unanswered == Tenant.Unanswered.FLAG:
        need = {"effect": "flag", "kind": FLAG, "reason": "the customer waits for an answer", "by_kind": ""}
        oplog.flag(locked, need, waiting_since=since)


def _reason_to_unflag(locked: LockedConversation) -> str:
    """Why this flag is not needed any more; empty while it is."""
    if locked.conversation.unanswered_since is None:
        return oplog.ANSWERED
    if nobody_can_answer(locked.conversation):
        return ""
    bot = locked.live.bot if locked.live else None
    if locked.conversation.controller == Controller.BOT and bot and not presence.is_alive(bot, locked.now):
        return ""  # a dead bot answers nobody: the flag and its clock stay
    return oplog.SERVED if locked.conversation.controller == Controller.HUMAN else oplog.TAKEN_UP


def is_read(locked: LockedConversation) -> bool:
    """Whether the agent who acts has read the customer's newest message, by arrival."""
    if not locked.actor.is_agent:
        return False
    here = {"conversation": locked.conversation}
    newest = Message.objects.filter(**here, sender_type=_Sender.CUSTOMER).aggregate(newest=Max("seq"))["newest"]
    cursor = ReadCursor.objects.filter(**here, agent_id=locked.actor.pk).values_list("seq", flat=True).first()
    return newest is not None and cursor is not None and cursor >= newest
