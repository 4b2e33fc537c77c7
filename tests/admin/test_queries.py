"""A list of thirty rows costs as many queries as one of two."""

from __future__ import annotations

from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents_app.models import Agent, ApiClient, Backoff, Calendar, SlaPolicy, Team, Tenant
from config import clock
from messaging_app.models import Conversation, NeedRule, StreamHead
from tests.admin.desks import talk
from tests.admin.sites import MODELS, name, url
from tests.cast import Cast

FEW, MANY = 2, 30


def _grow(cast: Cast, start: int, stop: int) -> None:
    """One more row of each model for each number."""
    for number in range(start, stop):
        tenant = Tenant.objects.create(slug=f"t{number}", name=f"T{number}")
        StreamHead.objects.create(tenant=tenant)
        Group.objects.create(name=f"g{number}")
        user = User.objects.create_user(f"u{number}")
        agent = Agent.objects.create(tenant=cast.tenant, user=user, name=f"a{number}")
        Team.objects.create(tenant=cast.tenant, name=f"team {number}").members.set([agent])
        ApiClient.objects.create(tenant=cast.tenant, name=f"c{number}")
        now = clock.now()
        Backoff.objects.create(loop="grown", key=number, tenant=cast.tenant, first_failed_at=now, retry_at=now)
        Calendar.objects.create(tenant=cast.tenant, name=f"calendar {number}")
        SlaPolicy.objects.create(tenant=cast.tenant, name=f"levels {number}")
        NeedRule.objects.create(tenant=cast.tenant, kind="keyword", name=f"r{number}", phrases=["x"])
        talk(cast, number)


def _costs(browser: Client) -> dict[str, tuple[int, int]]:
    return {name(model): _cost(browser, model) for model in MODELS}


def _cost(browser: Client, model: type[Model]) -> tuple[int, int]:
    with _queries() as queries:
        answer = browser.get(url(model, "changelist"))
    return len(queries), len(answer.context["cl"].result_list)


def _queries() -> CaptureQueriesContext:
    """What is asked for from here on, with nothing remembered from a page that another test has opened."""
    ContentType.objects.clear_cache()
    return CaptureQueriesContext(connection)


def test_lists_cost_the_same_however_long(operator: Client, here: Cast) -> None:
    here.change("sue", max_load=100)
    _grow(here, 2, FEW + 1)
    few = _costs(operator)
    _grow(here, FEW + 1, MANY + 1)
    many = _costs(operator)
    assert all(rows >= MANY for _, rows in many.values()), many
    assert all(rows < MANY for _, rows in few.values() if rows != 50), few
    assert {n: cost for n, (cost, _) in many.items()} == {n: cost for n, (cost, _) in few.items()}


def test_a_conversations_page_costs_the_same_however_long(operator: Client, here: Cast) -> None:
    chat = here.chat("here-long")
    page = url(Conversation, "change", chat.id)
    costs = []
    for count in (FEW, MANY):
        for _ in range(count):
            chat.robot()
            chat.says()
            chat.escalate()
            chat.accept(here.ann)
            chat.resolve(here.ann)
        with _queries() as queries:
            assert operator.get(page).status_code == 200
        costs.append(len(queries))
    assert costs[0] == costs[1]
