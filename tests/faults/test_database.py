"""The database killed, stopped and frozen under load: no event that was acknowledged is lost.

And its clock set right while the same processes run.
"""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from tests.conditions import eventually, somebody_waits_for_a_lock
from tests.db.books import breaches
from tests.db.presence.audience import HEARTBEAT, Audience
from tests.faults.fleets import SCHEDULER, WORKER
from tests.faults.loads import loaded
from tests.faults.shop import COINS, coins, deliver, sign_up, states
from tests.journeys.fleet_run import free_port
from tests.servers.gate import Gate
from tests.workers.cli.operators import coinfleet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from db.connections.pool import Connection
    from tests.conftest import Connect, SignIn
    from tests.faults.fleets import Fleet
    from tests.faults.shop import Purchase
    from workers.embedded import EmbeddedPostgres

pytestmark = pytest.mark.faults

# Debian's; each architecture has a folder of its own.
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
AHEAD_MINUTES = 20
# A clock that is right again is after this as if it had never been wrong.
RIGHT_WITHIN_S = 30
AHEAD_OF = "select extract(epoch from clock_timestamp())::float8 - $1"
IS_PUBLISHED = "select is_published from public.live_streams where id = $1"
# A job that ran since the clock was set right, by a time that has come.
RAN = """
select count(*) > 0 from fleet.ticks
where job = $1 and outcome = 'done' and enqueued_at between $2 and clock_timestamp()
"""


@contextmanager
def frozen(server: EmbeddedPostgres) -> Iterator[None]:
    """Freeze the server with each of its processes while the block runs."""
    postmaster = psutil.Process(server.pid)
    # The postmaster first, so that it starts no more processes.
    postmaster.suspend()
    backends = postmaster.children()
    for backend in backends:
        backend.suspend()
    try:
        yield
    finally:
        for process in (*backends, postmaster):
            process.resume()


async def test_a_database_that_is_killed_and_stopped_under_load_loses_nothing(
    fleet: Fleet, postgres: EmbeddedPostgres, connect: Connect
) -> None:
    port = free_port()
    web = await fleet.start_web(port)
    others = [await fleet.start(each) for each in (WORKER, WORKER, SCHEDULER)]
    async with loaded(fleet.database.url(), port, events=400) as load:
        for end in (postgres.kill, postgres.stop):
            await load.wait_for_more(50)
            end()
            postgres.start()
        await load.finish()
    db = await connect()
    # The workers survived: no event is counted a start for a batch that the crash cut off.
    await eventually(lambda: db.fetchval("select count(*) = 0 from fleet.batch_starts"))
    for process in (web, *others):
        process.signal()
        assert await process.ended() == 0
        assert '"level": "error"' not in process.text


@pytest.mark.long
async def test_a_receiver_says_503_while_the_database_is_frozen_and_2xx_after(
    fleet: Fleet, db: Connection, postgres: EmbeddedPostgres
) -> None:
    port = free_port()
    await fleet.start_web(port)
    await fleet.start(WORKER)
    first, second = await sign_up(db, 2)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        await deliver(client, [first])
        with frozen(postgres):
            webhook = second.webhook()
            answer = await client.post(
                webhook.path, content=webhook.body, headers=dict(webhook.headers)
            )
            assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
            assert answer.headers["retry-after"]
            assert (await client.get("/healthz")).is_success
        await deliver(client, [second])

    async def both_are_applied() -> bool:
        return await states(db, [first, second]) == ["applied", "applied"]

    await eventually(both_are_applied)
    assert await coins(db, [first, second]) == [COINS, COINS]
    assert await breaches(db) == {}


@pytest.mark.long
async def test_a_receiver_drops_connections_that_hang_after_a_failover(
    fleet: Fleet, db: Connection
) -> None:
    gate = Gate(fleet.database.url("web"))
    await gate.open()
    port = free_port()
    await fleet.start_web(port, WEB_DATABASE_URL=gate.url)
    purchase, *others = await sign_up(db, 17)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        # As many connections as the receiver may open.
        await asyncio.gather(client.get("/readyz"), *(deliver(client, [each]) for each in others))
        gate.hang()

        async def is_stored() -> bool:
            webhook = purchase.webhook()
            answer = await client.post(
                webhook.path, content=webhook.body, headers=dict(webhook.headers)
            )
            return answer.is_success

        # Each try uses up one connection, and ends at the receiver's deadline.
        async with asyncio.timeout(90):
            while not await is_stored():
                pass
    assert await states(db, [purchase]) == ["pending"]
    await gate.close()


