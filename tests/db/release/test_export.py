"""The schema as files for `supabase db push`: what they make is what a release makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from db.legacy.scripts import LEGACY
from db.release.export import export
from db.release.plan import MigrationChanged, UnknownMigrations
from db.release.runner import apply_files, migrate, status
from db.release.schema import Kind, SchemaFile, expected
from tests.db.release.exports import catalog, push

if TYPE_CHECKING:
    from pathlib import Path

    from tests.supabase.project import Project, SupabaseServer

pytestmark = pytest.mark.requirement("B2")


def with_more(*files: SchemaFile) -> list[SchemaFile]:
    """Return a later release: this one with other files, each among those of its kind."""
    merged = {(each.kind, each.name): each for each in (*expected(), *files)}
    order = list(Kind)
    return sorted(merged.values(), key=lambda each: (order.index(each.kind), each.name))


MIGRATION = SchemaFile(
    Kind.MIGRATION, "20261122230000_more", "create table fleet.more (id bigint primary key);\n"
)

FUNCTION = SchemaFile(
    Kind.FUNCTION,
    "fleet.answer",
    "create or replace function fleet.answer() returns int language sql"
    " set search_path = '', pg_temp as 'select 42';\n",
)
INVARIANT = SchemaFile(Kind.INVARIANT, "nothing_is_wrong", "-- Nothing.\nselect 1 as a where false")


async def test_what_the_files_make_is_what_a_release_makes(
    supabase_server: SupabaseServer, project: Project, tmp_path: Path
) -> None:
    await push(project, export(tmp_path))
    released = await supabase_server.create()
    try:
        await migrate(released.url())
        assert await catalog(project) == await catalog(released)
    finally:
        await supabase_server.drop(released)


async def test_a_release_finds_nothing_to_do_after_the_files(
    project: Project, tmp_path: Path
) -> None:
    await push(project, export(tmp_path))
    assert (await migrate(project.url())).steps == ()
    pending = {row.state for row in await status(project.url())}
    assert pending == {"applied"}


async def test_the_files_erase_old_rows_only_in_a_database_that_was_upgraded(
    supabase_server: SupabaseServer, project: Project, tmp_path: Path
) -> None:
    legacy = {file.name for file in expected() if file.kind is Kind.LEGACY}
    named = (
        "select o.name, to_regproc(o.name) is not null from fleet.schema_objects as o"
        " where kind = 'legacy'"
    )
    paths = export(tmp_path)
    await push(project, paths)
    async with project.connected() as postgres:
        assert await postgres.fetch(named) == []
    upgraded = await supabase_server.create()
    async with upgraded.connected() as postgres:
        await postgres.execute((LEGACY / "bookkeeping.sql").read_text())
        await push(upgraded, paths)
        assert {tuple(row) for row in await postgres.fetch(named)} == {(n, True) for n in legacy}
    assert (await migrate(upgraded.url())).steps == ()
    await supabase_server.drop(upgraded)


async def test_a_removed_function_stays_recorded_for_an_older_release(
    project: Project, tmp_path: Path
) -> None:
    await push(project, export(tmp_path, with_more(FUNCTION)))
    await push(project, export(tmp_path))
    async with project.connected() as postgres:
        checksum = "select checksum from fleet.schema_objects where name = 'fleet.answer'"
        assert await postgres.fetchval(checksum) == "removed"
    assert (await migrate(project.url())).steps == ()


async def test_a_later_release_adds_files_that_bring_a_project_up_to_it(
    project: Project, tmp_path: Path
) -> None:
    await push(project, export(tmp_path, with_more(INVARIANT)))
    await push(project, export(tmp_path, later := with_more(MIGRATION, FUNCTION)))
    assert (await apply_files(project.url(), later)).steps == ()
    async with project.connected() as postgres:
        assert await postgres.fetchval("select fleet.answer()") == 42
        gone = "select to_regclass('invariants.nothing_is_wrong') is null"
        assert await postgres.fetchval(gone)


def test_a_folder_of_a_newer_release_is_left_alone(tmp_path: Path) -> None:
    export(tmp_path, with_more(MIGRATION))
    with pytest.raises(UnknownMigrations, match="20261122230000_more"):
        export(tmp_path)


def test_a_second_export_writes_nothing(tmp_path: Path) -> None:
    assert export(tmp_path) != []
    assert export(tmp_path) == []


def test_two_exports_into_empty_folders_are_the_same(tmp_path: Path) -> None:
    first, second = export(tmp_path / "a"), export(tmp_path / "b")
    assert {path.name: path.read_bytes() for path in first} == {
        path.name: path.read_bytes() for path in second
    }


def test_a_changed_function_adds_one_file_and_leaves_the_others(tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in export(tmp_path)}
    added = export(tmp_path, with_more(FUNCTION))
    assert [path.name.partition("_")[2] for path in added] == ["coinfleet_objects.sql"]
    assert added[0].name > max(path.name for path in before)
    assert "fleet.answer" in (text := added[0].read_text())
    assert "fleet.post_ledger" not in text
    assert {path: path.read_bytes() for path in before} == before


def test_what_comes_late_stands_after_the_projects_own_migrations(tmp_path: Path) -> None:
    export(tmp_path)
    own = tmp_path / "20300101000059_the_projects_own.sql"
    own.write_text("select 1;")
    names = [path.name for path in export(tmp_path, with_more(MIGRATION))]
    assert names == ["20300101000100_more.sql", "20300101000101_coinfleet_objects.sql"]
    assert export(tmp_path, with_more(MIGRATION)) == []


def test_a_file_of_the_projects_own_may_be_in_any_encoding(tmp_path: Path) -> None:
    (tmp_path / "20990101000000_mine.sql").write_bytes("-- für später".encode("latin-1"))
    assert export(tmp_path)
    assert export(tmp_path) == []


def test_a_migration_that_changed_after_its_export_is_refused(tmp_path: Path) -> None:
    export(tmp_path, with_more(MIGRATION))
    changed = SchemaFile(Kind.MIGRATION, MIGRATION.name, "select 1;")
    with pytest.raises(MigrationChanged, match="20261122230000_more"):
        export(tmp_path, with_more(changed))
