"""The policies of a tenant, read with rows that are its own: no query more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery

from agents_app.models import Tenant
from agents_app.policies import Policies

COLUMN = "tenant_policies"
"""What `beside` calls the tenant's own figures on the rows of a query."""


def of(tenant: Tenant) -> Policies:
    return Policies(tenant.policies)


def beside[M: Any](rows: QuerySet[M], tenant: str = "tenant_id") -> QuerySet[M]:
    """The rows with what their tenant has set (`on`), without a query more; a lock on the rows is none on the tenant."""
    with_them: QuerySet[M] = rows.annotate(
        **{COLUMN: Subquery(Tenant.objects.filter(pk=OuterRef(tenant)).values("policies"))}
    )
    return with_them


def on(row: Any) -> Policies:
    """The policies for a row that was read with `beside`."""
    return Policies(getattr(row, COLUMN))


def overdue(
    column: str, now: datetime, span: Callable[[Policies], timedelta], tenants: Iterable[tuple[int, Mapping[str, int]]]
) -> Q:
    """Rows of these tenants (id and own figures) on which `column` lies back by the tenant's span, or by more."""
    alike: dict[timedelta, list[int]] = defaultdict(list)
    for tenant_id, own in tenants:
        alike[span(Policies(own))].append(tenant_id)
    due = (Q(**{"tenant__in": ids, f"{column}__lte": now - wait}) for wait, ids in alike.items())
    return reduce(or_, due, Q(pk__in=()))
