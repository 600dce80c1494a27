"""Whether this code can work with a database. Asks with the rights of any of our processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from db.release.records import REMOVED
from db.release.schema import Kind, expected
from db.release.session import RELEASE_LOCK

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool


async def is_current(database: Pool | Connection) -> bool:
    """Return whether each migration and function of this release was applied here.

    Older code stays current while a newer release runs and after it: migrations it does not know
    and newer texts of functions do not count. One query.
    """
    files = expected()
    try:
        lacking = await database.fetchval(
            """
            select exists (
                select unnest($1::bigint[]) except select version from fleet.schema_migrations
            ) or exists (
                select unnest($2::text[])
                except select name from fleet.schema_objects where kind = 'function'
            )
            """,
            [file.version for file in files if file.kind is Kind.MIGRATION],
            [file.name for file in files if file.kind is Kind.FUNCTION],
        )
    except (
        asyncpg.UndefinedTableError,
        asyncpg.InsufficientPrivilegeError,  # grants come last in a first release
    ):
        return False
    return not lacking


async def is_half_way(database: Pool | Connection) -> bool:
    """Return whether a release is at work here, or has to be before this code can work.

    A release at work is known by its lock. A function that somebody dropped is still recorded, so
    it is looked for in the catalog: the next release makes it again. A column that somebody renamed
    or dropped has to be put back by a person.
    """
    if not await is_current(database) or await lacks_functions(database):
        return True
    if await database.fetchval("select fleet.lacks_tables()"):
        return True
    is_locked: bool = await database.fetchval(
        """
        select exists (
            select from pg_locks as l
            where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
                and l.database = (select oid from pg_database where datname = current_database())
                and (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended($1, 0)
        )
        """,
        RELEASE_LOCK,
    )
    return is_locked


async def lacks_functions(database: Pool | Connection) -> bool:
    """Return whether a function of this release is gone that no newer release removed."""
    lacks: bool = await database.fetchval(
        """
        select exists (
            select unnest($1::text[])
            except
            select n.nspname || '.' || p.proname
            from pg_catalog.pg_proc as p
            join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
            except
            select name from fleet.schema_objects where kind = 'function' and checksum = $2
        )
        """,
        [file.name for file in expected() if file.kind is Kind.FUNCTION],
        REMOVED,
    )
    return lacks
