"""A database with few sessions left, or one: the fleet waits at its start, and goes on slowly."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from db.inbox.arrivals import Arrival, store_arrivals
from db.ticks import open_tick
from tests.conditions import eventually
from tests.servers.pgbouncer import PgBouncer, needs_pgbouncer
from tests.servers.supavisor import FULL, NOTHING_FREE, Supavisor
from tests.workers.receiving.serving import a_purchase, inbox, serving

if TYPE_CHECKING:
    from pathlib import Path

    from db.connections.pool import Connection, Pool
    from tests.clusters import Database
    from tests.conftest import Connect
    from tests.workers.conftest import Run

WORKER, SCHEDULER, WEB = "workers.consumer", "workers.scheduler", "workers.webhooks"
EVENTS = 20
JOBS = ("publish_state", "stale_viewers", "housekeeping", "new_entries_proof", "leaderboard")


async def store_events(web_pool: Pool) -> None:
    """Store events that don't concern us."""
    body = (
        b'{"object":"event","type":"customer.created","livemode":false,"created":1777777777,'
        b'"id":"evt_%d","data":{"object":{}}}'
    )
    await store_arrivals(
        web_pool,
        [
            Arrival("stripe", f"evt_{n}", "customer.created", body % n, str(n).encode())
            for n in range(EVENTS)
        ],
    )


async def all_is_done(db: Connection) -> bool:
    """Whether each event was decided at its first attempt."""
    rows = await db.fetch(
        "select state, attempts, starts, count(*) from fleet.inbox_events group by 1, 2, 3"
    )
    return [tuple(row) for row in rows] == [("ignored", 1, 0, EVENTS)]


async def jobs_done(db: Connection) -> bool:
    """Whether each job ran, at its first attempt."""
    rows = await db.fetch("select job, attempts from fleet.ticks where outcome = 'done'")
    return {row["job"] for row in rows} >= set(JOBS)


def errors(text: str) -> list[str]:
    """The events for which a person must look, as a process logged them."""
    lines = [json.loads(line) for line in text.splitlines()]
    return [line["event"] for line in lines if line["level"] in {"error", "critical"}]


@pytest.mark.long
async def test_a_worker_with_one_session_applies_events_and_does_its_jobs(
    run: Run, db: Connection, web_pool: Pool, scheduler_pool: Pool, database: Database
) -> None:
    await store_events(web_pool)
    for job in JOBS:
        await open_tick(scheduler_pool, job, every_s=86_400, offset_s=0)
    await web_pool.close()
    await scheduler_pool.close()
    # The test's own and one more.
    await db.execute(f"alter database {database.name} connection limit 2")
    worker = await run(WORKER)
    await eventually(lambda: all_is_done(db))
    await eventually(lambda: jobs_done(db))
    await eventually(lambda: db.fetchval("select count(*) > 0 from fleet.worker_reports"))
    assert errors(worker.text) == []
    assert worker.text.count("sessions_scarce") == 1
    worker.signal()
    assert await worker.ended() == 0


async def test_a_worker_and_a_scheduler_share_one_session(
    run: Run, db: Connection, web_pool: Pool, database: Database
) -> None:
    await store_events(web_pool)
    await web_pool.close()
    await db.execute(f"alter database {database.name} connection limit 2")
    both = [await run(WORKER), await run(SCHEDULER)]
    await eventually(lambda: all_is_done(db))
    await eventually(lambda: jobs_done(db))
    for process in both:
        assert errors(process.text) == []


async def test_a_receiver_with_one_session_stores_and_is_ready(
    db: Connection, database: Database, redis_url: str
) -> None:
    await db.execute(f"alter database {database.name} connection limit 2")
    async with serving(database.url("web"), redis_url) as web:
        for number in range(3):
            ready = await web.client.get("/readyz")
            assert ready.json()["database"] == "current"
            assert (await web.client.get("/metrics")).status_code == 200
            assert (await web.post(a_purchase(str(number)))).status_code == 200
    assert len(await inbox(db)) == 3


@needs_pgbouncer
async def test_a_receiver_that_waits_in_a_poolers_queue_for_one_session_stores_and_is_ready(
    db: Connection, database: Database, redis_url: str, server_folder: Path
) -> None:
    pooler = PgBouncer(
        server_folder / f"pooler-{database.name}",
        [database.url("web")],
        sessions=1,
        mode="session",
    )
    pooler.start()
    try:
        async with serving(pooler.url(database.url("web")), redis_url) as web:
            for number in range(3):
                ready = await web.client.get("/readyz")
                assert ready.json()["database"] == "current"
                assert (await web.client.get("/metrics")).status_code == 200
                assert (await web.post(a_purchase(str(number)))).status_code == 200
    finally:
        pooler.stop()
    assert len(await inbox(db)) == 3


@pytest.mark.long
@pytest.mark.parametrize("process", [WORKER, SCHEDULER])
async def test_a_process_waits_at_its_start_for_a_session(
    run: Run, db: Connection, database: Database, connect: Connect, process: str
) -> None:
    await db.execute(f"alter database {database.name} connection limit 1")
    started = await run(process)
    await started.said("database_unreachable")
    assert started.popen.poll() is None
    await db.execute(f"alter database {database.name} connection limit -1")
    await started.said("database_back")
    assert errors(started.text) == []


@pytest.mark.long
@pytest.mark.parametrize("refusal", [FULL, NOTHING_FREE])
async def test_a_worker_waits_for_a_full_supavisor_and_goes_on_with_what_it_gives(
    run: Run, db: Connection, web_pool: Pool, database: Database, refusal: str
) -> None:
    await store_events(web_pool)
    async with Supavisor(database.url("worker"), sessions=0, refusal=refusal) as supavisor:
        worker = await run(WORKER, WORKER_DATABASE_URL=supavisor.url)
        await worker.said("database_unreachable")
        supavisor.sessions = 1
        await eventually(lambda: all_is_done(db))
        assert errors(worker.text) == []
        worker.signal()
        await worker.ended()
