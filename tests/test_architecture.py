"""Rules of the house that a reader cannot check by eye, read off the syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from django.conf import settings

from tests.cast import APPS

PACKAGES = ("config", "agents_app", "messaging_app", "sessions_app")
ACTIONS = "sessions_app/actions"
REPLAY = "sessions_app/core/record/replay/"
WITH_STATUS = {"ChatSession", "Transfer", "GuidedFlow", "Participant"}
WRITERS = {"create", "acreate", "update", "aupdate", "get_or_create", "update_or_create", "bulk_update"}


class Trees(Mapping[str, ast.Module]):
    """The syntax tree of each source file by its path, made when it is asked for: whoever only collects asks for none."""

    def __init__(self) -> None:
        paths = [path for package in PACKAGES for path in sorted((settings.BASE_DIR / package).rglob("*.py"))]
        paths = [path for path in paths if "migrations" not in path.parts]
        self._paths = {path.relative_to(settings.BASE_DIR).as_posix(): path for path in paths}
        self._made: dict[str, ast.Module] = {}

    def __getitem__(self, name: str) -> ast.Module:
        if name not in self._made:
            self._made[name] = ast.parse(self._paths[name].read_text(encoding="utf-8"))
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


TREES = Trees()


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _is_status(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and node.value == "status"


def writes_of_status(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every way in which a row's status could be written: an assignment, a constructor, an update, a setattr."""
    for node in ast.walk(tree):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign | ast.AugAssign):
            targets = [node.target]
        for target in (leaf for t in targets for leaf in ast.walk(t)):
            if isinstance(target, ast.Attribute) and target.attr == "status":
                yield target.lineno, "assignment"
        if not isinstance(node, ast.Call):
            continue
        called = _name(node.func)
        names = {keyword.arg for keyword in node.keywords}
        if "status" in names and called in WITH_STATUS | WRITERS:
            yield node.lineno, f"{called}(status=…)"
        if called in {"setattr", "__setattr__"} and any(_is_status(arg) for arg in node.args):
            yield node.lineno, "setattr"
        if called == "bulk_update" and any(_is_status(leaf) for arg in node.args for leaf in ast.walk(arg)):
            yield node.lineno, "bulk_update"
        for keyword in node.keywords:
            if keyword.arg in {"update_fields", "defaults"} and any(
                _is_status(leaf) for leaf in ast.walk(keyword.value)
            ):
                yield node.lineno, f"{keyword.arg}"


OPLOG = "sessions_app/core/oplog/"
MAY_SET_STATUS = {
    *(path for path in TREES if path.startswith(OPLOG)),
    # Of what is replayed, which is no row: the test below
    *(path for path in TREES if path.startswith(REPLAY)),
    "sessions_app/workbench/design/fixtures.py",  # of rows that are drawn and never stored: the test below
}


@pytest.mark.parametrize(
    "path", [path for path in TREES if path.startswith("sessions_app/") and path not in MAY_SET_STATUS]
)
def test_only_oplog_writes_a_status(path: str) -> None:
    assert list(writes_of_status(TREES[path])) == []


@pytest.mark.parametrize("path", [path for path in TREES if path.startswith("sessions_app/workbench/design/")])
def test_the_design_page_stores_nothing(path: str) -> None:
    called = {_name(node.func) for node in ast.walk(TREES[path]) if isinstance(node, ast.Call)}
    assert called & {"save", "create", "bulk_create", "update", "get_or_create", "update_or_create"} == set()
    assert not any(isinstance(node, ast.Attribute) and node.attr == "objects" for node in ast.walk(TREES[path]))


def test_the_replay_of_the_record_knows_no_row() -> None:
    """It has sessions and transfers of its own; how much a row keeps of a text is no row."""
    walked = [node for path in TREES if path.startswith(REPLAY) for node in ast.walk(TREES[path])]
    imported = [node for node in walked if isinstance(node, ast.ImportFrom) and node.module]
    ours = [node for node in imported if str(node.module).partition(".")[0] in {"django", "config", *APPS}]
    apart = [node for node in ours if not f"{node.module}.".startswith("sessions_app.core.record.replay.")]
    assert {node.module for node in apart} == {"sessions_app.states", "config"}
    assert {name.name for node in apart if node.module == "config" for name in node.names} == {"limits"}


def test_oplog_is_where_it_is_written() -> None:
    """The failing control: the walk above finds what it looks for."""
    writes = [write for path, tree in TREES.items() if path.startswith(OPLOG) for write in writes_of_status(tree)]
    assert len(writes) >= 4


@pytest.mark.parametrize(
    "code",
    [
        "session.status = 'ACTIVE'",
        "a.status, b = 'ACTIVE', 1",
        "session.status: str = 'ACTIVE'",
        "ChatSession(kind='x', status='ACTIVE')",
        "models.Transfer(status='PENDING')",
        "ChatSession.objects.create(status='ACTIVE')",
        "ChatSession.objects.filter(pk=1).update(status='ACTIVE')",
        "setattr(session, 'status', 'ACTIVE')",
        "ChatSession.objects.bulk_update(rows, ['rank', 'status'])",
        "session.save(update_fields=['status'])",
        "ChatSession.objects.get_or_create(pk=1, defaults={'status': 'ACTIVE'})",
    ],
)
def test_every_way_to_write_a_status_is_seen(code: str) -> None:
    assert list(writes_of_status(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        "if session.status == 'ACTIVE': pass",
        "ChatSession.objects.filter(status='ACTIVE')",
        "Outcome(status='ACTIVE')",
        "x = session.status",
    ],
)
def test_reading_a_status_is_no_offence(code: str) -> None:
    assert list(writes_of_status(ast.parse(code))) == []


