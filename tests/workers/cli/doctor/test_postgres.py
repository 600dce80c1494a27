"""What `coinfleet doctor` finds in a PostgreSQL server of the tests' own, which is really so.

Its settings are changed, it becomes a standby, and it jumps ahead by a thousand million
transactions. What no server here can be, another version or a machine whose clock is wrong, it says
by functions of a schema that stands before PostgreSQL's own in the search path.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from db.connections.pool import open_connection, open_pool
from tasks.findings import Verdict, ok
from tests.clusters import Cluster
from tests.provoking import case, note
from tests.servers.postgres import OwnPostgres
from tests.workers.cli.doctor.findings import context, wrong
from workers.cli.doctor.command import examine_all
from workers.cli.doctor.database import (
    check_clock,
    check_disk,
    check_server,
    check_sessions,
    reach,
)
from workers.cli.doctor.examining import Check, examine
from workers.cli.doctor.logins import check_roles
from workers.cli.doctor.table import HERE, REACH
from workers.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tasks.findings import Finding
    from tests.clusters import Database
    from workers.cli.doctor.examining import Context

pytestmark = pytest.mark.long

BROKEN, ATTENTION = Verdict.BROKEN, Verdict.ATTENTION
WITHIN_S = 2.0
SETTINGS = {
    "shared_buffers": "16MB",
    # Else the server begins to freeze by itself, and is done before it is looked at.
    "autovacuum_freeze_max_age": "2000000000",
}
CLAIMS = """
create schema claims;
create function claims.clock_timestamp() returns timestamptz
language sql as $$ select pg_catalog.clock_timestamp() + interval '100 seconds' $$;
create function claims.current_setting(name text) returns text
language sql as $$
    select case name when 'server_version_num' then pg_catalog.current_setting('claims.version')
        else pg_catalog.current_setting(name) end
$$;
grant usage on schema claims to public;
"""
BEFORE = "?options=-c%20search_path%3Dclaims%2Cpg_catalog%2Cpublic%20-c%20claims.version%3D{}"


@pytest.fixture(scope="module")
def postgres(server_folder: Path) -> Iterator[OwnPostgres]:
    """The server, which keeps what it commits."""
    server = OwnPostgres(server_folder / "doctor", settings=SETTINGS)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def own_database(postgres: OwnPostgres) -> Iterator[Database]:
    """Its migrated database."""
    cluster = Cluster(postgres.superuser_url)
    yield asyncio.run(cluster.make_template())
    cluster.close()


@pytest_asyncio.fixture
async def _first_settings(postgres: OwnPostgres, own_database: Database) -> AsyncIterator[None]:
    yield
    postgres.restart_with()


@asynccontextmanager
async def asked(url: str) -> AsyncIterator[Context]:
    """A context whose pool asks there."""
    pool = await open_pool(url, application_name="test", min_size=0, max_size=4)
    try:
        yield context(pool)
    finally:
        pool.terminate()


async def test_a_server_that_keeps_what_it_acknowledges_is_well(own_database: Database) -> None:
    async with asked(own_database.url()) as given:
        for check in (reach, check_server, check_sessions, check_disk, check_clock):
            assert wrong(await check(given)) == []


@pytest.mark.usefixtures("_first_settings")
@pytest.mark.provokes("not_durable", "autovacuum_off", "standby_awaited")
async def test_settings_of_the_server_are_found(
    postgres: OwnPostgres, own_database: Database
) -> None:
    postgres.restart_with(
        fsync="off",
        full_page_writes="off",
        autovacuum="off",
        synchronous_standby_names="s1",
    )
    async with asked(own_database.url()) as given:
        findings = wrong(await check_server(given))
    assert [(how, what.split(":")[0]) for how, what in findings] == [
        (BROKEN, "fsync is off"),
        (BROKEN, "full_page_writes is off"),
        (BROKEN, "each commit waits for a standby (s1) and none is connected"),
        (ATTENTION, "autovacuum is off"),
    ]


@pytest.mark.usefixtures("_first_settings")
@pytest.mark.provokes("sessions_full")
async def test_sessions_run_out(postgres: OwnPostgres, own_database: Database) -> None:
    # Three of them are a superuser's.
    postgres.restart_with(max_connections="10", max_wal_senders="0")
    url = own_database.url()
    async with AsyncExitStack() as opened, asked(url) as given:
        for _ in range(5):
            other = await open_connection(url, application_name="test")
            opened.callback(other.terminate)
        assert wrong(await check_sessions(given)) == []
        last = await open_connection(url, application_name="test")
        opened.callback(last.terminate)
        assert wrong(await check_sessions(given)) == [(ATTENTION, "7 of 7 sessions are used")]


@pytest.mark.usefixtures("_first_settings")
@pytest.mark.provokes("sessions_full")
async def test_a_server_that_has_no_session_left_says_so(
    postgres: OwnPostgres, own_database: Database
) -> None:
    postgres.restart_with(max_connections="10", max_wal_senders="0")
    url = own_database.url()
    async with AsyncExitStack() as opened, asked(url) as given:
        for _ in range(7):
            other = await open_connection(url, application_name="test")
            opened.callback(other.terminate)
        ((verdict, what),) = wrong(await reach(given))
    assert (verdict, "reserved for" in what, "53300" in what) == (BROKEN, True, True), what


@pytest.mark.provokes("database_read_only")
async def test_a_standby_is_found_and_all_else_can_still_be_asked(
    postgres: OwnPostgres, own_database: Database
) -> None:
    postgres.become_standby()
    try:
        async with asked(own_database.url()) as given:
            examined = await examine(HERE, given, reach=REACH)
    finally:
        postgres.become_primary()
    found = {each.check: wrong(each.findings) for each in examined}
    ((verdict, what),) = found.pop("server")
    assert (verdict, what.startswith("the server takes no writes: a standby")) == (BROKEN, True)
    # Nobody ever worked here.
    assert {name for name, left in found.items() if left} == {"processes", "schedules"}


@pytest.mark.provokes("owner_creates_no_roles")
async def test_an_owner_who_may_not_create_roles_cannot_release(own_database: Database) -> None:
    superuser = await open_connection(own_database.url("superuser"), application_name="test")
    given = context(database_url=own_database.url())
    try:
        assert wrong(await check_roles(given)) == []
        await superuser.execute("alter role coinfleet_owner nocreaterole")
        ((verdict, what),) = wrong(await check_roles(context(database_url=own_database.url())))
    finally:
        await superuser.execute("alter role coinfleet_owner createrole")
        superuser.terminate()
    assert (verdict, "may not create roles" in what) == (BROKEN, True)


@pytest_asyncio.fixture(scope="module")
async def claims(own_database: Database) -> str:
    """The address of a server that says what is in CLAIMS; it lacks a version."""
    superuser = await open_connection(own_database.url("superuser"), application_name="test")
    await superuser.execute(CLAIMS)
    superuser.terminate()
    return f"{own_database.url()}{BEFORE}"


@pytest.mark.parametrize(
    ("version", "verdict", "said"),
    [
        case("postgres_too_old", "140010", BROKEN, "PostgreSQL 14 is too old"),
        case("postgres_untested", "190001", ATTENTION, "PostgreSQL 19 is newer than what"),
    ],
)
async def test_a_version_that_was_not_tested_is_found(
    claims: str, version: str, verdict: Verdict, said: str
) -> None:
    """No such server can be installed beside the tested ones; this one says that it is one."""
    async with asked(claims.format(version)) as given:
        ((how, what),) = wrong(await check_server(given))
    assert (how, what.startswith(said)) == (verdict, True), what


@pytest.mark.provokes("clock_off")
async def test_a_clock_that_differs_from_the_databases_is_found(claims: str) -> None:
    """No test may set the machine's clock; this server says another time."""
    async with asked(claims.format("180000")) as given:
        ((verdict, what),) = wrong(await check_clock(given))
    assert verdict is BROKEN
    assert what.endswith("00 s behind the database's") or "99 s behind" in what, what


