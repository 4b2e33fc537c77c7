"""Nobody is forgotten: whose words nobody has answered, since when they wait, and that they wait in sight.

Derived at the end of every verb from what the verb recorded, so that no verb has to think of it (`follow`).
`Conversation.unanswered_since` is when the first of the customer's words arrived, by the database's clock, that nobody
has answered or set aside; `owed` are those words. What answers them:

- what is said live, all that had arrived before it; with the id `re-99`, the message 99 and no other;
- what a batch brings, or the shop's people say in their own app, where they see what is not brought to us yet: what was
  said before it, by the senders' clocks. So the order in which a batch's rows come does not matter.

History is owed no answer, and a live message that comes as history is none.

Where the turn is nobody's, because it has just become so or because nobody took the words within `GROUP_AFTER`, such a
conversation is flagged with the waiting clock of these words (`mind`), unless its tenant leaves it. The flag goes when
somebody has the turn again, answers, or sets the words aside. A bot that nobody has announced, known only by words that
were found, is nobody in this (`is_nobodys`).
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
"""The kind of need of a conversation whose customer waits for an answer that is nobody's to give."""

_Sender = Message.Sender
NAMELESS = f":{Owner.BOT}:"
"""How the holder of a turn ends that is a bot's which nobody has announced."""
ANSWERS = frozenset({_Sender.BOT, _Sender.AGENT, _Sender.SHOP, _Sender.PARTICIPANT})
"""Whose words answer a customer. What the system says by itself does not."""

ANSWER = "re-"
"""With the id of a customer's message behind it: the `message_id` of what answers that message, and no other."""
LOOKED_AT = 200
"""Of the words that wait for an answer, the newest that are told; and how many are looked at in one query."""
GROUPED = "messages.grouped"


def is_nobodys(conversation: Conversation) -> bool:
    """Whether there is nobody who could answer: nobody has the turn, or a bot that nobody has announced."""
    if conversation.controller == Controller.BOT:
        return conversation.holder.endswith(NAMELESS)
    return conversation.controller == Controller.NONE


def nobodys() -> Q:
    """The same as a condition. It names the controllers once more beside the alternatives, for the sake of the index."""
    alternatives = Q(controller=Controller.NONE) | Q(holder__endswith=NAMELESS)
    return Q(alternatives, controller__in=(Controller.NONE, Controller.BOT))


def follow(locked: LockedConversation) -> None:
    """Set or clear `unanswered_since` by the operations that were recorded since this was last called."""
    for operation in locked.operations[locked.followed :]:
        locked.conversation.unanswered_since = _after(locked, operation)
    locked.followed = len(locked.operations)


def _after(locked: LockedConversation, operation: Operation) -> datetime | None:
    """Since when the customer waits after this. Where only the words themselves can tell, the operation says it too."""
    data, since = operation.data, locked.conversation.unanswered_since
    if operation.type == MESSAGE_CREATED:
        if data["is_note"] or data.get("is_history"):
            return since
        if data["sender_type"] == _Sender.CUSTOMER:
            return since or locked.now
        if "answers_id" in data:
            since = _oldest(locked, since)
            data["unanswered_since"] = _told(since)
            return since
        return None if data["sender_type"] in ANSWERS else since
    if operation.type == GROUPED and data.get("stored"):
        after = _oldest(locked, since or locked.now)
        if after != since:
            data["unanswered_since"] = _told(after)
        return after
    return None if data.get("set_aside") or operation.type == "mail.queued" else since


def _told(since: datetime | None) -> str | None:
    return since.isoformat(timespec="microseconds") if since else None


def _oldest(locked: LockedConversation, since: datetime | None) -> datetime | None:
    """When the oldest arrived of what has waited for an answer since then, and does still."""
    for _, arrived in _open(locked, since):
        return arrived
    return None


def named_by(conversation: Conversation, message_id: str) -> int | None:
    """The customer's message that is answered, alone, by what has this id; None for any other id."""
    name = message_id.removeprefix(ANSWER)
    if (
        name == message_id
        or not (name.isascii() and name.isdecimal())
        or name.startswith("0")
        or len(name) > limits.MAX_DIGITS
    ):
        return None
    asked = Message.objects.filter(pk=int(name), conversation=conversation, sender_type=_Sender.CUSTOMER)
    return asked.values_list("pk", flat=True).first()


def owed(locked: LockedConversation) -> list[Message]:
    """What the customer said and nobody has answered, by when it arrived; the newest `LOOKED_AT` of it."""
    since = locked.conversation.unanswered_since
    newest = islice(_open(locked, since, newest_first=True), LOOKED_AT)
    return [message for message, _ in newest][::-1]


