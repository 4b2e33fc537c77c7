"""What a process refuses to start with: figures out of their range, and settings that contradict each other."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from rest_framework.throttling import SimpleRateThrottle

from config import consistency
from config.environment import Environment, Figure
from messaging_app.attachments.content import WORD
from sessions_app.models import Transfer
from sessions_app.unit.unit_of_work import MAX_TIMER_ROUNDS
from tests.cast import Chat
from tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
KEY = "a-key-of-an-installation-that-others-can-reach-0123456789"
NEEDS_KEY = (
    "Tandem does not start: HTTPS is on, but SECRET_KEY is the public development key, with which anybody can log in as anyone; "
    'python3 -c "import secrets; print(secrets.token_urlsafe(64))" prints a key.'
)
ASGI = ("-c", "import config.asgi")
WSGI = ("-c", "import config.wsgi")
CELERY = ("-m", "celery", "-A", "config", "inspect", "ping")
WORKER = ("-m", "celery", "-A", "config", "worker", "--pool", "solo")
DAPHNE = ("-m", "daphne", "-p", "0", "config.asgi:application")
SERVE = ("manage.py", "serve", "--port", "0")
MIGRATE = ("manage.py", "migrate", "--plan")


def starts(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Something that begins a process of Tandem, with nothing else of ours in its environment."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SECRET_KEY", "TRY_IT"))}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=clean | {"DJANGO_SETTINGS_MODULE": "config.settings", "REDIS_URL": "", "CELERY_BROKER_URL": ""} | env,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize("program", [DAPHNE, SERVE, WSGI, CELERY, MIGRATE], ids=lambda p: p[1])
def test_t6_2_https_with_the_development_key_starts_under_no_server(program: tuple[str, ...]) -> None:
    ended = starts(*program, HTTPS="true")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert [line for line in ended.stderr.splitlines() if line] == [NEEDS_KEY]


def test_an_empty_address_of_the_database_is_sqlite_as_where_none_is_set() -> None:
    told = "from django.conf import settings; print(settings.DATABASES['default']['ENGINE'])"
    for empty in ("", " "):
        assert starts("-c", told, DATABASE_URL=empty).stdout == "django.db.backends.sqlite3\n"
    assert "DATABASE_URL: Not a valid" in starts("-c", told, DATABASE_URL="postgres//typo").stderr


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgres://", "names no database"),
        ("mysql://root@host", "names no database"),
        ("oracle://host/name", "names oracle"),
    ],
)
def test_a_database_that_is_none_of_ours_is_one_sentence(url: str, said: str) -> None:
    ended = starts("manage.py", "check", DATABASE_URL=url)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1), ended.stderr
    assert said in ended.stderr


@pytest.mark.parametrize("url", ["foo", "http://mail.example", "smtp//mail"])
def test_an_address_of_mail_that_is_none_is_a_sentence(url: str) -> None:
    ended = starts(*ASGI, EMAIL_URL=url)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1), ended.stderr
    assert "EMAIL_URL" in ended.stderr


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"ATTACHMENT_S3_ADDRESSING": "foo"}, "is 'foo', but has to be auto, path or virtual."),
        ({"ATTACHMENT_S3_ADDRESSING": "foo", "ATTACHMENT_S3_BUCKET": "b"}, "is 'foo', but has to be auto, path or"),
        ({"ATTACHMENT_TYPES": "image/png,nonsense"}, "holds 'nonsense', which is no media type"),
        ({"CELERY_BROKER_URL": "ftp://user:secret@host"}, "begins with ftp://, which Celery does not know"),
        ({"LOGIN_RATE": "60/moon"}, "is '60/moon', but has to be a rate"),
        ({"DIRECTORY": "nonsense"}, "is 'nonsense', which cannot be imported"),
        ({"DIRECTORY": "nowhere.Directory"}, "cannot be imported (ModuleNotFoundError: No module named 'nowhere')."),
        ({"DIRECTORY": "agents_app.directory.Raws"}, "cannot be imported (ImportError"),
        ({"DIRECTORY": "os.system"}, "has to name a class with the methods search and members."),
        ({"DIRECTORY": "agents_app.directory.Person"}, "has to name a class with the methods"),
    ],
    ids=lambda value: ",".join(value.values()) if isinstance(value, dict) else "",
)
def test_a_setting_that_nothing_could_be_done_with_is_one_sentence(env: dict[str, str], said: str) -> None:
    """Not a traceback, and not silence until somebody needs it."""
    ended = starts(*ASGI, **env)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1), ended.stderr
    assert ended.stderr.startswith(f"Tandem does not start: {next(iter(env))} ")
    assert said in ended.stderr
    assert "secret" not in ended.stderr


@pytest.mark.parametrize("program", [DAPHNE, SERVE, WSGI, WORKER, MIGRATE], ids=lambda p: p[1])
def test_no_program_starts_with_a_directory_that_is_none(program: tuple[str, ...]) -> None:
    ended = starts(*program, DIRECTORY="nowhere.Directory")
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1), ended.stderr


@pytest.mark.parametrize(
    "env",
    [
        {"DIRECTORY": "agents_app.directory.Rows", "ATTACHMENT_S3_ADDRESSING": ""},
        {"DIRECTORY": "examples.http_directory.HttpDirectory", "ATTACHMENT_S3_ADDRESSING": "virtual"},
        {"CELERY_BROKER_URL": "amqp://one;amqp://two", "ATTACHMENT_TYPES": f"image/png, {WORD}"},
        {"CELERY_BROKER_URL": "redis+socket:///run/redis.sock", "ATTACHMENT_TYPES": "image/svg+xml"},
    ],
    ids=lambda env: ",".join(env.values()),
)
def test_what_can_be_used_starts(env: dict[str, str]) -> None:
    ended = starts(*ASGI, **env)
    assert ended.returncode == 0, ended.stderr


def test_what_is_wrong_with_a_setting_is_said_once() -> None:
    assert starts(*ASGI, DEBUG="perhaps").stderr.count("Not a valid boolean") == 1


def test_a_stranger_who_asks_for_another_host_writes_a_line_and_no_traceback() -> None:
    asked = "import django; django.setup(); from django.test import Client; Client().get('/login/', headers={'Host': 'evil.example'})"
    told = starts("-c", asked).stderr
    assert "Invalid HTTP_HOST header" in told
    assert "Traceback" not in told


def test_t1_6_a_figure_out_of_range_is_one_sentence_with_the_range() -> None:
    ended = starts(*ASGI, TRANSFER_TIMEOUT="0", EVENT_HEARTBEAT="nan", API_RATE="often")
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "Tandem does not start: TRANSFER_TIMEOUT is 0, but has to be 1 to 604,800 seconds.",
        "Tandem does not start: API_RATE is 'often', but has to be a rate such as 60/min (s, min, h or day).",
        "Tandem does not start: EVENT_HEARTBEAT is 'nan', but has to be a number: 0.1 to 300 seconds.",
    ]


def test_t1_6_a_deadline_that_is_over_at_once_holds_no_request_for_ever(chat: Chat, settings: Any) -> None:
    """Whatever set it so: the timers are applied a bounded number of times, then the verb goes on."""
    chat.cast.policy(transfer_policy="requeue")
    chat.robot()
    settings.TANDEM = settings.TANDEM | {"TRANSFER_TIMEOUT": 0}
    chat.escalate()
    chat.says("Is anybody there?")
    assert "Is anybody there?" in chat.said
    assert Transfer.objects.filter(conversation_id=chat.id).count() <= 3 * MAX_TIMER_ROUNDS


# --- Figures -----------------------------------------------------------------------------------------------------


def read(monkeypatch: pytest.MonkeyPatch, text: str, default: float) -> tuple[float, list[str]]:
    monkeypatch.setenv("SOME_FIGURE", text)
    env = Environment()
    reader: Any = env.number if isinstance(default, float) else env.whole
    return reader("SOME_FIGURE", default, 1, 60, "seconds"), env.problems


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("60", 60), (" 7 ", 7), ("", 30)])
def test_a_figure_within_its_range_is_taken_both_ends_included(
    monkeypatch: pytest.MonkeyPatch, text: str, value: int
) -> None:
    assert read(monkeypatch, text, 30) == (value, [])


@pytest.mark.parametrize("text", ["0", "61", "-1", "1.5", "nan", "inf", "1e400", "ten", "1 2", "٣x"])
def test_a_figure_out_of_its_range_is_named_with_it(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    value, problems = read(monkeypatch, text, 30)
    assert value == 30
    assert len(problems) == 1
    assert problems[0].startswith("SOME_FIGURE is ")
    assert problems[0].endswith("1 to 60 seconds.")


@pytest.mark.parametrize("text", ["0.99", "61", "nan", "inf", "-inf"])
def test_a_number_with_a_point_is_bounded_too(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    assert len(read(monkeypatch, text, 30.0)[1]) == 1
    assert read(monkeypatch, "1.5", 30.0) == (1.5, [])


@pytest.mark.parametrize("period", ["s", "sec", "second", "m", "min", "minute", "h", "hour", "d", "day"])
def test_a_rate_is_taken_with_each_word_for_its_period(monkeypatch: pytest.MonkeyPatch, period: str) -> None:
    monkeypatch.setenv("SOME_RATE", f"60/{period}")
    env = Environment()
    assert env.rate("SOME_RATE", "1/s") == f"60/{period}"
    assert env.problems == []
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400}[period[0]]
    assert SimpleRateThrottle.parse_rate(None, f"60/{period}") == (60, seconds)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "rate", ["60/moon", "60/month", "60/", "60", "0/min", "-1/min", "1.5/min", "60/min/h", "60 / min"]
)
def test_a_rate_of_no_known_period_is_named(monkeypatch: pytest.MonkeyPatch, rate: str) -> None:
    """REST framework itself reads the first letter: a month would be a minute."""
    monkeypatch.setenv("SOME_RATE", rate)
    env = Environment()
    assert env.rate("SOME_RATE", "1/s") == "1/s"
    assert env.problems == [f"SOME_RATE is {rate!r}, but has to be a rate such as 60/min (s, min, h or day)."]


def test_every_default_lies_in_its_range(settings: Any) -> None:
    assert len(settings.FIGURES) >= 35
    assert [figure.name for figure in settings.FIGURES.values() if figure.problem(figure.default)] == []


def test_every_figure_stands_in_the_example_with_its_default_and_its_range(settings: Any) -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    for figure in settings.FIGURES.values():
        here = lines.index(
            f"#{figure.name}={figure.default:g}" if figure.default < 1e5 else f"#{figure.name}={figure.default:.0f}"
        )
        assert f"{figure.minimum:,} to {figure.maximum:,}" in lines[here - 1], figure.name


def test_every_setting_stands_in_the_example() -> None:
    """Also what is no figure: a text, a list, a path, a yes or no, an address, whatever `env` reads, and wherever."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    written = {line.removeprefix("#").partition("=")[0] for line in lines if not line.startswith("# ")}
    calls = [
        call
        for file in sorted((ROOT / "config").rglob("*.py"))
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "env"
    ]
    read = {argument.value for call in calls for argument in call.args[:1] if isinstance(argument, ast.Constant)}
    assert len(read) >= 90
    assert read - written == set()


