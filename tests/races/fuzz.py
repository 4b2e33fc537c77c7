"""The concurrent fuzz (F1): random verbs from many processes on few conversations, then every invariant.

    python -m tests.races.fuzz --database postgres://postgres@127.0.0.1:5432/postgres --operations 10000 --seeds 5

Makes a database of its own on that server and drops it. Ends with 1 when an invariant is broken, something unexpected
was raised, or more than one verb in a thousand was given up. `--mutants` takes out each protection in turn instead, and
ends with 1 when one of them is not missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from tests.races.servers import Server

# Deadlines so short that timers race with verbs all the time. In seconds.
CLOCKS = {
    "TRANSFER_TIMEOUT": 1,
    "OFFER_TIMEOUT": 1,
    "DEFAULT_SESSION_TIMEOUT": 3,
    "HUMAN_SESSION_TIMEOUT": 3,
    "HUMAN_SESSION_WARNING": 1,
    "GROUP_AFTER": 1,
    "HISTORY_GAP": 3,
    "WAITING_SESSION_TIMEOUT": 4,
    "FLOW_LEASE": 1,
    "FLOW_EXPIRY": 2,
    "AGENT_AWAY_AFTER": 3600,
    "AGENT_GONE_AFTER": 3600,
    "CONTEXT_MESSAGES": 3,
}
PATIENCE = {"DATABASE_LOCK_TIMEOUT_MS": 60_000, "DATABASE_STATEMENT_TIMEOUT_MS": 60_000}
"""How long a verb waits for its turn. A slow machine must not be what it is given up for; deadlocks are found all the same."""
MAX_GIVEN_UP = 0.001


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], prog="python -m tests.races.fuzz")
    parser.add_argument("--database", required=True, help="URL of the server; the database in it is left alone")
    parser.add_argument("--operations", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--mutants", nargs="*", metavar="NAME", help="each of them in turn; all when none is named")
    parser.add_argument("--desk", action="store_true", help="agents come, go and take what the queue offers them")
    parser.add_argument("--json", action="store_true", help="the reports as JSON, for a test")
    options = parser.parse_args(arguments)

    server = Server(options.database)
    with server.database(f"tandem_fuzz_{os.getpid()}") as url:
        prepare(url)
        from tests.races import arena

        if options.mutants is not None:
            reports = arena.hunt(server, options)
            ok = all(is_clean(report) == (report["mutant"] == "nothing") for report in reports)
        else:
            reports = []
            for seed in range(options.first_seed, options.first_seed + options.seeds):
                reports.append(arena.fuzz(options, seed))
                print(_table(reports[-1:]).splitlines()[1], file=sys.stderr, flush=True)
            ok = all(is_clean(report) for report in reports)
    print(json.dumps(reports) if options.json else _table(reports))
    return 0 if ok else 1


def prepare(url: str) -> None:
    """Set Django up on a fresh database. Everything that reads settings is imported after this."""
    os.environ.update({name: str(value) for name, value in (CLOCKS | PATIENCE).items()})
    # The players are forked, and a pool's threads do not come along: each process has connections of its own.
    os.environ |= {"DATABASE_POOL_MAX": "0", "CONN_MAX_AGE": "600"}
    os.environ |= {"DATABASE_URL": url, "REDIS_URL": "", "CELERY_BROKER_URL": "", "LOG_LEVEL": "ERROR"}
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    import django
    from django.core.management import call_command
    from django.db import connections

    django.setup()
    call_command("migrate", verbosity=0)
    connections.close_all()


def is_clean(report: dict[str, Any]) -> bool:
    few = report["given_up"] <= MAX_GIVEN_UP * report["operations"]
    return not report["faults"] and not report["unexpected"] and few


def _table(reports: list[dict[str, Any]]) -> str:
    lines = ["run                     operations  accepted  refused  retried  given up          faults  seconds"]
    for report in reports:
        share = 100 * report["given_up"] / max(1, report["operations"])
        faults = len(report["faults"]) + len(report["unexpected"])
        lines.append(
            f"{report['name']:<24}{report['operations']:>10}{sum(report['accepted'].values()):>10}"
            f"{sum(report['refused'].values()):>9}{report['retried']:>9}{report['given_up']:>7} ({share:.3f} %)"
            f"{faults:>10}{report['seconds']:>9.1f}"
        )
    for report in reports:
        lines.append(f"\n{report['name']}, refused: {_counts(report['refused'])}")
        lines.append(f"accepted: {_counts(report['accepted'])}")
        shown = [*report["faults"], *(f"unexpected: {text}" for text in report["unexpected"])]
        lines += [f"  {text}" for text in shown[:15]]
        lines += [f"  and {len(shown) - 15} more"] if len(shown) > 15 else []
    return "\n".join(lines)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))


if __name__ == "__main__":
    sys.exit(main())
