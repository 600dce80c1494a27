"""Other objects of a project keep their owners, rights and texts, whatever we do beside them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import pytest_asyncio

from db.legacy.upgrade import undo, upgrade
from db.release.export import export
from db.release.generations import Generation
from db.release.runner import migrate
from db.release.schema import expected
from db.release.steps import StepFailed
from tests.db.legacy.platforms import HERE

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.supabase.project import Project

pytestmark = [pytest.mark.requirement("B2"), pytest.mark.long]

# The project's own objects, with rights of its own, in the schema that we use too.
THEIRS = """
create table public.their_table (id serial primary key, name text, secret text);
grant select (name), insert on public.their_table to authenticated;
alter table public.their_table enable row level security;
create policy their_policy on public.their_table for select to anon using (name <> '');
create sequence public.their_numbers;
create view public.their_view as select name from public.their_table;
create function public.their_call() returns int language sql as 'select 1';
revoke all on function public.their_call() from public;
grant execute on function public.their_call() to anon, service_role;
create function public.their_sign_up() returns trigger language plpgsql security definer as $$
begin
    insert into public.their_table (name) values (new.id);
    return new;
end
$$;
create trigger on_auth_user_created after insert on auth.users
for each row execute function public.their_sign_up();
create schema theirs;
create table theirs.kept (id bigint generated always as identity);
grant usage on schema theirs to anon;
grant all on all tables in schema theirs to anon;
grant all on all sequences in schema theirs to anon;
"""
# Made by another role, with no right for `postgres`: a statement for all of public fails on these.
ANOTHERS = """
create sequence public.anothers_numbers;
create function public.anothers_call() returns int language sql as 'select 1';
create table public.anothers_table (id int);
revoke all on function public.anothers_call() from public, postgres, anon, service_role;
revoke all on sequence public.anothers_numbers from postgres, anon, service_role;
revoke all on public.anothers_table from postgres, anon;
"""
RIGHTS = """
select 'relation' as kind, c.oid, c.oid::regclass::text as name, relowner::regrole::text as owner,
    relacl::text as rights, relrowsecurity::text as text
from pg_class c
union all
select 'column', attrelid, attname::text, '', attacl::text, ''
from pg_attribute where attnum > 0
union all
select 'function', oid, oid::regprocedure::text, proowner::regrole::text, proacl::text, prosrc
from pg_proc
union all
select 'policy', oid, polname::text, polroles::text, '', pg_get_expr(polqual, polrelid)
from pg_policy where polname = 'their_policy'
union all
select 'trigger', oid, tgname::text, tgenabled::text, tgfoid::text, pg_get_triggerdef(oid)
from pg_trigger where not tgisinternal and tgname = 'on_auth_user_created'
union all
select 'default', oid, '', defaclrole::regrole::text, defaclacl::text, defaclobjtype::text
from pg_default_acl
union all
select 'schema', oid, nspname::text, nspowner::regrole::text, nspacl::text, ''
from pg_namespace where nspname <> 'public'
"""
# As if a release had changed every object: all policies are applied again.
FORGET_POLICIES = "delete from fleet.schema_objects where kind = 'policy'"
EXECUTABLE_BY_WEB = """
select oid::regprocedure::text from pg_proc
where has_function_privilege('coinfleet_web', oid, 'execute')
    and pronamespace in ('fleet'::regnamespace, 'public'::regnamespace)
order by 1
"""


class Neighbours:
    """The objects of a project that were there before ours."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._before: dict[tuple[str, int, str], tuple[str, ...]] = {}

    async def look(self) -> dict[tuple[str, int, str], tuple[str, ...]]:
        """Return every object with its definition."""
        async with self.project.connected("supabase_admin") as administrator:
            await administrator.execute("set search_path = ''")
            rows = await administrator.fetch(RIGHTS)
        return {tuple(row)[:3]: tuple(row)[3:] for row in rows}

    async def remember(self) -> None:
        """Remember what there is now as theirs."""
        self._before = await self.look()

    async def changed(self) -> set[str]:
        """Return what has changed."""
        now = await self.look()
        return {
            f"{kind} {name}"
            for (kind, oid, name), was in self._before.items()
            if now.get((kind, oid, name)) != was
        }


@pytest_asyncio.fixture
async def neighbours(project: Project) -> Neighbours:
    """A project that has more than our schema."""
    async with project.connected() as postgres:
        await postgres.execute(THEIRS)
    async with project.connected("supabase_admin") as administrator:
        await administrator.execute(ANOTHERS)
    neighbours = Neighbours(project)
    await neighbours.remember()
    return neighbours


