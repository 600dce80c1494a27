"""Logins: a wrong role is no outage, and a second owner is refused before anything is made."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from db.connections.pool import open_connection, open_pool
from db.connections.roles import (
    NotReleased,
    WrongRole,
    check_owner,
    check_process_role,
)
from db.erasure import erase_profile
from db.release.catalog import find_differences
from db.release.rights import UnfitOwner
from db.release.runner import migrate, status
from tests.clusters import PASSWORD
from tests.workers.cli.operators import coinfleet
from workers.embedded import EmbeddedPostgres
from workers.processes import SCHEDULER, WEB, WORKER, Process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from db.connections.pool import Pool
    from tests.clusters import Database, Login

NOBODY = UUID(int=1)
COMMANDS = (
    ("migrate",),
    ("migrate", "--status"),
    ("status",),
    ("erase", str(NOBODY), "--yes"),
    ("erase", str(NOBODY), "--dry-run"),
    ("upgrade", "--from", "first", "--dry-run"),
)


@asynccontextmanager
async def role(database: Database, rights: str, *, grants: str = "") -> AsyncIterator[str]:
    """A role that exists for the test alone, as the address at which it logs in."""
    name = f"role_of_{database.name}"
    url = database.url("superuser")
    superuser = await open_connection(url, application_name="test")
    try:
        await superuser.execute(f"create role {name} login password '{PASSWORD}' {rights}")
        await superuser.execute(grants.format(role=name, database=database.name))
        parts = urlsplit(url)
        place = parts.netloc.rpartition("@")[2]
        yield parts._replace(netloc=f"{name}:{PASSWORD}@{place}").geturl()
    finally:
        await superuser.execute(f"drop owned by {name} cascade")
        await superuser.execute(
            f"revoke all on database {database.name} from {name}; drop role {name}"
        )
        await superuser.close()


def place_of(url: str) -> str:
    """Host and port."""
    return urlsplit(url).netloc.rpartition("@")[2]


# Processes


@pytest.mark.parametrize("login", ["owner", "web", "superuser"])
async def test_a_process_may_log_in_as_itself_or_as_the_schemas_owner(
    database: Database, login: Login
) -> None:
    pool = await open_pool(database.url(login), application_name="test", max_size=1)
    await check_process_role(pool, WEB, url=database.url(login))
    pool.terminate()


@pytest.mark.parametrize(
    ("process", "other"), [(WEB, WORKER), (WORKER, SCHEDULER), (SCHEDULER, WEB)]
)
async def test_another_processs_role_is_named_with_the_one_that_is_needed(
    database: Database, process: Process, other: Process
) -> None:
    url = database.url(other.login)
    pool = await open_pool(url, application_name="test", max_size=1)
    with pytest.raises(WrongRole) as wrong:
        await check_process_role(pool, process, url=url)
    pool.terminate()
    assert str(wrong.value) == (
        f"The database at {place_of(url)} logged us in as {other.role}, but this needs"
        f" {process.role}: set {process.address} to that role's address"
    )


async def test_a_role_of_the_operators_own_may_stand_for_a_process(database: Database) -> None:
    async with role(database, "", grants="grant coinfleet_web to {role}") as url:
        pool = await open_pool(url, application_name="test", max_size=1)
        await check_process_role(pool, WEB, url=url)
        pool.terminate()


async def test_a_role_that_inherits_nothing_cannot_stand_for_a_process(
    database: Database,
) -> None:
    """It belongs to the process's role and may do nothing of its work."""
    async with role(database, "noinherit", grants="grant coinfleet_web to {role}") as url:
        pool = await open_pool(url, application_name="test", max_size=1)
        with pytest.raises(WrongRole, match="needs coinfleet_web: set WEB_DATABASE_URL"):
            await check_process_role(pool, WEB, url=url)
        pool.terminate()


async def test_before_a_first_release_no_role_is_the_wrong_one(
    empty_database: Database,
) -> None:
    url = empty_database.url("web")
    pool = await open_pool(url, application_name="test", max_size=1)
    await check_process_role(pool, WEB, url=url)
    pool.terminate()


# Operators


async def test_an_operators_role_is_named_with_the_owner_that_is_needed(
    database: Database, web_pool: Pool
) -> None:
    with pytest.raises(WrongRole, match="as coinfleet_web, but this needs coinfleet_owner"):
        await check_owner(web_pool, url=database.url("web"))


@pytest.mark.long_but_first
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("login", ["web", "authenticator"])
def test_a_command_names_the_role_it_got_and_the_one_it_needs(
    database: Database, command: tuple[str, ...], login: Login
) -> None:
    url = database.url(login)
    ended = coinfleet(*command, DATABASE_URL=url)
    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert place_of(url) in line
    assert urlsplit(url).username in line
    assert "coinfleet_owner" in line
    assert "DATABASE_URL" in line
    assert f":{PASSWORD}@" not in line


