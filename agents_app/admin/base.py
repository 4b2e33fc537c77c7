"""The base of every admin page of Tandem: each staff user sees one tenant's rows.

A staff user who has an agent is confined to that agent's tenant, superusers too. A superuser without an agent looks
after the installation and sees all; anybody else sees nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import ActionLocation
from django.contrib.admin.views.main import ERROR_FLAG
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import ValidationError
from django.db import DataError, transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.timezone import localtime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from agents_app import skills
from agents_app.actors import agent_actor
from agents_app.models import (
    Agent,
    Tenant,
)
from config.api import is_id

log = logging.getLogger(__name__)

# --- Isolation ---------------------------------------------------------------------------------------------------


def agent_of(request: HttpRequest) -> Agent | None:
    return getattr(request.user, "agent", None)


def is_supervisor(request: HttpRequest) -> bool:
    agent = agent_of(request)
    return agent is not None and agent.is_active and agent_actor(agent).is_supervisor


def own_rows[M: Model](request: HttpRequest, rows: QuerySet[M], tenant_path: str | None) -> QuerySet[M]:
    """Those of the rows that this user may see. `tenant_path` leads from a row to its tenant, if it has one."""
    agent = agent_of(request)
    if agent is None:
        return rows if request.user.is_active and request.user.is_superuser else rows.none()
    if tenant_path is None or not agent.is_active:
        return rows.none()
    return rows.filter(**{tenant_path: agent.tenant_id})


class Isolated:
    """Confines lists, pages, filters and choices to `own_rows`. It is the first base of every admin class and inline.

    There is no default for `tenant_path`, so that a model cannot be registered without thinking of it; None is for
    rows that belong to no tenant.
    """

    tenant_path: str | None
    model: type[Model]
    admin_site: admin.AdminSite

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return own_rows(request, super().get_queryset(request), self.tenant_path)  # type: ignore[misc]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """None for a text that is no id: a database may refuse to compare it."""
        if not is_id(object_id):
            return None
        return super().get_object(request, object_id, from_field)  # type: ignore[misc]

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """A filter in the address that the database cannot compare (year 0, a number of 19 digits) redirects to the
        list, as Django does for one that it cannot parse."""
        if request.method != "GET":
            return super().changelist_view(request, *args, **kwargs)  # type: ignore[misc]
        try:
            with transaction.atomic():
                return super().changelist_view(request, *args, **kwargs)  # type: ignore[misc]
        except (DataError, OverflowError, ValueError):
            if not request.GET or ERROR_FLAG in request.GET:
                raise
            # With the traceback, because a fault of ours would come this way too.
            log.warning("a filter of %s cannot be compared", request.path, exc_info=True)
            return HttpResponseRedirect(f"{request.path}?{ERROR_FLAG}=1")

    def response_action(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Do nothing if one of the chosen values is no id: the form was not sent by its page."""
        if not all(is_id(chosen) for chosen in request.POST.getlist(ACTION_CHECKBOX_NAME)):
            messages.error(request, _("One of the chosen rows does not exist. Nothing was changed."))
            return None
        return super().response_action(request, *args, **kwargs)  # type: ignore[misc]

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["queryset"] = self._choices(db_field, request)
        if db_field.remote_field.model is Tenant and (agent := agent_of(request)):
            kwargs |= {"initial": agent.tenant_id, "empty_label": None}
        return super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """A choice opens no window to add or change a row: related rows have their own pages."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)  # type: ignore[misc]
        return _plain_choice(field)

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["queryset"] = self._choices(db_field, request)
        return super().formfield_for_manytomany(db_field, request, **kwargs)  # type: ignore[misc]

    def _choices(self, db_field: Any, request: HttpRequest) -> QuerySet[Any]:
        return choices(self.admin_site, request, db_field.remote_field.model)


def _plain_choice(field: Any) -> Any:
    if field is not None and isinstance(field.widget, RelatedFieldWidgetWrapper):
        field.widget.can_add_related = field.widget.can_change_related = False
        field.widget.can_delete_related = field.widget.can_view_related = False
    return field


def choices(site: admin.AdminSite, request: HttpRequest, model: type[Model]) -> QuerySet[Any]:
    """The rows of a model that this user may choose: those of its page. Without a page, none for a confined user."""
    registered = site._registry.get(model)
    if registered is not None:
        return registered.get_queryset(request)
    return own_rows(request, model._default_manager.all(), None)


class OwnRelatedFilter(admin.RelatedFieldListFilter):
    """A filter by a related row that offers only the user's own. Use it for every relation in a `list_filter`."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[Any]:
        return [(row.pk, str(row)) for row in choices(model_admin.admin_site, request, field.related_model)]