@pytest.mark.long
async def test_a_worker_drops_connections_that_hang_after_a_failover(
    fleet: Fleet, db: Connection
) -> None:
    gate = Gate(fleet.database.url("worker"))
    await gate.open()
    port = free_port()
    await fleet.start_web(port)
    await fleet.start(WORKER, WORKER_DATABASE_URL=gate.url)
    before, after = await sign_up(db, 2)

    async def is_applied(purchase: Purchase) -> bool:
        return await states(db, [purchase]) == ["applied"]

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        await deliver(client, [before])
        await eventually(lambda: is_applied(before))
        gate.hang()
        await deliver(client, [after])
        # A statement may take 35 s, and to drop its connection may take as long again.
        await eventually(lambda: is_applied(after))
    await gate.close()


@pytest.mark.long
async def test_a_job_that_the_database_cuts_off_is_done_again_and_alarms_nobody(
    fleet: Fleet, db: Connection, connect: Connect
) -> None:
    await db.execute("insert into fleet.ticks (job, tick) values ('publish_state', 1)")
    blocker = await connect("superuser")
    async with blocker.transaction():
        await blocker.execute("select from fleet.publish_horizon for update")
        worker = await fleet.start(WORKER)
        await somebody_waits_for_a_lock(db)
        await blocker.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and usename = 'coinfleet_worker'"
        )
        await worker.said("job_interrupted")
    await eventually(lambda: db.fetchval("select outcome = 'done' from fleet.ticks"))
    assert await db.fetchval("select attempts from fleet.ticks") == 2
    assert '"level": "error"' not in worker.text


@contextmanager
def ahead(postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run the server with a clock that is ahead while the block runs, and with the right one after.

    It is stopped at the end of the block and started again: to its clients, a failover.
    """
    # Only the time of day: what waits for a while must wait as long as ever.
    clock = [f"LD_PRELOAD={FAKETIME}", f"FAKETIME=+{AHEAD_MINUTES}m"]
    clock.append("FAKETIME_DONT_FAKE_MONOTONIC=1")
    prefix = postgres._prefix()
    postgres.stop()
    with monkeypatch.context() as patched:
        patched.setattr(postgres, "_prefix", lambda: [*prefix, "env", *clock])
        postgres.start()
    try:
        yield
    finally:
        postgres.restart()


@pytest.mark.long
@pytest.mark.skipif(FAKETIME is None, reason="apt-get install faketime")
async def test_a_fleet_goes_on_at_once_when_its_databases_clock_is_set_right(
    fleet: Fleet,
    postgres: EmbeddedPostgres,
    connect: Connect,
    signed_in: SignIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    with ahead(postgres, monkeypatch):
        db = await connect()
        ahead_s = await db.fetchval(AHEAD_OF, time.time())
        assert ahead_s == pytest.approx(60 * AHEAD_MINUTES, abs=60)
        (purchase,) = await sign_up(db, 1)
        stream = await Audience(db).stream()
        viewer = await signed_in(purchase.buyer)
        await viewer.execute(HEARTBEAT, stream)
        await fleet.start_web(port)
        running = [await fleet.start(each) for each in (WORKER, SCHEDULER)]
        await eventually(lambda: db.fetchval(IS_PUBLISHED, stream))
        # The viewer leaves without a word, and a purchase comes that no worker applies any more.
        for process in running:
            process.signal(signal.SIGSTOP)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            await deliver(client, [purchase])
    db = await connect()
    told = await asyncio.to_thread(coinfleet, "status", DATABASE_URL=fleet.database.url())
    assert "the database's clock was set back: stored times are" in told.stdout
    set_right_at = await db.fetchval("select clock_timestamp()")
    for process in running:
        process.signal(signal.SIGCONT)
    async with asyncio.timeout(RIGHT_WITHIN_S):
        await eventually(lambda: db.fetchval(RAN, "publish_state", set_right_at))
        await eventually(lambda: db.fetchval(f"select not ({IS_PUBLISHED})", stream))

        async def is_applied() -> bool:
            return await states(db, [purchase]) == ["applied"]

        await eventually(is_applied)
    assert await coins(db, [purchase]) == [COINS]
    assert await breaches(db) == {}
