"""Behind a session pooler whose pool is in use: who is one too many waits there, unanswered."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from db.connections import pool as pools
from db.connections import sessions as bounds
from db.connections.pool import open_connection, open_pool
from db.errors import NoSessionFree, is_out_of_sessions, is_transient
from tests.conditions import eventually
from tests.servers.pgbouncer import PgBouncer, needs_pgbouncer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from db.connections.pool import Pool
    from tests.clusters import Database

pytestmark = [pytest.mark.requirement("B2"), needs_pgbouncer]


@pytest.fixture
def pooler(
    database: Database, server_folder: Path, request: pytest.FixtureRequest
) -> Iterator[PgBouncer]:
    """PgBouncer with one session for the role, or as many as the test asks for."""
    pooler = PgBouncer(
        server_folder / f"pooler-{database.name}",
        [database.url("worker")],
        sessions=getattr(request, "param", 1),
        mode="session",
    )
    pooler.start()
    yield pooler
    pooler.stop()


@pytest.fixture(autouse=True)
def silence_is_soon_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "FREE_WITHIN_S", 0.2)


@asynccontextmanager
async def pooled(url: str, *, shares_with: Pool | None = None) -> AsyncIterator[Pool]:
    """A pool as a process opens it, not connected yet."""
    pool = await open_pool(
        url, application_name="test", max_size=8, min_size=0, shares_with=shares_with
    )
    try:
        yield pool
    finally:
        pool.terminate()


@pytest.mark.parametrize("pooler", [1, 2, 3], indirect=True)
async def test_all_users_of_a_pool_share_the_sessions_that_the_pooler_gives(
    pooler: PgBouncer, database: Database
) -> None:
    async with pooled(pooler.url(database.url("worker"))) as pool:
        for _ in range(3):
            answers = await asyncio.gather(*(pool.fetchval("select $1::int", n) for n in range(20)))
            assert answers == list(range(20))


async def test_two_pools_of_a_process_take_the_only_session_from_one_another(
    pooler: PgBouncer, database: Database
) -> None:
    url = pooler.url(database.url("worker"))
    async with pooled(url) as storing, pooled(url, shares_with=storing) as asking:
        for pool in (asking, storing, asking, storing):
            assert await pool.fetchval("select 1") == 1


async def test_a_process_that_is_idle_gives_its_session_back(
    pooler: PgBouncer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "HOLD_MAX_S", 0.1)
    url = pooler.url(database.url("worker"))
    async with pooled(url) as idle, pooled(url) as waiting:
        await idle.fetchval("select 1")
        assert await waiting.fetchval("select 1") == 1


@pytest.mark.parametrize("users", [1, 3])
async def test_a_process_that_always_works_gives_another_its_turn(
    pooler: PgBouncer, database: Database, monkeypatch: pytest.MonkeyPatch, users: int
) -> None:
    monkeypatch.setattr(pools, "HOLD_MAX_S", 0.1)
    monkeypatch.setattr(bounds, "TURN_S", 0.1)
    url = pooler.url(database.url("worker"))
    async with pooled(url) as busy, pooled(url) as waiting:

        async def use() -> None:
            while True:
                await busy.execute("select")

        working = [asyncio.create_task(use()) for _ in range(users)]
        await eventually(lambda: asyncio.sleep(0, busy.get_size()))
        assert await waiting.fetchval("select 1") == 1
        for each in working:
            each.cancel()
        await asyncio.gather(*working, return_exceptions=True)


async def test_without_any_session_the_error_says_so_and_passes(
    pooler: PgBouncer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = pooler.url(database.url("worker"))
    holding = await open_connection(url, application_name="test")
    async with pooled(url) as pool:
        with monkeypatch.context() as short:
            short.setattr(bounds, "QUEUED_MAX_S", 0.1)
            short.setattr(bounds, "OTHERS_END_WITHIN_S", 0.1)
            with pytest.raises(NoSessionFree, match="gives no session: all are in use") as caught:
                await pool.fetchval("select 1")
        assert is_out_of_sessions(caught.value)
        assert is_transient(caught.value)
        holding.terminate()
        assert await pool.fetchval("select 1") == 1


@pytest.mark.parametrize("pooler", [2], indirect=True)
async def test_a_session_that_others_gave_back_is_used(
    pooler: PgBouncer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "SCARCE_S", 0.1)
    url = pooler.url(database.url("worker"))
    others = await open_connection(url, application_name="test")
    async with pooled(url) as pool:
        assert await asyncio.gather(*(pool.fetchval("select 1") for _ in range(3))) == [1] * 3
        others.terminate()
        async with pool.acquire(), pool.acquire() as second:
            assert await second.fetchval("select 1") == 1
