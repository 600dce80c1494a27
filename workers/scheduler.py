"""scheduler: the process that fires the timetable (`python -m workers.scheduler`).

PostgreSQL decides what is due, so any number of schedulers may run. It does no work of a task.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from db.connections.pool import Pool, answered, expire_if_unfit, open_pool
from db.errors import describe
from db.health.readiness import is_passing
from db.ticks import open_tick
from schedules.timetable import TIMETABLE, Schedule
from tasks import PROCESS_PAYMENT_EVENTS
from workers.logs import configure_logging
from workers.outage import Outage
from workers.processes import SCHEDULER
from workers.queue.doorbell import Bell
from workers.running.start_check import check_at_start
from workers.settings import load_settings
from workers.signals import start_signals
from workers.termination import Termination, end_process

if TYPE_CHECKING:
    from workers.settings import Settings

log = structlog.get_logger(__name__)

# A job with a longer cadence is fired this often, too. To fire an open tick changes nothing, and a
# tick whose time came while the database was unreachable is then at most a minute late.
FIRE_EVERY_S_MAX = 60
# How soon it is seen that this machine's clock was set back.
CLOCK_EVERY_S = 1.0
CLOCK_TOLERANCE = timedelta(seconds=1)
POOL_SIZE = 4
FIRE_TIMEOUT_S = 8.0
CLOSE_TIMEOUT_S = 2.0
DEADLINE_S = 9.0
# The one kind of work that an outage stops here.
FIRING = "firing"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Firing:
    """Opens the tick of a schedule and rings a worker for it."""

    def __init__(self, pool: Pool, bell: Bell, outage: Outage) -> None:
        self._pool = pool
        self._bell = bell
        self._outage = outage

    async def fire(self, schedule: Schedule) -> None:
        """Open the tick of this time, and ring for each tick that is due. Never raises."""
        try:
            opening = open_tick(
                self._pool, schedule.name, every_s=schedule.every_s, offset_s=schedule.offset_s
            )
            due = await answered(self._pool, opening, within_s=FIRE_TIMEOUT_S)
        # A failure must not end the process: the next firing does what this one could not.
        except Exception as error:  # noqa: BLE001
            await expire_if_unfit(self._pool, error)
            await self._note_failure(schedule, error)
            return
        self._outage.end()
        for tick in due:
            await asyncio.to_thread(self._bell.ring, schedule.task, tick.job, tick.number)

    async def wake_workers(self) -> None:
        """Ring for payment events, which may have come while no process could ring."""
        await asyncio.to_thread(self._bell.ring, PROCESS_PAYMENT_EVENTS)

    async def _note_failure(self, schedule: Schedule, error: Exception) -> None:
        if not await is_passing(self._pool, error):
            log.error("tick_not_opened", job=schedule.name, exc_info=error)
        else:
            self._outage.begin(FIRING, reason=describe(error))


async def run(settings: Settings, termination: Termination) -> int:
    """Fire the timetable until asked to stop; return the exit code."""
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    termination.when_requested(lambda: loop.call_soon_threadsafe(asked_to_stop.set))
    firing = asyncio.create_task(_fire_forever(settings))
    ending = asyncio.create_task(asked_to_stop.wait())
    await asyncio.wait({firing, ending}, return_when=asyncio.FIRST_COMPLETED)
    if not firing.done():
        firing.cancel()
    ending.cancel()
    try:
        await firing
    except asyncio.CancelledError:
        log.info("scheduler_stopped")
        return 0
    # What waiting does not cure: a wrong password, no such database.
    except Exception as error:  # noqa: BLE001
        log.error("scheduler_not_started", reason=f"{type(error).__name__}: {error}")  # noqa: TRY400
    return 1


async def _fire_forever(settings: Settings) -> None:
    assert settings.queue_url is not None  # noqa: S101 - load_settings asks for it
    async with AsyncExitStack() as closing:
        url = settings.url_for(SCHEDULER)
        pool = await open_pool(
            url,
            application_name=SCHEDULER.application_name,
            min_size=0,
            max_size=POOL_SIZE,
        )
        closing.callback(pool.terminate)
        bell = Bell(settings.queue_url)
        closing.callback(bell.close)
        outage = Outage("database", then="each job is fired again at its next time")
        await check_at_start(pool, SCHEDULER, url=url, outage=outage, work=FIRING)
        firing = Firing(pool, bell, outage)
        scheduler = _make_scheduler(firing)
        closing.callback(scheduler.shutdown, wait=False)
        scheduler.start()
        log.info("scheduler_started", schedules=len(TIMETABLE))
        await firing.wake_workers()
        await _keep_cadence(scheduler)


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    """Keep cancelled jobs out of the log: they didn't fail, the process is stopping."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def _make_scheduler(firing: Firing) -> AsyncIOScheduler:
    """Return a scheduler in which each job fires at once, and then at the time of each tick."""
    logging.getLogger("apscheduler.executors.default").addFilter(_is_no_cancellation)
    scheduler = AsyncIOScheduler(
        timezone=UTC,
        # A job that is late still fires, once however many times it missed.
        job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
    )
    for schedule in TIMETABLE:
        scheduler.add_job(firing.fire, args=[schedule], id=f"{schedule.name} at start")
        scheduler.add_job(firing.fire, _times_of(schedule), args=[schedule], id=schedule.name)
    return scheduler


async def _keep_cadence(scheduler: AsyncIOScheduler) -> None:
    """Fire on at each job's cadence after this machine's clock was set back."""
    while True:
        await asyncio.sleep(CLOCK_EVERY_S)
        if late := _fire_sooner(scheduler):
            log.warning("clock_set_back", jobs=late, then="each is fired at its next time by now")


def _fire_sooner(scheduler: AsyncIOScheduler) -> int:
    """Set anew the time of each job that would be fired later than its cadence; return how many.

    A clock that was ahead set such a time: the scheduler would sleep until it is reached again.
    """
    late = 0
    for schedule in TIMETABLE:
        times = _times_of(schedule)
        next_at = scheduler.get_job(schedule.name).next_run_time
        if next_at - datetime.now(UTC) > times.interval + CLOCK_TOLERANCE:
            scheduler.reschedule_job(schedule.name, trigger=times)
            late += 1
    return late


def _times_of(schedule: Schedule) -> IntervalTrigger:
    return IntervalTrigger(
        seconds=min(schedule.every_s, FIRE_EVERY_S_MAX),
        start_date=EPOCH + timedelta(seconds=schedule.offset_s),
        timezone=UTC,
    )


def main() -> None:
    """Fire the timetable until a signal stops the process."""
    termination = Termination(deadline_s=DEADLINE_S)
    settings = load_settings(SCHEDULER)
    configure_logging(settings.log_format)
    start_signals(settings, SCHEDULER)
    end_process(asyncio.run(run(settings, termination)))


if __name__ == "__main__":
    main()
