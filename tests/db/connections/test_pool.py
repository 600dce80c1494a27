"""Connections: their bounds, their errors, and what one user leaves for the next."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from db.connections.pool import expire_if_unfit, open_connection, open_pool
from db.connections.session_setup import session_settings
from db.connections.sessions import SharingPool
from db.errors import DatabaseRefused, DatabaseUnavailable

if TYPE_CHECKING:
    from db.connections.pool import Pool
    from tests.clusters import Database

NOWHERE = "postgresql://coinfleet_web:test@127.0.0.1:1/nowhere"


async def test_each_session_is_named_and_bounded(worker_pool: Pool) -> None:
    for setting, value in session_settings("test worker").items():
        query = "select setting from pg_settings where lower(name) = $1"
        assert await worker_pool.fetchval(query, setting) == value


async def test_each_process_logs_in_as_itself(worker_pool: Pool, web_pool: Pool) -> None:
    assert await worker_pool.fetchval("select session_user") == "coinfleet_worker"
    assert await web_pool.fetchval("select session_user") == "coinfleet_web"


async def test_a_transaction_left_open_is_rolled_back_for_the_next_user(database: Database) -> None:
    pool = await open_pool(database.url(), application_name="test", max_size=1)
    try:
        async with pool.acquire() as connection:
            await connection.execute("begin; create table public.left_open (id int)")
        assert await pool.fetchval("select to_regclass('public.left_open')") is None
    finally:
        await pool.close()


async def test_a_pool_without_a_minimum_opens_while_the_database_is_unreachable() -> None:
    pool = await open_pool(NOWHERE, application_name="test", max_size=1, min_size=0)
    await pool.close()


async def test_an_unreachable_database_is_unavailable() -> None:
    with pytest.raises(DatabaseUnavailable):
        await open_pool(NOWHERE, application_name="test", max_size=1)
    with pytest.raises(DatabaseUnavailable):
        await open_connection(NOWHERE, application_name="test")


async def test_a_wrong_password_is_no_outage(database: Database) -> None:
    url = database.url("web").replace(":test@", ":wrong@")
    with pytest.raises(DatabaseRefused, match="password authentication failed"):
        await open_pool(url, application_name="test", max_size=1)


async def test_closing_a_session_of_a_silent_server_leaves_no_error_behind(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []

    async def close(session: asyncpg.Connection[asyncpg.Record], **_: object) -> None:
        session.terminate()
        closed.append(session)
        raise TimeoutError

    left_behind: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, error: left_behind.append(error))
    pool = await open_pool(database.url("web"), application_name="test", max_size=1)
    with monkeypatch.context() as patched:
        patched.setattr(asyncpg.Connection, "close", close)
        await pool.expire_connections()
        assert await pool.fetchval("select 1") == 1
        gc.collect()
        await asyncio.sleep(0)
    pool.terminate()
    assert closed
    assert not left_behind


@pytest.mark.parametrize("is_scarce", [True, False])
async def test_a_silent_server_expires_sessions_and_want_of_them_does_not(
    database: Database, monkeypatch: pytest.MonkeyPatch, *, is_scarce: bool
) -> None:
    pool = await open_pool(database.url("web"), application_name="test", max_size=1)
    session = await pool.fetchval("select pg_backend_pid()")
    with monkeypatch.context() as patched:
        patched.setattr(SharingPool, "is_scarce", is_scarce)
        await expire_if_unfit(pool, TimeoutError())
    assert (await pool.fetchval("select pg_backend_pid()") == session) is is_scarce
    pool.terminate()
