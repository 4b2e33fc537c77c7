"""T7.7: what the admin is sent by hand is answered with a form's error, never with 500; a wrong database with a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import models
from django.test import Client

from agents_app.admin.base import ReadOnly
from agents_app.models import Membership, Team, Tenant
from tests.api.world import login_of
from tests.cast import Cast, snapshot
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
NO_IDS = ["word", "9" * 30, "\x00", ""]
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)


@pytest.fixture
def root(cast: Cast, django_user_model: Any) -> Client:
    """Who may do everything."""
    client = Client(raise_request_exception=False)
    client.force_login(django_user_model.objects.create_superuser("root", password="long enough to be taken"))
    return client


@pytest.fixture
def supervisor(cast: Cast) -> Client:
    client = Client(raise_request_exception=False)
    user = login_of(cast, "sue")
    user.is_staff = user.is_superuser = True
    user.save()
    client.force_login(user)
    return client


def place(model: Any) -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_t7_7_an_action_on_what_is_no_id_is_refused_and_changes_nothing(root: Client, cast: Cast, model: Any) -> None:
    page = admin.site._registry[model]
    named = [getattr(action, "__name__", action) for action in page.actions or ()]
    before = snapshot()
    for action in ["delete_selected", *named]:
        for wrong in NO_IDS:
            sent = {"action": action, "_selected_action": [wrong], "post": "yes", "reason": "Because."}
            answer = root.post(place(model), sent)
            assert answer.status_code in (200, 302, 403), (action, wrong)
    assert snapshot() == before


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_t7_7_an_address_with_no_id_in_it_leads_back_and_not_to_500(root: Client, model: Any) -> None:
    for wrong in ("word", "9" * 30, "%00", "-1"):
        for page in ("change/", "delete/", "history/"):
            assert root.get(f"{place(model)}{wrong}/{page}").status_code < 500, (wrong, page)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_t7_7_a_filter_that_no_database_can_compare_leads_back_to_the_list(root: Client, model: Any) -> None:
    """Whoever types one into the address: years that are none, numbers of more digits than a column has."""
    moment = next((field.name for field in model._meta.fields if field.get_internal_type() == "DateTimeField"), None)
    wrong = [f"{moment}__year={year}" for year in ("0", "9" * 19) if moment] + [f"id__in={'9' * 19}"]
    for asked in wrong:
        answer = root.get(f"{place(model)}?{asked}")
        assert answer.status_code in (200, 302), asked


def form_of(page: Client, address: str) -> dict[str, Any]:
    """The fields of the form at an address, as a browser would send them back."""
    shown = page.get(address)
    assert shown.status_code == 200
    sent = {}
    for form in [
        shown.context["adminform"].form,
        *(inline.formset for inline in shown.context["inline_admin_formsets"]),
    ]:
        fields = form.management_form if hasattr(form, "management_form") else form
        for bound in fields:
            value = bound.value()
            sent[bound.html_name] = "" if value is None else value
    return sent


@pytest.mark.parametrize("wrong", ["foreign", *NO_IDS[:4]])
@pytest.mark.parametrize("who", ["root", "supervisor"])
@pytest.mark.parametrize("is_new", [True, False])
def test_t7_7_a_member_who_is_not_ours_is_an_error_of_the_form(
    cast: Cast, others: Cast, root: Client, supervisor: Client, who: str, wrong: str, is_new: bool
) -> None:
    team = cast.team("billing", "ann")
    client = {"root": root, "supervisor": supervisor}[who]
    address = f"{place(Team)}{'add' if is_new else f'{team.pk}/change'}/"
    form = form_of(client, address)
    prefix = next(name for name in form if name.endswith("-TOTAL_FORMS")).removesuffix("-TOTAL_FORMS")
    number = int(form[f"{prefix}-INITIAL_FORMS"])
    member = str(others.ann.id) if wrong == "foreign" else wrong
    form |= {"name": "Returns", "tenant": str(cast.tenant.pk), f"{prefix}-TOTAL_FORMS": str(number + 1)}
    form |= {f"{prefix}-{number}-agent": member, f"{prefix}-{number}-weight": "1"}
    before = set(Membership.objects.values_list("team_id", "agent_id"))
    answer = client.post(address, form)
    if wrong:
        assert answer.status_code == 200
        assert any(answer.context["errors"]) or any(f.formset.errors for f in answer.context["inline_admin_formsets"])
    else:
        assert answer.status_code in (200, 302)  # a line that names nobody
    assert set(Membership.objects.values_list("team_id", "agent_id")) == before


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("relay",), ("migrate",), ("check_stream",)])
def test_t7_7_a_database_that_is_not_there_is_one_sentence(command: tuple[str, ...]) -> None:
    env = os.environ | {
        "DATABASE_URL": "postgres://nobody:secret@127.0.0.1:9/nothing",
        "DATABASE_POOL_TIMEOUT": "0.5",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    done = subprocess.run(
        [sys.executable, "manage.py", *command],
        check=False,
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("CommandError")]) == 1, done.stderr
    assert "secret" not in done.stderr


SET_BY_PEOPLE = [model for model in MODELS if not isinstance(admin.site._registry[model], ReadOnly)]
FIGURES = [
    (model, field.name)
    for model in SET_BY_PEOPLE
    for field in model._meta.fields
    if isinstance(field, models.IntegerField) and field.editable and not field.choices and not field.primary_key
]


@pytest.mark.parametrize(
    ("model", "name"), FIGURES, ids=lambda value: getattr(getattr(value, "_meta", None), "label", value)
)
def test_t1_6_no_figure_that_people_set_is_without_a_most(model: Any, name: str) -> None:
    """A wait of 10^18 seconds is beyond the calendar: whoever reads it fails, and a sweep with it."""
    with pytest.raises(ValidationError):
        model._meta.get_field(name).clean(10**17, None)


def test_t1_6_a_supervisor_is_told_the_most(cast: Cast, supervisor: Client) -> None:
    team = cast.team("billing", "ann")
    address = f"{place(Team)}{team.pk}/change/"
    answer = supervisor.post(address, form_of(supervisor, address) | {"overflow_after": str(2**63 - 1)})
    assert answer.status_code == 200
    assert "500000000" in str(answer.context["adminform"].form.errors["overflow_after"])


def test_t4_a_tenants_team_is_one_of_its_own(cast: Cast, others: Cast, root: Client) -> None:
    foreign = others.team("billing", "ann")
    address = f"{place(Tenant)}{cast.tenant.pk}/change/"
    answer = root.post(address, form_of(root, address) | {"default_team": str(foreign.pk)})
    assert answer.status_code == 200
    assert "default_team" in answer.context["adminform"].form.errors
    assert Tenant.objects.get(pk=cast.tenant.pk).default_team is None


@pytest.mark.parametrize("start", ["0001-01-01T00:00", "9999-12-31T00:00", "1900-01-01T00:00"])
def test_t7_7_a_what_if_of_a_period_beyond_the_calendar_is_an_error_of_the_form(
    supervisor: Client, cast: Cast, start: str
) -> None:
    end = "9999-12-31T23:59" if start.startswith("9999") else start.replace("00:00", "01:00")
    answer = supervisor.get(
        "/admin/sessions_app/assignmentdecision/what-if/", {"tenant_row": cast.tenant.pk, "start": start, "end": end}
    )
    assert answer.status_code == 200
    assert answer.context["form"].errors or answer.context["compared"]
