"""Who: tenants, agents, teams, and the programs that call the API."""

from __future__ import annotations

import logging
from collections import defaultdict
from datetime import date
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext_lazy as _

from agents_app import origins, policies
from agents_app.hours import MIDNIGHT, Hours, Span
from config import limits
from config.db import CheckedJSONField, ExactCharField

log = logging.getLogger(__name__)

LONGEST = 500_000_000
"""Seconds of any wait that people set: fifteen years. More is a slip of the keyboard, and beyond the calendar at last."""
MAX_LOAD = 1_000
"""Live sessions of one agent at once; a team's are a hundred agents' at most."""


class SkillsField(CheckedJSONField):
    """Skills with their levels (`agents_app.skills`); what a stored row holds beside that does not count."""

    def as_expected(self, found: Any) -> dict[str, int]:
        told = super().as_expected(found)
        return {name: level for name, level in told.items() if type(level) is int}


class PoliciesField(CheckedJSONField):
    """What a tenant has set for itself (`agents_app.policies`); what is out of bounds in a stored row does not count."""

    default_validators = [*CheckedJSONField.default_validators, policies.validate]

    def as_expected(self, found: Any) -> dict[str, int]:
        return policies.as_set(found)


class HasHours(models.Model):
    """When customers are served, what becomes of them outside of these hours, and how soon they are to be answered.

    A tenant's own, and a team's: what a team leaves empty is as its tenant says (`office.office_of`). Without a calendar
    it is always open.
    """

    class AfterHours(models.TextChoices):
        WAIT = "wait", _("the conversation waits for the opening")
        EMAIL = "email", _("the conversation becomes an e-mail")

    calendar = models.ForeignKey(
        "Calendar",
        models.PROTECT,
        related_name="+",
        null=True,
        blank=True,
        verbose_name=_("calendar"),
        help_text=_("A team without one follows its tenant; a tenant without one is always open."),
    )
    after_hours = models.CharField(
        _("after hours"),
        max_length=8,
        choices=AfterHours,
        blank=True,
        help_text=_("A team that leaves this empty follows its tenant; a tenant waits."),
    )
    after_hours_text = models.TextField(
        _("what the customer is told after hours"),
        max_length=1000,
        blank=True,
        help_text=_("{opens} stands for the next opening. Empty: a sentence of Tandem’s own."),
    )
    email = models.EmailField(_("e-mail address"), blank=True, help_text=_("Where conversations go after hours."))
    sla = models.ForeignKey(
        "SlaPolicy",
        models.PROTECT,
        related_name="+",
        null=True,
        blank=True,
        verbose_name=_("service levels"),
        help_text=_("A team without any follows its tenant."),
    )

    class Meta:
        abstract = True

    def clean(self) -> None:
        """What it refers to is its own tenant's, and nothing becomes an e-mail to nobody."""
        super().clean()
        team = self if isinstance(self, Team) else None
        tenant_id = team.tenant_id if team else self.pk
        wrong = {
            name: _("This belongs to another tenant.")
            for name, row in (("calendar", self.calendar), ("sla", self.sla))
            if row and row.tenant_id != tenant_id
        }
        has_address = self.email or (team and team.tenant_id and team.tenant.email)
        if self.after_hours == self.AfterHours.EMAIL and not has_address:
            wrong["email"] = _("Name the address that conversations go to after hours.")
        if wrong:
            raise ValidationError(wrong)


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

    def clean(self) -> None:
        super().clean()
        try:
            self.allowed_origins = "\n".join(origins.normalize(self.allowed_origins))
        except ValidationError as error:
            raise ValidationError({"allowed_origins": error}) from None
        if self.default_team and self.default_team.tenant_id != self.pk:
            raise ValidationError({"default_team": _("This belongs to another tenant.")})


