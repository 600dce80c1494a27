"""What stops a job: others, which is no failed attempt, or the job itself, which is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import asyncpg
import pytest

from db import ticks
from tasks.context import Meter
from tasks.task import Task
from workers.outage import Outage
from workers.running import ticks as running
from workers.running.attempts import Attempts

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool

# Often enough that a tick which counts them is given up.
TIMES = 4


async def run_a_job_that_raises(
    error: type[Exception],
    times: int,
    *,
    db: Connection,
    pools: tuple[Pool, Pool],
    monkeypatch: pytest.MonkeyPatch,
) -> str | None:
    """Run one tick of a job which raises so many times and then succeeds; return its outcome."""
    scheduler_pool, worker_pool = pools
    left = [error] * times

    async def job(_: object) -> None:
        if left:
            raise left.pop()

    task = Task(name="job", function=job, queue="clocks", time_limit_ms=10_000)
    monkeypatch.setattr(running, "TIMETABLE", [SimpleNamespace(name="job", task=task)])
    meter = Meter()
    attempts = Attempts(worker_pool, meter, Outage("database", then="it is tried again"))
    runs = running.Ticks(
        attempts, lambda: cast("Any", SimpleNamespace(pool=worker_pool, meter=meter))
    )
    [tick] = await ticks.open_tick(scheduler_pool, "job", every_s=86_400, offset_s=0)
    for _ in range(times + 1):
        # The pause after an attempt is over.
        await db.execute("update fleet.ticks set claimable_at = clock_timestamp()")
        begun = runs.begin(tick)
        assert begun is not None
        await begun
    outcome: str | None = await db.fetchval("select outcome from fleet.ticks")
    return outcome


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    "error",
    [
        asyncpg.LockNotAvailableError,
        asyncpg.DeadlockDetectedError,
        asyncpg.DiskFullError,
        asyncpg.ReadOnlySQLTransactionError,
    ],
)
async def test_a_daily_job_that_others_stop_is_done_once_they_are_gone(
    error: type[Exception],
    db: Connection,
    scheduler_pool: Pool,
    worker_pool: Pool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pools = (scheduler_pool, worker_pool)
    outcome = await run_a_job_that_raises(error, TIMES, db=db, pools=pools, monkeypatch=monkeypatch)
    assert outcome == "done"
    assert await db.fetchval("select failed_total from fleet.schedules") == 0


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    "error",
    [
        asyncpg.ConnectionDoesNotExistError,
        asyncpg.CrashShutdownError,
        asyncpg.QueryCanceledError,
        ZeroDivisionError,
    ],
)
async def test_a_job_that_may_have_ended_its_own_session_is_given_up_after_three_attempts(
    error: type[Exception],
    db: Connection,
    scheduler_pool: Pool,
    worker_pool: Pool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pools = (scheduler_pool, worker_pool)
    outcome = await run_a_job_that_raises(error, TIMES, db=db, pools=pools, monkeypatch=monkeypatch)
    assert outcome == "failed"
