"""Which settings are wrong, or contradict each other. Pure: takes a mapping, for settings, checks and tests.

Errors end the process when the settings are imported (config/settings.py); warnings are Django's checks (config/checks.py).
"""

from __future__ import annotations

import ipaddress
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from email.errors import HeaderParseError, MessageError
from email.headerregistry import Address, AddressHeader
from email.utils import formataddr
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from config import audit_keys

DEVELOPMENT_KEY = "tandem-development-only-do-not-use-this-key-where-anybody-else-can-reach-it"
MIN_SECRET = 50
"""Characters of SECRET_KEY in production, as Django's deployment check asks for (security.W009)."""
MIN_TOKEN = 16
"""Characters of METRICS_TOKEN."""
MIN_WEBHOOK_SECRET = 24
"""Bytes of NOTICE_WEBHOOK_SECRET."""
_PREFIX = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")
"""A media type as the detection of uploads writes it: in small letters, without parameters, and no wildcard."""
LEVELS = {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}


def is_local(host: str) -> bool:
    """True for a name or address that only this machine answers to. `testserver` is the name that Django's tests use."""
    name = host.strip("[]").rstrip(".").lower()
    if name in {"localhost", "testserver"} or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def is_stranger(address: str, key: str) -> bool:
    """True for a client on another machine while `key` is the public development key, by which it could be anyone.

    A Host header proves nothing, so the address decides. A client without one (a local socket, a test) is no stranger.
    """
    return key == DEVELOPMENT_KEY and bool(address) and not is_local(address)


