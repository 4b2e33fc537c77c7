"""A tenant with many open conversations: a few that the verbs made, and copies of their rows by INSERT … SELECT.

Each has a bot's live session and a customer's message. A copy is what the verbs wrote, under other ids, with another
account, another message id and its own place in the stream and in the list; only the chain's hash is the original's,
which nobody reads here. What would be due within a day is put off by one, so that no clock interferes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

PLAYED = 50
"""Conversations that are played by the verbs."""
SHIFT = 1_000
"""Between the ids of a row and of its next copy: more than the verbs make rows."""
AGENTS = 32
CSRF = "c" * 32
TEXT = "您好，请稍等，我帮您查询一下订单"
PIECE = 2_000
"""Copies in one statement: at a million rows each is still short."""


@dataclass(slots=True)
class People:
    """Credentials of a filled database, and some of its conversations."""

    bot: str
    channel: str
    agents: list[str]
    """Cookies of logins; the CSRF token is always the same."""
    viewer: str
    nobody: str
    """The login of a tenant that has nothing."""
    ids: list[int]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def fill(size: int) -> People:
    """On the database that Django stands on, which is empty but for its tables."""
    from agents_app.credentials.secrets import issue_key
    from agents_app.models import Agent, ApiClient, Tenant
    from messaging_app.detection.defaults import install

    tenant = Tenant.objects.create(slug="bench", name="Bench")
    install(tenant)
    bot = ApiClient.objects.create(tenant=tenant, name="bot")
    channel = ApiClient.objects.create(tenant=tenant, name="channel", kind=ApiClient.Kind.INTEGRATOR)
    _play(bot, PLAYED)
    multiply(size)
    people = People(issue_key(bot), issue_key(channel), [], "", "", sample())
    there: dict[str, Any] = {
        "availability": Agent.Availability.AVAILABLE,
        "last_seen_at": datetime.now(UTC) + timedelta(days=1),
    }
    people.agents = [_login(tenant, f"agent-{number}", max_load=1000, **there) for number in range(AGENTS)]
    people.viewer = _login(tenant, "viewer", role=Agent.Role.SUPERVISOR, max_load=1000)
    people.nobody = _login(Tenant.objects.create(slug="empty", name="Empty"), "nobody")
    return people


def sample(most: int = 5_000) -> list[int]:
    """Conversations of all over the table. Not the played ones: who writes into them spoils what is copied from them."""
    from messaging_app.models import Conversation

    rows = Conversation.objects.filter(tenant__slug="bench", account_id__startswith="played", pk__gte=SHIFT).order_by(
        "pk"
    )
    every = max(1, rows.count() // most)
    return [pk for place, pk in enumerate(rows.values_list("pk", flat=True).iterator()) if place % every == 0][:most]


def _play(client: Any, count: int) -> None:
    from agents_app.actors import client_actor, customer_actor
    from messaging_app import relay
    from messaging_app.thread import NewMessage
    from sessions_app.actions import inbound, lifecycle
    from sessions_app.models import ChatSession

    bot, customer = client_actor(client), customer_actor(client.tenant)
    for number in range(count):
        pk = lifecycle.conversation_for(actor=bot, shop_id=f"shop-{number % 20}", account_id=f"played-{number:03}").pk
        lifecycle.open_session(actor=bot, conversation_id=pk, robot=True)
        inbound.receive_message(actor=customer, conversation_id=pk, words=NewMessage(content=TEXT))
    relay.stamp_whole(client.tenant_id)
    for session in ChatSession.objects.all():
        for name in ("expires_at", "reply_due_at", "warns_at"):
            if moment := getattr(session, name):
                setattr(session, name, moment + timedelta(days=1))
        session.save()


def _login(tenant: Any, name: str, **fields: Any) -> str:
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.test import Client

    from agents_app.models import Agent

    user = get_user_model().objects.create_user(f"{name}@{tenant.slug}")
    Agent.objects.create(tenant=tenant, user=user, name=name.title(), **fields)
    browser = Client()
    browser.force_login(user)
    session = browser.cookies[settings.SESSION_COOKIE_NAME].value
    return f"{settings.SESSION_COOKIE_NAME}={session}; {settings.CSRF_COOKIE_NAME}={CSRF}"


# --- Copies ------------------------------------------------------------------------------------------------------


def multiply(size: int) -> None:
    """As many copies that there are `size` conversations of the played kind; what is there already stays."""
    from django.db import connection, transaction

    from messaging_app.models import Conversation, Message, Operation, SearchCursor, StreamHead
    from sessions_app.models import ChatSession
    from tests.unguarded import unguarded

    models = (Conversation, ChatSession, Message, Operation)
    ends = Operation.objects.filter(pk__lt=SHIFT).count()
    begin = max(model._default_manager.order_by("-pk").values_list("pk", flat=True)[0] for model in models) // SHIFT + 1
    end = begin + size // PLAYED - Conversation.objects.filter(account_id__startswith="played").count() // PLAYED
    before = StreamHead.objects.order_by("-pos").values_list("pos", flat=True)[0] - begin * ends
    is_postgres = connection.vendor == "postgresql"
    with unguarded(), connection.cursor() as cursor:
        if is_postgres:
            cursor.execute("SET statement_timeout = 0")
            cursor.execute("SET session_replication_role = replica")  # the originals were checked
        for first in range(begin, end, PIECE):
            last = min(first + PIECE, end)
            with transaction.atomic():
                for model in models:
                    cursor.execute(_copying(model, models, (before, ends), first, last))
        if is_postgres:
            cursor.execute("SET session_replication_role = DEFAULT")
            for model in models:
                table = model._meta.db_table
                cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))")
        head = Operation.objects.order_by("-pos").values_list("pos", flat=True).exclude(pos=None)[0]
        StreamHead.objects.update(pos=head)
        SearchCursor.objects.update(pos=head)  # none of it is searched for
        cursor.execute("VACUUM ANALYZE" if is_postgres else "ANALYZE")
        if is_postgres:
            cursor.execute("RESET statement_timeout")


def _copying(model: Any, models: tuple[Any, ...], places: tuple[int, int], first: int, last: int) -> str:
    """The statement that copies the played rows of a table, for each `n` from `first` to before `last`.

    `places`: what is added to a position in the stream, once and for each `n`.
    """
    from django.db import connection

    is_postgres, quoted = connection.vendor == "postgresql", connection.ops.quote_name
    columns = [field for field in model._meta.concrete_fields if not field.generated]
    values = [_value(model, field, models, places, is_postgres=is_postgres) for field in columns]
    series = (
        f"generate_series({first}, {last - 1}) AS s(n)"
        if is_postgres
        else f"(WITH RECURSIVE c(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM c WHERE n + 1 < {last}) SELECT n FROM c) AS s"
    )
    table = quoted(model._meta.db_table)
    return (
        f"INSERT INTO {table} ({', '.join(quoted(field.column) for field in columns)}) SELECT {', '.join(values)}"
        f" FROM {table} AS t CROSS JOIN {series} WHERE t.id < {SHIFT}{_ONLY_PLAYED.get(model._meta.model_name, '')}"
    )


_ONLY_PLAYED = {"conversation": " AND t.account_id LIKE 'played%'", "operation": " AND t.conversation_id IS NOT NULL"}


def _value(model: Any, field: Any, models: tuple[Any, ...], places: tuple[int, int], *, is_postgres: bool) -> str:
    name = f"t.{field.column}"
    if field.primary_key or field.related_model in models or field.column == "session_id":
        return f"{name} + n * {SHIFT}"
    if field.column in ("account_id", "message_id"):
        return f"{name} || '-' || n"
    if field.column == "pos":
        return f"{name} + {places[0]} + n * {places[1]}"
    if field.column == "desk_order":
        return f"{name} + n * 1000"
    if field.column == "last_activity_at" and model._meta.model_name == "conversation":
        return f"{name} - n * interval '1 second'" if is_postgres else f"datetime({name}, '-' || n || ' seconds')"
    if field.column == "data":
        if is_postgres:
            moved = f"jsonb_build_object('message', ({name}->>'message')::bigint + n * {SHIFT})"
            return f"CASE WHEN {name} ? 'message' THEN {name} || {moved} ELSE {name} END"
        of = f"json_extract({name}, '$.message')"
        return f"CASE WHEN {of} IS NOT NULL THEN json_set({name}, '$.message', {of} + n * {SHIFT}) ELSE {name} END"
    return name