async def test_a_first_release_leaves_what_others_made_as_it_is(neighbours: Neighbours) -> None:
    await migrate(neighbours.project.url())
    assert await neighbours.changed() == set()


async def test_who_signs_up_has_a_profile_and_whatever_else_a_project_gives_them(
    neighbours: Neighbours,
) -> None:
    await migrate(neighbours.project.url())
    user = uuid4()
    async with neighbours.project.connected("supabase_auth_admin") as auth:
        await auth.execute("insert into auth.users (id) values ($1)", user)
    async with neighbours.project.connected() as postgres:
        assert await postgres.fetchval("select id from public.profiles") == user
        assert await postgres.fetchval("select name from public.their_table") == str(user)


async def test_a_function_of_theirs_under_a_name_of_ours_stops_a_release(project: Project) -> None:
    async with project.connected() as postgres:
        await postgres.execute(
            "create function public.cleanup_stale_viewers() returns bigint"
            " language plpgsql as 'begin return 7; end'"
        )
        with pytest.raises(StepFailed, match="isn't this release's"):
            await migrate(project.url())
        assert await postgres.fetchval("select public.cleanup_stale_viewers()") == 7
        await postgres.execute("drop function public.cleanup_stale_viewers()")
    assert (await migrate(project.url())).steps != ()


async def test_exported_files_leave_what_others_made_as_it_is(
    neighbours: Neighbours, tmp_path: Path
) -> None:
    async with neighbours.project.connected() as postgres:
        for path in export(tmp_path):
            await postgres.execute(path.read_text())
    assert await neighbours.changed() == set()


async def test_a_later_release_takes_nothing_back_that_a_project_gave_our_roles(
    neighbours: Neighbours,
) -> None:
    project = neighbours.project
    await migrate(project.url())
    async with project.connected() as postgres:
        await postgres.execute(
            "grant execute on function public.their_call() to coinfleet_web, coinfleet_worker;"
            "grant usage on sequence public.their_numbers to coinfleet_worker;"
            "grant select on public.their_table to coinfleet_scheduler"
        )
        await neighbours.remember()
        await postgres.execute(FORGET_POLICIES)
    assert (await migrate(project.url())).steps != ()
    assert await neighbours.changed() == set()


async def test_a_later_release_takes_back_what_a_policy_no_longer_lists(project: Project) -> None:
    await migrate(project.url())
    async with project.connected() as postgres:
        before = [tuple(row) for row in await postgres.fetch(EXECUTABLE_BY_WEB)]
        await postgres.execute(
            "grant execute on function fleet.fold_event_tallies(), public.cleanup_stale_viewers()"
            " to coinfleet_web;"
            "grant all on all sequences in schema public to anon"
        )
        await postgres.execute(FORGET_POLICIES)
        await migrate(project.url())
        assert [tuple(row) for row in await postgres.fetch(EXECUTABLE_BY_WEB)] == before != []
        sequence = "select has_sequence_privilege('anon', 'public.gifts_id_seq', 'update')"
        assert not await postgres.fetchval(sequence)


async def test_an_upgrade_and_its_undo_leave_what_others_made_as_it_is(
    neighbours: Neighbours,
) -> None:
    project = neighbours.project
    async with project.connected("supabase_auth_admin") as auth:
        # An older generation has a table of this name itself.
        await auth.execute("drop trigger on_auth_user_created on auth.users")
    await neighbours.remember()
    async with project.connected() as postgres:
        await postgres.execute((HERE / "second.sql").read_text())
    assert (await upgrade(project.url(), Generation.SECOND)).proof.holds
    assert await neighbours.changed() == set()
    await undo(project.url(), Generation.SECOND)
    assert await neighbours.changed() == set()


async def test_an_earlier_releases_trigger_goes_or_does_no_harm(
    db: Connection, project: Project
) -> None:
    (migration,) = [file.sql for file in expected() if file.name.endswith("_sign_up_trigger")]
    earlier = (
        "create trigger on_auth_user_created after insert on auth.users"
        " for each row execute function public.create_profile_for_new_user()"
    )
    await db.execute(earlier)
    await db.execute(migration)
    triggers = "select tgname from pg_trigger where tgrelid = 'auth.users'::regclass"
    assert "on_auth_user_created" not in {row[0] for row in await db.fetch(triggers)}
    await migrate(project.url())
    async with project.connected() as postgres:
        await postgres.execute(earlier)
        await postgres.execute(migration)
        async with project.connected("supabase_auth_admin") as auth:
            await auth.execute("insert into auth.users (id) values ($1)", uuid4())
        assert await postgres.fetchval("select count(*) from public.profiles") == 1
