"""Inviting a department: all of its members, each with a link of their own, or nobody."""

from __future__ import annotations

from typing import Any

import pytest

from agents_app.directory import MOST_MEMBERS, Found, Person
from agents_app.models import Department
from sessions_app.actions import departments, participants
from sessions_app.models import Participant
from tests.cast import Cast, Chat, refused


@pytest.fixture(autouse=True)
def _by_rows(settings: Any) -> None:
    settings.DIRECTORY = "agents_app.directory.Rows"


def department(cast: Cast, name: str = "Warehouse", *members: str) -> Department:
    made = Department.objects.create(tenant=cast.tenant, name=name)
    for member in members or ("Wes", "Wanda"):
        made.members.create(name=member, contact=f"{member.lower()}@example.org")
    return made


def invite(chat: Chat, department_id: str = "Warehouse", **more: Any) -> dict[str, Any]:
    given = {"actor": chat.cast.ann, "conversation_id": chat.id, "department_id": department_id} | more
    return departments.invite_department(**given).detail


def test_each_member_has_a_link_and_a_notice_of_their_own(chat: Chat) -> None:
    chat.serve()
    department(chat.cast)
    invited = invite(chat, history="last", history_count=3)["invited"]
    assert [member["name"] for member in invited] == ["Wanda", "Wes"]
    for member in invited:
        row = Participant.objects.get(pk=member["participant_id"])
        assert (row.role, row.status, row.notice_status) == ("employee", "invited", "waiting")
        assert (row.history, row.history_count, row.invited_by) == ("last", 3, "Ann")
        participants.join(tenant_id=chat.cast.tenant.pk, token=member["token"])
    assert chat.event_types[-4:] == ["participant.invited"] * 2 + ["participant.joined"] * 2


@pytest.mark.parametrize("named", ["by number", "by name"])
def test_a_department_is_found_by_number_or_name(chat: Chat, named: str) -> None:
    chat.serve()
    made = department(chat.cast)
    assert len(invite(chat, str(made.pk) if named == "by number" else "Warehouse")["invited"]) == 2


def test_who_is_in_already_is_skipped_and_said_so(chat: Chat) -> None:
    chat.serve()
    department(chat.cast)
    participants.invite_participant(
        actor=chat.cast.ann, conversation_id=chat.id, name="Wes of the warehouse", contact=" WES@example.org"
    )
    again = [invite(chat), invite(chat)]
    assert [[member["name"] for member in told["invited"]] for told in again] == [["Wanda"], []]
    skipped = [{member["name"]: member["reason"] for member in told["skipped"]} for told in again]
    assert skipped == [{"Wes": "already_in"}, {"Wes": "already_in", "Wanda": "already_in"}]


def test_who_was_removed_may_be_invited_again(chat: Chat) -> None:
    chat.serve()
    department(chat.cast, "Warehouse", "Wes")
    for _ in range(2):
        (member,) = invite(chat)["invited"]
        participants.remove_participant(
            actor=chat.cast.ann, conversation_id=chat.id, participant_id=member["participant_id"]
        )


def test_no_such_department_an_empty_one_and_anothers_are_not_found(chat: Chat, others: Cast) -> None:
    chat.serve()
    Department.objects.create(tenant=chat.cast.tenant, name="Empty")
    foreign = department(others, "Theirs")
    for named in ("Nothing", "Empty", "Theirs", str(foreign.pk), "9" * 30, "warehouse’"):
        refused("not_found", invite, chat, named)


def test_a_large_department_is_not_invited_at_once(chat: Chat) -> None:
    chat.serve()
    department(chat.cast, "All", *(f"m{number}" for number in range(MOST_MEMBERS + 1)))
    error = refused("department_too_large", invite, chat, "All")
    assert error.status == 422


def test_without_a_directory_it_says_so(chat: Chat, settings: Any) -> None:
    settings.DIRECTORY = ""
    chat.serve()
    refused("no_directory", invite, chat)


class Broken:
    """A directory that is asked too often, answers nonsense, or fails."""

    answer: Any = None
    asked = 0

    def search(self, tenant: str, text: str) -> Any:
        return self.members(tenant, text)

    def members(self, tenant: str, department_id: str) -> Any:
        Broken.asked += 1
        if isinstance(Broken.answer, Exception):
            raise Broken.answer
        return Broken.answer


@pytest.mark.parametrize(
    "answer",
    [ZeroDivisionError("its own affair"), KeyError("email"), None, ["Wes"], [Person(" ", "a@example.org")]],
    ids=repr,
)
def test_whatever_goes_wrong_in_a_directory_is_one_clear_error_and_invites_nobody(
    chat: Chat, settings: Any, answer: Any
) -> None:
    settings.DIRECTORY = f"{__name__}.Broken"
    Broken.answer = answer
    chat.serve()
    error = refused("directory_failed", invite, chat)
    assert error.status == 502
    assert "its own affair" not in str(error)


def test_a_directory_that_cannot_be_loaded_is_one_too(chat: Chat, settings: Any) -> None:
    settings.DIRECTORY = "nowhere.Directory"
    chat.serve()
    refused("directory_failed", invite, chat)


@pytest.mark.parametrize(("state", "who", "code"), [("queue", "ann", "not_serving"), ("serve", "ben", "forbidden")])
def test_who_may_not_invite_is_told_before_the_directory_is_asked(
    chat: Chat, settings: Any, state: str, who: str, code: str
) -> None:
    settings.DIRECTORY = f"{__name__}.Broken"
    Broken.asked = 0
    getattr(chat, state)()
    refused(code, invite, chat, actor=getattr(chat.cast, who))
    assert Broken.asked == 0


def test_departments_are_looked_up_by_agents_in_their_own_tenant(cast: Cast, others: Cast) -> None:
    made = department(cast)
    department(cast, "Returns")
    department(others, "Warehouse")
    assert departments.search(actor=cast.ann, text="ware") == [Found(str(made.pk), "Warehouse")]
    assert [found.name for found in departments.search(actor=cast.ann)] == ["Returns", "Warehouse"]
    refused("forbidden", departments.search, actor=cast.channel)
