"""Batches that are stored behind the answer."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from agents_app.models import ApiClient, Tenant
from config import limits
from config.db import CheckedJSONField


class Batch(models.Model):
    """Messages that a program sent at once, kept in a file until all of them are stored (actions/import_queue.py).

    `position` counts the bytes that are stored, `line` the lines; both are saved with what they count. Until
    `lease_until` it belongs to the worker that stores it now.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        WORKING = "working", _("being stored")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")

    tenant = models.ForeignKey(Tenant, models.PROTECT, db_index=False, verbose_name=_("tenant"))
    client = models.ForeignKey(ApiClient, models.PROTECT, related_name="batches", verbose_name=_("program"))
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.WAITING)
    file = models.CharField(_("file"), max_length=200, blank=True, editable=False)
    size = models.PositiveBigIntegerField(_("bytes"), default=0)
    position = models.PositiveBigIntegerField(_("bytes stored"), default=0)
    line = models.PositiveBigIntegerField(_("lines stored"), default=0)
    since = models.PositiveBigIntegerField(_("newest session before"), null=True, blank=True, editable=False)
    counts = CheckedJSONField(_("counts"), default=dict, blank=True)
    rejections = CheckedJSONField(_("rejected rows"), default=list, blank=True)
    failures = models.PositiveSmallIntegerField(_("failures in a row"), default=0)
    error = models.CharField(_("why it failed"), max_length=limits.MAX_ERROR, blank=True)
    lease_until = models.DateTimeField(_("worked on until"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    started_at = models.DateTimeField(_("begun"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        verbose_name = _("batch")
        verbose_name_plural = _("batches")
        indexes = (models.Index(fields=["state", "lease_until"], name="batch_due"),)

    def __str__(self) -> str:
        return f"{self.pk} {self.state}"
