"""Every clock of the domain in one table: what starts, stops and pauses it, and what it does. It makes docs/clocks.md.

The deadlines themselves are columns, and `timers` and `sweep` apply them; a test compares this table with the settings.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """`setting` is a name in settings.TANDEM. `own` names what a tenant, team or bot sets beside it, or a team instead.

    Which clocks a tenant can set is not said here: those whose setting a policy has (`agents_app.policies`).
    """

    name: str
    setting: str
    starts: str
    stops: str
    pauses: str
    effect: str
    own: str = ""


CLOCKS = (
    Clock(
        "words that nobody took",
        "GROUP_AFTER",
        "the first of the customer's words that nobody has answered comes in",
        "somebody has the turn, answers, or sets them aside (acknowledges, or resolves what they have read)",
        "while anybody who could answer has the turn, so not a bot known only by words that were found; "
        "the clock shown goes on from those words",
        "flagged with the waiting clock of these words, in 'unassigned', unread; without a session, grouped into one",
        own="`unanswered` of the tenant",
    ),
    Clock(
        "the turn becomes nobody's",
        "",
        "as above",
        "as above",
        "–",
        "at once, whichever way it became nobody's: flagged as above, if the customer was not answered",
        own="`unanswered` of the tenant",
    ),
    Clock(
        "robot session idle",
        "DEFAULT_SESSION_TIMEOUT",
        "the session is opened, resumed or returned to its bot",
        "it is paused, escalated or ended",
        "each word said begins it anew",
        "TIMEOUT, and the conversation settles; so for what the shop's own people serve in their app",
    ),
    Clock(
        "stretch of history",
        "HISTORY_GAP",
        "the last of its messages was said",
        "somebody opens, asks for or takes what was found",
        "each word said begins it anew",
        "over: what is said later, or lies further away in a batch, is another stretch; what a batch brings with it is history",
    ),
    Clock(
        "human session",
        "HUMAN_SESSION_TIMEOUT",
        "agents get the session: it is opened, accepted or taken over",
        "it goes to a bot, to the queue or to an end; a handover or grab goes on with it",
        "a pause neither stops it nor begins it anew: who resumes has what is left, and at least the warning's time",
        "TIMEOUT, and the conversation settles",
    ),
    Clock(
        "warning of the end of a human session",
        "HUMAN_SESSION_WARNING",
        "so long before that end",
        "as the human session",
        "while it is paused",
        "its owner is told, once: `session.ending_soon`",
    ),
    Clock(
        "session that waits",
        "WAITING_SESSION_TIMEOUT",
        "the session is PENDING, PAUSED, or live without an owner",
        "it gets its turn or an owner, or ends",
        "begins when whoever it was asked of opens",
        "TIMEOUT, and the conversation settles; flagged as unanswered where a human was asked for and none came",
    ),
    Clock(
        "transfer unanswered",
        "TRANSFER_TIMEOUT",
        "it is asked for",
        "it is accepted, declined or withdrawn",
        "begins when whoever it was asked of opens, with as long again for each that waits before it",
        "TIMED_OUT, back to its sender; or asked again, the same one, after 1, 2, 4 … times as long, at most an hour",
        own="`transfer_policy` of the tenant",
    ),
    Clock(
        "offer to one agent",
        "OFFER_TIMEOUT",
        "it is made",
        "the agent accepts or declines, goes away or is full",
        "–",
        "offered to the next agent; this one is passed over",
        own="`offer_timeout` of the team",
    ),
    Clock(
        "next round of offers",
        "OFFER_ROUND_PAUSE",
        "everybody who fits has declined it or let it run out",
        "it is accepted, or ends",
        "twice as long after each further round, at most an hour",
        "everybody is asked anew",
    ),
    Clock(
        "a bot's reply",
        "",
        "the customer waits for the bot, and the bot has the turn",
        "the bot says something",
        "while a flow has the turn or the session is paused or pending; then the bot has its whole time anew. "
        "When nobody accepted what was asked for and the bot has the turn back, until the customer's next words",
        "escalated (C6)",
        own="`turn_timeout` of the bot",
    ),
    Clock(
        "a bot's heartbeat",
        "",
        "its last heartbeat",
        "the next one",
        "–",
        "dead, as if it were out of use: escalated at once where a customer waits for it, left alone where none does",
        own="`heartbeat_timeout` of the bot",
    ),
    Clock(
        "an agent's first reply",
        "",
        "the agent gets the session",
        "the agent says something to the customer",
        "begins anew with each new owner",
        "goes to somebody else (C5)",
        own="`first_reply_timeout` of the team",
    ),
    Clock(
        "agent silent",
        "AGENT_AWAY_AFTER",
        "the agent's last heartbeat",
        "the next one",
        "–",
        "away: nothing is offered to the agent",
    ),
    Clock(
        "agent gone",
        "AGENT_GONE_AFTER",
        "the agent's last heartbeat",
        "the next one",
        "who was never heard of: since the first of their sessions came to them",
        "the agent's live sessions go to somebody else (C5)",
    ),
    Clock(
        "lease of a guided flow",
        "FLOW_LEASE",
        "it is re-running",
        "it moves on",
        "its program renews it; all in all no longer than the flow's expiry",
        "failed",
    ),
    Clock(
        "guided flow",
        "FLOW_EXPIRY",
        "it waits for the customer",
        "it moves on",
        "–",
        "expired",
    ),
    Clock(
        "preview of a guided flow",
        "FLOW_PREVIEW_EXPIRY",
        "its result is ready to be looked at",
        "it is applied, ignored or run again",
        "–",
        "expired",
    ),
    Clock(
        "service levels",
        "",
        "a human is asked for, or takes the session; for the next response, the customer writes",
        "an agent answers; for the resolution, the session is completed",
        "while PAUSED, while the shop is closed, for the resolution while the customer is waited for",
        "`sla.warned`, then `sla.breached` (hours.md)",
        own="`sla` of the team or tenant",
    ),
    Clock(
        "late words",
        "LATE_MESSAGE",
        "something is said",
        "it comes in at a live door",
        "–",
        "history: kept at its time, asked of nobody, flagged never",
    ),
)

ELSEWHERE = frozenset({"DECISION_RETENTION", "ATTACHMENT_UNSENT"})
"""Spans of the TANDEM block that are no clocks of a conversation: how long something is kept."""
