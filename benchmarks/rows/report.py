"""What a run found: one table on the terminal, JSON, and docs/performance.md with plots that GitHub draws (Mermaid)."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from common import ROOT
from rows.figures import Figure

PAGE, KEPT = ROOT / "docs" / "performance.md", ROOT / "docs" / "performance.json"
UNITS = {
    "messages_a_second": "a second", "p50_ms": "milliseconds, p50", "private_mb": "MB, private",
    "last_arrival_ms": "milliseconds to the last", "list": "milliseconds, p10", "thread": "milliseconds, p10",
    "message": "milliseconds, p10", "bare": "milliseconds, p10",
}  # fmt: skip
TITLES = {
    "list": "list of 50", "thread": "page of a thread", "message": "a customer's message", "bare": "the bare keyset query",
    "messages_a_second": "messages", "p50_ms": "a message", "private_mb": "memory", "last_arrival_ms": "the last arrival",
}  # fmt: skip


def print_table(
    figures: Sequence[Figure], noise: Sequence[str], grown: Mapping[str, Any], slopes: Mapping[str, Any]
) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Tandem beside its peers", caption="\n".join(noise))
    for name in ("row", "what", "beside", "found", "middle half", "to be (land, aim)", ""):
        table.add_column(name, justify="right" if name == "found" else "left")
    for one in figures:
        table.add_row(
            one.row, one.what, one.beside, one.value_text, one.spread_text, one.limits_text, one.why_not or one.verdict
        )
    console = Console(width=170)
    console.print(table)
    for what, curves in grown.items():
        for name, curve in curves.items():
            told = "  ".join(f"{size}: {cost:g}" for size, cost in curve.items())
            console.print(f"{what}, {TITLES.get(name, name)}: {told}   slope {slopes[what][name]}")


def as_json(
    figures: Sequence[Figure],
    about: Mapping[str, Any],
    grown: Mapping[str, Any],
    slopes: Mapping[str, Any],
    layers: Mapping[str, Any],
) -> str:
    rows = [one.as_dict() for one in figures]
    found = {"about": about, "rows": rows, "layers": layers, "growth": grown, "slopes": slopes}
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"


def statements() -> list[Figure]:
    """Row 15: what `tests/test_costs.py` holds in CI."""
    held = tomllib.loads((ROOT / "tests" / "costs.toml").read_text(encoding="utf-8"))["statements"]["postgresql"]
    most = max(held, key=lambda name: held[name])
    detail = {"statements": held}
    what = f"statements of the dearest of {len(held)} hot calls ({most})"
    return [Figure("15", what, "held in CI, tests/costs.toml", float(held[most]), unit="statements", detail=detail)]


# --- The page ----------------------------------------------------------------------------------------------------


def write_page(found: Mapping[str, Any], page: Path = PAGE) -> None:
    page.write_text("\n".join(_page(found)) + "\n", encoding="utf-8")


def _page(found: Mapping[str, Any]) -> Iterator[str]:
    about = found["about"]
    yield "# Performance"
    yield "\nMade by `make bench` from [performance.json](performance.json); not written by hand. What is compared is a ratio: peers take"
    yield "turns in slices of one run, over one connection each, and p10 of each slice is divided by p10 of the peer's. How the suite"
    yield "works, and how each benchmark is run alone: [testing.md](testing.md#benchmarks)."
    yield f"\nThis run: {about['when']}, {about['size']:,} conversations, {about['rounds']} rounds, Python {about['python']}, {about['cores']} cores."
    yield f"Before it {about['noise'][0]}; after it {about['noise'][-1]}."
    if about.get("note"):
        yield about["note"]
    if about["is_quick"]:
        yield "\n**A quick run with small sizes: its figures mean nothing.**"
    elif about["share"] < 0.7:
        yield "\n**The machine was busy: only ratios of short calls mean something here, and no throughput or p99 does.**"
    yield "\n## The rows\n"
    yield "| row | what | beside | found | middle half | to land, aim | |"
    yield "|---|---|---|---|---|---|---|"
    for one in (_figure(row) for row in found["rows"]):
        told = f"{one.verdict}: {one.why_not}" if one.why_not else one.verdict
        cells = (one.row, one.what, one.beside, one.value_text, one.spread_text, one.limits_text, told)
        yield f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
    yield from _not_reached(found["rows"])
    yield from _layers(found["layers"])
    yield from _growth(found["growth"], found["slopes"])
    yield from _ratios_plot(found["rows"])


def _figure(row: Mapping[str, Any]) -> Figure:
    return Figure(**{name: value for name, value in row.items() if name != "verdict"})


def _not_reached(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    missed = [row for row in rows if row["verdict"] == "not reached"]
    yield "\n## What was not reached, and where the time goes\n"
    if not missed:
        yield "All that was measured has landed."
    for row in missed:
        told = ", ".join(f"{name} {_short(value)}" for name, value in row["detail"].items())
        yield f"- **{row['what']}**: {_figure(row).value_text}, to be {_figure(row).limits_text}. {told}"


def _layers(layers: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    if not layers:
        return
    yield "\n### By layer\n"
    yield "In process on PostgreSQL, percent of the time by whose code it is spent in; a profiler makes Python dearer than it is.\n"
    yield "| call | percent |"
    yield "|---|---|"
    for call, shares in layers.items():
        yield f"| {call} | {' · '.join(f'{layer} {share:g}' for layer, share in shares.items())} |"


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_short(of)}" for name, of in value.items())
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _growth(grown: Mapping[str, Any], slopes: Mapping[str, Any]) -> Iterator[str]:
    if not grown:
        return
    yield "\n## Cost as work grows\n"
    yield "The slope is b of cost ~ size^b: 0 does not grow, 1 grows as the work does. For rates more is better, and 1 is the best.\n"
    yield "| of | what | by size | slope |"
    yield "|---|---|---|---|"
    for what, curves in grown.items():
        for name, curve in curves.items():
            told = " · ".join(f"{int(size):,}: {cost:g}" for size, cost in curve.items())
            yield f"| {what} | {TITLES.get(name, name)}, {UNITS.get(name, '')} | {told} | {slopes[what][name]} |"
    for what, curves in grown.items():
        for name, curve in curves.items():
            yield from _plot(
                f"{TITLES.get(name, name)}, by {what}", UNITS.get(name, ""), list(curve), list(curve.values())
            )


def _ratios_plot(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    of = [row for row in rows if row["row"] == "1" and row["value"] is not None]
    if of:
        yield "\n## Beside the baseline\n"
        yield "Below 1 Tandem is faster.\n"
        names = [row["what"].replace(",", "") for row in of]
        yield from _plot(
            "time of a call, baseline 1", "ratio of p10", names, [round(row["value"], 2) for row in of], "bar"
        )


def _plot(title: str, axis: str, names: Sequence[str], values: Sequence[float], kind: str = "line") -> Iterator[str]:
    if len(names) < 2:
        return
    labels = ", ".join(f'"{name}"' for name in names)
    yield "\n```mermaid\nxychart-beta"
    yield f'    title "{title}"'
    yield f"    x-axis [{labels}]"
    yield f'    y-axis "{axis}" 0 --> {max(values) * 1.1:.6g}'
    yield f"    {kind} [{', '.join(f'{value:g}' for value in values)}]"
    yield "```"


if __name__ == "__main__":
    write_page(json.loads(KEPT.read_text(encoding="utf-8")))
