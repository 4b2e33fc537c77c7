"""The world that the probe asks about: two tenants, brought about over the API and the pages as outsiders would.

Only what the admin makes is made as rows here: tenants, people with their logins, teams, programs and their keys. Every
conversation, session, transfer, invitation, file and webhook comes of a request that somebody was allowed to make.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from time import monotonic
from typing import Any

from django.contrib.auth import get_user_model
from django.test import Client
from django.test.client import ClientHandler

from agents_app.credentials.secrets import issue_key
from agents_app.models import Agent, ApiClient, Department, Team, Tenant
from config import clock
from messaging_app.models.attachments import Attachment
from tests.probe.addresses import NOTHING, path_of
from tests.probe.asked import STATES, Ask, Place, picture

CREDENTIALS = {
    "nobody": "sends no credential",
    "junk": "sends a key in the right form that nobody was ever given",
    "revoked": "sends an integrator's key that was replaced by a new one",
    "customer": "has the token that the integrator got for the conversation",
    "guest": "has the token for which an invitation's link was given in",
    "bot": "has the key of the bot that works the conversation",
    "channel": "has the key of a bot that is its own channel: beside a bot's scopes it has inbound:write",
    "integrator": "has the key of the program that connects the shop, with every scope",
    "narrow": "has an integrator's key with the scope conversations:read alone",
    "agent": "is logged in, and serves the conversation",
    "supervisor": "is logged in, and supervises",
    "admin": "is logged in, and administers the tenant",
    "operator": "is logged in as the site's superuser, with no agent of any tenant behind the login",
    "dismissed": "is logged in still, but does not work here any more",
}
"""Whoever can knock, each with what else it could be taken for: nothing and two that look like keys (a wrong one, a former
one); the two tokens; the four kinds of keys, by kind and by scopes; the three roles, and two logins that are none.
"""
BROWSERS = {
    "browser": "has used an invitation's link, and is known by its session alone",
    "visitor": "plays the customer at /try-it/, and is known by its session alone",
}
"""No credentials that anybody is given, and yet the only way in to some pages."""
CALLERS = (*CREDENTIALS, *BROWSERS)
BOUND = ("customer", "guest")
"""Whose token is good for one conversation only."""
KEYS_AND_TOKENS = ("customer", "guest", "bot", "channel", "integrator", "narrow")
"""Good for the API and for no page."""
LOGINLESS = ("operator", "dismissed", *BROWSERS)
"""Who has no way in to the API: no agent stands behind it."""

_OF_BOTS = ["messages:write", "sessions:write", "transfers:write", "flows:write", "events:read", "conversations:read"]


class Nothing(dict[str, Any]):
    """What a request names that names nothing."""

    def __missing__(self, name: str) -> Any:
        return "never-was" if name == "link" else NOTHING


_handler = ClientHandler(enforce_csrf_checks=False)
"""One for all: each new one would look through the static files again."""


def client(**more: Any) -> Client:
    made = Client(**more)
    made.handler = _handler
    return made


def keyed(secret: str) -> Client:
    return client(headers={"Authorization": f"Bearer {secret}"})


def did(answer: Any) -> Any:
    """What was answered to a request that must be allowed."""
    assert answer.status_code < 400, (answer.request["PATH_INFO"], answer.status_code, answer.content[:500])
    return json.loads(answer.content) if answer.content and "json" in answer["Content-Type"] else None


def post(who: Client, address: str, body: Any = None, *, of: str = "application/json") -> Any:
    return did(who.post(path_of(address), {} if body is None else body, content_type=of))


def put_up(who: Client, address: str) -> Any:
    return did(who.post(path_of(address), {"file": picture()}))


class Tenancy:
    """One tenant: its people by login, its programs by key, and the places where they have worked."""

    def __init__(self, slug: str) -> None:
        self.tenant = Tenant.objects.create(slug=slug, name=slug.title())
        self.people = {name: self._hire(name, Agent.Role.AGENT) for name in ("ann", "ben", "cat", "dan")}
        self.people["sue"] = self._hire("sue", Agent.Role.SUPERVISOR)
        self.people["ada"] = self._hire("ada", Agent.Role.ADMIN)
        for bot in ("bargain", "faq", "follow"):
            self._program(bot)
        self._program("walkie", scopes=[*_OF_BOTS, "inbound:write"])
        for integrator in ("shop", "courier", "former"):
            self._program(integrator, ApiClient.Kind.INTEGRATOR)
        self._program("reader", ApiClient.Kind.INTEGRATOR, scopes=["conversations:read"])
        Department.objects.create(tenant=self.tenant, name="Warehouse").members.create(
            name="Wes", contact="w@x.example"
        )
        for person in self.people.values():
            post(person, "agents/me/availability", {"availability": "available"})
        self.present()
        self.tokens: dict[tuple[str, str, str], str] = {}
        self.browsers: dict[str, Client] = {}

    def present(self) -> None:
        """Everybody is heard of just now, however long it has taken until here."""
        for person in self.people.values():
            post(person, "sessions/heartbeat")

    def _hire(self, name: str, role: str) -> Client:
        user = get_user_model().objects.create_user(f"{name}@{self.tenant.slug}")
        Agent.objects.create(tenant=self.tenant, user=user, name=name.title(), role=role)
        return logged_in(user)

    def _program(self, name: str, kind: str = ApiClient.Kind.BOT, **more: Any) -> None:
        ApiClient.objects.create(tenant=self.tenant, name=name, kind=kind, **more)

    def key(self, name: str) -> str:
        """A new key; the one before ends."""
        return issue_key(self.row(name))

    def row(self, name: str) -> ApiClient:
        return ApiClient.objects.get(tenant=self.tenant, name=name)

    def agent(self, name: str) -> Agent:
        return Agent.objects.get(tenant=self.tenant, name=name.title())

    def work(self, whose: str, who: str, bot: str, program: str, states: tuple[str, ...]) -> dict[str, Place]:
        """Conversations that this agent and bot have worked, one in each state, and what they keep beside."""
        crew = _Crew(self, whose, who, bot, program)
        places = {state: crew.conversation(state) for state in states}
        kept = crew.keep(next(iter(places.values()))["conversation"])
        return {state: Nothing(kept | place) for state, place in places.items()}


class _Crew:
    """An agent, a bot and a program, at work for one customer after the other."""

    def __init__(self, at: Tenancy, whose: str, who: str, bot: str, program: str) -> None:
        self.at, self.whose, self.who = at, whose, who
        self.agent, self.sue = at.people[who], at.people["sue"]
        self.bot, self.program = keyed(at.key(bot)), keyed(at.key(program))
        self.bot_name, self.program_name = bot, program

    def conversation(self, state: str) -> dict[str, Any]:
        """What has happened before: the customer wrote, a bot began, the agent stepped in, had a guest and left it to the bot."""
        its = {"shop_id": "shop-1", "account_id": f"{self.whose}-{state}"}
        said = post(self.program, "inbound", its | {"content": "Is it still there?"})
        conversation = f"conversations/{said['conversation_id']}"
        bot = keyed(self.at.key("follow")) if state == "pending" else self.bot
        opened = post(bot, "sessions", its | {"kind": "AUTO_BARGAIN"})
        post(self.agent, f"{conversation}/take-over")
        found = {"conversation": said["conversation_id"], "session": opened["session_id"]}
        found |= self._people(conversation, state)
        post(self.agent, f"{conversation}/release")
        now = getattr(self, f"_{state}")(conversation, its, found) or {}
        found |= {name: now[f"{name}_id"] for name in ("session", "transfer") if now.get(f"{name}_id")}
        token = post(self.program, "tokens", {"conversation_id": found["conversation"]})["token"]
        self.at.tokens[self.whose, state, "customer"] = token
        found["epoch"] = did(self.sue.get(path_of(conversation)))["epoch"]
        return found

    def _people(self, conversation: str, state: str) -> dict[str, Any]:
        invited = post(self.agent, f"{conversation}/invite", {"name": "Gus"})
        sent = {"tenant": self.at.tenant.slug, "token": invited["token"]}
        self.at.tokens[self.whose, state, "guest"] = post(client(), "join", sent)["token"]
        found = {"participant": invited["participant_id"]}
        if state == "served":
            browser = self.at.browsers[self.whose] = client()
            invited = post(self.agent, f"{conversation}/invite", {"name": "Bea"})
            did(browser.post("/join/", {"token": invited["token"]}))
            found["joined"] = invited["participant_id"]
            found["link"] = post(self.agent, f"{conversation}/invite", {"name": "Una"})["token"]
        return found

    # --- The states ---

    def _with_bot(self, conversation: str, its: Any, found: Any) -> Any:
        """The bot works on."""

    def _queued(self, conversation: str, its: Any, found: Any) -> Any:
        """The bot has asked for a human."""
        return post(self.bot, f"{conversation}/escalate", {"reason": "Wants a refund."})

    def _served(self, conversation: str, its: Any, found: Any) -> Any:
        """The agent has accepted, and offered it to Ben, who has not answered. The customer has sent a file."""
        asked = self._queued(conversation, its, found)
        post(self.at.people["ben"], "sessions/heartbeat")
        post(self.agent, f"transfers/{asked['transfer_id']}/accept")
        offered = post(self.agent, f"{conversation}/transfer", {"to_agent_id": str(self.at.agent("ben").pk)})
        sent, unsent = (put_up(self.program, f"{conversation}/attachments")["id"] for _ in range(2))
        post(self.program, "inbound", {"conversation_id": found["conversation"], "attachments": [sent]})
        found |= {"attachment": sent, "unsent": unsent}
        return offered

    def _paused(self, conversation: str, its: Any, found: Any) -> Any:
        return post(self.bot, f"sessions/{found['session']}/pause")

    def _pending(self, conversation: str, its: Any, found: Any) -> Any:
        """Another bot works, and this one waits for its turn."""
        return post(self.bot, "sessions", its | {"kind": "AUTO_FOLLOW_UP"})

    def _quiet(self, conversation: str, its: Any, found: Any) -> Any:
        """The work is done, the guest's part in it too, and the customer writes once more: nobody's turn."""
        post(self.bot, f"sessions/{found['session']}/complete", {"outcome": "success"})
        post(self.program, "inbound", its | {"content": "Thank you."})

    # --- What is kept beside conversations ---

    def keep(self, conversation_id: str) -> dict[str, Any]:
        team = Team.objects.create(tenant=self.at.tenant, name=f"Team of {self.who} for {self.whose}")
        team.members.add(self.at.agent(self.who))
        words = {"shortcut": f"/{self.whose}", "title": "Thanks", "text": "Thank you."}
        view = {"name": f"Of {self.whose}", "filter": {"view": "all"}}
        shared = {"scope": "team", "team_id": str(team.pk)}
        post(self.sue, f"conversations/{conversation_id}/notes", {"content": f"@{self.who.title()} have a look."})
        webhook = post(self.program, "webhooks", {"url": "http://127.0.0.1:9998/"})["id"]
        asked = {"trigger_id": f"of-{self.whose}", "question": "Which size?"}
        return {
            "agent": self.at.agent("ben").pk,
            "bot": self.at.row(self.bot_name).pk,
            "flow": post(self.bot, "flows", asked)["id"],
            "batch": post(self.bot, "batches", b"\n" * 1_001, of="application/x-ndjson")["id"],
            "webhook": webhook,
            "delivery": post(self.program, f"webhooks/{webhook}/ping")["id"],
            "reply": post(self.agent, "canned-replies", words)["id"],
            "team_reply": post(self.sue, "canned-replies", words | shared)["id"],
            "view": post(self.agent, "saved-views", view)["id"],
            "team_view": post(self.sue, "saved-views", view | shared)["id"],
            "label": post(self.sue, "labels", {"name": f"of {self.whose}"})["id"],
            "mention": did(self.agent.get(path_of("mentions")))["results"][0]["id"],
        }


def logged_in(user: Any) -> Client:
    made = client()
    made.force_login(user)
    return made


class World:
    """`client` and `place` say with what somebody asks, and about which things. The caller's own come first in `where`."""

    def __init__(self, states: tuple[str, ...] = STATES) -> None:
        here, elsewhere = Tenancy("probed"), Tenancy("elsewhere")
        self.places: dict[str, Mapping[str, Place]] = {
            "first": here.work("first", "ann", "bargain", "shop", states),
            "second": here.work("second", "cat", "faq", "courier", states),
            "channel": here.work("channel", "ann", "walkie", "shop", states),
            "foreign": elsewhere.work("foreign", "ann", "bargain", "shop", states),
        }
        self.here, self.elsewhere = here, elsewhere
        here.present()
        former = keyed(here.key("former"))
        here.key("former")
        operator = get_user_model().objects.create_superuser("operator")
        here.agent("dan").__class__.objects.filter(pk=here.agent("dan").pk).update(is_active=False)
        self._clients: dict[str, Client] = {
            "nobody": client(),
            "junk": keyed("tdm_0a1b2c3d_" + "x" * 43),
            "revoked": former,
            "bot": keyed(here.key("bargain")),
            "channel": keyed(here.key("walkie")),
            "integrator": keyed(here.key("shop")),
            "narrow": keyed(here.key("reader")),
            "agent": here.people["ann"],
            "supervisor": here.people["sue"],
            "admin": here.people["ada"],
            "operator": logged_in(operator),
            "dismissed": here.people["dan"],
            "browser": here.browsers["first"],
            "visitor": client(),
        }
        self._bound = {(state, who): keyed(here.tokens["first", state, who]) for state in states for who in BOUND}
        self._own = self._of_browsers()
        self._made_at = monotonic()

    def stand_still(self) -> None:
        """However slow the machine: nobody falls silent and nothing runs out while it is asked about."""
        clock.offset = timedelta(seconds=self._made_at - monotonic())

    def client(self, who: str, state: str) -> Client:
        return self._bound[state, who] if who in BOUND else self._clients[who]

    def place(self, who: str, where: str, state: str) -> Place:
        if where == "nothing":
            return Nothing()
        if where == "own":
            if its := self._own.get((who, state)):
                return its
            return self.places["channel" if who == "channel" else "first"][state]
        return self.places["second" if where == "other" else "foreign"][state]

    def _of_browsers(self) -> dict[tuple[str, str], Place]:
        """What the two browsers have put up themselves."""
        joined, visitor = self.places["first"]["served"], self._clients["visitor"]
        put_up(self._clients["browser"], f"/joined/{joined['joined']}/attach/")
        unsent = Attachment.objects.latest("pk").pk
        put_up(visitor, "/try-it/attach/")
        sent = Attachment.objects.latest("pk")
        did(visitor.post("/try-it/say/", {"content": "Look.", "attachment": sent.pk}))
        put_up(visitor, "/try-it/attach/")
        played = {"attachment": sent.pk, "unsent": Attachment.objects.latest("pk").pk}
        return {
            ("browser", "served"): Nothing({**joined, "unsent": unsent}),
            ("visitor", "served"): Nothing({**joined, **played}),
        }


def wheres(ask: Ask) -> tuple[str, ...]:
    """Whose things it is tried with. A link is good in whoever's hand, and what names nothing is everybody's."""
    return ("own", "other", "foreign") if ask.names_something and "link" not in ask.pattern else ("own",)
