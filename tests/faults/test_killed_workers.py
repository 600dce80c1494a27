"""Workers that are killed in the middle of a batch, by the test or by an event that they read."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import httpx
import pytest
import pytest_asyncio

from db.connections.pool import open_pool
from db.facts import Verdict
from db.inbox.claims import Inbox
from tests.conditions import eventually, somebody_waits_for_a_lock
from tests.db.books import breaches
from tests.faults.fleets import WORKER, kill
from tests.faults.shop import COINS, coins, deliver, sign_up, states
from tests.journeys.fleet_run import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from db.connections.pool import Connection
    from db.inbox.batches import ClaimedEvent
    from tests.clusters import Database
    from tests.conftest import Connect
    from tests.faults.fleets import Fleet
    from tests.faults.shop import Purchase
    from tests.workers.processes import Process

pytestmark = pytest.mark.faults

DEADLY = "tests.faults.deadly_consumer"


@pytest_asyncio.fixture
async def client(fleet: Fleet) -> AsyncIterator[httpx.AsyncClient]:
    """A sender, and a receiver that is ready."""
    port = free_port()
    await fleet.start_web(port)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        yield client


async def all_are(db: Connection, purchases: Sequence[Purchase], state: str) -> None:
    """Wait until each event has this state."""

    async def are() -> bool:
        return set(await states(db, purchases)) <= {state}

    await eventually(are)


async def starts(db: Connection, purchases: Sequence[Purchase]) -> list[int]:
    """How many workers died with each event."""
    rows = await db.fetch("select provider_event_id, starts from fleet.inbox_events")
    deaths = {row["provider_event_id"]: row["starts"] for row in rows}
    return [deaths[purchase.event_id] for purchase in purchases]


async def noted_batches(db: Connection) -> list[int]:
    """How many events each noted batch has."""
    rows = await db.fetch("select cardinality(event_ids) as events from fleet.batch_starts")
    return [row["events"] for row in rows]


async def test_a_batch_whose_worker_is_killed_is_applied_once_by_the_next(
    fleet: Fleet, client: httpx.AsyncClient, db: Connection, connect: Connect
) -> None:
    purchases = await sign_up(db, 20)
    await deliver(client, purchases)
    blocker = await connect("owner")
    async with blocker.transaction():
        await blocker.execute(
            "select from public.profiles where id = $1 for update", purchases[7].buyer
        )
        killed = await fleet.start(WORKER)
        await somebody_waits_for_a_lock(db)
        assert await noted_batches(db) == [20]
        await kill(killed)
    assert set(await states(db, purchases)) == {"pending"}
    await fleet.start(WORKER)
    await all_are(db, purchases, "applied")
    # Each was tried alone, and its worker survived.
    assert await starts(db, purchases) == [1] * 20
    assert await coins(db, purchases) == [COINS] * 20
    assert await noted_batches(db) == []
    assert await breaches(db) == {}


@pytest.mark.long
async def test_a_batch_that_waits_in_another_worker_is_not_taken_for_dead(
    fleet: Fleet, client: httpx.AsyncClient, db: Connection, connect: Connect
) -> None:
    waiting, *others = await sign_up(db, 5)
    await deliver(client, [waiting])
    blocker = await connect("owner")
    async with blocker.transaction():
        await blocker.execute("select from public.profiles where id = $1 for update", waiting.buyer)
        await fleet.start(WORKER)
        await somebody_waits_for_a_lock(db)
        await fleet.start(WORKER)
        await deliver(client, others)
        await all_are(db, others, "applied")
        assert await states(db, [waiting]) == ["pending"]
    await all_are(db, [waiting], "applied")
    assert await starts(db, [waiting, *others]) == [0] * 5


@pytest.mark.long
async def test_a_worker_that_froze_and_was_given_up_goes_on_afterwards(
    fleet: Fleet, client: httpx.AsyncClient, db: Connection, connect: Connect
) -> None:
    given_up, later = await sign_up(db, 2)
    await deliver(client, [given_up])
    blocker = await connect("superuser")
    async with blocker.transaction():
        await blocker.execute(
            "select from public.profiles where id = $1 for update", given_up.buyer
        )
        frozen = await fleet.start(WORKER)
        await somebody_waits_for_a_lock(db)
        frozen.signal(signal.SIGSTOP)
        # As the server ends a session that is idle in a transaction for too long.
        await blocker.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and usename = 'coinfleet_worker'"
        )
    other = await fleet.start(WORKER)
    await all_are(db, [given_up], "applied")
    other.signal()
    await other.ended()
    frozen.signal(signal.SIGCONT)
    await deliver(client, [later])
    await all_are(db, [later], "applied")
    assert await coins(db, [given_up, later]) == [COINS, COINS]
    assert await starts(db, [later]) == [0]
    assert await breaches(db) == {}


@pytest.mark.long
async def test_an_event_that_three_stopped_workers_could_not_apply_is_not_blamed(
    fleet: Fleet, client: httpx.AsyncClient, db: Connection, connect: Connect
) -> None:
    (waiting,) = await sign_up(db, 1)
    await deliver(client, [waiting])
    blocker = await connect("owner")
    async with blocker.transaction():
        await blocker.execute("select from public.profiles where id = $1 for update", waiting.buyer)
        for _ in range(3):
            worker = await fleet.start(WORKER)
            await somebody_waits_for_a_lock(db)
            worker.signal()
            assert await worker.ended() == 0
    await fleet.start(WORKER)
    await all_are(db, [waiting], "applied")
    assert await starts(db, [waiting]) == [0]


async def test_batches_that_hold_all_connections_wait_for_no_other_one(
    client: httpx.AsyncClient, db: Connection, database: Database
) -> None:
    purchases = await sign_up(db, 2)
    await deliver(client, purchases)
    pool = await open_pool(database.url("worker"), application_name="test", max_size=2)
    both = [Inbox(pool, worker="test") for _ in range(2)]
    results = await asyncio.gather(*(inbox.process_batch(not_ours, limit=1) for inbox in both))
    for inbox in both:
        await inbox.process_batch(not_ours, limit=2)
    assert sum(result.claimed for result in results) > 0
    await all_are(db, purchases, "ignored: not_ours")
    assert await starts(db, purchases) == [0, 0]
    pool.terminate()


@pytest.mark.long
async def test_an_event_that_kills_workers_with_one_session_each_ends_as_dead(
    fleet: Fleet, client: httpx.AsyncClient, db: Connection, database: Database
) -> None:
    (deadly,) = purchases = await sign_up(db, 1)
    await deliver(client, purchases)
    await db.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )
    await db.execute(f"alter database {database.name} connection limit 2")
    for _ in range(3):
        worker = await fleet.start(DEADLY, DEADLY_EVENT=deadly.event_id)
        await until_it_died(worker, db)
    await fleet.start(DEADLY, DEADLY_EVENT=deadly.event_id)
    await all_are(db, [deadly], "dead: killed_its_worker")
    assert await breaches(db) == {}


def not_ours(_event: ClaimedEvent) -> Verdict:
    """Interpret any event as not ours."""
    return Verdict(state="ignored", reason="not_ours")


@pytest.mark.parametrize(("number", "nth"), [(1, 0), pytest.param(9, 4, marks=pytest.mark.long)])
async def test_an_event_that_kills_its_worker_ends_as_dead_alone_after_three_deaths(
    fleet: Fleet, client: httpx.AsyncClient, db: Connection, number: int, nth: int
) -> None:
    purchases = await sign_up(db, number)
    deadly, others = purchases[nth], purchases[:nth] + purchases[nth + 1 :]
    await deliver(client, purchases)
    for _ in range(3):
        worker = await fleet.start(DEADLY, DEADLY_EVENT=deadly.event_id)
        await until_it_died(worker, db)
        assert await states(db, [deadly]) == ["pending"]
    await fleet.start(DEADLY, DEADLY_EVENT=deadly.event_id)
    await all_are(db, [deadly], "dead: killed_its_worker")
    await all_are(db, others, "applied")
    assert await coins(db, purchases) == [0 if each is deadly else COINS for each in purchases]
    assert await breaches(db) == {}


async def until_it_died(worker: Process, db: Connection) -> None:
    """Wait until the worker was killed; end the pause of a suspected event, so that it is soon."""

    async def died() -> bool:
        await db.execute(
            "update fleet.inbox_events set next_attempt_at = received_at where state = 'pending'"
        )
        return worker.popen.poll() is not None

    await eventually(died)
    assert await worker.ended() == -signal.SIGKILL