def mail_address(sender: str) -> str:
    """EMAIL_FROM as a header needs it: a display name with a comma is quoted. Unchanged where it is no address."""
    name, bracket, rest = sender.strip().rpartition("<")
    if not bracket or not rest.endswith(">"):
        return sender.strip()
    name = name.strip()
    if name.startswith('"') and name.endswith('"') and len(name) > 1:
        name = name[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return formataddr((name, rest[:-1].strip()))


def database_problems(database: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with a DATABASE_URL that could be parsed: an unsupported engine, or no database's name."""
    engine = str(database["ENGINE"]).rpartition(".")[2]
    if engine and engine not in {"sqlite3", "postgresql", "mysql"}:
        yield f"DATABASE_URL names {engine}, but has to begin with postgres://, mysql:// or sqlite:///."
    elif engine and not database.get("NAME"):
        yield "DATABASE_URL names no database: postgres://user:password@host:5432/tandem."


def directory_problem(path: str) -> str | None:
    """What is wrong with DIRECTORY, or None. Imports it, so call this when the apps are loaded."""
    if not path:
        return None
    from django.utils.module_loading import import_string

    try:
        directory = import_string(path)
    except Exception as error:  # whatever a module of somebody else's raises
        reason = " ".join(str(error).split())[:200].removesuffix(".")
        return f"DIRECTORY is {path[:100]!r}, which cannot be imported ({type(error).__name__}: {reason})."
    methods = ("search", "members")
    if not (isinstance(directory, type) and all(callable(getattr(directory, name, None)) for name in methods)):
        return f"DIRECTORY is {path[:100]!r}, but has to name a class with the methods search and members."
    return None


def errors(settings: Mapping[str, Any]) -> Iterator[str]:
    """What keeps Tandem from starting, a sentence each."""
    yield from _secrets(settings)
    yield from _addresses(settings)
    yield from _choices(settings)
    if settings["SESSION_IDLE"] > settings["SESSION_ABSOLUTE"]:
        yield "SESSION_IDLE is longer than SESSION_ABSOLUTE, so it would never end a login."
    if settings["TANDEM"]["AGENT_AWAY_AFTER"] > settings["TANDEM"]["AGENT_GONE_AFTER"]:
        yield "AGENT_AWAY_AFTER is longer than AGENT_GONE_AFTER, so nobody would ever be away."
    if settings["CELERY_BROKER_URL"] == "memory://" and not settings["CELERY_TASK_ALWAYS_EAGER"]:
        yield "CELERY_BROKER_URL is memory://, which no other process can reach: leave it empty, or name a broker."
    if settings["CELERY_BROKER_URL"]:
        yield from _broker(settings["CELERY_BROKER_URL"])


def warnings(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What works but is unwise: the number of the check, and a sentence."""
    if is_production(settings) and settings["WEBHOOK_ALLOW_LOOPBACK"]:
        yield "W001", "WEBHOOK_ALLOW_LOOPBACK lets every tenant's webhooks reach services of this machine."
    if not settings["CELERY_TASK_ALWAYS_EAGER"] and not settings["REDIS_URL"]:
        yield "W002", "CELERY_BROKER_URL is set without REDIS_URL: pages learn of changes up to a second late."
    if is_production(settings) and is_local(urlsplit(settings["PUBLIC_URL"]).hostname or ""):
        yield "W003", "PUBLIC_URL names this machine: nobody else can open the links of invitations."


def is_production(settings: Mapping[str, Any]) -> bool:
    """Whether others may reach this installation: HTTPS is on, or ALLOWED_HOSTS names more than this machine."""
    return bool(settings["HTTPS"]) or not all(is_local(host) for host in settings["ALLOWED_HOSTS"])


def _secrets(settings: Mapping[str, Any]) -> Iterator[str]:
    key, production = settings["SECRET_KEY"], is_production(settings)
    why = "HTTPS is on" if settings["HTTPS"] else "ALLOWED_HOSTS names more than this machine"
    how = 'python3 -c "import secrets; print(secrets.token_urlsafe(64))" prints a key'
    if not key.strip():
        yield f"SECRET_KEY is empty; {how}."
    elif production and key == DEVELOPMENT_KEY:
        yield f"{why}, but SECRET_KEY is the public development key, with which anybody can log in as anyone; {how}."
    elif production and (len(key) < MIN_SECRET or len(set(key)) < 5):
        yield f"SECRET_KEY needs {MIN_SECRET} or more random characters where others can reach Tandem; {how}."
    if production and DEVELOPMENT_KEY in settings["SECRET_KEY_FALLBACKS"]:
        yield "SECRET_KEY_FALLBACKS holds the public development key, with which anybody can log in as anyone."
    if production and settings["TRY_IT"] and key != DEVELOPMENT_KEY:
        yield f"{why}, but TRY_IT is on, which lets anybody play a customer and shows the demo's password."
    if production and settings["DEBUG"]:
        yield f"{why}, but DEBUG is on, which shows settings and source to whoever meets an error."
    yield from audit_keys.problems(settings["AUDIT_KEYS"])
    if 0 < len(settings["METRICS_TOKEN"]) < MIN_TOKEN:
        yield f"METRICS_TOKEN needs {MIN_TOKEN} or more characters."
    if secret := settings["NOTICE_WEBHOOK_SECRET"]:
        try:
            is_long_enough = len(b64decode(secret.removeprefix("whsec_"), validate=True)) >= MIN_WEBHOOK_SECRET
        except ValueError:
            is_long_enough = False
        if not is_long_enough:
            yield f"NOTICE_WEBHOOK_SECRET has to be whsec_ and {MIN_WEBHOOK_SECRET} or more random bytes in base64."


def _addresses(settings: Mapping[str, Any]) -> Iterator[str]:
    if not settings["ALLOWED_HOSTS"]:
        yield "ALLOWED_HOSTS is empty, so no request could be answered."
    for host in settings["ALLOWED_HOSTS"]:
        if "/" in host or not host.strip():
            yield f"ALLOWED_HOSTS holds {host!r}, which is no host's name: write desk.example.org, without https://."
    if not _PREFIX.fullmatch(settings["REDIS_PREFIX"]):
        yield "REDIS_PREFIX has to be 1 to 64 letters, digits and . _ - :, such as tandem or tandem-test."
    if settings["REDIS_URL"] and (problem := _redis_problem(settings["REDIS_URL"])):
        yield f"REDIS_URL cannot be used: {problem}."
    for name, schemes in (
        ("PUBLIC_URL", {"http", "https"}),
        ("ANALYSER_URL", {"http", "https"}),
        ("WECOM_URL", {"http", "https"}),
        ("NOTICE_WEBHOOK_URL", {"http", "https"}),
        ("REDIS_URL", {"redis", "rediss", "unix"}),
    ):
        value = settings[name]
        if (value or name == "PUBLIC_URL") and not _is_address(value, schemes):
            yield f"{name} has to be an address that begins with {' or '.join(sorted(s + '://' for s in schemes))}."
    if urlsplit(settings["PUBLIC_URL"]).query or urlsplit(settings["PUBLIC_URL"]).fragment:
        yield "PUBLIC_URL is what links begin with: it has neither ? nor #."
    if not _is_mailbox(settings["DEFAULT_FROM_EMAIL"]):
        yield 'EMAIL_FROM has to be one address, or a name and one: "Lamps, Inc." <desk@lamps.example>.'


def _broker(urls: str) -> Iterator[str]:
    """`urls` are separated by semicolons. One without a scheme is refused: Celery would take it for RabbitMQ's host."""
    from kombu.transport import TRANSPORT_ALIASES

    for url in urls.split(";"):
        scheme, separator, _ = url.strip().partition("://")
        if not separator:
            yield "CELERY_BROKER_URL has to be an address such as redis://host:6379/0 or amqp://host."
        elif scheme.lower() == "unix":
            yield "CELERY_BROKER_URL, or REDIS_URL in its place, begins with unix://: Celery's word is redis+socket://."
        elif scheme.partition("+")[0].lower() not in TRANSPORT_ALIASES:
            yield f"CELERY_BROKER_URL begins with {scheme[:50]}://, which Celery does not know: redis:// or amqp://."


def _choices(settings: Mapping[str, Any]) -> Iterator[str]:
    if settings["TIME_ZONE"] not in available_timezones():
        yield f"TIME_ZONE is {settings['TIME_ZONE']!r}, which is no time zone such as UTC or Asia/Tokyo."
    if settings["LOG_LEVEL"] not in LEVELS:
        yield f"LOG_LEVEL is {settings['LOG_LEVEL']!r}, but has to be one of {', '.join(sorted(LEVELS))}."
    for name in settings["ATTACHMENT_TYPES"]:
        if not _MEDIA_TYPE.fullmatch(name):
            yield f"ATTACHMENT_TYPES holds {name[:50]!r}, which is no media type in small letters such as image/png."
    for origin in settings["CSRF_TRUSTED_ORIGINS"]:
        if not _is_address(origin, {"http", "https"}):
            yield f"CSRF_TRUSTED_ORIGINS holds {origin!r}, which has to begin with https:// (or http://)."


def _redis_problem(url: str) -> str:
    """What the Redis client finds wrong with an address, without connecting; empty if it accepts it."""
    if not _is_address(url, {"redis", "rediss", "unix"}):
        return ""  # `_addresses` says so itself
    from config.redis_link import problem_of

    number = urlsplit(url).path.strip("/")
    if not url.startswith("unix:") and number and not number.isdecimal():
        return f"{number[:50]!r} is no number of a database"
    return problem_of(url)


def _is_address(value: str, schemes: set[str]) -> bool:
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises for what is no number
    except ValueError:
        return False
    is_there = bool(parts.hostname) or (parts.scheme == "unix" and bool(parts.path))
    return parts.scheme in schemes and is_there and not any(c.isspace() for c in value)


def _is_mailbox(value: str) -> bool:
    """Exactly one address, as the header of a mail will be read."""
    if "\n" in value or "\r" in value:
        return False
    parsed: dict[str, Any] = {"defects": []}
    try:
        AddressHeader.parse(value, parsed)
    except (HeaderParseError, MessageError, ValueError, IndexError):
        return False
    addresses: list[Address] = [address for group in parsed["groups"] for address in group.addresses]
    return not parsed["defects"] and len(addresses) == 1 and bool(addresses[0].username and addresses[0].domain)
