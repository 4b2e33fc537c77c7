"""A tenant's policies as fields of its page in the admin, each with the installation's figure and its range as help."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from agents_app import policies
from agents_app.models import Tenant
from agents_app.policies import Policy


def _field_name(policy: Policy[Any]) -> str:
    return f"policy_{policy.name}"


def _field(policy: Policy[Any]) -> forms.IntegerField:
    figure = policy.figure
    return forms.IntegerField(
        label=policy.label,
        required=False,
        min_value=int(figure.minimum),
        max_value=int(figure.maximum),
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=format_lazy(
            _("Empty: {default}, as the installation has it. From {least} to {most}."),
            default=f"{policy.default:,}",
            least=f"{figure.minimum:,}",
            most=f"{figure.maximum:,}",
        ),
    )


POLICY_FIELDS = tuple(map(_field_name, policies.ALL))


class TenantForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """An empty field is a policy that the tenant does not set."""

    class Meta:
        model = Tenant
        fields = "__all__"  # noqa: DJ007 – the admin class names them

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.update({_field_name(policy): self.instance.policies.get(policy.name) for policy in policies.ALL})

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        entered = {policy.name: cleaned.get(_field_name(policy)) for policy in policies.ALL}
        self.instance.policies = {name: value for name, value in entered.items() if value is not None}
        return cleaned


TenantForm.declared_fields.update({_field_name(policy): _field(policy) for policy in policies.ALL})
TenantForm.base_fields.update(TenantForm.declared_fields)
