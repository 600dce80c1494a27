"""A server that takes no writes, and then takes them again: no process keeps an old connection."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from db import ticks
from db.connections.pool import open_pool
from db.errors import DatabaseUnavailable
from db.facts import Verdict
from db.inbox.arrivals import Arrival, store_arrivals
from db.inbox.claims import Inbox
from schedules.timetable import TIMETABLE
from tasks.context import Meter
from tests.clusters import PASSWORD
from tests.conditions import eventually
from tests.tasks.contexts import make_context
from tests.workers.receiving.serving import a_purchase, inbox, serving
from workers.outage import Outage
from workers.running.attempts import Attempts
from workers.running.ticks import Ticks
from workers.scheduler import Firing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from db.connections.pool import Connection, Pool
    from tests.clusters import Database
    from tests.conftest import Connect
    from tests.workers.conftest import Run
    from workers.queue.doorbell import Bell

# Of a server that writes again; it takes some seconds.
BACK_WITHIN_S = 30
# Returns whether no session of a worker is left, and ends those that are between statements.
END_IDLE_SESSIONS = """
select coalesce(
    bool_and(case when state = 'idle' then pg_terminate_backend(pid, 5000) else false end), true
)
from pg_stat_activity
where datname = current_database() and usename = 'coinfleet_worker'
"""


@asynccontextmanager
async def read_only(connect: Connect, database: Database) -> AsyncIterator[None]:
    """A connection that is opened in this block can write nothing, for as long as it is kept."""
    superuser = await connect("superuser")
    setting = f"alter database {database.name}"
    await superuser.execute(f"{setting} set default_transaction_read_only = on")
    yield
    await superuser.execute(f"{setting} reset default_transaction_read_only")


def warnings(text: str) -> list[str]:
    """The events that a process logged above the level of information."""
    lines = [json.loads(line) for line in text.splitlines()]
    return [line["event"] for line in lines if line["level"] != "info"]


EVENT = Arrival("stripe", "evt_1", "customer.created", b"{}", b"0")
JOB = next(each for each in TIMETABLE if each.name == "publish_state")
OUTAGE = Outage("database", then="it is tried again")


async def store(pool: Pool) -> bool:
    """Store another event, as a receiver does; return whether that succeeded."""
    try:
        return bool(await store_arrivals(pool, [replace(EVENT, provider_event_id="evt_2")]))
    except DatabaseUnavailable:
        return False


async def apply(pool: Pool) -> bool:
    """Apply a batch, as a worker does; return whether that succeeded."""
    ignored = Verdict(state="ignored", reason="not_ours")
    try:
        batch = await Inbox(pool, worker="test").process_batch(lambda _: ignored, limit=1)
    except DatabaseUnavailable:
        return False
    return batch.claimed == 1


async def look_for_ticks(pool: Pool) -> bool:
    """Ask which ticks are due, as a worker does; return whether that succeeded."""
    return await Attempts(pool, Meter(), OUTAGE).make(ticks.find_due_ticks(pool), "ticks")


async def do_a_job(pool: Pool) -> bool:
    """Do the tick that is open, as a worker does; return whether it is done."""
    meter = Meter()
    runs = Ticks(Attempts(pool, meter, OUTAGE), lambda: make_context(pool, meter=meter))
    found = await pool.fetchval("select tick from fleet.due_ticks()")
    begun = runs.begin(ticks.Tick(JOB.name, found))
    assert begun is not None
    await begun
    # A session that is opened after a failure would be the next one's.
    return meter.trouble() is None and not await pool.fetch("select from fleet.due_ticks()")


async def fire(pool: Pool) -> bool:
    """Fire a job, as a scheduler does; return whether its tick was opened."""
    rung: list[object] = []
    bell = SimpleNamespace(ring=lambda *message: rung.append(message))
    await Firing(pool, cast("Bell", bell), OUTAGE).fire(TIMETABLE[-1])
    return bool(rung)


@pytest.mark.parametrize(
    ("login", "work"),
    [
        ("web", store),
        ("worker", apply),
        ("worker", look_for_ticks),
        ("worker", do_a_job),
        ("scheduler", fire),
    ],
)
async def test_a_pool_that_reached_a_read_only_server_leaves_it(
    database: Database,
    connect: Connect,
    db: Connection,
    login: str,
    work: Callable[[Pool], Awaitable[bool]],
) -> None:
    await store_arrivals(db, [EVENT])
    await ticks.open_tick(db, JOB.name, every_s=86_400, offset_s=0)
    async with read_only(connect, database):
        # It opens no session but those that the work asks for.
        pool = await open_pool(database.url(login), application_name="test", min_size=0, max_size=2)
        assert not await work(pool)
    # The sessions that it has can write nothing for as long as they are kept.
    assert await work(pool)
    pool.terminate()


async def test_a_receiver_is_not_ready_and_stores_nothing_while_the_server_only_reads(
    database: Database, connect: Connect, redis_url: str
) -> None:
    async with read_only(connect, database), serving(database.url("web"), redis_url) as web:
        ready = await web.client.get("/readyz")
        assert (ready.status_code, ready.json()["database"]) == (503, "read_only")
        assert (await web.post(a_purchase())).status_code == 503


@pytest.mark.long
async def test_a_receiver_that_met_a_read_only_server_stores_once_it_writes(
    database: Database, connect: Connect, db: Connection, redis_url: str
) -> None:
    async with serving(database.url("web"), redis_url) as web:
        async with read_only(connect, database):
            for _ in range(8):
                await web.client.get("/readyz")
                assert (await web.post(a_purchase())).status_code == 503
        assert (await web.post(a_purchase())).status_code == 200

        # What it found is kept for a second.
        async def is_current() -> bool:
            return bool((await web.client.get("/readyz")).json()["database"] == "current")

        async with asyncio.timeout(BACK_WITHIN_S):
            await eventually(is_current)
    assert len(await inbox(db)) == 1


@pytest.mark.long
async def test_a_worker_that_met_a_read_only_server_works_once_it_writes(
    run: Run, database: Database, connect: Connect, db: Connection, web_pool: Pool
) -> None:
    event = b'{"id":"evt_1","object":"event","type":"customer.created","livemode":false,'
    event += b'"created":1777777777,"data":{"object":{}}}'
    await store_arrivals(web_pool, [Arrival("stripe", "evt_1", "customer.created", event, b"0")])
    async with read_only(connect, database):
        worker = await run("workers.consumer")
        await worker.said("database_unreachable")
        await worker.said("worker_started")
    async with asyncio.timeout(BACK_WITHIN_S):
        await eventually(lambda: db.fetchval("select state = 'ignored' from fleet.inbox_events"))
    await worker.said("database_back")
    # Logged once while it lasts, and no attempt is counted.
    assert warnings(worker.text) == ["database_unreachable"]
    assert await db.fetchval("select attempts from fleet.inbox_events") == 1


@pytest.mark.long
async def test_a_scheduler_that_met_a_read_only_server_fires_once_it_writes(
    run: Run, database: Database, connect: Connect, db: Connection
) -> None:
    async with read_only(connect, database):
        scheduler = await run("workers.scheduler")
        await scheduler.said("database_unreachable")
        await scheduler.said("scheduler_started")
    async with asyncio.timeout(BACK_WITHIN_S):
        await eventually(lambda: db.fetchval("select count(*) > 0 from fleet.ticks"))
    # Twice, if the first job that succeeds and one that began before it meet.
    assert set(warnings(scheduler.text)) == {"database_unreachable"}


async def test_a_worker_that_its_server_refuses_later_waits_until_it_is_accepted(
    run: Run, db: Connection, connect: Connect
) -> None:
    superuser = await connect("superuser")
    worker = await run("workers.consumer")
    await eventually(lambda: db.fetchval("select count(*) > 0 from fleet.worker_reports"))
    try:
        await superuser.execute("alter role coinfleet_worker password 'another'")
        # Between its statements: one that is ended would be the reason that the log names.
        await eventually(lambda: superuser.fetchval(END_IDLE_SESSIONS))
        await worker.said("database_unreachable")
        await worker.said("password")
    finally:
        await superuser.execute(f"alter role coinfleet_worker password '{PASSWORD}'")
    await worker.said("database_back")
    assert set(warnings(worker.text)) == {"database_unreachable"}
