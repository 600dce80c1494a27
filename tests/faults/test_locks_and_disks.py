"""An index build on profiles, a full disk: paid events wait, and no attempt is counted."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest
import pytest_asyncio

from tests.conditions import eventually
from tests.db.books import breaches
from tests.faults.fleets import WORKER
from tests.faults.shop import COINS, coins, deliver, sign_up, states
from tests.journeys.fleet_run import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from db.connections.pool import Connection
    from tests.clusters import Database
    from tests.conftest import Connect
    from tests.faults.fleets import Fleet
    from tests.faults.shop import Purchase
    from workers.embedded import EmbeddedPostgres

pytestmark = [pytest.mark.faults, pytest.mark.long]

LOCKED_S = 90
FULL_S = 25
DISK_BYTES = 128 * 1024**2


@pytest_asyncio.fixture
async def client(fleet: Fleet) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a receiver that runs."""
    port = free_port()
    await fleet.start_web(port)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        yield client


async def all_are_applied_at_once(db: Connection, purchases: Sequence[Purchase]) -> None:
    """Wait until all are applied, each at its first counted attempt; check the coins."""

    async def are() -> bool:
        return set(await states(db, purchases)) == {"applied"}

    await eventually(are)
    assert await db.fetchval("select max(attempts) from fleet.inbox_events") == 1
    assert await db.fetchval("select count(*) from fleet.set_aside_events") == 0
    assert await coins(db, purchases) == [COINS] * len(purchases)
    assert await breaches(db) == {}


async def test_while_an_index_is_built_on_profiles_paid_events_wait_and_count_no_attempt(
    fleet: Fleet, client: httpx.AsyncClient, db: Connection, connect: Connect
) -> None:
    purchases = await sign_up(db, 60)
    builder = await connect()
    worker = await fleet.start(WORKER)
    async with builder.transaction():
        # The lock of `create index`, as long as a large table would hold it.
        await builder.execute("set local idle_in_transaction_session_timeout = 0")
        await builder.execute("lock table public.profiles in share mode")
        await deliver(client, purchases[:-1])
        await asyncio.sleep(LOCKED_S)
        assert set(await states(db, purchases[:-1])) == {"pending"}
        assert await db.fetchval("select max(attempts) from fleet.inbox_events") == 0
        await deliver(client, purchases[-1:])
    await all_are_applied_at_once(db, purchases)
    assert '"level": "error"' not in worker.text


@contextmanager
def mounted(owner: int) -> Iterator[Path]:
    """A small disk that this user may write."""
    folder = Path(tempfile.mkdtemp())
    options = f"size={DISK_BYTES},mode=0700,uid={owner}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=True)
    inside = folder / "tables"
    inside.mkdir(mode=0o700)
    shutil.chown(inside, owner)
    try:
        yield inside
    finally:
        subprocess.run(["umount", folder], check=True)
        folder.rmdir()


@asynccontextmanager
async def small_disk(postgres: EmbeddedPostgres, database: Database) -> AsyncIterator[Path]:
    """Keep the test's database on a disk of its own while the block runs."""
    owner = (postgres.data_dir / "postgres" / "cluster").stat().st_uid
    superuser = await asyncpg.connect(postgres.superuser_url)
    move = f"alter database {database.name} set tablespace"
    with mounted(owner) as folder:
        try:
            await superuser.execute(f"create tablespace small location '{folder}'")
            await superuser.execute(f"{move} small")
            yield folder
        finally:
            await superuser.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1",
                database.name,
            )
            await superuser.execute(f"{move} pg_default")
            await superuser.execute("drop tablespace small")
            await superuser.close()


def fill(folder: Path) -> Path:
    """Fill the rest of a disk; return the file that fills it."""
    file = folder.parent / "full"
    with file.open("wb", buffering=0) as writing:
        try:
            while True:
                writing.write(bytes(64 * 1024))
        except OSError:
            return file


@pytest.mark.skipif(os.getuid() != 0, reason="only root may mount a small disk")
async def test_while_the_disk_is_full_paid_events_wait_and_count_no_attempt(
    fleet: Fleet, postgres: EmbeddedPostgres, database: Database, connect: Connect
) -> None:
    async with small_disk(postgres, database) as folder:
        db = await connect()
        purchases = await sign_up(db, 300)
        port = free_port()
        web = await fleet.start_web(port)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            await deliver(client, purchases)
            full = fill(folder)
            # The free space in pages that exist is soon used up.
            worker = await fleet.start(WORKER)
            await worker.said("53100")
            await asyncio.sleep(FULL_S)
            assert await db.fetchval("select max(attempts) <= 1 from fleet.inbox_events")
            assert "dead" not in await states(db, purchases)
            full.unlink()
            await all_are_applied_at_once(db, purchases)
            assert '"level": "error"' not in worker.text
        for process in (web, worker):
            process.signal()
            await process.ended()


async def test_what_a_locked_profile_stops_is_set_aside_and_the_others_are_applied(
    fleet: Fleet, client: httpx.AsyncClient, db: Connection, connect: Connect
) -> None:
    purchases = await sign_up(db, 40)
    stopped, others = purchases[17], purchases[:17] + purchases[18:]
    blocker = await connect()
    async with blocker.transaction():
        await blocker.execute("select from public.profiles where id = $1 for update", stopped.buyer)
        await deliver(client, purchases)
        worker = await fleet.start(WORKER)

        async def others_are_applied() -> bool:
            return set(await states(db, others)) == {"applied"}

        await eventually(others_are_applied)
        await eventually(lambda: db.fetchval("select setbacks > 0 from fleet.set_aside_events"))
        assert await states(db, [stopped]) == ["pending"]
    await all_are_applied_at_once(db, purchases)
    assert '"level": "error"' not in worker.text
