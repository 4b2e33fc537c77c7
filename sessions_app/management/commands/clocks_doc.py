"""Make docs/clocks.md from `clocks`: every clock, its setting and default, what starts, stops and pauses it, and its effect."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from agents_app.policies import BY_SETTING
from config.generated_pages import GeneratedPages
from sessions_app.promises.clocks import CLOCKS, Clock

PAGE = settings.BASE_DIR / "docs" / "clocks.md"

INTRODUCTION = """\
# Clocks

Made from `sessions_app/promises/clocks.py` by `python manage.py clocks_doc`; do not edit. A test fails when it is stale.

A deadline is a column, compared with the database's clock. Whoever comes first after it applies it, under the
conversation's lock: a verb, or the sweeper, which looks every second. It fires once, and never early.

A setting in capital letters is the installation's. Where a name *of the tenant* stands beside it, each tenant may have a
figure of its own (the admin, *Tenants*); what is changed counts for deadlines that are set from then on.
"""
HEAD = ("clock", "set by", "default", "starts when", "stops when", "pauses", "effect")


def page() -> str:
    """The whole page."""
    rows = [HEAD, *map(_row, CLOCKS)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([INTRODUCTION, lines[0], "|---" * len(HEAD) + "|", *lines[1:]]) + "\n"


def _row(clock: Clock) -> tuple[str, ...]:
    policy = BY_SETTING.get(clock.setting)
    of_tenant = f"`{policy.name}` of the tenant" if policy else ""
    set_by = ", ".join(filter(None, (f"`{clock.setting}`" if clock.setting else "", of_tenant, clock.own)))
    span = f"{settings.FIGURES[clock.setting].default:,} s" if clock.setting else _without(clock)
    return clock.name, set_by or "–", span, clock.starts, clock.stops, clock.pauses, clock.effect


def _without(clock: Clock) -> str:
    """The default of a clock that rows set and no setting: off, or at once if it takes no time."""
    return "at once" if clock.starts == "as above" else "off"


class Command(GeneratedPages):
    help = "Make docs/clocks.md from the table of clocks; --check fails when it is stale."
    command = "clocks_doc"
    requires_system_checks = ()

    def pages(self) -> Iterator[tuple[Path, str]]:
        yield PAGE, page()
