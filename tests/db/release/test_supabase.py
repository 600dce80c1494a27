"""A release in a project prepared like Supabase's: as `postgres`, changing nothing of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest

from db.release import rules
from db.release.runner import migrate
from db.release.schema import Kind
from tests.db.access.attacks import TRAP
from tests.db.release.catalog_queries import (
    API_ROLES,
    COIN_COLUMNS,
    COLUMN_RIGHTS,
    EXECUTABLE,
    FOREIGN_KEYS_WITHOUT_INDEX,
    FUNCTIONS,
    OPEN_FUNCTIONS,
    POLICIES,
    RELATIONS,
    SEQUENCE_RIGHTS,
    TABLE_RIGHTS,
    UNCOMMENTED,
    USER_COLUMNS_WITHOUT_PROFILE,
)

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.conftest import Connect
    from tests.supabase.project import Project, SupabaseServer

pytestmark = pytest.mark.requirement("B2")

# The auth schema as a whole: its objects, their owners, texts and rights. A foreign key of ours
# that references auth.users shows in none of them.
AUTH_SCHEMA = """
select relname as name, relowner::regrole::text as owner, relacl::text as rights, '' as text
from pg_class where relnamespace = 'auth'::regnamespace
union all
select proname, proowner::regrole::text, proacl::text, prosrc
from pg_proc where pronamespace = 'auth'::regnamespace
order by name
"""
NOT_OWNED_BY_POSTGRES = f"""
select name from ({RELATIONS}) r join pg_class using (oid) where relowner <> 'postgres'::regrole
"""
# What the catalog's tests ask of the shim's database, without oids, which differ.
CATALOG = (
    f"select name, prosrc, proconfig, prosecdef, provolatile from ({FUNCTIONS}) f",
    f"select name, kind, relrowsecurity from ({RELATIONS}) r",
    EXECUTABLE,
    TABLE_RIGHTS,
    COLUMN_RIGHTS,
    SEQUENCE_RIGHTS,
    POLICIES,
    FOREIGN_KEYS_WITHOUT_INDEX,
    USER_COLUMNS_WITHOUT_PROFILE,
    COIN_COLUMNS,
    UNCOMMENTED,
)


@pytest.mark.long
async def test_a_release_leaves_supabases_auth_schema_as_it_is(project: Project) -> None:
    async with project.connected("supabase_admin") as administrator:
        before = await administrator.fetch(AUTH_SCHEMA)
        report = await migrate(project.url())
        assert Kind.SHIM not in {step.kind for step in report.steps}
        assert await administrator.fetch(AUTH_SCHEMA) == before


@pytest.mark.long
async def test_the_releases_role_is_no_superuser_and_owns_all_that_is_made(
    project: Project,
) -> None:
    await migrate(project.url())
    async with project.connected() as postgres:
        assert not await postgres.fetchval("select usesuper from pg_user where usename = user")
        assert await postgres.fetch(NOT_OWNED_BY_POSTGRES) == []


async def test_a_second_release_finds_nothing_to_do_and_writes_the_rules(project: Project) -> None:
    await migrate(project.url())
    assert (await migrate(project.url())).steps == ()
    await rules.configure(
        project.url(),
        purchase_limit_usd=1,  # type: ignore[arg-type]
        approval_threshold_usd=1,  # type: ignore[arg-type]
        purchases_per_minute=1,
        max_active_streams_per_viewer=1,
    )


@pytest.mark.long_but_first
@pytest.mark.parametrize("opens_public", [True, False])
async def test_the_catalog_is_the_same_whatever_a_project_grants_by_itself(
    supabase_server: SupabaseServer, connect: Connect, *, opens_public: bool
) -> None:
    shimmed = await connect()
    project = await supabase_server.create(opens_public=opens_public)
    try:
        await migrate(project.url())
        async with project.connected() as postgres:
            for query in CATALOG:
                assert await answer(postgres, query) == await answer(shimmed, query)
            opened = await postgres.fetch(EXECUTABLE)
    finally:
        await supabase_server.drop(project)
    assert {tuple(row) for row in opened if row["role"] in (*API_ROLES, "public")} == OPEN_FUNCTIONS


async def answer(
    connection: Connection | asyncpg.Connection[asyncpg.Record], query: str
) -> set[tuple[str, ...]]:
    """Return the rows of a query of the catalog, in no order."""
    return {
        tuple(str(sorted(value) if isinstance(value, list) else value) for value in row.values())
        for row in await connection.fetch(query)
    }


async def test_a_sign_up_through_supabases_auth_service_makes_a_profile(project: Project) -> None:
    await migrate(project.url())
    user = uuid4()
    async with project.connected("supabase_auth_admin") as auth:
        await auth.execute("insert into auth.users (id) values ($1)", user)
    async with project.connected() as postgres:
        assert await postgres.fetchval("select id from public.profiles") == user


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    "statement",
    [
        "update public.ledger_entries set amount = 1000000",
        "delete from public.ledger_entries",
        "truncate public.ledger_entries",
    ],
)
async def test_the_people_of_a_project_cannot_disable_the_ledgers_triggers_by_accident(
    project: Project, statement: str
) -> None:
    await migrate(project.url())
    user = uuid4()
    async with project.connected() as postgres:
        await postgres.execute("insert into auth.users (id) values ($1)", user)
        await postgres.execute(
            "select public.update_coin_balance_via_ledger($1, 5, 'adjustment', 'key')", user
        )
        await postgres.execute("set session_replication_role = replica")
        with pytest.raises(asyncpg.PostgresError, match="append-only") as caught:
            await postgres.execute(statement)
    assert caught.value.sqlstate == "CF010"


@pytest.mark.long_but_first
@pytest.mark.parametrize("trapped", ["uuid", "jsonb", "text"])
async def test_supabases_own_auth_functions_meet_no_type_of_a_clients(
    project: Project, trapped: str
) -> None:
    await migrate(project.url())
    mallory, victim = uuid4(), uuid4()
    async with project.connected("supabase_auth_admin") as auth:
        await auth.execute("insert into auth.users (id) values ($1), ($2)", mallory, victim)
    async with project.connected() as postgres:
        await postgres.execute("insert into public.live_streams (profile_id) values ($1)", victim)
        async with project.connected("authenticator") as client, client.transaction():
            await client.execute("set local role authenticated")
            claims = json.dumps({"sub": str(mallory)})
            await client.execute("select set_config('request.jwt.claims', $1, true)", claims)
            await client.execute(TRAP.format(type=trapped))
            await client.execute("select public.update_viewer_heartbeat(1, true, true, true, true)")
        robbed = "select bio from public.profiles where id = $1"
        assert await postgres.fetchval(robbed, victim) is None
