"""The rules of need in the admin: edited, tried, and checked before they are saved."""

from __future__ import annotations

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils.text import Truncator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from agents_app.admin.base import Lines, OwnRelatedFilter, TandemAdmin
from agents_app.admin.tenants import TenantAdmin
from agents_app.models import Tenant
from messaging_app.admin import attachments as attachments_admin  # noqa: F401 – registers its model
from messaging_app.admin import webhooks as webhooks_admin  # noqa: F401 – registers its models
from messaging_app.detection import compile_rules
from messaging_app.detection.defaults import install
from messaging_app.detection.patterns import PhraseRefused
from messaging_app.detection.rules import Rules, validate_phrases
from messaging_app.models import NeedRule


class NeedRuleForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """One phrase a line. One that the engine cannot use is refused here, before a conversation meets it."""

    phrases = Lines(
        label=_("Phrases"),
        rows=12,
        help_text=_("One a line: words, taken as they stand, or a regular expression between slashes."),
    )
    exceptions = Lines(
        label=_("Phrases that do not count"),
        rows=8,
        help_text=_("One a line. Where one of these matches, the phrase inside it is passed over."),
    )
    sentence = forms.CharField(
        label=_("Try a sentence"),
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text=_("Save, and you are told whether this rule hears it. The sentence is not kept."),
    )

    class Meta:
        model = NeedRule
        fields = "__all__"  # noqa: DJ007 – the admin class names them

    def clean_phrases(self) -> list[str]:
        return self._checked("phrases")

    def clean_exceptions(self) -> list[str]:
        return self._checked("exceptions")

    def _checked(self, name: str) -> list[str]:
        phrases: list[str] = self.cleaned_data[name]
        try:
            validate_phrases(phrases)
        except PhraseRefused as refusal:
            raise ValidationError(gettext(refusal.sentence) % refusal.values) from refusal
        return phrases


def heard(rule: NeedRule, sentence: str) -> str:
    """What this rule alone makes of a customer's sentence, or of a bot's answer if it counts failures."""
    rules = Rules([rule])
    if rule.kind == NeedRule.Kind.FAILURE:
        is_failure = rules.admits_failure(sentence)
        return gettext("A failed answer by this rule.") if is_failure else gettext("Not a failed answer by this rule.")
    need = rules.customer_said(sentence, is_vip=False)
    if need is None:
        return gettext("This rule does not hear the sentence.")
    return gettext("This rule hears: %(evidence)s") % {"evidence": need.evidence}


@admin.register(NeedRule)
class NeedRuleAdmin(TandemAdmin):
    tenant_path = "tenant"
    form = NeedRuleForm
    list_display = (
        "name",
        "tenant",
        "kind",
        "language",
        "effect_label",
        "severity_label",
        "threshold",
        "is_enabled",
        "problem_in_short",
    )
    list_filter = (("tenant", OwnRelatedFilter), "kind", "effect", "severity", "language", "is_enabled")
    list_select_related = ("tenant",)
    search_fields = ("name",)
    fieldsets = (
        (None, {"fields": ("tenant", ("kind", "name", "language"), ("effect", "severity", "threshold"), "is_enabled")}),
        (_("Words"), {"fields": ("problem", "phrases", "exceptions", "sentence")}),
    )
    readonly_fields = ("problem",)

    @display(description=_("effect"), ordering="effect", label={"escalate": "danger", "flag": "warning"})
    def effect_label(self, rule: NeedRule) -> tuple[str, str]:
        return rule.effect, rule.get_effect_display()

    @display(
        description=_("severity"), ordering="severity", label={"high": "danger", "medium": "warning", "low": "info"}
    )
    def severity_label(self, rule: NeedRule) -> tuple[str, str]:
        return rule.severity, rule.get_severity_display()

    @display(description=_("cannot be used"))
    def problem_in_short(self, rule: NeedRule) -> str:
        return Truncator(rule.problem).chars(60)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.problem = ""  # the form has checked all of it
        super().save_model(request, obj, form, change)
        # Compiled by whoever wrote it, before a customer's message meets it.
        transaction.on_commit(partial(compile_rules, obj.tenant_id), robust=True)
        if sentence := form.cleaned_data.get("sentence"):
            messages.info(request, heard(obj, sentence))


@admin.register(Tenant)
class TenantWithRulesAdmin(TenantAdmin):
    """A new tenant begins with the default rules of need."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            install(obj)
