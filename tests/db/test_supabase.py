"""A database prepared like Supabase's: we move in beside its auth service and leave it alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest_asyncio

from db.migrate import migrate
from db.pool import open_connection
from db.schema import Kind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.pool import Connection
    from tests.clusters import Cluster, Database

PREPARED = (Path(__file__).parent / "supabase.sql").read_text()
# The auth schema as a whole: its objects, their owners, texts and rights.
AUTH_SCHEMA = """
select relname as name, relowner::regrole::text as owner, relacl::text as rights, '' as text
from pg_class where relnamespace = 'auth'::regnamespace
union all
select proname, proowner::regrole::text, proacl::text, prosrc
from pg_proc where pronamespace = 'auth'::regnamespace
order by name
"""


@pytest_asyncio.fixture
async def supabase(cluster: Cluster, template: Database) -> AsyncIterator[Connection]:
    """The administrator's connection to a database prepared like Supabase's."""
    database = await cluster.create()
    administrator = await open_connection(database.url("superuser"), application_name="test")
    await administrator.execute(PREPARED)
    yield administrator
    await administrator.execute("drop owned by supabase_auth_admin cascade")
    await administrator.execute("drop role supabase_auth_admin, supabase_admin")
    await administrator.close()
    await cluster.drop(database)


async def released(cluster: Cluster, supabase: Connection) -> set[str]:
    """The kinds of files that a release there applied."""
    name = await supabase.fetchval("select current_database()")
    report = await migrate(cluster.url("owner", name))
    return {step.kind for step in report.steps}


async def test_a_release_leaves_supabases_auth_schema_as_it_is(
    cluster: Cluster, supabase: Connection
) -> None:
    before = await supabase.fetch(AUTH_SCHEMA)
    assert Kind.SHIM not in await released(cluster, supabase)
    assert await supabase.fetch(AUTH_SCHEMA) == before


async def test_a_sign_up_through_supabases_auth_service_makes_a_profile(
    cluster: Cluster, supabase: Connection
) -> None:
    await released(cluster, supabase)
    user = uuid4()
    await supabase.execute("set role supabase_auth_admin")
    await supabase.execute("insert into auth.users (id) values ($1)", user)
    await supabase.execute("reset role")
    assert await supabase.fetchval("select id from public.profiles") == user
