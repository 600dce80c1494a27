"""Connections: their bounds, their errors, and what a user of one leaves to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from db.errors import StoreRefused, StoreUnavailable
from db.pool import open_connection, open_pool, session_settings

if TYPE_CHECKING:
    from db.pool import Pool
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


async def test_a_pool_without_a_minimum_opens_while_the_database_is_away() -> None:
    pool = await open_pool(NOWHERE, application_name="test", max_size=1, min_size=0)
    await pool.close()


async def test_a_database_that_is_away_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable):
        await open_pool(NOWHERE, application_name="test", max_size=1)
    with pytest.raises(StoreUnavailable):
        await open_connection(NOWHERE, application_name="test")


async def test_a_wrong_password_is_no_outage(database: Database) -> None:
    url = database.url("web").replace(":test@", ":wrong@")
    with pytest.raises(StoreRefused, match="password authentication failed"):
        await open_pool(url, application_name="test", max_size=1)
