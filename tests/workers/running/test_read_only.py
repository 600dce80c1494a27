"""A server that takes no writes, and then takes them again: no process keeps an old connection."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from db.inbox.arrivals import Arrival, store_arrivals
from tests.clusters import PASSWORD
from tests.conditions import eventually
from tests.workers.receiving.serving import a_purchase, inbox, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection, Pool
    from tests.clusters import Database
    from tests.conftest import Connect
    from tests.workers.conftest import Run

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
