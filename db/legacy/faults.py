"""Checks, before anything changes, that a database has what an upgrade of a generation reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.errors import CoinfleetError
from db.legacy.sources import FAMILIES, SOURCES
from db.release.generations import Generation, OlderGeneration, refuse_older_generation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.connections.pool import Connection
    from db.legacy.sources import Source


class NotThisGeneration(CoinfleetError):
    """The database lacks what an upgrade of this generation reads; `faults` lists all of it."""

    def __init__(self, generation: Generation, faults: Sequence[str]) -> None:
        lines = "\n  ".join(faults)
        super().__init__(
            f"this database can't be upgraded from the {generation} generation:\n  {lines}\n"
            "docs/upgrading.md lists the tables and columns that are read; nothing was changed"
        )
        self.faults = tuple(faults)


async def check_source(
    connection: Connection, generation: Generation, *, users_table: str | None
) -> None:
    """Raise NotThisGeneration unless everything is there that the upgrade reads."""
    source = SOURCES[generation]
    faults = [
        *await _table_faults(connection, source),
        *await _auth_faults(connection, source),
        *await _mapping_faults(connection, users_table),
    ]
    if faults:
        raise NotThisGeneration(generation, await _what_it_is(connection, generation) or faults)


async def _what_it_is(connection: Connection, asked: Generation) -> list[str]:
    """Return what the database is if it is another one altogether, else nothing."""
    if await connection.fetchval("select to_regclass('fleet.schema_migrations') is not null"):
        return ["it has this schema already: there is nothing to upgrade, run `coinfleet migrate`"]
    try:
        await refuse_older_generation(connection)
    except OlderGeneration as older:
        if older.generation is not asked:
            return [f"it holds the {older.generation} one: --from {older.generation}"]
    return []


async def _table_faults(connection: Connection, source: Source) -> list[str]:
    declared = await _declared(connection)
    faults = []
    for table, columns in {**source.needed, **source.optional}.items():
        found = declared.get(table)
        if found is None:
            if table in source.needed:
                faults.append(f"public.{table} is missing")
            continue
        for column, family in columns.items():
            if column not in found:
                faults.append(f"public.{table}.{column} is missing ({family})")
            elif found[column] not in FAMILIES[family]:
                faults.append(f"public.{table}.{column} is {found[column]}, not {family}")
    return faults + [
        f"public.{table} is missing" for table in source.without_place if table not in declared
    ]


async def _declared(connection: Connection) -> dict[str, dict[str, str]]:
    """Return the columns of each table in public with their types; a table without columns too."""
    rows = await connection.fetch(
        """
        select t.table_name, c.column_name, c.data_type
        from information_schema.tables as t
        left join information_schema.columns as c using (table_schema, table_name)
        where t.table_schema = 'public' and t.table_type = 'BASE TABLE'
        """
    )
    declared: dict[str, dict[str, str]] = {}
    for row in rows:
        declared.setdefault(row["table_name"], {})[row["column_name"]] = row["data_type"]
    return declared


async def _auth_faults(connection: Connection, source: Source) -> list[str]:
    columns = {
        row["attname"]
        for row in await connection.fetch(
            """
            select attname::text from pg_attribute
            where attrelid = to_regclass('auth.users') and attnum > 0 and not attisdropped
            """
        )
    }
    if not columns:
        return ["auth.users is missing: whom old users become is looked up there"]
    return [
        f"auth.users.{column} is missing" for column in source.auth_columns if column not in columns
    ]


async def _mapping_faults(connection: Connection, users_table: str | None) -> list[str]:
    if users_table is None:
        return []
    columns = {
        row["attname"]: row["type"]
        for row in await connection.fetch(
            """
            select attname::text, format_type(atttypid, null) as type from pg_attribute
            where attrelid = to_regclass($1) and attnum > 0 and not attisdropped
            """,
            users_table,
        )
    }
    if not columns:
        return [f"the given table {users_table} is missing (name it with its schema)"]
    wanted = {"user_id": FAMILIES["integer"], "profile_id": FAMILIES["uuid"]}
    return [
        f"{users_table}.{column} is {columns.get(column, 'missing')}, not {types[-1]}"
        for column, types in wanted.items()
        if columns.get(column) not in types
    ]
