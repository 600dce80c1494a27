"""The results of a run: a table on the terminal, all numbers as JSON, and the plot."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.bench.apply import Point
    from tests.bench.measurements import Row


def table(rows: Sequence[Row]) -> Table:
    """Each measured value beside its budget."""
    drawn = Table(title="Budgets, median of interleaved pairs")
    for name in ("row", "what", "ours", "reference", "measured", "budget", "met"):
        drawn.add_column(name, justify="left" if name == "what" else "right")
    for row in rows:
        met = "[green]yes[/]" if row.is_met else "[red]no[/]"
        drawn.add_row(
            str(row.number), row.what, row.ours, row.reference, row.measured, str(row.budget), met
        )
    return drawn


def write_numbers(path: Path, rows: Sequence[Row], points: Sequence[Point]) -> None:
    """Write all that was measured."""
    numbers = {
        "rows": [asdict(row) | {"is_met": row.is_met} for row in rows],
        "cost_per_event": [asdict(point) for point in points],
    }
    path.write_text(json.dumps(numbers, indent=2, ensure_ascii=False) + "\n")


def draw_cost_per_event(path: Path, points: Sequence[Point], *, call_us: float) -> None:
    """Draw the cost of an event by the size of its batch, and the cost of a call with one gift."""
    # Only here: the tests' other processes, which import this module, would wait a second for it.
    import matplotlib as mpl  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    # The same input makes the same file.
    mpl.rcParams["svg.hashsalt"] = "coinfleet"
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for hot, label, marker in (
        (False, "gifts to anybody", "o"),
        (True, "all to one streamer", "s"),
    ):
        line = sorted((p.batch_size, p.us) for p in points if p.hot is hot)
        axes.plot(*zip(*line, strict=True), marker=marker, label=label)
    axes.axhline(call_us, color="grey", linestyle="--", label="process_gift, 8 connections")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="events in a batch",
        ylabel="µs per event, claim to commit",
        title="What applying a gift costs",
    )
    axes.grid(which="both", alpha=0.25)
    axes.legend()
    figure.savefig(path, metadata={"Date": None})
