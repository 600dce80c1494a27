"""A worker process's runtime: opens what tasks touch, runs them, looks for work by itself, closes.

Lives on one event loop. It trusts no message: each is a reason to look into PostgreSQL, which it
does once a second in any case.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from db import ticks
from db.connections.pool import answered, expire_if_unfit, open_pool
from db.connections.sessions import are_sessions_scarce
from db.errors import describe, is_transient
from db.health.readiness import is_passing
from db.health.workers import (
    FailureCount,
    OutcomeCount,
    Trouble,
    WorkDetail,
    WorkerReport,
    report_worker,
)
from db.inbox import Inbox
from db.ticks import Tick
from schedules.timetable import TIMETABLE
from tasks import PROCESS_PAYMENT_EVENTS
from tasks.context import Context, Meter
from tasks.task import Task
from workers.outage import Outage
from workers.processes import WORKER
from workers.providers import build_providers
from workers.running.drain import Drain
from workers.running.interruptions import BATCHES, Interruptions
from workers.running.naming import WorkerName
from workers.running.start_check import check_at_start

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from workers.running.interruptions import Work
    from workers.settings import Settings

log = structlog.get_logger(__name__)

# One does the work. Two of them wait for each other's profiles, and smaller batches cost more: with
# both an event took a seventh more. The second is for while a lock holds up the first.
DRAINS = len(BATCHES)
# Each drain takes two connections and each running tick one, plus what its task takes.
POOL_SIZE = 2 * DRAINS + 2 * len(TIMETABLE) + 2
LOOK_EVERY_S = 1.0
# A look takes a millisecond; a server that takes five seconds for it isn't there any more.
LOOK_TIMEOUT_S = 5.0
# How far apart looks get while the database is away.
LOOK_AT_LEAST_EVERY_S = 5.0
REPORT_EVERY_S = 2.0
# What runs when the process is asked to end may take so long before it is rolled back.
GRACE_S = 5.0
# And so long to tell the database what it counted, and that its last batches killed nobody.
LAST_WORDS_TIMEOUT_S = 1.0
CLOSE_TIMEOUT_S = 2.0
ERROR_LENGTH = 500


class Runtime:
    """What a worker process holds open and keeps doing."""

    def __init__(self, settings: Settings) -> None:
        self._name = WorkerName(
            settings.worker_name, database_url=settings.url_for(WORKER, warn=False)
        )
        self.worker = self._name.text
        self._settings = settings
        self._providers = build_providers(settings)
        self._started = time.monotonic()
        self._doorbell_at: float | None = None
        self._answered = asyncio.Event()
        self._stopping = asyncio.Event()
        self._meter = Meter()
        self._batches_seen = 0
        self._jobs = {schedule.name: schedule.task for schedule in TIMETABLE}
        self._ticking: dict[Tick, asyncio.Task[None]] = {}
        self._loops: list[asyncio.Task[None]] = []
        self._outage = Outage("database", then="it is tried again every few seconds")
        self._interruptions = Interruptions(self._outage)
        self._is_scarce = False

    async def open(self) -> None:
        """Open the pool and begin to look for work.

        A database that is away is waited for while running; one that answers and refuses us raises
        its error, with nothing left open.
        """
        url = self._settings.url_for(WORKER)
        self._pool = await open_pool(
            url,
            application_name=WORKER.application_name,
            min_size=0,
            max_size=POOL_SIZE,
        )
        try:
            await check_at_start(self._pool, WORKER, url=url, outage=self._outage, work="looks")
        except BaseException:
            self._pool.terminate()
            raise
        self._inbox = Inbox(self._pool, worker=self.worker)
        self._drain = Drain([self._drain_with(self._context(), each) for each in BATCHES])
        self._loops = [
            asyncio.create_task(self._repeat(self._look, "looks", every_s=LOOK_EVERY_S)),
            asyncio.create_task(self._keep_reporting()),
        ]

    def ring(self) -> None:
        """Answer a doorbell: look for payment events, now or once more after the look that runs."""
        self._answer()
        self._drain.ring(at_once=1)

    async def run_tick(self, tick: Tick) -> None:
        """Answer a tick's message: do its job unless somebody has it. Never raises."""
        self._answer()
        if task := self._begin(tick):
            await asyncio.wait([task])

    async def stop(self) -> None:
        """Begin nothing more; let what runs end within its grace, then roll it back."""
        self._stopping.set()
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(
            *self._loops,
            self._drain.close(grace_s=GRACE_S),
            self._end_ticks(),
            return_exceptions=True,
        )
        # What was counted since the newest report would be lost. With the database away the notes
        # stay, and the next worker takes this one for killed.
        last_words = (self._reporting(), self._inbox.forget_failed_starts())
        await asyncio.gather(
            *(answered(self._pool, each, within_s=LAST_WORDS_TIMEOUT_S) for each in last_words),
            return_exceptions=True,
        )

    async def close(self) -> None:
        """Close the pool, by force if it takes long."""
        self._name.release()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    def _context(self) -> Context:
        return Context(
            pool=self._pool,
            inbox=self._inbox,
            providers=self._providers,
            batch_size=self._settings.batch_size,
            stopping=self._stopping,
            meter=self._meter,
        )

    def _answer(self) -> None:
        self._doorbell_at = time.monotonic()
        self._answered.set()

    async def _repeat(
        self, do: Callable[[], Awaitable[None]], work: Work, *, every_s: float
    ) -> None:
        pause_s = every_s
        while True:
            is_done = await self._tried(do(), work)
            pause_s = every_s if is_done else min(2 * pause_s, LOOK_AT_LEAST_EVERY_S)
            await asyncio.sleep(pause_s)

    async def _look(self) -> None:
        # The one statement that is always short tells of a failover for all others.
        looking = ticks.find_due_ticks(self._pool)
        due = await answered(self._pool, looking, within_s=LOOK_TIMEOUT_S)
        for tick in due:
            self._begin(tick)
        is_held_up = self._meter.batches == self._batches_seen
        self._batches_seen = self._meter.batches
        self._drain.ring(at_once=DRAINS if is_held_up else 1)

    def _drain_with(self, context: Context, work: Work) -> Callable[[], Awaitable[None]]:
        async def drain() -> None:
            await self._tried(PROCESS_PAYMENT_EVENTS.function(context), work)

        return drain

    def _begin(self, tick: Tick) -> asyncio.Task[None] | None:
        task = self._jobs.get(tick.job)
        if task is None or tick in self._ticking or self._stopping.is_set():
            return None
        running = asyncio.get_running_loop().create_task(self._do(tick, task))
        self._ticking[tick] = running
        running.add_done_callback(lambda _: self._ticking.pop(tick, None))
        return running

    async def _do(self, tick: Tick, task: Task) -> None:
        with structlog.contextvars.bound_contextvars(job=tick.job, tick=tick.number):
            await self._tried(self._claim_and_run(tick, task), "jobs")

    async def _claim_and_run(self, tick: Tick, task: Task) -> None:
        attempt = await ticks.claim_tick(self._pool, tick)
        if attempt is None:
            return
        time_limit = asyncio.timeout(task.time_limit_ms / 1_000)
        try:
            async with (
                time_limit,
                ticks.hold_tick(
                    self._pool, tick, attempt=attempt, time_limit_ms=task.time_limit_ms
                ) as is_ours,
            ):
                if is_ours:
                    await task.function(self._context())
                    self._meter.forget_trouble(("job", tick.job))
        # The edge of the process for jobs: whatever one raises is recorded and tried again.
        except Exception as error:
            await expire_if_unfit(self._pool, error)
            self._meter.note_trouble(("job", tick.job), describe(error))
            will_pass = await is_passing(self._pool, error)
            # Of a lost connection the driver's own words tell which of its calls found out.
            words = describe(error) if is_transient(error) else f"{type(error).__name__}: {error}"
            reason = words[:ERROR_LENGTH]
            if will_pass:
                log.warning("job_interrupted", attempt=attempt, reason=reason)
            else:
                log.exception("job_failed", attempt=attempt)
            if await ticks.fail_tick(self._pool, tick, attempt=attempt, error=reason):
                # An outage asks for nobody: the job's next tick does the work.
                give_up = log.warning if will_pass and not time_limit.expired() else log.error
                give_up("job_given_up", attempts=attempt, error=reason)

    async def _end_ticks(self) -> None:
        running = list(self._ticking.values())
        if running:
            _, late = await asyncio.wait(running, timeout=GRACE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _keep_reporting(self) -> None:
        while True:
            await self._tried(self._report(), "reports")
            # The first answer is told at once, later ones with the next report.
            if self._answered.is_set():
                await asyncio.sleep(REPORT_EVERY_S)
            else:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._answered.wait(), REPORT_EVERY_S)

    async def _report(self) -> None:
        await answered(self._pool, self._reporting(), within_s=LOOK_TIMEOUT_S)

    def _reporting(self) -> Awaitable[None]:
        now = time.monotonic()
        return report_worker(
            self._pool,
            WorkerReport(
                worker=self.worker,
                uptime_s=now - self._started,
                doorbell_age_s=None if self._doorbell_at is None else now - self._doorbell_at,
                batches=self._meter.batches,
                events=self._meter.events,
                apply_ms_total=self._meter.apply_ms_total,
                apply_buckets=self._meter.apply_buckets,
                detail=work_detail(self._meter),
            ),
        )

    async def _tried(self, doing: Awaitable[object], work: Work) -> bool:
        """Await it; an error is logged and answered False, an outage logged once while it lasts."""
        try:
            await doing
        # The edge of the process: whatever it is, the next try may do.
        except Exception as error:  # noqa: BLE001
            self._meter.note_trouble(work, describe(error))
            await expire_if_unfit(self._pool, error)
            if not await is_passing(self._pool, error):
                self._interruptions.note_defect(work, error)
            else:
                self._interruptions.note_outage(work, describe(error), batches=self._meter.batches)
            return False
        self._meter.forget_trouble(work)
        self._interruptions.note_success(work, batches=self._meter.batches)
        self._note_scarcity()
        return True

    def _note_scarcity(self) -> None:
        """Say once that the database has few sessions for us, and once that it has more."""
        if self._is_scarce == are_sessions_scarce(self._pool):
            return
        self._is_scarce = not self._is_scarce
        if self._is_scarce:
            log.warning("sessions_scarce", then="work goes on, slowly: raise the server's limit")
        else:
            log.info("sessions_enough")


def work_detail(meter: Meter) -> WorkDetail:
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
    )