def test_settings_read_no_figure_without_a_range() -> None:
    calls = [
        node.func
        for node in ast.walk(ast.parse((ROOT / "config" / "settings.py").read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    unbounded = {"int", "float", "decimal", "timedelta"}
    assert [call.lineno for call in calls if call.attr in unbounded and ast.unparse(call.value) == "env"] == []


# --- Contradictions ----------------------------------------------------------------------------------------------


class Now(dict[str, Any]):
    """The settings as they are, but for what a test changes."""

    def __missing__(self, name: str) -> Any:
        from django.conf import settings

        return getattr(settings, name)


def errors(**changed: Any) -> str:
    base = {"ALLOWED_HOSTS": ["localhost"], "TRY_IT": False, "SECRET_KEY": KEY, "PUBLIC_URL": "https://desk.example"}
    return "\n".join(consistency.errors(Now(base | changed)))


def test_settings_that_fit_together_are_no_error() -> None:
    assert errors() == ""
    assert errors(HTTPS=True, ALLOWED_HOSTS=["desk.example"]) == ""
    assert errors(SECRET_KEY=consistency.DEVELOPMENT_KEY, TRY_IT=True) == ""


@pytest.mark.parametrize("hosts", [["*"], ["desk.example"], ["localhost", ".example"], ["10.0.0.7"], ["0.0.0.0"]])
def test_t6_2_the_development_key_serves_only_the_names_of_this_machine(hosts: list[str]) -> None:
    assert "public development key" in errors(SECRET_KEY=consistency.DEVELOPMENT_KEY, ALLOWED_HOSTS=hosts)
    assert errors(ALLOWED_HOSTS=hosts) == ""


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY is empty"),
        ({"SECRET_KEY": "short", "HTTPS": True}, "SECRET_KEY needs 50"),
        ({"SECRET_KEY": "a" * 60, "HTTPS": True}, "SECRET_KEY needs 50"),
        ({"SECRET_KEY_FALLBACKS": [consistency.DEVELOPMENT_KEY], "HTTPS": True}, "SECRET_KEY_FALLBACKS"),
        ({"TRY_IT": True, "HTTPS": True}, "TRY_IT is on"),
        ({"TRY_IT": True, "ALLOWED_HOSTS": ["*"]}, "TRY_IT is on"),
        ({"DEBUG": True, "HTTPS": True}, "DEBUG is on"),
        ({"ALLOWED_HOSTS": []}, "ALLOWED_HOSTS is empty"),
        ({"METRICS_TOKEN": "guess"}, "METRICS_TOKEN needs"),
        ({"NOTICE_WEBHOOK_SECRET": "whsec_!!"}, "NOTICE_WEBHOOK_SECRET has to be"),
        ({"NOTICE_WEBHOOK_SECRET": "whsec_YWJj"}, "NOTICE_WEBHOOK_SECRET has to be"),
        ({"SECRET_KEY": " "}, "SECRET_KEY is empty"),
        ({"ALLOWED_HOSTS": ["http://desk.example"]}, "ALLOWED_HOSTS holds 'http://desk.example'"),
        ({"ALLOWED_HOSTS": ["localhost", ""]}, "ALLOWED_HOSTS holds ''"),
        ({"REDIS_URL": "redis://redis/first"}, "REDIS_URL cannot be used: 'first' is no number"),
        ({"REDIS_URL": "redis://redis/0?x=1"}, "REDIS_URL cannot be used"),
        ({"TANDEM": {"AGENT_AWAY_AFTER": 301, "AGENT_GONE_AFTER": 300}}, "AGENT_AWAY_AFTER is longer"),
        ({"PUBLIC_URL": ""}, "PUBLIC_URL has to be an address"),
        ({"PUBLIC_URL": "desk.example"}, "PUBLIC_URL has to be an address"),
        ({"PUBLIC_URL": "https://desk.example:port"}, "PUBLIC_URL has to be an address"),
        ({"PUBLIC_URL": "https://desk.example/?a=b"}, "neither ? nor #"),
        ({"REDIS_URL": "http://redis"}, "REDIS_URL has to be an address"),
        ({"ANALYSER_URL": "api.example"}, "ANALYSER_URL has to be"),
        ({"CELERY_BROKER_URL": "memory://", "CELERY_TASK_ALWAYS_EAGER": False}, "no other process can reach"),
        ({"CELERY_BROKER_URL": "ftp://host"}, "begins with ftp://, which Celery does not know"),
        ({"CELERY_BROKER_URL": "redis://a;ftp://b"}, "begins with ftp://"),
        ({"CELERY_BROKER_URL": "rabbit"}, "CELERY_BROKER_URL has to be an address"),
        ({"CELERY_BROKER_URL": "unix:///run/redis.sock"}, "Celery's word is redis+socket://"),
        ({"ATTACHMENT_TYPES": ["image/png", "nonsense"]}, "ATTACHMENT_TYPES holds 'nonsense'"),
        ({"ATTACHMENT_TYPES": ["image/*"]}, "ATTACHMENT_TYPES holds 'image/*'"),
        ({"ATTACHMENT_TYPES": ["Image/PNG"]}, "ATTACHMENT_TYPES holds 'Image/PNG'"),
        ({"ATTACHMENT_TYPES": ["text/plain; charset=utf-8"]}, "ATTACHMENT_TYPES holds"),
        ({"ATTACHMENT_TYPES": [""]}, "ATTACHMENT_TYPES holds ''"),
        ({"SESSION_IDLE": 100, "SESSION_ABSOLUTE": 60}, "SESSION_IDLE is longer"),
        ({"TIME_ZONE": "Mars/Base"}, "TIME_ZONE is 'Mars/Base'"),
        ({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL is 'LOUD'"),
        ({"CSRF_TRUSTED_ORIGINS": ["desk.example"]}, "CSRF_TRUSTED_ORIGINS holds"),
        ({"DEFAULT_FROM_EMAIL": "desk"}, "EMAIL_FROM has to be one address"),
        ({"DEFAULT_FROM_EMAIL": "a@x.example, b@x.example"}, "EMAIL_FROM has to be one address"),
        ({"DEFAULT_FROM_EMAIL": "a@x.example\nBcc: b@x.example"}, "EMAIL_FROM has to be one address"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_settings_that_contradict_each_other_are_named(changed: dict[str, Any], said: str) -> None:
    assert said in errors(**changed)


@pytest.mark.parametrize(
    ("sent", "header"),
    [
        ("tandem@localhost", "tandem@localhost"),
        ("Lamps, Inc. <desk@lamps.example>", '"Lamps, Inc." <desk@lamps.example>'),
        ('"Lamps, Inc." <desk@lamps.example>', '"Lamps, Inc." <desk@lamps.example>'),
        ('Lamps "and more" <desk@lamps.example>', '"Lamps \\"and more\\"" <desk@lamps.example>'),
        ("灯具, 店 <desk@lamps.example>", "=?utf-8?b?54Gv5YW3LCDlupc=?= <desk@lamps.example>"),
        ("desk <no address>", "desk <no address>"),
    ],
)
def test_t12_a_comma_in_the_senders_name_is_quoted(sent: str, header: str) -> None:
    from django.core.mail.message import EmailMessage

    made = consistency.mail_address(sent)
    assert made == header
    if "@" in sent:
        assert errors(DEFAULT_FROM_EMAIL=made) == ""
        parsed = EmailMessage("hello", "hello", made, ["a@x.example"]).message()["From"]
        assert len(parsed.addresses) == 1


def test_what_is_unwise_is_a_warning_of_djangos_checks(settings: Any) -> None:
    settings.HTTPS, settings.SECRET_KEY, settings.TRY_IT = True, KEY, False
    settings.WEBHOOK_ALLOW_LOOPBACK, settings.PUBLIC_URL = True, "https://desk.example"
    settings.TANDEM = settings.TANDEM | {"OFFER_TIMEOUT": 0}
    assert [message.id for message in run_checks(tags=["tandem"])] == ["tandem.E001", "tandem.W001"]


def test_a_figure_says_what_it_may_be() -> None:
    assert str(Figure("A", 1, 1, 1_000_000, "bytes")) == "1 to 1,000,000 bytes"


@pytest.mark.parametrize("prefix", ["", "two words", "a" * 65, "ü"])
def test_t13_a_prefix_that_redis_or_celery_would_stumble_over_is_refused(prefix: str) -> None:
    assert "REDIS_PREFIX" in errors(REDIS_PREFIX=prefix)
    assert "REDIS_PREFIX" not in errors(REDIS_PREFIX="tandem-2:blue")


@pytest.mark.parametrize("demo", ["true", "false"])
def test_the_embedded_server_does_not_begin_without_its_tables(tmp_path: Path, demo: str) -> None:
    ended = starts(*SERVE, DATABASE_URL=f"sqlite:///{tmp_path / 'empty.sqlite3'}", TRY_IT=demo)
    assert ended.returncode == 1
    assert "Run `manage.py migrate` first." in ended.stderr
