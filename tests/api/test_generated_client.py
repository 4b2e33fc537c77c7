"""The document makes a client that works: a public generator's, against a real server process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.api.serving import ROOT, Served
from tests.patience import PATIENCE

pytestmark = [pytest.mark.services, pytest.mark.first_database, pytest.mark.xdist_group("generated-client")]


UNKNOWN = (  # it knows no NDJSON, only JSON, and no files of other types than a stream of bytes
    "GET /api/v1/attachments/{id}/content within attachments",
    "GET /api/v1/attachments/{id}/preview within attachments",
    "POST /api/v1/batches within batches",
)


class Generated:
    """The client's operations and bodies by their names in the document: `call("sessions_open", bot, body=…)`."""

    def __init__(self, folder: Path) -> None:
        (folder / "config.yml").write_text("post_hooks: []\n")
        made = subprocess.run(
            [
                str(Path(sys.executable).with_name("openapi-python-client")),
                "generate",
                *("--path", str(ROOT / "docs" / "api" / "openapi.json")),
                *("--output-path", str(folder / "generated_tandem")),
                *("--meta", "none", "--config", str(folder / "config.yml")),
            ],
            check=True,
            timeout=PATIENCE,
            capture_output=True,
            text=True,
        )
        warned = [line for line in made.stderr.splitlines() + made.stdout.splitlines() if line.startswith("WARNING")]
        assert warned == [f"WARNING parsing {what}." for what in UNKNOWN]
        self.package = "generated_tandem"
        self.clients: list[Any] = []

    def call(self, name: str, client: Any, *ids: str, **more: Any) -> Any:
        """The answer's object, of a request that went well."""
        response = self._sent(name, client, *ids, **more)
        assert 200 <= response.status_code < 300, (name, response.status_code, response.content)
        return response.parsed

    def refused(self, name: str, client: Any, *ids: str, **more: Any) -> Any:
        """The problem's object."""
        response = self._sent(name, client, *ids, **more)
        assert response.status_code >= 400
        return response.parsed

    def _sent(self, name: str, client: Any, *ids: str, **more: Any) -> Any:
        tag, _, _ = name.partition("_")
        return import_module(f"{self.package}.api.{tag}.{name}").sync_detailed(*ids, client=client, **more)

    def body(self, name: str, **fields: Any) -> Any:
        models = import_module(f"{self.package}.models")
        return getattr(models, name).from_dict(fields)

    def program(self, served: Served, key: str) -> Any:
        return self._kept(import_module(self.package).AuthenticatedClient(base_url=served.url, token=key))

    def agent(self, served: Served, name: str) -> Any:
        """An agent has no key: the client carries the login's cookies, and its CSRF token as a header."""
        cookies = served.login(name)
        headers = {"X-CSRFToken": cookies["csrftoken"]}
        return self._kept(import_module(self.package).Client(base_url=served.url, cookies=cookies, headers=headers))

    def _kept(self, client: Any) -> Any:
        self.clients.append(client)
        return client

    def close(self) -> None:
        for client in self.clients:
            client.get_httpx_client().close()


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generated]:
    folder = tmp_path_factory.mktemp("client")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        made = Generated(folder)
        yield made
        made.close()


def test_a_conversation_from_its_opening_to_its_end(served: Served, generated: Generated) -> None:
    call, body = generated.call, generated.body
    bot = generated.program(served, served.key("generated"))
    maya = generated.agent(served, "maya")
    assert call("agents_declare", maya, body=body("PresenceRequest", availability="available")).name == "Maya"
    begin = call("events_list", generated.program(served, served.key("watcher", "integrator"))).cursor

    said = body("InboundRequest", shop_id="lamps", account_id="generated", content="Is 20 possible?", message_id="g-1")
    heard = call("inbound_receive", generated.program(served, served.key("channel", "integrator")), body=said)
    opened = call(
        "sessions_open", bot, body=body("OpenRequest", conversation_id=heard.conversation_id, task="negotiation")
    )
    assert (opened.status, opened.controller.value, opened.rule) == ("ACTIVE", "bot", "C0")
    answer = {"conversation_id": heard.conversation_id, "content": "25, for you."}
    call("messages_post", bot, body=body("MessageRequest", epoch=opened.epoch, **answer), idempotency_key="g-a-1")

    asked = call("conversations_escalate", bot, heard.conversation_id, body=body("EscalateRequest", reason="a refund"))
    stale = generated.refused("messages_post", bot, body=body("MessageRequest", epoch=opened.epoch, **answer))
    assert (stale.code, stale.status) == ("stale_epoch", 409)
    accepted = call("transfers_accept", maya, asked.transfer_id, body=body("TakeRequest"))
    assert accepted.controller.value == "human"
    call("messages_post", maya, body=body("MessageRequest", conversation_id=heard.conversation_id, content="I see."))
    released = call(
        "conversations_release", maya, heard.conversation_id, body=body("ReleaseRequest", summary="refunded")
    )
    assert (released.controller.value, released.session_id) == ("bot", opened.session_id)
    done = call("sessions_complete", bot, opened.session_id, body=body("CompleteRequest", outcome="success"))
    assert done.status == "COMPLETED"

    kept = call("sessions_retrieve", bot, opened.session_id)
    assert (kept.status.value, kept.outcome, kept.message_count) == ("COMPLETED", "success", 2)
    timeline = [row.type_ for row in call("conversations_timeline", bot, heard.conversation_id).results]
    page = call("events_list", generated.program(served, served.key("reader", "integrator")), after=begin)
    told = [event for event in page.events if event.conversation_id == heard.conversation_id]
    events = [str(event.type_) for event in told]
    for type in ("session.opened", "transfer.requested", "transfer.accepted", "session.completed"):
        assert type in timeline
        assert type in events
    (first, *_) = (event for event in told if event.type_ == "message.created")
    assert (first.message.content, first.data.answer.controller.value) == ("Is 20 possible?", "none")
    assert call("conversations_messages", maya, heard.conversation_id, limit=2).next_


def test_what_is_not_well_is_told_as_an_object(served: Served, generated: Generated) -> None:
    nobody = generated.program(served, "tdm_none")
    assert generated.refused("sessions_list", nobody).code == "not_authenticated"
    bot = generated.program(served, served.key("careless"))
    assert generated.refused("sessions_retrieve", bot, "999").code == "not_found"
    wrong = generated.refused("sessions_open", bot, body=generated.body("OpenRequest", shop_id="lamps"))
    assert wrong.code == "malformed"
    assert list(wrong.errors.additional_properties) == ["body"]
