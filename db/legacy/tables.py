"""Moves an older generation's tables out of the way of the current schema.

Names such as gifts and live_streams are the same in every generation. What has such a name goes to
the schema legacy_<generation>: locked against everybody while it is counted, closed for writing
afterwards. The statements that put it back are stored there too (db/legacy/undo.py runs them).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import asyncpg

from db.errors import CoinfleetError
from db.legacy.names import current_names
from db.legacy.sources import FAMILIES, SOURCES
from db.legacy.triggers import take_off_triggers
from db.release.generations import Generation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from db.connections.pool import Connection

_KINDS = {"r": "table", "p": "table", "f": "foreign table", "v": "view", "m": "materialized view"}


class TablesInUse(CoinfleetError):
    """Somebody else holds the old tables, so they can't be moved; `sessions` says who."""

    def __init__(self, sessions: Iterable[str]) -> None:
        self.sessions = tuple(sessions)
        who = "".join(f"\n  {session}" for session in self.sessions)
        super().__init__(
            "the old tables are in use: stop the old application and everything that writes,"
            f" then run this again; nothing was changed{who}"
        )


class NotOurs(CoinfleetError):
    """Objects that would have to move belong to another role."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(
            "these belong to another role, and only an owner may move them:"
            + "".join(f"\n  {name}" for name in names)
        )


@dataclass(slots=True)
class OldTables:
    """The objects of one generation in one database."""

    connection: Connection
    generation: Generation
    _undo: list[str] = field(default_factory=list)

    @property
    def schema(self) -> str:
        """The schema that they are moved to."""
        return self.generation.schema

    async def move_aside(self) -> None:
        """Lock, count, move and close the tables, in the caller's transaction.

        Raises TablesInUse and NotOurs.
        """
        relations = await self._relations()
        tables = [row["oid"] for row in relations if row["relkind"] in "rp"]
        await self._check_owned([row["oid"] for row in relations])
        await self._lock([row["name"] for row in relations if row["relkind"] in "rp"])
        await self.connection.execute(f"create schema {self.schema}")
        self._undo += await take_off_triggers(self.connection, self.schema, tables)
        await self._drop_foreign_keys(tables)
        await self._count(relations)
        for row in relations:
            kind = _KINDS.get(row["relkind"], "sequence")
            await self._move(kind, row["name"], row["relname"])
        await self._move_functions()
        await self._move_types()
        await self._make_missing_tables()
        await self._close(tables)
        await self._store_undo()

    async def _relations(self) -> list[asyncpg.Record]:
        """Return what must move: the generation's own tables, and all that has a name of ours."""
        claimed, _ = current_names()
        source = SOURCES[self.generation]
        return await self.connection.fetch(
            """
            select c.oid, c.oid::regclass::text as name, c.relname::text, c.relkind::text
            from pg_class as c
            where c.relnamespace = 'public'::regnamespace
                and (
                    (c.relkind in ('r', 'p', 'f', 'v', 'm') and c.relname = any($1))
                    -- A sequence moves with the column that owns it; others are found by name.
                    or (c.relkind = 'S' and c.relname = any($2) and not exists (
                        select from pg_depend as d
                        where d.objid = c.oid and d.classid = 'pg_class'::regclass
                            and d.refobjsubid > 0 and d.deptype in ('a', 'i')
                    ))
                )
                and not exists (
                    select from pg_depend as d where d.objid = c.oid and d.deptype = 'e'
                )
            order by c.relname
            """,
            [*{*claimed, *source.handled, *source.without_place}],
            [f"{name}_id_seq" for name in claimed],
        )

    async def _check_owned(self, oids: list[int]) -> None:
        rows = await self.connection.fetch(
            """
            select oid::regclass::text as name from pg_class
            where oid = any($1::oid[]) and not pg_has_role(relowner, 'usage')
            """,
            oids,
        )
        if rows:
            raise NotOurs(row["name"] for row in rows)

    async def _lock(self, names: list[str]) -> None:
        """Lock everybody else out. Raises TablesInUse with the sessions that hold a lock."""
        try:
            async with self.connection.transaction():
                await self.connection.execute(
                    f"lock table {', '.join(names)} in access exclusive mode"
                )
        except asyncpg.LockNotAvailableError as error:
            raise TablesInUse(await self._holders(names)) from error

    async def _holders(self, names: list[str]) -> list[str]:
        rows = await self.connection.fetch(
            """
            select distinct format(
                'pid %s, role %s, %s', a.pid, a.usename, coalesce(a.application_name, '?')
            ) as session
            from pg_locks as l
            join pg_stat_activity as a using (pid)
            where l.relation = any($1::text[]::regclass[])
                and l.granted and l.pid <> pg_backend_pid()
            """,
            names,
        )
        return [row["session"] for row in rows]

    async def _drop_foreign_keys(self, tables: list[int]) -> None:
        """Drop references to tables that stay: a closed row must not keep a user from leaving."""
        rows = await self.connection.fetch(
            """
            select
                format('alter table %s drop constraint %I', t.name, k.conname) as drop,
                format('alter table %s add constraint %I %s',
                    t.name, k.conname, pg_get_constraintdef(k.oid)) as add
            from pg_constraint as k
            cross join lateral (select k.conrelid::regclass as name) as t
            where k.contype = 'f' and k.conparentid = 0
                and k.conrelid = any($1::oid[]) and k.confrelid <> all($1::oid[])
            """,
            tables,
        )
        for row in rows:
            await self.connection.execute(row["drop"])
            # Rows may break it by then, and the old application has to get them as they were.
            not_valid = "" if row["add"].endswith("NOT VALID") else " not valid"
            self._undo.append(row["add"] + not_valid)

    async def _count(self, relations: list[asyncpg.Record]) -> None:
        handled = SOURCES[self.generation].handled
        for row in relations:
            if row["relkind"] not in "rp":
                continue
            await self.connection.execute(
                f"""
                insert into fleet.upgrade_tables (table_name, rows_before, is_handled)
                select $1, count(*), $2 from {row["name"]}
                """,  # noqa: S608 -- the name comes from the catalogue, quoted there
                row["relname"],
                row["relname"] in handled,
            )

    async def _move(self, kind: str, name: str, relname: str) -> None:
        moved: str = await self.connection.fetchval(
            "select format('%I.%I', $1::text, $2::text)", self.schema, relname
        )
        await self.connection.execute(f"alter {kind} {name} set schema {self.schema}")
        self._undo.append(f"alter {kind} {moved} set schema public")

    async def _move_functions(self) -> None:
        """Move functions whose names are ours, so that the old application can't call ours."""
        _, claimed = current_names()
        rows = await self.connection.fetch(
            """
            select
                case p.prokind
                    when 'p' then 'procedure' when 'a' then 'aggregate' else 'function'
                end as kind,
                p.oid::regprocedure::text as name,
                format('%I.%I(%s)', $2::text, p.proname, pg_get_function_identity_arguments(p.oid))
                    as moved
            from pg_proc as p
            where p.pronamespace = 'public'::regnamespace and p.proname = any($1)
                and pg_has_role(p.proowner, 'usage')
                and not exists (
                    select from pg_depend as d where d.objid = p.oid and d.deptype = 'e'
                )
            """,
            claimed,
            self.schema,
        )
        for row in rows:
            await self.connection.execute(
                f"alter {row['kind']} {row['name']} set schema {self.schema}"
            )
            self._undo.append(f"alter {row['kind']} {row['moved']} set schema public")

    async def _move_types(self) -> None:
        claimed, _ = current_names()
        rows = await self.connection.fetch(
            """
            select t.oid::regtype::text as name, format('%I.%I', $2::text, t.typname) as moved
            from pg_type as t
            where t.typnamespace = 'public'::regnamespace and t.typname = any($1)
                and t.typrelid = 0 and t.typelem = 0
            """,
            claimed,
            self.schema,
        )
        for row in rows:
            await self.connection.execute(f"alter type {row['name']} set schema {self.schema}")
            self._undo.append(f"alter type {row['moved']} set schema public")

    async def _make_missing_tables(self) -> None:
        """Make an empty table for each optional one that this platform never had."""
        for table, columns in SOURCES[self.generation].optional.items():
            declared = ", ".join(f"{name} {FAMILIES[kind][-1]}" for name, kind in columns.items())
            declared = declared.replace("citext", "text").replace("USER-DEFINED", "text")
            await self.connection.execute(
                f"create table if not exists {self.schema}.{table} ({declared})"
            )

    async def _close(self, tables: list[int]) -> None:
        """Close the tables for writing, so that what is copied is what was counted."""
        await self.connection.execute(
            f"""
            create function {self.schema}.refuse_change() returns trigger language plpgsql
            set search_path = '', pg_temp as $$
            begin
                raise exception '%.% was moved aside by an upgrade and is closed',
                    tg_table_schema, tg_table_name using errcode = 'read_only_sql_transaction';
            end
            $$
            """
        )
        rows = await self.connection.fetch(
            "select oid::regclass::text as name from pg_class where oid = any($1::oid[])", tables
        )
        for row in rows:
            await self.connection.execute(
                f"""
                create trigger moved_aside
                before insert or update or delete or truncate on {row["name"]}
                for each statement execute function {self.schema}.refuse_change();
                alter table {row["name"]} enable always trigger moved_aside
                """
            )

    async def _store_undo(self) -> None:
        await self.connection.execute(
            f"""
            create table {self.schema}.way_back (no integer primary key, statement text not null);
            comment on table {self.schema}.way_back is
                'The statements that put all of this schema back into public, in the order of no.'
            """
        )
        await self.connection.executemany(
            f"insert into {self.schema}.way_back values ($1, $2)",  # noqa: S608 -- our own name
            # Backwards: what was taken away first comes back last.
            list(enumerate(reversed(self._undo), start=1)),
        )
