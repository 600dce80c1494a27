"""Schedules: when each job was done and is due, who paused it; pause, resume and run one now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from db.console.schedule_runs import list_runs
from db.health.status import read_clock
from db.operating.schedules import Verb, do, read_pauses
from db.ticks import read_schedules
from schedules.timetable import TIMETABLE
from workers.cli.schedules.words import said
from workers.cli.status.jobs import judge_jobs
from workers.console.visit import BadInput

if TYPE_CHECKING:
    from starlette.responses import Response

    from db.operating.schedules import Done
    from db.ticks import ScheduleStatus
    from schedules.timetable import Schedule
    from workers.cli.status.jobs import Job
    from workers.console.visit import Visit

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BY_NAME = {schedule.name: schedule for schedule in TIMETABLE}
_DONE: tuple[Done, ...] = (
    *("paused", "paused_already", "resumed", "not_paused", "asked", "running", "never_fired"),
)
# What is true of a job after these.
_IS_PAUSED: dict[str | None, bool] = {
    **dict.fromkeys(("paused", "paused_already"), True),
    **dict.fromkeys(("resumed", "not_paused"), False),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A job; `state` is paused, running, waiting, failed, overdue or on time."""

    job: Job
    why: str
    state: str
    next_at: datetime | None
    since: datetime | None
    """Since when it runs or waits for a worker."""


async def show(visit: Visit) -> Response:
    """List the jobs, and of one that is chosen its newest runs and what can be done with it."""
    now = await read_clock(visit.pool)
    statuses = {status.job: status for status in await read_schedules(visit.pool)}
    timetable = {schedule.name: schedule.every_s for schedule in TIMETABLE}
    jobs = judge_jobs(timetable, list(statuses.values()), await read_pauses(visit.pool), now=now)
    rows = [_row(job, statuses.get(job.job), now) for job in jobs]
    wanted = visit.query.get("job", "")
    chosen = next((row for row in rows if row.job.job == wanted), None)
    done = next((each for each in _DONE if each == visit.query.get("done")), None)
    # What the row says counts, whatever the address does.
    is_so = chosen is not None and _IS_PAUSED.get(done) in (None, chosen.job.paused is not None)
    return visit.page(
        "schedules.html",
        title="Schedules",
        rows=rows,
        now=now,
        chosen=chosen,
        runs=await list_runs(visit.pool, wanted) if chosen else [],
        told=said(done, wanted) if done and is_so else "",
    )


async def pause(visit: Visit) -> Response:
    """Pause a job."""
    return await _do(visit, Verb.PAUSE)


async def resume(visit: Visit) -> Response:
    """Resume a job."""
    return await _do(visit, Verb.RESUME)


async def run(visit: Visit) -> Response:
    """Have a job run now."""
    return await _do(visit, Verb.RUN)


async def _do(visit: Visit, verb: Verb) -> Response:
    name = visit.form.get("job", "")
    if name not in _BY_NAME:
        raise BadInput("This form names no job of the timetable.")
    reason = visit.reason("reason")
    async with visit.acting() as connection:
        done = await do(connection, verb, name, typed_by=visit.person.name, reason=reason)
    return visit.go_to(f"/schedules?{urlencode({'job': name, 'done': done})}")


def _row(job: Job, status: ScheduleStatus | None, now: datetime) -> Row:
    schedule = _BY_NAME[job.job]
    is_open = status is not None and status.tick is not None and status.finished_at is None
    since = (status.started_at or status.enqueued_at) if status and is_open else None
    is_begun = bool(status and is_open and status.started_at)
    # A run that was asked for goes on while the job is paused.
    if job.paused is not None and not is_begun:
        state = "paused"
    elif is_open:
        state = "running" if is_begun else "waiting"
    elif job.outcome == "failed":
        state = "failed"
    else:
        state = "overdue" if job.overdue else "on time"
    next_at = None if job.paused else _next_time(schedule, now)
    return Row(job, schedule.why, state, next_at, since)


def _next_time(schedule: Schedule, now: datetime) -> datetime:
    """Return when the next run is due."""
    elapsed_s = (now - EPOCH).total_seconds() - schedule.offset_s
    number = elapsed_s // schedule.every_s + 1
    return EPOCH + timedelta(seconds=number * schedule.every_s + schedule.offset_s)
