"""Ticks: which run of a periodic job is due, which worker does it, and how it ended.

A tick is opened once, however many schedulers fire it, and only the worker that holds it does it.
When jobs are due is in schedules/, what they do in tasks/.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from db.connections.spare_session import execute_on_spare
from db.errors import ReadOnlyServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from db.connections.pool import Connection, Pool


# How long to wait for a second connection before the tick is kept without one of its own. The
# database may be in another region.
SPARE_WITHIN_S = 0.25
# A third of the time for which fleet.keep_tick keeps a tick.
KEEP_EVERY_S = 3.0


@dataclass(frozen=True, slots=True)
class Tick:
    """One run of a job."""

    job: str
    number: int


@dataclass(frozen=True, slots=True)
class ScheduleStatus:
    """A job of the timetable with its newest tick; `outcome` is None until the tick is finished."""

    job: str
    cadence_s: int
    fired_at: datetime
    missed_total: int
    failed_total: int
    tick: int | None
    enqueued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    attempts: int | None
    outcome: str | None
    last_error: str | None
    last_done_at: datetime | None


async def open_tick(
    database: Pool | Connection, job: str, *, every_s: int, offset_s: int
) -> list[Tick]:
    """Open the job's tick of this moment; return it, or no tick if it has been opened already."""
    rows = await database.fetch(
        "select tick from fleet.open_tick($1, $2, $3)", job, every_s, offset_s
    )
    return [Tick(job, row["tick"]) for row in rows]


async def find_due_ticks(database: Pool | Connection) -> list[Tick]:
    """Return the ticks that may be claimed: new, to be tried again, or left by a dead worker.

    Raises ReadOnlyServer if the server accepts no writes, for then none can be claimed.
    """
    rows = await database.fetch(
        "select due.job, due.tick, current_setting('transaction_read_only') = 'on' as is_read_only"
        " from (select) as one left join fleet.due_ticks() as due on true"
    )
    if rows[0]["is_read_only"]:
        raise ReadOnlyServer
    return [Tick(row["job"], row["tick"]) for row in rows if row["job"] is not None]


async def claim_tick(database: Pool | Connection, tick: Tick) -> int | None:
    """Count an attempt at the tick and return its number, or None if there is nothing to do.

    Call `hold_tick` within 5 s, or another worker may claim the tick.
    """
    attempt: int | None = await database.fetchval(
        "select fleet.claim_tick($1, $2)", tick.job, tick.number
    )
    return attempt


@asynccontextmanager
async def hold_tick(
    pool: Pool, tick: Tick, *, attempt: int, time_limit_ms: int, in_transaction: bool = True
) -> AsyncIterator[bool]:
    """Hold the claimed tick while its job runs in the block, and record it as done at its end.

    Yields False if another worker has taken the tick; the block must not do the job then. If the
    block raises, nothing is recorded: call `fail_tick` or `interrupt_tick`. While the job runs this
    holds one connection, with a lock on the tick's row, if the pool has another one for the job. If
    not, and if not `in_transaction`, it holds none, and extends the claim every KEEP_EVERY_S.
    """
    if not in_transaction:
        async with _kept(pool, tick, attempt) as is_kept:
            yield is_kept
        return
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            f"set local idle_in_transaction_session_timeout = {time_limit_ms + 5_000:d}"
        )
        is_ours: bool = await connection.fetchval(
            "select fleet.hold_tick($1, $2, $3)", tick.job, tick.number, attempt
        )
        if not is_ours:
            yield False
            return
        if await execute_on_spare(pool, "select", free_within_s=SPARE_WITHIN_S):
            yield True
            await connection.execute(_FINISH, tick.job, tick.number)
            return
    async with _kept(pool, tick, attempt) as is_ours:
        yield is_ours


_FINISH = "select fleet.finish_tick($1, $2)"


@asynccontextmanager
async def _kept(pool: Pool, tick: Tick, attempt: int) -> AsyncIterator[bool]:
    """Extend the claim while the block runs, then finish it, without holding a connection."""

    async def keep() -> bool:
        is_ours: bool = await pool.fetchval(
            "select fleet.keep_tick($1, $2, $3)", tick.job, tick.number, attempt
        )
        return is_ours

    async def keep_on() -> None:
        while True:
            await asyncio.sleep(KEEP_EVERY_S)
            # The next time is soon enough, and a job that runs twice at once does no harm.
            with suppress(Exception):
                await keep()

    is_ours = await keep()
    keeping = asyncio.create_task(keep_on())
    try:
        yield is_ours
        if is_ours:
            await pool.execute(_FINISH, tick.job, tick.number)
    finally:
        keeping.cancel()


async def fail_tick(database: Pool | Connection, tick: Tick, *, attempt: int, error: str) -> bool:
    """Record what an attempt raised; return whether the tick is given up."""
    given_up: bool = await database.fetchval(
        "select fleet.fail_tick($1, $2, $3, $4)", tick.job, tick.number, attempt, error
    )
    return given_up


async def interrupt_tick(
    database: Pool | Connection, tick: Tick, *, attempt: int, error: str
) -> None:
    """Record that something that passes stopped the attempt, which is not counted then."""
    await database.execute(
        "select fleet.interrupt_tick($1, $2, $3, $4)", tick.job, tick.number, attempt, error
    )


async def read_schedules(database: Pool | Connection) -> list[ScheduleStatus]:
    """Return each job that was ever fired, by name."""
    rows = await database.fetch("select * from fleet.schedule_statuses()")
    return [ScheduleStatus(**row) for row in rows]
