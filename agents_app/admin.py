"""Who, in the admin; and what every admin page of Tandem is built on: each staff user sees one tenant's rows.

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
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DataError, transaction
from django.db.models import Count, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.timezone import localtime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, StackedInline, TabularInline
from unfold.decorators import action, display
from unfold.forms import (
    AdminPasswordChangeForm,
    PaginationInlineFormSet,
    UserChangeForm,
    UserCreationForm,
)
from unfold.widgets import UnfoldAdminTextareaWidget

from agents_app import lockout, logins, skills
from agents_app.actors import agent_actor
from agents_app.credentials import issue_key
from agents_app.models import (
    Agent,
    ApiClient,
    Department,
    DepartmentMember,
    Membership,
    PresenceChange,
    Team,
    Tenant,
)
from agents_app.policy_form import POLICY_FIELDS, TenantForm
from config.api import is_id

log = logging.getLogger(__name__)

# --- Isolation ---------------------------------------------------------------------------------------------------


def agent_of(request: HttpRequest) -> Agent | None:
    return getattr(request.user, "agent", None)


def is_supervisor(request: HttpRequest) -> bool:
    agent = agent_of(request)
    return agent is not None and agent.is_active and agent_actor(agent).is_supervisor


def own_rows[M: Model](request: HttpRequest, rows: QuerySet[M], tenant_path: str | None) -> QuerySet[M]:
    """Of these rows, the ones this user may know of. `tenant_path` is the lookup that leads from a row to its tenant."""
    agent = agent_of(request)
    if agent is None:
        return rows if request.user.is_active and request.user.is_superuser else rows.none()
    if tenant_path is None or not agent.is_active:
        return rows.none()
    return rows.filter(**{tenant_path: agent.tenant_id})


class Isolated:
    """Confines lists, pages, filters and choices to `own_rows`. Every admin class and every inline has it first.

    There is no default for `tenant_path`, so that a model cannot be registered without thinking of it; None is for
    rows that belong to no tenant.
    """

    tenant_path: str | None
    model: type[Model]
    admin_site: admin.AdminSite

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return own_rows(request, super().get_queryset(request), self.tenant_path)  # type: ignore[misc]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """What is no id names nothing, as everywhere; a database may refuse to compare it."""
        if not is_id(object_id):
            return None
        return super().get_object(request, object_id, from_field)  # type: ignore[misc]

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """A filter typed into the address that no database can compare (year 0, a number of 19 digits) leads back to the
        list, as Django does it for what it cannot read itself."""
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
        """Nothing is done where one of the chosen rows cannot be one: the form was not sent by its page."""
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
        """Related rows are made and changed on their own pages: no windows that open from a choice."""
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
    """What may be chosen of a model: what its own page lists. Of a model without a page, nothing for the confined."""
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
            # Disabled, not read-only: 'this name is taken in this tenant' is asked of the form's own fields only.
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
        """Without the tenant, for those who only ever see one."""
        shown = super().get_list_display(request)
        return [name for name in shown if name != "tenant" or agent_of(request) is None]


class ReadOnly:
    """Looked at, never written: only the verbs write these rows."""

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


# --- People and programs -----------------------------------------------------------------------------------------


class TenantAdmin(TandemAdmin):
    """Registered by messaging_app, which gives a new tenant its rules of need."""

    tenant_path = "pk"
    form = TenantForm
    created = moment("created_at", _("created"))
    list_display = ("name", "slug", "transfer_policy", "assignment", "created")
    list_filter = ("transfer_policy", "assignment")
    search_fields = ("name", "slug")
    readonly_fields = ("created_at",)

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """The policies stand together, below what every tenant has."""
        [(title, shown)] = super().get_fieldsets(request, obj)
        fields = [name for name in shown["fields"] if name not in POLICY_FIELDS]
        return [(title, {"fields": fields}), (_("Times and limits"), {"fields": POLICY_FIELDS})]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return agent_of(request) is None and bool(super().has_add_permission(request))

    def has_delete_permission(self, request: HttpRequest, obj: Tenant | None = None) -> bool:
        return agent_of(request) is None and bool(super().has_delete_permission(request, obj))


class AgentForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    skills = Levels(label=_("Skills"))

    class Meta:
        model = Agent
        fields = "__all__"  # noqa: DJ007 – the admin class names them


def _roles_are_fixed(request: HttpRequest) -> bool:
    """Rights are given by those who have them."""
    return not (request.user.is_superuser or is_supervisor(request))


def _may_more(user: User, request: HttpRequest) -> bool:
    """Whether a login may do something that whoever asks may not: with its password they could."""
    if request.user.is_superuser:
        return False
    return _leads(getattr(user, "agent", None), request) or logins.may_more(user, request.user)


def _leads(agent: Agent | None, request: HttpRequest) -> bool:
    """Whether an agent is a supervisor, also one who left, and who asks is none."""
    return agent is not None and agent_actor(agent).is_supervisor and _roles_are_fixed(request)


def may_dismiss(request: HttpRequest, agent: Agent) -> bool:
    """Supervisors, and superusers: nobody themselves, nor somebody who may do more."""
    own = agent_of(request)
    if own == agent or _roles_are_fixed(request):
        return False
    if agent.user is not None and _may_more(agent.user, request):
        return False
    return bool(own is None or request.user.is_superuser or not logins.is_stronger(agent, own))


class AgentAdmin(TandemAdmin):
    """Registered by sessions_app, whose verb ends an employment.

    Availability and presence are the agent's own to declare; logins are made on the login's page.

    A confined user never cuts an agent from its login, nor deletes one: what is left would be a login that no tenant
    confines. Who leaves is marked as not employed; not by those who may do less, for it ends the login.
    """

    tenant_path = "tenant"
    form = AgentForm
    last_seen = moment("last_seen_at", _("last heard of"))
    list_display = (
        "name",
        "tenant",
        "role_label",
        "availability_label",
        "last_seen_at",
        "max_load",
        "is_drained",
        "user",
        "is_active",
    )
    list_filter = (
        ("tenant", OwnRelatedFilter),
        ("teams", OwnRelatedFilter),
        "role",
        "availability",
        "is_drained",
        "is_active",
    )
    list_select_related = ("tenant", "user")
    search_fields = ("name", "user__username")
    fieldsets = (
        (None, {"fields": ("tenant", "name", "user", "role", "is_active")}),
        (_("Work"), {"fields": ("max_load", "skills")}),
        (
            _("Presence"),
            {
                "fields": (
                    "availability",
                    "availability_reason",
                    "availability_since",
                    "last_seen_at",
                    "is_drained",
                    "created_at",
                )
            },
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Agent | None = None) -> list[str]:
        fixed = [
            "availability",
            "availability_reason",
            "availability_since",
            "last_seen_at",
            "created_at",
            "is_drained",
        ]
        if agent_of(request):
            fixed.append("user")
        if _roles_are_fixed(request):
            fixed.append("role")
        if obj and not may_dismiss(request, obj):
            fixed.append("is_active")
        return fixed

    def has_delete_permission(self, request: HttpRequest, obj: Agent | None = None) -> bool:
        return agent_of(request) is None and bool(super().has_delete_permission(request, obj))

    @display(description=_("role"), ordering="role", label={"agent": "", "supervisor": "info", "admin": "primary"})
    def role_label(self, agent: Agent) -> tuple[str, str]:
        return agent.role, agent.get_role_display()

    @display(
        description=_("availability"),
        ordering="availability",
        label={
            "available": "success",
            "busy": "warning",
            "break": "warning",
            "training": "warning",
            "away": "warning",
            "not_responding": "danger",
            "offline": "",
        },
    )
    def availability_label(self, agent: Agent) -> tuple[str, str]:
        return agent.availability, agent.get_availability_display()


HOURS_FIELDS = ("calendar", "after_hours", "after_hours_text", "email", "sla")


class TeamForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    needs = Levels(label=_("Skills needed"))

    class Meta:
        model = Team
        fields = "__all__"  # noqa: DJ007 – the admin class names them

    def clean(self) -> dict[str, Any]:
        """It overflows to another team of the tenant; a superuser's choices hold those of every tenant."""
        cleaned: dict[str, Any] = super().clean() or {}
        tenant, other = cleaned.get("tenant"), cleaned.get("overflow_to")
        if other and (other == self.instance or (tenant and other.tenant_id != tenant.pk)):
            raise ValidationError({"overflow_to": _("A team overflows to another team of its own tenant.")})
        return cleaned


