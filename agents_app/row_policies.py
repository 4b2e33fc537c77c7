"""The policies of a tenant, read together with rows of that tenant or with the time, without another query."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache, reduce
from operator import or_
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery

from agents_app.models import Tenant
from agents_app.policies import Policies
from config import clock, statements

COLUMN = "tenant_policies"
"""The annotation in which `with_policies` puts the tenant's own figures."""


def of(tenant: Tenant) -> Policies:
    return Policies(tenant.policies)


def and_now(tenant_id: int) -> tuple[Policies, datetime]:
    """The policies of a tenant, and the database's time, read together."""
    [(own, db_now)] = _OWN_AND_NOW.rows(tenant_id)
    return Policies(own), db_now + clock.offset


def _own_and_now(tenant_id: int) -> QuerySet[Any]:
    return Tenant.objects.filter(pk=tenant_id).annotate(db_now=clock.DbNow()).values_list("policies", "db_now")


_OWN_AND_NOW = statements.Reading(_own_and_now, 0)


def with_policies[M: Any](rows: QuerySet[M], tenant: str = "tenant_id") -> QuerySet[M]:
    """The rows with their tenant's own figures, for `on`. By a subquery: a lock on the rows is none on the tenant."""
    annotated: QuerySet[M] = rows.annotate(**{COLUMN: _own_figures(tenant)})
    return annotated


@cache
def _own_figures(tenant: str) -> Subquery:
    """Made once: every verb reads it, and making it costs as much as a query's SQL."""
    return Subquery(Tenant.objects.order_by().filter(pk=OuterRef(tenant)).values("policies"))


def on(row: Any) -> Policies:
    """The policies for a row that was read with `with_policies`."""
    return Policies(getattr(row, COLUMN))


def overdue(
    column: str, now: datetime, span: Callable[[Policies], timedelta], tenants: Iterable[tuple[int, Mapping[str, int]]]
) -> Q:
    """Rows of these tenants (id and own figures) whose `column` is at least the tenant's span before `now`."""
    by_span: dict[timedelta, list[int]] = defaultdict(list)
    for tenant_id, own in tenants:
        by_span[span(Policies(own))].append(tenant_id)
    due = (Q(**{"tenant__in": ids, f"{column}__lte": now - wait}) for wait, ids in by_span.items())
    return reduce(or_, due, Q(pk__in=()))
