"""A release makes profiles for users who signed up before the schema was here."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from db.connections.pool import open_connection
from db.release import sign_ups as older_users
from db.release.export import export
from db.release.runner import migrate
from tests.db.release.exports import push

if TYPE_CHECKING:
    from pathlib import Path

    from db.connections.pool import Connection
    from tests.clusters import Database
    from tests.conftest import Connect
    from tests.supabase.project import Project

SIGN_UP = "insert into auth.users (id) select gen_random_uuid() from generate_series(1, $1)"
WITHOUT = (
    "select count(*) from auth.users as u full join public.profiles as p using (id)"
    " where u.id is null or p.id is null"
)
BY_ITSELF = "alter table auth.users disable trigger coinfleet_makes_a_profile"


async def signed_up(db: Connection, users: int) -> None:
    """Let users sign up while our trigger is not there."""
    await db.execute(BY_ITSELF)
    await db.execute(SIGN_UP, users)
    await db.execute(BY_ITSELF.replace("disable", "enable"))


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    "table",
    [
        "create table auth.users (id uuid primary key)",
        "create table auth.users (id uuid primary key, created_at timestamptz default now())",
    ],
)
@pytest.mark.parametrize("users", [1, 25])
async def test_a_first_release_makes_profiles_of_the_users_it_finds(
    empty_database: Database, users: int, table: str
) -> None:
    owner = await open_connection(empty_database.url(), application_name="test")
    await owner.execute(f"create schema auth; {table}")
    await owner.execute(SIGN_UP, users)
    report = await migrate(empty_database.url())
    assert report.profiles_made == users
    assert await owner.fetchval(WITHOUT) == 0
    await owner.execute(SIGN_UP, 1)
    assert await owner.fetchval(WITHOUT) == 0
    owner.terminate()


async def test_a_later_release_makes_those_that_are_missing_and_a_second_none(
    database: Database, db: Connection
) -> None:
    await db.execute(SIGN_UP, 2)
    await signed_up(db, 3)
    assert [(await migrate(database.url())).profiles_made for _ in range(2)] == [3, 0]
    assert await db.fetchval(WITHOUT) == 0


async def test_profiles_come_in_batches(db: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(older_users, "USERS_A_BATCH", 2)
    await signed_up(db, 5)
    assert await older_users.make_profiles(db) == 5


async def test_an_interrupted_release_goes_on_where_it_was(db: Connection) -> None:
    await signed_up(db, 5)
    await db.fetchrow("select * from fleet.make_profiles(null, 2)")
    assert await older_users.make_profiles(db) == 3
    assert await db.fetchval(WITHOUT) == 0


async def test_an_older_users_profile_is_as_old_as_the_user(db: Connection) -> None:
    await signed_up(db, 1)
    await db.execute("update auth.users set created_at = '2021-02-03'")
    await older_users.make_profiles(db)
    assert await db.fetchval("select created_at = '2021-02-03' from public.profiles")


@pytest.mark.long_but_first
@pytest.mark.parametrize("exported", [True, False])
async def test_the_older_users_of_a_supabase_project_get_profiles(
    project: Project, tmp_path: Path, *, exported: bool
) -> None:
    async with project.connected("supabase_auth_admin") as auth:
        await auth.execute(SIGN_UP, 25)
    if exported:
        await push(project, export(tmp_path))
    else:
        assert (await migrate(project.url())).profiles_made == 25
    async with project.connected() as postgres:
        assert await postgres.fetchval("select count(*) from public.profiles") == 25


async def test_an_id_is_enough_to_read(project: Project) -> None:
    user = await _unreadable(project, "grant select (id), references, trigger on auth.users")
    assert (await migrate(project.url())).profiles_made == 1
    async with project.connected() as postgres:
        assert await postgres.fetchval("select id from public.profiles") == user


@pytest.mark.long_but_first
@pytest.mark.parametrize("exported", [True, False])
async def test_users_that_the_release_may_not_read_stop_nothing_and_are_reported(
    project: Project, tmp_path: Path, *, exported: bool
) -> None:
    await _unreadable(project, "grant references, trigger on auth.users")
    if exported:
        await push(project, export(tmp_path))
        assert (await migrate(project.url())).steps == ()
    report = await migrate(project.url())
    assert report.profiles_made is None


async def test_users_whom_a_policy_hides_from_the_release_are_reported(
    db: Connection, connect: Connect
) -> None:
    await signed_up(db, 1)
    # The owner of these tests passes by policies; a worker with the same rights does not.
    for right in (
        "usage on schema auth",
        "select on auth.users",
        "insert, select on public.profiles",
        "execute on function fleet.make_profiles(uuid, integer)",
    ):
        await db.execute(f"grant {right} to coinfleet_worker")
    await db.execute("alter table auth.users enable row level security")
    assert await older_users.make_profiles(await connect("worker")) is None


async def _unreadable(project: Project, grant: str) -> UUID:
    """Let somebody sign up, and leave the release's role only these rights to the table."""
    user = uuid4()
    async with project.connected("supabase_admin") as administrator:
        await administrator.execute("insert into auth.users (id) values ($1)", user)
        await administrator.execute("revoke all on auth.users from postgres")
        await administrator.execute(f"{grant} to postgres")
        # A role that may read all data may read these too.
        await administrator.execute("revoke pg_read_all_data from postgres")
    return user
