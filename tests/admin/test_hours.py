"""Calendars, service levels and e-mails after hours, in the admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client

from agents_app.models import Calendar, SlaPolicy, Team, Tenant
from sessions_app.models import Mail
from tests.admin.sites import url
from tests.cast import Cast, Later, snapshot
from tests.office import berlin

MAILS = url(Mail, "changelist")


def form(here: Cast, *spans: tuple[int, str, str], holidays: tuple[tuple[str, str, str], ...] = ()) -> dict[str, Any]:
    """A calendar's page as the browser sends it: hours are (weekday, opens, closes), holidays (date, opens, closes)."""
    data: dict[str, Any] = {"tenant": here.tenant.pk, "name": "office", "time_zone": "Europe/Berlin"}
    for prefix, count in (("opening_hours", len(spans)), ("holidays", len(holidays))):
        data |= {f"{prefix}-TOTAL_FORMS": count, f"{prefix}-INITIAL_FORMS": 0}
    for number, (weekday, opens, closes) in enumerate(spans):
        row = {"weekday": weekday, "opens": opens, "closes": closes}
        data |= {f"opening_hours-{number}-{name}": value for name, value in row.items()}
    for number, (date, opens, closes) in enumerate(holidays):
        row = {"date": date, "name": "Holiday", "opens": opens, "closes": closes}
        data |= {f"holidays-{number}-{name}": value for name, value in row.items()}
    return data


def errors(answer: Any) -> str:
    assert answer.status_code == 200, "it was saved"
    formsets = [inline.formset for inline in answer.context["inline_admin_formsets"]]
    found = [
        answer.context["adminform"].form.errors,
        *(f.errors for f in formsets),
        *(f.non_form_errors() for f in formsets),
    ]
    return str(found)


def test_a_calendar_is_made_on_one_page_that_shows_the_next_openings(
    supervisor: Client, here: Cast, later: Later
) -> None:
    later.until(berlin("2026-03-26", "12:00"))
    spans = ((3, "09:00", "12:30"), (3, "13:00", "00:00"), (4, "09:00", "17:00"), (6, "01:00", "04:00"))
    holidays = (("2026-03-27", "", ""), ("2026-04-02", "10:00", "11:00"))
    answer = supervisor.post(url(Calendar, "add"), form(here, *spans, holidays=holidays))
    assert answer.status_code == 302, errors(answer)
    page = supervisor.get(url(Calendar, "change", Calendar.objects.get(name="office").pk)).content.decode()
    at = 0
    for line in (
        "Thu 26 March 2026: 12:00–12:30, 13:00–00:00",
        "Sun 29 March 2026: 01:00–04:00",
        "Thu 2 April 2026: 10:00–11:00",
        "Fri 3 April 2026: 09:00–17:00",
    ):
        assert line in page[at:], page[page.find("next_openings") :][:800]
        at = page.index(line)
    assert "27 March" not in page


@pytest.mark.parametrize(
    ("spans", "said"),
    [
        (((0, "09:00", "13:00"), (0, "12:00", "17:00")), "overlap"),
        (((0, "09:00", "00:00"), (0, "23:00", "23:30")), "overlap"),
        (((0, "09:00", "09:00"),), "It closes after it opens"),
        (((0, "17:00", "09:00"),), "It closes after it opens"),
        (((7, "09:00", "17:00"),), "valid choice"),
        (((0, "09:00", ""),), "required"),
    ],
)
def test_hours_that_cannot_be_meant_are_refused(
    supervisor: Client, here: Cast, spans: tuple[tuple[int, str, str], ...], said: str
) -> None:
    assert said in errors(supervisor.post(url(Calendar, "add"), form(here, *spans)))
    assert not Calendar.objects.filter(name="office").exists()


@pytest.mark.parametrize(("opens", "closes"), [("09:00", ""), ("", "17:00"), ("17:00", "09:00")])
def test_a_special_day_has_both_times_or_neither(supervisor: Client, here: Cast, opens: str, closes: str) -> None:
    answer = supervisor.post(url(Calendar, "add"), form(here, holidays=(("2026-12-24", opens, closes),)))
    assert "Name both times" in errors(answer)


