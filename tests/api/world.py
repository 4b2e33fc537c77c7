"""Two tenants with their callers: everybody who may knock at the API, by role, with a credential of each."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from io import BytesIO
from itertools import count
from typing import Any

from django.contrib.auth import get_user_model
from django.core.files import File
from django.test import Client

from agents_app.actors import Actor, client_actor
from agents_app.credentials.secrets import issue_key
from agents_app.credentials.tokens import issue_token
from agents_app.models import Agent, ApiClient, Department
from messaging_app.agent_tools import canned_replies, labels
from messaging_app.models.agent_tools import Mention
from messaging_app.thread import NewMessage
from messaging_app.webhooks import endpoints
from sessions_app.actions import flows, import_queue, inbound, lifecycle, messages, saved_views
from sessions_app.models import Participant
from sessions_app.states import Kind
from tests.cast import Cast, Chat
from tests.uploads import upload

ROLES = ("anonymous", "customer", "participant", "bot", "integrator", "agent", "supervisor", "admin")
V1 = "/api/v1/"
NOBODY = 2**40
"""An id that no row has."""
_number = count(1)


class Caller:
    """Somebody who calls: with a key or token, with a login, or with nothing."""

    def __init__(self, secret: str = "", user: Any = None, *, csrf: bool = False) -> None:
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        self.secret = secret
        self.client = Client(enforce_csrf_checks=csrf, headers=headers)
        if user:
            self.client.force_login(user)

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(_address(path), query)

    def post(self, path: str, body: Any = None, *, key: str = "", **headers: str) -> Any:
        """`key` is the Idempotency-Key."""
        sent = {"Idempotency-Key": key} | headers if key else headers
        data = "" if body is None else json.dumps(body)
        return self.client.post(_address(path), data, content_type="application/json", headers=sent)

    def send(self, method: str, path: str, body: Any = None, form: bool = False) -> Any:
        """Any method; `form` sends the body as a page's form does. So is every body sent with a file in it."""
        if method == "POST" and (form or any(isinstance(value, File) for value in (body or {}).values())):
            return self.client.post(_address(path), body or {})
        data = "" if body is None else json.dumps(body)
        return self.client.generic(method, _address(path), data, content_type="application/json")


def _address(path: str) -> str:
    return path if path.startswith(("/", "http")) else V1 + path


def key_of(cast: Cast, name: str) -> str:
    """A new key for a program of the cast; the one before ends."""
    return issue_key(cast.bot_row(name))


def program(cast: Cast, name: str) -> Caller:
    return Caller(key_of(cast, name))


def agent(cast: Cast, name: str, *, csrf: bool = False) -> Caller:
    return Caller(user=login_of(cast, name), csrf=csrf)


def login_of(cast: Cast, name: str) -> Any:
    """The agent's login, made if there is none."""
    row = cast.agent(name)
    if row.user is None:
        row.user = get_user_model().objects.create_user(f"{name}-{cast.tenant.slug}-{next(_number)}")
        row.save()
    return row.user


def bearer(actor: Actor) -> Caller:
    """A customer or participant with a token."""
    return Caller(issue_token(actor))


# --- The matrix's places -----------------------------------------------------------------------------------------


@dataclass
class Place:
    """What a request can name: the ids of one conversation and all that is in it. By itself, nothing that exists."""

    conversation: int = NOBODY
    session: int = NOBODY
    transfer: int = NOBODY
    flow: int = NOBODY
    participant: int = NOBODY
    agent: int = NOBODY
    bot: int = NOBODY
    webhook: int = NOBODY
    delivery: int = NOBODY
    batch: int = NOBODY
    reply: int = NOBODY
    team_reply: int = NOBODY
    label: int = NOBODY
    view: int = NOBODY
    team_view: int = NOBODY
    mention: int = NOBODY
    attachment: int = NOBODY
    unsent: int = NOBODY
    epoch: int = 1

    def path(self, pattern: str) -> str:
        return pattern.format(**asdict(self))


type State = Callable[[Cast, str, str], Chat]


def with_bot(cast: Cast, who: str, bot: str) -> Chat:
    """A bot is at work. An agent has served meanwhile, and invited a guest who is still there."""
    chat = cast.chat()
    chat.robot(getattr(cast, bot))
    _invite(chat, getattr(cast, who))
    return chat


def _invite(chat: Chat, host: Actor) -> None:
    chat.take(host)
    chat.guest(host)
    chat.release(host)


def queued(cast: Cast, who: str, bot: str) -> Chat:
    """A bot asked for a human."""
    chat = with_bot(cast, who, bot)
    chat.says("A human, please.")
    chat.escalate(getattr(cast, bot))
    return chat


def served(cast: Cast, who: str, bot: str) -> Chat:
    """An agent serves what a bot worked, and has offered it to a colleague."""
    chat = queued(cast, who, bot)
    chat.accept(getattr(cast, who))
    chat.hand_over(getattr(cast, who), to_agent_id=cast.agent("ben").pk)
    return chat