class MembershipForms(PaginationInlineFormSet):
    def clean(self) -> None:
        """Members are the tenant's own agents; a superuser's choices hold those of every tenant.

        Asked here and not of each line: a line of a team that is being made does not know its team yet.
        """
        super().clean()
        tenant_id = self.instance.tenant_id
        for form in self.forms:
            agent = getattr(form, "cleaned_data", {}).get("agent")
            if agent and tenant_id and agent.tenant_id != tenant_id:
                form.add_error("agent", _("A team’s members belong to the team’s own tenant."))


class MembershipInline(Isolated, TabularInline):  # type: ignore[misc]
    tenant_path = "team__tenant"
    model = Membership
    formset = MembershipForms
    fields = ("agent", "weight")
    extra = 0


@admin.register(Team)
class TeamAdmin(TandemAdmin):
    tenant_path = "tenant"
    form = TeamForm
    fieldsets = (
        (None, {"fields": ("tenant", "name")}),
        (
            _("How conversations find an agent"),
            {"fields": ("assignment", "strategy", "needs", "capacity", "offer_timeout", "first_reply_timeout")},
        ),
        (_("Overflow"), {"fields": ("overflow_to", "overflow_after")}),
        (_("Hours and service levels"), {"fields": HOURS_FIELDS}),
    )
    inlines = (MembershipInline,)
    list_display = ("name", "tenant", "assignment", "strategy", "people", "calendar", "sla")
    list_filter = (("tenant", OwnRelatedFilter), "assignment", "strategy")
    list_select_related = ("tenant", "calendar", "sla")
    search_fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Team]:
        return super().get_queryset(request).prefetch_related("members")

    @display(description=_("members"))
    def people(self, team: Team) -> str:
        return ", ".join(agent.name for agent in team.members.all()) or "–"


