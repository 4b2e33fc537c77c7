"""Make docs/states.md from `states`: the table of transitions, the ranks, the derived names, the flows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from config.generated_pages import GeneratedPages
from sessions_app import states
from sessions_app.states import FlowStatus, Kind, Owner, Status, TransferKind, TransferStatus

PAGE = settings.BASE_DIR / "docs" / "states.md"

INTRODUCTION = """\
# States

Made from `sessions_app/states.py` by `python manage.py states_doc`; do not edit. A test fails when it is stale.

Only `sessions_app/core/oplog/` writes a status, and the database refuses any it does not know.
"""

TRANSFERS = {
    TransferKind.ESCALATION: ("bot → queue, team or agent", "offered"),
    TransferKind.HANDOVER: ("agent → agent or team", "offered; the sender serves until it is accepted"),
    TransferKind.TAKEOVER: ("bot → the agent who takes it, or the shop's own people", "immediate"),
    TransferKind.GRAB: ("agent → the agent who grabs it", "immediate, with a reason"),
    TransferKind.RETURN: ("agent → bot", "immediate"),
    TransferKind.REASSIGNMENT: (
        "an absent agent → queue, team or agent",
        "offered; the session has no owner meanwhile",
    ),
}


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION, *_sessions(), *_derived(), *_ranks(), *_transfers(), *_flows()]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _table(*rows: tuple[object, ...]) -> str:
    head, *body = [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]
    return "\n".join([head, "|---" * len(rows[0]) + "|", *body])


def _diagram(starts: list[str], moves: Iterator[tuple[str, str]], ends: list[str]) -> str:
    lines = [f"    [*] --> {start}" for start in starts]
    lines += [f"    {before} --> {after}" for before, after in moves]
    lines += [f"    {end} --> [*]" for end in ends]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def _sessions() -> Iterator[str]:
    yield "## Sessions"
    moves = ((b.value, a.value) for b, row in states.TRANSITIONS.items() for a in row)
    ends = [s.value for s in Status if s in states.TERMINAL]
    yield _diagram([s.value for s in Status if s in states.OPENING], moves, ends)
    rows = [(b.value, a.value, how) for b, row in states.TRANSITIONS.items() for a, how in row.items()]
    yield _table(("from", "to", "by"), *(("–", s.value, "open") for s in Status if s in states.OPENING), *rows)
    live, terminal = ([s.value for s in Status if s in group] for group in (states.LIVE, states.TERMINAL))
    grouped = [s.value for s in Status if s in states.GROUPED_OPENING]
    yield (
        f"Live: {', '.join(live)}; a conversation has at most one such session. Final: {', '.join(terminal)}; reopening "
        f"opens a new session. A session grouped from messages afterwards begins as {' or '.join(grouped)}."
    )


def _derived() -> Iterator[str]:
    yield "## What other systems call it"
    yield "Derived from status, type and owner by `states.derived`, never stored."
    by_name: dict[states.Derived, list[str]] = {name: [] for name in states.Derived}
    for status in Status:
        by_owners: dict[tuple[states.Derived, str], list[str]] = {}
        for kind, word, owners in (
            (Kind.AUTO_BARGAIN, "robot", list(Owner)),
            (Kind.MANUAL_CUSTOMER_SERVICE, "human", [owner for owner in Owner if owner != Owner.BOT]),
        ):
            names = {owner: states.derived(status, kind, owner) for owner in owners}
            for name in dict.fromkeys(names.values()):
                of_it = [owner.value or "nobody" for owner in owners if names[owner] == name]
                owned = "" if len(of_it) == len(owners) else f" with {' or '.join(of_it)}"
                by_owners.setdefault((name, owned), []).append(word)
        for (name, owned), words in by_owners.items():
            by_name[name].append(f"{status.value}{owned}" + ("" if len(words) == 2 else f" ({words[0]})"))
    yield _table(
        ("derived", "also called", "when"),
        *((f"`{n}`", f"`{n.alias}`", "; ".join(when)) for n, when in by_name.items()),
    )


def _ranks() -> Iterator[str]:
    yield "## Ranks"
    yield "The smaller rank has the turn, then the older session. A raised or lowered priority counts first, the type second."
    rows = ((kind.value, p.name, states.rank(kind, p)) for kind, p in states.PRIORITY.items())
    yield _table(("type", "priority", "rank"), *rows)


def _transfers() -> Iterator[str]:
    yield "## Transfers"
    yield _table(("kind", "from → to", "how"), *((kind.value, *TRANSFERS[kind]) for kind in TransferKind))
    ends = [s.value for s in TransferStatus if s != TransferStatus.PENDING]
    yield f"{TransferStatus.PENDING.value} → {', '.join(ends[:-1])} or {ends[-1]}, exactly once."


def _flows() -> Iterator[str]:
    yield "## Guided flows"
    order = list(FlowStatus)
    moves = [(b.value, a.value) for b in order for a in sorted(states.FLOW_TRANSITIONS[b], key=order.index)]
    yield _diagram([FlowStatus.WAITING.value], iter(moves), [s.value for s in order if not states.FLOW_TRANSITIONS[s]])
    rows = []
    for status in order:
        ends = [a.value for a in sorted(states.FLOW_TRANSITIONS[status], key=order.index)]
        rows.append((status.value, ", ".join(ends) or "–", "yes" if status in states.FLOW_BLOCKING else "no"))
    yield _table(("from", "to", "gets the customer's words"), *rows)


class Command(GeneratedPages):
    help = "Make docs/states.md from the table of transitions; --check fails when it is stale."
    command = "states_doc"
    requires_system_checks = ()

    def pages(self) -> Iterator[tuple[Path, str]]:
        yield PAGE, page()
