"""Teams and who is in them."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from agents_app.models.agents import MAX_LOAD, Agent, SkillsField
from agents_app.models.service_hours import HasHours
from agents_app.models.tenants import Tenant
from config import limits
from config.db import ExactCharField

LONGEST = 500_000_000
"""Seconds of the longest wait that people can set: fifteen years. More is a typing error, and might overflow."""


class Team(HasHours):
    """A queue of agents, and how what waits in it finds one of them (docs/assignment.md)."""

    class Strategy(models.TextChoices):
        ROUND_ROBIN = "round_robin", _("round robin: whoever was offered something longest ago")
        LEAST_LOADED = "least_loaded", _("least loaded: whoever has most room")
        LONGEST_IDLE = "longest_idle", _("longest idle: whoever has had no work longest")
        BEST_SKILLED = "best_skilled", _("best skilled: whoever is best at what is needed")
        STICKY = "sticky", _("sticky: whoever served this customer last, else the least loaded")
        WEIGHTED = "weighted", _("weighted: in proportion to the members' weights")

    tenant = models.ForeignKey(Tenant, models.PROTECT, related_name="teams", verbose_name=_("tenant"))
    name = ExactCharField(_("name"), max_length=limits.MAX_GROUP_NAME)
    members = models.ManyToManyField(
        Agent, through="Membership", related_name="teams", blank=True, verbose_name=_("members")
    )

    assignment = models.CharField(
        _("assignment"),
        max_length=8,
        choices=Tenant.Assignment,
        blank=True,
        help_text=_("Empty: as the tenant has it."),
    )
    strategy = models.CharField(
        _("strategy"), max_length=limits.MAX_WORD, choices=Strategy, default=Strategy.LEAST_LOADED
    )
    needs = SkillsField(
        _("skills needed"),
        default=dict,
        blank=True,
        help_text=_("Of everybody who is offered something, beside what a conversation needs itself."),
    )
    capacity = models.PositiveIntegerField(
        _("capacity"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(100 * MAX_LOAD)],
        help_text=_("Conversations served at once; empty: as its members can."),
    )
    offer_timeout = models.PositiveIntegerField(
        _("seconds to accept an offer"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(LONGEST)],
        help_text=_("Empty: as the tenant has it."),
    )
    first_reply_timeout = models.PositiveIntegerField(
        _("seconds to the first reply"),
        default=0,
        validators=[MaxValueValidator(LONGEST)],
        help_text=_("After that a conversation goes to somebody else. 0: any time."),
    )
    overflow_to = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("overflows to")
    )
    overflow_after = models.PositiveIntegerField(
        _("seconds to the overflow"), default=120, validators=[MaxValueValidator(LONGEST)]
    )

    class Meta:
        verbose_name = _("team")
        verbose_name_plural = _("teams")
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=["tenant", "name"], name="team_name_once"),)

    def _tenant_id(self) -> int | None:
        return self.tenant_id

    def _tenants_email(self) -> str:
        return self.tenant.email if self.tenant_id else ""

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """An agent in a team. With the strategy 'weighted', one of weight 2 is offered twice as much as one of weight 1."""

    team = models.ForeignKey(Team, models.CASCADE, db_index=False, related_name="memberships", verbose_name=_("team"))
    agent = models.ForeignKey(Agent, models.CASCADE, related_name="memberships", verbose_name=_("agent"))
    weight = models.PositiveSmallIntegerField(
        _("weight"), default=1, validators=[MinValueValidator(1), MaxValueValidator(1_000)]
    )

    class Meta:
        verbose_name = _("member")
        verbose_name_plural = _("members")
        constraints = (models.UniqueConstraint(fields=["team", "agent"], name="team_member_once"),)

    def __str__(self) -> str:
        return f"{self.agent} in {self.team}"
