"""Rules of need."""

from __future__ import annotations

from django.core.validators import MaxValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from agents_app.models import Tenant
from config import limits
from config.db import CheckedJSONField
from messaging_app.models import agent_tools  # noqa: F401 – registers its models
from messaging_app.models import attachments as attachment_models  # noqa: F401 – registers its model


class NeedRule(models.Model):
    """When a conversation needs a human. Checked in the order VIP, keyword, failure, sentiment, model.

    `phrases` are words or regular expressions in any language; where one of `exceptions` matches, the phrase inside it
    does not count ("when does the service desk open?" is no request for a human). `problem` says, in English, what the
    engine cannot use; by `changed_at` every process sees that its compiled rule is an older one.
    """

    class Kind(models.TextChoices):
        VIP = "vip", _("VIP customer")
        KEYWORD = "keyword", _("asks for a human")
        FAILURE = "failure", _("bot admits failure")
        SENTIMENT = "sentiment", _("anger")
        MODEL = "model", _("analyser")

    class Effect(models.TextChoices):
        FLAG = "flag", _("flag")
        ESCALATE = "escalate", _("escalate")

    class Severity(models.TextChoices):
        LOW = "low", _("low")
        MEDIUM = "medium", _("medium")
        HIGH = "high", _("high")

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="need_rules", verbose_name=_("tenant"))
    kind = models.CharField(_("kind"), max_length=limits.MAX_WORD, choices=Kind)
    name = models.CharField(_("name"), max_length=limits.MAX_GROUP_NAME)
    language = models.CharField(_("language"), max_length=limits.MAX_LANGUAGE, blank=True, help_text=_("Empty: any."))
    phrases = CheckedJSONField(_("phrases"), default=list, blank=True)
    exceptions = CheckedJSONField(_("phrases that do not count"), default=list, blank=True)
    threshold = models.PositiveSmallIntegerField(
        _("threshold"),
        default=1,
        validators=[MaxValueValidator(100)],
        help_text=_("Failed answers in a row, or hits of anger in one message."),
    )
    effect = models.CharField(_("effect"), max_length=limits.MAX_WORD, choices=Effect, default=Effect.ESCALATE)
    severity = models.CharField(_("severity"), max_length=8, choices=Severity, default=Severity.MEDIUM)
    is_enabled = models.BooleanField(_("in use"), default=True)
    problem = models.TextField(_("what cannot be used"), blank=True, editable=False)
    changed_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("rule of need")
        verbose_name_plural = _("rules of need")
        ordering = ("kind", "name")
        constraints = (models.UniqueConstraint(fields=["tenant", "kind", "name"], name="need_rule_once"),)

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.name}"
