"""What is acknowledged is on disk, whatever the settings of server and database are.

That each function which acknowledges sees to it is in test_acknowledgements.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from db.connections.pool import open_connection, open_pool
from db.release.runner import migrate
from tests.clusters import LOGINS
from tests.servers.pgbouncer import PgBouncer, needs_pgbouncer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from uuid import UUID

    from db.connections.pool import Connection
    from tests.clusters import Database, Login
    from tests.conftest import Connect, SignIn
    from tests.db.books import Books

SETTING = "select current_setting('synchronous_commit')"
STORE = """
select fleet.store_events(
    array['stripe'], array['evt_1'], array['t'], array['{}'::bytea], array[''::bytea],
    array['pending'], array[null]
)
"""
BUY = "select public.process_coin_purchase($1, 'stripe', 'evt_1', 'pi_1', 100, 1.00)"
GIVE = "select public.process_gift($1, 'rose', 'key')"
MOVE = "select public.update_coin_balance_via_ledger($1, 5, 'gift of the house', 'key')"


async def commits_with(connection: Connection, sql: str, *values: object) -> str:
    """Return the setting with which a transaction commits that began without durability."""
    async with connection.transaction():
        await connection.execute("set local synchronous_commit = off")
        await connection.execute(sql, *values)
        found: str = await connection.fetchval(SETTING)
        return found


@pytest_asyncio.fixture
async def buyer(books: Books) -> UUID:
    """Somebody with coins."""
    return await books.profile(coins=1_000)


async def test_a_webhook_is_on_disk_before_it_is_acknowledged(connect: Connect) -> None:
    assert await commits_with(await connect("web"), STORE) == "on"


async def test_what_was_done_before_is_on_disk_before_that_is_said(
    books: Books, signed_in: SignIn, buyer: UUID
) -> None:
    streamer, backend = await books.profile(), await signed_in(role="service_role")
    viewer = await signed_in(buyer)
    for caller, sql, value in (
        (backend, BUY, buyer),
        (viewer, GIVE, streamer),
        (books.db, MOVE, buyer),
    ):
        await caller.execute(sql, value)
        assert await commits_with(caller, sql, value) == "on", sql


@pytest.mark.parametrize("chosen", ["local", "remote_write", "on", "remote_apply"])
async def test_an_operators_stricter_setting_is_kept(connect: Connect, chosen: str) -> None:
    web = await connect("web")
    async with web.transaction():
        await web.execute(f"set local synchronous_commit = {chosen}")
        await web.execute(STORE)
        assert await web.fetchval(SETTING) == chosen


async def test_durability_ends_with_its_transaction(connect: Connect) -> None:
    web = await connect("web")
    await web.execute("set synchronous_commit = off")
    await web.execute(STORE)
    assert await web.fetchval(SETTING) == "off"


# The roles' sessions


@pytest_asyncio.fixture
async def not_durable(empty_database: Database) -> AsyncIterator[Database]:
    """A database whose owner has switched durability off."""
    owner = await open_connection(empty_database.url(), application_name="test")
    await owner.execute(f"alter database {empty_database.name} set synchronous_commit = off")
    yield empty_database
    await owner.close()


async def starts_with(database: Database, login: Login) -> str:
    """Return the setting with which a session of a role starts."""
    connection = await open_connection(database.url(login), application_name="test")
    try:
        found: str = await connection.fetchval(SETTING)
        return found
    finally:
        await connection.close()


@pytest.mark.long_but_first
@pytest.mark.parametrize("login", LOGINS)
async def test_a_database_without_durability_is_durable_for_the_fleet(
    not_durable: Database, login: Login
) -> None:
    await migrate(not_durable.url())
    assert await starts_with(not_durable, login) == "on"
    assert await starts_with(not_durable, "owner") == "off"


async def test_switching_durability_off_later_does_not_affect_the_fleet(
    empty_database: Database,
) -> None:
    await migrate(empty_database.url())
    owner = await open_connection(empty_database.url(), application_name="test")
    await owner.execute(f"alter database {empty_database.name} set synchronous_commit = off")
    await owner.close()
    assert [await starts_with(empty_database, login) for login in LOGINS] == ["on"] * len(LOGINS)


@pytest.mark.long_but_first
@pytest.mark.parametrize("chosen", ["local", "remote_apply"])
async def test_a_release_keeps_what_an_operator_chose_for_the_database(
    not_durable: Database, chosen: str
) -> None:
    owner = await open_connection(not_durable.url(), application_name="test")
    await owner.execute(f"alter database {not_durable.name} set synchronous_commit = {chosen}")
    await owner.close()
    await migrate(not_durable.url())
    assert await starts_with(not_durable, "web") == chosen


@needs_pgbouncer
async def test_commits_through_a_transaction_pooler_are_durable_too(
    not_durable: Database, server_folder: Path
) -> None:
    await migrate(not_durable.url())
    pooler = PgBouncer(server_folder / "pooler-durable", [not_durable.url("web")], sessions=1)
    pooler.start()
    try:
        pool = await open_pool(
            pooler.url(not_durable.url("web")), application_name="test", max_size=1
        )
        assert await pool.fetchval(SETTING) == "on"
        pool.terminate()
    finally:
        pooler.stop()
