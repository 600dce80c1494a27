"""Supabase's advisors find nothing in this schema that is not explained."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from db.release.runner import migrate
from tests.db.access.advisors import ADVISORS, EXCEPTIONS

if TYPE_CHECKING:
    import asyncpg

    from db.connections.pool import Connection
    from tests.supabase.project import Project

pytestmark = pytest.mark.requirement("F")

# For each advisor something that it must find. Three need an extension or rights that are missing.
SINS: dict[str, str] = {
    "unindexed_foreign_keys": "create table public.sin (id int primary key, of_profile uuid"
    " references public.profiles (id))",
    "auth_users_exposed": "create view public.sin as select * from auth.users;"
    " grant select on public.sin to anon",
    "auth_rls_initplan": "create policy sin on public.gifts for update to authenticated"
    " using (auth.uid() = sender_id)",
    "no_primary_key": "create table fleet.sin (id int)",
    "multiple_permissive_policies": "create policy sin on public.gifts for select to anon"
    " using (coin_amount > 1)",
    "policy_exists_rls_disabled": "alter table public.gifts disable row level security",
    "rls_enabled_no_policy": "alter table fleet.inbox_events enable row level security",
    "duplicate_index": "create index sin on public.gifts (gift_type)",
    "security_definer_view": "create view public.sin as select * from public.ledger_entries;"
    " grant select on public.sin to authenticated",
    "function_search_path_mutable": "create function fleet.sin() returns int language sql"
    " as 'select 1'",
    "auth_allow_anonymous_sign_ins": "create policy sin on public.gifts for select to authenticated"
    " using (true)",
    "rls_disabled_in_public": "create table public.sin (id int primary key)",
    "rls_references_user_metadata": "create policy sin on public.gifts for select to authenticated"
    " using ((select auth.jwt()) -> 'user_metadata' ->> 'role' = 'admin')",
    "materialized_view_in_api": "create materialized view public.sin as select 1 as a;"
    " grant select on public.sin to anon",
    "unsupported_reg_types": "create table fleet.sin (id int primary key, f regproc)",
    "sensitive_columns_exposed": "create table public.sin (id int primary key, api_key text);"
    " grant select on public.sin to anon",
    "rls_policy_always_true": "create policy sin on public.gifts for delete to authenticated"
    " using (true)",
    "rls_policy_null_auth_disjunct": "create policy sin on public.ledger_entries for select to anon"
    " using ((select auth.uid()) is null or profile_id = (select auth.uid()))",
    "anon_security_definer_function_executable": "grant execute on function"
    " public.create_profile_for_new_user() to anon",
    "authenticated_security_definer_function_executable": "grant execute on function"
    " public.create_profile_for_new_user() to authenticated",
    "autovacuum_disabled": "alter table public.gifts set (autovacuum_enabled = off)",
}


async def findings(connection: Connection | asyncpg.Connection[asyncpg.Record]) -> set[str]:
    """Return what the advisors object to without an explanation, as `advisor: object`."""
    found = set()
    for advisor, query in ADVISORS.items():
        for (name,) in await connection.fetch(query):
            if not is_explained(advisor, name):
                found.add(f"{advisor}: {name}")
    return found


def is_explained(advisor: str, name: str) -> bool:
    return any(
        advisor == of_advisor and re.fullmatch(pattern, name) for of_advisor, pattern in EXCEPTIONS
    )


@pytest.mark.requirement("B6")
async def test_the_advisors_find_nothing_that_is_not_explained(db: Connection) -> None:
    assert await findings(db) == set()


@pytest.mark.requirement("B6")
async def test_the_advisors_find_nothing_in_a_supabase_project(project: Project) -> None:
    await migrate(project.url())
    async with project.connected() as postgres:
        assert await findings(postgres) == set()


async def test_each_exception_is_still_needed(db: Connection) -> None:
    for advisor, pattern in EXCEPTIONS:
        names = [name for (name,) in await db.fetch(ADVISORS[advisor])]
        assert any(re.fullmatch(pattern, name) for name in names), (advisor, pattern)


@pytest.mark.parametrize("advisor", SINS)
async def test_an_advisor_sees_what_it_is_for(db: Connection, advisor: str) -> None:
    before = await findings(db)
    await db.execute(SINS[advisor])
    new = await findings(db) - before
    assert advisor in {each.partition(":")[0] for each in new}
