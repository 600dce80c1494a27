"""A new version while the one before works: the release, then one process after the other.

The version before is the one of an earlier commit, whose whole code runs here, its release too.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

import httpx
import pytest

from db.connections.pool import open_connection
from tests.conditions import eventually
from tests.db.books import INVARIANTS
from tests.faults.shop import COINS, coins, deliver, sign_up, states
from tests.workers.earlier import unpack
from tests.workers.processes import ROOT, running
from workers.processes import RELEASE, SCHEDULER, WEB, WORKER
from workers.settings import DEVELOPMENT_SECRETS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from db.connections.pool import Connection
    from tests.clusters import Database
    from tests.faults.shop import Purchase
    from tests.workers.processes import Process

PURCHASES = 80


async def are_applied(db: Connection, purchases: Sequence[Purchase]) -> bool:
    return set(await states(db, purchases)) == {"applied"}


@pytest.mark.long
async def test_webhooks_are_taken_and_applied_all_the_way_through_a_release(
    empty_database: Database,
    redis_url: str,
    tmp_path: Path,
    unused_tcp_port_factory: Callable[[], int],
) -> None:
    before = unpack(tmp_path / "before")
    settings = {"REDIS_URL": redis_url, "LOG_FORMAT": "json", "WORKER_NAME": "box"}
    settings |= DEVELOPMENT_SECRETS | empty_database.addresses()
    owner = {"DATABASE_URL": empty_database.url(), "LOG_FORMAT": "json"}
    old_port, new_port = unused_tcp_port_factory(), unused_tcp_port_factory()
    async with AsyncExitStack() as stack:
        started = 0

        async def start(module: str, root: Path = ROOT, **more: str) -> Process:
            nonlocal started
            started += 1
            log = tmp_path / f"{started}.log"
            process = running(log, module, root=root, **(more or settings))
            return await stack.enter_async_context(process)

        # The version before, whole.
        assert await (await start(RELEASE.module, before, **owner)).ended() == 0
        db = await connected(stack, empty_database)
        purchases = await sign_up(db, PURCHASES)
        first, second, third, last = (purchases[no::4] for no in range(4))
        old = [
            await start(WEB.module, before, **settings | {"PORT": str(old_port)}),
            await start(WORKER.module, before),
            await start(SCHEDULER.module, before),
        ]
        async with (
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{old_port}") as old_web,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{new_port}") as new_web,
        ):
            await eventually(partial(is_ready, old_web))
            await deliver(old_web, first)
            await eventually(partial(are_applied, db, first))

            # The release, while it works. `deliver` demands that each is taken.
            release = await start(RELEASE.module, **owner)
            await deliver(old_web, second)
            assert await release.ended() == 0, release.text
            await deliver(old_web, third)
            await eventually(partial(are_applied, db, [*second, *third]))

            # The new processes beside the old ones; then these stop.
            new = [
                await start(WEB.module, **settings | {"PORT": str(new_port)}),
                await start(WORKER.module),
                await start(SCHEDULER.module),
            ]
            await eventually(partial(is_ready, new_web))
            await asyncio.gather(deliver(old_web, last[::2]), deliver(new_web, last[1::2]))
            for process in old:
                process.signal()
                assert await process.ended() == 0, process.text
            await eventually(partial(are_applied, db, purchases))
            assert await coins(db, purchases) == [COINS] * PURCHASES
            for invariant in INVARIANTS:
                assert await db.fetchval(f"select count(*) from invariants.{invariant}") == 0
            for process in new:
                process.signal()
                assert await process.ended() == 0, process.text


async def connected(stack: AsyncExitStack, database: Database) -> Connection:
    db = await open_connection(database.url(), application_name="test")
    stack.callback(db.terminate)
    return db


async def is_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/readyz")).is_success
    except httpx.TransportError:
        return False
