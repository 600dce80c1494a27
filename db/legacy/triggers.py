"""Drops the triggers of an older generation.

They moved balances, and those on auth.users would write to tables that are gone: a sign-up would
fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from db.connections.pool import Connection

_OR_REPLACE = "CREATE OR REPLACE TRIGGER"
# A disabled trigger on auth.users does no harm, and an undo may not disable it there again.
_TRIGGERS = """
select
    t.tgname::text as name,
    pg_get_triggerdef(t.oid) as definition,
    format('drop trigger %I on %s', t.tgname, t.tgrelid::regclass) as statement,
    format('alter table %s disable trigger %I', t.tgrelid::regclass, t.tgname) as off,
    t.tgenabled = 'D' as is_off,
    t.tgrelid = to_regclass('auth.users') as is_of_users
from pg_trigger as t
join pg_proc as p on p.oid = t.tgfoid
where not t.tgisinternal and t.tgparentid = 0 and (
    t.tgrelid = any($1::oid[])
    -- Those that the platform's own people made.
    or (t.tgrelid = to_regclass('auth.users') and t.tgenabled <> 'D'
        and p.pronamespace <> to_regnamespace('auth') and pg_has_role(p.proowner, 'usage'))
)
"""


async def take_off_triggers(connection: Connection, schema: str, tables: list[int]) -> list[str]:
    """Drop them, in the caller's transaction; return the statements of an undo, in reverse order.

    On Supabase auth.users belongs to the auth service, and only it may drop a trigger there. A role
    that may make one may replace it, though: then it does nothing. Each trigger of auth.users is
    noted, because the platform may need it for something else.
    """
    undo: list[str] = []
    for row in await connection.fetch(_TRIGGERS, tables):
        try:
            async with connection.transaction():
                await connection.execute(row["statement"])
        except asyncpg.InsufficientPrivilegeError:
            await _disarm(connection, schema, row["definition"])
        if row["is_of_users"]:
            await connection.execute(
                """
                insert into fleet.upgrade_notes (source_table, source_key, note, old_value)
                values ('auth.users', $1, 'trigger_taken_off', $2)
                """,
                row["name"],
                row["definition"],
            )
        undo += [row["off"]] if row["is_off"] else []
        undo.append(_replacing(row["definition"]))
    return undo


async def _disarm(connection: Connection, schema: str, definition: str) -> None:
    """Make a trigger call a function of ours that does nothing."""
    await connection.execute(
        f"""
        create or replace function {schema}.let_pass() returns trigger language plpgsql
        set search_path = '', pg_temp as $$
        begin
            return coalesce(new, old);
        end
        $$
        """
    )
    armed, _, _ = definition.rpartition(" EXECUTE FUNCTION ")
    await connection.execute(f"{_replacing(armed)} EXECUTE FUNCTION {schema}.let_pass()")


def _replacing(definition: str) -> str:
    return definition.replace("CREATE TRIGGER", _OR_REPLACE, 1)
