"""A staff user with an agent sees one tenant, whatever the page; without one, only a superuser sees anything."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from agents_app.admin.base import Isolated, OwnRelatedFilter
from agents_app.models import Agent, ApiClient, Team, Tenant
from messaging_app.models import NeedRule
from messaging_app.models.agent_tools import Label, SavedView
from tests.admin.sites import MODELS, name, url
from tests.cast import Cast, snapshot

every_model = pytest.mark.parametrize("model", MODELS, ids=name)


def _of(model: type[Model], cast: Cast) -> list[Any]:
    """The rows of this tenant."""
    path = admin.site._registry[model].tenant_path  # type: ignore[attr-defined]
    return list(model._default_manager.filter(**{path: cast.tenant.pk})) if path else []


def _shown(answer: Any) -> set[Any]:
    return {row.pk for row in answer.context["cl"].result_list}


@every_model
def test_every_admin_is_isolated(model: type[Model]) -> None:
    site = admin.site._registry[model]
    assert isinstance(site, Isolated)
    assert hasattr(site, "tenant_path")
    for inline in site.inlines:
        assert issubclass(inline, Isolated)
        assert hasattr(inline, "tenant_path")
    for item in site.list_filter:
        column, kind = item if isinstance(item, tuple) else (item, None)
        if model._meta.get_field(str(column)).is_relation:
            assert kind is OwnRelatedFilter, f"{model} filters by {column} with the choices of all tenants"


@pytest.mark.parametrize("who", ["supervisor", "clerk"])
def test_pages_show_one_tenant(request: pytest.FixtureRequest, here: Cast, elsewhere: Cast, who: str) -> None:
    browser: Client = request.getfixturevalue(who)
    for model in MODELS:
        own, others = _of(model, here), _of(model, elsewhere)
        listed = browser.get(url(model, "changelist"))
        if model is Group:
            assert listed.status_code == 403
            continue
        assert own, name(model)
        assert others, name(model)
        assert _shown(listed) == {row.pk for row in own}, name(model)
        if admin.site._registry[model].search_fields:
            assert _shown(browser.get(url(model, "changelist"), {"q": "elsewhere"})) == set(), name(model)
        for page in (listed, browser.get(url(model, "change", own[0].pk)), browser.get(url(model, "add"))):
            text = page.content.decode().lower()
            at = text.find("elsewhere")
            assert at < 0, (name(model), text[at - 300 : at + 100])


def test_another_tenants_page_does_not_exist(supervisor: Client, here: Cast, elsewhere: Cast) -> None:
    before = snapshot()
    for model in MODELS:
        for row in _of(model, elsewhere)[:1]:
            for page in ("change", "history", "delete"):
                missing = url(model, page, row.pk)
                assert supervisor.get(missing).status_code in {302, 403}, missing
                assert supervisor.post(missing, {"name": "mine", "post": "yes"}).status_code in {302, 403}, missing
            chosen = {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"}
            supervisor.post(url(model, "changelist"), chosen)
    assert snapshot() == before


def test_the_operator_sees_all_and_a_stranger_nothing(
    operator: Client, stranger: Client, here: Cast, elsewhere: Cast
) -> None:
    for model in MODELS:
        everything = set(model._default_manager.values_list("pk", flat=True))
        assert _shown(operator.get(url(model, "changelist"))) == everything, name(model)
        assert _shown(stranger.get(url(model, "changelist"))) == set(), name(model)


def test_who_left_does_not_enter(supervisor: Client, here: Cast) -> None:
    here.change("sue", is_active=False)
    assert supervisor.get(reverse("admin:index")).status_code == 302


def test_choices_of_another_tenant_are_refused(supervisor: Client, here: Cast, elsewhere: Cast) -> None:
    team = Team.objects.get(tenant=here.tenant)
    foreign = elsewhere.agent("ann")
    answer = supervisor.post(url(Team, "change", team.pk), _team(here.tenant, foreign))
    assert _member_errors(answer)
    answer = supervisor.post(url(Team, "add"), _team(elsewhere.tenant))
    assert answer.context["adminform"].form.errors["tenant"]


def test_not_even_the_operator_mixes_tenants(operator: Client, here: Cast, elsewhere: Cast) -> None:
    team = Team.objects.get(tenant=here.tenant)
    foreign = elsewhere.agent("ann")
    answer = operator.post(url(Team, "change", team.pk), _team(here.tenant, foreign))
    assert _member_errors(answer)


def test_a_team_overflows_within_its_tenant(operator: Client, here: Cast, elsewhere: Cast) -> None:
    team, foreign = Team.objects.get(tenant=here.tenant), Team.objects.get(tenant=elsewhere.tenant)
    for other in (team, foreign):
        answer = operator.post(url(Team, "change", team.pk), _team(here.tenant) | {"overflow_to": other.pk})
        assert answer.context["adminform"].form.errors["overflow_to"]


def _team(tenant: Tenant, member: Agent | None = None) -> dict[str, Any]:
    """A team's form, with one more member."""
    row = {"memberships-0-agent": member.pk, "memberships-0-weight": 1} if member else {}
    return {
        "tenant": tenant.pk,
        "name": "x",
        "strategy": "sticky",
        "first_reply_timeout": 0,
        "overflow_after": 60,
        "memberships-TOTAL_FORMS": len(row) // 2,
        "memberships-INITIAL_FORMS": 0,
        **row,
    }


