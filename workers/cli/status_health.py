"""How the fleet is, put together from what the database and the queue say, and what needs a person.

Values only; nothing here asks anybody.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workers.cli.words import counted, duration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from db.reconciliation import ProofStatus
    from db.status import ParkedEvent
    from db.ticks import ScheduleStatus
    from db.vital_signs import EventCount
    from db.worker_reports import WorkerStatus

STATES = ("pending", "waiting", "held", "applied", "ignored", "rejected", "dead")
# An event takes milliseconds; after a minute nobody is working, or something is in the way.
OLDEST_PENDING_MAX_S = 60.0
# What a job may take longer than its cadence before somebody should look.
LATE_AT_LEAST_S = 30
LATE_AT_MOST_S = 3_600
# Stored times further ahead than this were written by a clock that was ahead.
CLOCK_BEHIND_MAX_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """Events that only a person ends: how many, and the newest of them."""

    count: int
    newest: list[ParkedEvent]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job of the timetable. `overdue` says that a person should look."""

    job: str
    every_s: int
    last_done_at: datetime | None
    outcome: str | None
    missed: int
    failed: int
    last_error: str | None
    overdue: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """The doorbell's queue; `reachable` is null when no address is known here."""

    reachable: bool | None
    waiting: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetHealth:
    """All of it, and the keys of --json. `attention` says in words what needs a person."""

    healthy: bool = field(init=False)
    attention: list[str] = field(init=False)
    checked_at: datetime
    schema_current: bool
    events: dict[str, int]
    events_by_provider: dict[str, dict[str, int]]
    oldest_pending_s: float | None
    held: Parked
    dead: Parked
    schedules: list[Job]
    drift: ProofStatus
    workers: list[WorkerStatus]
    queue: Queue
    clock_behind_s: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "attention", list(_attention(self)))
        object.__setattr__(self, "healthy", not self.attention)


def by_state(counts: list[EventCount]) -> dict[str, int]:
    """Sum up events of all providers; each state has its place, also with none in it."""
    return {
        state: sum(count.events for count in counts if count.state == state) for state in STATES
    }


def by_provider(counts: list[EventCount]) -> dict[str, dict[str, int]]:
    """Sum up events of each provider that ever sent one."""
    return {
        provider: by_state([count for count in counts if count.provider == provider])
        for provider in sorted({count.provider for count in counts})
    }


def judge_jobs(
    timetable: dict[str, int], statuses: list[ScheduleStatus], *, now: datetime
) -> list[Job]:
    """Tell each job of the timetable (name → cadence in seconds), fired or not."""
    known = {status.job: status for status in statuses}
    return [_job(name, every_s, known.get(name), now) for name, every_s in timetable.items()]


def _job(name: str, every_s: int, status: ScheduleStatus | None, now: datetime) -> Job:
    if status is None:
        return Job(
            job=name,
            every_s=every_s,
            last_done_at=None,
            outcome=None,
            missed=0,
            failed=0,
            last_error=None,
            overdue=True,
        )
    # A run that was never done counts from when it was first asked for.
    since = status.last_done_at or status.enqueued_at or status.fired_at
    late_s = min(max(every_s, LATE_AT_LEAST_S), LATE_AT_MOST_S)
    age_s = (now - since).total_seconds()
    return Job(
        job=name,
        every_s=every_s,
        last_done_at=status.last_done_at,
        outcome=status.outcome,
        missed=status.missed_total,
        failed=status.failed_total,
        last_error=status.last_error,
        # A run of later than now tells nothing.
        overdue=not -late_s <= age_s <= every_s + late_s,
    )


def _when(job: Job, now: datetime) -> str:
    if job.last_done_at is None:
        return f"never done, and due each {duration(job.every_s)}"
    age_s = (now - job.last_done_at).total_seconds()
    done = f"{duration(age_s)} ago" if age_s >= 0 else f"{duration(-age_s)} from now"
    return f"last done {done}, and due each {duration(job.every_s)}"


def _attention(health: FleetHealth) -> Iterator[str]:
    if not health.schema_current:
        yield "the schema is not this release's: run `coinfleet migrate`"
    if health.clock_behind_s > CLOCK_BEHIND_MAX_S:
        yield (
            f"stored times are {duration(health.clock_behind_s)} ahead of the database's clock: "
            "it was set back, or a server whose clock is behind took over; check the time service"
        )
    if health.dead.count:
        yield f"dead: {counted(health.dead.count, 'event')}"
    if (health.oldest_pending_s or 0) > OLDEST_PENDING_MAX_S:
        yield f"an event has been pending for {duration(health.oldest_pending_s or 0)}"
    if health.drift.violations:
        yield f"the proofs found {counted(health.drift.violations, 'violation')} in the books"
    for job in health.schedules:
        if job.overdue:
            yield f"{job.job} is overdue: {_when(job, health.checked_at)}"
    if not any(worker.is_alive for worker in health.workers):
        yield "no worker reports"
    if health.queue.reachable is False:
        yield "the queue can't be reached: workers look once a second"
