"""Write the tables of docs/rules.md from the code, each between its marks; the rules around them are written by hand.

A table is made from what the code itself uses: the conflict rules, `field_rights`, the settings, and the checks of
invariants.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError

from agents_app import directory, skills
from agents_app.models import MAX_LOAD
from config import free_json, limits
from config.generated_pages import GeneratedPages
from messaging_app import incoming
from messaging_app.attachments import rows as attachments
from sessions_app.actions import bulk, echo_detection
from sessions_app.actions.conflicts import ConflictDecision, resolve_conflict
from sessions_app.core.context_package import MOST_REASONS
from sessions_app.models import ChatSession
from sessions_app.promises.clocks import CLOCKS
from sessions_app.promises.unanswered import LOOKED_AT
from sessions_app.rights import field_rights
from sessions_app.rights.field_rights import Roles, named
from sessions_app.states import PRIORITY, Kind, Origin, Owner, Status, rank

PAGE = settings.BASE_DIR / "docs" / "rules.md"
_TABLE = re.compile(r"(<!-- table: (?P<name>[a-z]+) -->\n)(?P<table>.*?)(<!-- end -->\n)", re.DOTALL)


def page(text: str) -> str:
    """The page with new tables. Raises `CommandError` for a mark without a table, and for a table without a mark."""
    marked = [match["name"] for match in _TABLE.finditer(text)]
    if sorted(marked) != sorted(TABLES):
        raise CommandError(f"docs/rules.md marks {', '.join(marked) or 'nothing'}; there are {', '.join(TABLES)}.")
    return _TABLE.sub(lambda match: f"{match[1]}\n{TABLES[match['name']]()}\n\n{match[4]}", text)


def _table(*rows: Iterable[object]) -> str:
    head, *body = [[str(cell) for cell in row] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in (head, *body)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])


def _ranks() -> str:
    ranks = ((kind.value, f"{p.name} {p.value}", rank(kind, p)) for kind, p in PRIORITY.items())
    return _table(("type", "priority", "rank"), *ranks)


# --- Who yields to whom ------------------------------------------------------------------------------------------


def _session(kind: Kind, owner: Owner, origin: Origin = Origin.OPENED) -> ChatSession:
    session = ChatSession(kind=kind, owner_kind=owner, origin=origin)
    session.set_priority()
    return session


def _conflicts() -> str:
    """What `resolve_conflict` decides for each live session and each request. A live robot has a middle rank."""
    robot, human = Kind.AUTO_ASSISTANT, Kind.MANUAL_CUSTOMER_SERVICE
    grouped = "only found in messages"
    live: dict[str, tuple[ChatSession | None, list[ChatSession]]] = {
        "nothing": (None, []),
        "nothing; a human's waits": (None, [_session(human, Owner.NOBODY)]),
        f"{grouped}, the shop's people do not speak": (_session(robot, Owner.BOT, Origin.GROUPED), []),
        f"{grouped}, the shop's people speak": (_session(human, Owner.SHOP, Origin.GROUPED), []),
        "a bot's": (_session(robot, Owner.BOT), []),
        "one that waits for a human": (_session(robot, Owner.NOBODY), []),
        "an agent's": (_session(human, Owner.AGENT), []),
        "the shop's own people's": (_session(robot, Owner.SHOP), []),
    }
    requests = {
        "a robot's, of a better rank": (Kind.AUTO_BARGAIN, False),
        "a robot's, of the same or a lesser one": (robot, False),
        "a human's, by an agent": (human, True),
        "a human's, by others": (human, False),
        "MANUAL_URGENT, by an agent": (Kind.MANUAL_URGENT, True),
        "MANUAL_URGENT, by others": (Kind.MANUAL_URGENT, False),
    }
    rows = []
    for name, (session, waiting) in live.items():
        decisions = (
            resolve_conflict(session, waiting, kind, _session(kind, Owner.NOBODY).rank, by_agent=by_agent)
            for kind, by_agent in requests.values()
        )
        rows.append((name, *(_decision(decision, session) for decision in decisions)))
    return _table(("live now", *requests), *rows)


def _decision(decision: ConflictDecision, live: ChatSession | None) -> str:
    if decision.refuse:
        result = "refused"
    elif decision.escalate:
        result = "the bot's is escalated"
    else:
        result = str(decision.status)
        if decision.preempt:
            result += ", the live one PAUSED"
        elif live and decision.rule == "C0":
            result += ", the live one COMPLETED"
        elif decision.status == Status.PENDING:
            result += ": waits"
    return f"[{decision.rule}](#{decision.rule.lower()}): {result}"


# --- Who may -----------------------------------------------------------------------------------------------------


def _rights() -> str:
    rows = [
        (f"`{verb}`", named(rights.callers), _narrower(rights.fields, rights.callers))
        for verb, rights in field_rights.RIGHTS.items()
    ]
    return _table(("verb", "called by", "fields that not all of them may set"), *rows)


def _narrower(fields: Mapping[str, Roles], callers: Roles) -> str:
    by_roles: dict[Roles, list[str]] = {}
    for field, roles in fields.items():
        if roles != callers:
            by_roles.setdefault(roles, []).append(f"`{field}`")
    return "; ".join(f"{named(roles)}: {', '.join(names)}" for roles, names in by_roles.items()) or "–"


def _filters() -> str:
    rows = [
        (of, f"`{name}`", "everybody" if roles == field_rights.EVERYBODY else named(roles))
        for of, names in field_rights.FILTERS.items()
        for name, roles in names.items()
    ]
    by_list: dict[tuple[str, str], list[str]] = {}
    for of, name, roles in rows:
        by_list.setdefault((of, roles), []).append(name)
    merged = ((of, ", ".join(names), roles) for (of, roles), names in by_list.items())
    return _table(("list", "filter", "used by"), *merged)


# --- Figures -----------------------------------------------------------------------------------------------------

NO_CLOCKS = {
    "MAX_CONCURRENT_SESSIONS": "live sessions that an agent takes on, unless the agent's row says otherwise",
    "OFFERS_IGNORED": "offers in a row that run out before an agent is set to *not responding*; 0 for never",
    "BATCH_SIZE": "rows of a batch that are stored in one transaction; of one that is stored after the answer 100 at most",
    "INGEST_CHUNK": "the same, from files",
    "FAILED_ANSWERS": "answers of a bot in a row that admit failure, before a human is asked for",
    "DECISION_RETENTION": "how long it is kept why something was offered to whom",
    "CONTEXT_MESSAGES": "messages that travel with a transfer",
    "ATTACHMENT_UNSENT": "how long an upload that nobody sends is kept",
}
"""The figures that set no clock of docs/clocks.md, and what they are."""


def _figures() -> str:
    clocks: dict[str, list[str]] = {}
    for clock in CLOCKS:
        clocks.setdefault(clock.setting, []).append(f"clock: {clock.name}")
    meanings = NO_CLOCKS | {name: "; ".join(names) for name, names in clocks.items()}
    if without := sorted(set(settings.TANDEM) - set(meanings)):
        raise CommandError(f"Say in rules_doc.NO_CLOCKS what {', '.join(without)} is.")
    figures = (settings.FIGURES[name] for name in settings.TANDEM)
    rows = ((f"`{f.name}`", f"{f.default:,} {f.unit}", str(f), meanings[f.name]) for f in figures)
    return _table(("figure", "default", "may be", "is"), *rows)


def _bounds() -> str:
    return _table(
        ("bound", "is"),
        (f"{incoming.EARLIEST:%Y-%m-%d}", "the earliest time that a sender may claim"),
        (f"{limits.MAX_CONTENT:,} characters", "of a message's text"),
        (f"{limits.MAX_ID} characters", f"of an id; {limits.MAX_PLATFORM} of a platform's"),
        (f"{limits.MAX_NAME} characters", "of a name"),
        (f"{attachments.MOST} files", "with a message"),
        (f"{limits.LONGEST_PAUSE.total_seconds():,.0f} s", "the longest pause before the same transfer is asked again"),
        (f"{MAX_LOAD:,} sessions", "the most that an agent's `max_load` may say"),
        (f"{skills.MOST} skills", "that a request needs, or an agent has"),
        (f"{directory.MOST_MEMBERS} people", "of a department that is invited"),
        (f"{bulk.MOST} conversations", "to which one thing is done at once"),
        (f"{MOST_REASONS} reasons", "that a package keeps of those given before"),
        (
            f"{free_json.MAX_BYTES:,} bytes, {free_json.MAX_KEYS:,} names",
            "of JSON that a caller hands over for keeping",
        ),
        (
            f"{echo_detection.ECHO_WITHIN.total_seconds():,.0f} s",
            "in which an echo of what was said here is known as one",
        ),
        (f"{LOOKED_AT} messages", "of those that wait for an answer, the newest that `recover` tells"),
    )


# --- Invariants --------------------------------------------------------------------------------------------------

CHECKS = (
    "tests/races/invariants.py",
    "tests/cast.py",
    *(
        path.relative_to(settings.BASE_DIR).as_posix()
        for path in sorted((settings.BASE_DIR / "sessions_app/core/record/replay").glob("*.py"))
    ),
)
"""The files that look for broken invariants in what tests leave; a fault names the number of its invariant."""
TESTS = {
    12: (
        ("tests/batches/test_ingest.py", "test_the_sessions_do_not_depend_on_order_or_cut"),
        ("tests/batches/test_ingest.py", "test_dirty_rows_shuffled_and_cut_give_the_same_sessions"),
        (
            "tests/batches/test_rows.py",
            "test_grouping_one_row_at_a_time_in_any_order_gives_what_grouping_at_once_gives",
        ),
    ),
    13: (
        ("tests/events/test_rights.py", "test_agents_are_told_all_of_their_tenant_with_notes"),
        ("tests/events/test_rights.py", "test_an_integrator_is_told_all_but_the_notes"),
        ("tests/events/test_rights.py", "test_a_bot_is_told_of_its_own_sessions_and_what_is_said_around_them"),
        (
            "tests/events/test_rights.py",
            "test_a_customer_is_told_of_the_own_conversation_and_nothing_of_the_desks_reasons",
        ),
        ("tests/events/test_rights.py", "test_a_participant_is_told_what_was_shared_while_in"),
    ),
}
"""The invariants that cannot be seen in rows, each with tests of its own."""
_NUMBERED = re.compile(r"(\d+): ")


def checks_of_invariants() -> dict[int, list[tuple[str, str]]]:
    """By number: the file and the function of each check."""
    by_number: dict[int, list[tuple[str, str]]] = {number: list(tests) for number, tests in TESTS.items()}
    for path in CHECKS:
        for number, function in _faults_in(ast.parse((settings.BASE_DIR / path).read_text(encoding="utf-8"))):
            checks = by_number.setdefault(number, [])
            if (path, function) not in checks:
                checks.append((path, function))
    return dict(sorted(by_number.items()))


def _faults_in(tree: ast.AST, inside: tuple[str, ...] = ()) -> Iterator[tuple[int, str]]:
    """The number of each fault reported, and in which function: `Fault(7, …)`, `replay.fault(7, …)`, `yield "7: …"`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield from _faults_in(node, (*inside, node.name))
            continue
        if (number := _number_of(node)) is not None:
            yield number, ".".join(inside)
        yield from _faults_in(node, inside)


