"""The jobs of the timetable: when each was last done, and whether a person must look.

Values only: nothing here asks the database.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workers.cli.status.faults import Fault
from workers.cli.words import ago, counted, duration
from workers.processes import SCHEDULER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from db.operating.schedules import SchedulePause
    from db.ticks import ScheduleStatus

# How much longer than its cadence a job may take before a person should look.
LATE_AT_LEAST_S = 30
LATE_AT_MOST_S = 3_600
# A job that met an outage needs nobody if its next run is at most so far ahead.
SOON_S = 60
# A person who pauses a job for a repair is not reminded at once.
PAUSED_AT_LEAST_S = 900
# Locks, restarts, lost connections; by SQLSTATE, as `describe` puts it.
_PASSING = ("08", "40", "55", "57", "the connection was lost", "The database can't be reached")
# A scheduler fires each job at least once per minute, however rare the job is.
SCHEDULER_SILENT_AFTER_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job of the timetable. `overdue` says that a person should look; a paused one never is."""

    job: str
    every_s: int
    last_done_at: datetime | None
    outcome: str | None
    missed: int
    failed: int
    last_error: str | None
    overdue: bool
    paused: SchedulePause | None = None


def judge_jobs(
    timetable: dict[str, int],
    statuses: list[ScheduleStatus],
    pauses: Sequence[SchedulePause] = (),
    *,
    now: datetime,
) -> list[Job]:
    """Return each job of the timetable (name → cadence in seconds), whether it was fired or not."""
    known = {status.job: status for status in statuses}
    paused = {pause.job: pause for pause in pauses}
    return [
        _judge(name, every_s, known.get(name), paused.get(name), now)
        for name, every_s in timetable.items()
    ]


def _judge(
    name: str,
    every_s: int,
    status: ScheduleStatus | None,
    paused: SchedulePause | None,
    now: datetime,
) -> Job:
    if status is None:
        return Job(
            job=name,
            every_s=every_s,
            last_done_at=None,
            outcome=None,
            missed=0,
            failed=0,
            last_error=None,
            overdue=paused is None,
            paused=paused,
        )
    # A job that was never done counts from the time when it was first asked for.
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
        # A time in the future says nothing about a run.
        overdue=paused is None and not -late_s <= (now - since).total_seconds() <= every_s + late_s,
        paused=paused,
    )


def job_faults(jobs: list[Job], *, fired_at: datetime | None, now: datetime) -> Iterator[Fault]:
    """Yield what is wrong with each job that needs a person, or that no scheduler fires any."""
    silent_s = (now - fired_at).total_seconds() if fired_at else None
    if silent_s is None or silent_s > SCHEDULER_SILENT_AFTER_S:
        since = "no job was ever fired" if silent_s is None else f"the last fired {ago(silent_s)}"
        overdue = sum(job.overdue for job in jobs)
        yield Fault(
            "no_scheduler",
            f"no scheduler: {since}, {counted(overdue, 'job')} overdue;"
            f" start `python -m {SCHEDULER.module}`",
        )
        return
    for job in jobs:
        if job.paused is not None:
            yield from _long_pause(job, job.paused, now)
        elif job.outcome == "failed" and not _is_soon_done(job):
            what = f"{job.job} failed, and runs again at its next time: {job.last_error}"
            yield Fault("job_failed", what)
        elif job.overdue:
            is_failing = job.last_error and job.outcome != "done"
            error = f"; its last error: {job.last_error}" if is_failing else ""
            yield Fault("job_overdue", f"{job.job} is overdue: {_last_done(job, now)}{error}")


def _long_pause(job: Job, pause: SchedulePause, now: datetime) -> Iterator[Fault]:
    """Yield a fault if the pause has kept the job from a run, and is no short one."""
    paused_s = (now - pause.paused_at).total_seconds()
    if paused_s >= max(job.every_s, PAUSED_AT_LEAST_S):
        yield Fault(
            "job_paused",
            f"{job.job} has been paused for {duration(paused_s)} by {pause.paused_by}"
            f" ({pause.reason})",
            f"`coinfleet schedules resume {job.job} --reason '…'`",
        )


def _last_done(job: Job, now: datetime) -> str:
    if job.last_done_at is None:
        return f"never done, due every {duration(job.every_s)}"
    done = ago((now - job.last_done_at).total_seconds())
    return f"last done {done}, due every {duration(job.every_s)}"


def _is_soon_done(job: Job) -> bool:
    """Return whether the next run is soon and likely to do what the last could not."""
    return job.every_s <= SOON_S and (job.last_error or "").startswith(_PASSING)
