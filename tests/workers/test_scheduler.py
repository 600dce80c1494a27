"""The scheduler: each tick is fired once, however many schedulers run."""

from __future__ import annotations

import asyncio
import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import redis

from schedules.timetable import TIMETABLE
from tests.conditions import eventually
from workers.scheduler import FIRE_EVERY_S_MAX, Firing, _fire_sooner, _make_scheduler

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from schedules.timetable import Schedule
    from tests.clusters import Database
    from tests.servers.gate import Gate
    from tests.workers.conftest import Run

SCHEDULER = "workers.scheduler"
NOWHERE = "redis://127.0.0.1:1"
JOBS = {schedule.name for schedule in TIMETABLE}


async def every_job_is_open(db: Connection) -> bool:
    """Return whether each schedule has a tick."""
    return {row["job"] for row in await db.fetch("select job from fleet.ticks")} == JOBS


async def test_a_scheduler_fires_each_job_at_once(run: Run, db: Connection) -> None:
    await run(SCHEDULER)
    await eventually(lambda: every_job_is_open(db))


async def test_a_scheduler_rings_workers_for_what_is_due(
    run: Run, db: Connection, redis_url: str
) -> None:
    await run(SCHEDULER)
    with redis.Redis.from_url(redis_url) as queue:

        async def both_queues_have_messages() -> bool:
            return bool(queue.llen("dramatiq:clocks") and queue.llen("dramatiq:payments"))

        await eventually(both_queues_have_messages)


async def test_two_schedulers_open_each_tick_once(run: Run, db: Connection) -> None:
    both = [await run(SCHEDULER) for _ in range(2)]
    for scheduler in both:
        await scheduler.said("scheduler_started")
    await eventually(lambda: every_job_is_open(db))
    assert await db.fetchval("select count(*) from fleet.ticks") == len(JOBS)


class Silent(Firing):
    """Fires nothing."""

    def __init__(self) -> None:
        pass

    async def fire(self, schedule: Schedule) -> None:
        pass


@pytest.mark.parametrize(
    "back", [timedelta(seconds=62), timedelta(minutes=20), timedelta(days=2)], ids=str
)
async def test_a_clock_that_was_set_back_delays_no_firing(back: timedelta) -> None:
    scheduler = _make_scheduler(Silent())
    scheduler.start(paused=True)
    try:
        assert _fire_sooner(scheduler) == 0
        right = {job.id: job.next_run_time for job in scheduler.get_jobs()}
        for name in JOBS:
            scheduler.modify_job(name, next_run_time=right[name] + back)
        assert _fire_sooner(scheduler) == len(JOBS)
        assert _fire_sooner(scheduler) == 0
        for schedule in TIMETABLE:
            every_s = min(schedule.every_s, FIRE_EVERY_S_MAX)
            next_at = scheduler.get_job(schedule.name).next_run_time
            assert next_at - datetime.now(UTC) <= timedelta(seconds=every_s)
            # Still at the time of a tick.
            assert (next_at - right[schedule.name]).total_seconds() % every_s == 0
    finally:
        scheduler.shutdown(wait=False)


@pytest.mark.long
async def test_two_schedulers_and_two_workers_run_each_tick_once(run: Run, db: Connection) -> None:
    for module in (SCHEDULER, SCHEDULER, "workers.consumer", "workers.consumer"):
        await run(module)

    async def publish_state_ran_twice() -> bool:
        done: int = await db.fetchval(
            "select count(*) from fleet.ticks where job = 'publish_state' and outcome = 'done'"
        )
        return done >= 2

    await eventually(publish_state_ran_twice)
    assert await db.fetchval("select max(attempts) from fleet.ticks") == 1


@pytest.mark.long
async def test_a_scheduler_opens_ticks_without_a_queue(run: Run, db: Connection) -> None:
    scheduler = await run(SCHEDULER, REDIS_URL=NOWHERE)
    await eventually(lambda: every_job_is_open(db))
    await scheduler.said("queue_unreachable")


async def test_a_scheduler_started_before_its_database_waits_for_it(
    run: Run, db: Connection, database: Database, database_gate: Gate
) -> None:
    address = database_gate.url.replace("coinfleet_worker", "coinfleet_scheduler")
    scheduler = await run(SCHEDULER, SCHEDULER_DATABASE_URL=address)
    await scheduler.said("database_unreachable")
    await database_gate.open()
    await eventually(lambda: db.fetchval("select exists (select from fleet.ticks)"))
    await scheduler.said("database_back")


@pytest.mark.long
async def test_a_scheduler_stops_cleanly_however_many_signals_come(run: Run) -> None:
    scheduler = await run(SCHEDULER)
    await scheduler.said("scheduler_started")
    for signum in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
        scheduler.signal(signum)
    assert await scheduler.ended() == 0


@pytest.mark.long
async def test_a_job_that_runs_while_a_scheduler_stops_is_no_error(
    run: Run, database_gate: Gate
) -> None:
    address = database_gate.url.replace("coinfleet_worker", "coinfleet_scheduler")
    await database_gate.open()
    scheduler = await run(SCHEDULER, SCHEDULER_DATABASE_URL=address)
    await scheduler.said("scheduler_started")
    scheduler.signal()
    assert await scheduler.ended() == 0
    assert "Traceback" not in scheduler.text
    assert "CancelledError" not in scheduler.text


async def test_a_cancelled_job_is_not_logged_and_a_failed_one_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    firing = asyncio.Event()

    class Hanging(Firing):
        async def fire(self, schedule: Schedule) -> None:
            if schedule.name == "publish_state":
                raise ZeroDivisionError
            firing.set()
            await asyncio.Event().wait()

    scheduler = _make_scheduler(Hanging(None, None, None))  # type: ignore[arg-type]
    scheduler.start()
    await firing.wait()
    scheduler.shutdown(wait=False)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    errors = [record.exc_info[0] for record in caplog.records if record.exc_info]
    assert set(errors) == {ZeroDivisionError}


@pytest.mark.long
async def test_sigterm_ends_a_scheduler_whose_servers_were_never_reachable(run: Run) -> None:
    scheduler = await run(
        SCHEDULER,
        SCHEDULER_DATABASE_URL="postgresql://coinfleet_scheduler@127.0.0.1:1/coinfleet",
        REDIS_URL=NOWHERE,
    )
    await scheduler.said("scheduler_started")
    scheduler.signal()
    assert await scheduler.ended() == 0


@pytest.mark.long
async def test_sigterm_ends_a_scheduler_that_waits_for_a_frozen_database(
    run: Run, database_gate: Gate
) -> None:
    await database_gate.freeze()
    scheduler = await run(SCHEDULER, SCHEDULER_DATABASE_URL=database_gate.url)
    scheduler.signal(signal.SIGCONT)
    await scheduler.said("database_unreachable")
    scheduler.signal()
    assert await scheduler.ended() == 0


async def test_a_scheduler_ends_if_its_database_refuses_it(
    run: Run, environment: dict[str, str]
) -> None:
    wrong = environment["SCHEDULER_DATABASE_URL"].replace(":test@", ":wrong@")
    scheduler = await run(SCHEDULER, SCHEDULER_DATABASE_URL=wrong)
    assert await scheduler.ended() == 1
    assert "scheduler_not_started" in scheduler.text
