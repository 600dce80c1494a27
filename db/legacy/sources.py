"""The older generations of the platform: the tables and columns that an upgrade reads of each.

Whatever else stands in these tables is kept as it is, in the schema they are moved to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from db.errors import CoinfleetError
from db.release.generations import Generation, OlderGeneration, refuse_older_generation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from db.connections.pool import Connection

Columns: TypeAlias = "Mapping[str, str]"

# What a column may be declared as, by the family that the tables below ask for.
FAMILIES = {
    "integer": ("smallint", "integer", "bigint"),
    "text": ("text", "character varying", "character", "uuid", "USER-DEFINED", "citext"),
    # A reference to a row of another table, whatever its kind of id.
    "key": ("smallint", "integer", "bigint", "text", "character varying", "uuid"),
    "uuid": ("uuid",),
    "boolean": ("boolean",),
    "time": ("timestamp with time zone", "timestamp without time zone", "date"),
}


@dataclass(frozen=True, slots=True)
class Source:
    """What an upgrade reads; a table that a platform may lack counts as an empty one."""

    needed: Mapping[str, Columns]
    optional: Mapping[str, Columns]
    # Tables without a home now; they are archived, whatever their columns.
    homeless: Sequence[str] = ()
    auth_columns: Sequence[str] = ("id",)

    @property
    def handled(self) -> set[str]:
        """The tables whose rows have a home in the current schema."""
        return {*self.needed, *self.optional}


_GIFT_TYPES = {"code": "text", "name": "text", "coin_cost": "integer"}

SOURCES = {
    Generation.FIRST: Source(
        needed={
            "users": {"id": "integer", "email": "text"},
            "user_profiles": {"user_id": "integer", "username": "text"},
            "coins": {"user_id": "integer", "balance": "integer"},
            "coin_purchases": {
                "id": "integer",
                "user_id": "integer",
                "coins": "integer",
                "amount_cents": "integer",
                "payment_id": "text",
                "status": "text",
                "created_at": "time",
            },
            "gifts": {
                "id": "integer",
                "sender_id": "integer",
                "recipient_id": "integer",
                "stream_id": "integer",
                "gift_type": "text",
                "coins": "integer",
                "created_at": "time",
            },
            "live_streams": {
                "id": "integer",
                "user_id": "integer",
                "title": "text",
                "is_published": "boolean",
            },
        },
        optional={
            "gift_types": _GIFT_TYPES,
            "follows": {"follower_id": "integer", "followee_id": "integer"},
            "user_links": {
                "user_id": "integer",
                "label": "text",
                "url": "text",
                "position": "integer",
            },
            "chat_messages": {
                "id": "integer",
                "stream_id": "integer",
                "user_id": "integer",
                "body": "text",
                "created_at": "time",
            },
        },
        auth_columns=("id", "email"),
    ),
    Generation.SECOND: Source(
        needed={
            "profiles": {"id": "uuid", "username": "text", "coin_balance": "integer"},
            "coin_ledger": {
                "id": "integer",
                "profile_id": "uuid",
                "amount": "integer",
                "type": "text",
                "reference_id": "key",
                "created_at": "time",
            },
            "coin_purchases": {
                "id": "integer",
                "profile_id": "uuid",
                "provider": "text",
                "provider_event_id": "text",
                "provider_payment_id": "text",
                "coin_amount": "integer",
                "amount_cents": "integer",
                "status": "text",
                "created_at": "time",
            },
            "gifts": {
                "id": "integer",
                "sender_id": "uuid",
                "recipient_id": "uuid",
                "stream_id": "integer",
                "gift_type": "text",
                "coin_amount": "integer",
                "box_position": "integer",
                "created_at": "time",
            },
            "live_streams": {
                "id": "integer",
                "profile_id": "uuid",
                "title": "text",
                "is_published": "boolean",
            },
        },
        optional={
            "gift_types": _GIFT_TYPES,
            "follows": {"follower_id": "uuid", "followee_id": "uuid"},
            "user_links": {
                "profile_id": "uuid",
                "label": "text",
                "url": "text",
                "position": "integer",
            },
            "chat_messages": {
                "id": "integer",
                "stream_id": "integer",
                "profile_id": "uuid",
                "body": "text",
                "created_at": "time",
            },
        },
        homeless=("video_boxes", "box_viewers"),
    ),
}


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
    """Say it where a database is another one altogether: what it lacks would tell nobody that."""
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
        f"public.{table} is missing" for table in source.homeless if table not in declared
    ]


async def _declared(connection: Connection) -> dict[str, dict[str, str]]:
    """The columns of each table in public with their types; a table without columns too."""
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