def paused(cast: Cast, who: str, bot: str) -> Chat:
    chat = with_bot(cast, who, bot)
    lifecycle.pause_session(actor=getattr(cast, bot), session_id=chat.live.pk)
    return chat


def pending(cast: Cast, who: str, bot: str) -> Chat:
    """Another bot is at work, and this one's session waits."""
    chat = cast.chat()
    chat.robot(cast.follow_up, Kind.AUTO_BARGAIN)
    _invite(chat, getattr(cast, who))
    chat.robot(getattr(cast, bot), Kind.AUTO_FOLLOW_UP)
    return chat


STATES: dict[str, State] = {state.__name__: state for state in (served, queued, with_bot, paused, pending)}


@dataclass
class World:
    """`places` are own, other (of the same tenant), foreign (another tenant's) and none; `callers` are by role."""

    places: dict[str, Place]
    callers: dict[str, Caller]


def world(state: State, here: Cast, elsewhere: Cast) -> World:
    """Ann, the bargain bot and the channel have what is `own`; Cat, the faq bot and a courier have the other."""
    here.program("courier", ApiClient.Kind.INTEGRATOR)
    own = state(here, "ann", "bargain")
    other = state(here, "cat", "faq")
    foreign = state(elsewhere, "ann", "bargain")
    here.hire("ada", role=Agent.Role.ADMIN)
    warehouse = Department.objects.create(tenant=here.tenant, name="Warehouse")
    warehouse.members.create(name="Wes", contact="wes@example.org")
    places = {
        "own": _place(here, own, "bargain", "channel"),
        "other": _place(here, other, "faq", "courier"),
        "foreign": _place(elsewhere, foreign, "bargain", "channel"),
        "none": Place(),
    }
    callers = {
        "anonymous": Caller(),
        "customer": bearer(own.customer),
        "participant": bearer(own.participant_actor(places["own"].participant)),
        "bot": program(here, "bargain"),
        "integrator": program(here, "channel"),
        "agent": agent(here, "ann"),
        "supervisor": agent(here, "sue"),
        "admin": agent(here, "ada"),
    }
    return World(places, callers)


def _place(cast: Cast, chat: Chat, bot: str, integrator: str) -> Place:
    session = chat.sessions[-1]
    owner = client_actor(cast.bot_row(integrator))
    webhook = endpoints.create_endpoint(actor=owner, url="http://127.0.0.1:9999/").endpoint
    line = b'{"message_id": "m", "content": "Hello?"}\n'
    batch = import_queue.keep(actor=getattr(cast, bot), file=BytesIO(line), size=len(line))
    flow = flows.open_flow(actor=getattr(cast, bot), trigger_id=f"flow-{chat.id}", question="Which size?")
    guest = Participant.objects.get(conversation_id=chat.id)
    return Place(
        conversation=chat.id,
        session=session.pk,
        transfer=chat.pending.pk if chat.has_pending else NOBODY,
        flow=flow.pk,
        participant=guest.pk,
        agent=cast.agent("ben").pk,
        bot=cast.bot_row(bot).pk,
        webhook=webhook.pk,
        delivery=endpoints.ping(actor=owner, endpoint_id=webhook.pk).pk,
        batch=batch.pk,
        **_kept(cast, chat, "ann" if bot == "bargain" else "cat"),
        **_files(chat, owner),
        epoch=chat.epoch,
    )


def _files(chat: Chat, channel: Actor) -> dict[str, int]:
    """What the channel brought in with a customer's words, and what it has not sent yet."""
    sent, unsent = upload(channel, chat.id), upload(channel, chat.id)
    words = NewMessage(content="", attachments=(sent.pk,))
    inbound.receive_message(actor=channel, conversation_id=chat.id, words=words)
    return {"attachment": sent.pk, "unsent": unsent.pk}


def _kept(cast: Cast, chat: Chat, who: str) -> dict[str, int]:
    """What an agent keeps, what a team keeps that the agent is in, and a note that mentions the agent."""
    agent, sue = getattr(cast, who), cast.sue
    team = cast.team(f"Team of {who}", who)
    words, shared = {"title": "Thanks", "text": "Thank you."}, {"scope": "team", "team_id": team.pk}
    note = NewMessage(content=f"@{who.title()} look.")
    said = messages.post_note(actor=sue, conversation_id=chat.id, words=note)
    return {
        "reply": canned_replies.create_reply(actor=agent, shortcut="/thanks", **words).pk,
        "team_reply": canned_replies.create_reply(actor=sue, shortcut="/thanks", **words, **shared).pk,
        "label": labels.create_label(actor=sue, name=f"of {who}").pk,
        "view": saved_views.create_view(actor=agent, name="Mine", filter={"view": "mine"}).pk,
        "team_view": saved_views.create_view(actor=sue, name="All", filter={}, **shared).pk,
        "mention": Mention.objects.get(message__message_id=said.message_id).pk,
    }
