"""Work that nobody does any more: calls, events, runs of jobs, and processes that are silent.

Asks the database alone. What waits for a person stands in decisions.py.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from db.health.calls import read_untried_calls
from db.health.status import read_clock
from db.health.stranded import (
    LOOKED_AT_MAX,
    read_dead,
    read_leased,
    read_suspects,
    read_trials,
    read_unfinished_ticks,
    read_waiting,
)
from db.health.vital_signs import read_vital_signs
from db.health.webs import read_webs
from db.health.workers import read_workers
from db.operating.schedules import read_pauses
from db.ticks import read_schedules
from schedules.timetable import TIMETABLE
from tasks.findings import Finding, attention, broken, ok
from workers.cli.status.jobs import job_faults, judge_jobs
from workers.cli.status.processes import judge_webs, judge_workers
from workers.cli.words import ago, counted, duration

if TYPE_CHECKING:
    from datetime import datetime

    from db.health.stranded import Stranded
    from workers.cli.doctor.examining import Context

# A lease lasts 90 s, and a worker looks each second.
LEASE_OVER_FOR = timedelta(minutes=5)
# A worker looks each second; a run is kept by renewals of some seconds.
RUN_UNCLAIMED_FOR = timedelta(minutes=10)
# The other half of most events comes within minutes, and Stripe resends for three days.
WAITING_FOR = timedelta(days=3)
UNTRIED_FOR = timedelta(minutes=1)
# A worker looks for trials each second, and has two minutes for one.
UNTRIED_TRIAL_FOR = timedelta(minutes=10)
# An event takes milliseconds, and workers look each second.
PENDING_MAX_S = 60.0
TIMEOUT_S = 4.0
START = "start it, or restart one that hangs: `coinfleet up`, or the process's line of the Procfile"
NO_WORKER = broken("no_worker", "no worker reports: nothing is applied", fix=START)
NO_WEB = broken("no_web", "no web reports: nothing is received", fix=START)
# By the code of what is wrong with a job.
FIXES = {
    "no_scheduler": "start it: `coinfleet up`, or the line `scheduler` of the Procfile",
    "job_failed": "remove the cause, then `coinfleet schedules run NAME --reason …`",
    "job_overdue": "start a worker, or look in its log for job_failed",
}


async def check_processes(context: Context) -> list[Finding]:
    """Say which processes report."""
    pool = context.database
    workers, webs = await read_workers(pool), await read_webs(pool)
    found = [
        ok(f"{counted(alive, name)} {'reports' if alive == 1 else 'report'}") if alive else missing
        for name, alive, missing in (
            ("worker", sum(each.is_alive for each in workers), NO_WORKER),
            ("web", sum(each.is_alive for each in webs), NO_WEB),
        )
    ]
    faults = judge_workers((await read_vital_signs(pool, timeout_s=TIMEOUT_S)).workers)
    if any(each.is_alive for each in webs):
        faults += judge_webs(webs, await read_clock(pool))
    fix = "mend that; the process's log says more"
    found += [attention(each.code, each.what, fix=each.fix or fix) for each in faults]
    dead = [each.worker for each in workers if not each.is_alive]
    if dead and any(each.is_alive for each in workers):
        found.append(ok(f"workers of the last hour that ended: {', '.join(dead[:5])}"))
    return found


async def check_schedules(context: Context) -> list[Finding]:
    """Say which jobs nobody fires, and which runs nobody does."""
    pool = context.database
    now = await read_clock(pool)
    statuses = await read_schedules(pool)
    fired_at = max((each.fired_at for each in statuses), default=None)
    timetable = {schedule.name: schedule.every_s for schedule in TIMETABLE}
    jobs = judge_jobs(timetable, statuses, await read_pauses(pool), now=now)
    faults = list(job_faults(jobs, fired_at=fired_at, now=now))
    found = [
        (attention if each.code == "job_paused" else broken)(
            each.code, each.what, fix=each.fix or FIXES[each.code]
        )
        for each in faults
    ]
    found += [
        broken(
            "run_unclaimed",
            f"a run of {each.sort} can be claimed since {_for(each, now)}, and no worker does",
            fix="start a worker, or look in its log for job_failed",
        )
        for each in await read_unfinished_ticks(pool, longer_than=RUN_UNCLAIMED_FOR)
    ]
    paused = [each.job for each in jobs if each.paused is not None]
    if paused and not any(each.code == "job_paused" for each in faults):
        found.append(ok(f"paused by a person, not for long yet: {', '.join(paused)}"))
    return found or [ok(f"{counted(len(jobs), 'job')} run in time")]


async def check_calls(context: Context) -> list[Finding]:
    """Say which calls to providers nobody makes."""
    pool = context.database
    now = await read_clock(pool)
    found = [
        broken(
            "calls_abandoned",
            f"{each.sort}: {_at_least(each.number)} begun by a worker that is gone, and nobody goes"
            f" on; the oldest (id {each.oldest_id}): lease over {_for(each, now)}",
            fix="start a worker that has the keys of this provider",
            subject=f"call:{each.oldest_id}",
        )
        for each in await read_leased(pool, longer_than=LEASE_OVER_FOR)
    ]
    found += [
        broken(
            "calls_untried",
            f"{each.provider}: {_at_least(each.calls)} never tried, the oldest for"
            f" {duration(each.oldest_s)}",
            fix=f"set the keys of {each.provider} for `worker`, and restart it",
        )
        for each in await read_untried_calls(pool, longer_than=UNTRIED_FOR)
    ]
    return found or [ok("each call that is to be made is made, or tried again in time")]


async def check_events(context: Context) -> list[Finding]:
    """Say which events lie: dead, not taken, their workers died, or their other half never came."""
    pool = context.database
    now = await read_clock(pool)
    found = []
    if dead := await read_dead(pool):
        more = "at least " if dead.number >= LOOKED_AT_MAX else ""
        found.append(
            broken(
                "events_dead",
                f"{more}{counted(dead.number, 'event')} dead: nobody tries them any more; the"
                f" oldest (id {dead.oldest_id}) came {_for(dead, now)}",
                fix=f"`coinfleet explain event:{dead.oldest_id}` says why; remove the cause, then"
                " `coinfleet replay --state dead --why …`",
                subject=f"event:{dead.oldest_id}",
            )
        )
    signs = await read_vital_signs(pool, timeout_s=TIMEOUT_S)
    if signs.backlog_s > PENDING_MAX_S:
        found.append(
            broken(
                "events_not_taken",
                f"an event has been due for {duration(signs.backlog_s)}, and no worker takes it",
                fix="start `worker`, or more of it; its log says what keeps it",
            )
        )
    if suspects := await read_suspects(pool):
        found.append(
            attention(
                "events_of_dead_workers",
                f"{counted(suspects.events, 'pending event')} in the hands of workers that died,"
                f" up to {counted(suspects.most_deaths, 'time')} (id {suspects.oldest_id});"
                " at the third an event is dead",
                fix="look in the log why workers end: memory, or a kill; then `coinfleet explain`",
                subject=f"event:{suspects.oldest_id}",
            )
        )
    found += [
        attention(
            "events_wait_long",
            f"{counted(each.number, 'event')} waiting ({each.sort}) for what never came, the"
            f" oldest (id {each.oldest_id}) {_for(each, now)}",
            fix="`coinfleet backfill PROVIDER --since TIME` finds a lost webhook; a refund of a"
            " payment that was never ours stays, and does no harm",
            subject=f"event:{each.oldest_id}",
        )
        for each in await read_waiting(pool, longer_than=WAITING_FOR)
    ]
    return found or [ok("none is dead, and none waits for what never came")]


async def check_trials(context: Context) -> list[Finding]:
    """Say which trials of a replay, which people wait for, nobody makes."""
    pool = context.database
    now = await read_clock(pool)
    found = [
        attention(
            "trial_hangs",
            f"{counted(each.number, 'trial')} of a replay not made, the oldest ({each.oldest_id})"
            f" asked for {_for(each, now)}",
            fix="start `worker`; its log says what keeps it; then ask for the trial anew",
        )
        for each in await read_trials(pool, longer_than=UNTRIED_TRIAL_FOR)
    ]
    return found or [ok("no trial of a replay waits")]


def _for(each: Stranded, now: datetime) -> str:
    return ago((now - each.oldest_at).total_seconds())


def _at_least(number: int) -> str:
    return f"{'at least ' if number >= LOOKED_AT_MAX else ''}{counted(number, 'call')}"
