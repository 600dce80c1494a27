"""The functions that erase old rows are where an upgrade left such rows, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from db.erasure import erase_profile
from db.release import catalog
from db.release.compatibility import is_current
from db.release.runner import migrate, status
from db.release.schema import Kind, expected
from tests.db.legacy.platforms import person

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from db.release.generations import Generation
    from tests.clusters import Cluster, Database
    from tests.db.legacy.platforms import Finished, Look

pytestmark = pytest.mark.long

FILES = {file.name for file in expected() if file.kind is Kind.LEGACY}
FUNCTIONS = """
select 'fleet.' || proname from pg_proc
where pronamespace = 'fleet'::regnamespace and 'fleet.' || proname = any($1)
"""
BOOKS = "select name from fleet.schema_objects where kind = 'legacy'"
# The functions that the last release installed in every database.
OF_THE_LAST_RELEASE = {
    "erase_old_rows": "text[]",
    "erase_old_table": "regclass, text[]",
    "old_ids": "uuid",
    "tells_of": "text, jsonb, text[]",
    "names_author": "text, text, boolean",
    "personal_fields": "text, jsonb",
}


async def present(db: Connection) -> set[str]:
    """Return which of these functions a database has, by their new or old names."""
    names = [*FILES, *(f"fleet.{name}" for name in OF_THE_LAST_RELEASE)]
    return {row[0] for row in await db.fetch(FUNCTIONS, names)}


async def books(db: Connection) -> set[str]:
    """Return which of the files the release recorded."""
    return {row[0] for row in await db.fetch(BOOKS)}


async def put_back_to_the_last_release(db: Connection) -> None:
    """Make the functions and records what they were after the last release."""
    for name in await present(db):
        await db.execute(f"drop function {name}")
    for name, arguments in OF_THE_LAST_RELEASE.items():
        await db.execute(
            f"create function fleet.{name}({arguments}) returns text language sql return 'old'"
        )
        await db.execute(
            "insert into fleet.schema_objects (kind, name, checksum, items)"
            " values ('function', $1, 'of the last release', '{}')",
            f"fleet.{name}",
        )
    await db.execute(
        "delete from fleet.schema_objects where kind = 'legacy';"
        "delete from fleet.schema_migrations where name like '%_erasure_of_old_rows'"
    )


async def test_a_new_database_has_none_of_these_functions(database: Database, look: Look) -> None:
    db = await look(database)
    assert await present(db) == await books(db) == set()
    assert {row.kind for row in await status(database.url())}.isdisjoint({Kind.LEGACY})


async def test_an_upgraded_database_has_all_of_them(
    finished: Finished, generation: Generation, look: Look
) -> None:
    upgraded, _ = finished[generation]
    db = await look(upgraded)
    assert await present(db) == await books(db) == FILES
    states = {row.state for row in await status(upgraded.url()) if row.kind == Kind.LEGACY}
    assert states == {"applied"}


async def test_a_new_database_of_the_last_release_loses_them(
    database: Database, look: Look
) -> None:
    db = await look(database)
    await put_back_to_the_last_release(db)
    await migrate(database.url())
    assert await present(db) == set()
    assert await catalog.find_differences(db) == []
    assert (await migrate(database.url())).steps == ()


async def test_an_upgraded_database_of_the_last_release_still_erases(
    cluster: Cluster, finished: Finished, generation: Generation, look: Look
) -> None:
    database = await cluster.create(finished[generation][0].name)
    db = await look(database)
    await put_back_to_the_last_release(db)
    await migrate(database.url())
    assert await present(db) == await books(db) == FILES
    assert await catalog.find_differences(db) == []
    assert await is_current(db)
    erasure = await erase_profile(database.url(), person(7), requested_by="me", reason="asked")
    assert erasure.cleared["old_rows"] > 0
    db.terminate()
    await cluster.drop(database)


async def test_a_lost_one_is_made_again(
    cluster: Cluster, finished: Finished, generation: Generation, look: Look
) -> None:
    database = await cluster.create(finished[generation][0].name)
    db = await look(database)
    await migrate(database.url())
    await db.execute("drop function fleet.erase_old_rows(text[])")
    damaged = [row.name for row in await status(database.url()) if row.state == "damaged"]
    assert damaged == ["fleet.erase_old_rows"]
    await migrate(database.url())
    assert await present(db) == FILES
    db.terminate()
    await cluster.drop(database)


async def test_they_go_with_what_the_upgrade_left(
    cluster: Cluster, finished: Finished, generation: Generation, look: Look
) -> None:
    database = await cluster.create(finished[generation][0].name)
    db = await look(database)
    await db.execute(
        f"drop schema {generation.schema} cascade;"
        "drop table fleet.upgrade_runs, fleet.upgrade_steps, fleet.upgrade_tables,"
        " fleet.upgraded_users, fleet.quarantine, fleet.archived_rows, fleet.upgrade_notes"
    )
    removed = {step.name for step in (await migrate(database.url())).steps if not step.checksum}
    assert removed == FILES
    assert await present(db) == await books(db) == set()
    erasure = await erase_profile(database.url(), person(7), requested_by="me", reason="asked")
    assert erasure.cleared["old_rows"] == 0
    db.terminate()
    await cluster.drop(database)


async def test_each_is_commented_and_open_to_nobody(
    finished: Finished, generation: Generation, look: Look
) -> None:
    db = await look(finished[generation][0])
    rows = await db.fetch(
        """
        select obj_description(oid, 'pg_proc') is not null and proacl::text !~ '(^|[{,])='
            and cardinality(proacl) = 1
            and proconfig @> array['search_path="", pg_temp'] as is_good
        from pg_proc where pronamespace = 'fleet'::regnamespace and 'fleet.' || proname = any($1)
        """,
        [*FILES],
    )
    assert [row["is_good"] for row in rows] == [True] * len(FILES)