def _number_of(node: ast.AST) -> int | None:
    if isinstance(node, ast.Call) and node.args:
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        first = node.args[0]
        is_fault = name in {"Fault", "fault"} and isinstance(first, ast.Constant)
        return first.value if is_fault and isinstance(first.value, int) else None  # type: ignore[attr-defined]
    if isinstance(node, ast.Yield) and isinstance(node.value, ast.JoinedStr) and node.value.values:
        begins = node.value.values[0]
        match = (
            _NUMBERED.match(begins.value)
            if isinstance(begins, ast.Constant) and isinstance(begins.value, str)
            else None
        )
        return int(match[1]) if match else None
    return None


def _invariants() -> str:
    rows = []
    for number, checks in checks_of_invariants().items():
        by_file: dict[str, list[str]] = {}
        for path, function in checks:
            by_file.setdefault(path, []).append(f"`{function}`")
        checkers = "; ".join(f"`{path}`: {', '.join(functions)}" for path, functions in by_file.items())
        rows.append((f"[{number}](#invariant-{number})", checkers))
    return _table(("invariant", "checked by"), *rows)


TABLES: dict[str, Callable[[], str]] = {
    "ranks": _ranks,
    "conflicts": _conflicts,
    "rights": _rights,
    "filters": _filters,
    "figures": _figures,
    "bounds": _bounds,
    "invariants": _invariants,
}


class Command(GeneratedPages):
    help = "Write the tables of docs/rules.md from the code; --check fails when one is stale."
    command = "rules_doc"
    requires_system_checks = ()

    def pages(self) -> Iterator[tuple[Path, str]]:
        yield PAGE, page(PAGE.read_text(encoding="utf-8"))