# --- Bases -------------------------------------------------------------------------------------------------------


class TandemAdmin(Isolated, ModelAdmin):
    """A page of Tandem's admin. A row never changes its tenant: the rows that refer to it would not come along."""

    list_per_page = 50
    list_disable_select_all = True
    # The theme's types allow none.
    actions_detail: Any = ()
    actions_row: Any = ()

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        if tenant := form.base_fields.get("tenant"):
            # Disabled, not read-only: Django checks that a name is unique in its tenant only over the form's fields.
            tenant.disabled = obj is not None
        return form

    def get_action_choices(
        self,
        request: HttpRequest,
        default_choices: Any = None,
        action_location: ActionLocation = ActionLocation.CHANGE_LIST,
    ) -> Any:
        """The theme's own, which does not know `action_location` yet."""
        nothing = [("", gettext("Select action"))]
        return super(ModelAdmin, self).get_action_choices(request, nothing, action_location)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Without the column `tenant` for users who are confined to one."""
        columns = super().get_list_display(request)
        return [name for name in columns if name != "tenant" or agent_of(request) is None]


class ReadOnly:
    """Pages that show rows and never change them: only the verbs write these rows."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class Lines(forms.CharField):
    """A JSON column that holds a list of texts, as a box with one text a line."""

    def __init__(self, *, rows: int = 3, **kwargs: Any) -> None:
        super().__init__(required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": rows}), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        if isinstance(value, list):
            return value
        return [line.strip() for line in str(value or "").splitlines() if line.strip()]


class Levels(forms.CharField):
    """A JSON column that holds skills with their levels, as a box with one a line: `returns 3`."""

    def __init__(self, *, rows: int = 3, **kwargs: Any) -> None:
        kwargs.setdefault(
            "help_text", _("One a line, with a level from 1 to 5: returns 3. A language by its code: zh 5.")
        )
        super().__init__(required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": rows}), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(f"{name} {level}" for name, level in value.items()) if isinstance(value, dict) else value

    def to_python(self, value: Any) -> Any:
        if isinstance(value, dict):
            return value
        try:
            return skills.read(str(value or ""))
        except ValueError as error:
            raise ValidationError(str(error)) from None


def readable(value: object) -> str:
    """JSON for people: in its own language and on several lines."""
    if not value:
        return "–"
    return format_html("<pre>{}</pre>", json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, default=str))


def json_field(column: str, description: Any) -> Callable[[Any, Model], str]:
    """A read-only field that shows a JSON column of the row."""

    @display(description=description)
    def shown(_admin: Any, row: Model) -> str:
        return readable(getattr(row, column))

    field: Callable[[Any, Model], str] = shown
    return field


def moment(column: str, description: Any) -> Callable[[Any, Model], str]:
    """A column that shows a time to the second, in one line and the same form in every language."""

    @display(description=description, ordering=column)
    def shown(_admin: Any, row: Model) -> str:
        at = getattr(row, column)
        return format_html("<time>{}</time>", f"{localtime(at):%Y-%m-%d %H:%M:%S}") if at else "–"

    field: Callable[[Any, Model], str] = shown
    return field
