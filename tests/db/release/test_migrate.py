"""The release: what it applies, in which order, and when it refuses."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from db.connections.pool import open_connection
from db.errors import DatabaseUnavailable
from db.release import compatibility, session, steps
from db.release.compatibility import is_current
from db.release.plan import MigrationChanged, UnknownMigrations
from db.release.runner import apply_files, migrate, status
from db.release.schema import (
    FOLDER,
    Kind,
    MisnamedFile,
    SchemaFile,
    expected,
    login_roles,
    read_folder,
)
from db.release.steps import StepFailed
from tests.clusters import LOGINS
from tests.conditions import DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from db.connections.pool import Connection
    from tests.clusters import Cluster, Database, Login
    from tests.conftest import Connect

SHIM = [file for file in expected() if file.kind is Kind.SHIM]
# What a database needs that no upgrade brought here.
NEEDED = [file for file in expected() if file.kind is not Kind.LEGACY]
FIRST = next(file for file in expected() if file.kind is Kind.MIGRATION)

ROLES = ["anon", "authenticated", "service_role", *login_roles()]


def migration(text: str, *, number: int = 1) -> SchemaFile:
    return SchemaFile(Kind.MIGRATION, f"2999010100000{number}_test_{number}", text)


def function(returns: str) -> SchemaFile:
    text = f"create or replace function public.answer() returns int language sql as '{returns}';"
    return SchemaFile(Kind.FUNCTION, "public.answer", text)


def invariant(text: str) -> SchemaFile:
    return SchemaFile(Kind.INVARIANT, "nothing_is_wrong", text)


def with_files(*files: SchemaFile) -> list[SchemaFile]:
    """Return the first files of this release with other files after them."""
    return [*SHIM, FIRST, *files]


async def names(url: str, *files: SchemaFile) -> list[str]:
    """Return the names of the steps of a run with these files."""
    return [step.name for step in (await apply_files(url, with_files(*files))).steps]


async def fetch(url: str, query: str) -> list[tuple[object, ...]]:
    """Return the rows of a query, asked on a connection of its own."""
    connection = await open_connection(url, application_name="test")
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


@asynccontextmanager
async def locked(database: Database, table: str) -> AsyncIterator[None]:
    """Lock everybody else out of a table."""
    holder = await open_connection(database.url(), application_name="test")
    try:
        async with holder.transaction():
            await holder.execute(f"lock table {table}")
            yield
    finally:
        await holder.close()


async def test_a_second_run_finds_nothing_to_do(database: Database) -> None:
    assert (await migrate(database.url())).steps == ()


async def test_a_run_applies_each_file_once_in_the_order_of_kinds(empty_database: Database) -> None:
    heard: list[str] = []
    report = await migrate(empty_database.url(), on_step=lambda step: heard.append(step.path))
    assert heard == [step.path for step in report.steps] == [file.path for file in NEEDED]
    kinds = list(dict.fromkeys(step.kind for step in report.steps))
    assert kinds == [kind for kind in Kind if kind in kinds]


async def test_two_runs_at_once_apply_each_file_once(empty_database: Database) -> None:
    reports = await asyncio.gather(*(migrate(empty_database.url()) for _ in range(3)))
    assert sorted(len(report.steps) for report in reports) == [0, 0, len(NEEDED)]


@pytest.mark.long
async def test_releases_of_two_databases_may_make_the_same_roles(cluster: Cluster) -> None:
    databases = [await cluster.create() for _ in range(2)]
    try:
        await asyncio.gather(*(migrate(database.url()) for database in databases))
    finally:
        for database in databases:
            await cluster.drop(database)


@pytest.mark.requirement("B2")
async def test_a_first_release_makes_the_roles_it_needs(
    empty_database: Database, cluster: Cluster
) -> None:
    administrator = await open_connection(cluster.superuser_url, application_name="test")
    try:
        for role in ROLES:
            await administrator.execute(f"alter role {role} rename to away_{role}")
        await migrate(empty_database.url())
        made = await administrator.fetch(
            "select rolname::text, rolcanlogin from pg_roles where rolname = any($1)", ROLES
        )
        assert dict(made) == {role: role.startswith("coinfleet_") for role in ROLES}
    finally:
        await cluster.drop(empty_database)
        for role in ROLES:
            await administrator.execute(f"drop role if exists {role}")
            await administrator.execute(f"alter role away_{role} rename to {role}")
        await administrator.close()


async def test_a_changed_function_is_applied_again_and_policies_after_it(
    empty_database: Database,
) -> None:
    url = empty_database.url()
    policy = SchemaFile(Kind.POLICY, "answer", "grant execute on function public.answer() to anon;")
    assert await names(url, function("select 1"), policy) == [
        *(file.name for file in with_files()),
        "public.answer",
        "answer",
    ]
    assert await names(url, function("select 2"), policy) == ["public.answer", "answer"]
    assert await names(url, function("select 2"), policy) == []


async def test_a_new_function_comes_before_the_changed_one_that_calls_it(
    empty_database: Database,
) -> None:
    url = empty_database.url()
    new = SchemaFile(
        Kind.FUNCTION, "public.zero", function("select 0").text.replace("answer", "zero")
    )
    await names(url, function("select 1"))
    assert await names(url, function("select public.zero()"), new) == [
        "public.zero",
        "public.answer",
    ]


async def test_a_function_whose_file_is_gone_is_dropped_when_nothing_calls_it_any_more(
    empty_database: Database,
) -> None:
    url = empty_database.url()
    text = function("select 1").text
    old = SchemaFile(Kind.FUNCTION, "public.one", text.replace("answer", "one"))
    new = SchemaFile(Kind.FUNCTION, "public.uno", text.replace("answer", "uno"))
    await names(url, old, function("select public.one()"))
    assert await names(url, new, function("select public.uno()")) == [
        "public.uno",
        "public.answer",
        "public.one",
    ]
    assert await fetch(url, "select public.answer(), to_regproc('public.one')::text") == [(1, None)]


async def test_older_code_stays_current_where_a_newer_release_removed_a_function(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = empty_database.url()
    files = with_files(function("select 1"))
    await apply_files(url, files)
    assert await names(url) == ["public.answer"]
    assert await fetch(url, "select to_regproc('public.answer') is null") == [(True,)]
    assert await names(url) == []
    monkeypatch.setattr(compatibility, "expected", lambda: files)
    connection = await open_connection(url, application_name="test")
    try:
        assert await is_current(connection)
        assert not await compatibility.lacks_functions(connection)
    finally:
        await connection.close()
    # A later release may have a function of that name again.
    assert await names(url, function("select 2")) == ["public.answer"]


async def test_a_tables_own_policy_comes_again_after_a_migration_but_no_changed_function(
    empty_database: Database,
) -> None:
    url = empty_database.url()
    policy = SchemaFile(Kind.POLICY, "public.answers", "grant usage on schema public to anon;")
    await names(url, function("select 1"), policy)
    assert await names(url, function("select 2"), policy) == ["public.answer"]
    new = migration("select 1;")
    assert await names(url, new, function("select 2"), policy) == [new.name, "public.answers"]


async def test_a_changed_migration_is_refused_by_its_path(empty_database: Database) -> None:
    url = empty_database.url()
    await names(url, migration("select 1;"))
    with pytest.raises(
        MigrationChanged, match=r"db/migrations/29990101000001_test_1\.sql was changed"
    ):
        await names(url, migration("select 2;"))


async def test_older_code_leaves_a_newer_database_alone(empty_database: Database) -> None:
    url = empty_database.url()
    await names(url, migration("select 1;"), function("select 1"))
    with pytest.raises(UnknownMigrations, match="29990101000001_test_1"):
        await names(url, function("select 2"))
    assert await names(url, migration("select 1;"), function("select 1")) == []


async def test_a_migration_that_came_late_is_still_applied(empty_database: Database) -> None:
    url = empty_database.url()
    await names(url, migration("select 1;", number=2))
    early = migration("select 1;", number=1)
    assert "29990101000001_test_1" in await names(url, early, migration("select 1;", number=2))


async def test_a_failing_step_names_file_and_line_and_leaves_nothing(
    empty_database: Database,
) -> None:
    url = empty_database.url()
    broken = migration("create table public.half (id int);\n\nselect *\nfrom public.nowhere;\n")
    with pytest.raises(StepFailed, match=r"29990101000001_test_1\.sql, line 4: .*42P01") as caught:
        await names(url, broken)
    assert caught.value.line == 4
    whole = migration("create table public.half (id int);\n")
    assert await names(url, whole) == [whole.name]


async def test_steps_before_a_failing_one_are_kept(empty_database: Database) -> None:
    url = empty_database.url()
    good, bad = migration("select 1;"), migration("select 1/0;", number=2)
    with pytest.raises(StepFailed, match=r"test_2\.sql: division by zero .*22012"):
        await names(url, good, bad)
    assert await names(url, good, migration("select 1;", number=2)) == ["29990101000002_test_2"]


@pytest.mark.parametrize(
    "statement", ["create index concurrently on public.t (id);", "vacuum public.t;", "commit;"]
)
async def test_what_cannot_run_in_a_transaction_is_refused(
    empty_database: Database, statement: str
) -> None:
    await names(empty_database.url(), table := migration("create table public.t (id int);"))
    with pytest.raises(StepFailed, match="transaction"):
        await names(empty_database.url(), table, migration(statement, number=2))


async def test_an_unqualified_name_is_refused(empty_database: Database) -> None:
    with pytest.raises(StepFailed, match="no schema has been selected"):
        await names(empty_database.url(), migration("create table t (id int);"))


async def test_a_step_that_waits_for_a_lock_is_tried_again(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, table = empty_database.url(), migration("create table public.busy (id int);")
    await names(url, table)
    monkeypatch.setattr(session, "LOCK_TIMEOUT_MS", 50)
    failed_twice = asyncio.Event()

    def pause_s(tried: int) -> float:
        if tried == 2:
            failed_twice.set()
        return 0.05

    monkeypatch.setattr(steps, "_pause_s", pause_s)
    async with locked(empty_database, "public.busy"):
        change = migration("alter table public.busy add x int;", number=2)
        run = asyncio.create_task(names(url, table, change))
        await asyncio.wait_for(failed_twice.wait(), DEADLINE_S)
    assert await run == ["29990101000002_test_2"]


async def test_a_step_that_never_gets_its_lock_fails_by_name(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, table = empty_database.url(), migration("create table public.busy (id int);")
    await names(url, table)
    monkeypatch.setattr(session, "LOCK_TIMEOUT_MS", 20)
    monkeypatch.setattr(steps, "TRIES", 2)
    async with locked(empty_database, "public.busy"):
        change = migration("alter table public.busy add x int;", number=2)
        with pytest.raises(StepFailed, match=r"test_2\.sql: never got its locks in 2 tries"):
            await names(url, table, change)


async def test_an_invariant_becomes_a_view_that_the_worker_may_read(database: Database) -> None:
    url, worker = database.url(), database.url("worker")
    one = invariant("-- Nothing's wrong.\n-- Ever.\nselect 1 as wrong\n-- never\nwhere false;\n")
    await apply_files(url, [*expected(), one])
    assert await fetch(worker, "select wrong from invariants.nothing_is_wrong") == []
    comment = "select obj_description('invariants.nothing_is_wrong'::regclass)"
    assert await fetch(url, comment) == [("Nothing's wrong. Ever.",)]


async def test_an_invariant_may_change_its_columns_and_goes_with_its_file(
    database: Database,
) -> None:
    url, worker = database.url(), database.url("worker")
    await apply_files(url, [*expected(), invariant("select 1 as a, 2 as b")])
    await apply_files(url, [*expected(), invariant("select 'x' as b")])
    assert await fetch(worker, "select * from invariants.nothing_is_wrong") == [("x",)]
    await migrate(url)
    assert await fetch(url, "select to_regclass('invariants.nothing_is_wrong')") == [(None,)]
    assert {row.state for row in await status(url)} == {"applied"}


async def test_an_error_in_an_invariant_names_its_line(database: Database) -> None:
    broken = invariant("-- Nothing is wrong.\nselect 1\nfrom public.nowhere")
    with pytest.raises(StepFailed, match=r"nothing_is_wrong\.sql, line 3"):
        await apply_files(database.url(), [*expected(), broken])


async def test_status_tells_applied_pending_changed_and_unknown_apart(
    empty_database: Database, db: Connection, database: Database
) -> None:
    assert {row.state for row in await status(empty_database.url())} == {"pending"}
    assert {row.state for row in await status(database.url())} == {"applied"}
    await db.execute("update fleet.schema_objects set checksum = 'x' where name = '20_auth'")
    await db.execute("insert into fleet.schema_objects values ('view', 'public.gone', 'x')")
    odd = {row.name: row.state for row in await status(database.url()) if row.state != "applied"}
    assert odd == {"20_auth": "changed", "public.gone": "unknown"}


@pytest.mark.parametrize("login", LOGINS)
async def test_each_process_can_tell_whether_the_schema_is_current(
    connect: Connect, db: Connection, login: Login
) -> None:
    process = await connect(login)
    assert await is_current(process)
    await db.execute("insert into fleet.schema_migrations values (29990101000000, 'newer', 'x')")
    assert await is_current(process)
    await db.execute("delete from fleet.schema_migrations where name = $1", FIRST.name)
    assert not await is_current(process)


async def test_a_database_without_a_release_is_not_current(empty_database: Database) -> None:
    connection = await open_connection(empty_database.url("web"), application_name="test")
    try:
        assert not await is_current(connection)
    finally:
        await connection.close()


async def test_an_unreachable_database_is_unavailable() -> None:
    with pytest.raises(DatabaseUnavailable):
        await migrate("postgresql://coinfleet_owner:test@127.0.0.1:1/nowhere")


@pytest.mark.parametrize(
    "path",
    [
        "migrations/2026_too_short.sql",
        "migrations/20261122000100_schemas_and_roles_again.sql",
        "functions/Public.Shouted.sql",
    ],
)
def test_a_misnamed_file_is_refused(tmp_path: Path, path: str) -> None:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    (tmp_path / path).write_text("select 1;")
    with pytest.raises(MisnamedFile):
        list(read_folder(tmp_path))
