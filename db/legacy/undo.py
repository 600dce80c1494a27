"""Puts everything back that an upgrade moved aside, unless somebody has worked with the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.errors import CoinfleetError
from db.legacy.access import grant_access_again
from db.legacy.names import current_names

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from db.release.generations import Generation


class NoWayBack(CoinfleetError):
    """The upgrade can't be undone."""


async def put_back(connection: Connection, generation: Generation) -> None:
    """Undo `OldTables.move_aside` and everything made since, in the caller's transaction.

    Raises NoWayBack.
    """
    schema = generation.schema
    if not await connection.fetchval("select to_regclass($1) is not null", f"{schema}.way_back"):
        raise NoWayBack(f"there is no schema {schema} to put back")
    if await _has_been_used(connection):
        raise NoWayBack(
            "the fleet or its users have worked with this database since: an undo would lose"
            " what they wrote; restore the backup, or go on"
        )
    await grant_access_again(connection)
    await _clear_public(connection)
    statements = await connection.fetch(
        f"select statement from {schema}.way_back order by no"  # noqa: S608 -- our own
    )
    # The triggers moved_aside go with it.
    await connection.execute(f"drop function {schema}.refuse_change() cascade")
    for row in statements:
        await connection.execute(row["statement"])
    await connection.execute(f"drop schema {schema} cascade")


async def _has_been_used(connection: Connection) -> bool:
    """Return whether events came, coins moved or users wrote after the upgrade had finished."""
    # A release that was interrupted may have made neither table.
    if not await connection.fetchval("select to_regclass('fleet.inbox_events') is not null"):
        return False
    return bool(
        await connection.fetchval(
            """
            select exists (select from fleet.inbox_events)
                or exists (select from public.user_grid_slots)
                or exists (
                    select from fleet.upgrade_runs as r
                    join lateral (
                        select created_at from public.ledger_entries
                        union all select created_at from public.chat_messages
                        union all select created_at from public.follows
                    ) as w on w.created_at > r.finished_at
                )
            """
        )
    )


async def _clear_public(connection: Connection) -> None:
    """Drop what this release made, so that the old tables can have their names again."""
    relations, functions = current_names()
    await connection.execute(
        "drop schema if exists upgrade cascade; drop schema if exists invariants cascade"
    )
    rows = await connection.fetch(
        """
        select format('drop function %s cascade', p.oid::regprocedure) as statement
        from pg_proc as p
        where p.pronamespace = 'public'::regnamespace and p.proname = any($1)
        union all
        select format('drop table %s cascade', c.oid::regclass)
        from pg_class as c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
            and c.relname = any($2)
        """,
        functions,
        relations,
    )
    for row in rows:
        await connection.execute(row["statement"])
    await connection.execute("drop schema fleet cascade")
