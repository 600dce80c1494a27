"""Ticks: the runs of periodic jobs that a worker claims, does and records.

Which tick is due, and which worker has it, is decided in PostgreSQL (db/ticks.py).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from db import ticks
from db.connections.pool import expire_if_unfit
from db.errors import describe, is_transient, sqlstate_of
from db.health.readiness import is_passing
from schedules.timetable import TIMETABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from db.ticks import Tick
    from tasks.context import Context
    from tasks.task import Task
    from workers.running.attempts import Attempts

log = structlog.get_logger(__name__)

# The kind of work that an error of a job stops, see interruptions.py.
JOBS = "jobs"
ERROR_LENGTH = 500
# SQLSTATEs, or classes of them, by which a server that lives says that others stopped the job: it
# only reads, a deadlock, out of sessions or disk, a lock. What ends a session or takes too long may
# be the job's own doing, on any day, so that is counted.
STOPPED_BY_OTHERS = ("25006", "40", "53", "55")


class Ticks:
    """Runs ticks of the timetable, each as a task of its own. Belongs to one event loop.

    `make_context` returns a new context per run.
    """

    def __init__(self, attempts: Attempts, make_context: Callable[[], Context]) -> None:
        self._attempts = attempts
        self._make_context = make_context
        self._jobs = {schedule.name: schedule.task for schedule in TIMETABLE}
        self._running: dict[Tick, asyncio.Task[None]] = {}
        self._is_closed = False

    def begin(self, tick: Tick) -> asyncio.Task[None] | None:
        """Begin the tick and return its task, which never raises.

        None if it runs here already, after `close`, and for a job that this release doesn't know.
        """
        task = self._jobs.get(tick.job)
        if task is None or tick in self._running or self._is_closed:
            return None
        running = asyncio.get_running_loop().create_task(self._do(tick, task))
        self._running[tick] = running
        running.add_done_callback(lambda _: self._running.pop(tick, None))
        return running

    async def close(self, *, grace_s: float) -> None:
        """Begin no more ticks, let those that run end within `grace_s`, then cancel them."""
        self._is_closed = True
        running = list(self._running.values())
        if running:
            _, late = await asyncio.wait(running, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _do(self, tick: Tick, task: Task) -> None:
        with structlog.contextvars.bound_contextvars(job=tick.job, tick=tick.number):
            await self._attempts.make(self._claim_and_run(tick, task), JOBS)

    async def _claim_and_run(self, tick: Tick, task: Task) -> None:
        context = self._make_context()
        attempt = await ticks.claim_tick(context.pool, tick)
        if attempt is None:
            return
        time_limit = asyncio.timeout(task.time_limit_ms / 1_000)
        try:
            async with (
                time_limit,
                ticks.hold_tick(
                    context.pool,
                    tick,
                    attempt=attempt,
                    time_limit_ms=task.time_limit_ms,
                    in_transaction=not task.waits_for_others,
                ) as is_ours,
            ):
                if is_ours:
                    await task.function(context)
                    context.meter.forget_trouble(("job", tick.job))
        # The edge of the process for jobs: whatever one raises is recorded and tried again.
        except Exception as error:  # noqa: BLE001 - logged and recorded there
            is_too_late = time_limit.expired()
            await _record_failure(context, tick, attempt, error, is_too_late=is_too_late)


async def _record_failure(
    context: Context, tick: Tick, attempt: int, error: Exception, *, is_too_late: bool
) -> None:
    """Log the attempt's error and record it. Raises what the database does, if it can't be.

    What others did is no failed attempt: a daily job must not wait a day because of a lock of 30 s.
    """
    await expire_if_unfit(context.pool, error)
    context.meter.note_trouble(("job", tick.job), describe(error))
    will_pass = await is_passing(context.pool, error)
    # For a lost connection the driver's message names only the call that noticed it.
    words = describe(error) if is_transient(error) else f"{type(error).__name__}: {error}"
    reason = words[:ERROR_LENGTH]
    if will_pass:
        log.warning("job_interrupted", attempt=attempt, reason=reason)
    else:
        log.error("job_failed", attempt=attempt, exc_info=error)
    if will_pass and not is_too_late and (sqlstate_of(error) or "").startswith(STOPPED_BY_OTHERS):
        await ticks.interrupt_tick(context.pool, tick, attempt=attempt, error=reason)
        return
    if await ticks.fail_tick(context.pool, tick, attempt=attempt, error=reason):
        # An outage needs no person: the job's next tick does the work.
        give_up = log.warning if will_pass and not is_too_late else log.error
        give_up("job_given_up", attempts=attempt, error=reason)
