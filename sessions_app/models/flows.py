"""Guided flows."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from agents_app.models import ApiClient, Tenant
from config import limits
from config.db import CheckedJSONField, ExactCharField
from messaging_app.models import Conversation
from sessions_app.models.choices import _choices, _known
from sessions_app.states import (
    FlowStatus,
)


class GuidedFlow(models.Model):
    """An upstream flow that asked the customer something and, for a while, has the right to the answer.

    A trigger is its program's own. Moves are compare-and-set on `version`. A lease bounds each rerun and `expires_at`
    each state before the end, so a crash of the flow's program cannot block a conversation for ever. `last_move` is the
    digest of the last move that a program asked for: the same move sent again is recognised by it.
    """

    tenant = models.ForeignKey(Tenant, models.PROTECT, db_index=False, verbose_name=_("tenant"))
    conversation = models.ForeignKey(
        Conversation, models.PROTECT, null=True, blank=True, related_name="flows", verbose_name=_("conversation")
    )
    client = models.ForeignKey(ApiClient, models.PROTECT, null=True, blank=True, verbose_name=_("program"))
    trigger_id = ExactCharField(_("trigger"), max_length=limits.MAX_ID)
    status = ExactCharField(_("status"), max_length=24, choices=_choices(FlowStatus), default=FlowStatus.WAITING)
    version = models.PositiveIntegerField(_("version"), default=1)
    pending_question = models.TextField(_("pending question"), blank=True)
    missing_info = CheckedJSONField(_("missing information"), default=list, blank=True)
    answer = models.TextField(_("last answer"), blank=True)
    last_candidate = models.CharField(_("last candidate"), max_length=limits.MAX_ID, blank=True)
    last_notification = models.CharField(_("last notification"), max_length=limits.MAX_ID, blank=True)
    failed_reason = models.CharField(_("why it failed"), max_length=limits.MAX_REASON, blank=True)
    lease_until = models.DateTimeField(_("lease until"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires"))
    last_move = ExactCharField(_("last move"), max_length=limits.MAX_DIGEST, blank=True, default="", editable=False)
    created_at = models.DateTimeField(_("created"))
    updated_at = models.DateTimeField(_("changed"))

    is_repeat = False
    """Set by a verb that changed nothing, because the flow was so already. Not stored."""

    class Meta:
        verbose_name = _("guided flow")
        verbose_name_plural = _("guided flows")
        constraints = (
            models.UniqueConstraint(fields=["tenant", "client", "trigger_id"], name="flow_trigger_once"),
            _known("status", FlowStatus, "flow_status_known"),
        )
        indexes = (
            models.Index(fields=["conversation", "status"], name="flow_conversation"),
            models.Index(fields=["status", "expires_at"], name="flow_expiry"),
        )

    def __str__(self) -> str:
        return f"{self.trigger_id} {self.status}"