class DepartmentMemberInline(Isolated, TabularInline):  # type: ignore[misc]
    tenant_path = "department__tenant"
    model = DepartmentMember
    fields = ("name", "contact")
    extra = 0


@admin.register(Department)
class DepartmentAdmin(TandemAdmin):
    """Read where DIRECTORY is agents_app.directory.Rows."""

    tenant_path = "tenant"
    fields = ("tenant", "name")
    inlines = (DepartmentMemberInline,)
    list_display = ("name", "tenant", "people")
    list_filter = (("tenant", OwnRelatedFilter),)
    list_select_related = ("tenant",)
    search_fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Department]:
        rows: QuerySet[Department] = super().get_queryset(request).annotate(people=Count("members"))
        return rows

    @display(description=_("members"), ordering="people")
    def people(self, department: Any) -> int:
        return int(department.people)


@admin.register(DepartmentMember)
class DepartmentMemberAdmin(TandemAdmin):
    """Everybody in one list, to find where somebody is."""

    tenant_path = "department__tenant"
    fields = ("department", "name", "contact")
    list_display = ("name", "contact", "department")
    list_filter = (("department", OwnRelatedFilter),)
    list_select_related = ("department",)
    search_fields = ("name", "contact")

    def get_readonly_fields(self, request: HttpRequest, obj: DepartmentMember | None = None) -> list[str]:
        return ["department"] if obj else []


class ApiClientForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    scopes = Lines(label=_("Scopes"), help_text=_("One a line."))

    class Meta:
        model = ApiClient
        fields = "__all__"  # noqa: DJ007 – the admin class names them


@admin.register(ApiClient)
class ApiClientAdmin(TandemAdmin):
    """The key itself is shown once, on the page that answers the order to issue it; nothing keeps it."""

    tenant_path = "tenant"
    form = ApiClientForm
    fields = (
        "tenant",
        "name",
        "kind",
        "scopes",
        "turn_timeout",
        "heartbeat_timeout",
        "is_active",
        "key_prefix",
        "last_seen_at",
        "created_at",
    )
    readonly_fields = ("key_prefix", "last_seen_at", "created_at")
    last_seen = moment("last_seen_at", _("last heard of"))
    list_display = ("name", "tenant", "kind_label", "key_prefix", "last_seen", "is_active")
    list_filter = (("tenant", OwnRelatedFilter), "kind", "is_active")
    list_select_related = ("tenant",)
    search_fields = ("name", "key_prefix")
    actions_detail = ("new_key",)

    @display(description=_("kind"), ordering="kind", label={"bot": "primary", "integrator": "info"})
    def kind_label(self, client: ApiClient) -> tuple[str, str]:
        return client.kind, client.get_kind_display()

    @action(description=_("Issue a new key"), url_path="new-key", icon="key")
    def new_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask first: the old key stops at once. The new one is in the answer to the POST and nowhere else."""
        client = self.get_object(request, object_id)
        if client is None:
            raise Http404
        if not self.has_change_permission(request, client):
            raise PermissionDenied
        key = ""
        if request.method == "POST":
            key = issue_key(client)
            self.log_change(request, client, gettext("A new key was issued."))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": client,
            "title": _("Issue a new key"),
            "key": key,
            "back": reverse("admin:agents_app_apiclient_change", args=[client.pk]),
        }
        return TemplateResponse(request, "admin/agents_app/apiclient/new_key.html", context)


@admin.register(PresenceChange)
class PresenceChangeAdmin(ReadOnly, TandemAdmin):
    """The agents' time sheets."""

    tenant_path = "tenant"
    changed = moment("at", _("from"))
    list_display = ("changed", "agent", "tenant", "availability", "reason", "is_heard", "max_load", "is_drained", "by")
    list_filter = (("tenant", OwnRelatedFilter), ("agent", OwnRelatedFilter), "availability", "is_heard")
    list_select_related = ("tenant", "agent")
    search_fields = ("agent__name", "reason")
    date_hierarchy = "at"
    ordering = ("-at", "-pk")


