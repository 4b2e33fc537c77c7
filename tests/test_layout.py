"""Where things stand: how many at the top of an app, how long a file, one name for one thing, no circle.

Which layer may know which is in pyproject.toml (import-linter); what a module may do is in test_architecture.py.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import grimp
import pytest
from django.conf import settings

from tests.test_architecture import PACKAGES, TREES

ROOT = Path(settings.BASE_DIR)
MOST_AT_THE_TOP = 22
MOST_LINES = 449
MAY_BE_LONG: dict[str, str] = {}
"""A file of data or a generated one, and why it cannot be two."""

SAID_BY_THE_CLASS_AROUND_IT = {"Meta", "Media"}
"""Of a class inside a class; so are the choices of a row's field, which are named by the field."""
CHOICES = {"TextChoices", "IntegerChoices"}

NO_QUESTION = {"utils", "util", "helpers", "helper", "misc", "common", "shared", "tools", "stuff"}
BY_THE_FRAMEWORK = {"admin", "apps", "commands", "management", "migrations", "models", "tasks", "urls", "views"}
"""What Django or Celery looks for by this name, or every Django project calls so."""
IN_SEVERAL_FOLDERS = {
    "after_hours": "what becomes of customers who ask for a human while nobody is there",
    "agent_tools": "what agents keep for their work: canned replies, labels, mentions, drafts",
    "agents": "people who serve customers",
    "api": "what programs call",
    "assignment": "how a conversation in the queue is offered to an agent",
    "attachments": "files that go with messages",
    "batches": "conversations handed in afterwards, many at once",
    "canned_replies": "texts that agents keep ready",
    "clients": "programs that call the API",
    "clocks": "when something ends, or is due, by itself",
    "conversations": "conversations with a customer, whoever has the turn",
    "credentials": "secrets by which programs and people from outside are known",
    "customer": "the customer's side, played on the try-it page",
    "departments": "a tenant's departments, whose members are invited together",
    "drafts": "what an agent has typed and not sent yet",
    "errors": "refusals, each with a stable code",
    "events": "what readers of the stream are told of operations",
    "fields": "fields of bodies that read what senders bring",
    "flows": "guided flows: a program asked the customer something and may have the answer",
    "guest": "people from outside the desk, by an invitation's link",
    "hours": "business time: opening hours and holidays",
    "labels": "labels on conversations",
    "loops": "work that goes over many items, each in a transaction of its own",
    "mails": "e-mails to a team of what came after hours",
    "mentions": "colleagues named in private notes",
    "messages": "what is said in a conversation",
    "need_rules": "a tenant's rules of when somebody needs a human",
    "notices": "what people outside the desk are told of their invitation",
    "operations": "operations of the record",
    "outcomes": "what a verb answers",
    "participants": "the other people in a conversation: colleagues and guests",
    "presence": "what an agent declared, and when the agent was last heard of",
    "record": "what the operations say happened, and that it holds",
    "refusals": "why something is not done",
    "relay": "giving operations their position in the tenant's stream",
    "requests": "what callers of the API send",
    "responses": "what callers of the API are answered",
    "saved_views": "filters of the list that an agent keeps",
    "search": "finding conversations by the words in them",
    "service_hours": "whether somebody is there to serve, and what is done when nobody is",
    "service_levels": "how soon a customer is promised an answer, and the clocks of it",
    "sessions": "chat sessions: who has or waits for the turn",
    "states": "the words for where something stands",
    "stream": "the operations of a tenant, in order",
    "teams": "teams of agents",
    "tenants": "whoever runs a desk of its own in the installation",
    "thread": "the lines of one conversation",
    "tokens": "credentials of customers and participants, bound to one conversation",
    "transfers": "moves of a conversation from one owner to another",
    "webhooks": "a tenant's events, sent to addresses",
    "whatif": "a past period played again under other rules",
}
"""What a name of a module or package means, in each folder it stands in. Who gives one a second time gives it the same meaning."""


def entries(folder: Path) -> set[str]:
    """Packages and modules that stand in a folder."""
    return {path.parent.name for path in folder.glob("*/*.py")} | {
        path.stem for path in folder.glob("*.py") if path.stem != "__init__"
    }


def length(path: str) -> int:
    return len((ROOT / path).read_text(encoding="utf-8").splitlines())