class Agent(models.Model):
    """A human who serves customers.

    Presence is three facts that are never mixed: what the agent declared (`availability`), when the agent was last
    heard of (`last_seen_at`), and how much the agent takes on (`max_load`; the load itself is counted, never stored).
    """

    class Role(models.TextChoices):
        AGENT = "agent", _("agent")
        SUPERVISOR = "supervisor", _("supervisor")
        ADMIN = "admin", _("administrator")

    class Availability(models.TextChoices):
        AVAILABLE = "available", _("available")
        BUSY = "busy", _("busy")
        BREAK = "break", _("on a break")
        TRAINING = "training", _("in training")
        AWAY = "away", _("away")
        OFFLINE = "offline", _("offline")
        NOT_RESPONDING = "not_responding", _("not responding")

    tenant = models.ForeignKey(Tenant, models.PROTECT, related_name="agents", verbose_name=_("tenant"))
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        related_name="agent",
        null=True,
        blank=True,
        verbose_name=_("login"),
    )
    name = models.CharField(_("name"), max_length=limits.MAX_NAME)
    role = models.CharField(_("role"), max_length=limits.MAX_WORD, choices=Role, default=Role.AGENT)
    max_load = models.PositiveSmallIntegerField(
        _("capacity"),
        default=settings.TANDEM["MAX_CONCURRENT_SESSIONS"],
        validators=[MaxValueValidator(MAX_LOAD)],
        help_text=_("How many live sessions at once."),
    )
    skills = SkillsField(
        _("skills"),
        default=dict,
        blank=True,
        help_text=_("Each with a level from 1 to 5. A language is a skill, by its code: zh, en."),
    )
    availability = ExactCharField(
        _("availability"),
        max_length=limits.MAX_WORD,
        choices=Availability,
        default=Availability.OFFLINE,
    )
    availability_reason = models.CharField(_("reason"), max_length=limits.MAX_AVAILABILITY_REASON, blank=True)
    availability_since = models.DateTimeField(_("since"), null=True, blank=True)
    # What was last noted of the heartbeat; whether the agent is heard now is asked of `last_seen_at`.
    is_heard = models.BooleanField(_("heard of"), default=False, editable=False)
    offers_ignored = models.PositiveSmallIntegerField(_("offers ignored in a row"), default=0, editable=False)
    last_offer_at = models.DateTimeField(_("last offer"), null=True, blank=True, editable=False)
    last_seen_at = models.DateTimeField(_("last heard of"), null=True, blank=True, db_index=True)
    is_drained = models.BooleanField(
        _("gets nothing new"),
        default=False,
        help_text=_("Keeps what they serve; is offered nothing new, and takes nothing new."),
    )
    is_active = models.BooleanField(_("employed"), default=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("agent")
        verbose_name_plural = _("agents")
        ordering = ("name", "id")
        constraints = (
            models.CheckConstraint(
                name="agent_availability_known",
                condition=Q(
                    availability__in=["available", "busy", "break", "training", "away", "offline", "not_responding"]
                ),
            ),
        )

    def __str__(self) -> str:
        return self.name


DECLARABLE = tuple(choice for choice in Agent.Availability.choices if choice[0] != Agent.Availability.NOT_RESPONDING)
"""What people say of themselves or of others. That somebody does not respond, Tandem finds."""


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


class PresenceChange(models.Model):
    """A line of an agent's time sheet: from `at` on, this was declared, the agent was heard of or not, took on so much.

    Written whenever one of the facts changes; what happened before can be told and replayed by it.
    """

    tenant = models.ForeignKey(Tenant, models.PROTECT, db_index=False, verbose_name=_("tenant"))
    agent = models.ForeignKey(
        Agent, models.CASCADE, db_index=False, related_name="presence_changes", verbose_name=_("agent")
    )
    at = models.DateTimeField(_("from"))
    availability = models.CharField(_("availability"), max_length=limits.MAX_WORD, choices=Agent.Availability)
    reason = models.CharField(_("reason"), max_length=limits.MAX_AVAILABILITY_REASON, blank=True)
    is_heard = models.BooleanField(_("heard of"))
    max_load = models.PositiveSmallIntegerField(_("capacity"))
    is_drained = models.BooleanField(_("gets nothing new"), default=False)
    by = models.CharField(_("by"), max_length=limits.MAX_NAME, blank=True)

    class Meta:
        verbose_name = _("change of presence")
        verbose_name_plural = _("changes of presence")
        indexes = (
            models.Index(fields=["agent", "at"], name="presence_agent"),
            models.Index(fields=["tenant", "at"], name="presence_tenant"),
        )

    def __str__(self) -> str:
        return f"{self.agent_id} {self.availability}"


class Calendar(models.Model):
    """The hours of a place: a week by the clock on its wall, and the days that are otherwise."""

    tenant = models.ForeignKey(Tenant, models.PROTECT, related_name="calendars", verbose_name=_("tenant"))
    name = ExactCharField(_("name"), max_length=limits.MAX_GROUP_NAME)
    time_zone = models.CharField(
        _("time zone"), max_length=64, default="UTC", help_text=_("By its IANA name: Europe/Berlin.")
    )

    class Meta:
        verbose_name = _("calendar")
        verbose_name_plural = _("calendars")
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=["tenant", "name"], name="calendar_name_once"),)

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.time_zone not in available_timezones():
            raise ValidationError({"time_zone": _("There is no such time zone.")})

    @property
    def zone(self) -> ZoneInfo:
        """UTC where the name is none any more: a wrong hour is better than a customer whom nobody hears."""
        try:
            return ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            log.error("calendar %s: there is no time zone %r; UTC is taken", self.pk, self.time_zone)
            return ZoneInfo("UTC")

    @cached_property
    def hours(self) -> Hours:
        """As they are stored now, in two queries."""
        week: dict[int, list[Span]] = defaultdict(list)
        for row in self.opening_hours.all():
            week[row.weekday].append((row.opens, row.closes))
        special: dict[date, tuple[Span, ...]] = {}
        for holiday in self.holidays.all():
            span = (holiday.opens, holiday.closes)
            special[holiday.date] = () if span[0] is None or span[1] is None else ((span[0], span[1]),)
        return Hours(self.zone, tuple(tuple(week[day]) for day in range(7)), special)


