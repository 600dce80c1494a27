"""Reports: what a worker tells the database of itself, for `status` and `/metrics`.

A worker whose reports stop has ended, or can't reach the database. Nothing else says so.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from db.connections.pool import answered
from db.health.workers import (
    FailureCount,
    OutcomeCount,
    ProviderFault,
    Trouble,
    WorkDetail,
    WorkerReport,
    report_worker,
)
from workers.clock import ClockWatch
from workers.version import release_version

if TYPE_CHECKING:
    from db.connections.pool import Pool
    from tasks.context import Meter


class Reports:
    """The reports of one worker, under its name. Belongs to one event loop."""

    def __init__(self, pool: Pool, *, worker: str, meter: Meter) -> None:
        self._pool = pool
        self._worker = worker
        self._meter = meter
        self._started = time.monotonic()
        self._clock = ClockWatch(
            "messages are signed, and providers are asked, by this machine's clock: set it right"
        )
        self._doorbell_at: float | None = None
        self.has_answered = asyncio.Event()
        """Set once the worker has answered a message."""

    def note_doorbell(self) -> None:
        """Note that a message was answered just now."""
        self._doorbell_at = time.monotonic()
        self.has_answered.set()

    async def write(self, *, within_s: float) -> None:
        """Replace the worker's report. Raises what the database does; TimeoutError after that."""
        now = time.monotonic()
        report = WorkerReport(
            worker=self._worker,
            uptime_s=now - self._started,
            doorbell_age_s=None if self._doorbell_at is None else now - self._doorbell_at,
            batches=self._meter.batches,
            events=self._meter.events,
            apply_ms_total=self._meter.apply_ms_total,
            apply_buckets=self._meter.apply_buckets,
            detail=work_detail(self._meter, clock_ahead_s=self._clock.ahead_s),
        )
        telling = answered(self._pool, report_worker(self._pool, report), within_s=within_s)
        await self._clock.compare(telling)


def work_detail(meter: Meter, *, clock_ahead_s: float | None = None) -> WorkDetail:
    """Return what the meter counted, as a report holds it."""
    trouble = meter.trouble()
    return WorkDetail(
        outcomes=tuple(
            OutcomeCount(state, reason, events)
            for (state, reason), events in sorted(meter.outcomes.items())
        ),
        failures=tuple(FailureCount(*each) for each in sorted(meter.failures.items())),
        latency_s_total=meter.latency_s_total,
        latency_buckets=tuple(meter.latency_buckets),
        trouble=Trouble(*trouble) if trouble else None,
        faults=tuple(ProviderFault(*each) for each in sorted(meter.faults.items())),
        version=release_version(),
        clock_ahead_s=clock_ahead_s,
    )
