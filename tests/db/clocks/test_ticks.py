"""Ticks: opened once, done once, tried again a few times, and counted if they were missed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg
import pytest

from db import ticks
from db.release.schema import expected
from db.ticks import Tick
from tests.conditions import eventually

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from tests.conftest import Connect

# At this moment both a tick of ten seconds and one of a day begin.
MIDNIGHT = datetime(2026, 5, 4, tzinfo=UTC)
EVERY_S = 10
FIRST = int(MIDNIGHT.timestamp()) // EVERY_S


def at(seconds: float) -> datetime:
    """The time so many seconds after midnight."""
    return MIDNIGHT + timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class Clock:
    """The SQL functions of ticks, at moments that the test chooses."""

    db: Connection

    async def fire(self, second: float, *, every_s: int = EVERY_S, offset_s: int = 0) -> list[int]:
        rows = await self.db.fetch(
            "select tick from fleet.add_tick('job', $1, $2, $3)", every_s, offset_s, at(second)
        )
        return [row["tick"] for row in rows]

    async def claim(self, second: float, tick: int = FIRST) -> int | None:
        attempt: int | None = await self.db.fetchval(
            "select fleet.claim_tick('job', $1, $2)", tick, at(second)
        )
        return attempt

    async def finish(self, second: float, tick: int = FIRST) -> None:
        await self.db.execute("select fleet.finish_tick('job', $1, $2)", tick, at(second))

    async def fail(self, second: float, attempt: int, error: str = "boom") -> bool:
        given_up: bool = await self.db.fetchval(
            "select fleet.fail_tick('job', $1, $2, $3, $4)", FIRST, attempt, error, at(second)
        )
        return given_up

    async def interrupt(self, second: float, attempt: int) -> bool | None:
        is_ours: bool | None = await self.db.fetchval(
            "select fleet.interrupt_tick('job', $1, $2, 'a lock', $3)", FIRST, attempt, at(second)
        )
        return is_ours

    async def due(self, second: float) -> list[int]:
        rows = await self.db.fetch("select tick from fleet.due_ticks($1)", at(second))
        return [row["tick"] for row in rows]

    async def row(self) -> asyncpg.Record:
        row = await self.db.fetchrow("select * from fleet.ticks order by tick desc limit 1")
        assert row is not None
        return row


@pytest.fixture
def clock(db: Connection) -> Clock:
    """The test's clock."""
    return Clock(db)


async def test_a_tick_is_opened_once_however_often_it_is_fired(clock: Clock) -> None:
    assert await clock.fire(0) == [FIRST]
    await clock.claim(0)
    await clock.finish(1)
    assert await clock.fire(1) == []
    assert await clock.fire(9.4) == []
    assert await clock.db.fetchval("select count(*) from fleet.ticks") == 1


async def test_schedulers_that_fire_at_the_same_moment_open_one_tick(
    db: Connection, scheduler_pool: Pool
) -> None:
    await asyncio.gather(
        *(ticks.open_tick(scheduler_pool, "job", every_s=86_400, offset_s=0) for _ in range(8))
    )
    assert await db.fetchval("select count(*) from fleet.ticks") == 1


async def test_the_next_tick_is_opened_when_its_time_has_come(clock: Clock) -> None:
    await clock.fire(0)
    await clock.finish(1)
    assert await clock.fire(10) == [FIRST + 1]


async def test_a_scheduler_half_a_second_ahead_of_the_database_is_on_time(clock: Clock) -> None:
    assert await clock.fire(-0.4) == [FIRST]


async def test_ticks_of_a_day_begin_at_the_offset(clock: Clock) -> None:
    day = int(MIDNIGHT.timestamp()) // 86_400
    three_oclock = 3 * 3_600
    assert await clock.fire(three_oclock - 60, every_s=86_400, offset_s=three_oclock) == [day - 1]
    await clock.finish(three_oclock - 59, tick=day - 1)
    assert await clock.fire(three_oclock, every_s=86_400, offset_s=three_oclock) == [day]


async def test_ticks_that_nobody_fired_are_counted_and_run_once(clock: Clock) -> None:
    await clock.fire(0)
    await clock.finish(1)
    assert await clock.fire(50) == [FIRST + 5]
    assert (await clock.row())["missed"] == 4
    assert await clock.db.fetchval("select missed_total from fleet.schedules") == 4


async def test_a_job_is_not_opened_again_while_its_last_tick_is_to_do(clock: Clock) -> None:
    await clock.fire(0)
    assert await clock.fire(30) == [FIRST]
    await clock.finish(31)
    assert await clock.fire(32) == [FIRST + 3]
    assert (await clock.row())["missed"] == 2


