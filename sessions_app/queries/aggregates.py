"""All figures of a page in one query: each figure is a subquery, which uses its own index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import DurationField, IntegerField, QuerySet, Subquery
from django.db.models.expressions import BaseExpression

from agents_app.models import Tenant

type Wanted = Mapping[str, BaseExpression]


class Counted(Subquery):
    """The number of rows of a query; of a sliced query at most its slice, so that counting stops there."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"
    output_field = IntegerField()

    def __init__(self, rows: QuerySet[Any]) -> None:
        super().__init__(rows.values("pk"))


class Summed(Subquery):
    """The sum of the column `figure` of a query; 0 for no rows."""

    template = "(SELECT COALESCE(SUM(figure), 0) FROM (%(subquery)s) summed)"
    output_field = IntegerField()


class MeanTime(Subquery):
    """The mean of the durations in the column `figure` of a query; None for no rows."""

    template = "(SELECT AVG(figure) FROM (%(subquery)s) averaged)"
    output_field = DurationField()

    def as_mysql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        # MySQL stores a duration as whole microseconds, and their AVG is a decimal.
        whole = "(SELECT CAST(AVG(figure) AS SIGNED) FROM (%(subquery)s) averaged)"
        return self.as_sql(compiler, connection, template=whole, **extra)


def prepared(tenant_id: int, wanted: Wanted) -> QuerySet[Any, Any]:
    """The query for these figures. It may be kept and used again: building a large one takes longer than running it."""
    return Tenant.objects.order_by().filter(pk=tenant_id).values(**wanted)


def read(tenant_id: int, wanted: Wanted, beside: QuerySet[Any, Any] | None = None) -> dict[str, Any]:
    """The figures by name, with those of the prepared query `beside`, in one query; no query without any figure."""
    if beside is None:
        return dict(prepared(tenant_id, wanted).get()) if wanted else {}
    return dict(beside.annotate(**wanted).get())