class OpeningHours(models.Model):
    """One span of one day of every week. What goes on past midnight is two rows: until 00:00, and from 00:00 on."""

    calendar = models.ForeignKey(
        Calendar, models.CASCADE, related_name="opening_hours", db_index=False, verbose_name=_("calendar")
    )
    weekday = models.PositiveSmallIntegerField(_("day"), choices=list(WEEKDAYS.items()))
    opens = models.TimeField(_("opens"))
    closes = models.TimeField(_("closes"), help_text=_("00:00 is midnight, the end of the day."))

    class Meta:
        verbose_name = _("opening hours")
        verbose_name_plural = _("opening hours")
        ordering = ("weekday", "opens")
        constraints = (
            models.UniqueConstraint(fields=["calendar", "weekday", "opens"], name="opening_once"),
            models.CheckConstraint(
                name="opening_before_closing",
                condition=Q(closes__gt=F("opens")) | Q(closes=MIDNIGHT),
                violation_error_message=_("It closes after it opens; 00:00 is midnight, the end of the day."),
            ),
            models.CheckConstraint(name="opening_weekday_known", condition=Q(weekday__lte=6)),
        )

    def __str__(self) -> str:
        return f"{WEEKDAYS[self.weekday]} {self.opens:%H:%M}–{self.closes:%H:%M}"


class Holiday(models.Model):
    """A day that is otherwise than its weekday: closed, or with hours of its own."""

    calendar = models.ForeignKey(
        Calendar, models.CASCADE, related_name="holidays", db_index=False, verbose_name=_("calendar")
    )
    date = models.DateField(_("date"))
    name = models.CharField(_("name"), max_length=limits.MAX_GROUP_NAME)
    opens = models.TimeField(_("opens"), null=True, blank=True, help_text=_("Empty: closed all day."))
    closes = models.TimeField(_("closes"), null=True, blank=True)

    class Meta:
        verbose_name = _("holiday")
        verbose_name_plural = _("holidays")
        ordering = ("date",)
        constraints = (
            models.UniqueConstraint(fields=["calendar", "date"], name="holiday_once"),
            models.CheckConstraint(
                name="holiday_opening_before_closing",
                condition=Q(opens=None, closes=None)
                | (
                    Q(opens__isnull=False, closes__isnull=False)  # a comparison with NULL would pass
                    & (Q(closes__gt=F("opens")) | Q(closes=MIDNIGHT))
                ),
                violation_error_message=_("Name both times, the opening before the closing, or neither."),
            ),
        )

    def __str__(self) -> str:
        return f"{self.date} {self.name}"


