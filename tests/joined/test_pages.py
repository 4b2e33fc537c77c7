"""The way in by a link, and the chat behind it: who gets in, what is shown, and when it is over."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from agents_app.credentials.tokens import issue_token
from config.limits import MAX_CONTENT
from config.logs import RedactingFilter
from messaging_app.models import Message
from messaging_app.thread import NewMessage
from sessions_app.actions import messages, participants
from sessions_app.models import Participant
from tests.api.world import Caller
from tests.cast import Chat, Later, snapshot
from tests.joined.conftest import Guest, Invite

pytestmark = pytest.mark.django_db

type Join = Callable[..., Guest]


def said(answer: Any) -> list[str]:
    """What a page or fragment shows of what was said."""
    page = re.sub("<template.*?</template>", "", answer.content.decode(), flags=re.DOTALL)
    return re.findall(r'<p class="said"[^>]*>(.*?)</p>', page, re.DOTALL)


def note(chat: Chat, content: str) -> None:
    messages.post_note(actor=chat.cast.ann, conversation_id=chat.id, words=NewMessage(content=content))


def remove(chat: Chat, guest: Guest) -> None:
    participants.remove_participant(actor=chat.cast.ann, conversation_id=chat.id, participant_id=guest.pk or 0)


# --- The link ----------------------------------------------------------------------------------------------------


def test_looking_at_a_link_uses_up_nothing(chat: Chat, invite: Invite, join: Join) -> None:
    """Mail scanners and the previews of chats look at every link."""
    chat.serve()
    invited = invite()
    before = snapshot()
    for _ in range(3):
        page = Client().get(f"/join/{invited.token}")
        assert page.status_code == 200
        assert "Ann" in page.text
        assert "Shop" in page.text
    assert snapshot() == before
    assert join(invited).page().status_code == 200


def test_the_page_of_a_link_says_who_invites_whom_and_nothing_of_the_conversation(chat: Chat, invite: Invite) -> None:
    chat.serve()
    chat.says("My secret order")
    page = Client().get(f"/join/{invite(history='last', history_count=3).token}").text
    assert "the last 3 messages before joining" in page
    assert "Gus" in page
    for private in ("My secret order", chat.row.title, chat.row.account_id):
        assert private not in page


def test_the_token_leaves_the_page_in_no_referer_and_the_forms_address_has_none(chat: Chat, invite: Invite) -> None:
    chat.serve()
    token = invite().token
    for page in (Client().get(f"/join/{token}"), Client().get("/join/invented")):
        assert page["Referrer-Policy"] == "strict-origin"
        assert "no-store" in page["Cache-Control"]
        assert f"/join/{token}" not in page.text


def test_no_log_holds_a_token(chat: Chat, invite: Invite, monkeypatch: pytest.MonkeyPatch) -> None:
    """The framework logs the address of what was not found or went wrong."""
    chat.serve()
    token = invite().token
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Lines()
    handler.addFilter(RedactingFilter())
    logging.getLogger("django").addHandler(handler)
    try:
        Client().get(f"/join/{token}x")
        Client(enforce_csrf_checks=True).post("/join/", {"token": token})
        Client().put(f"/join/{token}")
    finally:
        logging.getLogger("django").removeHandler(handler)
    assert len(lines) == 3, lines
    assert token not in "".join(lines)
    assert "Not Found: /join/…" in lines
    ours = [handler for handler in logging.getLogger().handlers if any(map(_is_discreet, handler.filters))]
    assert ours, "the log of the settings has the filter"


def _is_discreet(filter: Any) -> bool:
    return isinstance(filter, RedactingFilter)


def test_what_lets_nobody_in_is_answered_alike(chat: Chat, others: Any, invite: Invite, join: Join) -> None:
    chat.serve()
    used, withdrawn = invite(), invite()
    join(used)
    participants.remove_participant(
        actor=chat.cast.ann, conversation_id=chat.id, participant_id=withdrawn.participant_id or 0
    )
    before = snapshot()
    pages = set()
    for token in (used.token, withdrawn.token, "invented", "x" * 5000):
        for answer in (Client().get(f"/join/{token}"), Client().post("/join/", {"token": token})):
            assert answer.status_code == 404
            pages.add(answer.content)
    pages.add(Client().post("/join/").content)
    assert len(pages) == 1
    assert b"Ask for a new one." in pages.pop()
    assert snapshot() == before


def test_one_browser_joins_and_finds_its_way_back_by_the_same_link(chat: Chat, invite: Invite, join: Join) -> None:
    chat.serve()
    invited = invite()
    guest = join(invited)
    assert guest.client.get(f"/join/{invited.token}")["Location"] == f"/joined/{guest.pk}/"
    assert guest.client.post("/join/", {"token": invited.token})["Location"] == f"/joined/{guest.pk}/"
    assert Client().get(f"/joined/{guest.pk}/").status_code == 404
    assert chat.event_types.count("participant.joined") == 1


def test_the_cookie_is_for_the_server_only_and_a_new_one(chat: Chat, invite: Invite, join: Join) -> None:
    """Whoever planted a session's cookie in somebody's browser does not join with them."""
    chat.serve()
    browser = Client()
    browser.session.save()
    planted = browser.session.session_key or ""
    browser.cookies["sessionid"] = planted
    guest = join(invite(), browser)
    cookie = guest.client.cookies["sessionid"]
    assert cookie.value != planted
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")


def test_a_form_of_another_site_is_refused(chat: Chat, invite: Invite) -> None:
    chat.serve()
    invited = invite()
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/join/", {"token": invited.token}).status_code == 403
    assert Participant.objects.get().status == "invited"
    page = strict.get(f"/join/{invited.token}").text
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert found
    sent = {"token": invited.token, "csrfmiddlewaretoken": found[1]}
    assert strict.post("/join/", sent).status_code == 302
    assert strict.post(f"/joined/{invited.participant_id}/say/", {"content": "Hi"}).status_code == 403
    assert chat.said == []


# --- What is shown -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "sees"),
    [
        ({"history": "none"}, ["after joining"]),
        ({"history": "from_now"}, ["after inviting", "after joining"]),
        ({"history": "last", "history_count": 2}, ["second", "after inviting", "after joining"]),
        ({"history": "all"}, ["first", "second", "after inviting", "after joining"]),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_just_the_history_that_was_shared_and_never_a_note(
    chat: Chat, later: Later, invite: Invite, join: Join, mode: dict[str, Any], sees: list[str]
) -> None:
    """On the page, in its news, and over the API alike."""

    def time_passes_and(content: str) -> None:
        later(10)
        chat.says(content)
        note(chat, f"note: {content}")
        later(10)

    chat.serve()
    chat.cast.chat().says("in another conversation")
    time_passes_and("first")
    time_passes_and("second")
    invited = invite(**mode)
    time_passes_and("after inviting")
    guest = join(invited)
    time_passes_and("after joining")
    assert said(guest.page()) == sees
    assert said(guest.news()) == sees
    token = issue_token(chat.participant_actor(guest.pk))
    listed = Caller(token).get(f"conversations/{chat.id}/messages").json()["results"]
    assert [message["content"] for message in reversed(listed)] == sees
    for answer in (guest.page(), guest.news(), guest.page("?before=2999-01-01T00:00:00%2B00:00_1")):
        assert "note: " not in answer.text


def test_news_are_what_came_since(chat: Chat, invite: Invite, join: Join) -> None:
    chat.serve()
    guest = join(invite(history="all"))
    chat.says("one")
    seq = chat.row.seq
    chat.says("two")
    assert said(guest.news(seq)) == ["two"]
    assert f'data-seq="{chat.row.seq}"' in guest.news(seq).text
    assert said(guest.news(chat.row.seq)) == []


def test_a_long_conversation_comes_page_by_page(chat: Chat, invite: Invite, join: Join) -> None:
    chat.serve()
    for number in range(70):
        chat.says(f"{number}.")
    guest = join(invite(history="all"))
    page = guest.page()
    assert said(page) == [f"{n}." for n in range(20, 70)]
    found = re.search(r'id="earlier"[^>]*href="([^"]+)"', page.text)
    assert found
    earlier = guest.client.get(found[1].replace("&amp;", "&"), headers={"HX-Request": "true"})
    assert said(earlier) == [f"{n}." for n in range(20)]
    assert 'id="earlier"' not in earlier.text
    assert guest.page("?before=nonsense").status_code == 404
    assert "data-behind" not in guest.news().text


def test_who_is_in_the_conversation_is_named(chat: Chat, invite: Invite, join: Join) -> None:
    cast = chat.cast
    chat.serve()
    participants.invite_colleague(actor=cast.ann, conversation_id=chat.id, agent_id=cast.agent("ben").pk)
    join(invite(name="Gil"))
    guest = join(invite())
    invite(name="Not yet in")
    page = guest.page()
    named = [(person.name, person.kind, person.is_me) for person in page.context["page"].people]
    assert named == [
        (chat.row.title, "customer", False),
        ("Ann", "agent", False),
        ("Ben", "collaborator", False),
        ("Gil", "guest", False),
        ("Gus", "guest", True),
    ]
    assert "Not yet in" not in page.text


def test_names_and_words_are_only_text_and_the_policy_is_the_strict_one(chat: Chat, invite: Invite, join: Join) -> None:
    chat.serve()
    payload = '"><script>window.__xss=1</script>'
    invited = invite(name=payload, history="all")
    chat.says(payload)
    pages = [Client().get(f"/join/{invited.token}"), (guest := join(invited)).page(), guest.news()]
    for page in pages:
        assert "<script>window" not in page.text
        assert "&lt;script&gt;window.__xss=1" in page.text
        assert "unsafe" not in page["Content-Security-Policy"]
        assert " style=" not in page.text
        assert " onclick=" not in page.text


# --- What is said ------------------------------------------------------------------------------------------------


def test_words_go_out_once_as_the_participants(chat: Chat, invite: Invite, join: Join) -> None:
    chat.serve()
    guest = join(invite())
    for _ in range(2):
        assert guest.says("It is in stock.", message_id="once").status_code == 302
    (message,) = Message.objects.all()
    assert (message.sender_type, message.sender_name, message.sender_id) == ("participant", "Gus", str(guest.pk))
    assert f'data-by="participant:{guest.pk}"' in guest.page().text


def test_words_that_were_refused_are_given_back(chat: Chat, invite: Invite, join: Join) -> None:
    chat.serve()
    guest = join(invite())
    answer = guest.says("x" * (MAX_CONTENT + 1))
    assert answer.status_code == 400
    assert "xxx</textarea>" in answer.text
    url = f"/joined/{guest.pk}/say/"
    fragment = guest.client.post(url, {"content": " "}, headers={"HX-Request": "true"})
    assert (fragment.status_code, fragment["Desk-Fragment"]) == (400, "joined")
    assert "A message needs text." in fragment.text


# --- When it is over ---------------------------------------------------------------------------------------------


def _removed(chat: Chat, guest: Guest) -> None:
    remove(chat, guest)


def _left(chat: Chat, guest: Guest) -> None:
    assert guest.client.post(f"/joined/{guest.pk}/leave/").status_code == 302


def _ended(chat: Chat, guest: Guest) -> None:
    chat.resolve()


@pytest.mark.parametrize(
    ("ends", "sentence"),
    [
        (_removed, "You were taken out of this conversation."),
        (_left, "You have left this conversation."),
        (_ended, "This conversation has ended."),
    ],
)
def test_when_it_is_over_a_plain_sentence_is_all_there_is(
    chat: Chat, invite: Invite, join: Join, ends: Callable[[Chat, Guest], None], sentence: str
) -> None:
    chat.serve()
    chat.says("secret")
    invited = invite(history="all")
    guest = join(invited)
    assert said(guest.page()) == ["secret"]
    ends(chat, guest)
    before = snapshot()
    again = guest.client.get(f"/join/{invited.token}", follow=True)
    for answer in (guest.page(), guest.news(), guest.says("Still there?"), again):
        assert answer.status_code == 410
        assert sentence in answer.text
        assert "secret" not in answer.text
    assert guest.client.post(f"/joined/{guest.pk}/leave/").status_code == 410
    assert snapshot() == before


def test_two_participations_of_one_browser_end_apart(chat: Chat, invite: Invite, join: Join) -> None:
    cast = chat.cast
    chat.serve()
    first = join(invite(history="all"))
    other = cast.chat().serve()
    invited = participants.invite_participant(actor=cast.ann, conversation_id=other.id, name="Gus", history="all")
    second = join(invited, first.client)
    chat.says("here")
    other.says("there")
    assert (said(first.page()), said(second.page())) == (["here"], ["there"])
    remove(chat, first)
    assert (first.page().status_code, second.page().status_code) == (410, 200)


def test_a_login_is_no_way_in_and_a_guest_is_no_agent(chat: Chat, invite: Invite, join: Join) -> None:
    chat.serve()
    guest = join(invite())
    assert guest.client.get("/desk/")["Location"].startswith("/login/")
    assert guest.client.get("/api/v1/conversations").status_code == 401
    assert Client().get(f"/joined/{guest.pk}/").status_code == 404
    assert guest.client.get(f"/joined/{(guest.pk or 0) + 1}/").status_code == 404


# --- With the work ends the participation ------------------------------------------------------------------------


def test_with_the_last_open_session_everybody_is_out_and_links_end(chat: Chat, invite: Invite, join: Join) -> None:
    cast = chat.cast
    chat.serve()
    participants.invite_colleague(actor=cast.ann, conversation_id=chat.id, agent_id=cast.agent("ben").pk)
    guest, unused = join(invite(history="all")), invite(contact="gil@example.org")
    chat.release()  # a bot goes on: the work has not ended
    assert guest.page().status_code == 200
    chat.take()
    chat.resolve()
    rows = Participant.objects.order_by("pk").values_list("status", "notice_status", "token_hash")
    assert list(rows) == [("ended", "", None)] * 3
    assert chat.event_types[-3:] == ["collaborator.ended", "participant.ended", "participant.ended"]
    assert Client().get(f"/join/{unused.token}").status_code == 404
    chat.says("A week later.")
    assert "A week later." not in guest.page().text


def test_a_session_that_waits_keeps_the_participation(chat: Chat, invite: Invite, join: Join) -> None:
    chat.robot()
    chat.human()  # the robot is paused
    guest = join(invite())
    chat.resolve()
    assert chat.controller == "bot"
    assert guest.page().status_code == 200