async def test_a_server_that_freezes_while_it_is_asked_keeps_no_check_waiting(
    postgres: OwnPostgres, own_database: Database
) -> None:
    async def answers(given: Context) -> list[Finding]:
        await given.database.fetchval("select 1")
        postgres.freeze()
        return [ok("it answers")]

    async with asked(own_database.url()) as given:
        try:
            async with asyncio.timeout(4 * WITHIN_S):
                reached, *examined = await examine(
                    HERE, given, reach=Check("database", "?", answers), timeout_s=WITHIN_S
                )
        finally:
            postgres.thaw()
    assert reached.verdict is Verdict.OK
    asking = {row.name for row in HERE if row.asks_database}
    assert {each.verdict for each in examined if each.check in asking} == {Verdict.NOT_CHECKED}


@pytest.mark.provokes("database_away", "login_refused")
async def test_a_server_that_is_frozen_ends_the_command_all_the_same(
    postgres: OwnPostgres, own_database: Database, tmp_path: Path
) -> None:
    settings = Settings(
        coinfleet_data_dir=tmp_path,
        database_url=own_database.url(),
        web_database_url=own_database.url("web"),
    )
    postgres.freeze()
    try:
        examined = await examine_all(settings, {})
    finally:
        postgres.thaw()
    note(finding.code for each in examined for finding in each.findings)
    found = {each.check: each.verdict for each in examined}
    assert found["database"] is BROKEN
    assert found["logins"] is BROKEN
    assert {found[row.name] for row in HERE if row.asks_database} == {Verdict.NOT_CHECKED}


@pytest.mark.provokes("transaction_ids_short", "slot_keeps_log")
async def test_transactions_and_a_log_that_run_out(
    postgres: OwnPostgres, own_database: Database
) -> None:
    """The server has counted so many, by its own record: the last test, as nothing undoes it."""
    superuser = await open_connection(own_database.url("superuser"), application_name="test")
    await superuser.execute("select pg_create_physical_replication_slot('of_nobody', true)")
    superuser.terminate()
    said = []
    # 1,048,576 transactions a file.
    for files in (950, 960, 1_720):
        postgres.jump(files=files, log=files)
        async with asked(own_database.url()) as given:
            findings = await check_server(given)
            said.append([how for how, _ in wrong(findings)])
            slots = await check_disk(given)
            note(each.code for each in (*findings, *slots))
    assert said == [[], [ATTENTION], [BROKEN]]
    ((verdict, what),) = wrong(slots)
    assert (verdict, "slot of_nobody is unused and keeps" in what) == (ATTENTION, True)