def verbs() -> Iterator[tuple[str, ast.FunctionDef]]:
    for path, tree in TREES.items():
        if path.startswith(ACTIONS):
            for node in tree.body:
                if isinstance(node, ast.FunctionDef) and any(_name(d) == "verb" for d in node.decorator_list):
                    yield f"{Path(path).stem}.{node.name}", node


VERBS = dict(verbs())
WITHOUT_ACTOR = {"participants.join"}
"""The one-time token is the credential: who joins is known only by it."""


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_takes_keywords_only_and_first_who_is_acting(verb: str) -> None:
    arguments = VERBS[verb].args
    assert [*arguments.args, *arguments.posonlyargs, *filter(None, [arguments.vararg])] == []
    names = [argument.arg for argument in arguments.kwonlyargs]
    if verb not in WITHOUT_ACTOR:
        assert names[0] == "actor"
    assert all(argument.annotation for argument in arguments.kwonlyargs)
    assert VERBS[verb].returns is not None


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_takes_ids_and_not_rows(verb: str) -> None:
    words = {
        leaf.id
        for a in VERBS[verb].args.kwonlyargs
        if a.annotation
        for leaf in ast.walk(a.annotation)
        if isinstance(leaf, ast.Name)
    }
    assert not words & (WITH_STATUS | {"Conversation", "Agent", "Team", "LockedConversation"})


NO_CONVERSATION = {
    "flows.open_flow",
    "flows.move_flow",
    "flows.renew_flow",
    "presence.declare_availability",
    "presence.change_capacity",
    "departure.dismiss_agent",
    "departure.drain_agent",
    "departure.undrain_agent",
}
"""What these change may belong to none: an unbound flow, an agent's own row."""


def test_there_are_verbs() -> None:
    assert len(VERBS) >= 35


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in NO_CONVERSATION])
def test_a_verb_that_changes_a_conversation_takes_it_first(verb: str) -> None:
    """Each holds the conversation by `locked_conversation`, itself or through the verb or helper it is made of."""
    called = {_name(node.func) for node in ast.walk(VERBS[verb]) if isinstance(node, ast.Call)}
    assert called & {"locked_conversation", "_mark", "receive_message", "request_transfer"}


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


REDIS_DOORS = {"messaging_app/live.py", "config/redis_link.py", "config/buckets.py"}
"""Where it is known what to do while Redis is away."""


@pytest.mark.parametrize("path", [path for path in TREES if path not in REDIS_DOORS])
def test_nothing_else_touches_redis_and_the_channel_layer(path: str) -> None:
    touched = {
        name
        for name in imports(TREES[path])
        if name.split(".")[0] in {"redis", "channels_redis"} or name.startswith("channels.layers")
    }
    assert touched == set()


def test_one_place_indexes_what_was_said() -> None:
    """What is said, by whichever door, is indexed as its operation passes: no verb has to think of it."""
    known = {
        path
        for path, tree in TREES.items()
        if "MessageTerms" in {_name(n) for n in ast.walk(tree) if isinstance(n, ast.expr)}
    }
    assert known == {"messaging_app/search.py"}
    calls = [node for node in ast.walk(TREES["messaging_app/search.py"]) if isinstance(node, ast.Call)]
    assert [_name(node.args[0]) for node in calls if _name(node.func) == "_write_terms"].count("MessageTerms") == 1


@pytest.mark.parametrize("path", TREES)
def test_nothing_is_printed(path: str) -> None:
    called = [node for node in ast.walk(TREES[path]) if isinstance(node, ast.Call)]
    assert not [
        node.lineno for node in called if isinstance(node.func, ast.Name) and node.func.id in {"print", "breakpoint"}
    ]


MAY_ASK_THE_CLOCK = tuple(
    f"sessions_app/{door}" for door in ("api/", "workbench/", "consumers.py", "management/", "notices/webhook.py")
)
"""Doors, which show a time, and a signature, which says when it was made."""


@pytest.mark.parametrize(
    "path", [path for path in TREES if path.startswith("sessions_app/") and not path.startswith(MAY_ASK_THE_CLOCK)]
)
def test_the_core_never_asks_the_application_servers_clock(path: str) -> None:
    """Deadlines are compared with the database's clock: see config/clock.py."""
    asked = {
        _name(node.func)
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and _name(node.func.value) in {"timezone", "datetime", "time"}
    }
    assert not asked & {"now", "utcnow", "today", "time"}


@pytest.mark.parametrize(
    "path", [path for path in TREES if path.startswith(("sessions_app/", "messaging_app/", "agents_app/"))]
)
def test_no_signals_and_no_ambient_user(path: str) -> None:
    assert not {name for name in imports(TREES[path]) if name.startswith("django.db.models.signals") or "crum" in name}
