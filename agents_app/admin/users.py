"""Logins in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import StackedInline
from unfold.decorators import display
from unfold.forms import (
    AdminPasswordChangeForm,
    UserChangeForm,
    UserCreationForm,
)

from agents_app.admin.base import Isolated, TandemAdmin, agent_of, moment
from agents_app.admin.login_rights import outranks, roles_are_fixed
from agents_app.logins import lockout
from agents_app.models import (
    Agent,
)

admin.site.unregister(User)
admin.site.unregister(Group)


class AgentInline(Isolated, StackedInline):  # type: ignore[misc]
    """The agent behind a login. A confined user makes no login without one: it would belong to no tenant."""

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
        return [*fixed, "role"] if roles_are_fixed(request) else fixed


@admin.register(User)
class UserAdmin(TandemAdmin, DjangoUserAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Logins. Superusers give rights; groups, which tenants share, are given by users who are confined to no tenant.

    A login with more rights than the user is read-only: whoever sets its password, or changes its name, could use it.
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

        Unlocks none of them if the user may not change one, as with deletion.
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
        # To a user who may only view, the theme shows the whole hash.
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
        """The page that sets a password checks it too."""
        return bool(super().has_change_permission(request, obj)) and not (obj and outranks(obj, request))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """The action that deletes the chosen logins checks it for each of them."""
        return bool(super().has_delete_permission(request, obj)) and not (obj and outranks(obj, request))

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
