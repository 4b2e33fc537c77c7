"""Tenants and their policies."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from agents_app import origins, policies
from agents_app.models.service_hours import HasHours
from config import limits
from config.db import CheckedJSONField

log = logging.getLogger(__name__)


class PoliciesField(CheckedJSONField):
    """What a tenant has set for itself (`agents_app.policies`); what is out of bounds in a stored row is ignored."""

    default_validators = [*CheckedJSONField.default_validators, policies.validate]

    def as_expected(self, stored: Any) -> dict[str, int]:
        return policies.as_set(stored)


class Tenant(HasHours):
    """One isolated customer of the installation. Every row belongs to one; nothing crosses."""

    class TransferPolicy(models.TextChoices):
        RETURN = "return", _("give the conversation back to its sender")
        REQUEUE = "requeue", _("put it back in the queue")

    class Assignment(models.TextChoices):
        PULL = "pull", _("agents take from the queue")
        PUSH = "push", _("the queue is offered to one agent at a time")

    class Unanswered(models.TextChoices):
        FLAG = "flag", _("flag the conversation until somebody has it")
        LEAVE = "leave", _("leave it")

    slug = models.SlugField(_("short name"), max_length=limits.MAX_TENANT_SLUG, unique=True)
    name = models.CharField(_("name"), max_length=limits.MAX_NAME)
    transfer_policy = models.CharField(
        _("when nobody accepts a transfer"),
        max_length=8,
        choices=TransferPolicy,
        default=TransferPolicy.RETURN,
    )
    unanswered = models.CharField(
        _("when a customer waits for an answer and nobody has the turn"),
        max_length=8,
        choices=Unanswered,
        default=Unanswered.FLAG,
        help_text=_(
            "A bot or agent stopped before it had answered, or nobody has taken what the customer wrote. Flagged, it waits "
            "in sight of every agent. Left, nobody is called: for a shop whose answers Tandem does not see."
        ),
    )
    assignment = models.CharField(
        _("assignment"),
        max_length=8,
        choices=Assignment,
        default=Assignment.PULL,
        help_text=_("A team may have its own."),
    )
    default_team = models.ForeignKey(
        "Team",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("team for whatever names none"),
    )
    allowed_origins = models.TextField(
        _("pages of other origins"),
        blank=True,
        help_text=_(
            "Pages of other sites that may call the API in their visitors' browsers, with a customer's token: one origin a line, "
            "such as https://shop.example. Empty: none."
        ),
    )
    policies = PoliciesField(_("times and limits"), default=dict, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("tenant")
        verbose_name_plural = _("tenants")
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        origins.forget()

    def _tenant_id(self) -> int | None:
        return self.pk

    def clean(self) -> None:
        super().clean()
        try:
            self.allowed_origins = "\n".join(origins.normalize(self.allowed_origins))
        except ValidationError as error:
            raise ValidationError({"allowed_origins": error}) from None
        if self.default_team and self.default_team.tenant_id != self.pk:
            raise ValidationError({"default_team": _("This belongs to another tenant.")})
