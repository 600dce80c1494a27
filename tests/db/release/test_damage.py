"""What the catalog lost or gained since a release is reported, and the next one repairs it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from db.connections.pool import open_connection
from db.release import catalog
from db.release.runner import apply_files, migrate, status
from db.release.schema import Kind, SchemaFile, expected, login_roles
from tests.db.release.damages import (
    ADDITIONS,
    DAMAGES,
    LEDGER,
    LEFT_TO_A_PERSON,
    OPERATORS_OWN,
    told,
)
from workers.cli.status.checks import find_damage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection, Pool
    from db.release.generations import Generation
    from tests.clusters import Cluster, Database
    from tests.db.legacy.platforms import Finished, Look


async def test_each_role_that_a_file_makes_is_watched(db: Connection) -> None:
    made = {
        role
        for file in expected()
        if file.kind is Kind.LOGIN
        for role in re.findall(r"'(coinfleet_\w+)'", file.text)
    }
    watched = await db.fetch("select name from fleet.watched_roles()")
    assert {row["name"] for row in watched} == {
        *made,
        *("public", "anon", "authenticated", "service_role"),
    }


async def test_a_release_leaves_nothing_to_report(released: Database, pool: Pool) -> None:
    assert await told(pool) == []
    assert (await migrate(released.url())).steps == ()


async def test_a_database_made_from_this_one_as_template_lacks_its_roles_settings(
    cluster: Cluster, released: Database
) -> None:
    clone = await cluster.create(released.name, copy_settings=False)
    steps = [step.name for step in (await migrate(clone.url())).steps]
    await cluster.drop(clone)
    assert "sessions" in steps


GRANT = "grant execute on function fleet.stray_freezes() to coinfleet_web;"
MAY = "select has_function_privilege('coinfleet_web', 'fleet.stray_freezes()', 'execute')"


def with_a_grant() -> list[SchemaFile]:
    """The files of a release that changed a policy alone."""
    return [
        replace(file, text=f"{file.text}\n{GRANT}\n")
        if (file.kind, file.name) == (Kind.POLICY, "web")
        else file
        for file in expected()
        if file.kind is not Kind.LEGACY
    ]


async def test_what_only_a_changed_policy_grants_is_the_releases_own(
    database: Database, db: Connection, pool: Pool
) -> None:
    assert not await db.fetchval(MAY)
    assert (await apply_files(database.url(), with_a_grant())).different == ()
    assert await db.fetchval(MAY)
    assert await told(pool) == []


@pytest.mark.long
async def test_what_a_policy_grants_no_longer_is_not_lost(
    database: Database, db: Connection, pool: Pool
) -> None:
    await apply_files(database.url(), with_a_grant())
    assert (await migrate(database.url())).different == ()
    assert not await db.fetchval(MAY)
    assert await told(pool) == []
    assert (await migrate(database.url())).steps == ()


@pytest.mark.long_but_first
@pytest.mark.parametrize("damages", [DAMAGES, ADDITIONS], ids=["lost", "added"])
async def test_a_release_repairs_what_was_lost_or_added(
    released: Database, db: Connection, pool: Pool, damages: dict[str, str]
) -> None:
    for damage in damages:
        await db.execute(damage.format(database=released.name))
    lines = await told(pool)
    assert [line for line in damages.values() if not any(line in each for each in lines)] == []
    assert "damaged" in {row.state for row in await status(released.url())}
    assert (await migrate(released.url())).different == ()
    assert await told(pool) == []
    assert (await migrate(released.url())).steps == ()
    assert {row.state for row in await status(released.url())} == {"applied"}


async def test_how_a_session_writes_is_no_damage(released: Database) -> None:
    """An owner's role may have any of these settings."""
    written = await open_connection(
        released.url(),
        application_name="test",
        quote_all_identifiers="on",
        IntervalStyle="sql_standard",
        DateStyle="German",
        TimeZone="Pacific/Kiritimati",
        extra_float_digits="-15",
        bytea_output="escape",
        standard_conforming_strings="off",
    )
    assert await catalog.find_differences(written) == []
    assert await written.fetchval("select fleet.lacks_tables()") is False
    await written.close()


@pytest.mark.long
@pytest.mark.parametrize("damage", [*DAMAGES, *ADDITIONS])
async def test_a_release_repairs_each_damage_by_itself(
    released: Database, db: Connection, pool: Pool, damage: str
) -> None:
    await db.execute(damage.format(database=released.name))
    assert any((DAMAGES | ADDITIONS)[damage] in each for each in await told(pool))
    assert (await migrate(released.url())).different == ()
    assert await told(pool) == []
    assert (await migrate(released.url())).steps == ()


async def test_what_no_file_undoes_is_reported_until_a_person_undoes_it(
    released: Database, db: Connection
) -> None:
    for addition in LEFT_TO_A_PERSON:
        await db.execute(addition)
    for _ in range(2):
        different = (await migrate(released.url())).different
        assert sorted(line for each in different for line in each.gained) == sorted(
            LEFT_TO_A_PERSON.values()
        )
        assert [line for each in different for line in each.lost] == []


async def test_what_is_an_operators_own_business_is_not_reported(
    released: Database, db: Connection, pool: Pool, cluster: Cluster
) -> None:
    superuser = await open_connection(cluster.superuser_url, application_name="test")
    await superuser.execute("drop role if exists reports, coinfleet_alice")
    await superuser.execute("create role reports; create role coinfleet_alice login")
    try:
        for own in OPERATORS_OWN:
            await db.execute(own.format(database=released.name))
        assert await told(pool) == []
        assert (await migrate(released.url())).steps == ()
    finally:
        await db.execute(f"revoke all on {LEDGER} from reports")
        await superuser.execute("drop role reports, coinfleet_alice")
        superuser.terminate()