def _seconds(name: Any, meaning: Any) -> Any:
    """A target that may be empty: a second or more."""
    limits = [MinValueValidator(1), MaxValueValidator(LONGEST)]
    return models.PositiveIntegerField(name, null=True, blank=True, validators=limits, help_text=meaning)


class SlaPolicy(models.Model):
    """How soon customers are to be answered and helped: targets in seconds, none where there is nothing to keep."""

    class Counts(models.TextChoices):
        BUSINESS = "business", _("the hours of the calendar")
        ELAPSED = "elapsed", _("every hour")

    tenant = models.ForeignKey(Tenant, models.PROTECT, related_name="sla_policies", verbose_name=_("tenant"))
    name = ExactCharField(_("name"), max_length=limits.MAX_GROUP_NAME)
    first_response = _seconds(_("first response"), _("Seconds from the first asking to an agent’s first words."))
    next_response = _seconds(_("next response"), _("Seconds from a customer’s words to the agent’s, while one serves."))
    resolution = _seconds(_("resolution"), _("Seconds from the first asking to the end."))
    warn_at = models.PositiveSmallIntegerField(
        _("warn at"),
        default=80,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_("Percent of the target; at 100 nobody is warned."),
    )
    counts = models.CharField(_("what counts"), max_length=8, choices=Counts, default=Counts.BUSINESS)

    class Meta:
        verbose_name = _("service levels")
        verbose_name_plural = _("service levels")
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(fields=["tenant", "name"], name="sla_policy_name_once"),
            models.CheckConstraint(name="sla_warning_in_time", condition=Q(warn_at__gte=1, warn_at__lte=100)),
        )

    def __str__(self) -> str:
        return self.name


class Department(models.Model):
    """People outside the desk who are invited together; `agents_app.directory.Rows` reads these rows."""

    tenant = models.ForeignKey(Tenant, models.PROTECT, related_name="departments", verbose_name=_("tenant"))
    name = ExactCharField(_("name"), max_length=limits.MAX_GROUP_NAME)

    class Meta:
        verbose_name = _("department")
        verbose_name_plural = _("departments")
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=["tenant", "name"], name="department_name_once"),)

    def __str__(self) -> str:
        return self.name


class DepartmentMember(models.Model):
    """One who is invited when the department is."""

    department = models.ForeignKey(
        Department, models.CASCADE, related_name="members", db_index=False, verbose_name=_("department")
    )
    name = models.CharField(_("name"), max_length=limits.MAX_NAME)
    contact = ExactCharField(
        _("address or user id"),
        max_length=limits.MAX_CONTACT,
        help_text=_("An e-mail address, wecom:userid, or what the webhook knows."),
    )

    class Meta:
        verbose_name = _("member of a department")
        verbose_name_plural = _("members of departments")
        ordering = ("name", "id")
        constraints = (models.UniqueConstraint(fields=["department", "contact"], name="department_member_once"),)

    def __str__(self) -> str:
        return self.name


