"""Trust, T1: no time that a sender claims breaks anything, or makes sessions depend on how its rows were cut."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from io import StringIO
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config import clock
from messaging_app.batch import read_object
from messaging_app.models import Conversation, Message, Operation
from sessions_app.actions import batch_plan, batches, sweep
from sessions_app.actions.batch_rows import Report
from sessions_app.manager import AutoSessionManager
from sessions_app.models import ChatSession
from tests.api.world import Caller, agent, program
from tests.cast import Cast, Chat, Later

pytestmark = pytest.mark.django_db

EXTREMES = ("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "0001-01-01T00:10Z", "9999-12-31T23:59:59-14:00")


@pytest.fixture
def channel(cast: Cast) -> Caller:
    return program(cast, "channel")


def row(name: str, timestamp: Any, sender: str = "customer", **more: Any) -> dict[str, Any]:
    when = timestamp.isoformat() if isinstance(timestamp, datetime) else timestamp
    said = {"message_id": name, "shop_id": "lamps", "account_id": "anna", "content": name, "sender_type": sender}
    return {**said, "timestamp": when, **more}


def minutes(number: float) -> datetime:
    """So many minutes from now."""
    return clock.now() + timedelta(minutes=number)


def brings(channel: Caller, *rows: dict[str, Any]) -> dict[str, Any]:
    answer = channel.post("batches", {"rows": list(rows)})
    assert answer.status_code == 200, answer.content
    return answer.json()["result"]


def sessions(account: str = "anna", tenant: int | None = None) -> list[tuple[str, str, list[str]]]:
    """Status, owner and messages of each session, the oldest first."""
    rows = ChatSession.objects.filter(conversation__account_id=account).order_by("first_message_at", "pk")
    rows = rows.filter(tenant=tenant) if tenant else rows
    return [
        (s.status, s.owner_kind, sorted(Message.objects.filter(session_id=s.pk).values_list("content", flat=True)))
        for s in rows
    ]


# --- T1.1, T1.2, T1.4: what no clock shows ---------------------------------------------------------------------------


def test_t1_1_rows_of_year_1_are_rejected_by_line_and_the_others_are_stored(channel: Caller) -> None:
    told = brings(channel, *(row(f"m{n}", when) for n, when in enumerate((*EXTREMES, "2020-01-01T00:00:00Z"))))
    assert (told["accepted"], told["rejected"]) == (3, 2)
    assert [(one["line"], one["code"]) for one in told["rejections"]] == [(2, "malformed"), (3, "malformed")]
    assert all("is before 2000-01-01" in one["reason"] for one in told["rejections"])
    assert sorted(Message.objects.values_list("message_id", flat=True)) == ["m0", "m3", "m4"]
    assert all(said.sent_at <= clock.now() for said in Message.objects.all())


def test_t1_1_a_file_with_such_rows_is_read_to_its_end(cast: Cast, tmp_path: Path) -> None:
    file, out = tmp_path / "chat.ndjson", StringIO()
    lines = [row(f"m{n}", when) for n, when in enumerate((*EXTREMES, "2020-01-01T00:00:00Z"))]
    file.write_text("\n".join(json.dumps(line) for line in lines))
    call_command("ingest", str(file), "--tenant", "shop", "--rejects", str(tmp_path / "bad"), "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert (told["accepted"], told["rejected"]) == (3, 2)


def test_t1_1_a_large_batch_with_such_rows_is_done(channel: Caller, settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    rows = [row(f"m{n}", EXTREMES[n % 4], account_id=f"a-{n % 7}") for n in range(1100)]
    answer = channel.post("batches", {"rows": rows})
    assert answer.status_code == 202
    from sessions_app.actions import import_queue

    import_queue.work_off(int(answer.json()["id"]))
    told = channel.get(f"batches/{answer.json()['id']}").json()
    assert (told["state"], told["result"]["accepted"], told["result"]["rejected"]) == ("done", 550, 550)


@pytest.mark.parametrize(
    ("when", "told"),
    [
        ("2026-11-29", "'2026-11-29' is no ISO 8601 time such as 2026-03-01T08:30:00Z."),
        ("2026-02-30T08:30:00Z", "'2026-02-30T08:30:00Z' is no ISO 8601 time: there is no such date or time."),
        ("1999-12-31T23:59:59Z", "'1999-12-31T23:59:59Z' is before 2000-01-01."),
        (7, "It must be text such as 2026-03-01T08:30:00Z, not a number."),
    ],
)
def test_t1_2_what_is_wrong_with_a_time_is_said_in_a_sentence(channel: Caller, when: object, told: str) -> None:
    """The field is named beside it."""
    said = {"shop_id": "lamps", "account_id": "anna", "content": "hello", "sent_at": when}
    assert channel.post("inbound", said).json()["errors"] == {"sent_at": [told]}
    webhook = channel.post("webhooks", {"url": "https://hooks.example.com/tandem"}).json()["id"]
    assert channel.post(f"webhooks/{webhook}/replay", {"since": when}).json()["errors"] == {"since": [told]}


def test_t1_2_a_live_message_of_year_1_is_refused_and_the_beat_goes_on(channel: Caller, later: Later) -> None:
    key = {"shop_id": "lamps", "account_id": "anna"}
    for when in EXTREMES[1:3]:
        answer = channel.post("inbound", {**key, "content": "hello", "sent_at": when})
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
        assert "sent_at" in answer.json()["errors"]
    assert channel.post("inbound", {**key, "content": "hello", "sent_at": EXTREMES[0]}).status_code == 201
    assert Message.objects.get().sent_at <= clock.now()
    later(61)
    assert batches.group_unsessioned().sessions_created == 1


def test_t1_2_what_an_older_version_stored_does_not_stop_the_beat(chat: Chat, cast: Cast, later: Later) -> None:
    chat.says("old")
    Message.objects.update(sent_at=datetime.fromisoformat("0001-01-01T00:00:00+00:00"))
    other = cast.chat()
    other.says("new")
    later(61)
    batches.group_unsessioned()
    assert not Message.objects.filter(session_id=None).exists()


@pytest.mark.parametrize("digits", [1, 6, 7, 9, 10, 12, 30])
@pytest.mark.parametrize("offset", ["Z", "", "+00:00"])
def test_t1_a_fraction_has_as_many_digits_as_its_sender_has(channel: Caller, digits: int, offset: str) -> None:
    """Cut to microseconds, which all databases hold."""
    fraction = ("987654" + "9" * 24)[:digits]
    assert brings(channel, row("m", f"2026-03-01T08:00:00.{fraction}{offset}"))["accepted"] == 1
    assert Message.objects.get().sent_at == datetime.fromisoformat(f"2026-03-01T08:00:00.{fraction[:6]}+00:00")
    body = {"shop_id": "lamps", "account_id": "anna", "content": "hello"}
    answer = channel.post("inbound", {**body, "sent_at": f"2026-03-01T08:00:00.{fraction}{offset}"})
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "when",
    [
        "2026-W10-1T08:00:00Z",
        f"2026-03-01T08:00:00.{'1' * 31}Z",
        "2026-03-01T08:00:00.Z",
        "2026-060T08:00:00",
        "20260301T080000Z",
        "2026-03-01",
        "2026-03-01T08",
        "2026-03-01T08:00:00,5Z",
        "2026-03-01T24:00:00Z",
        "2026-02-30T08:00:00Z",
        "2026-03-01T08:00:00+25:00",
        "٢٠٢٦-03-01T08:00:00Z",
        "1999-12-31T23:59:59Z",
        " 2026-03-01T08:00:00Z",
        "",
    ],
)
def test_t1_what_is_no_documented_time_is_refused_at_every_door(channel: Caller, when: str) -> None:
    assert brings(channel, row("m", when))["rejected"] == 1
    body = {"shop_id": "lamps", "account_id": "anna", "content": "hello", "sent_at": when}
    assert channel.post("inbound", body).status_code == 400
    told = AutoSessionManager("shop").process_chat_messages([row("m", when)])
    assert (told.processed_count, told.rejected_count) == (0, 1)
    assert not Message.objects.exists()


def test_t1_4_nothing_is_alive_until_2066(channel: Caller) -> None:
    brings(channel, row("m", "2066-01-01T00:00:00Z"))
    (session,) = ChatSession.objects.all()
    assert session.expires_at is not None
    assert session.expires_at <= clock.now() + timedelta(minutes=30)
    assert Conversation.objects.get().last_activity_at <= clock.now()


# --- T1.3, T1.5: what the constraint holds ---------------------------------------------------------------------------

PAIRS = {"ahead, then now": (31, 0), "now, then ahead": (0, 31), "old, then ahead": (-29, 2)}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_t1_3_rows_ahead_are_now_and_one_session_takes_both(channel: Caller, pair: tuple[int, int]) -> None:
    for name, when in zip("ab", pair, strict=True):
        assert brings(channel, row(name, minutes(when)))["accepted"] == 1
    together = [row(name, minutes(when), account_id="ben") for name, when in zip("cd", pair, strict=True)]
    assert brings(channel, *together)["accepted"] == 2
    assert sessions("anna") == [("ACTIVE", "", ["a", "b"])]
    assert sessions("ben") == [("ACTIVE", "", ["c", "d"])]


def test_t1_5_a_late_row_joins_a_living_session_to_history_on_record(cast: Cast) -> None:
    ingest(cast, [row("a", minutes(-50))])
    ingest(cast, [row("b", minutes(-5))])
    assert [status for status, *_ in sessions()] == ["COMPLETED", "ACTIVE"]
    gone, into = ChatSession.objects.order_by("first_message_at").values_list("pk", flat=True)
    report = ingest(cast, [row("c", minutes(-27)), row("elsewhere", minutes(-27), account_id="ben")])
    assert (report.accepted, report.sessions_joined) == (2, 1)
    assert sessions() == [("ACTIVE", "", ["a", "b", "c"])]
    told = Operation.objects.filter(conversation__account_id="anna").latest("seq")
    assert told.data["joined"] == [[gone, into]]


def test_t1_3_a_row_beyond_what_is_open_begins_no_second_live_session(chat: Chat, cast: Cast, channel: Caller) -> None:
    """Found history that was superseded ends near now; a bot is live; a row joins the history, which stays history."""
    key = {"shop_id": chat.row.shop_id, "account_id": chat.row.account_id}
    brings(channel, row("a", minutes(-25), **key), row("b", minutes(-20), **key))
    chat.robot()
    assert brings(channel, row("c", minutes(-50), **key))["accepted"] == 1
    assert [s.status for s in chat.sessions if s.origin == "grouped"] == ["COMPLETED"]
    assert chat.live.bot_id == cast.bargain.id


def test_a_row_leaves_an_agents_found_session_with_the_agent(cast: Cast, channel: Caller) -> None:
    brings(channel, row("a", minutes(-5)), row("b", minutes(-4), "bot"))
    chat = Chat(cast, Conversation.objects.get().pk)
    chat.take()
    brings(channel, row("c", minutes(-3), "bot"))
    assert (chat.live.owner_kind, chat.live.agent_id, chat.controller) == ("agent", cast.ann.id, "human")


def test_what_the_shop_answered_from_its_app_stays_the_shops(cast: Cast, channel: Caller) -> None:
    brings(channel, row("a", minutes(-5)))
    chat = Chat(cast, Conversation.objects.get().pk)
    chat.echo("I am here.")
    brings(channel, row("b", minutes(-1), "bot"))
    assert (chat.live.owner_kind, chat.controller) == ("shop", "human")


# --- Late: history at a live door ------------------------------------------------------------------------------------


def test_t1_a_message_that_comes_nine_hours_late_is_history(chat: Chat, cast: Cast, channel: Caller) -> None:
    cast.rule("keyword", phrases=["human please"], effect="escalate")
    chat.robot()
    chat.says("news")
    body = {"conversation_id": str(chat.id), "content": "human please", "message_id": "late"}
    answer = channel.post("inbound", body | {"sent_at": minutes(-9 * 60).isoformat()}).json()
    assert (answer["controller"], answer["detail"]) == ("none", {"is_history": True})
    assert not chat.transfers
    assert chat.controller == "bot"
    assert (chat.row.last_text, chat.row.needs_human) == ("news", False)
    late = Message.objects.get(message_id="late")
    assert ChatSession.objects.get(pk=late.session_id).status == "COMPLETED"
    again = channel.post("inbound", body | {"sent_at": minutes(-9 * 60).isoformat()}).json()
    assert (again["is_repeat"], again["controller"], again["session_id"]) == (True, "none", str(late.session_id))


@pytest.mark.parametrize("state", ["bot", "queue", "human"])
def test_t1_what_the_shop_said_yesterday_is_history(chat: Chat, later: Later, state: str) -> None:
    """Told by the channel a day late: nobody of the shop is there now, and the customer is answered by nobody."""
    {"bot": chat.robot, "queue": chat.queue, "human": chat.human}[state]()
    chat.says("Is 20 possible?")
    before = (chat.controller, chat.epoch, len(chat.transfers), chat.row.unanswered_since)
    answer = chat.echo("We sent it.", "late", sent_at=minutes(-20 * 60))
    assert (answer.controller, answer.detail) == ("none", {"is_history": True})
    assert (chat.controller, chat.epoch, len(chat.transfers), chat.row.unanswered_since) == before
    assert chat.row.last_text == "Is 20 possible?"
    late = Message.objects.get(message_id="late")
    assert (late.sender_type, ChatSession.objects.get(pk=late.session_id).status) == ("shop", "COMPLETED")
    again = chat.echo("We sent it.", "late", sent_at=minutes(-20 * 60))
    assert (again.is_repeat, again.controller, again.session_id) == (True, "none", late.session_id)


def test_t1_what_the_shop_said_a_little_ago_silences_the_bot(chat: Chat) -> None:
    chat.robot()
    chat.says("Is 20 possible?")
    chat.echo("It is.", sent_at=minutes(-7.9 * 60))
    assert (chat.controller, chat.row.unanswered_since) == ("human", None)


def test_t1_a_customer_whom_the_shop_answered_only_yesterday_is_not_forgotten(chat: Chat, later: Later) -> None:
    chat.robot()
    chat.says("Is 20 possible?")
    chat.echo("We sent it.", sent_at=minutes(-20 * 60))
    later(1801)
    sweep.sweep_due()
    assert (chat.controller, chat.row.needs_human) == ("none", True)


def test_t1_a_message_that_is_late_by_less_is_news(chat: Chat, channel: Caller) -> None:
    chat.robot()
    body = {"conversation_id": str(chat.id), "content": "hello", "sent_at": minutes(-7.9 * 60).isoformat()}
    assert channel.post("inbound", body).json()["controller"] == "bot"


def test_t1_late_words_are_the_last_ones_where_there_are_no_newer(channel: Caller) -> None:
    body = {"shop_id": "lamps", "account_id": "anna", "content": "long ago", "sent_at": minutes(-600).isoformat()}
    assert channel.post("inbound", body).status_code == 201
    row = Conversation.objects.get()
    assert row.last_text == "long ago"
    assert row.last_activity_at < minutes(-599)
    assert [status for status, *_ in sessions()] == ["COMPLETED"]


def test_t1_a_lagging_message_is_put_where_it_belongs_and_not_into_what_was_only_found(
    channel: Caller, later: Later
) -> None:
    brings(channel, row("now", minutes(-1)))
    key = {"shop_id": "lamps", "account_id": "anna"}
    channel.post("inbound", {**key, "content": "two hours ago", "sent_at": minutes(-120).isoformat()})
    later(61)
    batches.group_unsessioned()
    assert sessions() == [("COMPLETED", "", ["two hours ago"]), ("ACTIVE", "", ["now"])]


def test_t1_somebody_may_still_open_a_session_for_a_lagging_message(channel: Caller, later: Later) -> None:
    """`GROUP_AFTER` counts from when it came in, not from when it was said."""
    body = {"shop_id": "lamps", "account_id": "anna", "content": "hello", "sent_at": minutes(-20).isoformat()}
    channel.post("inbound", body)
    batches.group_unsessioned()
    assert Message.objects.get().session_id is None
    later(61)
    batches.group_unsessioned()
    assert Message.objects.get().session_id is not None


# --- One conversation does not stop the others -----------------------------------------------------------------------


def test_t1_what_breaks_in_one_conversation_is_told_by_line_and_the_others_are_stored(
    channel: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = batch_plan.plan

    def breaks(conversation: Conversation, *args: Any, **kwargs: Any) -> Any:
        if conversation.account_id in ("ben", "cat"):
            raise RuntimeError("no such thing was foreseen")
        return plan(conversation, *args, **kwargs)

    monkeypatch.setattr(batch_plan, "plan", breaks)
    told = brings(
        channel,
        row("a", minutes(-5)),
        row("b", minutes(-5), account_id="ben"),
        row("c", minutes(-9000), account_id="cat"),
        row("d", minutes(-9000), account_id="dan"),
    )
    assert (told["accepted"], told["rejected"]) == (2, 2)
    assert [(one["line"], one["code"]) for one in told["rejections"]] == [(2, "failed"), (3, "failed")]
    assert sorted(Message.objects.values_list("content", flat=True)) == ["a", "d"]


# --- Whatever the times, the cut and the order -----------------------------------------------------------------------


def ingest(cast: Cast, rows: Iterable[dict[str, Any]], size: int = 100) -> Report:
    read = [read_object(number, one) for number, one in enumerate(rows, 1)]
    assert all(not isinstance(one, str) for one in read)
    return batches.ingest_batch(actor=cast.system, rows=read, size=size)  # type: ignore[arg-type]


WHO = ("customer", "bot", "agent", "shop")
said = st.tuples(
    # Near the gap and far from it; what lies ahead is now, so that the cut's own seconds do not count.
    st.one_of(
        st.sampled_from([-600, -95, -65, -61, -59.5, -58, -50, -31, -29, -27, -20, -5, -1, 1, 31, 10**7]),
        st.integers(-200, 40),
    ),
    st.sampled_from(WHO),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(days=st.lists(said, min_size=1, max_size=7), chance=st.randoms(use_true_random=False), size=st.integers(1, 4))
def test_t1_sessions_do_not_depend_on_cut_or_order_whatever_the_times(
    cast: Cast, later: Later, days: list[tuple[float, str]], chance: Any, size: int
) -> None:
    """Half a minute stands between any time here and the gap, so what the runs take does not count."""
    now = clock.now()
    far = datetime.fromisoformat("9999-12-31T00:00:00+00:00")
    at = [far if minute > 10**6 else now + timedelta(minutes=minute + 0.25) for minute, _ in days]
    number = Conversation.objects.count()
    made = {}
    for name, order in (("whole", list(range(len(days)))), ("cut", chance.sample(range(len(days)), len(days)))):
        account = f"{name}-{number}"
        rows = [row(f"{account}-{n}", at[n], days[n][1], account_id=account, content=f"{n}") for n in order]
        ingest(cast, rows, 100 if name == "whole" else size)
        made[name] = sessions(account)
    assert made["whole"] == made["cut"]


def test_t1_every_order_of_a_bridge_gives_the_same_session(cast: Cast) -> None:
    times = {"a": -50, "b": -27, "c": -5, "d": 31}
    for number, order in enumerate(permutations(times)):
        account = f"anna-{number}"
        for name in order:
            ingest(cast, [row(f"{account}-{name}", minutes(times[name]), account_id=account, content=name)])
        assert sessions(account) == [("ACTIVE", "", ["a", "b", "c", "d"])], order


# --- Times that are asked for, not brought ---------------------------------------------------------------------------

BEYOND = ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00"]


@pytest.mark.parametrize("when", [*BEYOND, "2026-W10-1T08:00:00Z", "yesterday"])
def test_t1_a_replay_since_no_time_is_refused(cast: Cast, channel: Caller, when: str) -> None:
    hook = channel.post("webhooks", {"url": "https://example.org/", "types": ["message.created"]}).json()
    answer = channel.post(f"webhooks/{hook['id']}/replay", {"since": when})
    assert answer.status_code == (200 if when.startswith("9999") else 400), answer.content


@pytest.mark.parametrize("place", [*(f"{when}_1" for when in BEYOND), f"2026-03-01T08:00:00Z_{'9' * 30}", "_", "x_1"])
def test_t1_a_place_in_a_thread_that_is_none_never_breaks_the_page(cast: Cast, chat: Chat, place: str) -> None:
    chat.says("Hello?")
    page = agent(cast, "ann").client.get(f"/desk/c/{chat.id}/", {"before": place})
    assert page.status_code in (200, 400)


type Door = Callable[[Caller, str], Any]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    when=st.one_of(
        st.datetimes(timezones=st.timezones() | st.just(None)).map(lambda d: d.isoformat()),  # type: ignore[arg-type]
        st.text(max_size=30),
        st.from_regex(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})?\Z"),
    ),
    live=st.booleans(),
)
def test_t1_no_time_is_an_error_of_ours(cast: Cast, when: str, live: bool) -> None:
    channel = program(cast, "channel")
    number = Message.objects.count()
    if live:
        body = {"shop_id": "s", "account_id": f"a{number}", "content": "hello", "sent_at": when}
        assert channel.post("inbound", body).status_code in (201, 400)
    else:
        told = brings(channel, row(f"m{number}", when, account_id=f"a{number}"))
        assert told["accepted"] + told["rejected"] == 1
    batches.group_unsessioned()