async def test_a_changed_cadence_starts_anew_and_misses_nothing(clock: Clock) -> None:
    await clock.fire(0)
    await clock.finish(1)
    assert await clock.fire(2, every_s=5) == [2 * FIRST]
    assert (await clock.row())["missed"] == 0


async def test_a_tick_is_claimed_by_one_worker_only(clock: Clock) -> None:
    await clock.fire(0)
    assert await clock.claim(0) == 1
    assert await clock.claim(1) is None


async def test_workers_that_claim_at_the_same_moment_do_a_tick_once(
    scheduler_pool: Pool, worker_pool: Pool
) -> None:
    [tick] = await ticks.open_tick(scheduler_pool, "job", every_s=86_400, offset_s=0)
    claims = await asyncio.gather(*(ticks.claim_tick(worker_pool, tick) for _ in range(8)))
    assert sorted(claim for claim in claims if claim) == [1]


async def test_a_tick_that_is_done_is_never_done_again(clock: Clock) -> None:
    await clock.fire(0)
    await clock.claim(0)
    await clock.finish(1)
    assert await clock.claim(100) is None
    assert await clock.due(100) == []


async def test_a_held_tick_is_not_claimed_however_long_its_job_takes(
    clock: Clock, connect: Connect
) -> None:
    await clock.fire(0)
    await clock.claim(0)
    working = await connect("worker")
    async with working.transaction():
        assert await working.fetchval("select fleet.hold_tick('job', $1, 1)", FIRST)
        assert await clock.claim(3_600) is None


async def test_a_tick_whose_worker_died_is_claimed_again(clock: Clock, connect: Connect) -> None:
    await clock.fire(0)
    await clock.claim(0)
    dying = await connect("worker")
    transaction = dying.transaction()
    await transaction.start()
    await dying.fetchval("select fleet.hold_tick('job', $1, 1)", FIRST)
    dying.terminate()
    assert await clock.due(6) == [FIRST]

    async def is_claimed_again() -> bool:
        return await clock.claim(6) == 2

    await eventually(is_claimed_again)


async def test_a_claim_that_was_overtaken_does_not_hold(clock: Clock) -> None:
    await clock.fire(0)
    await clock.claim(0)
    await clock.claim(6)
    assert not await clock.db.fetchval("select fleet.hold_tick('job', $1, 1)", FIRST)


async def test_a_tick_that_raised_says_why_and_is_tried_again_after_a_pause(clock: Clock) -> None:
    await clock.fire(0)
    await clock.claim(0)
    assert not await clock.fail(1, attempt=1)
    assert (await clock.row())["last_error"] == "boom"
    assert await clock.due(2) == []
    assert await clock.due(3) == [FIRST]
    assert await clock.fire(3) == [FIRST]
    assert await clock.claim(3) == 2


async def test_the_third_attempt_that_raises_is_the_last(clock: Clock) -> None:
    await clock.fire(0)
    for attempt in (1, 2):
        await clock.claim(100 * attempt)
        assert not await clock.fail(100 * attempt, attempt=attempt)
    await clock.claim(300)
    assert await clock.fail(300, attempt=3)
    row = await clock.row()
    assert (row["outcome"], row["attempts"], row["last_error"]) == ("failed", 3, "boom")
    assert await clock.db.fetchval("select failed_total from fleet.schedules") == 1


async def test_a_tick_that_kills_three_workers_is_given_up(clock: Clock) -> None:
    await clock.fire(0)
    for attempt in (1, 2, 3):
        assert await clock.claim(100 * attempt) == attempt
    assert await clock.claim(400) is None
    row = await clock.row()
    assert (row["outcome"], row["last_error"]) == ("failed", "no worker lived to finish it")


async def test_a_late_failure_does_not_touch_a_later_attempt(clock: Clock) -> None:
    await clock.fire(0)
    await clock.claim(0)
    await clock.claim(6)
    await clock.fail(7, attempt=1)
    assert (await clock.row())["last_error"] is None


async def test_an_interrupted_attempt_is_taken_back_and_the_tick_due_5_s_later(
    clock: Clock,
) -> None:
    await clock.fire(0)
    for second in range(0, 60, 6):
        assert await clock.claim(second) == 1
        assert await clock.interrupt(second + 0.5, attempt=1)
        assert await clock.due(second + 5.4) == []
        assert await clock.due(second + 5.5) == [FIRST]
    row = await clock.row()
    assert (row["attempts"], row["outcome"], row["last_error"]) == (0, None, "a lock")


async def test_an_attempt_that_another_worker_follows_takes_nothing_back(clock: Clock) -> None:
    await clock.fire(0)
    await clock.claim(0)
    await clock.claim(6)
    assert await clock.interrupt(7, attempt=1) is None
    assert (await clock.row())["attempts"] == 2