class ApiClient(models.Model):
    """A bot or an integrator. Its key is a prefix and 256 random bits, shown once and stored hashed."""

    class Kind(models.TextChoices):
        BOT = "bot", _("bot")
        INTEGRATOR = "integrator", _("integrator")

    tenant = models.ForeignKey(Tenant, models.PROTECT, related_name="api_clients", verbose_name=_("tenant"))
    name = ExactCharField(_("name"), max_length=limits.MAX_GROUP_NAME)
    kind = models.CharField(_("kind"), max_length=limits.MAX_WORD, choices=Kind, default=Kind.BOT)
    key_prefix = models.CharField(_("key prefix"), max_length=limits.MAX_WORD, unique=True, null=True, editable=False)  # noqa: DJ001 – unique, and a client may have no key yet
    key_hash = models.CharField(_("key hash"), max_length=limits.MAX_DIGEST, blank=True, editable=False)
    scopes = CheckedJSONField(_("scopes"), default=list, blank=True)
    last_seen_at = models.DateTimeField(_("last heard of"), null=True, blank=True)
    is_active = models.BooleanField(_("active"), default=True)
    turn_timeout = models.PositiveIntegerField(
        _("seconds to answer a customer"),
        default=0,
        validators=[MaxValueValidator(LONGEST)],
        help_text=_(
            "A bot that lets a customer wait longer loses the conversation to a human. 0: it may take any time."
        ),
    )
    heartbeat_timeout = models.PositiveIntegerField(
        _("seconds between heartbeats"),
        default=0,
        validators=[MaxValueValidator(LONGEST)],
        help_text=_(
            "A bot not heard of for longer counts as dead. 0: it sends no heartbeat and always counts as alive."
        ),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("API client")
        verbose_name_plural = _("API clients")
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=["tenant", "name"], name="api_client_name_once"),)

    def __str__(self) -> str:
        return self.name


class KeptAnswer(models.Model):
    """What a request with an Idempotency-Key was answered, so that the same request again is answered the same."""

    principal = models.CharField(_("caller"), max_length=96)
    key = ExactCharField(_("key"), max_length=limits.MAX_ID)
    route = models.CharField(_("route"), max_length=200)
    digest = models.CharField(_("hash of the body"), max_length=limits.MAX_DIGEST)
    status = models.PositiveSmallIntegerField(_("status"), default=0)
    body = models.JSONField(_("answer"), default=dict)  # sealed: a text
    created_at = models.DateTimeField(_("created"), auto_now_add=True, db_index=True)

    class Meta:
        verbose_name = _("kept answer")
        verbose_name_plural = _("kept answers")
        constraints = (models.UniqueConstraint(fields=["principal", "key"], name="kept_answer_once"),)

    def __str__(self) -> str:
        return f"{self.principal} {self.key}"


class EventTicket(models.Model):
    """A one-use way in to a socket of events, for a program or page that cannot send a header. Stored as a digest.

    `holder` is the pass of whoever asked for it (see `agents_app.passes`); using the ticket deletes the row.
    """

    token_hash = models.CharField(_("ticket"), max_length=limits.MAX_DIGEST, unique=True)
    holder = CheckedJSONField(_("holder"))
    expires_at = models.DateTimeField(_("valid until"), db_index=True)

    class Meta:
        verbose_name = _("event ticket")
        verbose_name_plural = _("event tickets")

    def __str__(self) -> str:
        return f"{self.pk} until {self.expires_at}"


class Backoff(models.Model):
    """An item that failed in one of the loops over many (`agents_app.loops`), and when it is tried again."""

    MOST_ERROR = 500

    loop = ExactCharField(_("loop"), max_length=limits.MAX_LOOP)
    key = models.BigIntegerField(
        _("number"), help_text=_("Of the conversation, agent, webhook or whatever the loop is about.")
    )
    tenant = models.ForeignKey(
        Tenant, models.CASCADE, related_name="+", null=True, blank=True, verbose_name=_("tenant")
    )
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    first_failed_at = models.DateTimeField(_("first failed"))
    retry_at = models.DateTimeField(_("next try"), db_index=True)
    error = models.CharField(_("error"), max_length=MOST_ERROR, blank=True)

    class Meta:
        verbose_name = _("item that is put off")
        verbose_name_plural = _("items that are put off")
        ordering = ("retry_at",)
        constraints = (models.UniqueConstraint(fields=["loop", "key"], name="backoff_once"),)

    def __str__(self) -> str:
        return f"{self.loop} {self.key}"


class LoopFailures(models.Model):
    """How often an item of a loop has failed, for the metrics: counted in a row, so that every process tells the same."""

    loop = ExactCharField(_("loop"), max_length=limits.MAX_LOOP, unique=True)
    failures = models.PositiveBigIntegerField(_("failures"), default=0)

    class Meta:
        verbose_name = _("failures of a loop")
        verbose_name_plural = _("failures of loops")

    def __str__(self) -> str:
        return f"{self.loop}: {self.failures}"
