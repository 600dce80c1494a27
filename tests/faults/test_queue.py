"""The queue emptied, killed and frozen under load: only time is lost, for it holds no events."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
import redis

from schedules.timetable import TIMETABLE
from tests.conditions import eventually
from tests.faults.fleets import SCHEDULER, WORKER
from tests.faults.loads import loaded
from tests.faults.shop import deliver, sign_up, states
from tests.journeys.fleet_run import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from db.connections.pool import Connection
    from tests.faults.fleets import Fleet
    from tests.faults.loads import Load
    from tests.faults.shop import Purchase
    from workers.embedded import EmbeddedValkey

pytestmark = pytest.mark.faults


@contextmanager
def frozen(server: EmbeddedValkey) -> Iterator[None]:
    """Freeze the queue while the block runs."""
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


async def applied_events(db: Connection) -> int:
    """How many events are applied."""
    number: int = await db.fetchval(
        "select count(*) from fleet.inbox_events where state = 'applied'"
    )
    return number


async def work_goes_on(db: Connection, load: Load) -> None:
    """Wait until more events than now are acknowledged, and more are applied."""
    before = await applied_events(db)
    await load.wait_for_more(50)

    async def is_further() -> bool:
        return await applied_events(db) > before

    await eventually(is_further)


async def every_job_ran(db: Connection) -> None:
    """Wait until each schedule's first tick is done."""

    async def ran() -> bool:
        done: int = await db.fetchval(
            "select count(distinct job) from fleet.ticks where outcome = 'done'"
        )
        return done == len(TIMETABLE)

    await eventually(ran)


async def a_doorbell_is_answered(db: Connection, port: int) -> None:
    """Deliver purchases until a worker has taken a message off the queue after this moment.

    One is not enough: its message may be answered before the moment is known, or be lost.
    """
    begin = await db.fetchval("select clock_timestamp()")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:

        async def is_answered() -> bool:
            await deliver(client, await sign_up(db, 1))
            answered: bool = await db.fetchval(
                "select coalesce(max(last_doorbell_at) > $1, false) from fleet.worker_reports",
                begin,
            )
            return answered

        await eventually(is_answered, poll_s=0.2)


async def test_a_queue_that_is_emptied_frozen_and_killed_under_load_loses_nothing(
    fleet: Fleet, db: Connection, valkey_server: EmbeddedValkey
) -> None:
    port = free_port()
    web = await fleet.start_web(port)
    worker = await fleet.start(WORKER)
    async with loaded(fleet.database.url(), port, events=400) as load:
        with redis.Redis.from_url(valkey_server.url) as client:
            for _ in range(5):
                client.flushall()
                await load.wait_for_more(10)
        with frozen(valkey_server):
            await work_goes_on(db, load)
        valkey_server.kill()
        await work_goes_on(db, load)
        valkey_server.start()
        await load.finish()
    # The worker's threads have found the queue again.
    await a_doorbell_is_answered(db, port)
    for process in (web, worker):
        process.signal()
        assert await process.ended() == 0
        assert '"level": "error"' not in process.text


@pytest.mark.long
async def test_a_frozen_queue_delays_nobody(
    fleet: Fleet, db: Connection, valkey_server: EmbeddedValkey
) -> None:
    port = free_port()
    await fleet.start_web(port)
    purchases = await sign_up(db, 20)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        with frozen(valkey_server):
            # The first ring waits for the queue on its thread. So does the first probe after the
            # time for which an answer is kept.
            await deliver(client, purchases)
            away = {"ready": True, "database": "current", "queue": "unreachable"}
            await eventually(lambda: says(client, away))
            await fleet.start(WORKER)
            await fleet.start(SCHEDULER)
            await eventually(lambda: all_are_applied(db, purchases))
            await every_job_ran(db)


async def says(client: httpx.AsyncClient, readiness: object) -> bool:
    """Whether `/readyz` answers with this."""
    return bool((await client.get("/readyz")).json() == readiness)


async def all_are_applied(db: Connection, purchases: Sequence[Purchase]) -> bool:
    """Whether each event is applied."""
    return set(await states(db, purchases)) == {"applied"}
