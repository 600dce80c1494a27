"""Databases of older generations, and how two upgrades are compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

from db.connections.pool import open_connection
from db.legacy.upgrade import upgrade
from db.release.generations import Generation
from db.release.schema import FOLDER

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from db.legacy.upgrade import OnProgress, Result
    from tests.clusters import Cluster, Database

Platforms: TypeAlias = "Mapping[Generation, Database]"
Finished: TypeAlias = "Mapping[Generation, tuple[Database, Result]]"

HERE = Path(__file__).parent
# Users are in auth.users before the upgrade; what is made in public is open to the API.
AUTH = [path.read_text() for path in sorted((FOLDER / "shim").glob("*.sql"))]

# All contents of a database but times: two upgrades of one platform must be the same in these.
TABLES = """
select format('%I.%I', n.nspname, c.relname) as name
from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and n.nspname !~ '^(pg_|information_schema)' order by 1
"""
MOMENTS = (
    "xact_id", "applied_at", "moved_at", "finished_at", "quarantined_at", "archived_at",
    "counted_from", "batches", "refreshed_at",
)  # fmt: skip
# An owner's implied right and the same right granted are the same.
DEFINITIONS = """
select d.kind, d.name, d.text, array(select unnest(d.rights)::text order by 1)::text as rights
from (
    select 'function' as kind, p.oid::regprocedure::text as name, md5(p.prosrc) as text,
        coalesce(p.proacl, acldefault('f', p.proowner)) as rights, p.pronamespace as schema
    from pg_proc as p
    union all
    select 'trigger', tgname || ' on ' || tgrelid::regclass,
        pg_get_triggerdef(t.oid) || tgenabled::text, null, c.relnamespace
    from pg_trigger as t join pg_class as c on c.oid = tgrelid
    where not tgisinternal
    union all
    select 'constraint', conrelid::regclass || '.' || conname,
        replace(pg_get_constraintdef(oid), ' NOT VALID', ''), null, connamespace
    from pg_constraint where conrelid > 0 and contype <> 'n'
    union all
    select 'relation', c.oid::regclass::text, relkind::text,
        coalesce(relacl, acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner)),
        c.relnamespace
    from pg_class as c where relkind <> 'i'
    union all
    select 'schema', nspname, '', coalesce(nspacl, acldefault('n', nspowner)), oid from pg_namespace
) as d
where d.schema::regnamespace::text !~ '^(pg_|information_schema)'
order by 1, 2
"""


def person(number: int) -> UUID:
    """Return the profile id of a fixture's person."""
    return UUID(int=0x00000000_0000_4000_8000_000000000000 + int(str(number), 16))


async def build(cluster: Cluster, generation: Generation) -> Database:
    """Make a database as the old application left it."""
    database = await cluster.create()
    connection = await open_connection(
        database.url(), application_name="test", check_function_bodies="off"
    )
    try:
        for text in (*AUTH, (HERE / f"{generation}.sql").read_text()):
            await connection.execute(text)
    finally:
        await connection.close()
    return database


async def upgraded(
    database: Database,
    generation: Generation,
    *,
    batch_rows: int = 120,
    on_progress: OnProgress | None = None,
) -> Result:
    """Upgrade a test's database."""
    return await upgrade(database.url(), generation, batch_rows=batch_rows, on_progress=on_progress)


async def contents(connection: Connection) -> dict[str, list[str]]:
    """Return every row of every table, in order, without times."""
    found = {}
    for row in await connection.fetch(TABLES):
        # Times that the upgrade itself sets; the times of history must be the same.
        times = ("created_at",) if row["name"] == "public.ledger_entries" else ()
        rows = await connection.fetch(
            f"select (to_jsonb(t) - $1::text[])::text as row from {row['name']} as t order by 1",
            [*MOMENTS, *times],
        )
        found[row["name"]] = [row["row"] for row in rows]
    return found


async def definitions(connection: Connection) -> set[tuple[str, ...]]:
    """Return every function, trigger, constraint, relation and schema, with the rights to them."""
    return {tuple(row) for row in await connection.fetch(DEFINITIONS)}


class Interrupted(Exception):
    """The upgrade was stopped by the test."""


def stop_at(step: str, done: int = 0) -> OnProgress:
    """Return a callback that interrupts an upgrade at a step."""

    def on_progress(name: str, so_far: int, total: int) -> None:
        if name == step and so_far >= done:
            raise Interrupted

    return on_progress


class Look:
    """Opens connections, closed with the test."""

    def __init__(self) -> None:
        self.opened: list[Connection] = []

    async def __call__(self, database: Database, **settings: str) -> Connection:
        connection = await open_connection(database.url(), application_name="test", **settings)
        self.opened.append(connection)
        return connection
