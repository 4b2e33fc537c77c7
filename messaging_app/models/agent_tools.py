"""What agents keep besides messages: canned replies, labels, saved views, mentions in notes, and drafts."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from agents_app.models import Agent, Tenant
from agents_app.sharing import Shared, one_holder
from config import limits
from config.db import CheckedJSONField, ExactCharField


class CannedReply(Shared):
    """A text that is sent often, under a shortcut such as /refund that is unique among its holder's.

    `text` may hold variables such as {customer} (`agent_tools.canned_replies`). Only that module's `remember` writes
    `sought`, the text by which a reply is searched.
    """

    shortcut = ExactCharField(
        _("shortcut"),
        max_length=1 + limits.MAX_SHORTCUT,
        help_text=_("A slash and letters, digits, hyphens or underscores: /refund."),
    )
    title = models.CharField(_("title"), max_length=limits.MAX_TITLE)
    text = models.TextField(_("text"))
    language = models.CharField(_("language"), max_length=limits.MAX_LANGUAGE, blank=True, help_text=_("Empty: any."))
    sought = models.TextField(_("found by"), editable=False)
    changed_by = models.CharField(_("changed by"), max_length=limits.MAX_NAME, blank=True, editable=False)
    changed_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("canned reply")
        verbose_name_plural = _("canned replies")
        ordering = ("shortcut", "id")
        constraints = (
            models.UniqueConstraint(
                fields=["tenant", "holder", "shortcut"],
                name="canned_reply_once",
                violation_error_message=_("There is a canned reply with this shortcut already."),
            ),
            one_holder("canned_reply_one_holder"),
        )

    def __str__(self) -> str:
        return f"{self.shortcut} {self.title}"


class Label(models.Model):
    """A word that agents put on conversations. The palette is fixed, so that each can be read (core/labels.css)."""

    class Colour(models.TextChoices):
        GREY = "grey", _("grey")
        RED = "red", _("red")
        ORANGE = "orange", _("orange")
        YELLOW = "yellow", _("yellow")
        GREEN = "green", _("green")
        TEAL = "teal", _("teal")
        BLUE = "blue", _("blue")
        PURPLE = "purple", _("purple")
        PINK = "pink", _("pink")

    tenant = models.ForeignKey(Tenant, models.PROTECT, db_index=False, related_name="labels", verbose_name=_("tenant"))
    name = ExactCharField(_("name"), max_length=limits.MAX_LABEL_NAME)
    colour = models.CharField(_("colour"), max_length=8, choices=Colour, default=Colour.GREY)
    is_enabled = models.BooleanField(
        _("in use"), default=True, help_text=_("Otherwise it stays where it is and is put on nothing more.")
    )
    changed_by = models.CharField(_("changed by"), max_length=limits.MAX_NAME, blank=True, editable=False)

    class Meta:
        verbose_name = _("label")
        verbose_name_plural = _("labels")
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(
                fields=["tenant", "name"],
                name="label_name_once",
                violation_error_message=_("There is a label with this name already."),
            ),
            models.CheckConstraint(
                name="label_colour_known",
                condition=Q(
                    colour__in=["grey", "red", "orange", "yellow", "green", "teal", "blue", "purple", "pink"],
                ),
            ),
        )

    def __str__(self) -> str:
        return self.name


class ConversationLabel(models.Model):
    """A label on a conversation, and who put it there. Written under the conversation's lock."""

    tenant = models.ForeignKey(Tenant, models.PROTECT, db_index=False, verbose_name=_("tenant"))
    conversation = models.ForeignKey(
        "messaging_app.Conversation",
        models.PROTECT,
        db_index=False,
        related_name="labelled",
        verbose_name=_("conversation"),
    )
    label = models.ForeignKey(Label, models.PROTECT, related_name="labelled", verbose_name=_("label"))
    labelled_by = models.CharField(_("labelled by"), max_length=limits.MAX_NAME, blank=True)
    labelled_at = models.DateTimeField(_("labelled"))

    class Meta:
        verbose_name = _("label on a conversation")
        verbose_name_plural = _("labels on conversations")
        constraints = (models.UniqueConstraint(fields=["conversation", "label"], name="conversation_label_once"),)

    def __str__(self) -> str:
        return f"{self.label_id} on {self.conversation_id}"


class SavedView(Shared):
    """A named filter of the desk's list. `sessions_app.queries.view_filters` says what `filter` holds and means."""

    name = ExactCharField(_("name"), max_length=limits.MAX_VIEW_NAME)
    filter = CheckedJSONField(_("filter"), default=dict, blank=True)
    changed_by = models.CharField(_("changed by"), max_length=limits.MAX_NAME, blank=True, editable=False)
    changed_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("saved view")
        verbose_name_plural = _("saved views")
        ordering = ("name", "id")
        constraints = (
            models.UniqueConstraint(
                fields=["tenant", "holder", "name"],
                name="saved_view_once",
                violation_error_message=_("There is a saved view with this name already."),
            ),
            one_holder("saved_view_one_holder"),
        )

    def __str__(self) -> str:
        return self.name


class Mention(models.Model):
    """An agent was named in a private note, and has read it or not."""

    tenant = models.ForeignKey(Tenant, models.PROTECT, db_index=False, verbose_name=_("tenant"))
    conversation = models.ForeignKey(
        "messaging_app.Conversation", models.PROTECT, related_name="mentions", verbose_name=_("conversation")
    )
    message = models.ForeignKey(
        "messaging_app.Message",
        models.PROTECT,
        db_index=False,
        related_name="mentions",
        verbose_name=_("private note"),
    )
    agent = models.ForeignKey(Agent, models.PROTECT, db_index=False, related_name="mentions", verbose_name=_("agent"))
    at = models.DateTimeField(_("when"))
    read_at = models.DateTimeField(_("read"), null=True, blank=True)

    class Meta:
        verbose_name = _("mention")
        verbose_name_plural = _("mentions")
        constraints = (models.UniqueConstraint(fields=["message", "agent"], name="mention_once"),)
        indexes = (models.Index(fields=["agent", "read_at", "conversation"], name="mention_unread"),)

    def __str__(self) -> str:
        return f"{self.agent_id} in {self.message_id}"


class Draft(models.Model):
    """A text that an agent has typed and not sent: one per mode in a conversation. Nobody else sees it (`drafts`)."""

    class Mode(models.TextChoices):
        REPLY = "reply", _("reply")
        NOTE = "note", _("private note")

    agent = models.ForeignKey(Agent, models.CASCADE, db_index=False, related_name="drafts", verbose_name=_("agent"))
    conversation = models.ForeignKey(
        "messaging_app.Conversation", models.CASCADE, related_name="drafts", verbose_name=_("conversation")
    )
    mode = models.CharField(_("mode"), max_length=5, choices=Mode)
    text = models.TextField(_("text"))
    updated_at = models.DateTimeField(_("changed"))

    class Meta:
        verbose_name = _("draft")
        verbose_name_plural = _("drafts")
        constraints = (models.UniqueConstraint(fields=["agent", "conversation", "mode"], name="draft_once"),)

    def __str__(self) -> str:
        return f"{self.agent_id} in {self.conversation_id}, {self.mode}"