@pytest.mark.long
@pytest.mark.parametrize("function", ["catalog_differences()", "catalog_items()"])
async def test_a_database_without_the_functions_that_compare_gets_everything_again(
    released: Database, db: Connection, function: str
) -> None:
    await db.execute(f"drop function fleet.{function}")
    await db.execute(f"drop trigger ledger_entries_never_change on {LEDGER}")
    assert len((await migrate(released.url())).steps) > 50
    assert await db.fetchval("select tgenabled = 'A' from pg_trigger where tgname ~ 'never_change'")
    assert (await migrate(released.url())).steps == ()


@pytest.mark.long
async def test_functions_that_compare_are_repaired_if_they_fail(
    released: Database, db: Connection, pool: Pool
) -> None:
    """Else nothing could ever be repaired again."""
    await db.execute(
        "create or replace function fleet.role_items()"
        " returns table (kind text, name text, item text) language plpgsql as"
        " $$begin raise exception 'nobody knows'; end$$"
    )
    await db.execute(f"drop trigger ledger_entries_never_change on {LEDGER}")
    with pytest.raises(catalog.NotComparable, match=r"nobody knows .* run `coinfleet migrate`"):
        await find_damage(pool)
    assert "damaged" in {row.state for row in await status(released.url())}
    assert (await migrate(released.url())).different == ()
    assert await db.fetchval("select tgenabled = 'A' from pg_trigger where tgname ~ 'never_change'")
    assert await told(pool) == []


@pytest.mark.long
async def test_a_database_of_before_releases_recorded_gets_everything_again_once(
    released: Database, db: Connection
) -> None:
    await db.execute("update fleet.schema_objects set items = null, server_version = null")
    assert len((await migrate(released.url())).steps) > 50
    assert (await migrate(released.url())).steps == ()


@pytest.mark.long
async def test_clients_are_never_refused_while_functions_are_applied_again(
    released: Database, db: Connection
) -> None:
    await db.execute("update fleet.schema_objects set items = null where kind = 'function'")
    may = (
        "select has_function_privilege('authenticated',"
        " 'public.process_gift(uuid, text, text, integer, bigint, integer)', 'execute')"
    )
    seen = []
    watch = await open_connection(released.url(), application_name="test")
    applied: list[str] = []
    await migrate(released.url(), on_step=lambda step: applied.append(step.sql))
    [sql] = [sql for sql in applied if "create or replace function public.process_gift" in sql]
    async with watch.transaction():
        await watch.execute("set local check_function_bodies = off; set local search_path = ''")
        await watch.execute(sql)
        seen.append(await watch.fetchval(may))
    watch.terminate()
    assert seen == [True]


@pytest.mark.long
async def test_an_upgraded_platform_lacks_nothing(
    finished: Finished, generation: Generation, look: Look
) -> None:
    upgraded, _ = finished[generation]
    assert await catalog.find_differences(await look(upgraded)) == []


@pytest_asyncio.fixture
async def roleless(released: Database, cluster: Cluster) -> AsyncIterator[Database]:
    """The database in a cluster that lost the roles of our processes and of the API."""
    names = (
        *("anon", "authenticated", "service_role"),
        *login_roles(),
    )
    superuser = await open_connection(cluster.superuser_url, application_name="test")
    for name in names:
        await superuser.execute(f"alter role {name} rename to away_{name}")
    yield released
    await cluster.drop(released)
    for name in names:
        await superuser.execute(f"drop role if exists {name}")
        await superuser.execute(f"alter role away_{name} rename to {name}")
    await superuser.close()


async def test_that_the_backend_passes_row_level_security_is_no_addition(
    released: Database, db: Connection
) -> None:
    """PostgreSQL 15 lets only a superuser give it, after the release as well as before."""
    recorded = await db.fetchval(
        "update fleet.schema_objects"
        " set items = array_remove(items, 'role service_role: bypassrls')"
        " where kind = 'shim' and name = '10_roles'"
        " returning 'role service_role' = any(items)"
    )
    assert recorded
    assert await catalog.find_differences(db) == []


@pytest.mark.long
async def test_lost_roles_are_made_again_with_all_their_rights(
    roleless: Database, cluster: Cluster
) -> None:
    different = (await migrate(roleless.url())).different
    owner = await open_connection(roleless.url(), application_name="test")
    if owner.get_server_version().major < 16:
        assert [each.lost for each in different] == [["role service_role: bypassrls"]]
        superuser = await open_connection(cluster.superuser_url, application_name="test")
        await superuser.execute("alter role service_role bypassrls")
        superuser.terminate()
    else:
        assert different == ()
    assert await catalog.find_differences(owner) == []
    assert await owner.fetchval(
        "select has_function_privilege('coinfleet_worker',"
        " 'fleet.claim_events(integer, timestamptz)', 'execute')"
        " and has_table_privilege('anon', 'public.profiles', 'select')"
        " and not has_table_privilege('anon', 'public.ledger_entries', 'select')"
    )
    owner.terminate()
    assert (await migrate(roleless.url())).steps == ()


async def test_status_names_what_was_lost_and_what_was_added(
    released: Database, db: Connection, pool: Pool
) -> None:
    assert await find_damage(pool) == []
    await db.execute(f"drop trigger ledger_entries_never_change on {LEDGER}")
    await db.execute("grant select on fleet.inbox_events to anon")
    lost, gained = await find_damage(pool)
    assert lost == (
        "the database lacks what the release made: trigger ledger_entries_never_change on"
        f" {LEDGER}: run `coinfleet migrate`"
    )
    assert gained == (
        "somebody added to what the release made: grant select on fleet.inbox_events to anon:"
        " undo it by hand if it stays after `coinfleet migrate`"
    )