def test_a_time_zone_that_there_is_not_is_refused(supervisor: Client, here: Cast) -> None:
    answer = supervisor.post(url(Calendar, "add"), form(here) | {"time_zone": "Europe/Atlantis"})
    assert "time_zone" in errors(answer)


def test_hours_that_touch_on_one_day_and_those_of_other_days_are_taken(supervisor: Client, here: Cast) -> None:
    spans = ((0, "09:00", "12:00"), (0, "12:00", "00:00"), (1, "00:00", "17:00"), (2, "09:00", "17:00"))
    assert supervisor.post(url(Calendar, "add"), form(here, *spans)).status_code == 302
    assert Calendar.objects.get(name="office").opening_hours.count() == 4


@pytest.mark.parametrize("model", [Team, Tenant], ids=["team", "tenant"])
def test_not_even_the_operator_gives_another_tenants_hours(
    operator: Client, here: Cast, elsewhere: Cast, model: Any
) -> None:
    row = Team.objects.get(tenant=here.tenant) if model is Team else here.tenant
    foreign = {
        "calendar": Calendar.objects.get(tenant=elsewhere.tenant).pk,
        "sla": SlaPolicy.objects.get(tenant=elsewhere.tenant).pk,
    }
    data = _filled(operator, row) | foreign
    answer = operator.post(url(model, "change", row.pk), data)
    assert set(answer.context["adminform"].form.errors) == {"calendar", "sla"}


def test_nothing_becomes_an_email_to_nobody(operator: Client, here: Cast) -> None:
    team = Team.objects.get(tenant=here.tenant)
    data = _filled(operator, team) | {"after_hours": "email"}
    assert "email" in operator.post(url(Team, "change", team.pk), data).context["adminform"].form.errors
    here.policy(email="desk@here.example")
    assert operator.post(url(Team, "change", team.pk), data).status_code == 302
    team.refresh_from_db()
    assert team.after_hours == "email"


def _filled(browser: Client, row: Any) -> dict[str, Any]:
    form = browser.get(url(type(row), "change", row.pk)).context["adminform"].form
    no_members = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    return no_members | {
        name: [one.pk for one in value] if isinstance(value, list) else value
        for name, value in form.initial.items()
        if value not in (None, "", {})
    }


# --- E-mails -----------------------------------------------------------------------------------------------------


def _send_again(browser: Client, *mails: Mail) -> str:
    answer: Any = browser.post(MAILS, {"action": "send_again", "_selected_action": [mail.pk for mail in mails]})
    return " | ".join(str(message) for message in get_messages(answer.wsgi_request))


def test_a_supervisor_sends_an_email_again_and_refusals_are_told(
    supervisor: Client, here: Cast, elsewhere: Cast
) -> None:
    own, foreign = Mail.objects.get(tenant=here.tenant), Mail.objects.get(tenant=elsewhere.tenant)
    assert "on its way already" in _send_again(supervisor, own)
    Mail.objects.update(status="failed", due_at=None, error="no <b>channel</b>", attempts=6)
    assert "no &lt;b&gt;channel&lt;/b&gt;" in supervisor.get(MAILS).content.decode()
    assert "1 e-mail is on its way." in _send_again(supervisor, own, foreign)
    own.refresh_from_db()
    foreign.refresh_from_db()
    assert ((own.status, own.attempts, own.error), foreign.status) == (("waiting", 0, ""), "failed")
    assert own.conversation.operations.latest("seq").actor_id == here.sue.id


@pytest.mark.parametrize("who", ["operator", "clerk", "stranger"])
def test_only_supervisors_send_an_email_again(request: pytest.FixtureRequest, here: Cast, who: str) -> None:
    browser: Client = request.getfixturevalue(who)
    Mail.objects.update(status="failed", due_at=None)
    before = snapshot()
    assert 'value="send_again"' not in browser.get(MAILS).content.decode()
    _send_again(browser, Mail.objects.get())
    assert snapshot() == before
