"""Row 8: how much memory web and worker use after many events, and whether it still grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.measurements import Budget, Pairs, Row
from tests.bench.processes import resident_mb

if TYPE_CHECKING:
    from tests.bench.fleets import Fleet

EVENTS = 100_000
# So many requests are made and signed ahead. Their memory is not that of the measured processes.
PORTION = 10_000


async def measure(fleet: Fleet, *, count: int = EVENTS) -> list[Row]:
    """Read the memory of both processes now, and after so many events in all.

    A fleet that has had so many already gets a fifth more.
    """
    pids = {"web": fleet.web.pid, "worker": fleet.worker_pid}
    had = await fleet.count("applied")
    earlier = {name: resident_mb(pid) for name, pid in pids.items()}
    more = max(count - had, count // 5)
    for start in range(0, more, PORTION):
        await fleet.receive_and_apply(count=min(PORTION, more - start))
    rows = []
    for name, pid in pids.items():
        now, what = resident_mb(pid), f"memory of {name} after {had + more:,} events"
        growth = Pairs([now], [earlier[name]])
        rows += [
            Row(8, what, now, Budget(150, at_most=True, unit="MB")),
            Row.of_ratio(
                8,
                f"{what}, against after {had:,}",
                growth,
                budget=Budget(1.05, at_most=True),
                unit="MB",
            ),
        ]
    return rows
