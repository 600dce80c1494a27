"""A clock that was ahead and is set right: ticks and processes don't wait for the old time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from db import housekeeping, ticks
from db.health.readiness import signs_of_life
from db.health.vital_signs import read_vital_signs
from db.health.workers import read_workers
from tests.db.books import NOON
from tests.db.clocks.ahead import AHEAD

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from tests.clusters import Database

OPEN = "select tick from fleet.add_tick('job', $1, 0, $2)"


async def fire(db: Connection, at: object, *, every_s: int = 10) -> list[int]:
    """Fire a job at a moment; return the ticks that were opened."""
    return [row["tick"] for row in await db.fetch(OPEN, every_s, at)]


async def done(db: Connection, tick: int, at: object) -> bool:
    """Claim the tick and finish it; return whether it could be claimed."""
    attempt = await db.fetchval("select fleet.claim_tick('job', $1, $2)", tick, at)
    if attempt:
        await db.execute("select fleet.finish_tick('job', $1, $2)", tick, at)
    return attempt is not None


@AHEAD
@pytest.mark.parametrize("every_s", [10, 60, 86_400])
async def test_a_tick_opens_at_its_time_after_one_of_a_clock_that_was_ahead(
    db: Connection, ahead: timedelta, every_s: int
) -> None:
    [early] = await fire(db, NOON + ahead, every_s=every_s)
    assert await done(db, early, NOON + ahead)
    opened: set[int] = set()
    for no in range(3):
        for tick in await fire(db, NOON + timedelta(seconds=no * every_s), every_s=every_s):
            opened.add(tick)
            assert await done(db, tick, NOON + timedelta(seconds=no * every_s))
    assert len(opened) >= 2
    assert max(opened) == int((NOON.timestamp() + 2 * every_s) // every_s)


@AHEAD
async def test_a_tick_that_was_opened_by_a_clock_ahead_is_done_at_once(
    db: Connection, ahead: timedelta
) -> None:
    [tick] = await fire(db, NOON + ahead)
    assert await fire(db, NOON) == [tick]
    assert [row["tick"] for row in await db.fetch("select * from fleet.due_ticks($1)", NOON)] == [
        tick
    ]
    assert await done(db, tick, NOON)
    assert await fire(db, NOON + timedelta(seconds=10)) == [
        int(NOON.timestamp()) // 10 + 1,
    ]


@AHEAD
async def test_a_tick_claimed_by_a_clock_ahead_is_claimed_again(
    db: Connection, ahead: timedelta
) -> None:
    [tick] = await fire(db, NOON + ahead)
    assert await db.fetchval("select fleet.claim_tick('job', $1, $2)", tick, NOON + ahead) == 1
    assert await db.fetchval("select fleet.claim_tick('job', $1, $2)", tick, NOON) == 2


async def test_a_claimed_tick_still_has_its_five_seconds(db: Connection) -> None:
    [tick] = await fire(db, NOON)
    assert await db.fetchval("select fleet.claim_tick('job', $1, $2)", tick, NOON) == 1
    assert await db.fetchval("select fleet.claim_tick('job', $1, $2)", tick, NOON) is None


@AHEAD
async def test_a_job_done_by_a_clock_ahead_counts_no_missed_tick(
    db: Connection, ahead: timedelta
) -> None:
    for at in (NOON + ahead, NOON + ahead + timedelta(seconds=10)):
        [tick] = await fire(db, at)
        assert await done(db, tick, at)
    await fire(db, NOON)
    assert await db.fetchval("select missed_total from fleet.schedules") == 0


@AHEAD
async def test_a_scheduler_that_fired_ahead_of_now_is_no_sign_of_life(
    db: Connection, database: Database, ahead: timedelta
) -> None:
    now = await db.fetchval("select clock_timestamp()")
    await ticks.open_tick(db, "job", every_s=10, offset_s=0)
    await db.execute("update fleet.schedules set fired_at = $1", now + ahead)
    await db.execute(
        "insert into fleet.worker_reports (worker, started_at, last_doorbell_at)"
        " values ('w', $1, $1)",
        now + ahead,
    )
    signs = await signs_of_life(database.url(), since=now)
    assert not signs.scheduler_fired
    assert not signs.worker_answered


@AHEAD
async def test_a_worker_that_reported_ahead_of_now_is_not_alive_and_is_forgotten(
    db: Connection, pool: Pool, ahead: timedelta
) -> None:
    await db.execute(
        "insert into fleet.worker_reports (worker, started_at, reported_at)"
        " values ('w', clock_timestamp(), clock_timestamp() + $1)",
        ahead,
    )
    assert [worker.is_alive for worker in await read_workers(pool)] == [False]
    await housekeeping.trim_history(pool)
    assert len(await read_workers(pool)) == (ahead < timedelta(hours=1))


@AHEAD
async def test_a_web_process_that_reported_ahead_of_now_is_not_alive_and_is_forgotten(
    db: Connection, pool: Pool, ahead: timedelta
) -> None:
    await db.execute(
        "insert into fleet.web_reports (web, started_at, reported_at, detail)"
        " select w, clock_timestamp(), clock_timestamp() + n * $1::interval, '{}'"
        " from unnest('{lives,ahead}'::text[], '{0,1}'::integer[]) as u (w, n)",
        ahead,
    )
    alive = "select web from fleet.web_statuses() where is_alive"
    assert await db.fetchval(alive) == "lives"
    await housekeeping.trim_history(pool)
    left = await db.fetchval("select count(*) from fleet.web_reports")
    assert left == 1 + (ahead < timedelta(hours=1))
    await db.execute("delete from fleet.web_reports where web = 'lives'")
    await housekeeping.trim_history(pool)
    assert await db.fetchval("select count(*) from fleet.web_reports") == left - 1


@AHEAD
@pytest.mark.parametrize(
    "write",
    [
        "insert into fleet.schedules (job, cadence_s, offset_s, fired_at) values ('job', 1, 0, $1)",
        "insert into fleet.worker_reports (worker, started_at, reported_at) values ('w', $1, $1)",
        (
            "insert into fleet.inbox_events (provider, provider_event_id, event_type,"
            " payload_sha256, received_at) values ('app', 'e', 't', '', $1)"
        ),
        (
            "insert into fleet.proofs (kind, violations, started_at, finished_at)"
            " values ('new', 0, $1, $1)"
        ),
    ],
)
async def test_the_vital_signs_say_how_far_stored_times_are_ahead(
    db: Connection, web_pool: Pool, ahead: timedelta, write: str
) -> None:
    assert (await read_vital_signs(web_pool, timeout_s=5)).clock_behind_s == 0
    await db.execute(write, await db.fetchval("select clock_timestamp()") + ahead)
    signs = await read_vital_signs(web_pool, timeout_s=5)
    assert ahead.total_seconds() - 60 < signs.clock_behind_s <= ahead.total_seconds()
