"""The API and the pages over WSGI, by the command of the Procfile: warm before the first request."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.serving import ROOT, Served
from tests.faults.servers import free_port
from tests.patience import PATIENCE, until

PROCFILE = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text(encoding="utf-8").splitlines())
RULES = 'from messaging_app.detection.defaults import install; from agents_app.models import Tenant; install(Tenant.objects.get(slug="demo"))'
COMPILED = re.compile(r"messaging_app\.detection: compiled \d+ rules of need")


class Web(Served):
    """granian, as the Procfile starts it, with one worker."""

    def start(self) -> None:
        port = str(free_port())
        command = re.sub(r"\$\{WEB_PORT:-\d+\}", port, PROCFILE["web"])
        program, *options = shlex.split(re.sub(r"\$\{WEB_WORKERS:-\d+\}", "1", command))
        self.log = Path(self.env["FILES"]).parent / "web.log"
        with self.log.open("w", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [str(Path(sys.executable).parent / program), *options],
                cwd=ROOT,
                env=self.env,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self.url = f"http://127.0.0.1:{port}"
        until(self._answers, "granian does not answer")

    def _answers(self) -> bool:
        assert self._process.poll() is None, self.log.read_text(encoding="utf-8")
        try:
            return httpx.get(f"{self.url}/api/v1/health/live", timeout=PATIENCE).status_code == 200
        except httpx.TransportError:
            return False

    def compiled(self) -> int:
        """How often rules were compiled so far."""
        return len(COMPILED.findall(self.log.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    made = Web(
        tmp_path_factory.mktemp("web"), before=lambda served: served.run("manage.py", "shell", "-v0", "-c", RULES)
    )
    yield made
    made.stop()


def test_the_first_message_compiles_no_rules(web: Web) -> None:
    key = web.key("channel", "integrator")
    before = web.compiled()
    assert before == 1
    body = {"shop_id": "s", "account_id": "a", "content": "I want to speak to a human"}
    answer = httpx.post(
        f"{web.url}/api/v1/inbound", json=body, headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE
    )
    assert answer.status_code == 201
    assert answer.json()["controller"] == "queue"  # the rules were asked
    assert web.compiled() == before


def test_pages_and_files_are_served(web: Web) -> None:
    page = httpx.get(f"{web.url}/login/", timeout=PATIENCE)
    assert page.status_code == 200
    css = re.search(r'href="(/static/[^"]+\.css)"', page.text)
    assert css
    assert httpx.get(web.url + css[1], timeout=PATIENCE).status_code == 200


def test_a_stream_is_the_sockets_process_to_serve(web: Web) -> None:
    """A proxy that is set up wrongly is told so, and no thread of ours stays open."""
    headers = {"Authorization": f"Bearer {web.key('listener')}", "Accept": "text/event-stream"}
    assert httpx.get(f"{web.url}/api/v1/events", headers=headers, timeout=PATIENCE).status_code == 406


def test_it_starts_while_the_database_is_away(tmp_path: Path, web: Web) -> None:
    """And says so once; the rules are compiled when it is back."""
    env = web.env | {
        "DATABASE_URL": f"postgres://nobody@127.0.0.1:{free_port()}/none",
        "DATABASE_POOL_TIMEOUT": "0.1",
        "FILES": str(tmp_path / "files"),
    }
    alone = Web.__new__(Web)
    alone.env = env
    alone.start()
    try:
        assert "the rules of need are compiled later" in alone.log.read_text(encoding="utf-8")
        ready = httpx.get(f"{alone.url}/api/v1/health/ready", timeout=PATIENCE)
        assert ready.status_code == 503
    finally:
        alone.stop()


def test_the_document_has_a_line_for_each_process_of_the_procfile() -> None:
    told = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    settings = r"(?:[A-Z]+=\S+ )*"
    lines = {name: re.sub(f"^{settings}", "", command).split()[0] for name, command in PROCFILE.items()}
    table = dict(re.findall(rf"^\| (\w+) \| `{settings}(?:python )?([\w.]+) ", told, re.MULTILINE))
    assert {name: table.get(name, "").replace("manage.py", "python") for name in lines} == lines