async def test_holding_a_tick_to_the_end_records_it_as_done(
    scheduler_pool: Pool, worker_pool: Pool, db: Connection
) -> None:
    [tick] = await ticks.open_tick(scheduler_pool, "job", every_s=10, offset_s=0)
    assert await ticks.claim_tick(worker_pool, tick) == 1
    async with ticks.hold_tick(worker_pool, tick, attempt=1, time_limit_ms=1_000) as is_ours:
        assert is_ours
        assert await db.fetchval("select outcome from fleet.ticks") is None
    assert await db.fetchval("select outcome from fleet.ticks") == "done"


async def test_a_job_that_raises_while_held_is_not_done(
    scheduler_pool: Pool, worker_pool: Pool, db: Connection
) -> None:
    [tick] = await ticks.open_tick(scheduler_pool, "job", every_s=10, offset_s=0)
    await ticks.claim_tick(worker_pool, tick)
    with pytest.raises(ZeroDivisionError):
        async with ticks.hold_tick(worker_pool, tick, attempt=1, time_limit_ms=1_000):
            raise ZeroDivisionError
    assert await db.fetchval("select outcome from fleet.ticks") is None


async def test_a_job_that_waits_for_others_is_held_while_no_transaction_is_open(
    clock: Clock, worker_pool: Pool
) -> None:
    await clock.fire(0)
    tick = Tick("job", FIRST)
    open_transactions = (
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and xact_start is not null and pid <> pg_backend_pid()"
    )
    for attempt, is_done in ((1, False), (2, True)):
        assert await clock.db.fetchval("select fleet.claim_tick('job', $1)", FIRST) == attempt
        with suppress(LookupError):
            async with ticks.hold_tick(
                worker_pool, tick, attempt=attempt, time_limit_ms=1_000, in_transaction=False
            ) as is_ours:
                assert is_ours
                assert await clock.db.fetchval(open_transactions) == 0
                assert await clock.db.fetchval("select fleet.claim_tick('job', $1)", FIRST) is None
                if not is_done:
                    raise LookupError
        (status,) = await ticks.read_schedules(clock.db)
        assert (status.outcome == "done") == is_done
        await clock.db.execute("update fleet.ticks set claimable_at = now()")


async def test_the_status_of_a_schedule_is_that_of_its_newest_tick(
    clock: Clock, pool: Pool
) -> None:
    await clock.fire(0)
    await clock.finish(1)
    await clock.fire(10)
    [schedule] = await ticks.read_schedules(pool)
    assert (schedule.job, schedule.tick, schedule.finished_at) == ("job", FIRST + 1, None)
    assert schedule.last_done_at == at(1)


@pytest.mark.parametrize("login", ["web", "scheduler"])
async def test_only_workers_claim_ticks(connect: Connect, login: str) -> None:
    process = await connect(login)  # type: ignore[arg-type]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await ticks.claim_tick(process, Tick("job", 1))


OPEN = "select tick from fleet.open_tick($1, $2, $3)"
(NEW,) = (file.sql for file in expected() if file.name == "fleet.open_tick")


async def test_a_scheduler_cannot_say_when_it_is(connect: Connect) -> None:
    scheduler = await connect("scheduler")
    for sql in (
        "select fleet.open_tick('job', 10, 0, '2999-01-01')",
        "select fleet.open_tick('job', 10, p_now => '2999-01-01')",
    ):
        with pytest.raises(asyncpg.UndefinedFunctionError):
            await scheduler.execute(sql)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await scheduler.execute("select fleet.add_tick('job', 10, 0, '2999-01-01')")


async def test_a_scheduler_of_the_last_release_goes_on_while_the_signature_changes(
    db: Connection, connect: Connect
) -> None:
    async with db.transaction():
        await db.execute(
            """
            drop function fleet.open_tick(text, integer, integer);
            create function fleet.open_tick(
                p_job text, p_cadence_s integer, p_offset_s integer default 0,
                p_now timestamptz default null
            ) returns table (tick bigint) language sql security definer
            as 'select * from fleet.add_tick($1, $2, $3, $4)';
            grant execute on function fleet.open_tick(text, integer, integer, timestamptz)
            to coinfleet_scheduler;
            """
        )
    scheduler = await connect("scheduler")
    statement = await scheduler.prepare(OPEN)
    [tick] = await statement.fetch("job", 86_400, 0)
    # What a release does with one file, without the policies that come at its end.
    async with db.transaction():
        await db.execute(NEW)
    assert await statement.fetch("job", 86_400, 0) == [tick]
    assert await db.fetchval("select count(*) from pg_proc where proname = 'open_tick'") == 1


async def test_only_schedulers_open_ticks(worker_pool: Pool) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await ticks.open_tick(worker_pool, "job", every_s=10, offset_s=0)
