"""Who may enter, and what stays out of sight."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from messaging_app.models import Message, ReadCursor
from tests.workbench.conftest import Desk


def test_the_landing_page_leads_to_the_desk(desk: Desk, maya: Client) -> None:
    assert maya.get("/", follow=True).redirect_chain == [("/desk/", 302)]
    assert Client().get("/desk/").headers["Location"] == "/login/?next=/desk/"


def test_the_login_page_offers_the_demo_where_it_is_switched_on(desk: Desk, settings: Any) -> None:
    user = desk.agents["maya"].user
    user.username = "maya"  # type: ignore[union-attr]
    user.save()  # type: ignore[union-attr]
    assert "demo-login" in Client().get("/login/").content.decode()
    assert Client().post("/login/", {"username": "maya", "password": "demo"}).headers["Location"] == "/desk/"
    settings.TRY_IT = False
    page = Client().get("/login/").content.decode()
    assert "demo-login" not in page
    assert "try-it" not in page


def test_a_login_without_an_agent_is_told_what_to_do(desk: Desk) -> None:
    client = Client()
    client.force_login(get_user_model().objects.create_user("nobody"))
    answer = client.get("/desk/")
    assert answer.status_code == 403
    assert "belongs to no agent" in answer.content.decode()


def test_one_who_has_left_is_kept_out(desk: Desk, maya: Client) -> None:
    desk.agents["maya"].is_active = False
    desk.agents["maya"].save()
    assert "no longer active" in maya.get("/desk/").content.decode()


@pytest.mark.parametrize("path", ["", "news/?seq=0", "?before=2026-01-01T00:00:00%2B00:00_1"])
def test_another_tenants_conversation_is_not_found(desk: Desk, path: str) -> None:
    conversation = desk.queued()
    elsewhere = Desk("elsewhere")
    elsewhere.hire("ben")
    ben = elsewhere.browser("ben")
    assert ben.get(f"/desk/c/{conversation.pk}/{path}").status_code == 404
    assert f'id="c{conversation.pk}"' not in ben.get("/desk/").content.decode()


@pytest.mark.parametrize("path", ["accept/", "take-over/", "grab/", "resolve/", "looked/", "take/", "say/", "read/"])
def test_another_tenants_conversation_cannot_be_acted_on(desk: Desk, path: str) -> None:
    conversation = desk.queued()
    elsewhere = Desk("elsewhere")
    elsewhere.hire("ben")
    form = {"mode": "note", "content": "x", "reason": "x", "transfer": 1, "seq": 1}
    assert elsewhere.browser("ben").post(f"/desk/c/{conversation.pk}/{path}", form).status_code == 404
    assert not Message.objects.filter(is_note=True).exists()
    assert not ReadCursor.objects.exists()


def test_what_does_not_exist_is_not_found(desk: Desk, maya: Client) -> None:
    for path in ("/desk/c/999/", f"/desk/c/{10**30}/", "/desk/c/1/nonsense/"):
        assert maya.get(path).status_code in (404, 405)
    assert maya.post(f"/desk/c/{desk.with_bot().pk}/nonsense/").status_code == 404


def test_verbs_are_not_carried_out_by_links(desk: Desk, maya: Client) -> None:
    conversation = desk.with_bot()
    for verb in ("take-over", "resolve", "say", "read"):
        assert maya.get(f"/desk/c/{conversation.pk}/{verb}/").status_code == 405


def test_a_form_of_another_site_is_refused(desk: Desk) -> None:
    conversation = desk.with_bot()
    client = Client(enforce_csrf_checks=True)
    client.force_login(desk.agents["maya"].user)
    refused = client.post(f"/desk/c/{conversation.pk}/take-over/")
    assert refused.status_code == 403
    assert "This form has expired" in refused.content.decode()


def test_a_fragment_after_logging_out_sends_the_whole_page_to_the_login(desk: Desk) -> None:
    answer = Client().get("/desk/list/", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert answer["HX-Redirect"] == "/desk/"


def test_a_supervisors_look_marks_nothing_read(desk: Desk, sam: Client, maya: Client) -> None:
    conversation = desk.queued()
    sam.post(f"/desk/c/{conversation.pk}/read/", {"seq": 3})
    assert not ReadCursor.objects.exists()
    maya.post(f"/desk/c/{conversation.pk}/read/", {"seq": 3})
    assert ReadCursor.objects.get().seq == 3


def test_markup_of_customers_is_only_text(desk: Desk, maya: Client) -> None:
    payload = '"><script>window.__xss=1</script>'
    outcome = desk.hears(payload, payload, name=payload)
    page = maya.get(f"/desk/c/{outcome.conversation_id}/").content.decode()
    assert "<script>window" not in page
    assert page.count("&lt;script&gt;window.__xss=1") >= 4


def test_pages_carry_the_strict_policy(desk: Desk, maya: Client) -> None:
    answer = maya.get("/desk/")
    assert "script-src 'self'" in answer["Content-Security-Policy"]
    assert " style=" not in answer.content.decode()
    assert " onclick=" not in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
