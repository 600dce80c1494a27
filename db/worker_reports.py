"""Signs of life of worker processes: written every two seconds, read by operators' tools."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from db.pool import Connection, Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReport:
    """What a worker process did since it started; `apply_buckets` counts batches by duration.

    Ages, not times: the database's clock is the one that counts.
    """

    worker: str
    uptime_s: float
    doorbell_age_s: float | None
    batches: int
    events: int
    apply_ms_total: float
    apply_buckets: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatus:
    """A report as it stands; alive while the last is at most 10 s old."""

    worker: str
    started_at: datetime
    reported_at: datetime
    last_doorbell_at: datetime | None
    batches: int
    events: int
    apply_ms_total: float
    apply_buckets: Sequence[int]
    is_alive: bool


async def report_worker(store: Pool | Connection, report: WorkerReport) -> None:
    """Replace the worker's report."""
    await store.execute(
        "select fleet.report_worker($1, $2, $3, $4, $5, $6, $7)",
        report.worker,
        report.uptime_s,
        report.doorbell_age_s,
        report.batches,
        report.events,
        report.apply_ms_total,
        report.apply_buckets,
    )


async def read_workers(store: Pool | Connection) -> list[WorkerStatus]:
    """Give the workers of the last hour, by name."""
    rows = await store.fetch("select * from fleet.worker_statuses()")
    return [WorkerStatus(**row) for row in rows]
