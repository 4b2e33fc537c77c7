"""What a tenant sets for itself: the clocks go by it, other tenants' do not, and what is out of bounds is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents_app import policies, row_policies
from agents_app.models import Team, Tenant
from agents_app.policies import Policies, Policy
from config import clock
from sessions_app.actions import batches, lifecycle, sweep
from sessions_app.models import Transfer
from sessions_app.states import Kind, Status
from tests.cases.test_t07_admin import form_of, place
from tests.cast import Cast, Chat, Later

MARGIN, DAY = 5, 24 * 3600
EVERY = pytest.mark.parametrize("policy", policies.ALL, ids=lambda policy: policy.name)


@pytest.fixture
def root(cast: Cast, django_user_model: Any) -> Client:
    client = Client()
    client.force_login(django_user_model.objects.create_superuser("root", password="long enough to be taken"))
    return client


def _own(chat: Chat, **figures: int) -> None:
    chat.cast.policy(policies=figures)


def _paused(chat: Chat) -> None:
    robot = chat.robot(kind=Kind.AUTO_FOLLOW_UP)
    lifecycle.pause_session(actor=chat.cast.bargain, session_id=robot.session_id or 0)


def _first_session(chat: Chat) -> str:
    return str(chat.sessions[0].status)


def _transfer(chat: Chat) -> str:
    return Transfer.objects.get(conversation_id=chat.id).status


def _offered(chat: Chat) -> None:
    chat.cast.policy(assignment=Tenant.Assignment.PUSH)
    chat.queue()


def _offered_to(chat: Chat) -> str:
    return chat.pending.offered_to.name if chat.pending.offered_to else ""


def _is_flagged(chat: Chat) -> str:
    return str(chat.row.needs_human)


CLOCKS = [
    ("robot_session_timeout", lambda chat: chat.robot(), _first_session, "ACTIVE", "TIMEOUT"),
    ("human_session_timeout", lambda chat: chat.human(), _first_session, "ACTIVE", "TIMEOUT"),
    ("waiting_session_timeout", _paused, _first_session, "PAUSED", "TIMEOUT"),
    ("transfer_timeout", lambda chat: chat.queue(), _transfer, "PENDING", "TIMED_OUT"),
    ("offer_timeout", _offered, _offered_to, "Ann", "Ben"),
    ("group_after", lambda chat: chat.says(), _is_flagged, "False", "True"),
]


@pytest.mark.parametrize(
    ("name", "prepare", "what", "before_it", "after_it"), CLOCKS, ids=[name for name, *_ in CLOCKS]
)
@pytest.mark.parametrize("seconds", [20, 86_000])
def test_a_clock_goes_by_what_the_tenant_has_set(
    chat: Chat, later: Later, name: str, prepare: Callable[[Chat], None], what: Callable[[Chat], str],
    before_it: str, after_it: str, seconds: int,
) -> None:  # fmt: skip
    """Sooner and later than the installation's own, and by the sweeper, whoever else is silent."""
    _own(chat, **{"transfer_timeout": 86_399, "human_session_warning": 1, name: seconds})
    prepare(chat)
    later(seconds - MARGIN)
    chat.cast.seen()
    sweep.sweep_due()
    assert what(chat) == before_it
    later(MARGIN)
    chat.cast.seen()
    sweep.sweep_due()
    assert what(chat) == after_it


def test_another_tenants_clocks_go_by_the_installations_own(chat: Chat, others: Cast, later: Later) -> None:
    _own(chat, robot_session_timeout=20, group_after=5)
    elsewhere, asks = others.chat(), others.chat()
    chat.robot()
    elsewhere.robot(others.bargain)
    asks.says()
    later(25)
    sweep.sweep_due()
    assert (chat.has_live, elsewhere.has_live, asks.row.needs_human) == (False, True, False)
    later(60)
    sweep.sweep_due()
    assert asks.row.needs_human


def test_an_agent_is_told_of_the_end_as_early_as_the_tenant_says(chat: Chat, later: Later) -> None:
    _own(chat, human_session_timeout=600, human_session_warning=100)
    chat.serve()
    live = chat.live
    assert (live.expires_at or clock.now()) - (live.warns_at or clock.now()) == timedelta(seconds=100)


def test_a_teams_figure_comes_before_its_tenants_and_its_tenants_before_the_installations() -> None:
    own = Policies({"offer_timeout": 40})
    assert own.within(Team(offer_timeout=12)).offer_timeout == timedelta(seconds=12)
    assert own.within(Team()).offer_timeout == own.within(None).offer_timeout == timedelta(seconds=40)
    assert Policies().within(Team()).offer_timeout == timedelta(seconds=30)
    assert own.within(Team(offer_timeout=12)).transfer_timeout == timedelta(seconds=300)


