"""Through a pooler: the same work, whether or not we have a session to ourselves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from db.connections.pool import open_connection, open_pool
from db.connections.pooler import PoolerUndeclared, SessionNeeded
from db.connections.session_setup import session_settings
from db.release.runner import migrate
from tests.clusters import DECIDERS, LOGINS
from tests.servers.pgbouncer import PgBouncer, needs_pgbouncer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from db.connections.pool import Pool
    from tests.clusters import Database

pytestmark = pytest.mark.requirement("B2")

# Fewer sessions than clients, so that each statement may meet another session.
SESSIONS = 2
# What only a session of the schema's owner asks for.
WORKS_ON_THE_SCHEMA = dict.fromkeys(("search_path", "check_function_bodies", "client_min_messages"))


@pytest.fixture
def pooler(database: Database, server_folder: Path) -> Iterator[PgBouncer]:
    """PgBouncer before the test's database."""
    addresses = [database.url(login) for login in ("owner", *LOGINS)]
    pooler = PgBouncer(server_folder / f"pooler-{database.name}", addresses, sessions=SESSIONS)
    pooler.start()
    yield pooler
    pooler.stop()


@pytest_asyncio.fixture
async def pooled(pooler: PgBouncer, database: Database) -> AsyncIterator[Pool]:
    """A worker's pool behind PgBouncer."""
    url = pooler.url(database.url("worker"))
    pool = await open_pool(url, application_name="test pooled", max_size=8)
    yield pool
    pool.terminate()


async def test_the_roles_carry_what_a_session_starts_with(
    empty_database: Database,
) -> None:
    await migrate(empty_database.url())
    # Not said by a session: it may be an operator's choice, see test_durability.py.
    wanted = session_settings("") | {"synchronous_commit": "on"}
    del wanted["application_name"]
    owner = await open_connection(empty_database.url(), application_name="test")
    try:
        carried = await owner.fetch(
            "select setrole::regrole::text as role, setconfig from pg_db_role_setting"
            " join pg_database d on d.oid = setdatabase where datname = current_database()"
        )
    finally:
        await owner.close()
    settings = {
        row["role"]: dict(each.split("=", 1) for each in row["setconfig"]) for row in carried
    }
    lowered = {role: {k.lower(): v for k, v in all_.items()} for role, all_ in settings.items()}
    assert lowered == {f"coinfleet_{each}": wanted for each in (*LOGINS, *DECIDERS)}


@needs_pgbouncer
async def test_statements_meet_any_session_and_none_is_missed(pooled: Pool) -> None:
    async def ask(number: int) -> bool:
        return bool(await pooled.fetchval("select $1::int + 1", number) == number + 1)

    assert all(await asyncio.gather(*(ask(number) for number in range(400))))
    names = await pooled.fetchval("select count(*) from pg_prepared_statements")
    assert names == 0


@needs_pgbouncer
async def test_a_release_refuses_a_pooler(pooler: PgBouncer, database: Database) -> None:
    with pytest.raises(SessionNeeded):
        await migrate(pooler.url(database.url()))


@needs_pgbouncer
async def test_a_pooler_that_the_address_does_not_declare_is_named(
    pooler: PgBouncer, database: Database
) -> None:
    url = pooler.url(database.url("web")).replace("?pooler=transaction", "")
    with pytest.raises(PoolerUndeclared):
        await open_pool(url, application_name="test", max_size=1)
    with pytest.raises(PoolerUndeclared):
        await open_connection(url, application_name="test")


@needs_pgbouncer
async def test_a_pooler_that_drops_settings_silently_is_named(
    database: Database, server_folder: Path
) -> None:
    pooler = PgBouncer(
        server_folder / f"pooler-{database.name}",
        [database.url()],
        sessions=SESSIONS,
        dropped={**session_settings(""), **WORKS_ON_THE_SCHEMA},
    )
    pooler.start()
    try:
        with pytest.raises(PoolerUndeclared):
            await migrate(pooler.url(database.url()).partition("?")[0])
    finally:
        pooler.stop()


@pytest.mark.long
@needs_pgbouncer
async def test_a_release_goes_through_a_pooler_that_gives_whole_sessions(
    empty_database: Database, server_folder: Path
) -> None:
    folder = server_folder / f"pooler-{empty_database.name}"
    pooler = PgBouncer(folder, [empty_database.url()], sessions=SESSIONS, mode="session")
    pooler.start()
    try:
        url = pooler.url(empty_database.url())
        assert (await migrate(url)).steps != ()
        assert (await migrate(url)).steps == ()
        pool = await open_pool(url, application_name="test", max_size=1)
        try:
            for setting, value in session_settings("test").items():
                query = "select setting from pg_settings where lower(name) = $1"
                assert await pool.fetchval(query, setting) == value
        finally:
            pool.terminate()
    finally:
        pooler.stop()