def classes(body: Iterable[ast.stmt], *, is_inside: bool = False) -> Iterator[str]:
    """Names of the classes that a module defines, without those that the class around them explains."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            bases = {base.attr for base in node.bases if isinstance(base, ast.Attribute)}
            if not is_inside or not (node.name in SAID_BY_THE_CLASS_AROUND_IT or bases & CHOICES):
                yield node.name
        inner = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
        yield from classes(inner, is_inside=is_inside or isinstance(node, ast.ClassDef))


def doubles(names: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """Of the names that each path has: those of several paths, or twice in one."""
    found: dict[str, list[str]] = defaultdict(list)
    for path, several in names.items():
        for name in several:
            found[name].append(path)
    return {name: set(paths) for name, paths in found.items() if len(paths) > 1}


def circles(imports: Mapping[str, set[str]]) -> list[set[str]]:
    """Sets of modules of which each leads to each other: what is left when those are taken away that lead nowhere."""
    left = {name: {target for target in targets if target != name} for name, targets in imports.items()}
    while True:
        ends = {name for name, targets in left.items() if not targets & left.keys()}
        if not ends:
            break
        left = {name: targets - ends for name, targets in left.items() if name not in ends}
    reached = {name: _reached(left, name) for name in left}
    return [set(one) for one in {frozenset(b for b in reached[a] if a in reached[b]) for a in left} if one]


def _reached(imports: Mapping[str, set[str]], start: str) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        fresh = imports.get(waiting.pop(), set()) - reached
        reached |= fresh
        waiting.extend(fresh)
    return reached


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """Which module imports which, those for types and those inside functions included."""
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=False, cache_dir=None)
    return {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}


def between_folders(imports: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Which folder of an app knows which: a folder is what stands at the top of an app, with all that is in it."""
    known: dict[str, set[str]] = defaultdict(set)
    for module, targets in imports.items():
        known[_folder(module)] |= {_folder(target) for target in targets}
    return known


def _folder(module: str) -> str:
    return ".".join(module.split(".")[:2])


def test_a_stranger_sees_the_top_of_sessions_app_at_a_glance() -> None:
    assert len(entries(ROOT / "sessions_app")) <= MOST_AT_THE_TOP


def test_no_module_leads_back_to_itself(imports: dict[str, set[str]]) -> None:
    assert len(imports) >= len(TREES)
    assert circles(imports) == []


def test_no_folder_of_an_app_leads_back_to_itself(imports: dict[str, set[str]]) -> None:
    assert circles(between_folders(imports)) == []


def test_a_circle_is_seen_however_long() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": set()}) == [{"a", "b", "c"}]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    assert circles(between_folders({"x.a.one": {"x.b"}, "x.b": {"x.a.two"}, "x.a.two": set()})) == [{"x.a", "x.b"}]


@pytest.mark.parametrize("path", [path for path in TREES if path not in MAY_BE_LONG])
def test_a_file_is_read_in_one_sitting(path: str) -> None:
    assert length(path) <= MOST_LINES


def test_what_may_be_long_is_long() -> None:
    assert {path for path in MAY_BE_LONG if length(path) <= MOST_LINES} == set()


@pytest.mark.parametrize("app", PACKAGES)
def test_a_class_of_an_app_has_a_name_of_its_own(app: str) -> None:
    defined = {path: list(classes(tree.body)) for path, tree in TREES.items() if path.startswith(f"{app}/")}
    assert doubles({path: [name for name in names if name != "Command"] for path, names in defined.items()}) == {}


def test_a_second_class_of_a_name_is_seen() -> None:
    code = "class A:\n class Meta: ...\n class Kind(models.TextChoices): ...\nif x:\n class B: ...\ndef f():\n class C: ..."
    assert list(classes(ast.parse(code).body)) == ["A", "B", "C"]
    assert doubles({"one": ["A", "B"], "two": ["B", "C"]}) == {"B": {"one", "two"}}


def test_a_name_that_stands_in_several_folders_has_one_meaning() -> None:
    folders = {path.parent for path in (ROOT / path for path in TREES)}
    names = {str(folder): entries(folder) - BY_THE_FRAMEWORK for folder in folders}
    tops = {str(ROOT): set(PACKAGES)}
    assert doubles(names | tops).keys() == IN_SEVERAL_FOLDERS.keys()
    assert all(IN_SEVERAL_FOLDERS.values())


@pytest.mark.parametrize("path", TREES)
def test_a_module_is_named_for_its_question(path: str) -> None:
    assert not NO_QUESTION & set(Path(path).with_suffix("").parts)