async def test_a_database_of_others_is_named(empty_database: Database) -> None:
    url = empty_database.url()
    connection = await open_connection(url, application_name="test")
    with pytest.raises(NotReleased) as failure:
        await check_owner(connection, url=url)
    await connection.close()
    assert empty_database.name in str(failure.value)
    assert place_of(url) in str(failure.value)
    with pytest.raises(NotReleased):
        await erase_profile(url, NOBODY, requested_by="test", reason="test")


async def test_who_belongs_to_the_owner_may_do_its_work(database: Database) -> None:
    async with role(database, "createrole", grants="grant coinfleet_owner to {role}") as url:
        connection = await open_connection(url, application_name="test")
        await check_owner(connection, url=url)
        await connection.close()
        assert await status(url)


# Releases


async def schemas(database: Database) -> set[str]:
    """What stands in the database."""
    connection = await open_connection(database.url("superuser"), application_name="test")
    names = await connection.fetch("select nspname from pg_namespace where nspname !~ '^pg_'")
    await connection.close()
    return {row["nspname"] for row in names}


ALL = "grant create on database {database} to {role}"


@pytest.mark.parametrize(
    ("rights", "grants", "cause"),
    [
        ("nocreaterole", ALL, "may not create roles"),
        ("createrole", "select 1", "may not create schemas"),
        ("createrole bypassrls", ALL, "roles belong to the cluster"),
        ("superuser", ALL, "roles belong to the cluster"),
    ],
)
async def test_an_owner_that_could_not_finish_is_refused_before_anything_is_made(
    database: Database, empty_database: Database, rights: str, grants: str, cause: str
) -> None:
    before = await schemas(empty_database)
    async with role(empty_database, rights, grants=grants) as url:
        with pytest.raises(UnfitOwner) as refusal:
            await migrate(url)
    assert cause in str(refusal.value)
    assert place_of(empty_database.url()) in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert await schemas(empty_database) == before


@pytest.mark.long_but_first
@pytest.mark.parametrize("rights", ["superuser", "createrole"])
async def test_only_the_schemas_owner_makes_what_belongs_to_it(
    database: Database, rights: str
) -> None:
    """The owner could not replace it later, and a superuser's function may do anything."""
    owner = await open_connection(database.url(), application_name="test")
    await owner.execute("drop function public.cleanup_stale_viewers()")
    async with role(database, rights, grants="grant coinfleet_owner to {role}") as url:
        with pytest.raises(UnfitOwner, match="the schema belongs to coinfleet_owner"):
            await migrate(url)
    made = "select to_regprocedure('public.cleanup_stale_viewers()') is not null"
    assert not await owner.fetchval(made)
    assert (await migrate(database.url())).different == ()
    assert await owner.fetchval(made)
    await owner.close()


@pytest.mark.long_but_first
@pytest.mark.parametrize("rights", ["superuser", "nocreaterole"])
async def test_what_lacks_is_the_same_for_each_role_that_asks(
    database: Database, rights: str
) -> None:
    await migrate(database.url())
    async with role(database, rights, grants="grant coinfleet_owner to {role}") as url:
        connection = await open_connection(url, application_name="test")
        assert await find_differences(connection) == []
        await connection.close()


@pytest.mark.long_but_first
@pytest.mark.parametrize("login", ["web", "worker"])
def test_a_process_that_releases_is_told_whose_work_that_is(
    empty_database: Database, login: Login
) -> None:
    ended = coinfleet("migrate", DATABASE_URL=empty_database.url(login))
    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert place_of(empty_database.url()) in line
    assert f"logged us in as coinfleet_{login}" in line
    assert "needs the schema's owner" in line
    assert "alter role" not in line


async def test_the_same_owner_may_have_several_databases_in_a_cluster(
    database: Database, empty_database: Database
) -> None:
    assert (await migrate(empty_database.url())).steps


@pytest.mark.long
async def test_roles_that_the_owner_may_not_change_are_named(tmp_path: Path) -> None:
    """As a superuser may have made them before the first release."""
    server = EmbeddedPostgres(tmp_path)
    server.start()
    try:
        superuser = await open_connection(server.superuser_url, application_name="test")
        version = await superuser.fetchval("select current_setting('server_version_num')::int")
        await superuser.execute("revoke coinfleet_worker from coinfleet_owner")
        await superuser.close()
        if version < 160_000:
            pytest.skip("the right to create roles is one to change them")
        with pytest.raises(UnfitOwner, match="grant coinfleet_worker to coinfleet_owner"):
            await migrate(server.owner_url())
    finally:
        server.stop()