def test_words_nobody_took_are_grouped_after_the_tenants_own_time(chat: Chat, later: Later) -> None:
    _own(chat, group_after=300)
    chat.says()
    later(200)
    batches.group_unsessioned()
    assert chat.sessions == []
    later(105)
    batches.group_unsessioned()
    assert [session.status for session in chat.sessions] == [Status.ACTIVE]


@pytest.mark.parametrize(("gap", "stretches"), [(None, 2), (3600, 1)])
def test_history_is_cut_where_the_tenants_gap_is(chat: Chat, gap: int | None, stretches: int) -> None:
    """The clock of a robot that is silent has nothing to do with it."""
    _own(chat, robot_session_timeout=60, **({"history_gap": gap} if gap else {}))
    chat.brings(*[("customer", 2 * DAY - 60 * minutes, f"At {minutes}") for minutes in (0, 40)])
    assert len(chat.sessions) == stretches


def test_as_many_messages_travel_with_a_transfer_as_the_tenant_says(chat: Chat) -> None:
    _own(chat, context_messages=2)
    chat.robot()
    for text in ("One", "Two", "Three"):
        chat.says(text)
    chat.escalate(chat.cast.bargain)
    assert [message["content"] for message in chat.pending.context["messages"]] == ["Two", "Three"]


def test_an_agent_may_ignore_as_many_offers_as_the_tenant_says(chat: Chat, later: Later) -> None:
    _own(chat, offers_ignored=1)
    _offered(chat)
    later(31)
    chat.cast.seen()
    sweep.sweep_due()
    assert chat.cast.agent("ann").availability == "not_responding"


def test_a_tenants_own_figures_cost_no_query(chat: Chat) -> None:
    chat.robot()
    chat.says("Warm.")

    def cost() -> int:
        with CaptureQueriesContext(connection) as asked:
            chat.says("How long?")
        return len(asked)

    before = cost()
    _own(chat, robot_session_timeout=900, late_message=600)
    assert cost() == before


# --- Bounds ------------------------------------------------------------------------------------------------------


@EVERY
def test_a_policys_bounds_unit_and_default_are_its_settings(policy: Policy[Any], settings: Any) -> None:
    figure = settings.FIGURES[policy.setting]
    assert policy.default == settings.TANDEM[policy.setting]
    for good in (figure.minimum, figure.maximum):
        policy.check(good)
        assert policies.as_set({policy.name: good}) == {policy.name: good}
    for bad in (figure.minimum - 1, figure.maximum + 1, "5", 5.0, True, None):
        with pytest.raises(ValidationError):
            policy.check(bad)


@pytest.mark.parametrize("wrong", [{"transfer_timeout": 0}, {"transfer_timeout": "soon"}, {"no_such": 1}, [1], 7])
def test_the_column_refuses_what_is_no_policy_and_a_stored_one_does_not_count(cast: Cast, wrong: Any) -> None:
    tenant = Tenant.objects.get(pk=cast.tenant.pk)
    tenant.policies = wrong
    with pytest.raises(ValidationError) as refused:
        tenant.full_clean()
    assert "policies" in refused.value.message_dict
    cast.policy(policies=wrong)
    tenant.refresh_from_db()
    assert (tenant.policies, row_policies.of(tenant).transfer_timeout) == ({}, timedelta(seconds=300))
    chat = cast.chat().queue()
    assert chat.has_pending


# --- The tenant's page in the admin ------------------------------------------------------------------------------


@EVERY
def test_the_admin_shows_each_policy_with_its_default_and_refuses_what_is_out_of_bounds(
    cast: Cast, root: Client, policy: Policy[Any]
) -> None:
    address, field = f"{place(Tenant)}{cast.tenant.pk}/change/", f"policy_{policy.name}"
    page = root.get(address).content.decode()
    assert (f'name="{field}"' in page, f"Empty: {policy.default:,}, as the installation has it." in page) == (
        True,
        True,
    )
    shown = form_of(root, address)
    for wrong in (str(int(policy.figure.minimum) - 1), str(int(policy.figure.maximum) + 1), "soon"):
        answer = root.post(address, shown | {field: wrong})
        assert (answer.status_code, list(answer.context["adminform"].form.errors)) == (200, [field])
    good = int(policy.figure.maximum)
    assert root.post(address, shown | {field: str(good)}).status_code == 302
    assert Tenant.objects.get(pk=cast.tenant.pk).policies == {policy.name: good}
    assert root.post(address, form_of(root, address) | {field: ""}).status_code == 302
    assert Tenant.objects.get(pk=cast.tenant.pk).policies == {}


def test_what_the_admin_sets_is_applied_by_the_clock(chat: Chat, root: Client, later: Later) -> None:
    address = f"{place(Tenant)}{chat.cast.tenant.pk}/change/"
    assert root.post(address, form_of(root, address) | {"policy_robot_session_timeout": "90"}).status_code == 302
    chat.robot()
    later(85)
    sweep.sweep_due()
    assert chat.has_live
    later(5)
    sweep.sweep_due()
    assert not chat.has_live
