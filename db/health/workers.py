"""The reports of worker processes: written every two seconds, read by operators' commands.

A report is the newest one of a process; there is no history.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from db.connections.pool import Connection, Pool


class OutcomeCount(msgspec.Struct, frozen=True):
    """How many events left a batch in this state, for this reason ("" for none)."""

    state: str
    reason: str
    events: int


class FailureCount(msgspec.Struct, frozen=True):
    """How many attempts failed with this SQLSTATE or class of error."""

    error: str
    attempts: int


class Trouble(msgspec.Struct, frozen=True):
    """What kept a process from its work, and how long before the report it was noticed."""

    error: str
    age_s: float


class ProviderFault(msgspec.Struct, frozen=True):
    """Why a process asks nothing of a provider as long as it runs."""

    provider: str
    fault: str


class WorkDetail(msgspec.Struct, frozen=True):
    """What else a worker counted; empty if the worker is of the last release.

    `latency_buckets` counts applied events by the time since they were received; the bounds are
    tasks.context.LATENCY_BUCKETS_S. `version` is the release that the worker runs.
    `clock_ahead_s` is its machine's clock less the database's; None until it was measured.
    """

    outcomes: tuple[OutcomeCount, ...] = ()
    failures: tuple[FailureCount, ...] = ()
    latency_s_total: float = 0.0
    latency_buckets: tuple[int, ...] = ()
    trouble: Trouble | None = None
    faults: tuple[ProviderFault, ...] = ()
    version: str = ""
    clock_ahead_s: float | None = None


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
    detail: WorkDetail = field(default_factory=WorkDetail)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatus:
    """A worker's newest report; alive while that is at most 10 s old."""

    worker: str
    started_at: datetime
    reported_at: datetime
    last_doorbell_at: datetime | None
    batches: int
    events: int
    apply_ms_total: float
    apply_buckets: Sequence[int]
    is_alive: bool


async def report_worker(database: Pool | Connection, report: WorkerReport) -> datetime:
    """Replace the worker's report; return the database's time."""
    counted = {
        "batches": report.batches,
        "events": report.events,
        "apply_ms_total": report.apply_ms_total,
        "apply_buckets": report.apply_buckets,
        "detail": report.detail,
    }
    now: datetime = await database.fetchval(
        "select clock_timestamp() from fleet.report_work($1, $2, $3, $4::jsonb)",
        report.worker,
        report.uptime_s,
        report.doorbell_age_s,
        msgspec.json.encode(counted).decode(),
    )
    return now


async def read_workers(database: Pool | Connection) -> list[WorkerStatus]:
    """Return the workers of the last hour, by name."""
    rows = await database.fetch("select * from fleet.worker_statuses()")
    return [WorkerStatus(**row) for row in rows]
