"""Which origins each tenant allows, read from the database when the cached list is too old."""

from __future__ import annotations

from agents_app.models import Tenant
from agents_app.origins import Origins, keep, known


def read() -> Origins:
    """Each tenant's allowed origins: cached (`origins.known`), or read from the database and cached."""
    origins = known()
    if origins is None:
        rows = Tenant.objects.exclude(allowed_origins="").values_list("pk", "allowed_origins")
        origins = {pk: frozenset(text.split()) for pk, text in rows}
        keep(origins)
    return origins


def is_allowed(origins: Origins, origin: str, tenant_id: int | None) -> bool:
    """Whether a tenant allows an origin; without a tenant, whether any does."""
    if tenant_id is not None:
        return origin in origins.get(tenant_id, frozenset())
    return any(origin in allowed for allowed in origins.values())
