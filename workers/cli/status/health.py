"""How the fleet is, put together from what the database and the queue say, and what needs a person.

Values only; nothing here asks anybody.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

from workers.cli.status.processes import judge_webs
from workers.cli.words import ago, counted, duration
from workers.processes import SCHEDULER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from db.health.status import HeldCount, ParkedEvent
    from db.health.vital_signs import EventCount
    from db.health.webs import WebStatus
    from db.health.workers import WorkerStatus
    from db.reconciliation import ProofStatus
    from db.ticks import ScheduleStatus

STATES = ("pending", "waiting", "held", "applied", "ignored", "rejected", "dead")
# An event takes milliseconds; after a minute nobody is working, or something is in the way.
OLDEST_PENDING_MAX_S = 60.0
# What a job may take longer than its cadence before somebody should look.
LATE_AT_LEAST_S = 30
LATE_AT_MOST_S = 3_600
# An outage that a job met asks for nobody if its next run is at most so far away.
SOON_S = 60
# Locks, restarts, lost connections; by SQLSTATE, as `describe` puts it.
_PASSING = ("08", "40", "55", "57", "the connection was lost", "The database can't be reached")
# A scheduler fires each job at least once a minute, however rare the job is.
SCHEDULER_SILENT_AFTER_S = 120
# What is dated so far ahead tells of a clock that was set back.
CLOCK_TOLERANCE_S = 5
REPLAY = (
    "update fleet.inbox_events set state = 'pending', attempts = 0, starts = 0,"
    " next_attempt_at = now() where state = 'dead' and id = "
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """Events that only a person ends: how many, the oldest and the newest of them."""

    count: int
    oldest: list[ParkedEvent]
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
    """The doorbell's queue; `reachable` is null when no address is known here.

    What isn't so isn't there: `refusal`, what it says if it answers and doesn't take what is
    written, and `outage`, why it can't be reached; each with its host and port.
    """

    reachable: bool | None
    waiting: int | None
    refusal: str | UnsetType = UNSET
    outage: str | UnsetType = UNSET


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
    held_by_reason: list[HeldCount]
    dead: Parked
    scheduler_fired_at: datetime | None
    schedules: list[Job]
    drift: ProofStatus
    workers: list[WorkerStatus]
    webs: list[WebStatus]
    queue: Queue
    found: InitVar[Sequence[str]] = ()
    """The lines that the checks of workers.cli.status.checks add to attention."""

    def __post_init__(self, found: Sequence[str]) -> None:
        object.__setattr__(self, "attention", [*_attention(self), *found])
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
    return Job(
        job=name,
        every_s=every_s,
        last_done_at=status.last_done_at,
        outcome=status.outcome,
        missed=status.missed_total,
        failed=status.failed_total,
        last_error=status.last_error,
        # A run of later than now tells nothing.
        overdue=not -late_s <= (now - since).total_seconds() <= every_s + late_s,
    )


def _when(job: Job, now: datetime) -> str:
    if job.last_done_at is None:
        return f"never done, and due each {duration(job.every_s)}"
    done = ago((now - job.last_done_at).total_seconds())
    return f"last done {done}, and due each {duration(job.every_s)}"


def _attention(health: FleetHealth) -> Iterator[str]:
    if not health.schema_current:
        yield "the schema is not this release's: run `coinfleet migrate`"
    if health.dead.count:
        yield _dead(health.dead)
    if (health.oldest_pending_s or 0) > OLDEST_PENDING_MAX_S:
        yield f"an event has been pending for {duration(health.oldest_pending_s or 0)}"
    if health.drift.violations:
        yield f"the proofs found {counted(health.drift.violations, 'violation')} in the books"
    yield from _jobs(health)
    yield from _clock(health)
    if not any(worker.is_alive for worker in health.workers):
        yield "no worker reports"
    yield from judge_webs(health.webs, health.checked_at)
    if health.queue.reachable is False:
        yield f"the queue can't be reached: {health.queue.outage}; workers look once a second"
    if refusal := health.queue.refusal:
        yield f"the queue refuses what is written: {refusal}; workers look once a second"


def _dead(dead: Parked) -> str:
    told = f"dead: {counted(dead.count, 'event')}"
    if not dead.oldest:
        return told
    oldest = dead.oldest[0]
    return (
        f"{told}, the oldest with id {oldest.id} ({oldest.last_error or oldest.reason}):"
        f" mend the cause, then send it round again: {REPLAY}{oldest.id};"
    )


def _jobs(health: FleetHealth) -> Iterator[str]:
    fired_at = health.scheduler_fired_at
    silent_s = (health.checked_at - fired_at).total_seconds() if fired_at else None
    if silent_s is None or silent_s > SCHEDULER_SILENT_AFTER_S:
        since = "no job was ever fired" if silent_s is None else f"the last fired {ago(silent_s)}"
        overdue = sum(job.overdue for job in health.schedules)
        yield (
            f"no scheduler: {since}, {counted(overdue, 'job')} overdue;"
            f" start `python -m {SCHEDULER.module}`"
        )
        return
    for job in health.schedules:
        if job.outcome == "failed" and not _is_soon_done(job):
            yield f"{job.job} failed, and is tried again at its next time: {job.last_error}"
        elif job.overdue:
            is_failing = job.last_error and job.outcome != "done"
            error = f"; its last error: {job.last_error}" if is_failing else ""
            yield f"{job.job} is overdue: {_when(job, health.checked_at)}{error}"


def _is_soon_done(job: Job) -> bool:
    """Return whether the next run is soon and likely to do what the last could not."""
    return job.every_s <= SOON_S and (job.last_error or "").startswith(_PASSING)


def _clock(health: FleetHealth) -> Iterator[str]:
    stored = [worker.reported_at for worker in health.workers]
    if health.scheduler_fired_at is not None:
        stored.append(health.scheduler_fired_at)
    ahead_s = max(((each - health.checked_at).total_seconds() for each in stored), default=0)
    if ahead_s > CLOCK_TOLERANCE_S:
        yield f"the database's clock was set back: it stored times {duration(ahead_s)} ahead of it"
