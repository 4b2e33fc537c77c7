"""Numbers that stand on one page, asked for in one query: each is a subquery of its own, by its own index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import DurationField, IntegerField, QuerySet, Subquery
from django.db.models.expressions import BaseExpression

from agents_app.models import Tenant

type Wanted = Mapping[str, BaseExpression]


class Counted(Subquery):
    """How many rows a query has; those of a slice, so that counting stops where nobody reads on."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"
    output_field = IntegerField()

    def __init__(self, rows: QuerySet[Any]) -> None:
        super().__init__(rows.values("pk"))


class Summed(Subquery):
    """The sum of the column `figure` of a query; 0 of no rows."""

    template = "(SELECT COALESCE(SUM(figure), 0) FROM (%(subquery)s) summed)"
    output_field = IntegerField()


class MeanTime(Subquery):
    """The mean of the times in the column `figure` of a query; none of no rows."""

    template = "(SELECT AVG(figure) FROM (%(subquery)s) averaged)"
    output_field = DurationField()

    def as_mysql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        # A time is a whole number of microseconds there, and the mean of whole numbers a decimal.
        whole = "(SELECT CAST(AVG(figure) AS SIGNED) FROM (%(subquery)s) averaged)"
        return self.as_sql(compiler, connection, template=whole, **extra)


def prepared(tenant_id: int, wanted: Wanted) -> QuerySet[Any, Any]:
    """The query for figures, which may be kept and read again: to make a large one takes longer than to run it."""
    return Tenant.objects.order_by().filter(pk=tenant_id).values(**wanted)


def read(tenant_id: int, wanted: Wanted, beside: QuerySet[Any, Any] | None = None) -> dict[str, Any]:
    """The figures by name, with those of a prepared query beside them, in one query; in none where nothing is wanted."""
    if beside is None:
        return dict(prepared(tenant_id, wanted).get()) if wanted else {}
    return dict(beside.annotate(**wanted).get())