# --- Logins ------------------------------------------------------------------------------------------------------

admin.site.unregister(User)
admin.site.unregister(Group)


class AgentInline(Isolated, StackedInline):  # type: ignore[misc]
    """The agent behind a login. A confined user makes no login without one: it would be nobody's."""

    tenant_path = "tenant"
    model = Agent
    fields = ("tenant", "name", "role", "max_load")
    can_delete = False
    extra = 0

    def get_min_num(self, request: HttpRequest, obj: User | None = None, **kwargs: Any) -> int:
        return 1 if agent_of(request) else 0

    def get_formset(self, request: HttpRequest, obj: User | None = None, **kwargs: Any) -> Any:
        return super().get_formset(request, obj, **{"validate_min": True, **kwargs})

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        fixed = ["tenant"] if obj is not None and getattr(obj, "agent", None) else []
        return [*fixed, "role"] if _roles_are_fixed(request) else fixed


@admin.register(User)
class UserAdmin(TandemAdmin, DjangoUserAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Logins. Rights are given by superusers; groups, which tenants share, by those whom no tenant confines.

    A login that may do more than whoever asks is only looked at: whoever sets its password, or takes its name, is it.
    """

    tenant_path = "agent__tenant"
    form, add_form, change_password_form = UserChangeForm, UserCreationForm, AdminPasswordChangeForm
    add_fieldsets = DjangoUserAdmin.add_fieldsets
    inlines = (AgentInline,)
    seen = moment("last_login", _("last login"))
    list_display = ("username", "agent_name", "is_staff", "is_superuser", "is_active", "seen")
    list_filter = ("is_staff", "is_superuser", "is_active")
    list_select_related = ("agent",)
    search_fields = ("username", "agent__name", "email")
    filter_horizontal = ("groups",)
    readonly_fields = ("last_login", "date_joined")
    actions = ("unlock",)

    @admin.action(description=_("Unlock the chosen logins"), permissions=["change"])
    def unlock(self, request: HttpRequest, users: QuerySet[User]) -> None:
        """Forget the wrong passwords that were tried with these logins, and with them the lock.

        None is unlocked where one of them is not the user's to change, as none is deleted.
        """
        if not all(self.has_change_permission(request, user) for user in users):
            raise PermissionDenied
        count = sum(lockout.unlock(user.get_username()) for user in users)
        for user in users:
            self.log_change(request, user, gettext("Unlocked."))
        self.message_user(request, gettext("Unlocked. Wrong passwords forgotten: %(count)s.") % {"count": count})

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return self.add_fieldsets
        rights = ("is_active", "is_staff", "is_superuser", *(() if agent_of(request) else ("groups",)))
        # The theme shows who only looks the whole hash.
        password = ("password",) if self.has_change_permission(request, obj) else ()
        return (
            (None, {"fields": ("username", *password)}),
            (_("Personal info"), {"fields": ("first_name", "last_name", "email")}),
            (_("Permissions"), {"fields": rights}),
            (_("Important dates"), {"fields": ("last_login", "date_joined")}),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        rights = [] if request.user.is_superuser else ["is_staff", "is_superuser", "groups"]
        return [*self.readonly_fields, *rights]

    def has_add_permission(self, request: HttpRequest) -> bool:
        may = super().has_add_permission(request)
        return bool(may and (agent_of(request) is None or request.user.has_perm("agents_app.add_agent")))

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Asked, too, by the page that sets a password."""
        return bool(super().has_change_permission(request, obj)) and not (obj and _may_more(obj, request))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Asked of each of the chosen, too, by the action that deletes them."""
        return bool(super().has_delete_permission(request, obj)) and not (obj and _may_more(obj, request))

    @display(description=_("agent"), ordering="agent__name")
    def agent_name(self, user: User) -> str:
        return getattr(user, "agent", None) or "–"


@admin.register(Group)
class GroupAdmin(TandemAdmin, DjangoGroupAdmin):  # type: ignore[misc]
    """Groups are shared by all tenants, so they are the installation's alone."""

    tenant_path = None

    def has_view_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return agent_of(request) is None and bool(super().has_view_permission(request, obj))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return agent_of(request) is None and bool(super().has_add_permission(request))

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return agent_of(request) is None and bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return agent_of(request) is None and bool(super().has_delete_permission(request, obj))


from agents_app import hours_admin, loops_admin  # noqa: E402, F401 – register their models; built on what stands above