def _member_errors(answer: Any) -> Any:
    return [form.errors["agent"] for form in answer.context["inline_admin_formsets"][0].formset.forms if form.errors]


@pytest.mark.parametrize("model", [Agent, Team, ApiClient, NeedRule, Label, SavedView], ids=name)
def test_a_row_never_changes_its_tenant(operator: Client, here: Cast, elsewhere: Cast, model: Any) -> None:
    row = model.objects.filter(tenant=here.tenant).first()
    form = operator.get(url(model, "change", row.pk)).context["adminform"].form
    data = {key: value for key, value in form.initial.items() if value not in (None, "", [])}
    data = {key: value.pk if isinstance(value, Model) else value for key, value in data.items()}
    data |= {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    for key in ("skills", "scopes", "phrases", "exceptions", "needs", "filter"):
        data.pop(key, None)
    answer = operator.post(url(model, "change", row.pk), data | {"tenant": elsewhere.tenant.pk, "name": "renamed"})
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    row.refresh_from_db()
    assert (row.name, row.tenant_id) == ("renamed", here.tenant.pk)


# --- No way out of one's tenant ----------------------------------------------------------------------------------


def test_the_confined_make_no_tenant(supervisor: Client, here: Cast) -> None:
    assert supervisor.get(url(Tenant, "add")).status_code == 403
    assert supervisor.get(url(Tenant, "delete", here.tenant.pk)).status_code == 403


def test_the_confined_do_not_cut_an_agent_from_its_login(supervisor: Client, here: Cast) -> None:
    sue = here.agent("sue")
    form = supervisor.get(url(Agent, "change", sue.pk)).context["adminform"].form
    assert "user" not in form.fields
    assert supervisor.get(url(Agent, "delete", sue.pk)).status_code == 403


def test_the_confined_make_no_login_without_an_agent(supervisor: Client, here: Cast, elsewhere: Cast) -> None:
    login = {"username": "new", "usable_password": "true", "password1": "a-long-one-7", "password2": "a-long-one-7"}
    inline = {
        "agent-TOTAL_FORMS": 1,
        "agent-INITIAL_FORMS": 0,
        "agent-0-tenant": here.tenant.pk,
        "agent-0-name": "New",
        "agent-0-role": "agent",
        "agent-0-max_load": 5,
    }
    for broken in ({"agent-0-name": ""}, {"agent-TOTAL_FORMS": 0}, {"agent-0-tenant": elsewhere.tenant.pk}):
        assert supervisor.post(url(User, "add"), login | inline | broken).status_code == 200
        assert not User.objects.filter(username="new").exists()
    assert supervisor.post(url(User, "add"), login | inline).status_code == 302
    agent = Agent.objects.get(user__username="new")
    assert (agent.tenant_id, agent.name, agent.max_load) == (here.tenant.pk, "New", 5)
    assert supervisor.get(url(User, "change", agent.user_id)).status_code == 200


def test_rights_are_given_by_superusers(clerk: Client, supervisor: Client, here: Cast) -> None:
    user = User.objects.get(username="here-ann")
    fields = clerk.get(url(User, "change", user.pk)).context["adminform"].form.fields
    assert not {"is_superuser", "is_staff", "groups", "user_permissions"} & set(fields)
    assert "role" not in clerk.get(url(Agent, "change", user.agent.pk)).context["adminform"].form.fields
    fields = supervisor.get(url(User, "change", user.pk)).context["adminform"].form.fields
    assert "is_superuser" in fields
    assert not {"groups", "user_permissions"} & set(fields)


def test_another_tenants_password_is_out_of_reach(supervisor: Client, here: Cast, elsewhere: Cast) -> None:
    foreign = User.objects.get(username="elsewhere-ann")
    page = reverse("admin:auth_user_password_change", args=[foreign.pk])
    assert supervisor.get(page).status_code == 404
    assert supervisor.post(page, {"password1": "a-long-one-7", "password2": "a-long-one-7"}).status_code == 404
    assert User.objects.get(pk=foreign.pk).password == foreign.password