def _open(
    locked: LockedConversation, since: datetime | None, *, newest_first: bool = False
) -> Iterator[tuple[Message, datetime]]:
    """The customer's words that have waited since then, with when they arrived."""
    if since is None:
        return
    conversation = locked.conversation
    here = Operation.objects.filter(conversation=conversation, at__lt=since).order_by("-at", "-seq")
    before = here.values_list("seq", flat=True).first() or 0
    asked = _said(conversation).filter(
        sender_type=_Sender.CUSTOMER, seq__gt=before, sent_at__gte=since - locked.policies.late_message
    )
    order = ("-seq", "-pk") if newest_first else ("seq", "pk")
    for part in batched(asked.order_by(*order).iterator(LOOKED_AT), LOOKED_AT):
        yield from _unanswered(locked, part, since)


def _unanswered(
    locked: LockedConversation, asked: Sequence[Message], since: datetime
) -> Iterator[tuple[Message, datetime]]:
    conversation, policies = locked.conversation, locked.policies
    names = {f"{ANSWER}{message.pk}": message.pk for message in asked}
    known = _said(conversation).filter(tenant_id=conversation.tenant_id, platform=conversation.platform)
    by_name = known.filter(message_id__in=names, sender_type__in=ANSWERS).values_list("message_id", flat=True)
    answered = {names[name] for name in by_name}
    earliest = min(message.sent_at for message in asked)
    answers = _said(conversation).filter(sender_type__in=ANSWERS, sent_at__gte=earliest)
    by_time = list(answers.order_by("-sent_at", "-pk")[:LOOKED_AT])
    came = _arrivals(conversation, {message.seq for message in (*asked, *by_time)}, locked.operations)
    by_time = [answer for answer in by_time if _counts_by_time(locked, answer, came)]
    for message in asked:
        type, arrived = came.get(message.seq, (MESSAGE_CREATED, since))  # forgotten: it waits since then at least
        is_row = type == GROUPED
        late = policies.history_gap if is_row else policies.late_message
        if message.pk in answered or arrived - message.sent_at > late:
            continue
        said = (message.sent_at, message.pk)
        if not any(said < (a.sent_at, a.pk) for a in by_time if is_row or a.seq >= message.seq):
            yield message, arrived


def _counts_by_time(locked: LockedConversation, answer: Message, came: dict[int, tuple[str, datetime]]) -> bool:
    """What a batch brought, or the shop's people said in their own app; unless it names what it answers."""
    type, arrived = came.get(answer.seq, ("", answer.sent_at))
    is_shops = answer.sender_type == _Sender.SHOP and arrived - answer.sent_at <= locked.policies.late_message
    return (type == GROUPED or is_shops) and named_by(locked.conversation, answer.message_id) is None


def _said(conversation: Conversation) -> QuerySet[Message]:
    return Message.objects.filter(conversation=conversation, is_note=False)


def _arrivals(
    conversation: Conversation, seqs: set[int], operations: Sequence[Operation]
) -> dict[int, tuple[str, datetime]]:
    """By which operation what was said came in, and when."""
    stored = Operation.objects.filter(conversation=conversation, seq__in=seqs).values_list("seq", "type", "at")
    return {seq: (type, at) for seq, type, at in stored} | {o.seq: (o.type, o.at) for o in operations}


def mind(locked: LockedConversation, *, had_turn: bool) -> None:
    """Flag who waits for an answer that is nobody's to give, and take the flag away where that is no longer so.

    `had_turn` says that somebody who could answer had the turn until this verb. What is flagged already waits already.
    """
    conversation = locked.conversation
    if conversation.needs_human:
        if conversation.need.get("kind") == FLAG and (why := _why_not(locked)):
            oplog.unflag(locked, why)
        return
    since = conversation.unanswered_since
    if since is None or not is_nobodys(conversation):
        return
    is_over = since <= locked.now - locked.policies.group_after
    if (had_turn or is_over) and locked.tenant.unanswered == Tenant.Unanswered.FLAG:
        need = {"effect": "flag", "kind": FLAG, "reason": "the customer waits for an answer", "by_kind": ""}
        oplog.flag(locked, need, waiting_since=since)


def _why_not(locked: LockedConversation) -> str:
    """Why nobody has to be called to the customer's words any more; empty while somebody has to."""
    if locked.conversation.unanswered_since is None:
        return oplog.ANSWERED
    if is_nobodys(locked.conversation):
        return ""
    bot = locked.live.bot if locked.live else None
    if locked.conversation.controller == Controller.BOT and bot and not presence.is_alive(bot, locked.now):
        return ""  # until one that can answer has the turn, the customer keeps the clock
    return oplog.SERVED if locked.conversation.controller == Controller.HUMAN else oplog.TAKEN_UP


def is_read(locked: LockedConversation) -> bool:
    """Whether the agent who acts has read the newest of the customer's words, by when they came in."""
    if not locked.actor.is_agent:
        return False
    here = {"conversation": locked.conversation}
    heard = Message.objects.filter(**here, sender_type=_Sender.CUSTOMER).aggregate(newest=Max("seq"))["newest"]
    cursor = ReadCursor.objects.filter(**here, agent_id=locked.actor.pk).values_list("seq", flat=True).first()
    return heard is not None and cursor is not None and cursor >= heard
