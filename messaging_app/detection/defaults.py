"""The rules a tenant starts with, as data, and how they get into its database."""

from __future__ import annotations

from dataclasses import asdict

from django.conf import settings

from agents_app.models import Tenant
from messaging_app.detection import phrases_chinese as zh
from messaging_app.detection import phrases_english as en
from messaging_app.detection import phrases_other as other
from messaging_app.detection.rules import RuleRow
from messaging_app.models import NeedRule

Kind, Effect, Severity = NeedRule.Kind, NeedRule.Effect, NeedRule.Severity


def _human(language: str, code: str, phrases: tuple[str, ...], exceptions: tuple[str, ...]) -> RuleRow:
    name = f"Asks for a human ({language})"
    return RuleRow(Kind.KEYWORD, name, phrases, exceptions, 1, Effect.ESCALATE, Severity.HIGH, code)


def _complaint(language: str, code: str, phrases: tuple[str, ...], exceptions: tuple[str, ...]) -> RuleRow:
    return RuleRow(Kind.KEYWORD, f"Complaint ({language})", phrases, exceptions, 1, Effect.FLAG, Severity.MEDIUM, code)


def _unhelped(language: str, code: str, phrases: tuple[str, ...], exceptions: tuple[str, ...]) -> RuleRow:
    name = f"Says the answers do not help ({language})"
    return RuleRow(Kind.KEYWORD, name, phrases, exceptions, 1, Effect.FLAG, Severity.LOW, code)


def _anger(language: str, code: str, phrases: tuple[str, ...], exceptions: tuple[str, ...]) -> tuple[RuleRow, RuleRow]:
    """One angry phrase in a message flags the conversation; two escalate it."""
    return (
        RuleRow(Kind.SENTIMENT, f"Anger ({language})", phrases, exceptions, 1, Effect.FLAG, Severity.MEDIUM, code),
        RuleRow(
            Kind.SENTIMENT, f"Strong anger ({language})", phrases, exceptions, 2, Effect.ESCALATE, Severity.HIGH, code
        ),
    )


DEFAULT_RULES: tuple[RuleRow, ...] = (
    RuleRow(Kind.VIP, "VIP customer writes", effect=Effect.FLAG, severity=Severity.MEDIUM),
    _human("English", "en", en.HUMAN, en.HUMAN_EXCEPTIONS),
    _human("Chinese", "zh", zh.HUMAN, zh.HUMAN_EXCEPTIONS),
    _human("Spanish", "es", other.SPANISH_HUMAN, other.SPANISH_EXCEPTIONS),
    _human("Japanese", "ja", other.JAPANESE_HUMAN, other.JAPANESE_EXCEPTIONS),
    _human("Thai", "th", other.THAI_HUMAN, other.THAI_EXCEPTIONS),
    _human("Vietnamese", "vi", other.VIETNAMESE_HUMAN, other.VIETNAMESE_EXCEPTIONS),
    _complaint("English", "en", en.COMPLAINTS, en.COMPLAINT_EXCEPTIONS),
    _complaint("Chinese", "zh", zh.COMPLAINTS, zh.COMPLAINT_EXCEPTIONS),
    _unhelped("English", "en", en.UNHELPED, en.UNHELPED_EXCEPTIONS),
    _unhelped("Chinese", "zh", zh.UNHELPED, ()),
    # One row for all languages: the count of failed answers has one threshold.
    RuleRow(
        Kind.FAILURE,
        "The bot cannot help",
        en.FAILURE + zh.FAILURE + other.FAILURE,
        en.FAILURE_EXCEPTIONS + zh.FAILURE_EXCEPTIONS,
        settings.TANDEM["FAILED_ANSWERS"],
        Effect.ESCALATE,
        Severity.HIGH,
    ),
    *_anger("English", "en", en.ANGER, en.ANGER_EXCEPTIONS),
    *_anger("Chinese", "zh", zh.ANGER, zh.ANGER_EXCEPTIONS),
)


def install(tenant: Tenant) -> int:
    """Give a tenant the default rules it lacks; returns how many were added.

    A rule is known by kind and name. One that is there is left as it is, edited or not in use: running this again is
    harmless. A rule that was deleted or renamed comes back; to be rid of one, take it out of use.
    """
    known = set(NeedRule.objects.filter(tenant=tenant).values_list("kind", "name"))
    missing = [
        NeedRule(**asdict(row) | {"tenant": tenant, "phrases": list(row.phrases), "exceptions": list(row.exceptions)})
        for row in DEFAULT_RULES
        if (str(row.kind), row.name) not in known
    ]
    NeedRule.objects.bulk_create(missing, ignore_conflicts=True)  # somebody else may install at the same moment
    return len(missing)
